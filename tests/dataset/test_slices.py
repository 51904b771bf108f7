"""A slice is what a person would pick by hand, names its parent, and replays; what cannot be cut is refused in one line."""

import shutil
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.cloned import ROOT
from tests.stages.test_capture import approve

from headstart.config.params import Params, changed, load_params
from headstart.config.scenario import Scenario, load_scenario
from headstart.core.contents import require_whole
from headstart.core.errors import GateFailed, InputError, IntegrityError, UsageError
from headstart.core.files import read_record, write_bytes
from headstart.dataset.curation import read_index
from headstart.dataset.episodes import Episodes, columns_of, concatenate, select
from headstart.dataset.episodes_file import read_episodes
from headstart.dataset.inspection_open import open_dataset as opened
from headstart.dataset.manifest import DatasetManifest, Filter, require_files, stamp_bytes
from headstart.dataset.slices import matching, write_slice
from headstart.runs.exporting import parts_at_hand
from headstart.stages.capture import capture
from headstart.stages.curate import curate
from headstart.view.play_dataset import find_episode, in_parent, open_dataset
from headstart.view.play_proved import proved

TOWN = "queue_conflict"
SMALL = {"seeds": [0, 1], "capture": {"worlds": 3, "blocks": 2, "shard_worlds": 3}, "curate": {"heldout_share": 0.4}}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Params, Scenario]:
    """A project with a curated recording of six worlds of four agents, in two blocks."""
    root = tmp_path_factory.mktemp("town")
    params, scenario = changed(load_params(ROOT / "params.yaml"), SMALL, "test"), load_scenario(TOWN, ROOT / "scenarios")
    with chdir(root):
        Path("scenarios").mkdir()
        shutil.copy(ROOT / f"scenarios/{TOWN}.yaml", "scenarios")
        approve(scenario, Path())
        capture(params, scenario)
        curate(params, scenario)
        manifest = read_record(Path(f"data/{TOWN}/curated/manifest.json"), DatasetManifest)
        write_bytes(Path(f"data/{TOWN}/validated.json"), stamp_bytes(manifest))
    return root, params, scenario


@pytest.fixture(autouse=True)
def in_project(town: tuple[Path, Params, Scenario], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(town[0], tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


def cut(town: tuple[Path, Params, Scenario], parent: str = TOWN, name: str | None = None, **wanted: Any) -> DatasetManifest:
    return write_slice(Path(), parent, Filter(**wanted), name, town[2], ())


def everything(dataset: str) -> dict[str, Episodes]:
    """Side of a block → its episodes."""
    folder = Path(f"data/{dataset}/curated")
    return {path.relative_to(folder).as_posix(): read_episodes(path)[0] for path in sorted(folder.glob("block-*/*.h5"))}


PICKED: dict[str, tuple[dict[str, Any], Callable[[Any], np.ndarray]]] = {
    "agent": ({"agent": (0, 2)}, lambda table: (table.agent == 0) | (table.agent == 2)),
    "success": ({"outcome": ("success",)}, lambda table: table.success),
    "success and no harm": ({"outcome": ("success", "no-harm")}, lambda table: table.success & ~table.harm),
    "failure": ({"outcome": ("failure",)}, lambda table: ~table.success),
    "harm": ({"outcome": ("harm",)}, lambda table: table.harm),
    "return": ({"min_return": 1.5}, lambda table: table.total_reward >= 1.5),
    "counter": ({"behaviour": ("showers",)}, lambda table: table.behaviour["showers"] >= 1),
    "counters": (
        {"behaviour": ("waited >= 3", "eats==1")},
        lambda table: (table.behaviour["waited"] >= 3) & (table.behaviour["eats"] == 1),
    ),
    "agent and return": ({"agent": (1,), "min_return": 1.0}, lambda table: (table.agent == 1) & (table.total_reward >= 1.0)),
}


@pytest.mark.parametrize("case", PICKED)
def test_a_slice_is_what_a_person_would_pick_by_hand_bit_for_bit(town: tuple[Path, Params, Scenario], case: str) -> None:
    wanted, by_hand = PICKED[case]
    parent = everything(TOWN)
    picked = {name: select(episodes, by_hand(episodes.table)) for name, episodes in parent.items()}
    assert 0 < sum(len(one.table.length) for one in picked.values()) < 24
    made = cut(town, **wanted)

    found = everything(made.dataset)
    assert found.keys() == picked.keys()
    for name, episodes in picked.items():
        for path, column in columns_of(episodes).items():
            np.testing.assert_array_equal(columns_of(found[name])[path], column, err_msg=f"{name} {path}")


def test_the_manifest_names_the_parent_and_the_filter_and_its_files(town: tuple[Path, Params, Scenario]) -> None:
    parent = read_record(Path(f"data/{TOWN}/curated/manifest.json"), DatasetManifest)
    made = cut(town, agent=(0,), outcome=("no-harm",), name="first")
    folder = Path(f"data/{TOWN}.first/curated")

    assert read_record(folder / "manifest.json", DatasetManifest) == made
    assert (made.dataset, made.scenario, made.status) == (f"{TOWN}.first", TOWN, "draft")
    assert made.parent is not None and made.parent.dataset == f"{TOWN}@{parent.version}"
    assert made.parent.filter == Filter(agent=(0,), outcome=("no-harm",))
    assert str(made.parent.filter) == "agent 0, outcome no-harm"
    assert (made.seed, made.policy_sha256) == (parent.seed, parent.policy_sha256)
    require_files(made, folder)
    require_whole(folder)
    table, reasons, _ = read_index(folder / "episodes.tsv")
    assert len(table.length) == 24 and reasons.count([]) == made.accepted.episodes
    assert made.rejection_reasons == {"filtered": 24 - made.accepted.episodes}
    sides = {name: len(one.table.length) for name, one in everything(made.dataset).items()}
    assert made.splits.train.episodes == sum(count for name, count in sides.items() if name.endswith("train.h5"))
    assert made.splits.heldout.episodes == sum(count for name, count in sides.items() if name.endswith("heldout.h5"))


def test_a_dataset_without_a_parent_says_nothing_of_one() -> None:
    assert "parent" not in Path(f"data/{TOWN}/curated/manifest.json").read_text()


def test_the_same_slice_has_the_same_bytes_and_another_name_another_version(town: tuple[Path, Params, Scenario]) -> None:
    one, two = cut(town, agent=(0,)), cut(town, agent=(0,))

    assert (one.dataset, two.dataset) == (f"{TOWN}.1", f"{TOWN}.2")
    assert one.files == two.files and one.version != two.version


def test_a_slice_of_a_slice_is_both_filters_and_leads_back_to_it(town: tuple[Path, Params, Scenario]) -> None:
    first = cut(town, agent=(0, 1))
    second = cut(town, parent=f"{first.dataset}@{first.version}", agent=(1, 2))

    assert second.parent is not None and second.parent.dataset == f"{first.dataset}@{first.version}"
    assert {a for one in everything(second.dataset).values() for a in one.table.agent.tolist()} == {1}


@pytest.mark.parametrize("has_parent", [True, False], ids=["with its parent", "alone"])
def test_an_episode_of_a_slice_is_proved_though_the_slice_lacks_the_other_agents(
    town: tuple[Path, Params, Scenario], has_parent: bool
) -> None:
    made = cut(town, agent=(2,))
    if not has_parent:
        shutil.rmtree(f"data/{TOWN}")
    episodes = concatenate(list(everything(made.dataset).values()))
    dataset = open_dataset(f"{made.dataset}@{made.version}")
    found = find_episode(dataset, episodes.table.episode_id[-1].decode())
    track, wrong = proved(found, town[1], None)

    assert set(in_parent(found).episodes.table.agent.tolist()) == ({0, 1, 2, 3} if has_parent else {2})
    assert (track.says[0], wrong) == ("recorded == replayed: 128 of 128 steps", "")


def test_an_edited_row_of_a_slice_is_found_though_its_parent_has_it_right(town: tuple[Path, Params, Scenario]) -> None:
    from tests.recordings import edited

    made = cut(town, agent=(2,))
    path = next(Path(f"data/{made.dataset}/curated").glob("block-*/train.h5"))

    def change(episodes: Episodes) -> None:
        episodes.reward[5] += 1

    edited(path, change)
    name = read_episodes(path)[0].table.episode_id[0].decode()
    track, wrong = proved(find_episode(open_dataset(made.dataset), name), town[1], None)

    assert track.says[0].startswith("recorded != replayed: first at step 5 of 128, reward") and wrong


def test_inspect_says_of_what_it_is_a_slice(town: tuple[Path, Params, Scenario]) -> None:
    made = cut(town, agent=(3,))
    look = opened(Path(), made.dataset)

    assert made.parent is not None
    assert look.state == f"a slice of {made.parent.dataset}: agent 3"
    assert int(look.accepted.sum()) == made.accepted.episodes and len(look.table.length) == 24
    assert all(one.ok for one in look.hashes)


def test_a_slice_is_exported_where_its_parent_is_validated(town: tuple[Path, Params, Scenario]) -> None:
    made = cut(town, agent=(3,))
    second = cut(town, parent=made.dataset, outcome=("no-harm",))
    parts, _, manifest = parts_at_hand(second.dataset)
    assert manifest == second and sum(len(part.table.length) for part in parts) == second.accepted.episodes

    Path(f"data/{TOWN}/validated.json").unlink()
    with pytest.raises(GateFailed, match=r"expected a slice of a validated dataset, .* is not; `dvc "):
        parts_at_hand(second.dataset)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"agent": (7,)}, "expected episodes that are agent 7, found none; widen the filter"),
        ({"behaviour": ("shower",)}, r"no such counter \(did you mean 'showers'\?\); there are"),
        ({"behaviour": ("showers more",)}, "expected a counter, as showers, or a comparison"),
        ({"family": ("crossing",)}, "the recording has no families of situations"),
    ],
)
def test_what_cannot_be_cut_is_refused_and_leaves_nothing(
    town: tuple[Path, Params, Scenario], wanted: dict[str, Any], said: str
) -> None:
    with pytest.raises((UsageError, InputError), match=said):
        cut(town, **wanted)
    assert sorted(path.name for path in Path("data").iterdir()) == [TOWN]


def test_a_name_that_is_taken_and_a_parent_that_differs_from_its_record_are_refused(town: tuple[Path, Params, Scenario]) -> None:
    cut(town, agent=(0,), name="first")
    with pytest.raises(UsageError, match="is there already, and nothing is overwritten"):
        cut(town, agent=(1,), name="first")
    path = Path(f"data/{TOWN}/curated/block-0/train.h5")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityError, match=r"block-0/train\.h5: expected"):
        cut(town, agent=(1,))


def test_a_family_is_named_and_an_unknown_one_is_refused() -> None:
    table = read_episodes(next(Path(f"data/{TOWN}/curated").glob("block-*/train.h5")))[0].table
    table.behaviour["family"] = np.arange(len(table.length), dtype=np.int32) % 2
    kinds = ("head_on", "crossing")

    assert matching(table, Filter(family=("crossing",)), kinds).tolist() == (table.behaviour["family"] == 1).tolist()
    with pytest.raises(UsageError, match="--family doorway: there are head_on, crossing"):
        matching(table, Filter(family=("doorway",)), kinds)


@pytest.mark.parametrize(
    ("wanted", "absent"),
    [({"outcome": ("success",)}, "success"), ({"outcome": ("no-harm",)}, "harm"), ({"min_return": 0.0}, "rewards")],
)
def test_what_a_recording_does_not_tell_is_no_filter(wanted: dict[str, Any], absent: str) -> None:
    table = read_episodes(next(Path(f"data/{TOWN}/curated").glob("block-*/train.h5")))[0].table
    with pytest.raises(UsageError, match="the recording "):
        matching(table, Filter(**wanted), (), (absent,))
