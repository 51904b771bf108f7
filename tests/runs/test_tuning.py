"""What a search of settings may change, what an arm is worth, which seeds it may not use, and the budgets that its records show."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.compare.arm_runs import CurvePoint, Score
from headstart.config.params import Params, changed, for_scenario, load_params
from headstart.config.scenario import Target, load_scenario
from headstart.config.schedule import Arm
from headstart.core.errors import InputError
from headstart.core.files import read_record, write_record
from headstart.runs.experiment import this_machine
from headstart.runs.tuning import (
    TuningRecord,
    budgets_text,
    for_tuning,
    path_of_search,
    record_path,
    require_apart,
    tuning_budgets,
    tuning_text,
    unfair,
)
from headstart.runs.tuning_space import (
    Range,
    Settings,
    TuningTrial,
    arm_with,
    best_of,
    cost,
    fitted,
    nearness,
    settings_of,
    space_of,
)

ROOT = Path(__file__).parents[2]
PARAMS = load_params(ROOT / "params.yaml")
SCENARIOS = {name: load_scenario(name, ROOT / "scenarios") for name in ("queue_conflict", "nav_mixed", "cartpole")}
RECIPES = {name: for_scenario(PARAMS, scenario) for name, scenario in SCENARIOS.items()}
ARMS = [(name, arm) for name, params in RECIPES.items() for arm in params.arms]


def arm(**changes: Any) -> Arm:
    tune = {"name": "tune", "kind": "ppo", "env_steps": 4096, "learning_rate": {"from": 0.002, "to": 0.001}, "entropy_coef": 0.01}
    warm_up = {"name": "warm_up", "kind": "critic", "env_steps": 1024, "learning_rate": 0.003}
    return Arm.model_validate({"start": "bc", "phases": [warm_up, tune | changes]})


# --- the space --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scenario", "name"), ARMS)
def test_an_arms_own_settings_lie_in_its_space_and_give_the_arm(scenario: str, name: str) -> None:
    params = RECIPES[scenario]
    own, space = settings_of(params.arms[name]), space_of(params, name)
    assert own.keys() == space.keys()
    for key, value in own.items():
        span = space[key]
        assert span.low <= value <= span.high if isinstance(span, Range) else value in span
    assert arm_with(params.arms[name], own) == params.arms[name]


@given(st.sampled_from(ARMS), st.data())
def test_any_point_of_the_space_is_an_arm_with_the_same_phases_and_steps(chosen: tuple[str, str], data: st.DataObject) -> None:
    scenario, name = chosen
    params = RECIPES[scenario]
    recipe, most = params.arms[name], params.evaluation.every
    spans = space_of(params, name)
    point: Settings = {
        key: data.draw(st.floats(span.low, span.high) if isinstance(span, Range) else st.sampled_from(span))
        for key, span in spans.items()
    }
    found = arm_with(recipe, fitted(point, most))
    lengths = [[(phase.name, phase.kind, phase.length) for phase in one.phases] for one in (found, recipe)]
    assert lengths[0] == lengths[1]
    assert found.ppo.worlds * found.ppo.rollout_ticks <= most
    assert found.start == recipe.start and found.guardrails == recipe.guardrails


def test_other_settings_change_the_ramps_of_their_phase_by_hand_computed_values() -> None:
    before = arm(kl_weight=0.2, bc_weight={"from": 0.5, "to": 0.0, "over": 0.6, "shape": "step"})
    own = settings_of(before)
    assert own["tune.learning_rate.to_over_from"] == 0.5
    found = arm_with(before, own | {"ppo.gamma": 0.97, "tune.learning_rate.from": 0.0005, "tune.kl_weight.from": 0.1})
    assert found.ppo.gamma == 0.97
    assert found.phases[0] == before.phases[0]
    tune = found.phases[1]
    assert (tune.learning_rate.from_, tune.learning_rate.to) == (0.0005, 0.00025)
    assert (tune.kl_weight.from_, tune.kl_weight.to) == (0.1, 0.1)  # it was constant
    assert tune.bc_weight == before.phases[1].bc_weight
    weaker = arm_with(before, own | {"tune.bc_weight.from": 0.1}).phases[1].bc_weight
    assert (weaker.from_, weaker.to, weaker.over, weaker.shape) == (0.1, 0.0, 0.6, "step")


def test_a_weight_that_was_zero_falls_to_zero_so_that_the_arm_can_be_promoted() -> None:
    before = arm()
    ramp = arm_with(before, settings_of(before) | {"tune.bc_weight.from": 0.5}).phases[1].bc_weight
    assert (ramp.from_, ramp.to) == (0.5, 0.0)


def test_an_arm_from_random_weights_has_no_clone_to_hold_to() -> None:
    assert not [name for name in space_of(PARAMS, "scratch") if "kl_weight" in name or "bc_weight" in name]


def test_worlds_are_halved_until_a_rollout_fits() -> None:
    assert fitted({"ppo.worlds": 512, "ppo.rollout_ticks": 128}, 8192)["ppo.worlds"] == 64
    assert fitted({"ppo.worlds": 64, "ppo.rollout_ticks": 128}, 8192)["ppo.worlds"] == 64


def with_space(space: dict[str, list[float]]) -> Params:
    return changed(PARAMS, {"tuning": {"space": space}}, "test")


def test_a_space_of_params_yaml_replaces_the_usual_one_and_keeps_the_arms_own_settings() -> None:
    space = space_of(with_space({"ppo.gamma": [0.9], "learn.learning_rate.from": [0.003, 0.004]}), "scratch")
    assert space["ppo.gamma"] == (0.9, 0.995)
    assert space["learn.learning_rate.from"] == Range(low=0.002, high=0.004)


@pytest.mark.parametrize(
    ("space", "says"),
    [
        ({"ppo.gama": [0.9]}, r"got 'ppo.gama' \(did you mean 'ppo.gamma'\?\)"),
        ({"ppo.gamma": [0.9, 2]}, r"tuning.space.ppo.gamma: .*got 2: .*less than or equal to 1"),
        ({"learn.learning_rate.from": [0.1, 0.01]}, r"expected \[low, high\] above 0, got \[0.1, 0.01\]"),
    ],
)
def test_a_space_that_no_arm_can_have_is_refused(space: dict[str, list[float]], says: str) -> None:
    with pytest.raises(InputError, match=says):
        space_of(with_space(space), "scratch")


# --- the objective ----------------------------------------------------------------------------------------------------

GOAL = Target(name="goal", success_rate=0.8, return_mean=2.0, consecutive=2)


def curve(make_score: Callable[..., Score], *points: tuple[int, float]) -> list[CurvePoint]:
    """Points (success of 100, return), 10 env steps apart."""
    scores = [make_score(success=success, return_mean=mean) for success, mean in points]
    return [CurvePoint(env_steps=10 * at, scores={"sampled": score}) for at, score in enumerate(scores)]


def test_a_run_costs_the_steps_at_the_first_of_two_evaluations_in_a_row(make_score: Callable[..., Score]) -> None:
    good, bad = (90, 2.5), (10, 0.0)
    assert cost(curve(make_score, good, good), GOAL, 0.0, 100) == 0
    assert cost(curve(make_score, bad, good, bad, good, good), GOAL, 0.0, 100) == 30


def test_a_run_that_misses_costs_its_budget_times_two_less_its_nearness(make_score: Callable[..., Score]) -> None:
    # success 40 of 80 wanted: ½; return 0.5 between −1 and 2: ½
    assert cost(curve(make_score, (0, -1.0), (40, 0.5), (10, 0.0)), GOAL, -1.0, 100) == pytest.approx(150)
    assert cost(curve(make_score, (0, -1.0)), GOAL, -1.0, 100) == 200
    assert cost(curve(make_score, (80, 2.0), (0, -1.0)), GOAL, -1.0, 100) == 100  # once only


def test_harm_and_measures_count_towards_nearness(make_score: Callable[..., Score]) -> None:
    strict = Target(name="strict", success_rate=1.0, harm_rate=0.2, measures={"stl": 0.5})
    score = make_score(success=100, harm=60).model_copy(update={"measures": {"stl": 0.25}})
    assert nearness(score, strict, 0.0) == pytest.approx((1 + 0.4 / 0.8 + 0.5) / 3)


@given(st.integers(0, 100), st.integers(0, 100), st.floats(-5, 5), st.floats(-5, 5))
def test_a_run_that_comes_nearer_never_costs_more(success: int, more: int, mean: float, higher: float) -> None:
    def value(rate: int, returned: float) -> float:
        score = Score(episodes=100, success=rate, harm=0, return_mean=returned, return_sd=0.0)
        return cost([CurvePoint(env_steps=0, scores={"sampled": score})], GOAL, -5.0, 100)

    worse, better = value(min(success, more), min(mean, higher)), value(max(success, more), max(mean, higher))
    assert 100 <= better <= worse <= 200


# --- seeds ------------------------------------------------------------------------------------------------------------


def test_what_is_tuned_on_is_what_the_section_says() -> None:
    params = for_tuning(RECIPES["queue_conflict"])
    assert params.seeds == PARAMS.tuning.seeds
    assert (params.capture.seed, params.capture.blocks) == (PARAMS.tuning.capture_seed, len(PARAMS.tuning.seeds))
    report = RECIPES["queue_conflict"].evaluation
    assert params.evaluation.seed == PARAMS.tuning.evaluation_seed
    assert not {params.evaluation.seed, params.evaluation.exam_seed} & {report.seed, report.exam_seed}


def test_the_seeds_of_this_project_are_apart() -> None:
    for scenario in SCENARIOS.values():
        require_apart(PARAMS, scenario)


@pytest.mark.parametrize(
    ("tuning", "says"),
    [
        ({"seeds": [1000, PARAMS.seeds[3]]}, f"tuning.seeds: expected other seeds than seeds, both have .{PARAMS.seeds[3]}."),
        ({"seeds": [PARAMS.expert.seeds[0]]}, f"other seeds than expert.seeds, both have .{PARAMS.expert.seeds[0]}."),
        ({"evaluation_seed": PARAMS.evaluation.seed}, "tuning.evaluation_seed: expected another seed than evaluation.seed"),
        ({"evaluation_seed": PARAMS.evaluation.exam_seed}, "another seed than evaluation.exam_seed, both are"),
        ({"evaluation_seed": PARAMS.tuning.capture_seed}, "expected two seeds, evaluation_seed and capture_seed are both"),
        ({"capture_seed": PARAMS.capture.seed}, "tuning.capture_seed: expected another seed than capture.seed, both are"),
    ],
)
def test_a_seed_of_the_report_is_refused(tuning: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        require_apart(changed(PARAMS, {"tuning": tuning}, "test"), SCENARIOS["queue_conflict"])


def test_seeds_of_an_experiment_are_seeds_of_a_report() -> None:
    params = changed(PARAMS, {"evidence": {"fresh": {"seeds": [1000, 7]}}}, "test")
    with pytest.raises(InputError, match=r"other seeds than evidence\.fresh\.seeds, both have \[1000\]"):
        require_apart(params, SCENARIOS["queue_conflict"])


# --- records ----------------------------------------------------------------------------------------------------------


def record(name: str, trials: int, steps: int, target: str = "goal") -> TuningRecord:
    tried = [
        TuningTrial(number=n, settings={"ppo.worlds": 16}, value=10.0 - n, reached=1, steps=steps, state="complete")
        for n in range(trials)
    ]
    killed = TuningTrial(number=trials, settings={}, value=None, reached=0, steps=5, state="failed")
    return TuningRecord(
        scenario="walk",
        arm=name,
        target=target,
        space={"ppo.worlds": (16, 32), "learn.learning_rate.from": Range(low=1e-4, high=1e-2)},
        seeds=(1000,),
        evaluation_seed=1500,
        capture_seed=None,
        trials=(*tried, killed),
        steps=trials * steps + 5,
        best={"ppo.worlds": 16},
        commit=None,
        dirty=None,
        code_sha256="0" * 64,
        machine=this_machine(),
        finished_at="2025-01-31T12:00:00.000Z",
        command="headstart tune walk scratch --trials 2",
    )


def keep(root: Path, found: TuningRecord) -> None:
    write_record(root / record_path("walk", found.arm), found)


def test_a_record_survives_json_and_its_schema(tmp_path: Path, require_schema: Callable[[bytes | str, str], None]) -> None:
    keep(tmp_path, record("scratch", 2, 100))
    path = tmp_path / record_path("walk", "scratch")
    assert read_record(path, TuningRecord) == record("scratch", 2, 100)
    require_schema(path.read_bytes(), "tuning/1")


def test_the_best_trial_is_complete_and_the_first_of_equals() -> None:
    def trial(number: int, value: float | None, state: Any) -> TuningTrial:
        return TuningTrial(number=number, settings={}, value=value, reached=0, steps=0, state=state)

    tried = [trial(0, 5.0, "complete"), trial(1, 1.0, "pruned"), trial(2, 4.0, "complete"), trial(3, 4.0, "complete")]
    assert best_of(tried) == tried[2]
    assert best_of([trial(0, None, "failed")]) is None


def test_budgets_count_trials_that_were_tried_and_all_steps(tmp_path: Path) -> None:
    keep(tmp_path, record("scratch", 40, 3_000_000))
    keep(tmp_path, record("pretrained", 30, 700_000))
    budgets = tuning_budgets("walk", ("scratch", "matched", "pretrained"), tmp_path)
    assert budgets_text(budgets) == "scratch: 40 trials, 120.0 M steps; pretrained: 30 trials, 21.0 M steps"
    assert unfair("walk", "pretrained", tmp_path) is None


@pytest.mark.parametrize(
    ("scratch", "says"),
    [
        (record("scratch", 29, 10**6), "scratch got less than pretrained: scratch: 29 trials"),
        (record("scratch", 30, 10), "scratch got less than pretrained"),
        (record("scratch", 30, 10**6, "other"), "scratch was tuned for other, pretrained for goal"),
        (None, "scratch has not been tuned, pretrained has: 30 trials, 21.0 M steps"),
    ],
)
def test_a_scratch_with_less_tuning_than_the_candidate_is_named(tmp_path: Path, scratch: TuningRecord | None, says: str) -> None:
    keep(tmp_path, record("pretrained", 30, 700_000))
    if scratch:
        keep(tmp_path, scratch)
    assert says in str(unfair("walk", "pretrained", tmp_path))


def test_a_report_names_every_arm_with_what_was_spent_on_it_and_why_that_is_not_fair(tmp_path: Path) -> None:
    def said() -> str:
        return tuning_text("walk", "pretrained", ("scratch", "matched"), tmp_path)

    assert said() == "Tuning: no search by `headstart tune` is on record for pretrained, scratch, matched."
    keep(tmp_path, record("scratch", 20, 1_000_000))
    assert said().endswith(": pretrained: none on record; scratch: 20 trials, 20.0 M steps; matched: none on record.")
    keep(tmp_path, record("pretrained", 30, 700_000))
    assert "Not fair to scratch: scratch got less than pretrained: scratch: 20 trials" in said()
    keep(tmp_path, record("scratch", 30, 1_000_000))
    assert "Not fair" not in said()


def test_a_record_is_continued_only_by_a_search_that_has_all_its_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path, kept = record_path("walk", "scratch"), record("scratch", 2, 100)
    assert path_of_search("walk", "scratch", (), "key") == path  # there is none
    keep(tmp_path, kept)
    more = kept.trials[-1].model_copy(update={"number": 3})
    assert path_of_search("walk", "scratch", (*kept.trials, more), "key") == path
    for others in ((), kept.trials[1:], (kept.trials[0].model_copy(update={"value": 9.5}), *kept.trials[1:], more)):
        assert path_of_search("walk", "scratch", others, "key") == path.with_name("scratch-key.json")
