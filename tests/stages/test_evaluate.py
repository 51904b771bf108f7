"""Evaluate takes shift into the verdict for every target, keeps it beside the comparisons, and does not pass what was not measured."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from headstart.compare.arm_runs import (
    Agreement,
    ArmRuns,
    CloneShift,
    CurvePoint,
    DataStates,
    EvaluationDesign,
    Score,
    SeedRun,
    ShiftFacts,
    StateSummary,
    VariantScore,
)
from headstart.compare.comparison import Comparison
from headstart.compare.shift import ShiftFindings
from headstart.compare.states import summarise
from headstart.config.params import Params, load_params
from headstart.config.scenario import Scenario, load_scenario
from headstart.core.files import read_record, write_record
from headstart.core.verdict import Outcome
from headstart.stages.evaluate import evaluate

ROOT = Path(__file__).parents[2]
EVERY, POINTS = 1000, 9


def score(success: int) -> Score:
    return Score(episodes=100, success=success, harm=0, return_mean=2.0 * success / 100, return_sd=0.1)


def states() -> StateSummary:
    rows = np.random.default_rng(1).normal(size=(100, 1))
    return summarise(rows, np.arange(100), ["speed"], (-5.0, 5.0))


def facts(success: int) -> ShiftFacts:
    variants = {"crowded": VariantScore(scenario_sha256="d" * 64, score=score(success))}
    agreement = Agreement(decisions=100, agreed=96)
    return ShiftFacts(worlds=100, starts=states(), visited=states(), mix={}, agreement=agreement, variants=variants)


def arm(name: str, scenario: Scenario, reached_at: int, shift: ShiftFacts | None) -> ArmRuns:
    runs = []
    for seed in range(10):
        scores = [score(100 if point >= reached_at else 10) for point in range(POINTS)]
        run = SeedRun(
            seed=seed,
            budget=(POINTS - 1) * EVERY,
            env_steps=(POINTS - 1) * EVERY,
            curve=tuple(CurvePoint(env_steps=i * EVERY, scores={"sampled": s, "deterministic": s}) for i, s in enumerate(scores)),
            exam={"sampled": scores[-1], "deterministic": scores[-1]},
            checkpoint_sha256=hashlib.sha256(f"{name}/{seed}".encode()).hexdigest(),
            shift=shift,
        )
        runs.append(run)
    design = EvaluationDesign(
        scenario_sha256=scenario.sha256, evaluation_seed=1, evaluation_worlds=100, every=EVERY, exam_seed=2, exam_worlds=100
    )
    return ArmRuns(scenario=scenario.name, arm=name, design=design, demonstration_steps=10, runs=tuple(runs))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Params]:
    """A function: facts of candidate and clone → params, in a folder with what the arms left."""

    def make(candidate: ShiftFacts | None, clone: ShiftFacts | None, variant_worlds: int = 100) -> Params:
        monkeypatch.chdir(tmp_path)
        shutil.copytree(ROOT / "scenarios", tmp_path / "scenarios")
        scenario = load_scenario("queue_conflict")
        write_record(Path("models/queue_conflict/baseline/runs.json"), arm("scratch", scenario, 6, candidate and facts(90)))
        write_record(Path("models/queue_conflict/anneal/pretrained/runs.json"), arm("pretrained", scenario, 1, candidate))
        if clone is not None:
            data = DataStates(scenario_sha256=scenario.sha256, starts=states(), visited=states(), mix={})
            left = CloneShift(scenario="queue_conflict", data=data, clone=clone, heldout_accuracy=0.95)
            write_record(Path("models/queue_conflict/bc/shift.json"), left)
        params = load_params(ROOT / "params.yaml")
        evaluation = params.evaluation.model_copy(update={"variant_worlds": variant_worlds})
        return params.model_copy(update={"scenarios": ("queue_conflict",), "evaluation": evaluation})

    return make


def compared(target: str) -> Comparison:
    return read_record(Path(f"reports/evaluate/queue_conflict/{target}.json"), Comparison)


def test_a_head_start_that_carries_over_passes_and_leaves_its_findings(project: Callable[..., Params]) -> None:
    evaluate(project(facts(95), facts(90)), load_scenario("queue_conflict"))

    headline = compared("beyond_expert")
    assert headline.verdict.outcome == Outcome.PASS
    assert "models/queue_conflict/bc/shift.json" in [evidence.path for evidence in headline.verdict.evidence]
    assert "shift-crowded-scratch" in [check.name for check in headline.verdict.checks]
    findings = read_record(Path("reports/evaluate/queue_conflict/shift.json"), ShiftFindings)
    assert findings.variants[0].minus_clone.mean == pytest.approx(0.05)


def test_a_head_start_that_is_lost_on_a_variant_fails(project: Callable[..., Params]) -> None:
    evaluate(project(facts(60), facts(90)), load_scenario("queue_conflict"))

    for target in ("beyond_expert", "expert_level"):  # nobody goes past the loss by promoting on the easier target
        reasons = {reason.code: reason.outcome for reason in compared(target).verdict.reasons}
        assert reasons == {"shift-crowded-scratch": Outcome.FAIL, "shift-crowded-clone": Outcome.FAIL}
    assert json.loads(Path("reports/metrics/queue_conflict.json").read_text())["verdict"] == "FAIL"


def test_older_runs_without_facts_hold_and_say_so(project: Callable[..., Params]) -> None:
    line = evaluate(project(None, None), load_scenario("queue_conflict")).says

    assert compared("beyond_expert").verdict.outcome == Outcome.HOLD
    assert "HOLD: distribution shift not measured: pretrained recorded no facts" in line
    assert len(read_record(Path("reports/evaluate/queue_conflict/shift.json"), ShiftFindings).missing) == 3


def test_a_design_without_variant_worlds_does_not_ask(project: Callable[..., Params]) -> None:
    evaluate(project(None, None, variant_worlds=0), load_scenario("queue_conflict"))

    assert compared("beyond_expert").verdict.outcome == Outcome.PASS
    assert not Path("reports/evaluate/queue_conflict/shift.json").exists()


def test_the_baseline_alone_is_not_asked_for_shift(project: Callable[..., Params]) -> None:
    evaluate(project(facts(95), facts(90)).model_copy(update={"candidate": "scratch"}), load_scenario("queue_conflict"))

    assert [reason.code for reason in compared("beyond_expert").verdict.reasons] == ["pairs-missing"]
