"""Records with one planted fault each: refused, with what was expected and what was found. Without a fault: taken."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import shifts
from tests.shifts import clone_run, clone_runs, data_states, facts, states

from headstart.compare.arm_runs import ArmRuns, CloneRuns, CurvePoint, Score, SeedRun, ShiftFacts, VariantScore
from headstart.compare.comparability import (
    evaluations_due,
    full_steps,
    require_clones,
    require_comparable,
    require_runs,
)
from headstart.config.params import EvaluationParams, Params, load_params
from headstart.config.scenario import Scenario, variant_of
from headstart.config.schedule import Arm
from headstart.core.errors import GateFailed, InputError
from headstart.learn import anneal
from headstart.learn.anneal import Event, Trainer, Updated

ROOT = Path(__file__).parents[2]
SEEDS = (3, 4, 5)
DUE = (0, 120, 200, 320, 400)  # rollouts of 40 env steps, evaluated every 100
SCENARIO = Scenario.model_validate(
    {
        "name": "walk",
        "world": "nav",
        "horizon": 10,
        "setup": {},
        "variants": {"dense": {}},
        "success": ["every fed > 0"],
        "harm": ["any hit > 0"],
        "expert": {"policy": "scripted", "success_rate": 0.5, "harm_rate": 0.5},
        "targets": {"good": {"success_rate": 0.9}},
        "measures": ["stl"],
    }
)
DESIGN = shifts.DESIGN.model_copy(update={"scenario_sha256": SCENARIO.sha256, "evaluation_worlds": 20, "exam_worlds": 50})


DENSE = variant_of(SCENARIO, "dense").sha256


def recipe(start: str, *lengths: int) -> Arm:
    phases = [{"name": f"p{n}", "kind": "ppo", "env_steps": length, "learning_rate": 0.001} for n, length in enumerate(lengths)]
    return Arm.model_validate({"start": start, "ppo": {"worlds": 4, "rollout_ticks": 5}, "phases": phases})


def sha(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def scored(episodes: int, return_mean: float, **changes: Any) -> Score:
    known = {"episodes": episodes, "success": episodes // 2, "harm": 1, "return_mean": return_mean, "return_sd": 0.1}
    return Score(**known | {"measures": {"stl": 0.5}} | changes)


def shifted() -> ShiftFacts:
    return facts(variants={"dense": VariantScore(scenario_sha256=DENSE, score=scored(100, 1.0))})


def seed_run(name: str, start: str, seed: int) -> SeedRun:
    exam = scored(50, 2.0)
    return SeedRun(
        seed=seed,
        budget=400,
        env_steps=400,
        demonstration_steps=5100 if start == "bc" else 0,
        clone_sha256=sha("clone", seed) if start == "bc" else None,
        curve=tuple(
            CurvePoint(env_steps=steps, scores={"sampled": scored(20, steps / 100 + seed / 1000 + sum(name.encode()))})
            for steps in DUE
        ),
        exam={"sampled": exam, "deterministic": exam},
        checkpoint_sha256=sha(name, seed),
        shift=shifted(),
    )


def arm(name: str = "scratch", start: str = "random") -> ArmRuns:
    runs = tuple(seed_run(name, start, seed) for seed in SEEDS)
    return ArmRuns(scenario="walk", arm=name, recipe=recipe(start, 400), rollout_steps=40, design=DESIGN, runs=runs)


def require(runs: ArmRuns, start: str = "random", name: str = "scratch") -> None:
    require_runs(runs, name, asked(name, start), SCENARIO, DESIGN, agents=2)


def asked(name: str, start: str) -> Params:
    """params.yaml with one arm and three seeds."""
    return load_params(ROOT / "params.yaml").model_copy(update={"seeds": SEEDS, "arms": {name: recipe(start, 400)}})


def with_run(runs: ArmRuns, index: int = 0, **changes: Any) -> ArmRuns:
    """With one run changed, without any validation, as a record that was written by hand."""
    changed = runs.runs[index].model_copy(update=changes)
    return runs.model_copy(update={"runs": (*runs.runs[:index], changed, *runs.runs[index + 1 :])})


def with_score(runs: ArmRuns, point: int, **changes: Any) -> ArmRuns:
    """With one score of the first run's curve changed."""
    curve = list(runs.runs[0].curve)
    curve[point] = curve[point].model_copy(
        update={"scores": {"sampled": curve[point].scores["sampled"].model_copy(update=changes)}}
    )
    return with_run(runs, curve=tuple(curve))


def without(runs: ArmRuns, *points: int) -> ArmRuns:
    return with_run(runs, curve=tuple(point for n, point in enumerate(runs.runs[0].curve) if n not in points))


def test_runs_as_params_ask_for_them_are_taken() -> None:
    require(arm())
    require(arm("pretrained", "bc"), "bc", "pretrained")
    require_comparable(arm("pretrained", "bc"), [arm(), arm("matched")])
    require_comparable(arm(), [arm()])


SOUND, CLONED = arm(), arm("pretrained", "bc")
LATER = CurvePoint(env_steps=160, scores=SOUND.runs[0].curve[0].scores)
FAULTS: dict[str, tuple[ArmRuns, str]] = {
    "exchanged": (CLONED, "arm: expected 'scratch', got 'pretrained'"),
    "scenario": (SOUND.model_copy(update={"scenario": "run"}), "scenario: expected 'walk', got 'run'"),
    "recipe": (
        SOUND.model_copy(update={"recipe": recipe("random", 4000)}),
        "recipe.phases.0.env_steps: expected 400, got 4000",
    ),
    "design": (
        SOUND.model_copy(update={"design": DESIGN.model_copy(update={"evaluation_worlds": 1})}),
        "design.evaluation_worlds: expected 20, got 1",
    ),
    "environment": (
        SOUND.model_copy(update={"design": DESIGN.model_copy(update={"environment_sha256": "f" * 64})}),
        "design.environment_sha256: expected 'eeee",
    ),
    "seed missing": (SOUND.model_copy(update={"runs": SOUND.runs[:2]}), r"\[5\] are missing, \[\] are not among them"),
    "seed unknown": (with_run(SOUND, seed=9), r"\[3\] are missing, \[9\] are not among them"),
    "seed twice": (with_run(SOUND, seed=4), r"expected one run a seed, got several of seeds \[4\]"),
    "no runs": (SOUND.model_copy(update={"runs": ()}), r"\[3, 4, 5\] are missing"),
    "rollout": (SOUND.model_copy(update={"rollout_steps": 30}), r"expected rollout_steps 40 \(.* · 2 agents\), got 30"),
    "budget": (with_run(SOUND, budget=4000), "seed 3: expected the budget of its recipe, 400 env steps, got 4000"),
    "short": (with_run(SOUND, env_steps=360), "seed 3: status completed: expected all 400 env steps of its phases, got 360"),
    "long": (with_run(SOUND, env_steps=440), "status completed: expected all 400 env steps of its phases, got 440"),
    "stopped later": (
        with_run(SOUND, env_steps=440, status="stopped", outcome="FAIL"),
        "expected whole rollouts of 40 env steps, 400 at most, got 440",
    ),
    "part of a rollout": (
        with_run(SOUND, env_steps=390, status="frozen", outcome="HOLD"),
        "expected whole rollouts of 40 .* got 390",
    ),
    "clone": (with_run(SOUND, clone_sha256="c" * 64), "start random: expected no clone and no demonstrations, got clone cccc"),
    "cost": (with_run(SOUND, demonstration_steps=7), "start random: .* 7 demonstration steps"),
    "no evaluation": (without(SOUND, 0, 1, 2, 3, 4), "starts with the evaluation at 0 env steps, got no evaluation"),
    "late start": (without(SOUND, 0), "starts with the evaluation at 0 env steps, got 120"),
    "falling": (
        with_run(SOUND, curve=(*SOUND.runs[0].curve, SOUND.runs[0].curve[1])),
        "seed 3: expected a curve whose env steps rise, got 120 after 400",
    ),
    "every second": (without(SOUND, 1, 3), "expected an evaluation at 120 env steps .* got none; 2 of 5 are missing"),
    "no end": (without(SOUND, 4), "expected an evaluation at 400 env steps"),
    "one more": (
        with_run(SOUND, curve=(*SOUND.runs[0].curve[:2], LATER, *SOUND.runs[0].curve[2:])),
        r"expected 5 evaluations \(every 100 env steps, after whole rollouts of 40\), got one more at 160 env steps",
    ),
    "mode": (
        with_run(SOUND, curve=(CurvePoint(env_steps=0, scores={}), *SOUND.runs[0].curve[1:])),
        "evaluation at 0 env steps: expected scores in the modes sampled, sampled is missing",
    ),
    "one episode": (
        with_score(SOUND, 2, episodes=1),
        "seed 3: evaluation at 200 env steps, sampled: expected 20 episodes, got 1",
    ),
    "measure": (
        with_score(SOUND, 1, measures={"speed": 1.0}),
        "at 120 env steps, sampled: expected the measures stl, got 'speed'",
    ),
    "no measure": (with_score(SOUND, 1, measures={}), "expected the measures stl, got 'none'"),
    "exam mode": (
        with_run(SOUND, exam={"sampled": scored(50, 2.0)}),
        "exam: expected scores in the modes sampled, deterministic, deterministic is missing",
    ),
    "exam episodes": (
        with_run(SOUND, exam={"sampled": scored(50, 2.0), "deterministic": scored(5, 2.0)}),
        "exam, deterministic: expected 50 episodes, got 5",
    ),
    "no shift": (with_run(SOUND, shift=None), "variant_worlds is 100: expected shift measured"),
    "variants": (with_run(SOUND, shift=facts(variants={})), "shift: expected the variants dense, got none"),
    "variant episodes": (
        with_run(SOUND, shift=facts(variants={"dense": VariantScore(scenario_sha256=DENSE, score=scored(9, 1.0))})),
        "variant dense: expected 100 episodes, got 9",
    ),
    "another variant of the name": (
        with_run(SOUND, shift=facts(variants={"dense": VariantScore(scenario_sha256="d" * 64, score=scored(100, 1.0))})),
        "seed 3: shift.variants.dense: expected '[0-9a-f]{59}, got 'dddd",
    ),
    "agents": (SOUND.model_copy(update={"rollout_steps": 80}), r"expected rollout_steps 40 \(.*\), got 80"),
    "shift": (
        with_run(SOUND, shift=shifted().model_copy(update={"worlds": 7})),
        "shift: expected 100 worlds in each part, got 7, 100, 100, 100",
    ),
    "mix": (with_run(SOUND, shift=shifted().model_copy(update={"mix": {"0": 9}})), "worlds in each part, got 100, 100, 100, 9"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_runs_that_params_do_not_ask_for_are_refused_with_the_difference_and_the_cure(fault: str) -> None:
    runs, message = FAULTS[fault]
    with pytest.raises(
        InputError, match=rf"^runs of scratch on walk: .*{message}.*; `dvc exp run -S .scenarios=\[walk\].` trains anew"
    ):
        require(runs)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clone_sha256": None}, "seed 3: start bc: expected the hash of the clone that it started from, got none"),
        ({"demonstration_steps": 0}, "seed 3: start bc: expected the env steps that its demonstrations cost, got 0"),
    ],
)
def test_an_arm_that_starts_from_a_clone_names_it_and_pays_for_its_demonstrations(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        require(with_run(CLONED, **changes), "bc", "pretrained")


def test_an_exam_that_draws_the_numbers_of_the_evaluations_is_refused() -> None:
    design = DESIGN.model_copy(update={"exam_seed": 1})
    with pytest.raises(InputError, match=r"expected an exam_seed other than the evaluation seed, got 1 for both"):
        require_runs(SOUND.model_copy(update={"design": design}), "scratch", asked("scratch", "random"), SCENARIO, design, 2)


def test_a_guardrail_may_end_a_run_before_or_after_an_evaluation() -> None:
    ended = {"status": "frozen", "outcome": "HOLD", "env_steps": 320}
    curve = SOUND.runs[0].curve
    for kept in (curve[:3], curve[:4]):
        require(with_run(SOUND, curve=kept, **ended))
    with pytest.raises(InputError, match="expected an evaluation at 200 env steps"):
        require(with_run(SOUND, curve=curve[:2], **ended))


# --- two arms ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scratch", "message"),
    [
        (SOUND.model_copy(update={"scenario": "run"}), "scenario: expected 'run', got 'walk'"),
        (SOUND.model_copy(update={"design": DESIGN.model_copy(update={"every": 50})}), "design.every: expected 50, got 100"),
        (SOUND.model_copy(update={"arm": "pretrained"}), "two different records claim to be the arm pretrained"),
        (SOUND.model_copy(update={"runs": ()}), "expected a run for each seed of scratch, got none"),
        (with_run(SOUND, seed=9), r"\[9\] are missing, \[3\] are not among them"),
        (SOUND.model_copy(update={"rollout_steps": 80}), r"expected worlds with as many agents, got 2 and 4"),
        (
            SOUND.model_copy(update={"runs": tuple(run.model_copy(update={"budget": 100}) for run in SOUND.runs)}),
            "expected at most the budget of scratch, 100 env steps, got 400",
        ),
    ],
)
def test_arms_that_differ_are_not_compared(scratch: ArmRuns, message: str) -> None:
    with pytest.raises(InputError, match=rf"^pretrained and \w+ cannot be compared: .*{message}"):
        require_comparable(CLONED, [scratch])


def test_two_baselines_that_share_a_run_are_refused() -> None:
    matched = arm("matched")
    shared = with_run(matched, checkpoint_sha256=SOUND.runs[1].checkpoint_sha256)
    require_comparable(CLONED, [SOUND, matched])
    with pytest.raises(
        InputError, match=r"walk: .*got the same weights for scratch seed 4 and matched seed 3: a run counts once"
    ):
        require_comparable(CLONED, [SOUND, shared])


def test_a_candidate_may_have_less_budget_than_scratch() -> None:
    require_comparable(with_run(CLONED, budget=200), [SOUND])


# --- clones -----------------------------------------------------------------------------------------------------------


def clones(**changes: Any) -> CloneRuns:
    exam = {"sampled": scored(50, 1.0), "deterministic": scored(50, 1.0)}
    known = {"exam": exam, "shift": shifted(), "expert": scored(50, 3.0), "demonstration_steps": 5100}
    runs = [clone_run(seed, weights_sha256=sha("clone", seed), **known) for seed in SEEDS]
    return clone_runs(runs, design=DESIGN, untrained=scored(50, 0.0)).model_copy(update=changes)


def with_clone(**changes: Any) -> CloneRuns:
    first, *others = clones().clones
    return clones(clones=(first.model_copy(update=changes), *others))


def test_clones_that_the_candidate_starts_from_are_taken() -> None:
    require_clones(clones(), CLONED)


def test_one_clone_may_serve_all_seeds() -> None:
    shared = sha("clone", 3)
    runs = tuple(run.model_copy(update={"clone_sha256": shared}) for run in CLONED.runs)
    require_clones(clones(clones=clones().clones[:1]), CLONED.model_copy(update={"runs": runs}))


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (clones(scenario="run"), "scenario: expected 'walk', got 'run'"),
        (clones(design=DESIGN.model_copy(update={"exam_worlds": 5})), "design.exam_worlds: expected 50, got 5"),
        (clones(clones=clones().clones[1:]), "seed 3: expected the clone [0-9a-f]{12} that pretrained started from, got none"),
        (clones(clones=clones().clones * 2), "expected clones with seeds and weights of their own"),
        (with_clone(weights_sha256="d" * 64), "seed 3: expected a run of pretrained from clone dddddddddddd, got clone"),
        (with_clone(seed=8), "seed 8: expected a run of pretrained from clone .*, got no such run"),
        (with_clone(demonstration_steps=6000), "seed 3: expected the 6,000 env steps that its demonstrations cost, got 5,100"),
        (with_clone(expert=scored(1, 3.0)), "expert of seed 3: expected 50 episodes, got 1"),
        (with_clone(expert=scored(50, -1.0)), "expected an expert with a higher return than an untrained policy, got -1 and 0"),
        (
            with_clone(data=data_states(3).model_copy(update={"visited": states(1).model_copy(update={"rows": 5101})})),
            "seed 3: expected to be charged at least the 5101 steps that it was trained on, got 5100",
        ),
        (clones(untrained=scored(50, 0.0, measures={})), "untrained: expected the measures stl, got 'none'"),
        (with_clone(exam={"sampled": scored(50, 1.0)}), "seed 3: exam: .* deterministic is missing"),
        (with_clone(shift=None), "seed 3: variant_worlds is 100: expected shift measured"),
    ],
)
def test_clones_of_other_runs_are_refused(record: CloneRuns, message: str) -> None:
    with pytest.raises(InputError, match=rf"^clones of \w+: .*{message}.*; `dvc exp run -S .scenarios=\[walk\].` makes anew"):
        require_clones(record, CLONED)


def test_clones_that_missed_their_gate_are_refused() -> None:
    with pytest.raises(GateFailed, match=r"expected clones that pass their gate, got seed 3 is FAIL"):
        require_clones(with_clone(outcome="FAIL"), CLONED)


# --- when evaluations are due -----------------------------------------------------------------------------------------


def test_evaluations_are_due_after_whole_rollouts_as_counted_by_hand() -> None:
    assert evaluations_due(recipe("random", 400), 40, 100, 400) == DUE
    assert evaluations_due(recipe("random", 400), 40, 100, 160) == (0, 120)
    assert evaluations_due(recipe("random", 400), 300, 100, 600) == (0, 300, 600)  # a rollout longer than the interval
    # two phases of 65 and rollouts of 64 take 128 each; from 192 on the budget of 130 is used up
    assert full_steps(recipe("random", 65, 65), 64) == 256
    assert evaluations_due(recipe("random", 65, 65), 64, 1000, 256) == (0, 192, 256)


def trained(own: Arm, rollout: int, every: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Env steps of the evaluations of a real run of the schedule, whose updates and evaluations do nothing."""

    def learn(trainer: Trainer) -> Updated:
        trainer.at = replace(trainer.at, env_steps=trainer.at.env_steps + rollout)
        return cast(Updated, None)

    def evaluate(trainer: Trainer) -> int:
        return trainer.at.env_steps

    monkeypatch.setattr(anneal, "learn", learn)
    monkeypatch.setattr(anneal, "evaluate", evaluate)
    design = EvaluationParams(seed=1, worlds=1, every=every, exam_seed=2, exam_worlds=1)
    parts: Any = dict.fromkeys(
        ("network", "optimizer", "generator", "player", "evaluation", "modes", "reference", "demonstrations")
    )
    events: Iterator[Event] = anneal.run(Trainer(arm=own, design=design, seed=0, **parts))
    return [event for event in events if isinstance(event, int)]


@settings(deadline=None)
@given(lengths=st.lists(st.integers(1, 300), min_size=1, max_size=3), rollout=st.integers(1, 90), every=st.integers(1, 200))
def test_evaluations_are_due_when_a_run_makes_them(lengths: list[int], rollout: int, every: int) -> None:
    own = recipe("random", *lengths)
    with pytest.MonkeyPatch.context() as patch:
        made = trained(own, rollout, every, patch)

    assert made == list(evaluations_due(own, rollout, every, full_steps(own, rollout)))
    assert made[-1] == full_steps(own, rollout)


@settings(deadline=None, max_examples=60)
@given(index=st.integers(0, 2), dropped=st.sets(st.integers(0, 4), min_size=1, max_size=4))
def test_no_evaluation_can_be_left_out(index: int, dropped: set[int]) -> None:
    kept = tuple(point for n, point in enumerate(SOUND.runs[index].curve) if n not in dropped)
    with pytest.raises(InputError, match=rf"seed {SEEDS[index]}: expected"):
        require(with_run(SOUND, index, curve=kept))
