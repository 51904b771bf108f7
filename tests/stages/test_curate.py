"""A recording becomes blocks with both sides of a split each; what the dataset says of its origin, and what becomes of one that fails a gate."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.stages.test_capture import approve

from headstart.config.params import Params, load_params
from headstart.config.scenario import Scenario
from headstart.core.contents import require_whole
from headstart.core.errors import GateFailed, InputError
from headstart.core.files import read_record
from headstart.core.verdict import Verdict
from headstart.dataset.curation import read_index
from headstart.dataset.episodes import Episodes, Header, select
from headstart.dataset.episodes_file import SHARD, read_episodes, write_episodes
from headstart.dataset.flags import change_flag
from headstart.dataset.manifest import HELDOUT, TRAIN, DatasetManifest, Tally
from headstart.stages.curate import curate
from headstart.stages.validate import validate
from headstart.worlds.api import FIRST_WORLD

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml")


def in_blocks(worlds: int, blocks: int, **curate: Any) -> Params:
    """The shipped settings for a small recording; `curate` changes the rules."""
    capture = PARAMS.capture.model_copy(update={"worlds": worlds, "blocks": blocks})
    return PARAMS.model_copy(update={"capture": capture, "curate": PARAMS.curate.model_copy(update=curate)})


@pytest.fixture
def raw(robot_walks: tuple[Scenario, Episodes, Header], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a recording of ten worlds, in two blocks of one shard each, in a project with an approved expert."""
    monkeypatch.chdir(tmp_path)
    scenario, episodes, header = robot_walks
    approve(scenario, tmp_path)
    folder = tmp_path / "data" / scenario.name / "raw"
    folder.mkdir(parents=True)
    write_shards(folder, episodes, header, in_blocks(5, 2))
    return folder


def write_shards(folder: Path, episodes: Episodes, header: Header, params: Params) -> None:
    """In place of those that are there."""
    for path in folder.glob("*"):
        path.unlink()
    for number, (_, worlds) in enumerate(params.capture.parts):
        mine = np.isin(episodes.table.world - FIRST_WORLD["capture"], worlds)
        write_episodes(folder / SHARD.format(number), select(episodes, mine), header)


def curated(scenario: Scenario, params: Params) -> tuple[DatasetManifest, list[list[list[int]]]]:
    """The manifest, and for each block the worlds on both sides, counted from the first that was recorded."""
    curate(params, scenario)
    folder = Path("data") / scenario.name / "curated"
    manifest = read_record(folder / "manifest.json", DatasetManifest)
    names = [(TRAIN.format(block), HELDOUT.format(block)) for block in range(len(manifest.blocks))]
    found = [[read_episodes(folder / name)[0].table.world - FIRST_WORLD["capture"] for name in sides] for sides in names]
    return manifest, [[side.tolist() for side in sides] for sides in found]


@pytest.mark.parametrize("policy", ["scripted", "ppo"])
def test_the_manifest_names_the_kind_of_expert(policy: str, robot_walks: tuple[Scenario, Episodes, Header], raw: Path) -> None:
    script, params = robot_walks[0], in_blocks(10, 1)
    write_shards(raw, *robot_walks[1:], params)
    gate = script.expert.model_copy(update={"policy": policy})
    manifest, _ = curated(script.model_copy(update={"expert": gate}), params)
    assert manifest.expert == policy


@pytest.mark.parametrize(("worlds", "blocks"), [(5, 2), (2, 5), (10, 1)])
def test_blocks_are_the_recorded_worlds_in_order_and_each_has_both_sides(
    worlds: int, blocks: int, robot_walks: tuple[Scenario, Episodes, Header], raw: Path
) -> None:
    write_shards(raw, *robot_walks[1:], in_blocks(worlds, blocks))
    manifest, sides = curated(robot_walks[0], in_blocks(worlds, blocks))

    for number, (train, heldout) in enumerate(sides):
        assert sorted(train + heldout) == list(range(number * worlds, (number + 1) * worlds))
        assert train and heldout
        first, last = FIRST_WORLD["capture"] + number * worlds, FIRST_WORLD["capture"] + (number + 1) * worlds - 1
        assert (manifest.blocks[number].first_world, manifest.blocks[number].last_world) == (first, last)
        assert manifest.blocks[number].accepted == Tally(worlds=worlds, episodes=worlds, steps=12 * worlds)
    assert manifest.splits.train.episodes == sum(len(train) for train, _ in sides)
    assert set(manifest.files) == {f"block-{b}/{side}.h5" for b in range(blocks) for side in ("train", "heldout")} | {
        "episodes.tsv",
        "metrics.tsv",
    }


def test_a_block_counts_its_rejected_episodes_too(robot_walks: tuple[Scenario, Episodes, Header], raw: Path) -> None:
    scenario, episodes, _ = robot_walks
    least = float(np.sort(episodes.table.total_reward)[3]) + 1e-6  # four of the ten pay less
    low = [int(np.sum(episodes.table.total_reward[block] < least)) for block in (slice(0, 5), slice(5, 10))]
    manifest, _ = curated(scenario, in_blocks(5, 2, min_return=least))

    assert sum(low) == 4
    assert [block.recorded.steps for block in manifest.blocks] == [60, 60]
    assert [block.accepted.steps for block in manifest.blocks] == [60 - 12 * low[0], 60 - 12 * low[1]]
    assert manifest.rejected == Tally(worlds=4, episodes=4, steps=48)


def test_a_recording_without_one_of_its_shards_is_refused(robot_walks: tuple[Scenario, Episodes, Header], raw: Path) -> None:
    (raw / "shard-0001.h5").unlink()

    with pytest.raises(InputError, match=r"expected 2 shards, found no shard-0001\.h5; `dvc repro capture@nav_gap_seeker`"):
        curate(in_blocks(5, 2), robot_walks[0])
    assert not (raw.parent / "curated").exists()


def test_a_block_whose_episodes_were_all_rejected_fails_its_gate_in_words(
    robot_walks: tuple[Scenario, Episodes, Header], raw: Path
) -> None:
    scenario, episodes, header = robot_walks
    harmed = replace(episodes, table=replace(episodes.table, harm=np.arange(10) >= 5))
    params = in_blocks(5, 2, reject_harm=True)
    write_shards(raw, harmed, header, params)
    manifest, sides = curated(scenario, params)

    assert sides[1] == [[], []]
    assert manifest.blocks[1].accepted == Tally(worlds=0, episodes=0, steps=0)
    assert manifest.blocks[1].recorded.episodes == 5
    with pytest.raises(GateFailed) as failed:
        validate(params, scenario)
    assert "enough-episodes: 0 episodes in the smallest of 2 blocks: 0 >= 200 does not hold" in str(failed.value)
    assert "fewest worlds of a side in any of 2 blocks: 0 >= 1 does not hold" in str(failed.value)


def test_a_recording_of_which_nothing_is_left_says_why(robot_walks: tuple[Scenario, Episodes, Header], raw: Path) -> None:
    with pytest.raises(InputError, match=r"no episode is left; reasons: \{'too-short': 10\}; see `curate`"):
        curate(in_blocks(5, 2, min_steps=13), robot_walks[0])


def test_a_dataset_that_fails_goes_to_quarantine_with_what_can_cure_it(
    robot_walks: tuple[Scenario, Episodes, Header], raw: Path, tmp_path: Path
) -> None:
    scenario, params = robot_walks[0], in_blocks(5, 2)
    curate(params, scenario)

    with pytest.raises(GateFailed) as failed:
        validate(params, scenario)

    message = str(failed.value)
    assert "enough-episodes: 5 episodes in the smallest of 2 blocks: 5 >= 200 does not hold" in message
    assert "enough-episodes: more `capture.worlds`" in message
    assert "expert-hash: `dvc repro capture@nav_gap_seeker`, which" in message
    assert not (raw.parent / "validated.json").exists()
    verdict = read_record(tmp_path / "reports" / scenario.name / "validate" / "verdict.json", Verdict)
    assert verdict.thresholds.items() >= PARAMS.validate_.model_dump().items()  # under the names of params.yaml
    assert verdict.thresholds["feature_range.high"] == scenario.feature_limits[1]
    kept = next((tmp_path / "data" / "quarantine").glob(f"{scenario.name}@*"))
    names = {"block-0", "block-1", "contents.json", "episodes.tsv", "manifest.json", "metrics.tsv", "verdict.json"}
    assert {path.name for path in kept.iterdir()} == names
    assert read_record(kept / "manifest.json", DatasetManifest).status == "quarantined"
    require_whole(kept)


def test_a_flagged_episode_is_rejected_and_comes_back_with_its_flag_taken_back(
    robot_walks: tuple[Scenario, Episodes, Header], raw: Path
) -> None:
    scenario, episodes, _ = robot_walks
    names = [name.decode() for name in episodes.table.episode_id]
    before, _ = curated(scenario, in_blocks(5, 2))
    change_flag(Path(), scenario.name, names[3], "stands in the wall")
    change_flag(Path(), "another", names[4], "of another scenario")
    flagged, sides = curated(scenario, in_blocks(5, 2))

    assert flagged.rejection_reasons == {"flagged": 1}
    assert (flagged.accepted.episodes, flagged.rejected) == (9, Tally(worlds=1, episodes=1, steps=12))
    assert flagged.blocks[0].accepted.episodes == 4
    assert 3 not in {world for block in sides for side in block for world in side}
    _, reasons, _ = read_index(Path("data") / scenario.name / "curated/episodes.tsv")
    assert reasons == [["flagged"] if e == 3 else [] for e in range(10)]

    change_flag(Path(), scenario.name, names[3], None)
    assert curated(scenario, in_blocks(5, 2))[0] == before != flagged


def test_a_flag_stands_beside_the_reasons_of_the_rules(robot_walks: tuple[Scenario, Episodes, Header], raw: Path) -> None:
    scenario, episodes, _ = robot_walks
    least = float(np.sort(episodes.table.total_reward)[3]) + 1e-6
    worst = int(np.argmin(episodes.table.total_reward))
    change_flag(Path(), scenario.name, episodes.table.episode_id[worst].decode(), "the worst")
    manifest, _ = curated(scenario, in_blocks(5, 2, min_return=least))
    assert manifest.rejection_reasons == {"flagged": 1, "low-return": 4}
    assert manifest.rejected.episodes == 4


def test_a_flag_of_no_recorded_episode_is_named_and_rejects_nothing(
    robot_walks: tuple[Scenario, Episodes, Header], raw: Path
) -> None:
    change_flag(Path(), robot_walks[0].name, "0" * 16, "of an earlier recording")
    done = curate(in_blocks(5, 2), robot_walks[0])
    said = f"; flags/{robot_walks[0].name}.json: 1 flag names no recorded episode: {'0' * 16}"
    assert done.says.endswith(said)
    assert done.metrics["accepted"] == 10
