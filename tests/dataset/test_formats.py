"""Every format is read into one Recording; what is damaged is named with episode and row."""

import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from headstart.core.errors import InputError, MissingExtra, UsageError
from headstart.dataset.episodes import Episodes, Header
from headstart.dataset.episodes_file import write_episodes
from headstart.dataset.formats import lerobot, minari, npz
from headstart.dataset.formats.reading import files_of, read_recording
from headstart.dataset.formats.recording import Recording, leaves, nested

LENGTH = np.array([3, 2, 4])


def recording(**changes: Any) -> Recording:
    """Three episodes of nine steps, of which the second was cut off."""
    usual: dict[str, Any] = {
        "observations": np.arange(18.0, dtype=np.float32).reshape(9, 2),
        "actions": np.array([0, 1, 2, 0, 1, 2, 0, 1, 2]),
        "length": LENGTH,
        "rewards": np.arange(9.0),
        "terminated": np.array([True, False, True]),
        "truncated": np.array([False, True, False]),
        "final_observations": np.full((3, 2), 7, np.float32),
        "seeds": np.array([4, -1, 6]),
        "infos": {"cost": np.arange(9.0) / 2},
    }
    return Recording(**(usual | changes))


def nested_observations(rows: int) -> dict[str, Any]:
    parts = (np.arange(rows), np.ones((rows, 2, 2), np.float32))
    return {"camera": {"depth": np.arange(rows * 3.0).reshape(rows, 3)}, "pair": parts}


def require_same(found: Recording, expected: Recording, without: tuple[str, ...] = ()) -> None:
    for name in vars(expected).keys() - {"infos", *without}:
        ours, theirs = (dict(leaves(getattr(one, name))) if getattr(one, name) is not None else {} for one in (found, expected))
        assert ours.keys() == theirs.keys(), name
        for key in theirs:
            assert np.array_equal(ours[key], theirs[key]), (name, key)
    assert found.infos.keys() == expected.infos.keys()
    assert all(np.array_equal(found.infos[key], expected.infos[key]) for key in expected.infos)


# --- npz ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"rewards": None, "terminated": None, "truncated": None, "final_observations": None, "seeds": None, "infos": {}},
        {"observations": nested_observations(9), "final_observations": nested_observations(3)},
        {"success": np.array([True, False, True]), "harm": np.array([False, False, True])},
    ],
)
def test_npz_comes_back_as_it_was_written(tmp_path: Path, changes: dict[str, Any]) -> None:
    npz.write(tmp_path / "a.npz", recording(**changes))
    require_same(read_recording("npz", tmp_path / "a.npz"), recording(**changes))


def test_the_lines_that_the_layout_prints_write_a_file_that_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("demonstrations").mkdir()
    episodes = [SimpleNamespace(observations=np.ones((n + 1, 2)) * n, actions=np.zeros(n, int)) for n in (3, 2)]
    lines = "\n".join(line.removeprefix("    ") for line in npz.LAYOUT.splitlines() if line.startswith("    "))
    code = lines[: lines.index("\n)") + 2]
    exec(code, {"episodes": episodes})
    found = read_recording("npz", Path("demonstrations/mine.npz"))
    assert found.length.tolist() == [3, 2]
    assert found.observations[:, 0].tolist() == [3, 3, 3, 2, 2]
    assert found.rewards is None


def written(tmp_path: Path, **changes: Any) -> Path:
    """The arrays of a sound file, of which some are changed; None removes one."""
    arrays: dict[str, Any] = {
        "observations": np.zeros((9, 2)),
        "actions": np.zeros(9, int),
        "lengths": LENGTH,
        "rewards": np.ones(9),
        "terminated": np.array([True, False, True]),
        "truncated": np.array([False, True, False]),
    }
    path = tmp_path / "a.npz"
    np.savez(path, **{name: array for name, array in (arrays | changes).items() if array is not None})
    return path


def changed(array: Any, index: Any, value: Any) -> Any:
    array = np.array(array, float if isinstance(value, float) else None)
    array[index] = value
    return array


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"observations": changed(np.zeros((9, 2)), (4, 1), np.nan)},
            "observations: expected finite numbers, got nan in episode 1, row 1",
        ),
        ({"rewards": changed(np.ones(9), 8, np.inf)}, "rewards: expected finite numbers, got inf in episode 2, row 3"),
        ({"lengths": np.array([3, 2, 5])}, "lengths that add up to the 9 rows of actions, got 10"),
        ({"lengths": np.array([3, 0, 6])}, "episodes of at least one step, episode 1 has none"),
        ({"lengths": np.array([3.0, 2.0, 4.0])}, "lengths: expected whole numbers"),
        ({"observations": np.zeros((10, 2))}, r"observations: expected 9 rows, one a step, got the shape \[10, 2\]"),
        ({"rewards": np.ones(3)}, r"rewards: expected 9 rows, one a step, got the shape \[3\]"),
        ({"final_observations": np.zeros((2, 2))}, "final_observations: expected 3 rows, one an episode"),
        ({"truncated": np.array([False, False, False])}, r"episode 1 has neither flag in its last row \(1\)"),
        (
            {"terminated": np.arange(9) == 3},
            "terminated: expected no end before the last row of an episode, got one in episode 1, row 0",
        ),
        ({"terminated": np.zeros(4, bool)}, "terminated: expected 3 values, one an episode, or 9, one a step"),
        ({"terminated": np.array([0, 1, 2])}, "terminated: expected true or false, got 2"),
        ({"seeds": np.array([1.5, 2, 3])}, "seeds: expected whole numbers"),
        ({"reward": np.ones(9)}, r"'reward' is not part of the layout \(did you mean 'rewards'\?\)"),
        ({"actions": None}, "expected the arrays observations, actions and lengths"),
        ({"observations": np.array([{}] * 9)}, "pickled objects are not read: concatenate the episodes"),
        ({"observations": np.array(["a"] * 9)}, "observations: expected numbers, got <U1"),
        ({"observations.x": np.zeros(9)}, "both"),
    ],
)
def test_a_damaged_npz_is_named_with_episode_and_row(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_recording("npz", written(tmp_path, **changes))


def test_flags_may_stand_in_every_step_and_one_of_them_is_enough(tmp_path: Path) -> None:
    path = written(tmp_path, terminated=np.isin(np.arange(9), (2, 8)), truncated=None)
    found = read_recording("npz", path)
    assert found.terminated is not None and found.truncated is not None
    assert (found.terminated.tolist(), found.truncated.tolist()) == ([True, False, True], [False, True, False])


def test_an_episode_that_ends_by_itself_in_its_last_allowed_step_is_terminated(tmp_path: Path) -> None:
    found = read_recording("npz", written(tmp_path, truncated=np.array([True, True, False])))
    assert found.terminated is not None and found.truncated is not None
    assert (found.terminated.tolist(), found.truncated.tolist()) == ([True, False, True], [False, True, False])


def test_bytes_that_are_no_arrays_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, observations=np.arange(900.0), actions=np.zeros(900), lengths=np.array([900]))
    sound = path.read_bytes()
    contents = {
        b"": "got another kind of file",
        b"no zip": "got another kind of file",
        b"\x93NUMPY\x01": r"got one array \(\.npy\)",
        b"PK\x03\x04 and then nothing": "damaged or truncated",
        sound[: len(sound) // 2]: "damaged or truncated",
        sound[:60] + b"\xff" * 90 + sound[150:]: "damaged or truncated",  # zlib's own error
    }
    for content, message in contents.items():
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"expected arrays that np\.savez wrote.*{message}"):
            read_recording("npz", path)
    with pytest.raises(InputError, match="found nothing there"):
        read_recording("npz", tmp_path / "b.npz")
    with pytest.raises(UsageError, match=r"did you mean 'npz'"):
        read_recording("npy", path)


def test_names_of_parts_make_dicts_and_tuples() -> None:
    tree = nested_observations(2)
    assert dict(leaves(tree)).keys() == {"camera.depth", "pair.0", "pair.1"}
    assert isinstance(nested(dict(leaves(tree)))["pair"], tuple)


def test_every_file_of_a_recording_is_hashed(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/c").write_text("1")
    (tmp_path / "a/d").write_text("2")
    before = files_of(tmp_path / "a")
    (tmp_path / "a/b/c").write_text("3")
    assert [key for key in before if files_of(tmp_path / "a")[key] != before[key]] == [(tmp_path / "a/b/c").as_posix()]
    with pytest.raises(InputError, match="found nothing"):
        files_of(tmp_path / "none")


def test_a_link_that_dvc_does_not_follow_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("demonstrations", "elsewhere"):
        Path(folder).mkdir()
    Path("elsewhere/a.npz").write_bytes(b"")
    Path("demonstrations/file.npz").symlink_to(tmp_path / "elsewhere/a.npz")  # DVC hashes what is in it
    assert files_of(Path("demonstrations/file.npz"))
    Path("demonstrations/folder").symlink_to(tmp_path / "elsewhere")
    Path("demonstrations/nothing.npz").symlink_to("none.npz")
    for path in ("folder", "folder/a.npz", "nothing.npz"):
        with pytest.raises(
            InputError, match=f"demonstrations/{path.split('/')[0]}: expected files, got a link .*; copy the files there"
        ):
            files_of(Path("demonstrations") / path)


# --- minari -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def package() -> Any:
    return pytest.importorskip("minari", reason="minari is not installed; `pip install 'headstart[minari]'`")


def spaces_of() -> tuple[Any, Any]:
    return gym.spaces.Box(-np.inf, np.inf, (2,), np.float32), gym.spaces.Discrete(3)


def test_minari_reads_what_is_written_and_it_comes_back(tmp_path: Path, package: Any) -> None:
    minari.write(tmp_path / "data", recording(), spaces_of(), "headstart/test-v0")
    theirs = package.MinariDataset(tmp_path / "data")
    assert (theirs.total_episodes, theirs.total_steps) == (3, 9)
    second = next(iter(theirs.iterate_episodes([1])))
    assert second.observations.tolist() == [[6, 7], [8, 9], [7, 7]]  # o_0, o_1 and the final observation
    assert (second.actions.tolist(), second.rewards.tolist()) == ([0, 1], [3, 4])
    assert (second.terminations.tolist(), second.truncations.tolist()) == ([False, False], [False, True])
    require_same(read_recording("minari", tmp_path / "data"), recording())
    with pytest.raises(InputError, match="does not exist yet"):
        minari.write(tmp_path / "data", recording(), spaces_of(), "headstart/test-v0")


@pytest.mark.filterwarnings("ignore::UserWarning")  # of Minari, about metadata that the dataset does not have
def test_a_dataset_that_minari_collected_is_read_by_folder_and_by_id(
    tmp_path: Path, package: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    buffers = []
    for seed, steps in ((11, 4), (12, 6)):
        env = gym.make("CartPole-v1")
        seen = [env.reset(seed=seed)[0]]
        outcomes = []
        for t in range(steps):
            o, r, terminated, _, _ = env.step(t % 2)
            seen.append(o)
            outcomes.append((r, terminated, t == steps - 1))
        rewards, terminations, truncations = zip(*outcomes, strict=True)
        acts = [t % 2 for t in range(steps)]
        buffers.append(
            package.data_collector.EpisodeBuffer(
                id=len(buffers), seed=seed, observations=seen, actions=acts, rewards=list(rewards),
                terminations=list(terminations), truncations=list(truncations), infos={"step": list(range(steps + 1))},
            )
        )  # fmt: skip
    package.create_dataset_from_buffers("pole/test-v0", buffers, env="CartPole-v1")
    found = read_recording("minari", Path("pole/test-v0"))
    require_same(read_recording("minari", tmp_path / "pole/test-v0"), found)
    assert found.length.tolist() == [4, 6]
    assert found.seeds is not None and found.seeds.tolist() == [11, 12]
    assert np.array_equal(found.observations[4], buffers[1].observations[0])
    assert np.array_equal(found.final_observations[1], buffers[1].observations[6])
    assert found.infos["step"].tolist() == [1, 2, 3, 4, 1, 2, 3, 4, 5, 6]  # that of the reset is left out


def test_a_damaged_minari_dataset_is_named(tmp_path: Path, package: Any) -> None:
    import h5py

    with pytest.raises(InputError, match=r"expected a folder with metadata\.json"):
        read_recording("minari", tmp_path)
    minari.write(tmp_path / "data", recording(), spaces_of(), "headstart/test-v0")
    with h5py.File(tmp_path / "data/main_data.hdf5", "a") as file:
        rewards = file["episode_1/rewards"][:]
        del file["episode_1/rewards"]
        file["episode_1/rewards"] = rewards[:1]
    with pytest.raises(InputError, match="episode 1: actions: expected 1 rows for 1 rewards, got 2"):
        read_recording("minari", tmp_path / "data")
    with h5py.File(tmp_path / "data/main_data.hdf5", "a") as file:
        del file["episode_1/rewards"]
    with pytest.raises(InputError, match=r"data: episode 1: expected a dataset that Minari .* reads: .*rewards"):
        read_recording("minari", tmp_path / "data")
    with h5py.File(tmp_path / "data/main_data.hdf5", "a") as file:
        file["episode_1/rewards"] = np.zeros(0)
    with pytest.raises(InputError, match="expected episodes of at least one step, episode 1 has none"):
        read_recording("minari", tmp_path / "data")
    (tmp_path / "data/main_data.hdf5").write_bytes(b"not one")
    with pytest.raises(InputError, match=r"expected a (dataset that Minari|sound HDF5 file)"):
        read_recording("minari", tmp_path / "data")


# --- lerobot ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def parquet() -> Any:
    return pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed; `pip install 'headstart[lerobot]'`")


def test_lerobot_has_the_documented_layout_and_comes_back(tmp_path: Path, parquet: Any) -> None:
    whole = recording(success=np.array([True, False, True]))
    lerobot.write(tmp_path / "set", whole)
    info = json.loads((tmp_path / "set/meta/info.json").read_text())
    assert (info["codebase_version"], info["total_episodes"], info["total_frames"]) == ("v3.0", 3, 9)
    assert info["features"]["observation.state"] == {"dtype": "float32", "shape": [2], "names": None}
    data = parquet.read_table(tmp_path / "set" / info["data_path"].format(chunk_index=0, file_index=0))
    assert data.column("episode_index").to_pylist() == [0, 0, 0, 1, 1, 2, 2, 2, 2]
    assert data.column("frame_index").to_pylist() == [0, 1, 2, 0, 1, 0, 1, 2, 3]
    assert data.column("observation.state").to_pylist()[3] == [6, 7]
    assert data.column("next.done").to_pylist() == [False, False, True, False, True, False, False, False, True]
    assert set(data.column_names) == info["features"].keys()
    episodes = parquet.read_table(tmp_path / "set/meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [(one["dataset_from_index"], one["dataset_to_index"], one["length"]) for one in episodes] == [
        (0, 3, 3),
        (3, 5, 2),
        (5, 9, 4),
    ]
    assert parquet.read_table(tmp_path / "set/meta/tasks.parquet").to_pylist() == [{"task_index": 0, "task": "demonstrations"}]
    expected = replace(
        whole, final_observations=None, seeds=None, actions=whole.actions[:, None]
    )  # the format has no place for the two
    require_same(read_recording("lerobot", tmp_path / "set"), expected)


def test_without_ends_and_rewards_these_are_absent(tmp_path: Path, parquet: Any) -> None:
    lerobot.write(tmp_path / "set", recording(rewards=None, terminated=None, truncated=None))
    found = read_recording("lerobot", tmp_path / "set")
    assert (found.rewards, found.terminated, found.truncated) == (None, None, None)


def _info(change: Callable[[dict[str, Any]], None]) -> Callable[[Path, Any], None]:
    def edit(folder: Path, parquet: Any) -> None:
        path = folder / "meta/info.json"
        info = json.loads(path.read_text())
        change(info)
        path.write_text(json.dumps(info))

    return edit


def _rows(change: Callable[[Any], Any]) -> Callable[[Path, Any], None]:
    def edit(folder: Path, parquet: Any) -> None:
        path = folder / "data/chunk-000/file-000.parquet"
        parquet.write_table(change(parquet.read_table(path)), path)

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (_info(lambda info: info.update(codebase_version="v2.1")), "version 3, got v2.1; .*convert"),
        (
            _info(lambda info: info["features"].update({"observation.images.top": {"dtype": "video", "shape": [4, 4, 3]}})),
            "observation.images.top are pictures, which are not read",
        ),
        (
            _info(lambda info: info.update(total_episodes=500)),
            r"expected 500 episodes \(meta/info.json\), found 3; files are missing",
        ),
        (_info(lambda info: info.update(total_frames=8)), r"expected 8 frames \(meta/info.json\), found 9; files of another"),
        (_info(lambda info: info["features"].pop("action")), "expected the features observation.* and action"),
        (
            _rows(lambda table: table.filter([True] * 3 + [False] + [True] * 5)),
            "expected frame_index 0 in episode 1, got 1: a frame is missing",
        ),
        (_rows(lambda table: table.take([0, 1, 3, 4, 2, 5, 6, 7, 8])), "some of one episode in two places"),
        (
            _rows(lambda table: table.drop_columns(["action"])),
            "expected the column action|expected a parquet file with the columns",
        ),
        (lambda folder, _: (folder / "data/chunk-000/file-000.parquet").write_bytes(b"PAR1"), "expected a parquet file"),
        (lambda folder, _: (folder / "meta/info.json").unlink(), "expected a LeRobot dataset with meta/info.json"),
    ],
)
def test_a_lerobot_dataset_that_cannot_be_imported_says_why(
    tmp_path: Path, parquet: Any, edit: Callable[[Path, Any], None], message: str
) -> None:
    lerobot.write(tmp_path / "set", recording())
    edit(tmp_path / "set", parquet)
    with pytest.raises(InputError, match=message):
        read_recording("lerobot", tmp_path / "set")


def test_a_file_is_no_lerobot_dataset(tmp_path: Path) -> None:
    (tmp_path / "set").write_bytes(b"")
    with pytest.raises(InputError, match=r"expected the folder of a LeRobot dataset, with meta/info\.json in it, got a file"):
        read_recording("lerobot", tmp_path / "set")


# --- hdf5 ---------------------------------------------------------------------------------------------------------------


def test_what_the_expert_knows_of_each_step_is_among_the_infos(tmp_path: Path, episodes: Episodes, header: Header) -> None:
    known = np.linspace(-3, 0, len(episodes.reward), dtype=np.float32)
    told = replace(episodes, expert_log_prob=known, expert_value=known + 7, final_value=np.ones(3, np.float32))
    write_episodes(tmp_path / "e.h5", told, header.model_copy(update={"slip": 0.1}))
    npz.write(tmp_path / "e.npz", read_recording("hdf5", tmp_path / "e.h5"))
    found = read_recording("npz", tmp_path / "e.npz")
    assert np.array_equal(found.infos["expert_log_prob"], known)
    assert np.array_equal(found.infos["expert_value"], known + 7)


def test_our_own_episodes_are_a_recording_with_labels_beside_what_was_executed(
    tmp_path: Path, episodes: Episodes, header: Header
) -> None:
    write_episodes(tmp_path / "set/a.h5", episodes, header)
    found = read_recording("hdf5", tmp_path / "set")
    assert found.length.tolist() == episodes.table.length.tolist()
    assert np.array_equal(found.actions, episodes.action)
    assert np.array_equal(found.infos["expert_action"], episodes.expert_action)
    assert "expert_log_prob" not in found.infos  # a script has none
    assert found.observations.keys() == {"features", "map"}
    assert found.seeds is None  # of the capture, not of a reset
    with pytest.raises(InputError, match=re.escape("expected files *.h5, found none")):
        (tmp_path / "none").mkdir()
        read_recording("hdf5", tmp_path / "none")


@pytest.mark.parametrize(("kind", "module", "extra"), [("minari", "minari", "minari"), ("lerobot", "pyarrow", "lerobot")])
def test_a_package_that_is_not_installed_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / "meta").mkdir()
    info = {"codebase_version": "v3.0", "features": {"observation.state": {"dtype": "float32"}, "action": {"dtype": "float32"}}}
    (tmp_path / "meta/info.json").write_text(json.dumps(info))
    with pytest.raises(MissingExtra, match=re.escape(f"pip install 'headstart[{extra}]'")):
        read_recording(kind, tmp_path)
