"""Evaluate compares the candidate with all baselines, for every target, from records that are what params.yaml asks for."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from tests.arms import Reach, arm_runs, clones_of
from tests.experiments import expert_policy
from tests.scores import score
from tests.shifts import data_states
from tests.shifts import facts as any_facts

from headstart.compare.arm_runs import ArmRuns, CloneRuns, SeedRun, ShiftFacts, VariantScore, arm_folder
from headstart.compare.comparison import Comparison
from headstart.compare.shift import ShiftFindings
from headstart.config.params import Params, load_params
from headstart.config.scenario import load_scenario, variant_of
from headstart.core.errors import GateFailed, InputError, IntegrityError
from headstart.core.files import read_record, write_record
from headstart.core.verdict import Outcome
from headstart.dataset.observation import ObservationSchema
from headstart.runs.checkpoint import Card, save_checkpoint
from headstart.runs.expert_record import ExpertPolicy, TrainedSeed
from headstart.runs.worlds import design_of
from headstart.stages.evaluate import SHOWN, evaluate, measured

ROOT = Path(__file__).parents[2]
EVERY, POINTS, SEEDS = 1000, 9, range(10)
HOME = Path("models/queue_conflict")
CLONES, CANDIDATE, MATCHED = HOME / "bc/clones.json", HOME / "anneal/pretrained/runs.json", HOME / "baseline/matched/runs.json"
GOOD, BAD = score(100, return_mean=2.0), score(10, return_mean=0.2)
SCHEMA = ObservationSchema(world="toy", features=("x",), actions=("left", "right"), reward_terms=("goal",))
DENSE = {"dense": {"agents": 5}}
PPO = {"rollout_ticks": EVERY // 10 // 4}  # of four agents
NEVER = [None] * 10


class Project:
    """A folder with what the arms left; `params` are those with which they ran."""

    def __init__(self, variant_worlds: int = 100) -> None:
        self.params, self.scenario = _params(variant_worlds), load_scenario("queue_conflict")

    def train(
        self,
        candidate: Reach = (1,) * 10,
        scratch: Reach = (6,) * 10,
        matched: Reach = (5,) * 10,
        successes: int | None = 95,  # of 100 episodes on the variant; None: not measured
        **given: Any,
    ) -> Params:
        write_record(HOME / "expert/expert.json", expert_policy())
        ours = self._arm("pretrained", candidate, successes, **given)
        write_record(CANDIDATE, ours)
        for name, reach in (("scratch", scratch), ("matched", matched)):
            write_record(HOME / f"baseline/{name}/runs.json", self._arm(name, reach, successes and 90))
        clones = clones_of(ours)
        each = tuple(
            one.model_copy(update={"shift": self.facts(90), "data": data_states(one.seed, scenario_sha256=self.scenario.sha256)})
            for one in clones.clones
            if successes
        )
        write_record(CLONES, clones.model_copy(update={"scenario": "queue_conflict", "clones": each or clones.clones}))
        return self.params

    def facts(self, successes: int) -> ShiftFacts:
        dense = VariantScore(scenario_sha256=variant_of(self.scenario, "dense").sha256, score=score(successes, 10))
        return any_facts(variants={"dense": dense})

    def _arm(self, name: str, reach: Reach, successes: int | None, **given: Any) -> ArmRuns:
        arm = arm_runs(
            name, reach, **{"every": EVERY, "points": POINTS, "good": GOOD, "bad": BAD, "exam": GOOD, "ppo": PPO} | given
        )
        runs = tuple(self._kept(name, run).model_copy(update={"shift": successes and self.facts(successes)}) for run in arm.runs)
        return arm.model_copy(
            update={"scenario": "queue_conflict", "design": design_of(self.params, self.scenario), "runs": runs}
        )

    def _kept(self, arm: str, run: SeedRun) -> SeedRun:
        """The run with a checkpoint, and with one of the clone that it starts from."""
        clone = saved(HOME / f"bc/seed-{run.seed}", "bc", "bc", run.seed) if run.clone_sha256 else None
        home = arm_folder("queue_conflict", arm, self.params.baselines) / f"seed-{run.seed}"
        last = saved(home, "policy", arm, run.seed, run.env_steps, {"bc": clone} if clone else {})
        return run.model_copy(update={"checkpoint_sha256": last, "clone_sha256": clone})


def saved(home: Path, kind: str, arm: str, seed: int, env_steps: int = 0, lineage: dict[str, str] | None = None) -> str:
    """The hash of a small checkpoint's weights."""
    about = {
        "kind": kind,
        "scenario": "queue_conflict",
        "arm": arm,
        "seed": seed,
        "env_steps": env_steps,
        "lineage": lineage or {},
    }
    weights = {"w": np.array([seed, sum(arm.encode())], np.float32)}
    return save_checkpoint(home, weights, {**about, "observation": SCHEMA, "network": {}}).weights_sha256


def _params(variant_worlds: int) -> Params:
    recipes = {
        name: arm_runs(name, [], every=EVERY, points=POINTS, ppo=PPO).recipe for name in ("scratch", "matched", "pretrained")
    }
    params = load_params(ROOT / "params.yaml")
    worlds = {"every": EVERY, "worlds": 100, "exam_worlds": 100, "variant_worlds": variant_worlds}
    return params.model_copy(
        update={
            "seeds": tuple(SEEDS),
            "baselines": ("scratch", "matched"),
            "arms": recipes,
            "evaluation": params.evaluation.model_copy(update=worlds),
        }
    )


@pytest.fixture
def make_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Project]:
    """In a folder whose scenario has one variant and no measures."""
    scenario = yaml.safe_load((ROOT / "scenarios/queue_conflict.yaml").read_text())
    scenario |= {"measures": [], "variants": DENSE}
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios/queue_conflict.yaml").write_text(yaml.safe_dump(scenario))
    monkeypatch.chdir(tmp_path)
    return Project


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project()


def compared(target: str) -> Comparison:
    return read_record(Path(f"reports/evaluate/queue_conflict/{target}.json"), Comparison)


def metrics() -> dict[str, Any]:
    """All of the headline; those that DVC shows are among them, as they were written."""
    found = measured(compared("beyond_expert"))
    shown: dict[str, Any] = json.loads(Path("reports/metrics/queue_conflict.json").read_text())
    assert tuple(shown) == tuple(sorted(SHOWN)) and shown.items() <= found.items()
    return found


def changed(path: Path, model: type[Any], **change: Any) -> None:
    write_record(path, read_record(path, model).model_copy(update=change))


def test_a_head_start_that_carries_over_passes_and_leaves_its_findings(project: Project) -> None:
    evaluate(project.train(), project.scenario)

    headline = compared("beyond_expert")
    assert headline.verdict.outcome == Outcome.PASS
    assert [Path(one.path) for one in headline.verdict.evidence] == [
        HOME / "baseline/scratch/runs.json",
        MATCHED,
        CANDIDATE,
        CLONES,
    ]
    assert "shift-dense-scratch" in [check.name for check in headline.verdict.checks]
    findings = read_record(Path("reports/evaluate/queue_conflict/shift.json"), ShiftFindings)
    assert findings.variants[0].variant == "dense"


def test_the_sentence_and_the_metrics_have_the_all_in_ratio_beside_the_online_one(project: Project) -> None:
    says = evaluate(project.train(demonstration_steps=3000), project.scenario).says

    # the strongest baseline is there after 4,000 to 5,000 steps, the candidate within 1,000 and, with its demonstrations, 4,000
    assert says.startswith(
        "evaluate queue_conflict: PASS for beyond_expert. Online steps: pretrained: all 10 within 1,000 steps; "
        "matched: all 10 within 5,000 steps; ratio 0.250 (≤ 0.250). "
        "All-in, with the steps that the demonstrations cost: 1.00 (≤ 1.00). Exam of pretrained: success 1.000, harm 0.000,"
    )
    found = metrics()
    assert (found["baseline"], found["ratio"], found["ratio_upper"]) == ("matched", 0.25, 0.25)
    assert (found["all_in_ratio"], found["all_in_ratio_upper"]) == (1.0, 1.0)
    assert (found["steps_to_target"], found["seeds_censored"], found["baseline_censored"]) == (1000, 0, 0)


def test_baselines_that_never_arrive_leave_a_bound_and_no_ratio(project: Project) -> None:
    says = evaluate(project.train(scratch=NEVER, matched=NEVER), project.scenario).says

    assert "0 of 10 within 8,000 steps; the ratio is at most 0.125. All-in, " in says
    assert (metrics()["ratio"], metrics()["ratio_upper"], metrics()["baseline_censored"]) == (None, 0.125, 10)


def test_a_target_that_the_clones_meet_has_no_ratio_in_the_metrics(project: Project) -> None:
    says = evaluate(project.train(candidate=[0] * 10), project.scenario).says

    assert "PASS for beyond_expert. Online steps: pretrained: met before training (0 steps); " in says
    assert (metrics()["ratio"], metrics()["ratio_upper"], metrics()["steps_to_target"]) == (None, None, 0)
    assert metrics()["all_in_ratio"] is not None


def test_a_head_start_that_is_lost_on_a_variant_fails(project: Project) -> None:
    evaluate(project.train(successes=60), project.scenario)

    for target in ("beyond_expert", "expert_level"):  # nobody goes past the loss by promoting on the easier target
        reasons = {reason.code: reason.outcome for reason in compared(target).verdict.reasons}
        assert reasons == dict.fromkeys(("shift-dense-scratch", "shift-dense-matched", "shift-dense-clone"), Outcome.FAIL)
    assert metrics()["verdict"] == "FAIL"


def test_a_design_without_variant_worlds_does_not_ask(make_project: Callable[..., Project]) -> None:
    project = make_project(variant_worlds=0)
    evaluate(project.train(successes=None), project.scenario)

    assert compared("beyond_expert").verdict.outcome == Outcome.PASS
    assert not Path("reports/evaluate/queue_conflict/shift.json").exists()


@pytest.mark.parametrize("name", ["scratch", "matched"])
def test_a_baseline_alone_is_not_asked_for_shift(name: str, project: Project) -> None:
    says = evaluate(project.train().model_copy(update={"candidate": name}), project.scenario).says

    assert [reason.code for reason in compared("beyond_expert").verdict.reasons] == ["replicates-missing"]
    assert "Online steps: no ratio: the baseline is not compared with itself. Exam of" in says
    assert (metrics()["baseline"], metrics()["ratio"], metrics()["all_in_ratio"]) == (None, None, None)


# --- what is compared is what params.yaml asks for ----------------------------------------------------------------------


def test_runs_of_another_recipe_than_that_of_params_are_refused(project: Project) -> None:
    params = project.train()
    other = arm_runs("matched", [], every=EVERY, points=POINTS + 1, ppo=PPO).recipe
    changed(MATCHED, ArmRuns, recipe=other)

    with pytest.raises(
        InputError, match=r"runs of matched on queue_conflict: recipe\.phases\.0\.env_steps: expected 8000, got 9000"
    ):
        evaluate(params, project.scenario)


def test_a_clone_that_missed_its_gate_is_refused(project: Project) -> None:
    params = project.train()
    clones = read_record(CLONES, CloneRuns).clones
    changed(CLONES, CloneRuns, clones=(clones[0].model_copy(update={"outcome": "FAIL"}), *clones[1:]))

    with pytest.raises(GateFailed, match="seed 0 is FAIL"):
        evaluate(params, project.scenario)


@pytest.mark.parametrize(
    ("path", "command"),
    [(MATCHED, "dvc repro baseline"), (CLONES, "dvc repro bc_train"), (CANDIDATE, "dvc exp run -S candidate=pretrained")],
    ids=str,
)
def test_a_missing_record_is_named_with_the_command_that_makes_it(path: Path, command: str, project: Project) -> None:
    params = project.train()
    path.unlink()

    with pytest.raises(InputError, match=f"{path}: expected a file, found none; `{command}"):
        evaluate(params, project.scenario)


@pytest.mark.parametrize(
    ("home", "message"),
    [
        (HOME / "anneal/pretrained/seed-3", "expected a checkpoint with weights_sha256"),
        (HOME / "baseline/matched/seed-0", "expected a checkpoint with weights_sha256"),
        (HOME / "bc/seed-9", "expected a checkpoint with weights_sha256"),
    ],
    ids=str,
)
def test_a_checkpoint_that_its_record_does_not_name_is_refused(home: Path, message: str, project: Project) -> None:
    params = project.train()
    card = read_record(home / "card.json", Card)
    save_checkpoint(home, {"w": np.zeros(2, np.float32)}, card.model_dump(exclude={"weights_sha256", "shapes"}))

    with pytest.raises(IntegrityError, match=f"{home}: {message}"):
        evaluate(params, project.scenario)


def test_weights_that_are_not_those_of_their_card_are_refused(project: Project) -> None:
    params = project.train()
    (HOME / "baseline/scratch/seed-1/weights.safetensors").write_bytes((HOME / "bc/seed-1/weights.safetensors").read_bytes())

    with pytest.raises(IntegrityError, match=r"seed-1/weights\.safetensors: expected hash"):
        evaluate(params, project.scenario)


def test_a_checkpoint_of_another_run_is_refused(project: Project) -> None:
    """The record of seed 1 claims the weights of seed 0, and their folder has them."""
    params = project.train()
    runs = read_record(MATCHED, ArmRuns).runs
    other = runs[1].model_copy(update={"checkpoint_sha256": runs[0].checkpoint_sha256})
    changed(MATCHED, ArmRuns, runs=(runs[0], other, *runs[2:]))
    shutil.copytree(MATCHED.parent / "seed-0", MATCHED.parent / "seed-1", dirs_exist_ok=True)

    with pytest.raises(IntegrityError, match=r"matched/seed-1: expected a checkpoint with seed 1, .*, found 0"):
        evaluate(params, project.scenario)


@pytest.mark.parametrize(("training", "acts"), [(5000, "5"), (700, "6")], ids=["not charged", "another expert"])
def test_clones_are_held_to_the_expert_that_trained_them(training: int, acts: str, project: Project) -> None:
    params = project.train()
    trained = TrainedSeed(seed=7, env_steps=training, stopped="budget", selection=GOOD, score=GOOD, weights_sha256=acts * 64)
    changed(HOME / "expert/expert.json", ExpertPolicy, kind="ppo", seeds=(trained,), recorded=(7,))
    clones = read_record(CLONES, CloneRuns).clones
    changed(CLONES, CloneRuns, clones=tuple(one.model_copy(update={"expert_sha256": "5" * 64}) for one in clones))

    with pytest.raises(
        IntegrityError, match=f"clone of seed 0 that learned from the expert {acts}+ and is charged more than its"
    ):
        evaluate(params, project.scenario)
