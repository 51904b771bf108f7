"""Two arms, each on its own seeds: the ratio of their env steps to target with its bound, and differences of their final scores.

The runs of an arm are independent draws of the whole treatment. The estimate is the ratio of the arms' median steps (Kaplan and Meier 1958).
The upper bound inverts a one-sided rank test (Brunner and Munzel 2000): it is the greatest r at which the test cannot show that a run of the
candidate beats r times a run of scratch more than half of the time. Both sides are cut at r times the horizon, the steps up to which scratch
was watched; what lies beyond it ties. So a budget is information and never a denominator: a longer one can tighten the bound, and a
shorter one loosens it.

Steps are known up to an evaluation interval: the candidate's count to its end, scratch's to its beginning.
"""

import numpy as np
from scipy import stats

from headstart.core.arrays import Array
from headstart.core.errors import InputError
from headstart.core.record import Record
from headstart.core.statistics import t_margin

RUNS_FOR_BOUND = 5  # with fewer on a side there is no bound
LEVEL = 0.05


class RatioEstimate(Record):
    """Candidate's steps ÷ scratch's."""

    median: float | None  # of the medians; None: fewer than half of an arm's runs arrived, or scratch's median is 0
    upper: float | None  # one-sided 95 %; None: too few runs, or no ratio can be excluded


class Reached(Record):
    """Kaplan–Meier curve of one arm, a step function: `share[i]` of its runs have reached the target by `steps[i]` env steps."""

    steps: tuple[float, ...]
    share: tuple[float, ...]
    runs: int
    censored: int
    median_steps: float | None  # None: the curve ends below one half


class Difference(Record):
    """Mean difference of two groups; `low` and `high` are each a one-sided 95 % bound, None where runs are too few."""

    mean: float
    low: float | None
    high: float | None


def estimate_ratio(candidate: Array, scratch: Array, watched: Array) -> RatioEstimate:
    """Steps to target [n] and [m], +∞ where it was not reached, and the steps up to which each run of scratch was watched [m].

    Raises InputError for steps that are negative or not a number.
    """
    ours, theirs = (np.asarray(steps, float) for steps in (candidate, scratch))
    seen = np.asarray(watched, float)
    if not len(ours) or not len(theirs) or np.isnan([*ours, *theirs]).any() or min(ours.min(), theirs.min(), seen.min()) < 0:
        raise InputError(f"a ratio needs env steps ≥ 0 of both arms, got {ours.tolist()} and {theirs.tolist()}")
    middle, other = median_steps(ours), median_steps(theirs)
    median = middle / other if middle is not None and other else None
    return RatioEstimate(median=median, upper=ratio_upper(ours, np.minimum(theirs, seen), float(seen.max())))


def ratio_upper(candidate: Array, scratch: Array, horizon: float) -> float | None:
    """The greatest ratio that the test does not exclude; None: too few runs, or it excludes none that the horizon can show.

    `candidate` [n] may be +∞, `scratch` [m] is at most `horizon`. The test's outcome changes only where r · scratch passes a candidate's
    steps, so it is asked at these ratios and between them.
    """
    if min(len(candidate), len(scratch)) < RUNS_FOR_BOUND or horizon <= 0:
        return None
    edges = np.unique(np.divide.outer(candidate[np.isfinite(candidate)], scratch[scratch > 0]))
    if not len(edges):
        return None
    above = np.append((edges[:-1] + edges[1:]) / 2, 2 * edges[-1] + 1)  # a ratio in each gap; the last gap has no end
    at_edge, in_gap = (p_values(candidate, scratch, ratios, horizon) > LEVEL for ratios in (edges, above))
    if in_gap[-1]:
        return None
    kept = [edges[at_edge], edges[1:][in_gap[:-1]]]  # what is kept in a gap is kept up to its end
    return float(max((part[-1] for part in kept if len(part)), default=0.0 if edges[0] == 0 else edges[0]))


def p_values(candidate: Array, scratch: Array, ratios: Array, horizon: float) -> Array:
    """One-sided p of: a run of the candidate beats r times a run of scratch at most half of the time, for each r [R].

    As scipy.stats.brunnermunzel(…, alternative="less"), for all r at once; where one side is ahead of the other throughout, its variance
    is 0 and the p-value 0 or 1.
    """
    r = np.asarray(ratios, float)[:, None, None]
    ours = np.minimum(np.asarray(candidate, float)[None, :, None], r * horizon)
    theirs = r * np.asarray(scratch, float)[None, None, :]
    wins = (ours < theirs) + 0.5 * (ours == theirs)  # [R, n, m]
    n, m = wins.shape[1:]
    ahead = wins.mean(axis=(1, 2)) - 0.5
    each, other = wins.mean(axis=2).var(axis=1, ddof=1) / n, wins.mean(axis=1).var(axis=1, ddof=1) / m
    error = np.sqrt(each + other)
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = (each + other) ** 2 / (each**2 / (n - 1) + other**2 / (m - 1))
        p = stats.t.sf(ahead / error, freedom)
    return np.where(error > 0, p, np.where(ahead > 0, 0.0, 1.0))


def median_steps(steps: Array) -> float | None:
    """The least steps by which half of the runs have arrived; None: fewer have."""
    middle = float(np.sort(steps)[(len(steps) - 1) // 2])
    return middle if np.isfinite(middle) else None


def difference(first: Array, second: Array) -> Difference:
    """Mean of `first` [n] − mean of `second` [m], with Welch's t bounds; a side of one value is a constant."""
    a, b = np.asarray(first, float), np.asarray(second, float)
    mean = float(a.mean() - b.mean())
    if min(len(a), *([len(b)] if len(b) > 1 else [])) < RUNS_FOR_BOUND:
        return Difference(mean=mean, low=None, high=None)
    if len(b) == 1:
        margin = t_margin(a, 0.95)
    else:
        each, other = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
        freedom = (each + other) ** 2 / (each**2 / (len(a) - 1) + other**2 / (len(b) - 1)) if each + other > 0 else 1.0
        margin = float(stats.t.isf(LEVEL, freedom) * np.sqrt(each + other))
    return Difference(mean=mean, low=mean - margin, high=mean + margin)


def probability_of_improvement(candidate: Array, scratch: Array) -> float:
    """P(candidate < scratch) + ½ P(equal) over all pairs of runs, [n ≥ 1] and [m ≥ 1] env steps; fewer steps are better (Agarwal et al. 2021).

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
