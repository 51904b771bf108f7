"""When a target is reached, and what a run is charged for it."""

from collections.abc import Callable, Sequence

import pytest
from pydantic import ValidationError

from headstart.compare.arm_runs import Score, SeedRun
from headstart.compare.target import Passage, meets, passage, steps_to_target
from headstart.config.scenario import Target
from headstart.core.errors import InputError

MakeRun = Callable[..., SeedRun]
MakeScore = Callable[..., Score]


@pytest.mark.parametrize(
    ("hits", "after", "by"),
    [
        ([95, 95, 95, 95], 0, 0),  # cloned: there before its first update
        ([10, 95, 95, 95], 0, 100),
        ([95, 95, 10, 95, 95, 95], 200, 300),  # a streak of two does not count
        ([95, 95, 95, 10, 10], 0, 0),  # lost again later: still reached
        ([10, 10, 95, 95], 300, None),  # the budget ends before the third
        ([10, 10, 10, 10], 300, None),
        ([90, 90, 90], 0, 0),  # the threshold itself
        ([89, 90, 89, 90], 300, None),
        ([10], 0, None),  # a run without a step
    ],
)
def test_a_target_is_reached_between_the_evaluation_before_its_streak_and_the_first_of_it(
    hits: Sequence[int], after: int, by: int | None, target: Target, make_run: MakeRun
) -> None:
    run = make_run(4, hits)

    assert passage(run, target) == Passage(seed=4, after=after, by=by)
    assert steps_to_target(run.curve, target) == by


def test_a_single_evaluation_is_enough_where_the_target_says_so(make_run: MakeRun) -> None:
    once = Target(name="once", success_rate=0.9, consecutive=1)

    assert passage(make_run(0, [10, 95, 10]), once) == Passage(seed=0, after=0, by=100)


@pytest.mark.parametrize("at", range(1, 30))
@pytest.mark.parametrize("later", [0, 1, 7])
def test_what_an_interval_hides_is_counted_against_the_candidate(at: int, later: int, target: Target, make_run: MakeRun) -> None:
    early, late = (passage(make_run(0, [10] * hit + [95] * 5), target) for hit in (at, at + later))

    assert early.by is not None and late.by is not None
    assert early.by * late.by >= early.by * late.after  # the ratio that is shown, by ÷ after, is at least by ÷ by
    assert late.by - late.after == 100


@pytest.mark.parametrize(
    ("success", "harm", "return_mean", "expected"),
    [
        (90, 5, 2.0, True),
        (89, 5, 2.0, False),
        (90, 6, 2.0, False),
        (90, 5, 1.9, False),
        (0, 0, 9.0, False),
    ],
)
def test_a_target_is_met_if_success_harm_and_return_all_are(
    success: int, harm: int, return_mean: float, expected: bool, make_score: MakeScore
) -> None:
    target = Target(name="all", success_rate=0.9, harm_rate=0.05, return_mean=2.0)

    assert meets(make_score(success, harm, return_mean=return_mean), target) is expected


def test_parts_that_a_target_does_not_name_are_not_asked_for(make_score: MakeScore) -> None:
    assert meets(make_score(90, harm=100, return_mean=-1e6), Target(name="success", success_rate=0.9))


def test_the_mode_says_which_policy_is_looked_at(target: Target, make_run: MakeRun) -> None:
    argmax = target.model_copy(update={"mode": "deterministic"})
    run = make_run(0, [95] * 4)  # the builder's deterministic policy succeeds ten times less

    assert steps_to_target(run.curve, target) == 0
    assert steps_to_target(run.curve, argmax) is None


def test_an_empty_curve_is_refused(target: Target) -> None:
    with pytest.raises(InputError, match="empty"):
        steps_to_target((), target)


def test_a_curve_that_runs_backwards_is_refused(target: Target, make_run: MakeRun) -> None:
    curve = make_run(0, [10, 10, 10]).curve

    with pytest.raises(InputError, match="got 200 then 100"):
        steps_to_target((curve[0], curve[2], curve[1]), target)


@pytest.mark.parametrize(
    ("success", "harm", "episodes", "message"),
    [(0, 0, 0, "episodes"), (101, 0, 100, r"within 0\.\.100"), (1, 101, 100, r"within 0\.\.100"), (1, -1, 100, "harm")],
)
def test_counts_that_cannot_be_counts_of_episodes_are_refused(
    success: int, harm: int, episodes: int, message: str, make_score: MakeScore
) -> None:
    with pytest.raises(ValidationError, match=message):
        make_score(success, harm, episodes)


@pytest.mark.parametrize("change", [{"success_rate": 0.0}, {"success_rate": 1.1}, {"consecutive": 0}])
def test_a_target_that_anything_meets_cannot_be_declared(change: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Target.model_validate({"name": "free", "success_rate": 0.9} | change)


def test_a_measure_must_be_there_and_reach_its_least() -> None:
    target = Target(name="fast", success_rate=0.5, measures={"stl_bp": 7000.0})
    score = Score(episodes=10, success=9, harm=0, return_mean=0.0, return_sd=0.0, measures={"stl_bp": 7000.0})
    assert meets(score, target)
    assert not meets(score.model_copy(update={"measures": {"stl_bp": 6999.0}}), target)
    assert not meets(score.model_copy(update={"measures": {}}), target)
