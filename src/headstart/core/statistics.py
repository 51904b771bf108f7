"""Bounds of proportions, interquartile means and the t margin, as training and its gates need them.

Tests compare them with scipy.stats. It is not used here because it takes 1.5 s to import, in every stage.

Sources: Wilson, "Probable inference" (1927); Agarwal et al., "Deep RL at the edge of the statistical precipice" (2021).
"""

import math
from statistics import NormalDist

import numpy as np

from headstart.core.arrays import Array
from headstart.core.errors import InputError

Z = NormalDist().inv_cdf(0.95)  # of a one-sided 95 % bound


def wilson_lower(successes: int, n: int) -> float:
    """One-sided 95 % Wilson lower bound of a proportion; 0 if n = 0.

    Examples: for a bound ≥ 0.90, n = 200 needs at least 187 successes; the smallest n that can reach it is 25, with 25 successes.
    """
    return _wilson(successes, n, -Z, unknown=0.0)


def wilson_upper(successes: int, n: int) -> float:
    """One-sided 95 % Wilson upper bound of a proportion; 1 if n = 0. Example: for a bound ≤ 0.05, n = 200 allows at most 4."""
    return _wilson(successes, n, Z, unknown=1.0)


def interquartile_mean(values: Array) -> Array:
    """Mean of the middle half over axis 0: [n, …] → […]. As in rliable, ⌊n/4⌋ values are cut at each end.

    With n < 4 nothing is cut, and it is the mean.
    """
    cut = len(values) // 4
    return np.asarray(np.sort(values, axis=0)[cut : len(values) - cut].mean(axis=0))


def t_margin(values: Array, confidence: float) -> float:
    """Student's t_{confidence, n−1} · s / √n of n ≥ 2 values: the distance from their mean to a one-sided bound."""
    from scipy.special import stdtrit

    n = len(values)
    return float(stdtrit(n - 1, confidence)) * float(np.std(values, ddof=1)) / math.sqrt(n)


def _wilson(successes: int, n: int, z: float, unknown: float) -> float:
    """The Wilson bound at z standard errors from the proportion, below it for negative z; `unknown` if n = 0."""
    if not 0 <= successes <= n:
        raise InputError(f"a proportion needs 0 ≤ successes ≤ n, got {successes} of {n}")
    if n == 0:
        return unknown
    p, square = successes / n, z * z
    bound = (p + square / (2 * n) + z * math.sqrt(p * (1 - p) / n + square / (4 * n * n))) / (1 + square / n)
    return min(1.0, max(0.0, bound))
