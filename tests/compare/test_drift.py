"""Drift statistics agree with scipy and with hand-computed numbers; they are quiet where nothing moved and speak where something did."""

import numpy as np
import pytest
from scipy import stats

from headstart.compare.arm_runs import StateSummary
from headstart.compare.drift import FeatureDrift, drift, joined, ks_distance, mix_drift, pooled, stability_index
from headstart.compare.states import summarise

WIDE = (-100.0, 100.0)
WORLDS, STEPS, FEATURES = 60, 20, 6
NAMES = [f"f{k}" for k in range(FEATURES)]


def states(draw: np.random.Generator, shift: float = 0.0, worlds: int = WORLDS) -> StateSummary:
    """Rows that resemble each other within a world: a world's own mean, wider than the noise within; the last feature is a flag."""
    own = draw.normal(size=(worlds, 1, FEATURES))
    rows = own + 0.3 * draw.normal(size=(worlds, STEPS, FEATURES))
    rows[..., 0] += shift
    rows[..., -1] = rows[..., -1] > 0.5
    return summarise(rows.reshape(-1, FEATURES), np.repeat(np.arange(worlds), STEPS), NAMES, WIDE)


def flagged(found: tuple[FeatureDrift, ...]) -> set[str]:
    """By the default thresholds of `ShiftLimits`."""
    return {one.feature for one in found if (one.q <= 0.01 and one.distance >= 0.1) or (one.psi_q <= 0.01 and one.psi > 0.25)}


def test_unshifted_rows_raise_a_false_alarm_in_at_most_one_of_twenty_repetitions() -> None:
    draw = np.random.default_rng(11)

    alarms = sum(bool(flagged(drift(states(draw), states(draw)))) for _ in range(200))

    assert alarms <= 10


def test_a_test_that_took_rows_for_independent_draws_would_raise_false_alarms() -> None:
    """The negative control of the test above: the fixture is one on which a careless test fails."""
    draw, alarms = np.random.default_rng(11), 0
    for _ in range(40):
        first, second = (one.model_copy(update={"effective": float(one.rows)}) for one in (states(draw), states(draw)))
        alarms += bool(flagged(drift(first, second)))

    assert alarms > 20


def test_a_shifted_feature_is_found_and_named_alone() -> None:
    draw = np.random.default_rng(12)

    found = [flagged(drift(states(draw), states(draw, shift=1.5))) for _ in range(20)]

    assert sum("f0" in names for names in found) >= 19
    assert sum(names != {"f0"} for names in found) <= 2


def test_with_independent_rows_distance_and_chance_are_those_of_scipy() -> None:
    draw = np.random.default_rng(3)
    a, b = draw.normal(size=400), draw.normal(0.2, 1.0, size=300)
    first, second = (summarise(x[:, None], np.arange(len(x)), ["x"], WIDE) for x in (a, b))

    (found,) = drift(first, second)
    expected = stats.ks_2samp(a, b, method="asymp")

    assert found.distance == pytest.approx(expected.statistic, abs=1 / 63)
    at_the_same_distance = stats.kstwo.sf(found.distance, round(400 * 300 / 700))
    assert found.q == pytest.approx(at_the_same_distance)  # one feature: nothing to correct


def test_the_distance_of_two_flags_is_the_difference_of_their_shares() -> None:
    first, second = (summarise(np.repeat([[0.0], [1.0]], n, axis=0), np.arange(10), ["x"], WIDE) for n in ([7, 3], [4, 6]))

    assert ks_distance(first.features["x"], second.features["x"]) == pytest.approx(0.3)


def test_the_stability_index_is_the_sum_over_the_bins() -> None:
    first, second = (summarise(np.repeat([[0.0], [1.0]], n, axis=0), np.arange(10), ["x"], WIDE) for n in ([5, 5], [8, 2]))

    index, bins = stability_index(first.features["x"], second.features["x"], (1e9, 1e9))

    # bins: up to 0, up to 1, and beyond, where both have nearly nothing
    assert index == pytest.approx(0.3 * np.log(0.8 / 0.5) + (-0.3) * np.log(0.2 / 0.5))
    assert bins == 3


def test_an_empty_bin_counts_as_half_a_draw() -> None:
    first, second = (summarise(np.repeat([[0.0], [1.0]], n, axis=0), np.arange(10), ["x"], WIDE) for n in ([5, 5], [10, 0]))

    index, _ = stability_index(first.features["x"], second.features["x"], (10, 10))

    beyond = 0.0  # 0.05 and 0.05
    assert index == pytest.approx(0.5 * np.log(1.0 / 0.5) + (0.05 - 0.5) * np.log(0.05 / 0.5) + beyond)


def test_small_sets_from_one_distribution_are_seldom_flagged() -> None:
    rng, flags = np.random.default_rng(5), 0
    for _ in range(60):
        first, second = (summarise(rng.random((n, 4)), np.arange(n), list("abcd"), WIDE) for n in (200, 32))
        flags += bool(flagged(drift(first, second)))
    assert flags <= 3


def test_values_beyond_all_that_the_first_set_has_are_counted_at_both_ends() -> None:
    first = summarise(np.array([[0.0], [1.0]]), np.arange(2), ["x"], WIDE)
    second = summarise(np.array([[-1.0], [0.0], [1.0], [2.0], [3.0]]), np.arange(5), ["x"], WIDE)

    assert drift(first, second)[0].unseen == pytest.approx(0.6)


def test_a_constant_that_stays_is_no_drift_and_one_that_changes_is() -> None:
    still, other = (summarise(np.full((80, 1), value), np.arange(80), ["x"], WIDE) for value in (0.0, 1.0))

    assert flagged(drift(still, still)) == set()
    assert flagged(drift(still, other)) == {"x"}


def test_the_distance_of_two_mixes_is_their_total_variation() -> None:
    found = mix_drift({"0": 50, "1": 50}, {"0": 20, "2": 80})

    assert found is not None
    assert found.distance == pytest.approx(0.8)
    assert (found.data["2"], found.exam["1"]) == (0.0, 0.0)
    assert found.p < 1e-6
    assert mix_drift({"0": 50}, {"0": 20}) is None
    assert mix_drift({}, {}) is None


# --- several sets of rows taken together ---------------------------------------------------------------------------------


def test_sets_that_share_no_world_are_worth_what_all_their_rows_together_are() -> None:
    """Two sets of unequal size with worlds of unequal length, against the summary of one array with the rows of both."""
    draw = np.random.default_rng(5)
    rows = draw.integers(0, 9, size=(90, 3)).astype(float)
    world = np.repeat(np.arange(12), draw.multinomial(78, np.ones(12) / 12) + 1)
    first = world < 4

    parts = [summarise(rows[of], world[of], NAMES[:3], (1.0, 7.0)) for of in (first, ~first)]
    both, whole = joined(parts), summarise(rows, world, NAMES[:3], (1.0, 7.0))

    assert (both.rows, both.worlds, both.effective) == (90, 12, pytest.approx(whole.effective))
    for name, feature in whole.features.items():
        assert both.features[name].value == feature.value
        np.testing.assert_allclose(both.features[name].share, feature.share, atol=1e-6)
        assert both.features[name].outside == pytest.approx(feature.outside)


def test_the_draws_of_equal_blocks_add_up_and_those_of_policies_in_the_same_worlds_do_not() -> None:
    draw = np.random.default_rng(6)
    blocks = [states(draw) for _ in range(10)]

    assert (joined(blocks).worlds, joined(blocks).effective) == (10 * WORLDS, pytest.approx(10 * WORLDS))
    assert (pooled(blocks).worlds, pooled(blocks).effective) == (WORLDS, pytest.approx(WORLDS))
