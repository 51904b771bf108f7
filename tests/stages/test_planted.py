"""Faults planted in a recording or a curated dataset, all records beside them made to agree: nothing learns from any of them."""

import shutil
from collections.abc import Callable
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.cloned import ROOT
from tests.sealed import reseal
from tests.stages.test_capture import approve

from headstart.config.params import Params, changed, load_params
from headstart.config.scenario import Scenario, load_scenario
from headstart.core.contents import stored_file
from headstart.core.errors import GateFailed, HeadstartError, InputError
from headstart.core.files import read_record, write_bytes, write_record
from headstart.core.verdict import Outcome, Verdict
from headstart.dataset.curation import read_index, write_index
from headstart.dataset.episodes import Episodes, columns_of, concatenate, episodes_from, select
from headstart.dataset.episodes_file import read_episodes, write_episodes
from headstart.dataset.manifest import HELDOUT, TRAIN, DatasetFacts, DatasetManifest, Tally, manifest_of, stamp_bytes
from headstart.runs.demonstrations import read_used, tensors_of
from headstart.stages.capture import capture
from headstart.stages.curate import curate
from headstart.stages.validate import validate

DATA = Path("data/queue_conflict")
RAW, CURATED = DATA / "raw", DATA / "curated"
COLUMNS = (
    "/steps/observation/features", "/steps/action", "/steps/expert_action", "/steps/action_mask", "/steps/reward", "/steps/reward_terms",
    "/steps/terminated", "/steps/truncated", "/final_observation/features", "/episodes/episode_id", "/episodes/length", "/episodes/seed",
    "/episodes/world", "/episodes/episode", "/episodes/agent", "/episodes/total_reward", "/episodes/success", "/episodes/harm",
    "/episodes/behaviour/eats", "/episodes/behaviour/showers", "/episodes/behaviour/yields", "/episodes/behaviour/presses",
    "/episodes/behaviour/ghost_steps", "/episodes/behaviour/waited",
)  # fmt: skip


MASKED = ("/steps/action", "/steps/action_mask")


@pytest.fixture(scope="module")
def settings() -> tuple[Params, Scenario]:
    small = {
        "seeds": [0, 1],
        "capture": {"worlds": 8, "blocks": 2, "shard_worlds": 5},
        "curate": {"require_success": False, "reject_harm": False, "heldout_share": 0.3},
        "validate": {"min_episodes": 4, "min_success_rate": 0.0, "replay_worlds": 1},
    }
    scenario = load_scenario("queue_conflict", ROOT / "scenarios")
    return changed(load_params(ROOT / "params.yaml"), small, "test"), scenario.model_copy(update={"min_action_share": {}})


@pytest.fixture(scope="module")
def sound(settings: tuple[Params, Scenario], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a dataset that passes."""
    root = tmp_path_factory.mktemp("sound")
    with chdir(root):
        approve(settings[1], Path())
        for stage in (capture, curate, validate):
            stage(*settings)
    return root


@pytest.fixture(autouse=True)
def project(sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(sound, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


def refused(settings: tuple[Params, Scenario], *, curated: bool = False) -> str:
    """What the first stage says that refuses; the dataset has no stamp then."""
    with pytest.raises(HeadstartError) as error:
        for stage in (validate,) if curated else (curate, validate):
            stage(*settings)
    assert isinstance(error.value, GateFailed | InputError)
    stamped = DATA / "validated.json"
    assert not stamped.exists() or not isinstance(error.value, GateFailed)
    return str(error.value)


# --- rows that curation rejects -----------------------------------------------------------------------------------------

# of the second shard, an episode each → the rule that rejects it
BAD = {
    1: "not-finite",
    2: "constraint-violation",
    4: "one-action",
    5: "blocked",
    7: "duplicate",
    9: "near-duplicate",
    10: "low-outlier",
}


def plant_bad_rows(columns: dict[str, Any]) -> None:
    features, action, mask = (columns[f"/steps/{name}"] for name in ("observation/features", "action", "action_mask"))
    rows = [slice(start, start + 128) for start in columns["/episodes/start"].tolist()]
    features[rows[1]][40, 3] = np.nan
    mask[rows[2]][50, action[rows[2]][50]] = False
    action[rows[4]] = 0  # wait
    features[rows[5], read_episodes(RAW / "shard-0001.h5")[1].observation.features.index("last_ok")] = 0
    for to, of, noise in ((7, 6, 0.0), (9, 8, 1e-6)):
        for name in [name for name in columns if name.startswith("/steps/")]:
            columns[name][rows[to]] = columns[name][rows[of]]
        columns["/episodes/total_reward"][to] = columns["/episodes/total_reward"][of]
        features[rows[to]] += np.float32(noise)
    columns["/steps/reward"][rows[10]] -= 10


def test_each_planted_bad_row_is_rejected_by_its_rule_and_the_clone_learns_from_none(settings: tuple[Params, Scenario]) -> None:
    params, scenario = changed(settings[0], {"curate": {"max_return_drop": 20.0}}, "test"), settings[1]
    rewrite_raw(plant_bad_rows)
    curate(params, scenario)
    table, reasons, _ = read_index(CURATED / "episodes.tsv")
    raw, header = read_episodes(RAW / "shard-0001.h5")
    bad = {raw.table.episode_id[e].decode(): code for e, code in BAD.items()}
    assert {name.decode(): why for name, why in zip(table.episode_id.tolist(), reasons, strict=True) if why} == {
        name: [code] for name, code in bad.items()
    }

    manifest = read_record(CURATED / "manifest.json", DatasetManifest)
    write_bytes(DATA / "validated.json", stamp_bytes(manifest))
    shutil.rmtree("reports")
    stamp, used = read_used(scenario, header.observation, params.bc_train, 0)
    sides = [tensors_of(side, params.bc_train.gamma) for side in used]
    learned = {row.tobytes() for side in sides for row in side.obs["features"].numpy()}
    assert sum(len(side.label) for side in sides) == 128 * stamp.blocks[0].accepted.episodes == 128 * (32 - len(BAD))
    for e in BAD.keys() - {7}:  # a duplicate has the rows of the one that is kept
        mine = raw.observation["features"][128 * e : 128 * (e + 1)]
        assert not learned & {row.tobytes() for row in mine}, BAD[e]


# --- the recording ------------------------------------------------------------------------------------------------------


def rewrite_raw(change: Callable[[dict[str, Any]], object]) -> None:
    """Change the columns of the second shard, which has the last three worlds of block 0."""
    path = RAW / "shard-0001.h5"
    episodes, header = read_episodes(path)
    columns = {name: column.copy() for name, column in columns_of(episodes).items()}
    change(columns)
    write_episodes(path, episodes_from(columns), header)
    reseal(RAW)


def constant(column: np.ndarray) -> np.ndarray:
    return np.repeat(column[:1], len(column), axis=0)


def shifted(column: np.ndarray) -> np.ndarray:
    return np.roll(column, 1, axis=0)


def reversed_terms(column: np.ndarray) -> np.ndarray:
    return column[:, ::-1] if column.ndim > 1 else column[::-1]


def one_value(column: np.ndarray) -> np.ndarray:
    """The value of one step or one episode, by the least that its type allows."""
    new, at = column.copy(), (len(column) * 2 // 3, *[0] * (column.ndim - 1))
    match column.dtype.kind:
        case "f":
            new[at] = np.nextafter(new[at], np.float32(9), dtype=np.float32)
        case "S":
            new[at] = b"0123456789abcdef"
        case "b":
            new[at] = not new[at]
        case _:
            new[at] += 1
    return new


KINDS = (constant, shifted, reversed_terms, one_value)


@pytest.mark.parametrize(("number", "column"), list(enumerate(COLUMNS)))
def test_a_fault_in_a_column_of_one_shard_is_refused(number: int, column: str, settings: tuple[Params, Scenario]) -> None:
    """Of one kind after the other; that every bit counts is shown where episodes are compared."""
    before = columns_of(read_episodes(RAW / "shard-0001.h5")[0])[column]
    after = KINDS[number % len(KINDS)](before)
    after = after if (after != before).any() else one_value(before)
    try:
        rewrite_raw(lambda columns: columns.update({column: after}))
        curate(*settings)
    except InputError:  # no file can have it, or no recording
        return
    whole = read_record(CURATED / "manifest.json", DatasetManifest)
    if whole.rejection_reasons.get("constraint-violation", 0) == whole.rejected.episodes == len(set_aside(before, after, column)):
        return  # exactly the wrong episodes were set aside
    with pytest.raises(GateFailed):
        validate(*settings)


def set_aside(before: np.ndarray, after: np.ndarray, column: str) -> set[int]:
    """The episodes of the shard in which a step has a forbidden action now."""
    episodes, _ = read_episodes(RAW / "shard-0001.h5")
    assert (before != after).any() and episodes.action_mask is not None
    wrong = ~episodes.action_mask[np.arange(len(episodes.action)), episodes.action]
    return set(np.searchsorted(episodes.table.start, np.flatnonzero(wrong), side="right").tolist()) if column in MASKED else set()


def keep(which: Callable[[Episodes], np.ndarray]) -> Callable[[], None]:
    """Only some episodes of every shard."""

    def change() -> None:
        for path in RAW.glob("*.h5"):
            episodes, header = read_episodes(path)
            write_episodes(path, select(episodes, which(episodes)), header)

    return change


def other_header(**changes: Any) -> Callable[[], None]:
    def change() -> None:
        for path in RAW.glob("*.h5"):
            episodes, header = read_episodes(path)
            write_episodes(path, episodes, header.model_copy(update=changes))

    return change


def twice() -> None:
    """A world stands in two shards."""
    first, header = read_episodes(RAW / "shard-0000.h5")
    second, _ = read_episodes(RAW / "shard-0001.h5")
    write_episodes(RAW / "shard-0001.h5", concatenate([select(first, first.table.world == first.table.world[0]), second]), header)


def exchanged() -> None:
    a, b = RAW / "shard-0000.h5", RAW / "shard-0001.h5"
    kept = a.read_bytes()
    a.write_bytes(b.read_bytes())
    b.write_bytes(kept)


RECORDINGS: dict[str, Callable[[], object]] = {
    "only the successful worlds": keep(lambda e: e.table.success),
    "without a world": keep(lambda e: e.table.world != e.table.world[0]),
    "without an agent": keep(lambda e: e.table.agent != 2),
    "without one episode": keep(lambda e: np.arange(len(e.table.start)) != 1),
    "without a shard": lambda: (RAW / "shard-0002.h5").unlink(),
    "with one more shard": lambda: shutil.copy(RAW / "shard-0000.h5", RAW / "shard-0009.h5"),
    "with a shard twice": lambda: shutil.copy(RAW / "shard-0000.h5", RAW / "shard-0001.h5"),
    "with two shards exchanged": exchanged,
    "with a world twice": twice,
    "with another file": lambda: (RAW / "notes.txt").write_text("by hand"),
    "of another expert": other_header(policy_sha256="0" * 64),
    "of another scenario": other_header(scenario_sha256="0" * 64),
    "of another name": other_header(scenario="walk"),
    "of another seed": other_header(seed=1),
}


@pytest.mark.parametrize("what", RECORDINGS)
def test_a_recording_that_is_not_the_one_that_was_asked_for_is_refused(what: str, settings: tuple[Params, Scenario]) -> None:
    RECORDINGS[what]()
    reseal(RAW)
    assert refused(settings)


def test_a_recording_with_other_settings_is_refused(settings: tuple[Params, Scenario]) -> None:
    """Of the same worlds by the same expert, with more deviations than the settings say."""
    params, scenario = settings
    other = changed(params, {"capture": {"slip": params.capture.slip + 0.01}}, "test")
    capture(other, scenario)
    assert "replay-mismatches" in refused(settings)


# --- the curated dataset ------------------------------------------------------------------------------------------------


def sides() -> dict[str, Episodes]:
    return {name: read_episodes(CURATED / name)[0] for block in range(2) for name in (TRAIN.format(block), HELDOUT.format(block))}


def rewrite(files: dict[str, Episodes], **facts: Any) -> None:
    """Put other episodes into files, and let the manifest list them."""
    header = read_episodes(CURATED / TRAIN.format(0))[1]
    for name, episodes in files.items():
        write_episodes(CURATED / name, episodes, header)
    restamp(**facts)


def restamp(**facts: Any) -> None:
    path = CURATED / "manifest.json"
    found = read_record(path, DatasetManifest)
    listed = {name: stored_file(CURATED / name) for name in found.files}
    content = {name: getattr(found, name) for name in DatasetFacts.model_fields} | {"files": listed} | facts
    write_record(path, manifest_of(DatasetFacts(**content)))
    reseal(CURATED)


def reindex(change: Callable[[list[str]], list[str]]) -> None:
    """Change the lines of the index, and list it."""
    path = CURATED / "episodes.tsv"
    *top, text = path.read_text().split("\n", 2)
    path.write_text("\n".join([*top, *change(text.splitlines())]) + "\n")
    restamp()


def with_copies(noise: float) -> None:
    """Held-out worlds stand among those to train on, under ids that nobody recorded, with noise; the index says so too."""
    files = sides()
    held, train = files[HELDOUT.format(0)], files[TRAIN.format(0)]
    world = held.table.world + 500
    features = held.observation["features"] + noise * np.random.default_rng(0).standard_normal(held.observation["features"].shape)
    copy = replace(
        held,
        observation={"features": features.astype(np.float32)},
        table=replace(held.table, world=world, episode_id=np.array([b"%016d" % e for e in range(len(world))], "S16")),
    )
    rewrite({TRAIN.format(0): concatenate([train, copy])})


def moved() -> None:
    """A held-out world is trained on."""
    files = sides()
    held, train = files[HELDOUT.format(0)], files[TRAIN.format(0)]
    mine = held.table.world == held.table.world[0]
    rewrite({TRAIN.format(0): concatenate([train, select(held, mine)]), HELDOUT.format(0): select(held, ~mine)})


def dropped(index: bool) -> None:
    """A world to train on is left out; of the index too."""
    train = sides()[TRAIN.format(1)]
    world = train.table.world[0]
    rewrite({TRAIN.format(1): select(train, train.table.world != world)})
    if index:
        reindex(lambda lines: [line for line in lines if line.split("\t")[2] != str(world)])


def blocks_exchanged() -> None:
    files = sides()
    rewrite({TRAIN.format(0): files[TRAIN.format(1)], TRAIN.format(1): files[TRAIN.format(0)]})


def column(name: str, kind: Callable[[np.ndarray], np.ndarray]) -> Callable[[], None]:
    def change() -> None:
        train = sides()[TRAIN.format(1)]
        columns = columns_of(train)
        rewrite({TRAIN.format(1): episodes_from(columns | {name: kind(columns[name])})})

    return change


def fact(**facts: Any) -> Callable[[], None]:
    return lambda: restamp(**facts)


def quality(**changes: Any) -> None:
    found = read_record(CURATED / "manifest.json", DatasetManifest)
    restamp(quality=found.quality.model_copy(update=changes))


def splits(**changes: Any) -> None:
    found = read_record(CURATED / "manifest.json", DatasetManifest)
    restamp(splits=found.splits.model_copy(update=changes))


def fields(at: int, value: str) -> Callable[[], None]:
    """A cell of the index in its third line."""

    def change(lines: list[str]) -> list[str]:
        cells = lines[2].split("\t")
        cells[at] = value
        return [*lines[:2], "\t".join(cells), *lines[3:]]

    return lambda: reindex(change)


FEW = Tally(worlds=96, episodes=384, steps=49152)
DATASETS: dict[str, Callable[[], object]] = {
    "held-out worlds in train under new ids": lambda: with_copies(0.0),
    "the same with noise": lambda: with_copies(1e-6),
    "a held-out world in train": moved,
    "a world left out": lambda: dropped(index=False),
    "a world left out of the index too": lambda: dropped(index=True),
    "blocks exchanged": blocks_exchanged,
    "success all true": column("/episodes/success", np.ones_like),
    "harm all false": column("/episodes/harm", np.zeros_like),
    "labels of one world": column("/steps/expert_action", one_value),
    "counts of behaviour zero": column("/episodes/behaviour/eats", np.zeros_like),
    "final observations 0.5": column("/final_observation/features", lambda c: np.full_like(c, 0.5)),
    "reward terms in reversed order": column("/steps/reward_terms", reversed_terms),
    "more worlds accepted than there are": fact(accepted=FEW),
    "rejected episodes that there are not": fact(rejected=FEW),
    "reasons that nobody had": fact(rejection_reasons={"harm": 3}),
    "another scenario": fact(scenario_sha256="0" * 64),
    "another expert": fact(policy_sha256="0" * 64),
    "another kind of expert": fact(expert="ppo"),
    "another seed": fact(seed=1),
    "another name": fact(dataset="walk"),
    "a better success rate": lambda: quality(success_rate=1.0),
    "a better return": lambda: quality(return_mean=9.0),
    "less harm": lambda: quality(harm_rate=0.0),
    "another seed of the split": lambda: splits(seed=5),
    "another share held out": lambda: splits(heldout_share=0.6),
    "more held out than there is": lambda: splits(heldout=FEW),
    "an index with another world": fields(2, "1000999"),
    "an index with another side": fields(10, "none"),
    "an index with a reason": fields(11, "harm"),
    "an index with a rejected line": fields(9, "false"),
    "an index with another return": fields(6, "1.5"),
    "an index that is none": lambda: reindex(lambda lines: ["\t".join(["x"] * 12)]),
    "an index without a line": lambda: reindex(lambda lines: lines[1:]),
    "an index with a line twice": lambda: reindex(lambda lines: [*lines, lines[0]]),
}


@pytest.mark.parametrize("what", DATASETS)
def test_a_dataset_with_a_planted_fault_is_refused(what: str, settings: tuple[Params, Scenario]) -> None:
    DATASETS[what]()
    assert refused(settings, curated=True)


def test_noisy_copies_are_named_as_such(settings: tuple[Params, Scenario]) -> None:
    with_copies(1e-6)
    refused(settings, curated=True)
    verdict = read_record(Path("reports/queue_conflict/validate/verdict.json"), Verdict)
    missed = {reason.name for reason in verdict.reasons}
    assert {"near-duplicates", "replay-mismatches", "index"} <= missed
    assert verdict.outcome is Outcome.FAIL


def test_an_index_is_read_as_it_was_written() -> None:
    path = CURATED / "episodes.tsv"
    text = path.read_bytes()
    table, reasons, lines = read_index(path)
    heldout = np.array([line.split("\t")[10] == "heldout" for line in lines])
    write_index(path, table, heldout, reasons)
    assert path.read_bytes() == text
