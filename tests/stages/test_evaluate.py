"""Evaluate compares the candidate with every baseline for every target, takes shift into the verdict, and does not pass what was not measured."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.scores import score
from tests.shifts import arm_with, clone_run, clone_runs, data_states, facts

from headstart.compare.arm_runs import ArmRuns, CurvePoint, ShiftFacts, VariantScore
from headstart.compare.comparison import Comparison
from headstart.compare.shift import ShiftFindings
from headstart.config.params import Params, changed, load_params
from headstart.config.scenario import Scenario, load_scenario
from headstart.core.errors import InputError
from headstart.core.files import read_record, write_record
from headstart.core.verdict import Outcome
from headstart.runs.worlds import design_of
from headstart.stages.evaluate import evaluate

ROOT = Path(__file__).parents[2]
FOLDERS = {"pretrained": "anneal/pretrained", "scratch": "baseline/scratch", "matched": "baseline/matched"}
MODELS = Path("models/queue_conflict")


def shifted(success: int) -> ShiftFacts:
    """Facts of a policy that succeeds so often of a hundred times in a held-out variant."""
    variants = {"crowded": VariantScore(scenario_sha256="d" * 64, score=score(success))}
    return facts().model_copy(update={"variants": variants})


def arm(params: Params, scenario: Scenario, name: str, reached_at: int, shift: ShiftFacts | None) -> ArmRuns:
    """Runs on the seeds of `params` whose evaluations meet both targets from number `reached_at` on."""
    recipe, every = params.arms[name], params.evaluation.every
    found = arm_with(name, lambda seed: shift, params.seeds, recipe.start)
    good, poor = score(100, return_mean=2.0), score(10, return_mean=0.2)
    scores = [good if point >= reached_at else poor for point in range(recipe.budget // every + 1)]
    changes: dict[str, Any] = {
        "budget": recipe.budget,
        "env_steps": recipe.budget,
        "curve": tuple(CurvePoint(env_steps=i * every, scores={"sampled": s}) for i, s in enumerate(scores)),
        "exam": {"sampled": good, "deterministic": good},
    }
    runs = tuple(run.model_copy(update=changes) for run in found.runs)
    design = design_of(params, scenario)
    described = {"scenario": scenario.name, "recipe": recipe, "rollout_steps": 100, "design": design, "runs": runs}
    return ArmRuns.model_validate(found.model_copy(update=described).model_dump())


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Params]:
    """A function: facts of candidate and clones → params, in a folder with what the arms left.

    The candidate arrives at its second evaluation, `matched` at its sixth and `scratch` at its twelfth.
    """

    def make(candidate: ShiftFacts | None, clone: ShiftFacts | None, variant_worlds: int = 100) -> Params:
        monkeypatch.chdir(tmp_path)
        shutil.copytree(ROOT / "scenarios", tmp_path / "scenarios")
        scenario, params = load_scenario("queue_conflict"), load_params(ROOT / "params.yaml")
        evaluation = params.evaluation.model_copy(update={"variant_worlds": variant_worlds})
        params = params.model_copy(update={"evaluation": evaluation})
        baseline = shifted(90) if candidate else None
        for name, at, shift in (("scratch", 12, baseline), ("matched", 6, baseline), ("pretrained", 2, candidate)):
            write_record(MODELS / FOLDERS[name] / "runs.json", arm(params, scenario, name, at, shift))
        measured = (
            {"data": data_states(0, scenario_sha256=scenario.sha256), "shift": clone} if clone else {"data": None, "shift": None}
        )
        clones = [clone_run(seed, outcome="PASS").model_copy(update=measured) for seed in params.seeds]
        known = {"scenario": scenario.name, "design": design_of(params, scenario)}
        write_record(MODELS / "bc/clones.json", clone_runs(clones, **known))
        return params

    return make


def compared(target: str) -> Comparison:
    return read_record(Path(f"reports/evaluate/queue_conflict/{target}.json"), Comparison)


def test_a_head_start_that_carries_over_passes_and_leaves_its_findings(project: Callable[..., Params]) -> None:
    evaluate(project(shifted(95), shifted(90)), load_scenario("queue_conflict"))

    headline = compared("beyond_expert")
    assert headline.verdict.outcome == Outcome.PASS, headline.verdict.reasons
    assert {evidence.path for evidence in headline.verdict.evidence} == {
        "models/queue_conflict/baseline/scratch/runs.json",
        "models/queue_conflict/baseline/matched/runs.json",
        "models/queue_conflict/anneal/pretrained/runs.json",
        "models/queue_conflict/bc/clones.json",
    }
    assert "shift-crowded-scratch" in [check.name for check in headline.verdict.checks]
    findings = read_record(Path("reports/evaluate/queue_conflict/shift.json"), ShiftFindings)
    assert findings.variants[0].minus_clone["success"].mean == pytest.approx(0.05)


def test_the_strongest_of_the_baselines_is_the_one_that_counts(project: Callable[..., Params]) -> None:
    line = evaluate(project(shifted(95), shifted(90)), load_scenario("queue_conflict")).says

    found, metrics = compared("beyond_expert"), json.loads(Path("reports/metrics/queue_conflict.json").read_text())
    assert [against.baseline.arm for against in found.grid] == ["matched", "scratch"]
    assert found.strongest is not None
    assert (metrics["verdict"], metrics["baseline"], metrics["ratio"]) == ("PASS", "matched", found.strongest.online.median)
    assert metrics["ratio"] < metrics["all_in_ratio"]  # 5,000 steps were recorded for each clone
    assert line.startswith(
        "evaluate queue_conflict: PASS for beyond_expert; pretrained: all 10 within 65,536 steps; matched: all 10"
    )


def test_a_head_start_that_is_lost_on_a_variant_fails(project: Callable[..., Params]) -> None:
    evaluate(project(shifted(60), shifted(90)), load_scenario("queue_conflict"))

    for target in ("beyond_expert", "expert_level"):  # nobody goes past the loss by promoting on the easier target
        reasons = {reason.name: reason.outcome for reason in compared(target).verdict.reasons}
        assert reasons == {"shift-crowded-scratch": Outcome.FAIL, "shift-crowded-clone": Outcome.FAIL}
    assert json.loads(Path("reports/metrics/queue_conflict.json").read_text())["verdict"] == "FAIL"


def test_runs_without_facts_hold_and_say_so(project: Callable[..., Params]) -> None:
    line = evaluate(project(None, None), load_scenario("queue_conflict")).says

    assert compared("beyond_expert").verdict.outcome == Outcome.HOLD
    assert "HOLD: distribution shift not measured: pretrained recorded no facts" in line
    assert len(read_record(Path("reports/evaluate/queue_conflict/shift.json"), ShiftFindings).missing) == 3


def test_a_design_without_variant_worlds_does_not_ask(project: Callable[..., Params]) -> None:
    evaluate(project(None, None, variant_worlds=0), load_scenario("queue_conflict"))

    assert compared("beyond_expert").verdict.outcome == Outcome.PASS
    assert not Path("reports/evaluate/queue_conflict/shift.json").exists()


def test_a_baseline_as_the_candidate_is_described_alone(project: Callable[..., Params]) -> None:
    params = project(shifted(95), shifted(90)).model_copy(update={"candidate": "scratch"})
    line = evaluate(params, load_scenario("queue_conflict")).says

    assert [reason.name for reason in compared("beyond_expert").verdict.reasons] == ["replicates"]
    assert "no ratio" in line
    assert not Path("reports/evaluate/queue_conflict/shift.json").exists()
    assert json.loads(Path("reports/metrics/queue_conflict.json").read_text())["baseline"] is None


@pytest.mark.parametrize(
    ("file", "cure"),
    [
        ("bc/clones.json", "dvc repro bc_train"),
        ("baseline/matched/runs.json", "dvc repro baseline"),
        ("anneal/pretrained/runs.json", "dvc exp run -S candidate=pretrained"),
    ],
)
def test_a_record_that_is_missing_is_named_with_what_makes_it(project: Callable[..., Params], file: str, cure: str) -> None:
    params = project(shifted(95), shifted(90))
    (MODELS / file).unlink()

    with pytest.raises(InputError, match=f"{file}: expected a file, found none; `{cure}"):
        evaluate(params, load_scenario("queue_conflict"))


@pytest.mark.parametrize(
    "change",
    [
        {"seeds": tuple(range(30, 40))},
        {"arms": {"scratch": {"ppo": {"gamma": 0.9}}}},
        {"evaluation": {"exam_worlds": 257}},
    ],
    ids=["other seeds", "another recipe", "another design"],
)
def test_runs_that_are_not_what_params_yaml_asks_for_are_refused(project: Callable[..., Params], change: dict[str, Any]) -> None:
    params = changed(project(shifted(95), shifted(90)), change, "test")

    with pytest.raises(InputError):
        evaluate(params, load_scenario("queue_conflict"))
