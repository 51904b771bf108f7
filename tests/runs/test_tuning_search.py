"""A search on CartPole with a few hundred steps: what a trial plays, when it ends, what it counts, and how a search goes on."""

from dataclasses import replace
from pathlib import Path

import pytest

optuna = pytest.importorskip("optuna", reason="needs the extra `tune`")

from tests.one_process import run_here  # noqa: E402

from headstart.config.params import changed, load_params  # noqa: E402
from headstart.config.scenario import Target, load_scenario  # noqa: E402
from headstart.core.errors import Busy, IntegrityError  # noqa: E402
from headstart.runs import tuning_search  # noqa: E402
from headstart.runs.tuning_search import (  # noqa: E402
    Limits,
    Search,
    TrialJob,
    run_search,
    run_trial,
    study_of,
    trials_of,
)
from headstart.runs.tuning_space import arm_with, settings_of, space_of  # noqa: E402

ROOT = Path(__file__).parents[2]
EVERY, BUDGET, SEEDS = 128, 512, (1000, 1001)
HARD = Target(name="hard", success_rate=1.0, return_mean=500)
EASY = Target(name="easy", success_rate=0.01, return_mean=0, consecutive=3)


@pytest.fixture
def search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Search:
    """Of scratch with two seeds and four evaluations after the first; its trials run in this process."""

    monkeypatch.setattr(tuning_search, "run_all", run_here)
    scenario = load_scenario("cartpole", ROOT / "scenarios")
    scenario = scenario.model_copy(update={"success": ("every return >= 10",)})
    phase = {"name": "learn", "kind": "ppo", "env_steps": BUDGET, "learning_rate": 0.003, "entropy_coef": 0.0}
    ppo = {"worlds": 8, "rollout_ticks": 16, "num_epochs": 1, "mini_batch_size": 64}
    changes = {
        "seeds": SEEDS,
        "network": {"hidden": [8]},
        "evaluation": {"worlds": 2, "every": EVERY, "seed": 1500},
        "arms": {"scratch": {"ppo": ppo, "phases": [phase]}},
        "tuning": {"space": {"ppo.num_epochs": [1, 2], "ppo.worlds": [8, 16], "ppo.rollout_ticks": [16]}},
    }
    params = changed(load_params(ROOT / "params.yaml"), changes, "test")
    (tmp_path / "study").mkdir()
    code = tuning_search.code_sha256(tuning_search.MODULES)
    return Search(params, scenario, "scratch", HARD, space_of(params, "scratch"), EVERY, tmp_path / "study", code)


def run(search: Search, trials: int, steps: int | None = None, deadline: float | None = None) -> list[int]:
    numbers: list[int] = []
    run_search(search, Limits(trials, steps, deadline), numbers.append)
    return numbers


def test_the_first_trial_is_the_arm_as_it_stands_on_all_seeds(search: Search) -> None:
    assert run(search, 2) == [0, 1]
    first, second = trials_of(search)
    assert first.settings == settings_of(search.recipe)
    assert (first.state, first.reached, first.steps) == ("complete", 0, BUDGET * len(SEEDS))
    assert first.value is not None and BUDGET < first.value < 2 * BUDGET
    assert second.settings != first.settings
    assert arm_with(search.recipe, second.settings).budget == BUDGET


def test_a_run_ends_when_its_target_is_confirmed(search: Search) -> None:
    run(replace(search, target=EASY), 1)
    (trial,) = trials_of(search)
    assert (trial.state, trial.reached, trial.value) == ("complete", len(SEEDS), 0.0)
    assert trial.steps == 2 * EVERY * len(SEEDS)  # three evaluations in a row, the first of them before training


def test_a_hopeless_trial_is_pruned_and_its_steps_count(search: Search) -> None:
    study, points = study_of(search), search.points * len(SEEDS)
    spaces = {"x": optuna.distributions.CategoricalDistribution([0, 1])}
    for _ in range(5):
        planted = {"params": {"x": 0}, "distributions": spaces, "value": 1.0, "user_attrs": {"settings": {"x": 0}}}
        study.add_trial(optuna.trial.create_trial(**planted, intermediate_values=dict.fromkeys(range(points), 1.0)))
    run(search, 1)
    trial = trials_of(search)[-1]
    assert trial.state == "pruned"
    assert trial.value is not None and trial.value > BUDGET
    assert 0 < trial.steps < BUDGET
    assert trial.steps == EVERY * (search.points // 4)  # pruned at the first evaluation at which pruning is allowed


def test_what_a_trial_reports_falls_to_its_value(search: Search) -> None:
    run(replace(search, target=HARD.model_copy(update={"return_mean": 60.0})), 1)
    (trial,) = study_of(search).trials
    reported = [trial.intermediate_values[point] for point in range(search.points * len(SEEDS))]
    assert reported == sorted(reported, reverse=True)
    assert reported[0] > reported[-1] == trial.value


def test_with_one_process_a_search_in_parts_is_the_search_in_one_go(search: Search, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = replace(search, folder=tmp_path / "other")
    run(search, 3)
    run(other, 1)
    run(other, 2)
    assert trials_of(other) == trials_of(search)
    assert len({str(trial.settings) for trial in trials_of(search)}) == 3


def test_a_trial_whose_process_was_killed_has_failed_and_is_tried_again(search: Search) -> None:
    run(search, 1)
    lost = study_of(search, 7).ask()
    settings = tuning_search.suggested(search, lost)
    lost.set_user_attr("settings", settings)
    lost.set_user_attr("steps", 300)
    run(search, 1)
    _, failed, again = trials_of(search)
    assert (failed.state, failed.value, failed.steps) == ("failed", None, 300)
    assert (again.state, again.settings) == ("complete", settings)


def test_no_trial_begins_once_the_steps_or_the_time_are_spent(search: Search) -> None:
    each = BUDGET * len(SEEDS)
    assert run(search, 5, steps=each + 1) == [0, 1]
    assert run(search, 5, steps=2 * each) == []
    assert run(search, 5, deadline=0.0) == []


def test_a_search_that_another_process_runs_is_busy(search: Search) -> None:
    with tuning_search._alone(search.folder), pytest.raises(Busy, match="another process runs this search"):
        run(search, 1)
    assert run(search, 1) == [0]


def test_other_code_than_the_search_began_with_plays_no_trial(search: Search) -> None:
    with pytest.raises(IntegrityError, match="its source files changed"):
        run_trial(TrialJob(replace(search, code_sha256="0" * 64), 0, Limits(1)), print)


def test_a_loss_that_is_not_finite_ends_its_run(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    from headstart.learn import anneal

    update = anneal.update
    monkeypatch.setattr(anneal, "update", lambda *inputs: update(*inputs) | {"nonfinite": 1.0})
    run(search, 1)
    (trial,) = trials_of(search)
    assert (trial.state, trial.steps) == ("complete", EVERY * len(SEEDS))  # one rollout of each seed
