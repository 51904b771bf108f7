"""Kaplan–Meier and log-rank against hand-computed values."""

import math

import numpy as np
import pytest
from scipy import stats

from headstart.compare.survival import kaplan_meier, logrank_p
from headstart.core.errors import InputError


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


def test_the_log_rank_p_is_that_of_the_hand_computed_chi_square() -> None:
    # x arrives at 1, 2; y at 3, 4. At 1: expected of x 2/4, variance 1/4; at 2: 1/3, 2/9; later x is gone: 0.
    observed, expected, variance = 2, 1 / 2 + 1 / 3, 1 / 4 + 2 / 9
    chi_square = (observed - expected) ** 2 / variance

    p = logrank_p(np.array([1, 2]), np.zeros(2, bool), np.array([3, 4]), np.zeros(2, bool))

    assert p == pytest.approx(math.erfc(math.sqrt(chi_square / 2)))
    assert p == pytest.approx(float(stats.chi2.sf(chi_square, 1)))


@pytest.mark.parametrize(
    ("x", "x_censored", "y", "y_censored"),
    [
        ([5, 5], [True, True], [5, 5], [True, True]),  # nobody arrived
        ([5, 5], [False, False], [5, 5], [False, False]),  # all at once
        ([9, 9], [False, False], [1, 1], [True, True]),  # nobody left to compare with
    ],
)
def test_where_the_test_says_nothing_there_is_no_p(
    x: list[int], x_censored: list[bool], y: list[int], y_censored: list[bool]
) -> None:
    assert logrank_p(*(np.array(column) for column in (x, x_censored, y, y_censored))) is None


def test_arms_that_clearly_differ_have_a_small_p() -> None:
    early, late = np.arange(10) + 1, np.full(10, 100)

    p = logrank_p(early, np.zeros(10, bool), late, np.ones(10, bool))

    assert p is not None
    assert p < 0.001


def test_flags_that_do_not_match_the_runs_are_refused() -> None:
    with pytest.raises(InputError, match="censoring flags"):
        kaplan_meier(np.ones(3), np.zeros(2, bool))
