"""Proportions and means against hand-computed and published numbers."""

import math

import numpy as np
import pytest
from scipy import stats

from headstart.core.errors import InputError
from headstart.core.statistics import (
    interquartile_mean,
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
