"""Power at the limit, far from it, and of runs without spread, where it is known."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from headstart.compare.power import planned_power, reached_power
from headstart.core.errors import InputError

LATE = np.full(10, 1000.0)


def test_at_the_limit_power_is_the_error_of_the_test() -> None:
    found = planned_power(n=10, true_ratio=0.7, log_sd=0.5, limit=0.7)

    assert found.low <= 0.05 <= found.high


def test_power_of_lognormal_times_is_near_that_of_the_t_test_of_their_logs() -> None:
    # Non-central t: ln(.7 / .5) / (.4 · √(2/10)) with 18 df; a rank test has an efficiency of about .95.
    shift = math.log(0.7 / 0.5) / (0.4 * math.sqrt(0.2))
    t_power = stats.nct.sf(stats.t.isf(0.05, 18), 18, shift)

    assert planned_power(n=10, true_ratio=0.5, log_sd=0.4, limit=0.7).share == pytest.approx(t_power, abs=0.07)


def test_arms_without_spread_are_told_apart_with_certainty() -> None:
    found = planned_power(n=5, true_ratio=0.5, log_sd=0.0, limit=0.7)

    assert (found.share, found.experiments) == (1.0, 400)
    assert (found.low, found.high) == pytest.approx((1 / (1 + 1.644854**2 / 400), 1.0))  # Wilson's bounds where all succeed
    assert planned_power(n=5, true_ratio=0.8, log_sd=0.0, limit=0.7).share == 0.0
    assert planned_power(n=4, true_ratio=0.5, log_sd=0.0, limit=0.7).share == 0.0  # too few runs for a bound


@pytest.mark.parametrize(("budget", "share"), [(0.4, 0.0), (0.6, 0.0), (0.72, 1.0), (2.0, 1.0)])
def test_a_budget_cuts_both_arms(budget: float, share: float) -> None:
    """Without spread the bound is .5 ÷ budget where only the candidate arrives: .83 of 0.6 and .69 of 0.72; with 0.4 no run arrives."""
    assert planned_power(n=10, true_ratio=0.5, log_sd=0.0, limit=0.7, budget=budget).share == share


def test_a_candidate_that_does_not_arrive_within_the_budget_meets_no_limit() -> None:
    assert planned_power(n=10, true_ratio=0.5, log_sd=0.0, limit=1.5, budget=0.4).share == 0.0


def test_a_bound_at_the_limit_meets_it() -> None:
    assert planned_power(n=10, true_ratio=0.7, log_sd=0.0, limit=0.7).share == 1.0


def test_power_rises_with_runs_and_budget_and_falls_with_spread() -> None:
    usual: dict[str, Any] = {"n": 10, "true_ratio": 0.5, "log_sd": 0.5, "limit": 0.7}
    share = planned_power(**usual).share

    assert planned_power(**(usual | {"n": 30})).share > share + 0.1
    assert planned_power(**(usual | {"log_sd": 1.0})).share < share - 0.1
    assert planned_power(**usual, budget=0.8).share < share - 0.1


@pytest.mark.parametrize("change", [{"n": 0}, {"true_ratio": 0.0}, {"limit": 0.0}, {"log_sd": -0.1}, {"budget": 0.0}])
def test_an_experiment_that_cannot_be_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(InputError, match=rf"{next(iter(change))} {next(iter(change.values()))}"):
        planned_power(**({"n": 10, "true_ratio": 0.5, "log_sd": 0.5, "limit": 0.7} | change))  # type: ignore[arg-type]


def test_the_power_reached_is_at_the_planned_ratio_and_not_at_the_one_that_was_found() -> None:
    rng = np.random.default_rng(0)
    candidate, scratch = 100 * rng.lognormal(0.0, 0.3, 10), 500 * rng.lognormal(0.0, 0.3, 10)

    found = reached_power(candidate, scratch, np.full(10, 5000.0), limit=0.7, true_ratio=0.5)

    assert found is not None
    assert 0.2 < found.share < 0.95
    assert found == reached_power(3 * candidate, scratch, np.full(10, 5000.0), limit=0.7, true_ratio=0.5)


def test_at_the_limit_the_power_reached_is_small_and_without_spread_it_is_certain_below_and_nothing_above() -> None:
    rng = np.random.default_rng(1)
    candidate, scratch = rng.lognormal(0.0, 0.5, 200), rng.lognormal(0.0, 0.5, 200)
    at_limit = reached_power(candidate[:10], scratch[:10], LATE[:10], 0.7, 0.7)
    assert at_limit is not None
    assert at_limit.share < 0.25  # of ten runs, whose empirical distributions differ in shape

    below, above = (reached_power(np.full(10, 9.0), np.full(10, 20.0), LATE, 0.7, ratio) for ratio in (0.6, 0.8))
    assert below is not None
    assert above is not None
    assert (below.share, above.share) == (1.0, 0.0)


def test_runs_that_never_arrive_cost_power() -> None:
    candidate, scratch = np.full(10, 9.0), np.full(10, 20.0)
    lost = np.where(np.arange(10) < 4, np.inf, candidate)

    all_arrived, some_lost = (reached_power(ours, scratch, LATE, 0.7, 0.5) for ours in (candidate, lost))

    assert all_arrived is not None
    assert some_lost is not None
    assert some_lost.share < all_arrived.share == 1.0


@pytest.mark.parametrize(
    ("candidate", "scratch"), [(np.full(10, np.inf), LATE), (LATE, np.full(10, np.inf)), (np.zeros(10), LATE)]
)
def test_without_a_ratio_there_is_no_power_reached(candidate: Any, scratch: Any) -> None:
    assert reached_power(candidate, scratch, LATE, 0.7, 0.5) is None
