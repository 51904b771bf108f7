"""Proportions, interquartile means and the t margin: the statistics that training and its gates need.

Tests hold them to scipy.stats, which takes 1.5 s to import: too long for what every stage needs.

Sources: Wilson, "Probable inference" (1927); Agarwal et al., "Deep RL at the edge of the statistical precipice" (2021).
"""

import math
from statistics import NormalDist

import numpy as np

from headstart.core.arrays import Array
from headstart.core.errors import InputError

Z = NormalDist().inv_cdf(0.95)  # of a one-sided 95 % bound


def wilson_lower(successes: int, n: int) -> float:
    """One-sided 95 % Wilson lower bound of a proportion; 0 where n = 0, since nothing is known.

    187 of 200 is the least that shows ≥ 0.90 with 200; 25 of 25 the least n at all.
    """
    return _wilson(successes, n, -Z, unknown=0.0)


def wilson_upper(successes: int, n: int) -> float:
    """One-sided 95 % Wilson upper bound of a proportion; 1 where n = 0. 4 of 200 is the most that shows ≤ 0.05."""
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
    """The bound of a proportion that lies z standard errors to its side, negative z below it; `unknown` where n = 0."""
    if not 0 <= successes <= n:
        raise InputError(f"a proportion needs 0 ≤ successes ≤ n, got {successes} of {n}")
    if n == 0:
        return unknown
    p, square = successes / n, z * z
    bound = (p + square / (2 * n) + z * math.sqrt(p * (1 - p) / n + square / (4 * n * n))) / (1 + square / n)
    return min(1.0, max(0.0, bound))
