"""Proportions and means against hand-computed and published numbers."""

import math

import numpy as np
import pytest
from scipy import stats

from headstart.core.errors import InputError
from headstart.core.statistics import (
    interquartile_mean,
    iqm_band,
    iqm_of,
    paired_difference,
    probability_of_improvement,
    t_margin,
    wilson_lower,
    wilson_upper,
)


@pytest.mark.parametrize(("least", "n"), [(187, 200), (279, 300), (462, 500), (25, 25)])
def test_the_least_successes_that_show_ninety_percent(least: int, n: int) -> None:
    assert wilson_lower(least, n) >= 0.90
    assert wilson_lower(least - 1, n) < 0.90


@pytest.mark.parametrize("n", range(1, 25))
def test_fewer_than_25_episodes_cannot_show_ninety_percent_even_if_all_succeed(n: int) -> None:
    assert wilson_lower(n, n) < 0.90


@pytest.mark.parametrize(("most", "n"), [(4, 200), (8, 300), (16, 500), (0, 52)])
def test_the_most_harm_that_shows_at_most_five_percent(most: int, n: int) -> None:
    assert wilson_upper(most, n) <= 0.05
    assert wilson_upper(most + 1, n) > 0.05


def test_51_episodes_cannot_show_five_percent_even_without_any_harm() -> None:
    assert wilson_upper(0, 51) > 0.05


def test_the_bound_is_wilsons_formula() -> None:
    k, n, z = 17, 500, 1.6448536269514722
    centre, half = (k + z * z / 2) / (n + z * z), z / (n + z * z) * math.sqrt(k * (n - k) / n + z * z / 4)

    assert wilson_upper(k, n) == pytest.approx(centre + half, abs=1e-12)
    assert wilson_lower(k, n) == pytest.approx(centre - half, abs=1e-12)


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 7), (3, 7), (7, 7), (499, 512), (20480, 20480)])
def test_the_bounds_are_those_of_scipy(k: int, n: int) -> None:
    low = stats.binomtest(k, n, alternative="greater").proportion_ci(0.95, method="wilson").low
    high = stats.binomtest(k, n, alternative="less").proportion_ci(0.95, method="wilson").high

    assert (wilson_lower(k, n), wilson_upper(k, n)) == pytest.approx((low, high), abs=1e-9)


def test_the_t_margin_and_the_interquartile_mean_are_those_of_scipy() -> None:
    values = np.random.default_rng(0).normal(size=(11, 3))

    assert interquartile_mean(values) == pytest.approx(stats.trim_mean(values, 0.25, axis=0))
    margin = stats.t.ppf(0.95, 10) * stats.sem(values[:, 0])
    assert t_margin(values[:, 0], 0.95) == pytest.approx(margin)


def test_without_episodes_nothing_is_known() -> None:
    assert (wilson_lower(0, 0), wilson_upper(0, 0)) == (0.0, 1.0)


@pytest.mark.parametrize(("k", "n"), [(-1, 10), (11, 10), (1, 0)])
def test_impossible_counts_are_refused(k: int, n: int) -> None:
    with pytest.raises(InputError, match="0 ≤ successes ≤ n"):
        wilson_lower(k, n)


def test_the_interquartile_mean_cuts_a_quarter_at_each_end() -> None:
    values = np.array([100.0, 1.0, 2.0, 3.0, 4.0, -50.0, 5.0, 6.0])

    assert interquartile_mean(values) == pytest.approx((2 + 3 + 4 + 5) / 4)
    assert interquartile_mean(np.array([1.0, 2.0, 9.0])) == pytest.approx(4.0)


def test_a_band_holds_its_mean_is_repeatable_and_collapses_where_seeds_agree() -> None:
    values = np.column_stack([np.arange(10.0), np.full(10, 3.0)])

    iqm, low, high = iqm_band(values, resamples=2000)
    again = iqm_band(values, resamples=2000)

    assert iqm.tolist() == [4.5, 3.0]
    assert low[0] < 4.5 < high[0]
    assert (low[1], high[1]) == (3.0, 3.0)
    assert np.array_equal(np.stack([iqm, low, high]), np.stack(again))


def test_a_band_of_no_seeds_is_refused() -> None:
    with pytest.raises(InputError, match=r"\[seeds, points\]"):
        iqm_band(np.zeros((0, 4)))
    with pytest.raises(InputError, match="got \\[3\\]"):
        iqm_band(np.zeros(3))


def test_the_iqm_of_numbers_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    bands = [iqm_of(rng.normal(0, 1, 20), resamples=400, seed=i) for i in range(300)]

    covered = np.mean([band.low <= 0 <= band.high for band in bands])

    assert 0.88 <= covered <= 0.98  # a percentile bootstrap of 20 values runs a little narrow


def test_a_paired_difference_has_students_bounds() -> None:
    first, second = np.array([0.95, 0.97, 0.96, 0.99]), np.array([0.95, 0.95, 0.95, 0.95])

    found = paired_difference(first, second)

    # Differences 0, .02, .01, .04: mean .0175, s .0170783, t_{.95,3} 2.353363.
    assert found.mean == pytest.approx(0.0175)
    assert found.low == pytest.approx(0.0175 - 2.353363 * 0.0170783 / 2, abs=1e-6)
    assert found.high == pytest.approx(0.0175 + 2.353363 * 0.0170783 / 2, abs=1e-6)


@pytest.mark.parametrize(("n", "n_min"), [(1, 2), (4, 5)])
def test_too_few_pairs_carry_no_bounds(n: int, n_min: int) -> None:
    found = paired_difference(np.ones(n), np.zeros(n), n_min=n_min)

    assert (found.mean, found.low, found.high) == (1.0, None, None)


def test_unequal_lengths_are_not_pairs() -> None:
    with pytest.raises(InputError, match=r"\[3\] and \[2\]"):
        paired_difference(np.zeros(3), np.zeros(2))


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


def test_improvement_over_nobody_is_refused() -> None:
    with pytest.raises(InputError, match="1 candidate and 0 scratch"):
        probability_of_improvement(np.ones(1), np.ones(0))
