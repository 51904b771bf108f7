"""What an arm, its clones and an expert leave behind comes back from disk and is what the schemas say; impossible numbers are refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests import shifts

from headstart.compare.arm_runs import (
    Agreement,
    ArmRuns,
    CloneRun,
    CloneRuns,
    CurvePoint,
    DataStates,
    FeatureSummary,
    Score,
    SeedRun,
    ShiftFacts,
    StateSummary,
    VariantScore,
)
from headstart.config.schedule import Arm
from headstart.core.errors import InputError
from headstart.core.files import read_record, write_record
from headstart.runs.expert_record import ExpertPolicy

RequireSchema = Callable[[bytes | str, str], None]
SCORE = Score(episodes=4, success=3, harm=1, return_mean=0.1, return_sd=0.2, measures={"stl": 0.5})
BOTH = {"sampled": SCORE, "deterministic": SCORE}
STATES = StateSummary(
    rows=8, worlds=4, effective=3.6, features={"speed": FeatureSummary(value=(0.0, 0.5), share=(0.25, 1.0), outside=0.0)}
)
SHIFT = ShiftFacts(
    worlds=4,
    starts=STATES,
    visited=STATES,
    mix={"0": 3, "1": 1},
    agreement=Agreement(decisions=4, agreed=3),
    variants={"dense": VariantScore(scenario_sha256="d" * 64, score=SCORE)},
)
DESIGN = shifts.DESIGN.model_copy(
    update={"scenario_sha256": "a" * 64, "evaluation_worlds": 4, "exam_worlds": 4, "variant_worlds": 4}
)
PHASE = {"name": "learn", "kind": "ppo", "env_steps": 100, "learning_rate": 0.001}
RUNS = ArmRuns(
    scenario="queue_conflict",
    arm="scratch",
    recipe=Arm.model_validate({"start": "random", "phases": [PHASE]}),
    rollout_steps=100,
    design=DESIGN,
    runs=(
        SeedRun(
            seed=7,
            budget=100,
            env_steps=100,
            curve=(CurvePoint(env_steps=0, scores=BOTH),),
            exam=BOTH,
            checkpoint_sha256="c" * 64,
            shift=SHIFT,
        ),
    ),
)
CLONES = CloneRuns(
    scenario="queue_conflict",
    design=DESIGN,
    untrained=SCORE,
    clones=(
        CloneRun(
            seed=7,
            weights_sha256="b" * 64,
            outcome="PASS",
            demonstration_steps=100,
            heldout_accuracy=0.9,
            expert=SCORE,
            exam=BOTH,
            data=DataStates(scenario_sha256="a" * 64, starts=STATES, visited=STATES, mix={}),
            shift=SHIFT,
        ),
    ),
)
EXPERT = ExpertPolicy(
    kind="scripted",
    world="town",
    scenario="queue_conflict",
    scenario_sha256="a" * 64,
    policy_sha256="b" * 64,
    seed=7,
    score=SCORE,
    state="draft",
    diagnostics=("success 0.4 < 0.9",),
)


@pytest.mark.parametrize("record", [RUNS, EXPERT, CLONES], ids=lambda record: record.schema_id)
def test_a_record_comes_back_and_is_valid_by_its_schema(
    tmp_path: Path, record: ArmRuns | ExpertPolicy | CloneRuns, require_schema: RequireSchema
) -> None:
    write_record(tmp_path / "r.json", record)

    assert read_record(tmp_path / "r.json", type(record)) == record
    require_schema((tmp_path / "r.json").read_bytes(), record.schema_id)


def test_an_exam_of_an_unknown_mode_is_refused(tmp_path: Path) -> None:
    write_record(tmp_path / "r.json", RUNS)
    text = (tmp_path / "r.json").read_text().replace('"exam": {\n        "deterministic"', '"exam": {\n        "greedy"')
    (tmp_path / "r.json").write_text(text)

    with pytest.raises(InputError, match=r"field runs\.0\.exam\.greedy"):
        read_record(tmp_path / "r.json", ArmRuns)


def test_runs_from_before_shift_was_measured_are_read_as_not_measured(tmp_path: Path) -> None:
    older = RUNS.model_dump(mode="json")
    del older["runs"][0]["shift"]
    (tmp_path / "r.json").write_text(json.dumps(older))

    assert read_record(tmp_path / "r.json", ArmRuns).runs[0].shift is None


FIRST, POINT, FACTS = ("runs", 0), ("runs", 0, "curve", 0, "scores", "sampled"), ("runs", 0, "shift")
IMPOSSIBLE: list[tuple[tuple[str | int, ...], Any, str]] = [
    ((*POINT, "return_mean"), 1e308, r"return_mean: Input should be less than or equal to 1000000000000, got 1e\+308"),
    ((*POINT, "return_mean"), -1e13, "return_mean: Input should be greater than or equal to -1000000000000"),
    ((*POINT, "return_sd"), -0.1, "return_sd: Input should be greater than or equal to 0"),
    ((*POINT, "measures", "stl"), 1e308, r"measures\.stl: Input should be less than"),
    ((*POINT, "success"), 5, r"expected success and harm within 0\.\.4 episodes, got 5 and 1"),
    ((*POINT, "harm"), 5, r"expected success and harm within 0\.\.4 episodes, got 3 and 5"),
    ((*POINT, "success"), -1, "success: Input should be greater than or equal to 0"),
    ((*POINT, "episodes"), 10**30, "episodes: "),
    ((*POINT, "episodes"), 0, "episodes: Input should be greater than or equal to 1"),
    (("runs", 0, "curve", 0, "env_steps"), -1, "env_steps: Input should be greater than or equal to 0"),
    ((*FIRST, "env_steps"), 2**60, "env_steps: Input should be less than or equal to 9007199254740992"),
    ((*FIRST, "budget"), -1, "budget: Input should be greater than or equal to 0"),
    ((*FIRST, "demonstration_steps"), -1, "demonstration_steps: Input should be greater than or equal to 0"),
    ((*FIRST, "seed"), -1, "seed: Input should be greater than or equal to 0"),
    ((*FIRST, "rollbacks"), -1, "rollbacks: Input should be greater than or equal to 0"),
    ((*FIRST, "checkpoint_sha256"), "c", "checkpoint_sha256: String should match pattern"),
    ((*FIRST, "status"), "stopped", "status stopped: expected outcome FAIL, got PASS"),
    ((*FIRST, "status"), "frozen", "status frozen: expected outcome HOLD, got PASS"),
    ((*FIRST, "outcome"), "FAIL", "status completed: expected outcome PASS or HOLD, got FAIL"),
    ((*FACTS, "agreement", "agreed"), 5, r"expected agreed within 0\.\.4 decisions, got 5"),
    ((*FACTS, "starts", "worlds"), 9, "expected 1 ≤ worlds ≤ rows"),
    ((*FACTS, "starts", "effective"), 4.5, "0 < effective ≤ worlds, got 8 rows, 4 worlds, effective 4.5"),
    ((*FACTS, "starts", "features", "speed", "share"), [0.25, 0.9], "expected ascending values, each with the share"),
    ((*FACTS, "starts", "features", "speed", "value"), [0.5, 0.5], "expected ascending values"),
    (("design", "evaluation_worlds"), 0, "evaluation_worlds: Input should be greater than or equal to 1"),
    (("design", "every"), 0, "every: Input should be greater than or equal to 1"),
]


@pytest.mark.parametrize(
    ("path", "value", "message"), IMPOSSIBLE, ids=lambda x: ".".join(map(str, x)) if isinstance(x, tuple) else ""
)
def test_an_impossible_number_is_refused_with_its_field(
    tmp_path: Path, path: tuple[str | int, ...], value: Any, message: str
) -> None:
    content = RUNS.model_dump(mode="json")
    field = content
    for key in path[:-1]:
        field = field[key]
    field[path[-1]] = value
    (tmp_path / "r.json").write_text(json.dumps(content))

    with pytest.raises(InputError, match=rf"r\.json: field .*{message}"):
        read_record(tmp_path / "r.json", ArmRuns)
