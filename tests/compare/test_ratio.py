"""Ratio, paired differences, probability of improvement and Kaplan–Meier curve against hand-computed numbers."""

import math

import numpy as np
import pytest

from headstart.compare.ratio import (
    RatioEstimate,
    estimate_ratio,
    kaplan_meier,
    paired_difference,
    probability_of_improvement,
    ratio_upper,
)
from headstart.core.errors import InputError


def estimate(candidate: list[int], is_bound: bool = False) -> RatioEstimate:
    return estimate_ratio(np.array(candidate), np.full(len(candidate), 100), is_bound, pairs_for_interval=5)


def test_the_geometric_mean_and_its_bound_are_those_of_the_logarithms() -> None:
    found = estimate([50, 25, 100, 50, 50])

    # Logs are ln 2 · (−1, −2, 0, −1, −1): mean −ln 2, s = ln 2 · √½; t_{.95,4} 2.131847.
    s = math.log(2) * math.sqrt(0.5)
    assert found.geometric_mean == pytest.approx(0.5)
    assert found.upper == pytest.approx(0.5 * math.exp(2.131847 * s / math.sqrt(5)), rel=1e-6)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_fewer_pairs_than_an_interval_needs_give_the_mean_alone(n: int) -> None:
    found = estimate([50] * n)

    assert (found.n, found.geometric_mean, found.upper) == (n, pytest.approx(0.5), None)


def test_a_ratio_that_is_only_a_bound_says_so_and_has_an_upper_bound() -> None:
    found = estimate([40, 50, 60, 50, 40], is_bound=True)

    assert found.is_bound
    assert found.upper is not None


def test_pairs_without_any_spread_have_their_mean_as_bound() -> None:
    assert ratio_upper(np.log(np.full(10, 0.5))) == pytest.approx(0.5)


@pytest.mark.parametrize(("candidate", "scratch"), [([0, 1], [1, 1]), ([1, 1], [1, 0])])
def test_steps_of_zero_are_refused(candidate: list[int], scratch: list[int]) -> None:
    with pytest.raises(InputError, match="positive step counts"):
        estimate_ratio(np.array(candidate), np.array(scratch), is_bound=False, pairs_for_interval=5)


@pytest.mark.parametrize(("candidate", "scratch"), [(0, 0), (2, 3)])
def test_no_pairs_and_unequal_lengths_are_refused(candidate: int, scratch: int) -> None:
    with pytest.raises(InputError, match="equal lengths"):
        estimate_ratio(np.ones(candidate), np.ones(scratch), is_bound=False, pairs_for_interval=5)


@pytest.mark.parametrize("sd", [0.1, 1.0])
def test_a_truth_at_the_limit_passes_in_one_of_twenty_experiments(sd: float) -> None:
    draws = np.random.default_rng(13).normal(math.log(0.7), sd, (4000, 10))

    false_passes = np.mean([ratio_upper(draw) <= 0.7 for draw in draws])

    assert false_passes == pytest.approx(0.05, abs=0.01)


# --- differences and arrivals ------------------------------------------------------------------------------------------


def test_a_paired_difference_has_students_bounds() -> None:
    first, second = np.array([0.95, 0.97, 0.96, 0.99]), np.array([0.95, 0.95, 0.95, 0.95])

    found = paired_difference(first, second, pairs_for_interval=2)

    # Differences 0, .02, .01, .04: mean .0175, s .0170783, t_{.95,3} 2.353363.
    assert found.mean == pytest.approx(0.0175)
    assert found.low == pytest.approx(0.0175 - 2.353363 * 0.0170783 / 2, abs=1e-6)
    assert found.high == pytest.approx(0.0175 + 2.353363 * 0.0170783 / 2, abs=1e-6)


@pytest.mark.parametrize(("n", "least"), [(1, 2), (4, 5)])
def test_too_few_pairs_carry_no_bounds(n: int, least: int) -> None:
    found = paired_difference(np.ones(n), np.zeros(n), pairs_for_interval=least)

    assert (found.mean, found.low, found.high) == (1.0, None, None)


def test_unequal_lengths_are_not_pairs() -> None:
    with pytest.raises(InputError, match=r"\[3\] and \[2\]"):
        paired_difference(np.zeros(3), np.zeros(2), pairs_for_interval=2)


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
