"""The paired ratio against hand-computed bounds, its power against published figures and simulation, and its
self-checks.
"""

import math

import numpy as np
import pytest

from headstart.compare.ratio import (
    bootstrap_upper,
    estimate_ratio,
    log_ratios,
    power_table,
    ratio_power,
    ratio_upper,
    sign_flip_p,
)
from headstart.core.errors import InputError
from headstart.core.statistics import t_margin

SPREAD = {0.0: 0.3 * math.sqrt(2), 0.5: 0.3}  # sd of the log-ratio for pair correlation 0 and 0.5


def test_the_geometric_mean_and_its_bounds_are_those_of_the_logarithms() -> None:
    ratios = log_ratios(np.array([50, 25, 100, 50, 50]), np.array([100, 100, 100, 100, 100]))

    found = estimate_ratio(ratios, 0.7, is_bound=False, interval_min=5)

    # Logs are ln 2 · (−1, −2, 0, −1, −1): mean −ln 2, s = ln 2 · √½; t_{.95,4} 2.131847, t_{.975,4} 2.776445.
    s = math.log(2) * math.sqrt(0.5)
    assert found.geometric_mean == pytest.approx(0.5)
    assert found.sd_log == pytest.approx(s)
    assert found.upper == pytest.approx(0.5 * math.exp(2.131847 * s / math.sqrt(5)), rel=1e-6)
    assert found.interval_low == pytest.approx(0.5 * math.exp(-2.776445 * s / math.sqrt(5)), rel=1e-6)
    assert found.interval_high == pytest.approx(0.5 * math.exp(2.776445 * s / math.sqrt(5)), rel=1e-6)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_fewer_pairs_than_an_interval_needs_give_the_mean_alone(n: int) -> None:
    found = estimate_ratio(np.log(np.full(n, 0.5)), 0.7, is_bound=False, interval_min=5)

    assert found.geometric_mean == pytest.approx(0.5)
    assert (found.upper, found.interval_low, found.permutation_p, found.bootstrap_upper) == (None,) * 4


def test_a_ratio_that_is_only_a_bound_has_no_lower_end() -> None:
    found = estimate_ratio(np.log([0.4, 0.5, 0.6, 0.5, 0.4]), 0.7, is_bound=True, interval_min=5)

    assert found.interval_low is None
    assert found.upper is not None


def test_pairs_without_any_spread_have_their_mean_as_bound() -> None:
    assert ratio_upper(np.log(np.full(10, 0.5))) == pytest.approx(0.5)


@pytest.mark.parametrize(("candidate", "scratch"), [([0, 1], [1, 1]), ([1, 1], [1, 0])])
def test_steps_of_zero_are_refused(candidate: list[int], scratch: list[int]) -> None:
    with pytest.raises(InputError, match="positive step counts"):
        log_ratios(np.array(candidate), np.array(scratch))


def test_no_pairs_are_refused() -> None:
    with pytest.raises(InputError, match="at least one pair"):
        estimate_ratio(np.zeros(0), 0.7, is_bound=False, interval_min=5)
    with pytest.raises(InputError, match="equal lengths"):
        log_ratios(np.ones(2), np.ones(3))


def test_ten_ratios_all_below_the_limit_have_the_exact_sign_flip_p() -> None:
    assert sign_flip_p(np.log(np.linspace(0.4, 0.6, 10)), 0.7) == pytest.approx(1 / 1024)


def test_bootstrap_and_t_bound_agree_on_well_behaved_data() -> None:
    ratios = np.random.default_rng(3).normal(math.log(0.5), 0.3, 40)

    assert bootstrap_upper(ratios) == pytest.approx(ratio_upper(ratios), rel=0.02)


@pytest.mark.parametrize(
    ("pairs", "correlation", "published"),
    [
        (3, 0.0, 0.24),
        (3, 0.5, 0.38),
        (5, 0.0, 0.43),
        (5, 0.5, 0.65),
        (10, 0.0, 0.75),
        (10, 0.5, 0.95),
        (20, 0.0, 0.96),
        (20, 0.5, 1.00),
    ],
)
def test_power_at_half_the_steps_is_near_the_simulated_figures(pairs: int, correlation: float, published: float) -> None:
    assert ratio_power(pairs, SPREAD[correlation]) == pytest.approx(published, abs=0.015)


@pytest.mark.parametrize(("pairs", "sd"), [(3, 0.3), (5, 0.3), (10, 0.3 * math.sqrt(2)), (10, 0.5)])
def test_power_is_the_share_of_simulated_experiments_that_pass(pairs: int, sd: float) -> None:
    share = simulated_pass_share(math.log(0.5), sd, pairs, experiments=20_000)

    assert ratio_power(pairs, sd) == pytest.approx(share, abs=0.012)  # 3.4 standard errors


def test_power_at_the_limit_itself_is_the_error_rate_and_without_spread_certain() -> None:
    assert ratio_power(10, 0.3, true_ratio=0.7) == pytest.approx(0.05)
    assert ratio_power(10, 0.0) == 1.0
    assert ratio_power(10, 0.0, true_ratio=0.8) == 0.0
    assert ratio_power(1000, 0.01) == 1.0


def test_the_table_names_the_pairs_that_reach_eighty_percent() -> None:
    table = power_table(SPREAD[0.0])

    needed = table.pairs_for_80_percent
    assert needed is not None
    assert ratio_power(needed, SPREAD[0.0]) >= 0.8 > ratio_power(needed - 1, SPREAD[0.0])
    assert [row.pairs for row in table.rows] == [3, 5, 10, 20]
    assert power_table(100.0).pairs_for_80_percent is None


@pytest.mark.parametrize(("pairs", "sd"), [(1, 0.3), (10, -0.1)])
def test_power_of_nonsense_is_refused(pairs: int, sd: float) -> None:
    with pytest.raises(InputError, match="pairs ≥ 2"):
        ratio_power(pairs, sd)


@pytest.mark.parametrize("sd", [0.1, 1.0])
def test_a_truth_at_the_limit_passes_in_one_of_twenty_experiments(sd: float) -> None:
    draws = np.random.default_rng(13).normal(math.log(0.7), sd, (4000, 10))

    false_passes = np.mean([ratio_upper(draw) <= 0.7 for draw in draws])

    assert false_passes == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize("n", [10, 20])
def test_the_two_sided_interval_covers_the_truth_in_93_to_97_percent(n: int) -> None:
    draws = np.random.default_rng(n).normal(0.0, 0.4, (2000, n))
    covered = np.mean([abs(float(draw.mean())) <= t_margin(draw, 0.975) for draw in draws])

    assert 0.93 <= covered <= 0.97


def simulated_pass_share(mean_log: float, sd: float, pairs: int, experiments: int) -> float:
    """An independent, vectorised rendering of the rule: mean + t·s/√n ≤ ln 0.7. t_{.95} from tables."""
    t = {3: 2.919986, 5: 2.131847, 10: 1.833113}[pairs]
    draws = np.random.default_rng(11).normal(mean_log, sd, (experiments, pairs))
    bound = draws.mean(axis=1) + t * draws.std(axis=1, ddof=1) / math.sqrt(pairs)
    return float(np.mean(bound <= math.log(0.7)))
