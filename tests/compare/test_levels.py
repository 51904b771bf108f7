"""Ratio at levels of return, area between curves, profile, ceiling and the ratio over scenarios, against hand-computed numbers."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from tests.scores import score

from headstart.compare.arm_runs import ArmRuns, CurvePoint
from headstart.compare.levels import Steps, aggregate, area_between, ceiling, level_ratios, performance_profile
from headstart.compare.ratio import RatioEstimate

MakeReturns = Callable[..., ArmRuns]
EXACT = 2000  # resamples, where runs have no spread or a wide tolerance is given


@pytest.fixture
def make_returns(make_arm: Callable[..., ArmRuns]) -> MakeReturns:
    """An arm whose run i has the mean returns `curves[i]`, one every 100 steps, and in its exam the return and harm of 100 that are given."""

    def build(
        name: str, curves: Sequence[Sequence[float]], exams: Sequence[float] | None = None, harm: Sequence[int] | None = None
    ) -> ArmRuns:
        arm = make_arm(name, [None] * len(curves))
        runs = []
        for i, (run, returns) in enumerate(zip(arm.runs, curves, strict=True)):
            curve = tuple(
                CurvePoint(env_steps=100 * k, scores={"sampled": score(round(5 * value), return_mean=value)})
                for k, value in enumerate(returns)
            )
            final = score(50, harm=harm[i] if harm else 0, return_mean=exams[i] if exams else returns[-1])
            runs.append(run.model_copy(update={"curve": curve, "exam": {"sampled": final}}))
        return arm.model_copy(update={"runs": tuple(runs)})

    return build


# --- the ratio against the level ----------------------------------------------------------------------------------------


def test_levels_go_from_scratch_at_a_tenth_of_its_steps_to_the_best_median_of_either_arm(make_returns: MakeReturns) -> None:
    scratch = make_returns("scratch", [range(11)] * 5)  # return k at 100 · k of 1000 steps: 1 at a tenth
    candidate = make_returns("pretrained", [[5, 5, 12, 13, 13]] * 5)

    rows = level_ratios(candidate, scratch, "sampled", levels=5)

    assert [row.level for row in rows] == [1, 4, 7, 10, 13]
    assert [(row.candidate_reached, row.scratch_reached) for row in rows] == [(5, 5), (5, 5), (5, 5), (5, 0), (5, 0)]
    # Candidate at 0, 0, 200, 200, 300 steps; scratch after 0, 300, 600 steps. Of level 10 scratch shows only one evaluation, the last: it had
    # not arrived after 900 steps.
    assert [row.ratio for row in rows] == [
        RatioEstimate(median=None, upper=None),  # scratch may have arrived at once
        RatioEstimate(median=0.0, upper=0.0),
        RatioEstimate(median=200 / 600, upper=200 / 600),
        RatioEstimate(median=None, upper=200 / 900),
        RatioEstimate(median=None, upper=0.3),
    ]


def test_one_evaluation_at_a_level_is_not_enough(make_returns: MakeReturns) -> None:
    scratch = make_returns("scratch", [[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]] * 5)
    candidate = make_returns("pretrained", [[0, 9, 0, 9, 9]] * 5)

    last = level_ratios(candidate, scratch, "sampled", levels=3)[-1]

    assert (last.level, last.candidate_reached) == (9, 5)
    assert last.ratio.upper == 0.3  # by 300 of the 1000 steps of scratch, not by 100


def test_where_nothing_exceeds_what_scratch_shows_early_there_is_one_level(make_returns: MakeReturns) -> None:
    candidate, scratch = make_returns("pretrained", [[1.0] * 11] * 5), make_returns("scratch", [[2.0] * 11] * 5)

    assert [row.level for row in level_ratios(candidate, scratch, "sampled")] == [2.0]


# --- areas, profiles, ceiling -------------------------------------------------------------------------------------------


def test_the_area_is_the_mean_difference_over_the_steps_that_all_runs_share(make_returns: MakeReturns) -> None:
    candidate = make_returns("pretrained", [[2, 4, 4, 9], [4, 4, 4, 9]])
    scratch = make_returns("scratch", [[0, 1, 2]])

    found = area_between(candidate, scratch, "sampled", "return", EXACT)

    # Over 0..200: (3 + 4) / 2 = 3.5 and 4, mean 3.75; scratch 1.
    assert found is not None
    assert (found.mean, found.low, found.high) == pytest.approx((2.75, 2.5, 3.0))
    success = area_between(candidate, scratch, "sampled", "success", EXACT)
    assert success is not None
    assert success.mean == pytest.approx(0.1375)  # five of a hundred a unit of return


def test_the_end_may_lie_between_two_evaluations_of_a_run(make_returns: MakeReturns) -> None:
    candidate = make_returns("pretrained", [[0, 2, 4]])
    scratch = make_returns("scratch", [[0, 0, 0]])
    ended = scratch.runs[0].curve[1].model_copy(update={"env_steps": 150})
    scratch = scratch.model_copy(
        update={"runs": (scratch.runs[0].model_copy(update={"curve": (scratch.runs[0].curve[0], ended)}),)}
    )

    found = area_between(candidate, scratch, "sampled", "return", EXACT)

    assert found is not None
    assert (found.mean, found.low, found.high) == pytest.approx((1.5, 1.5, 1.5))


def test_runs_without_a_step_have_no_area(make_returns: MakeReturns) -> None:
    arms = [make_returns(name, [[1.0]]) for name in ("pretrained", "scratch")]

    assert area_between(*arms, "sampled", "return") is None


def test_the_interval_of_an_area_is_that_of_resampled_means(make_returns: MakeReturns) -> None:
    rng = np.random.default_rng(0)
    levels = rng.normal(5.0, 1.0, 20)
    candidate, scratch = make_returns("pretrained", [[one, one] for one in levels]), make_returns("scratch", [[1.0, 1.0]] * 20)

    found = area_between(candidate, scratch, "sampled", "return")

    assert found is not None
    error = levels.std() / math.sqrt(20)
    assert (found.low, found.high) == pytest.approx((found.mean - 1.96 * error, found.mean + 1.96 * error), abs=0.1 * error)


def test_a_profile_is_the_share_of_runs_at_or_above_each_level(make_returns: MakeReturns) -> None:
    arms = [make_returns(name, [[0.0]] * 4, exams) for name, exams in (("pretrained", [2, 3, 4, 4]), ("scratch", [0, 1, 1, 2]))]

    found = performance_profile(arms, "sampled", levels=5, resamples=EXACT)

    assert found["pretrained"].level == found["scratch"].level == (0, 1, 2, 3, 4)
    assert found["pretrained"].share == (1, 1, 1, 0.75, 0.5)
    assert found["scratch"].share == (1, 0.75, 0.25, 0, 0)
    assert (found["pretrained"].low[4], found["pretrained"].high[4]) == (0.0, 1.0)  # of Binomial(4, ½) / 4
    assert (found["pretrained"].low[0], found["pretrained"].high[0]) == (1.0, 1.0)


def test_the_ceiling_says_where_the_candidate_falls_below_and_what_both_end_at(make_returns: MakeReturns) -> None:
    candidate = make_returns("pretrained", [[5, 6, 7, 7, 7]] * 3, exams=[6.5, 7.0, 7.5], harm=[1, 2, 9])
    # Medians 0, 3, 7, 8, 9. The best quarter of five runs are two: those that end at 12 and 10, whatever their exams are.
    curves = [[0, 3, 7, 8, 9], [0, 3, 7, 8, 12], [0, 3, 7, 8, 10], [0, 3, 7, 8, 1], [0, 3, 7, 8, 2]]
    scratch = make_returns("scratch", curves, exams=[19, 11, 9, 1, 2], harm=[5, 3, 1, 0, 0])

    found = ceiling(candidate, scratch, "sampled")

    assert (found.env_steps, found.first_below) == (400, 300)
    assert found.not_below == pytest.approx(3 / 5)  # equal at 200
    assert (found.candidate.return_median, found.candidate.harm_median) == (7.0, 0.02)
    assert (found.scratch.runs, found.scratch.return_median, found.scratch.harm_median) == (5, 9.0, 0.01)
    assert (found.scratch_best.runs, found.scratch_best.return_median, found.scratch_best.harm_median) == (2, 10.0, 0.02)


def test_a_candidate_that_is_never_below_has_no_first_point(make_returns: MakeReturns) -> None:
    arm = make_returns("pretrained", [[1, 2, 3]] * 3)

    found = ceiling(arm, arm, "sampled")

    assert (found.not_below, found.first_below) == (1.0, None)


# --- several scenarios --------------------------------------------------------------------------------------------------


def steps(candidate: float, scratch: float, n: int = 10) -> Steps:
    return Steps(np.full(n, candidate), np.full(n, scratch), np.full(n, 1000.0))


def test_the_ratio_over_scenarios_is_their_geometric_mean_and_those_without_one_are_named() -> None:
    found = aggregate(
        {
            "walk": steps(100, 400),
            "queue": steps(100, 100),
            "never": steps(math.inf, 100),
            "budget": steps(100, math.inf),
            "cloned": steps(0, 100),
        },
        EXACT,
    )

    assert (found.ratio, found.low, found.high) == pytest.approx((0.5, 0.5, 0.5))
    assert (found.scenarios, found.left_out) == (("walk", "queue"), ("never", "budget", "cloned"))


def test_without_any_ratio_there_is_no_aggregate() -> None:
    found = aggregate({"never": steps(math.inf, 100)})

    assert (found.ratio, found.low, found.high, found.left_out) == (None, None, None, ("never",))


def test_more_scenarios_narrow_the_interval() -> None:
    rng = np.random.default_rng(0)
    many = {f"s{i}": Steps(0.5 * rng.lognormal(0, 0.5, 10), rng.lognormal(0, 0.5, 10), np.full(10, 99.0)) for i in range(8)}
    one, all_of_them = aggregate({"s0": many["s0"]}), aggregate(many)

    assert one.low is not None and one.high is not None and one.ratio is not None
    assert all_of_them.low is not None and all_of_them.high is not None
    assert one.low < one.ratio < one.high
    assert math.log(all_of_them.high / all_of_them.low) < 0.6 * math.log(one.high / one.low)


def test_resamples_in_which_scratch_does_not_arrive_leave_the_lower_end_open_and_the_upper_end_at_the_budget() -> None:
    arrivals = np.append(np.full(5, 400.0), np.full(5, math.inf))
    found = aggregate({"walk": Steps(np.full(10, 100.0), arrivals, np.full(10, 1000.0))}, EXACT)

    # The median of a resample is 400, or beyond 1000 in about four of ten.
    assert (found.ratio, found.low, found.high) == (pytest.approx(0.25), 0.0, pytest.approx(0.25))


def test_where_scratch_does_not_arrive_in_one_of_many_scenarios_the_upper_end_takes_its_budget() -> None:
    arrivals = np.append(np.full(5, 400.0), np.full(5, math.inf))
    many = {f"s{i}": Steps(np.full(10, 100.0), arrivals, np.full(10, 1000.0)) for i in range(10)}

    # A median of scratch is 400 with P(Bin(10, ½) ≥ 5) = .623: all ten are in .9 % of the resamples, and nine or more in 6 %.
    assert aggregate(many, EXACT).high == pytest.approx((0.25**9 * 0.1) ** (1 / 10))


def test_resamples_in_which_the_candidate_does_not_arrive_leave_the_upper_end_open() -> None:
    arrivals = np.append(np.full(5, 100.0), np.full(5, math.inf))
    found = aggregate({"walk": Steps(arrivals, np.full(10, 400.0), np.full(10, 1000.0))}, EXACT)

    assert (found.ratio, found.low, found.high) == (pytest.approx(0.25), pytest.approx(0.25), None)
