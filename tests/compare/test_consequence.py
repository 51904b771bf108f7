"""Bounds of several variants at once: Holm's step-down against hand-computed numbers, and its error rate."""

import numpy as np
import pytest
from scipy import stats

from headstart.compare.consequence import differences, holm_bounds

N = 10


def values(mean: float, sd: float = 0.05) -> np.ndarray:
    """N values of exactly this mean and deviation."""
    z = np.linspace(-1, 1, N)
    return mean + sd * (z - z.mean()) / z.std(ddof=1)


def bound(mean: float, level: float, sd: float = 0.05) -> float:
    return mean - float(stats.t.isf(level, N - 1)) * sd / np.sqrt(N)


def test_one_variant_has_the_ordinary_t_bound() -> None:
    assert holm_bounds({"a": values(0.02)}, 0.05)["a"] == pytest.approx(bound(0.02, 0.05))


def test_the_surest_variant_is_bounded_most_strictly() -> None:
    bounds = holm_bounds({"a": values(0.0), "b": values(0.1), "c": values(0.05)}, 0.05)

    expected = {"b": bound(0.1, 0.05 / 3), "c": bound(0.05, 0.05 / 2), "a": bound(0.0, 0.05)}
    assert bounds == pytest.approx(expected)


def test_after_the_first_variant_that_is_not_shown_no_other_is() -> None:
    """By itself, b would pass at 0.05; behind a, which fails at 0.025, it does not."""
    bounds = holm_bounds({"a": values(-0.0185), "b": values(-0.019)}, 0.05)

    assert bounds == pytest.approx({"a": bound(-0.0185, 0.025), "b": bound(-0.019, 0.025)})
    assert bound(-0.019, 0.05) > -0.05
    assert max(bounds.values()) < -0.05


def test_equal_values_are_known_without_error() -> None:
    bounds = holm_bounds({"kept": np.full(5, -0.05), "lost": np.full(5, -0.06)}, 0.05)

    assert bounds == pytest.approx({"kept": -0.05, "lost": -0.06})


def test_too_few_seeds_carry_a_mean_and_no_bound() -> None:
    found = differences({"a": np.array([0.1, 0.2])}, 0.05, 0.15, n_min=5)["a"]

    assert (found.n, found.mean, found.low, found.low_fail) == (2, pytest.approx(0.15), None, None)


def test_variants_at_the_margin_are_passed_together_in_at_most_one_of_twenty_repetitions() -> None:
    """The family-wise error: any of three policies that truly lost 0.05 is shown to have kept it."""
    draw = np.random.default_rng(4)
    wrong = 0
    for _ in range(1000):
        found = holm_bounds({name: draw.normal(-0.05, 0.05, N) for name in "abc"}, 0.05)
        wrong += any(low >= -0.05 for low in found.values())

    assert wrong / 1000 <= 0.05 + 0.015
