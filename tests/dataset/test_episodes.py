"""Episodes survive disk, selection and concatenation bit for bit, and equal episodes are equal bytes."""

import hashlib
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.goldens import same_as_golden
from tests.many import drawn

from headstart.core.errors import InputError, IntegrityError, SchemaMismatch
from headstart.core.files import sha256_file
from headstart.dataset.episodes import Episodes, EpisodeTable, Header, columns_of, concatenate, episode_ids, episodes_from, select
from headstart.dataset.episodes_file import ESTIMATED, _expected, chunk_shape, read_episodes, write_episodes
from headstart.dataset.observation import ObservationSchema


def same(left: object, right: object) -> bool:
    """Equal in value, shape and dtype, through records of arrays."""
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, Episodes | EpisodeTable):
        return all(same(getattr(left, field.name), getattr(right, field.name)) for field in fields(left))
    return left is None and right is None


def test_what_is_read_is_what_was_written(tmp_path: Path, episodes: Episodes, header: Header) -> None:
    write_episodes(tmp_path / "e.h5", episodes, header)

    found, found_header = read_episodes(tmp_path / "e.h5", header.observation)

    assert same(found, episodes)
    assert found_header == header


def test_a_continuous_world_has_real_actions_and_no_mask(tmp_path: Path, episodes: Episodes, header: Header) -> None:
    schema = header.observation.model_copy(update={"actions": (), "action_low": (-1.0, 0.0), "action_high": (1.0, 2.0)})
    actions = np.linspace(-1, 1, 12, dtype=np.float32).reshape(6, 2)
    episodes = replace(episodes, action=actions, expert_action=actions + 1, action_mask=None)
    write_episodes(tmp_path / "e.h5", episodes, header.model_copy(update={"observation": schema}))

    found, _ = read_episodes(tmp_path / "e.h5")

    assert same(found, episodes)


def test_a_file_without_episodes_is_a_file(tmp_path: Path, episodes: Episodes, header: Header) -> None:
    none = select(episodes, np.zeros(3, bool))
    write_episodes(tmp_path / "e.h5", none, header)

    found, _ = read_episodes(tmp_path / "e.h5")

    assert same(found, none)
    assert len(found.reward) == 0


def test_the_bytes_are_the_golden_ones(tmp_path: Path, episodes: Episodes, header: Header) -> None:
    write_episodes(tmp_path / "e.h5", episodes, header)

    same_as_golden(sha256_file(tmp_path / "e.h5"), "episodes.json", "episodes_h5_sha256")


def test_another_process_at_another_time_writes_the_same_bytes(tmp_path: Path, episodes: Episodes, header: Header) -> None:
    write_episodes(tmp_path / "first.h5", episodes, header)
    program = (
        "import sys; from pathlib import Path; from headstart.dataset.episodes_file import *\n"
        "write_episodes(Path(sys.argv[2]), *read_episodes(Path(sys.argv[1])))"
    )

    subprocess.run([sys.executable, "-c", program, tmp_path / "first.h5", tmp_path / "second.h5"], check=True)

    assert (tmp_path / "first.h5").read_bytes() == (tmp_path / "second.h5").read_bytes()


def test_plain_h5py_reads_the_columns(
    tmp_path: Path, episodes: Episodes, header: Header, require_schema: Callable[[bytes | str, str], None]
) -> None:
    write_episodes(tmp_path / "e.h5", episodes, header)

    with h5py.File(tmp_path / "e.h5") as file:
        features = file["steps/observation/features"]
        assert features.compression == "gzip"
        assert features.fletcher32
        np.testing.assert_array_equal(features[:], episodes.observation["features"])
        np.testing.assert_array_equal(file["episodes/behaviour/showers"][:], [1, 0, 2])
        assert file.attrs["schema_id"] == b"episodes/1"
        require_schema(file.attrs["header"], "episodes/1")


def test_a_column_of_another_dtype_is_not_cast_but_refused(tmp_path: Path, episodes: Episodes, header: Header) -> None:
    wrong = replace(episodes, reward=episodes.reward.astype(np.float64))

    with pytest.raises(InputError, match=r"/steps/reward: expected <f4 of shape \(6,\), got <f8 of shape \(6,\)"):
        write_episodes(tmp_path / "e.h5", wrong, header)
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_expects_other_features_is_told_the_first_difference(
    tmp_path: Path, episodes: Episodes, header: Header
) -> None:
    write_episodes(tmp_path / "e.h5", episodes, header)
    names = ("hunger", "distance", "energy", "queue", "money")

    with pytest.raises(SchemaMismatch, match=r"e\.h5: features\[1\] is 'energy', expected 'distance'"):
        read_episodes(tmp_path / "e.h5", header.observation.model_copy(update={"features": names}))


def test_an_observation_schema_under_another_hash_is_an_integrity_error(
    tmp_path: Path, episodes: Episodes, header: Header
) -> None:
    write_episodes(tmp_path / "e.h5", episodes, header)
    with h5py.File(tmp_path / "e.h5", "r+") as file:
        file.attrs["observation_sha256"] = np.bytes_(b"0" * 64)

    with pytest.raises(IntegrityError, match=f"has hash {header.observation.sha256()}, recorded as {'0' * 64}"):
        read_episodes(tmp_path / "e.h5")


def test_one_flipped_byte_in_a_column_is_an_integrity_error(tmp_path: Path, episodes: Episodes, header: Header) -> None:
    path = tmp_path / "e.h5"
    write_episodes(path, episodes, header)
    with h5py.File(path) as file:
        chunks: list[h5py.h5d.StoreInfo] = []
        file["steps/reward"].id.chunk_iter(chunks.append)
    data = bytearray(path.read_bytes())
    data[chunks[0].byte_offset + 5] ^= 0x10
    path.write_bytes(data)

    with pytest.raises(IntegrityError, match="/steps/reward cannot be read as it was written"):
        read_episodes(path)


def test_selecting_keeps_whole_episodes_and_renumbers_their_rows(episodes: Episodes) -> None:
    chosen = select(episodes, np.array([True, False, True]))

    np.testing.assert_array_equal(chosen.table.start, [0, 2])
    np.testing.assert_array_equal(chosen.table.length, [2, 1])
    np.testing.assert_array_equal(chosen.reward, episodes.reward[[0, 1, 5]])
    np.testing.assert_array_equal(chosen.observation["map"], episodes.observation["map"][[0, 1, 5]])
    np.testing.assert_array_equal(chosen.final_observation["features"], episodes.final_observation["features"][[0, 2]])
    np.testing.assert_array_equal(chosen.table.behaviour["showers"], [1, 2])


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [
        ([0, 2, 5], [2, 2, 1], ["gap before episode 2: expected row 4, got 5"]),
        ([0, 2, 5], [2, 4, 1], ["overlap before episode 2: expected row 6, got 5"]),
        ([0, 2, 4], [2, 2, 1], ["gap before the end of the steps: expected row 5, got 6"]),
        ([0, 2, 5], [2, 3, 2], ["overlap before the end of the steps: expected row 7, got 6"]),
        ([1, 2, 5], [2, 3, 1], ["gap before episode 0", "overlap before episode 1"]),
        ([0, 2, 5], [2, 0, 4], ["episode 1 has 0 steps", "gap before episode 2"]),
        ([0, 2**63 - 1, -2], [2**63 - 1, 2**63 - 1, 8], ["episode 0 has 9223372036854775807 steps"]),  # sums that overflow to 6
        ([], [], ["gap before the end of the steps: expected row 0, got 6"]),
    ],
)
def test_a_file_whose_episodes_do_not_tile_its_steps_is_refused(
    start: list[int], length: list[int], expected: list[str], tmp_path: Path, episodes: Episodes, header: Header
) -> None:
    columns = columns_of(episodes)
    columns = {
        name: column[: len(start)] if "/episodes/" in name or "final" in name else column for name, column in columns.items()
    }
    columns |= {"/episodes/start": np.array(start, np.int64), "/episodes/length": np.array(length, np.int64)}
    write_episodes(tmp_path / "e.h5", episodes_from(columns), header)

    with pytest.raises(InputError, match=r"e\.h5: episode table: ") as refused:
        read_episodes(tmp_path / "e.h5")
    for problem in expected:
        assert problem in str(refused.value)


def test_what_the_expert_knows_stays_with_its_steps_and_episodes() -> None:
    whole, _ = random_episodes([2, 3, 1], 5, True, False, True)
    parts = [select(whole, np.arange(3) == index) for index in range(3)]

    assert same(parts[1].expert_log_prob, np.asarray(whole.expert_log_prob)[2:5])
    assert same(parts[1].final_value, np.asarray(whole.final_value)[1:2])
    assert same(concatenate(parts), whole)
    with pytest.raises(InputError, match=r"part 1: /final_value is None, expected float32 \[\]"):
        concatenate([parts[0], replace(parts[1], final_value=None)])


@pytest.mark.parametrize(
    ("changes", "slip", "text"),
    [
        ({"final_value": None}, 0.1, "expected /steps/expert_value and /final_value, or neither, got /steps/expert_value only"),
        ({}, None, "slip: expected a share in the header, got None"),
        ({"expert_log_prob": None}, 0.1, "slip: expected none in the header, got 0.1"),
        ({"final_value": np.zeros(6, np.float32)}, 0.1, r"/final_value: expected <f4 of shape \(3,\), got <f4 of shape \(6,\)"),
    ],
)
def test_half_of_what_belongs_together_is_refused(
    changes: dict[str, np.ndarray | None], slip: float | None, text: str, tmp_path: Path
) -> None:
    whole, header = random_episodes([2, 3, 1], 5, True, False, True)
    with pytest.raises(InputError, match=text):
        write_episodes(tmp_path / "e.h5", replace(whole, **changes), header.model_copy(update={"slip": slip}))


def test_concatenating_the_parts_of_a_recording_gives_it_back(episodes: Episodes) -> None:
    parts = [select(episodes, np.arange(3) == index) for index in range(3)]

    assert same(concatenate(parts), episodes)


def test_concatenating_refuses_parts_that_counted_other_behaviours(episodes: Episodes) -> None:
    other = replace(episodes, table=replace(episodes.table, behaviour={"naps": np.zeros(3, np.int32)}))

    with pytest.raises(InputError, match=r"part 1: /episodes/behaviour/naps is .*, expected None"):
        concatenate([episodes, other])


def test_an_episode_has_its_name_from_all_that_made_it() -> None:
    columns = [np.array([value], np.int64) for value in (7, 100, 0, 3)]
    key = b'["' + b"a" * 64 + b'",7,100,0,3,"' + b"b" * 64 + b'"]'

    name = episode_ids("a" * 64, "b" * 64, *columns)

    assert name.dtype == np.dtype("S16")
    assert name[0] == hashlib.sha256(key).hexdigest()[:16].encode()
    for index in range(4):
        other = [column + (index == position) for position, column in enumerate(columns)]
        assert episode_ids("a" * 64, "b" * 64, *other)[0] != name[0]


@pytest.mark.parametrize(
    ("shape", "item_bytes", "expected"),
    [
        ((500_000, 180), 4, (65_536, 4)),
        ((100, 180), 4, (100, 4)),
        ((500_000, 2), 1, (524_288 - 24_288, 2)),
        ((10_000_000,), 8, (131_072,)),
        ((5_000, 4, 16, 16), 1, (1_024, 4, 16, 16)),
        ((0, 180), 4, None),
        ((10, 0), 4, None),
    ],
)
def test_chunks_hold_about_a_megabyte(shape: tuple[int, ...], item_bytes: int, expected: tuple[int, ...] | None) -> None:
    assert chunk_shape(shape, item_bytes) == expected


FULL = """
import json, pickle, resource, signal, sys
from pathlib import Path
from headstart.dataset.episodes_file import write_episodes

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path, (episodes, header) = Path(sys.argv[1]), pickle.loads(Path(sys.argv[2]).read_bytes())
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
said = []
for size in map(int, sys.argv[3:]):  # as large as a file may become
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    try:
        write_episodes(path, episodes, header)
        said.append("written")
    except OSError as error:
        said.append(error.strerror)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    said[-1] += f", {len(list(path.parent.glob('.*.tmp-*')))} left"
print(json.dumps(said))
"""


def test_a_file_that_cannot_become_so_large_is_an_error_of_the_system_and_the_process_lives(
    tmp_path: Path, episodes: Episodes, header: Header
) -> None:
    write_episodes(tmp_path / "whole", episodes, header)
    whole = (tmp_path / "whole").stat().st_size
    (tmp_path / "full.py").write_text(FULL)
    (tmp_path / "pickled").write_bytes(pickle.dumps((episodes, header)))
    sizes = [0, 1, 48, 512, *range(1000, whole, 1500), whole - 1]
    (tmp_path / "out").mkdir()
    target = tmp_path / "out/e.h5"
    target.write_bytes(b"old")
    command = [sys.executable, tmp_path / "full.py", target, tmp_path / "pickled", *map(str, sizes)]

    done = subprocess.run(command, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")  # -11: HDF5 crashed
    said = json.loads(done.stdout)
    assert said == ["File too large, 0 left"] * len(sizes)
    assert target.read_bytes() == b"old"


def random_column(draw: np.random.Generator, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    if dtype.kind == "b":
        return draw.random(shape) < 0.5
    return np.frombuffer(draw.bytes(dtype.itemsize * int(np.prod(shape))), dtype).reshape(shape)


def random_episodes(
    lengths: list[int], seed: int, discrete: bool, with_map: bool, estimated: bool = False
) -> tuple[Episodes, Header]:
    """Columns of random bytes, not finite numbers among them, with starts and lengths that fit; and their header."""
    draw, length = np.random.default_rng(seed), np.array(lengths, np.int64)
    schema = ObservationSchema(
        world="town",
        features=("near", "far"),
        map_channels=("wall",) if with_map else (),
        map_size=3 if with_map else 0,
        actions=("stay", "go", "run") if discrete else (),
        action_low=() if discrete else (-1.0,),
        action_high=() if discrete else (1.0,),
        reward_terms=("need",),
    )
    columns = {
        path: random_column(draw, np.dtype(column.dtype), column.shape)
        for path, column in _expected(schema, int(length.sum()), len(length)).items()
    }
    if estimated:
        sizes = {"N": int(length.sum()), "E": len(length)}
        columns |= {path: random_column(draw, np.dtype(dtype), (sizes[of],)) for path, (dtype, of) in ESTIMATED.items()}
    columns |= {"/episodes/length": length, "/episodes/start": np.cumsum(length) - length}
    about = {"scenario": "walk", "scenario_sha256": "a" * 64, "policy_sha256": "b" * 64, "writer_version": "1"}
    slip = 0.1 if estimated and discrete else None
    return episodes_from(columns), Header(**about, seed=seed, observation=schema, slip=slip)


@drawn(50, 200)  # a file of thirty columns takes 20 ms
@given(
    lengths=st.lists(st.integers(1, 5), max_size=6),
    seed=st.integers(0, 2**32 - 1),
    discrete=st.booleans(),
    with_map=st.booleans(),
    estimated=st.booleans(),
)
def test_any_episodes_come_back_bit_by_bit(
    lengths: list[int], seed: int, discrete: bool, with_map: bool, estimated: bool
) -> None:
    written, header = random_episodes(lengths, seed, discrete, with_map, estimated)
    with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        write_episodes(Path(folder) / "e.h5", written, header)
        found, found_header = read_episodes(Path(folder) / "e.h5", header.observation)
    assert same(found, written)
    assert found_header == header
