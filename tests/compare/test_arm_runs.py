"""What an arm and an expert leave behind comes back from disk and is what the schemas say."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from headstart.compare.arm_runs import (
    Agreement,
    ArmRuns,
    CloneShift,
    CurvePoint,
    DataStates,
    EvaluationDesign,
    FeatureSummary,
    Score,
    SeedRun,
    ShiftFacts,
    StateSummary,
    VariantScore,
)
from headstart.core.errors import InputError
from headstart.core.files import read_record, write_record
from headstart.runs.expert_record import ExpertPolicy

RequireSchema = Callable[[bytes | str, str], None]
SCORE = Score(episodes=4, success=3, harm=1, return_mean=0.1, return_sd=0.2)
STATES = StateSummary(
    rows=4, worlds=2, effective=1.6, features={"speed": FeatureSummary(value=(0.0, 0.5), share=(0.25, 1.0), outside=0.0)}
)
SHIFT = ShiftFacts(
    worlds=4,
    starts=STATES,
    visited=STATES,
    mix={"0": 3, "1": 1},
    agreement=Agreement(decisions=4, agreed=3),
    variants={"dense": VariantScore(scenario_sha256="d" * 64, score=SCORE)},
)
CLONE = CloneShift(
    scenario="queue_conflict",
    data=DataStates(scenario_sha256="a" * 64, starts=STATES, visited=STATES, mix={}),
    clone=SHIFT,
    heldout_accuracy=0.9,
)
RUNS = ArmRuns(
    scenario="queue_conflict",
    arm="scratch",
    design=EvaluationDesign(
        scenario_sha256="a" * 64, evaluation_seed=1, evaluation_worlds=4, every=100, exam_seed=2, exam_worlds=4
    ),
    demonstration_steps=0,
    runs=(
        SeedRun(
            seed=7,
            budget=100,
            env_steps=100,
            curve=(CurvePoint(env_steps=0, scores={"sampled": SCORE, "deterministic": SCORE}),),
            exam={"sampled": SCORE, "deterministic": SCORE},
            checkpoint_sha256="c" * 64,
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


@pytest.mark.parametrize("record", [RUNS, EXPERT, CLONE], ids=lambda record: record.schema_id)
def test_a_record_comes_back_and_is_valid_by_its_schema(
    tmp_path: Path, record: ArmRuns | ExpertPolicy | CloneShift, require_schema: RequireSchema
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
