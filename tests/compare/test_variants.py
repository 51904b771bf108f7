"""Bounds in held-out variants agree with scipy and with hand-computed t bounds, and those of several variants hold together."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pytest
from scipy import stats
from tests.shifts import facts

from headstart.compare.ratio import Estimate, paired, unpaired
from headstart.compare.variants import Group, Margins, Measure, bounds, find_variants, holm_bounds, variant_checks
from headstart.core.verdict import About

RUNS = 10
MARGINS = Margins(hold=0.05, fail=0.15)


def losses(mean: float, sd: float = 0.05) -> Estimate:
    """Of RUNS paired differences of exactly this mean and deviation."""
    z = np.linspace(-1, 1, RUNS)
    return paired(mean + sd * (z - z.mean()) / z.std(ddof=1))


def bound(mean: float, level: float, sd: float = 0.05) -> float:
    return mean + float(stats.t.isf(level, RUNS - 1)) * sd / np.sqrt(RUNS)


# --- Holm's step-down ----------------------------------------------------------------------------------------------------


def test_one_variant_has_the_ordinary_t_bound() -> None:
    assert holm_bounds({"a": losses(0.02)}, 0.05)["a"] == pytest.approx(bound(0.02, 0.05))


def test_the_surest_variant_is_bounded_most_strictly() -> None:
    found = holm_bounds({"a": losses(0.0), "b": losses(-0.1), "c": losses(-0.05)}, 0.05)

    expected = {"b": bound(-0.1, 0.05 / 3), "c": bound(-0.05, 0.05 / 2), "a": bound(0.0, 0.05)}
    assert found == pytest.approx(expected)


def test_after_the_first_variant_that_is_not_shown_no_other_is() -> None:
    """By itself, b would pass at 0.05; behind a, which fails at 0.025, it does not."""
    found = holm_bounds({"a": losses(0.0185), "b": losses(0.019)}, 0.05)

    assert found == pytest.approx({"a": bound(0.0185, 0.025), "b": bound(0.019, 0.025)})
    assert bound(0.019, 0.05) < 0.05
    assert min(found.values()) > 0.05


def test_equal_values_are_known_without_error() -> None:
    found = holm_bounds({"kept": paired(np.full(5, 0.05)), "lost": paired(np.full(5, 0.06))}, 0.05)

    assert found == pytest.approx({"kept": 0.05, "lost": 0.06})


@pytest.mark.parametrize("groups", ["paired", "unpaired"])
def test_variants_at_the_margin_are_passed_together_in_at_most_one_of_twenty_repetitions(groups: str) -> None:
    """The family-wise error: any of three policies that truly lost 0.05 is shown to have kept it; the groups differ in spread and size."""
    draw = np.random.default_rng(4)

    def lost() -> Estimate:
        if groups == "paired":
            return paired(draw.normal(0.05, 0.05, RUNS))
        return unpaired(draw.normal(0.25, 0.08, 6), draw.normal(0.2, 0.02, RUNS))

    wrong = sum(any(high <= 0.05 for high in holm_bounds({name: lost() for name in "abc"}, 0.05).values()) for _ in range(1000))

    assert wrong / 1000 <= 0.05 + 0.015


# --- differences ---------------------------------------------------------------------------------------------------------


def test_two_groups_have_the_bounds_of_welch() -> None:
    draw = np.random.default_rng(8)
    first, second = draw.normal(0.3, 0.08, 7), draw.normal(0.2, 0.02, 12)
    expected = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.90)  # one-sided 95 % at either end

    found = bounds({"a": unpaired(first, second)}, 1, MARGINS, runs_for_bound=5)["a"]
    below = bounds({"a": unpaired(first, second)}, -1, MARGINS, runs_for_bound=5)["a"]

    assert (found.n, found.mean) == (7, pytest.approx(first.mean() - second.mean()))
    assert (below.bound, found.bound) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_a_group_without_spread_leaves_the_error_of_the_other() -> None:
    found, other = unpaired(np.full(10, 0.2), np.arange(5) / 10), paired(np.arange(5) / 10)

    assert (found.n, found.error, found.freedom) == (5, pytest.approx(other.error), pytest.approx(other.freedom))


@pytest.mark.parametrize(
    "values", [paired(np.array([0.1, 0.2])), unpaired(np.array([0.15]), np.zeros(10)), paired(np.array([0.15]))]
)
def test_too_few_runs_carry_a_mean_and_no_bound(values: Estimate) -> None:
    found = bounds({"a": values}, 1, MARGINS, runs_for_bound=5)["a"]

    assert (found.mean, found.bound, found.bound_fail) == (pytest.approx(0.15), None, None)


@pytest.mark.parametrize(("sign", "mean"), [(1, 0.02), (-1, -0.02)])
def test_a_bound_lies_on_the_side_of_the_loss(sign: Literal[-1, 1], mean: float) -> None:
    found = bounds({"a": losses(mean)}, sign, MARGINS, runs_for_bound=5)["a"]

    assert found.bound == pytest.approx(sign * bound(0.02, 0.05))


# --- what is compared with what ------------------------------------------------------------------------------------------


def grouped(candidate: Sequence[Sequence[int]], clones: Sequence[int]) -> list[Group]:
    """Harm in 100 episodes, of the runs of every clone and of the clones."""
    return [Group(facts(harm=own), [facts(harm=run) for run in runs]) for runs, own in zip(candidate, clones, strict=True)]


def test_harm_is_counted_and_bounded_above_and_success_below() -> None:
    groups = grouped([[12], [14], [16], [18], [20]], [7, 8, 9, 10, 11])

    (found,) = find_variants(
        groups, {"scratch": [facts(harm=h) for h in (20, 22, 24, 26, 28)]}, {"success": MARGINS, "harm": MARGINS}, 5
    )

    assert (found.variant, found.episodes) == ("dense", 100)
    assert (found.harm.candidate, found.harm.scratch, found.harm.clone) == pytest.approx((0.16, 0.24, 0.09))
    rises = np.array([0.05, 0.06, 0.07, 0.08, 0.09])
    margin = stats.t.isf(0.05, 4) * rises.std(ddof=1) / np.sqrt(5)
    assert found.harm.minus_clone.bound == pytest.approx(0.07 + margin)
    same_spread = stats.t.isf(0.05, 8) * np.sqrt(2 * 0.001 / 5)  # variance of 12, 14, …, 20 percent: 0.001
    assert found.harm.minus_scratch.bound == pytest.approx(-0.08 + same_spread)
    assert found.success.minus_clone.mean == found.success.minus_clone.bound == 0


def test_runs_of_one_clone_are_averaged_before_they_are_compared() -> None:
    shared = grouped([[10, 14], [12, 16], [14, 18], [16, 20], [18, 22]], [7, 8, 9, 10, 11])
    single = grouped([[12], [14], [16], [18], [20]], [7, 8, 9, 10, 11])
    scratch = {"scratch": [facts(harm=20 + run) for run in range(5)]}

    found, expected = (find_variants(groups, scratch, {"success": MARGINS, "harm": MARGINS}, 5)[0] for groups in (shared, single))

    assert found.harm.minus_clone.bound == pytest.approx(expected.harm.minus_clone.bound)
    assert found.harm.minus_scratch.bound == pytest.approx(expected.harm.minus_scratch.bound)
    assert found.harm.candidate == pytest.approx(0.16)


def test_every_check_says_which_variant_measure_and_policy_it_is_about() -> None:
    groups = grouped([[12], [14], [16], [18], [20]], [7, 8, 9, 10, 11])
    baselines = {name: [facts(harm=20 + run) for run in range(5)] for name in ("scratch", "matched")}
    margins: dict[Measure, Margins] = {"success": MARGINS, "harm": MARGINS}
    (found,) = find_variants(groups, baselines, margins, 5)

    checks = list(variant_checks(found, "pretrained", "scratch", margins))

    assert [(check.name, check.about) for check in checks] == [
        (f"shift-dense-{rest}{other}", About(variant="dense", measure=measure, other=other))
        for measure, rest in (("success", ""), ("harm", "harm-"))
        for other in ("scratch", "matched", "clone")
    ]
