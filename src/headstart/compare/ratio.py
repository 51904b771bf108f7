"""Sample efficiency: the paired ratio of steps to target, its bounds, and the power to show it.

Per seed i the ratio is candidate ÷ scratch; x_i is its natural logarithm. The mean of x_i is the log of the
geometric mean ratio, and Student's t on x_i gives the bounds. A sign-flip permutation test and a bootstrap
check the t bound.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from headstart.core.arrays import Array
from headstart.core.errors import InputError
from headstart.core.record import Record
from headstart.core.statistics import t_margin


class RatioEstimate(Record):
    """Geometric-mean ratio of n pairs. With fewer pairs than an interval needs, everything but the mean is
    None.

    Where scratch was censored the mean is itself only an upper bound of the ratio, and no lower end is given.
    """

    n: int
    geometric_mean: float
    is_bound: bool  # some scratch run was censored: the true ratio is at most this
    sd_log: float | None  # standard deviation of the log-ratio over pairs
    upper: float | None  # one-sided 95 % t bound
    interval_low: float | None  # two-sided 95 % t interval
    interval_high: float | None
    permutation_p: float | None  # sign flips of x_i − log(limit); small: the ratio is below the limit
    bootstrap_upper: float | None  # one-sided 95 %, percentile


class PowerRow(Record):
    """With `pairs` seeds, the chance that the upper bound comes out at or below the limit."""

    pairs: int
    power: float


class PowerTable(Record):
    """Power to show ratio ≤ `limit` if it truly is `true_ratio`, for the spread that was observed."""

    true_ratio: float
    limit: float
    sd_log: float
    rows: tuple[PowerRow, ...]
    pairs_for_80_percent: int | None  # None: more than a thousand


def log_ratios(candidate_steps: Array, scratch_steps: Array) -> Array:
    """[n] and [n] env steps → [n] natural logarithms of candidate ÷ scratch. Steps must be positive."""
    if candidate_steps.shape != scratch_steps.shape or candidate_steps.ndim != 1:
        raise InputError(f"pairs need two equal lengths, got {list(candidate_steps.shape)} and {list(scratch_steps.shape)}")
    if np.any(candidate_steps <= 0) or np.any(scratch_steps <= 0):
        raise InputError("a ratio needs positive step counts: charge a run that starts at its target first")
    return np.asarray(np.log(candidate_steps) - np.log(scratch_steps))


def estimate_ratio(
    log_ratio: Array, limit: float, is_bound: bool, interval_min: int, resamples: int = 10_000, seed: int = 0
) -> RatioEstimate:
    """Geometric mean of n paired ratios with its bounds; [n] log-ratios, `limit` is the ratio to be shown."""
    n = len(log_ratio)
    if n == 0:
        raise InputError("a ratio needs at least one pair, got none")
    mean = float(np.mean(log_ratio))
    if n < max(interval_min, 2):
        empty = dict.fromkeys(("upper", "interval_low", "interval_high", "permutation_p", "bootstrap_upper"))
        sd = float(np.std(log_ratio, ddof=1)) if n > 1 else None
        return RatioEstimate(n=n, geometric_mean=math.exp(mean), is_bound=is_bound, sd_log=sd, **empty)
    half = t_margin(log_ratio, 0.975)
    return RatioEstimate(
        n=n,
        geometric_mean=math.exp(mean),
        is_bound=is_bound,
        sd_log=float(np.std(log_ratio, ddof=1)),
        upper=ratio_upper(log_ratio),
        interval_low=None if is_bound else math.exp(mean - half),
        interval_high=math.exp(mean + half),
        permutation_p=sign_flip_p(log_ratio, limit, resamples, seed),
        bootstrap_upper=bootstrap_upper(log_ratio, resamples, seed),
    )


def ratio_upper(log_ratio: Array, confidence: float = 0.95) -> float:
    """One-sided t bound of the geometric-mean ratio: exp(mean + t·s/√n), [n ≥ 2] → ratio."""
    return math.exp(float(np.mean(log_ratio)) + t_margin(log_ratio, confidence))


def sign_flip_p(log_ratio: Array, limit: float, resamples: int = 10_000, seed: int = 0) -> float:
    """P of a mean this low if x − log(limit) were symmetric about 0: [n] → p. Exact while 2ⁿ ≤ resamples."""
    result = stats.permutation_test(
        (np.asarray(log_ratio) - math.log(limit),),
        np.mean,
        permutation_type="samples",
        alternative="less",
        n_resamples=resamples,
        rng=np.random.default_rng(seed),
    )
    return float(result.pvalue)


def bootstrap_upper(log_ratio: Array, resamples: int = 10_000, seed: int = 0) -> float:
    """One-sided 95 % percentile bound of the geometric-mean ratio, pairs resampled: [n] → ratio."""
    rows = np.random.default_rng(seed).integers(0, len(log_ratio), (resamples, len(log_ratio)))
    return math.exp(float(np.quantile(np.asarray(log_ratio)[rows].mean(axis=1), 0.95)))


def ratio_power(pairs: int, sd_log: float, true_ratio: float = 0.5, limit: float = 0.7) -> float:
    """P(one-sided 95 % t bound ≤ limit) with `pairs` pairs whose log-ratio has sd `sd_log`: noncentral t
    (Cohen 1988).

    If the log of the steps has sd s in each arm and the arms correlate by r within a pair, sd_log = s·√(2(1
    − r)).
    """
    if pairs < 2 or sd_log < 0 or true_ratio <= 0 or limit <= 0:
        raise InputError(
            "power needs pairs ≥ 2, sd ≥ 0 and positive ratios, "
            f"got {pairs} pairs, sd {sd_log}, true ratio {true_ratio}, limit {limit}"
        )
    distance = math.log(limit / true_ratio)
    shift = distance * math.sqrt(pairs) / sd_log if sd_log > 0 else math.copysign(math.inf, distance)
    if abs(shift) > 30:  # beyond the reach of the noncentral t in floating point, and certain
        return 1.0 if shift > 0 else 0.0
    return float(stats.nct.sf(stats.t.ppf(0.95, pairs - 1), pairs - 1, shift))


def power_table(sd_log: float, pairs: Sequence[int] = (3, 5, 10, 20), true_ratio: float = 0.5, limit: float = 0.7) -> PowerTable:
    """Power for several numbers of pairs, and the least number that has 0.8."""
    rows = tuple(PowerRow(pairs=n, power=ratio_power(n, sd_log, true_ratio, limit)) for n in pairs)
    needed = next((n for n in range(2, 1001) if ratio_power(n, sd_log, true_ratio, limit) >= 0.8), None)
    return PowerTable(true_ratio=true_ratio, limit=limit, sd_log=sd_log, rows=rows, pairs_for_80_percent=needed)
