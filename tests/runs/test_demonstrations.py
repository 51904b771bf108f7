"""How much of a validated dataset is learned from: all of it, or the first episodes of both sides of its split."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.released import manifest_for

from headstart.config.params import BCParams, load_params
from headstart.config.scenario import Scenario
from headstart.core.contents import stored_file
from headstart.core.errors import GateFailed, InputError, IntegrityError
from headstart.core.files import write_record
from headstart.core.verdict import Subject, at_least, judge
from headstart.dataset.episodes import Episodes, Header, select
from headstart.dataset.episodes_file import write_episodes
from headstart.dataset.manifest import Block, DatasetFacts, Tally, manifest_of
from headstart.dataset.observation import ObservationSchema
from headstart.runs import demonstrations as dataset
from headstart.worlds.api import FIRST_WORLD

ROOT = Path(__file__).parents[2]
PARAMS = load_params(ROOT / "params.yaml")
TRAIN, HELDOUT, BLOCK = 8, 2, 1


@pytest.fixture(scope="module")
def scenario(robot_walks: tuple[Scenario, Episodes, Header]) -> Scenario:
    return robot_walks[0]


@pytest.fixture(scope="module")
def schema(robot_walks: tuple[Scenario, Episodes, Header]) -> ObservationSchema:
    return robot_walks[2].observation


@pytest.fixture(scope="module")
def recorded(robot_walks: tuple[Scenario, Episodes, Header], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Episodes]:
    """A folder with both sides of a dataset of ten episodes, and the episodes."""
    _, episodes, header = robot_walks
    folder = tmp_path_factory.mktemp("curated")
    first = np.arange(TRAIN + HELDOUT) < TRAIN
    (folder / f"block-{BLOCK}").mkdir()
    write_episodes(folder / f"block-{BLOCK}/train.h5", select(episodes, first), header)
    write_episodes(folder / f"block-{BLOCK}/heldout.h5", select(episodes, ~first), header)
    return folder, episodes


@pytest.fixture(autouse=True)
def validated(recorded: tuple[Path, Episodes], monkeypatch: pytest.MonkeyPatch) -> None:
    stamp = SimpleNamespace(dataset="robot_walks", version="abc", has_rewards=True)
    monkeypatch.setattr(dataset, "require_validated", lambda scenario, block: (stamp, recorded[0]))


def using(episodes: int | None) -> BCParams:
    return PARAMS.bc_train.model_copy(update={"episodes": episodes})


def worlds_used(scenario: Scenario, schema: ObservationSchema, episodes: int | None) -> list[list[int]]:
    """The worlds on each side, counted from the first that was recorded."""
    _, sides = dataset.read_used(scenario, schema, using(episodes), BLOCK)
    return [(side.table.world - FIRST_WORLD["capture"]).tolist() for side in sides]


def test_without_a_limit_every_episode_is_used(scenario: Scenario, schema: ObservationSchema) -> None:
    assert worlds_used(scenario, schema, None) == [[0, 1, 2, 3, 4, 5, 6, 7], [8, 9]]


def test_a_limit_counts_both_sides_and_keeps_their_shares(scenario: Scenario, schema: ObservationSchema) -> None:
    assert worlds_used(scenario, schema, 5) == [[0, 1, 2, 3], [8]]
    assert worlds_used(scenario, schema, 10) == [[0, 1, 2, 3, 4, 5, 6, 7], [8, 9]]


def test_the_smallest_limit_still_leaves_something_to_judge_by(scenario: Scenario, schema: ObservationSchema) -> None:
    assert worlds_used(scenario, schema, 2) == [[0], [8]]


def test_what_is_cloned_are_the_rows_of_the_episodes_used(
    scenario: Scenario, schema: ObservationSchema, recorded: tuple[Path, Episodes]
) -> None:
    _, used = dataset.read_used(scenario, schema, using(5), BLOCK)
    train, heldout = (dataset.tensors_of(side, using(5).gamma) for side in used)
    steps = recorded[1].table.length
    assert (len(train.label), len(heldout.label)) == (steps[:4].sum(), steps[8])
    assert np.array_equal(train.label.numpy(), recorded[1].expert_action[: steps[:4].sum()])


def test_more_episodes_than_there_are_is_an_error_that_says_how_many(scenario: Scenario, schema: ObservationSchema) -> None:
    with pytest.raises(
        InputError, match=r"bc_train\.episodes: expected at most the 10 episodes of block 1 of robot_walks@abc, got 11"
    ):
        dataset.read_used(scenario, schema, using(11), BLOCK)


@pytest.mark.parametrize(
    ("rejected", "episodes", "steps"),
    [
        (0, None, 120),  # ten episodes of 12 steps each
        (30, None, 150),
        (30, 5, 75),  # half of the block
        (30, 2, 30),
        (1, 5, 61),  # half of a step is charged as one: 60 · 121 / 120 = 60.5
    ],
)
def test_rejected_episodes_are_charged_in_proportion(
    scenario: Scenario, schema: ObservationSchema, rejected: int, episodes: int | None, steps: int
) -> None:
    accepted = Tally(worlds=10, episodes=10, steps=120)
    others = Block(first_world=0, last_world=9, recorded=Tally(worlds=10, episodes=99, steps=9999), accepted=accepted)
    mine = others.model_copy(update={"recorded": Tally(worlds=12, episodes=12, steps=120 + rejected)})
    stamp: Any = SimpleNamespace(blocks=(others, mine))
    _, used = dataset.read_used(scenario, schema, using(episodes), BLOCK)

    assert dataset.recorded_steps(stamp, BLOCK, used) == steps


# --- what is read is what was validated ---------------------------------------------------------------------------------


@pytest.fixture
def two_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scenario: Scenario) -> Path:
    """The folder of a validated dataset of two blocks, whose files are no episodes."""
    monkeypatch.undo()  # of `validated`
    monkeypatch.chdir(tmp_path)
    folder = Path("data") / scenario.name / "curated"
    names = [side.format(block) for block in range(2) for side in (dataset.TRAIN, dataset.HELDOUT)]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    facts = DatasetFacts.model_validate(
        manifest_for("a").model_dump(include=set(DatasetFacts.model_fields))
        | {"scenario": scenario.name, "scenario_sha256": scenario.sha256}
        | {"files": {n: stored_file(folder / n) for n in names}}
    )
    write_record(folder / "manifest.json", manifest_of(facts))
    write_record(folder.parent / "validated.json", manifest_of(facts, "validated"))
    return folder


def test_a_dataset_that_did_not_pass_is_not_told_as_one_that_nobody_judged(two_blocks: Path, scenario: Scenario) -> None:
    (two_blocks.parent / "validated.json").unlink()
    with pytest.raises(InputError, match=r"validated\.json: expected a file, found none; `dvc .* makes it"):
        dataset.require_validated(scenario)
    subject = Subject(type="dataset", id="walk@abc", sha256="a" * 64)
    verdict = judge(subject, [at_least("enough-episodes", 3, 10, "3 episodes", 3)], {})
    write_record(Path(f"reports/{scenario.name}/validate/verdict.json"), verdict)
    with pytest.raises(GateFailed, match=r"its verdict is FAIL: enough-episodes \(reports/.*/validate/verdict\.json\); `dvc"):
        dataset.require_validated(scenario)


def test_the_files_of_one_block_are_enough_for_who_reads_no_other(two_blocks: Path, scenario: Scenario) -> None:
    (two_blocks / "block-0/train.h5").write_text("block-X/train.h5")

    assert dataset.require_validated(scenario, 1)[1] == two_blocks
    for block in (0, None):
        with pytest.raises(IntegrityError, match=r"block-0/train\.h5: expected 16 bytes with hash"):
            dataset.require_validated(scenario, block)


@pytest.mark.parametrize("side", ["train", "heldout"])
def test_a_process_refuses_its_block_where_a_file_of_it_changed(
    side: str, two_blocks: Path, scenario: Scenario, schema: ObservationSchema
) -> None:
    (two_blocks / f"block-1/{side}.h5").write_text("something else")

    with pytest.raises(IntegrityError, match=f"block-1/{side}"):
        dataset.read_used(scenario, schema, using(None), 1)


def test_a_block_that_is_not_stamped_is_refused(two_blocks: Path, scenario: Scenario) -> None:
    with pytest.raises(InputError, match=r"expected a block 7, got 1 blocks; `dvc repro capture@nav_gap_seeker` records more"):
        dataset.require_validated(scenario, 7)
