"""Proportions, interquartile means, paired differences: the statistics of many seeds.

Tests hold them to scipy.stats, which takes 1.5 s to import: too long for what every stage needs.

Sources: Wilson, "Probable inference" (1927); Agarwal et al., "Deep RL at the edge of the statistical
precipice" (2021).
"""

import math
from statistics import NormalDist

import numpy as np

from headstart.core.arrays import Array
from headstart.core.errors import InputError
from headstart.core.record import Record


class Band(Record):
    """An interquartile mean with its two-sided bootstrap interval."""

    iqm: float
    low: float
    high: float


class PairedDifference(Record):
    """Mean of n paired differences; `low` and `high` are each a one-sided t bound, None where n does not
    carry one.
    """

    n: int
    mean: float
    low: float | None
    high: float | None


def wilson_lower(successes: int, n: int, confidence: float = 0.95) -> float:
    """One-sided Wilson lower bound of a proportion; 0 where n = 0, since nothing is known.

    187 of 200 is the least that shows ≥ 0.90 with 200; 25 of 25 the least n at all.
    """
    _require_count(successes, n)
    if n == 0:
        return 0.0
    return _wilson(successes, n, -NormalDist().inv_cdf(confidence))


def wilson_upper(successes: int, n: int, confidence: float = 0.95) -> float:
    """One-sided Wilson upper bound of a proportion; 1 where n = 0. 4 of 200 is the most that shows ≤ 0.05."""
    _require_count(successes, n)
    if n == 0:
        return 1.0
    return _wilson(successes, n, NormalDist().inv_cdf(confidence))


def interquartile_mean(values: Array) -> Array:
    """Mean of the middle half over axis 0: [n, …] → […]. As in rliable, ⌊n/4⌋ values are cut at each end.

    With n < 4 nothing is cut, and it is the mean.
    """
    cut = len(values) // 4
    return np.asarray(np.sort(values, axis=0)[cut : len(values) - cut].mean(axis=0))


def iqm_band(values: Array, resamples: int = 10_000, confidence: float = 0.95, seed: int = 0) -> tuple[Array, Array, Array]:
    """IQM over n seeds with a two-sided percentile bootstrap band, whole seeds resampled: [n, X] → three [X].

    Deterministic in `seed`. The resamples are taken in blocks, so that memory stays near 32 MB.
    """
    if values.ndim != 2 or len(values) == 0:
        raise InputError(f"a band needs values of shape [seeds, points], got {list(values.shape)}")
    rng = np.random.default_rng(seed)
    block = max(1, 4_000_000 // values.size)
    draws = []
    for first in range(0, resamples, block):
        rows = rng.integers(0, len(values), (len(values), min(block, resamples - first)))
        draws.append(interquartile_mean(values[rows]))  # [n, block, X] → [block, X]
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(draws), [tail, 1 - tail], axis=0)
    return interquartile_mean(values), low, high


def iqm_of(values: Array, resamples: int = 10_000, seed: int = 0) -> Band:
    """IQM of n numbers with its bootstrap interval: [n] → Band."""
    iqm, low, high = iqm_band(np.asarray(values)[:, None], resamples, seed=seed)
    return Band(iqm=float(iqm[0]), low=float(low[0]), high=float(high[0]))


def paired_difference(first: Array, second: Array, confidence: float = 0.95, n_min: int = 2) -> PairedDifference:
    """Mean of first − second over pairs, [n] each, with one-sided t bounds; fewer than `n_min` pairs carry
    none.

    For proportions a pair is a seed: episodes of one policy are not independent draws of the training method.
    """
    if first.shape != second.shape or first.ndim != 1 or len(first) == 0:
        raise InputError(f"pairs need two equal lengths, got {list(first.shape)} and {list(second.shape)}")
    difference = np.asarray(first, float) - np.asarray(second, float)
    mean, n = float(difference.mean()), len(difference)
    if n < max(n_min, 2):
        return PairedDifference(n=n, mean=mean, low=None, high=None)
    margin = t_margin(difference, confidence)
    return PairedDifference(n=n, mean=mean, low=mean - margin, high=mean + margin)


def t_margin(values: Array, confidence: float) -> float:
    """Student's t_{confidence, n−1} · s / √n of n ≥ 2 values: the distance from their mean to a one-sided
    bound.
    """
    from scipy.special import stdtrit

    n = len(values)
    return float(stdtrit(n - 1, confidence)) * float(np.std(values, ddof=1)) / math.sqrt(n)


def probability_of_improvement(candidate: Array, scratch: Array) -> float:
    """P(candidate < scratch) + ½ P(equal) over all pairs of runs, [n] and [m] steps; smaller is better
    (Agarwal, eq. in §4.3).

    A censored run is +∞: worse than any that reached the target, equal to another censored one.
    """
    if len(candidate) == 0 or len(scratch) == 0:
        raise InputError(f"expected runs on both sides, got {len(candidate)} candidate and {len(scratch)} scratch")
    left, right = np.asarray(candidate, float)[:, None], np.asarray(scratch, float)[None, :]
    return float(np.mean((left < right) + 0.5 * (left == right)))


def _wilson(successes: int, n: int, z: float) -> float:
    """The bound of a proportion that lies z standard errors to its side: negative z below it."""
    p, square = successes / n, z * z
    bound = (p + square / (2 * n) + z * math.sqrt(p * (1 - p) / n + square / (4 * n * n))) / (1 + square / n)
    return min(1.0, max(0.0, bound))


def _require_count(successes: int, n: int) -> None:
    if not 0 <= successes <= n:
        raise InputError(f"a proportion needs 0 ≤ successes ≤ n, got {successes} of {n}")
