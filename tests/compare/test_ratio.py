"""The ratio and its bound against scipy, hand-computed numbers and what must hold for any steps; differences and arrivals likewise."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scipy import stats

from headstart.compare.ratio import (
    difference,
    estimate_ratio,
    kaplan_meier,
    median_steps,
    p_values,
    probability_of_improvement,
    ratio_upper,
)
from headstart.core.errors import InputError

TEN = np.arange(1.0, 11.0)
NEVER = math.inf


def steps(lowest: int = 0, never: bool = False) -> st.SearchStrategy[Any]:
    """Few distinct values, so that ties are the rule."""
    one = st.integers(lowest, 8).map(float)
    return st.lists(one | st.just(NEVER) if never else one, min_size=5, max_size=12).map(np.array)


def or_infinity(upper: float | None) -> float:
    return NEVER if upper is None else upper


# --- the test that is inverted ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "m"), [(10, 10), (5, 12), (12, 5)])
@pytest.mark.parametrize("r", [0.5, 1.0, 1.7])
def test_p_values_are_those_of_scipy(n: int, m: int, r: float) -> None:
    rng = np.random.default_rng(n)
    candidate, scratch = rng.lognormal(0.0, 1.0, n), rng.lognormal(0.3, 0.5, m)

    # scipy's sign: "less" means that its first sample tends to be the lesser one
    expected = stats.brunnermunzel(candidate, r * scratch, alternative="less").pvalue

    assert p_values(candidate, scratch, np.array([r])) == pytest.approx([expected], rel=1e-9)


def test_p_values_are_those_of_scipy_with_ties_zeros_and_censored_runs() -> None:
    candidate = np.array([0.0, 2.0, 2.0, 4.0, 6.0, 8.0, NEVER, NEVER])
    scratch = np.array([0.0, 1.0, 2.0, 3.0, 3.0, 3.0])
    ranked = np.where(np.isinf(candidate), 1e9, candidate)

    for r in (1.0, 2.0, 4.0):
        expected = stats.brunnermunzel(ranked, r * scratch, alternative="less").pvalue
        assert p_values(candidate, scratch, np.array([r])) == pytest.approx([expected], rel=1e-9)


def test_where_one_side_is_ahead_in_all_pairs_the_p_value_is_that_of_five_wins_in_five_or_1() -> None:
    ahead, tied = np.ones(5), np.full(5, 3.0)

    assert p_values(ahead, tied, np.array([0.1, 1 / 3, 1.0])).tolist() == pytest.approx([1.0, 1.0, 1 / 32])
    assert p_values(np.full(5, NEVER), tied, np.array([1e9])).tolist() == [1.0]


# --- the bound ----------------------------------------------------------------------------------------------------------


def test_arms_without_any_spread_have_their_ratio_as_bound() -> None:
    assert ratio_upper(np.full(10, 30.0), np.full(10, 100.0)) == 0.3


def test_the_bound_is_where_scipy_stops_to_exclude_ratios() -> None:
    rng = np.random.default_rng(3)
    candidate, scratch = rng.lognormal(-1.0, 0.4, 10), rng.lognormal(0.0, 0.8, 12)
    upper = ratio_upper(candidate, scratch)
    assert upper is not None

    def p(r: float) -> float:
        return float(stats.brunnermunzel(candidate, r * scratch, alternative="less").pvalue)

    assert p(upper * (1 - 1e-6)) > 0.05
    assert all(p(upper * factor) < 0.05 for factor in (1 + 1e-6, 1.01, 1.1, 1.3, 1.5))


@pytest.mark.parametrize(("early", "expected"), [(10, 0.1), (9, 0.1), (8, 0.5), (7, 0.5)])
def test_if_no_run_of_scratch_arrived_the_bound_is_a_late_run_of_the_candidate_over_the_budget(
    early: int, expected: float
) -> None:
    # Of ten even chances nine or more win with probability 11 / 1024, eight or more with 56 / 1024, which is more than 5 %.
    candidate = np.where(np.arange(10) < early, 10.0, 50.0)

    found = estimate_ratio(candidate, np.full(10, NEVER), np.full(10, 100.0))

    assert (found.median, found.upper) == (None, expected)


@pytest.mark.parametrize("runs", [5, 9, 10, 12, 20])
def test_if_one_arm_has_no_spread_the_test_is_the_binomial_one_of_the_other(runs: int) -> None:
    constant, one = np.full(30, 5.0), np.array([1.0])
    for wins in range((runs + 1) // 2, runs):
        expected = stats.binomtest(wins, runs, alternative="greater").pvalue
        ahead = np.where(np.arange(runs) < wins, 1.0, 9.0)  # as the candidate
        behind = np.where(np.arange(runs) < wins, 9.0, 1.0)  # as scratch
        assert p_values(ahead, constant, one) == pytest.approx([expected], rel=1e-9)
        assert p_values(constant, behind, one) == pytest.approx([expected], rel=1e-9)


def test_a_tie_with_an_arm_without_spread_is_no_win() -> None:
    ahead = np.array([1.0] * 8 + [5.0] + [9.0])

    assert p_values(ahead, np.full(10, 5.0), np.array([1.0])) == pytest.approx([56 / 1024])


def test_a_pair_that_both_lie_beyond_the_budget_does_not_count_for_the_candidate() -> None:
    # Three of ten arrive at once and the others never; scratch may arrive right after its budget, which would be sooner in most pairs.
    candidate = np.where(np.arange(10) < 3, 1.0, NEVER)

    assert ratio_upper(candidate, np.full(10, 100.0)) is None


def test_a_target_that_is_met_before_training_has_ratio_0() -> None:
    found = estimate_ratio(np.zeros(10), 100 * TEN, np.full(10, 1000.0))

    assert (found.median, found.upper) == (0.0, 0.0)


def test_a_run_of_scratch_that_arrives_at_once_is_never_beaten() -> None:
    assert ratio_upper(np.ones(10), np.zeros(10)) is None
    assert ratio_upper(np.zeros(10), np.zeros(10)) is None


def test_a_candidate_that_never_arrives_has_neither_ratio_nor_bound() -> None:
    found = estimate_ratio(np.full(10, NEVER), 100 * TEN, np.full(10, 1000.0))

    assert (found.median, found.upper) == (None, None)


@pytest.mark.parametrize(("n", "m"), [(4, 10), (10, 4)])
def test_fewer_than_five_runs_on_a_side_carry_no_bound(n: int, m: int) -> None:
    found = estimate_ratio(np.ones(n), np.full(m, 2.0), np.full(m, 2.0))

    assert (found.median, found.upper) == (0.5, None)


# --- the estimate -------------------------------------------------------------------------------------------------------


def test_the_estimate_is_the_ratio_of_the_medians_and_a_longer_budget_does_not_change_it() -> None:
    arrivals = np.array([100.0, 200, 300, 400, 500, NEVER, NEVER, NEVER, NEVER, NEVER])

    short = estimate_ratio(10 * TEN, arrivals, np.full(10, 600.0))
    long = estimate_ratio(10 * TEN, arrivals, np.full(10, 6000.0))

    assert short.median == long.median == 50 / 500


def test_fewer_than_half_arrived_is_not_estimable() -> None:
    arrivals = np.where(TEN <= 4, 100 * TEN, NEVER)

    assert estimate_ratio(TEN, arrivals, np.full(10, 600.0)).median is None
    assert estimate_ratio(arrivals, 100 * TEN, np.full(10, 1000.0)).median is None


def test_a_run_of_scratch_that_was_stopped_early_counts_for_the_median_only_while_it_was_watched() -> None:
    # At 200 the stopped run leaves; the others arrive at 300 and 400: 1 − ½ at 300. Counted as never, the median would be 400.
    arrivals, watched = np.array([NEVER, 300.0, 400.0]), np.array([200.0, 900.0, 900.0])

    assert estimate_ratio(np.array([30.0, 30.0, 30.0]), arrivals, watched).median == 0.1


def test_a_run_of_scratch_that_was_stopped_early_may_have_arrived_right_then_for_the_bound() -> None:
    arrivals = np.append(np.full(9, 100.0), NEVER)
    stopped, imagined = np.append(np.full(9, 100.0), 20.0), np.append(np.full(9, 100.0), 20.0)

    assert estimate_ratio(TEN, arrivals, stopped).upper == estimate_ratio(TEN, imagined, stopped).upper


@pytest.mark.parametrize(
    ("candidate", "scratch", "watched", "message"),
    [
        ([], [1.0], [1.0], "≥ 0 of both arms"),
        ([1.0], [], [], "≥ 0 of both arms"),
        ([-1.0], [1.0], [1.0], "≥ 0 of both arms"),
        ([math.nan], [1.0], [1.0], "≥ 0 of both arms"),
        ([1.0], [2.0], [1.0], "at least those to target"),
        ([1.0], [1.0], [math.inf], "at least those to target"),
        ([1.0], [1.0, 1.0], [1.0], "at least those to target"),
    ],
)
def test_steps_that_cannot_be_are_refused(
    candidate: list[float], scratch: list[float], watched: list[float], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        estimate_ratio(np.array(candidate), np.array(scratch), np.array(watched))


# --- what holds for any steps -------------------------------------------------------------------------------------------


@given(steps(never=True), steps(), st.randoms())
def test_the_order_of_runs_does_not_matter(candidate: Any, scratch: Any, random: Any) -> None:
    ours, theirs = candidate.tolist(), scratch.tolist()
    random.shuffle(ours)
    random.shuffle(theirs)

    assert ratio_upper(np.array(ours), np.array(theirs)) == ratio_upper(candidate, scratch)


@given(steps(never=True), steps(), st.sampled_from([0.25, 4.0, 1024.0]))
def test_the_unit_of_steps_does_not_matter_and_a_candidate_c_times_slower_has_a_bound_c_times_greater(
    candidate: Any, scratch: Any, c: float
) -> None:
    upper = ratio_upper(candidate, scratch)

    assert ratio_upper(c * candidate, c * scratch) == upper
    assert ratio_upper(c * candidate, scratch) == (None if upper is None else c * upper)


@given(steps(never=True), steps(), st.integers(1, 8))
def test_a_longer_budget_never_loosens_the_bound(candidate: Any, scratch: Any, budget: int) -> None:
    cut = np.minimum(scratch, float(budget))

    assert or_infinity(ratio_upper(candidate, scratch)) <= or_infinity(ratio_upper(candidate, cut))


@given(steps(never=True), steps(), st.integers(0, 4), st.integers(1, 8))
@example(np.zeros(5), np.array([0.0, 1, 1, 1, 1]), 0, 1)  # the t test of one wins what the binomial one of none does not
def test_a_run_of_the_candidate_that_arrives_later_never_tightens_the_bound(
    candidate: Any, scratch: Any, which: int, later: int
) -> None:
    slower = candidate.copy()
    slower[which] += later

    assert or_infinity(ratio_upper(slower, scratch)) >= or_infinity(ratio_upper(candidate, scratch))


@given(steps(never=True), steps(lowest=1))
def test_the_bound_lies_between_the_ratio_of_even_chances_and_the_one_at_which_the_candidate_wins_all_pairs(
    candidate: Any, scratch: Any
) -> None:
    quotients = np.divide.outer(candidate, scratch)
    upper = or_infinity(ratio_upper(candidate, scratch))

    assert upper <= quotients.max()
    assert upper >= np.sort(quotients, axis=None)[(quotients.size - 1) // 2]


@given(steps(), st.integers(1, 4))
def test_an_arm_compared_with_itself_never_shows_a_head_start(candidate: Any, copies: int) -> None:
    assume((candidate > 0).any())

    assert or_infinity(ratio_upper(candidate, np.tile(candidate, copies))) >= 1


# --- differences and arrivals ------------------------------------------------------------------------------------------


def test_a_difference_has_welchs_bounds() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(1.0, 0.1, 10), rng.normal(0.9, 0.4, 7)
    expected = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.90)  # two tails of 5 %

    found = difference(first, second)

    assert found.mean == pytest.approx(first.mean() - second.mean())
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_a_difference_to_a_constant_has_students_bounds() -> None:
    found = difference(np.array([0.95, 0.97, 0.96, 0.99, 0.95]), np.array([0.95]))

    # Differences 0, .02, .01, .04, 0: mean .014, s .0167332, t_{.95,4} 2.131847.
    margin = 2.131847 * 0.0167332 / math.sqrt(5)
    assert (found.mean, found.low, found.high) == pytest.approx((0.014, 0.014 - margin, 0.014 + margin), abs=1e-7)


def test_values_without_spread_have_their_mean_as_bounds() -> None:
    found = difference(np.ones(5), np.full(6, 0.5))

    assert (found.mean, found.low, found.high) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(("n", "m"), [(4, 10), (10, 4), (1, 1), (4, 1)])
def test_too_few_values_carry_no_bounds(n: int, m: int) -> None:
    found = difference(np.ones(n), np.zeros(m))

    assert (found.mean, found.low, found.high) == (1.0, None, None)


@pytest.mark.parametrize(
    ("candidate", "scratch", "expected"),
    [
        ([1, 2], [3, 4], 1.0),
        ([3, 4], [1, 2], 0.0),
        ([1, 3], [2, 3], (1 + 1 + 0 + 0.5) / 4),
        ([math.inf, 1], [math.inf, 2], (0.5 + 0 + 1 + 1) / 4),
    ],
)
def test_probability_of_improvement_counts_pairs_and_half_of_ties(
    candidate: list[float], scratch: list[float], expected: float
) -> None:
    assert probability_of_improvement(np.array(candidate), np.array(scratch)) == pytest.approx(expected)


def test_a_censored_run_counts_while_it_was_watched_and_never_as_arrived() -> None:
    # Arrivals at 100 (4 at risk) and 300 (2 at risk); censored at 200 and 400: 1 − 3/4 · 1/2.
    found = kaplan_meier(np.array([100, 200, 300, 400]), np.array([False, True, False, True]))

    share = dict(zip(found.steps, found.share, strict=True))
    assert share[100.0] == pytest.approx(0.25)
    assert share[200.0] == pytest.approx(0.25)
    assert share[300.0] == pytest.approx(1 - 0.75 * 0.5)
    assert share[400.0] == pytest.approx(1 - 0.75 * 0.5)
    assert (found.runs, found.censored, found.median_steps) == (4, 2, 300.0)


def test_if_nobody_arrives_there_is_no_median_and_the_staircase_stays_at_zero() -> None:
    found = kaplan_meier(np.array([500, 500]), np.array([True, True]))

    assert found.median_steps is None
    assert set(found.share) == {0.0}


@pytest.mark.parametrize("n", range(1, 41))
def test_half_of_an_even_number_of_runs_is_enough_for_a_median_whatever_the_rounding(n: int) -> None:
    half = (n + 1) // 2
    arrivals = np.where(np.arange(1, n + 1) <= half, np.arange(1.0, n + 1), np.inf)

    found = kaplan_meier(np.minimum(arrivals, n + 1.0), np.isinf(arrivals))

    assert found.median_steps == median_steps(arrivals) == half
