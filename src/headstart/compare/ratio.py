"""Two arms on matched seeds: the ratio of their steps to target, probability of improvement, Kaplan–Meier curves, and paired differences.

Per seed i the ratio is candidate ÷ scratch and x_i its natural logarithm. The mean of x_i is the logarithm of the geometric-mean ratio, and
Student's t on x_i gives its upper bound. A censored run, one that did not reach the target up to its last evaluation, is neither dropped nor
taken to have reached it at its budget.

Sources: Agarwal et al., "Deep RL at the edge of the statistical precipice" (2021); Kaplan and Meier, "Nonparametric estimation from
incomplete observations" (1958).
"""

import math

import numpy as np
from scipy import stats

from headstart.core.arrays import Array
from headstart.core.errors import InputError
from headstart.core.record import Record
from headstart.core.statistics import t_margin

PAIRS_FOR_INTERVAL = 5  # fewer pairs carry no bound


class RatioEstimate(Record):
    """Geometric-mean ratio of n pairs."""

    n: int
    geometric_mean: float
    is_bound: bool  # some scratch run was censored: the true ratio is at most this
    upper: float | None  # one-sided 95 % t bound; None: too few pairs


class Reached(Record):
    """Kaplan–Meier curve of one arm, a step function: `share[i]` of its runs have reached the target by `steps[i]` env steps."""

    steps: tuple[float, ...]
    share: tuple[float, ...]
    runs: int
    censored: int
    median_steps: float | None  # None: the curve ends below one half


class PairedDifference(Record):
    """Mean of n paired differences; `low` and `high` are each a one-sided 95 % t bound, None where the pairs are too few."""

    n: int
    mean: float
    low: float | None
    high: float | None


def estimate_ratio(candidate_steps: Array, scratch_steps: Array, is_bound: bool, pairs_for_interval: int) -> RatioEstimate:
    """Ratio of paired env steps, [n ≥ 1] each; fewer than `pairs_for_interval` pairs carry no bound. InputError for steps ≤ 0."""
    _require_pairs(candidate_steps, scratch_steps)
    if np.any(candidate_steps <= 0) or np.any(scratch_steps <= 0):
        raise InputError("a ratio needs positive step counts: charge a run that starts at its target first")
    log_ratio = np.log(candidate_steps) - np.log(scratch_steps)
    n = len(log_ratio)
    return RatioEstimate(
        n=n,
        geometric_mean=math.exp(float(np.mean(log_ratio))),
        is_bound=is_bound,
        upper=ratio_upper(log_ratio) if n >= max(pairs_for_interval, 2) else None,
    )


def ratio_upper(log_ratio: Array) -> float:
    """One-sided 95 % t bound of the geometric-mean ratio: exp(mean + t·s/√n), [n ≥ 2] → ratio."""
    return math.exp(float(np.mean(log_ratio)) + t_margin(log_ratio, 0.95))


def paired_difference(first: Array, second: Array, pairs_for_interval: int) -> PairedDifference:
    """Mean of first − second over pairs, [n ≥ 1] each; fewer than `pairs_for_interval` pairs carry no bounds.

    For proportions a pair is a seed: episodes of one policy are not independent draws of the training method.
    """
    _require_pairs(first, second)
    difference = np.asarray(first, float) - np.asarray(second, float)
    mean, n = float(difference.mean()), len(difference)
    if n < max(pairs_for_interval, 2):
        return PairedDifference(n=n, mean=mean, low=None, high=None)
    margin = t_margin(difference, 0.95)
    return PairedDifference(n=n, mean=mean, low=mean - margin, high=mean + margin)


def probability_of_improvement(candidate: Array, scratch: Array) -> float:
    """P(candidate < scratch) + ½ P(equal) over all pairs of runs, [n ≥ 1] and [m ≥ 1] env steps; fewer steps are better (Agarwal, §4.3).

    A censored run is +∞: worse than any that reached the target, equal to another censored one.
    """
    left, right = np.asarray(candidate, float)[:, None], np.asarray(scratch, float)[None, :]
    return float(np.mean((left < right) + 0.5 * (left == right)))


def kaplan_meier(steps: Array, censored: Array) -> Reached:
    """The curve of n ≥ 1 runs from their env steps [n], and whether each had not reached the target by then, bool [n]."""
    curve = stats.ecdf(stats.CensoredData.right_censored(np.asarray(steps, float), censored)).cdf
    arrived = np.flatnonzero(curve.probabilities >= 0.5)
    return Reached(
        steps=tuple(curve.quantiles.tolist()),
        share=tuple(curve.probabilities.tolist()),
        runs=len(steps),
        censored=int(np.sum(censored)),
        median_steps=float(curve.quantiles[arrived[0]]) if len(arrived) else None,
    )


def _require_pairs(first: Array, second: Array) -> None:
    if first.shape != second.shape or first.ndim != 1 or len(first) == 0:
        raise InputError(f"pairs need two equal lengths ≥ 1, got {list(first.shape)} and {list(second.shape)}")
