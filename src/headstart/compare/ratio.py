"""Two arms, each on its own seeds: the ratio of their env steps to target with its bound, and differences of their final scores.

The runs of an arm are independent draws of the whole treatment. The estimate is the ratio of the arms' median steps (Kaplan and Meier 1958).
The upper bound inverts a one-sided rank test (Brunner and Munzel 2000): it is the greatest r at which the test cannot show that a run of the
candidate beats r times a run of scratch more than half of the time. The t distribution of that test excludes too much where the runs of an
arm fare alike, as those of which none arrived: so it excludes only what an exact binomial test of either arm's runs excludes too.

What was not seen is counted against the candidate: its steps are those at the end of the evaluation interval, +∞ if it never arrived, and
scratch's are those at the beginning, or its last evaluation if it never arrived. So a budget is information and never a denominator of the
estimate: a longer one tightens the bound, and a shorter one loosens it. To count pairs that both lie beyond the budget as ties would be
wrong: where the candidate's spread exceeds scratch's, such a bound misses in up to half of experiments. docs/concepts.md has the
coverage.
"""

from typing import NamedTuple

import numpy as np
from scipy import special

from headstart.core.arrays import Array
from headstart.core.errors import InputError
from headstart.core.record import Record

RUNS_FOR_BOUND = 5  # with fewer on a side there is no bound
LEVEL = 0.05


class RatioEstimate(Record):
    """Candidate's steps ÷ scratch's."""

    median: float | None  # of the medians; None: fewer than half of an arm's runs arrived, or scratch's median is 0 steps
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


class Estimate(NamedTuple):
    """A difference of means with its error, from which t bounds at any level follow."""

    n: int  # replicates; of two groups, of the smaller
    mean: float
    error: float  # standard error; NaN where n is 1
    freedom: float  # degrees of freedom of the error


def estimate_ratio(candidate: Array, scratch: Array, watched: Array) -> RatioEstimate:
    """Steps to target [n] and [m], +∞ where it was not reached, and the steps up to which each run of scratch was watched [m].

    Raises InputError for steps that are negative, not a number, or later than those that were watched.
    """
    ours, theirs, seen = (np.asarray(steps, float) for steps in (candidate, scratch, watched))
    _require_steps(ours, theirs, seen)
    known = np.minimum(theirs, seen)
    middle, other = median_steps(ours), kaplan_meier(known, np.isinf(theirs)).median_steps
    median, upper = middle / other if middle is not None and other else None, ratio_upper(ours, known)
    if upper is not None and median is not None:
        upper = max(upper, median)  # the test's bound may lie below
    return RatioEstimate(median=median, upper=upper)


def _require_steps(ours: Array, theirs: Array, seen: Array) -> None:
    if not len(ours) or not len(theirs) or not all((steps >= 0).all() for steps in (ours, theirs, seen)):
        raise InputError(f"a ratio needs env steps ≥ 0 of both arms, got {ours.tolist()} and {theirs.tolist()}")
    if (
        seen.shape != theirs.shape
        or not np.isfinite(seen).all()
        or (theirs[np.isfinite(theirs)] > seen[np.isfinite(theirs)]).any()
    ):
        raise InputError(
            f"a ratio needs, for each run of scratch, the steps up to which it was watched, at least those to target: "
            f"got {seen.tolist()} for {theirs.tolist()}"
        )


def ratio_upper(candidate: Array, scratch: Array) -> float | None:
    """The greatest ratio that the test does not exclude; None: too few runs, or it excludes none.

    `candidate` [n] steps by which a run had arrived, +∞ if it had not; `scratch` [m], finite: steps by which a run had not arrived. The test's
    outcome changes only where r times a run of scratch passes a run of the candidate, so it is asked at these ratios and between them.
    """
    if min(len(candidate), len(scratch)) < RUNS_FOR_BOUND:
        return None
    edges = np.unique(np.divide.outer(candidate[np.isfinite(candidate)], scratch[scratch > 0]))
    if not len(edges):
        return None
    asked = np.empty(2 * len(edges))  # edge, gap, edge, gap, …; the last gap has no end
    asked[0::2], asked[1:-1:2], asked[-1] = edges, (edges[:-1] + edges[1:]) / 2, 2 * edges[-1] + 1
    kept = np.flatnonzero(p_values(candidate, scratch, asked) > LEVEL)
    if len(kept) and kept[-1] == len(asked) - 1:
        return None
    return float(edges[(kept[-1] + 1) // 2 if len(kept) else 0])  # what is kept in a gap is kept up to its end


def p_values(candidate: Array, scratch: Array, ratios: Array) -> Array:
    """One-sided p of: a run of the candidate beats r times a run of scratch at most half of the time, for each r [R], ascending.

    That of `brunner_munzel`, and not below the exact binomial p of how many runs of the candidate beat the worst of scratch, nor of how many
    of scratch lose to the best of the candidate; a tie is no win. Where one side's runs fare alike, the t distribution would exclude 8 wins
    of 10, which happen by even chance in 5.5 % of experiments. Runs as in `ratio_upper`.
    """
    p, quotients = brunner_munzel(candidate, scratch, ratios), _quotients(candidate, scratch)
    for least in (np.fmin.reduce(quotients, axis=axis) for axis in (0, 1)):  # of each run of scratch, of the candidate
        won = (_below(least[:, None], ratios) == 1).sum(axis=0)
        p = np.maximum(p, special.bdtrc(won - 1, len(least), 0.5))
    return p


def brunner_munzel(candidate: Array, scratch: Array, ratios: Array) -> Array:
    """As scipy.stats.brunnermunzel(candidate, r · scratch, alternative="less") for all r at once; 0 or 1 where no run of a side differs."""
    quotients = _quotients(candidate, scratch)
    n, m = quotients.shape
    ours, theirs = _below(quotients, ratios), _below(quotients.T, ratios)  # of each run, pairs in which the candidate wins
    ahead = ours.mean(axis=0) / m - 0.5
    each, other = ours.var(axis=0, ddof=1) / (n * m**2), theirs.var(axis=0, ddof=1) / (m * n**2)
    error = np.sqrt(each + other)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = special.stdtr(_freedom(each, other, n, m), -ahead / error)
    return np.where(error > 0, p, np.where(ahead > 0, 0.0, 1.0))


def _quotients(candidate: Array, scratch: Array) -> Array:
    """Of each pair, [n, m]: the candidate wins where r is greater."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.divide.outer(np.asarray(candidate, float), np.asarray(scratch, float)))


def _below(quotients: Array, ratios: Array) -> Array:
    """How many quotients of each row are below each ratio, a tie as one half: [n, m], [R] ascending → [n, R]. 0/0, NaN, always ties."""
    n, end = len(quotients), len(ratios)
    # the first ratio that ties with a quotient or exceeds it, and the first that exceeds it: each adds one half from there on
    tied, won = (np.searchsorted(ratios, quotients, side) for side in ("left", "right"))
    tied[np.isnan(quotients)] = 0
    row = (end + 1) * np.arange(n)[:, None]
    gained = np.bincount(np.stack([row + tied, row + won]).ravel(), minlength=n * (end + 1))
    return 0.5 * np.cumsum(gained.reshape(n, end + 1), axis=1)[:, :end]


def _freedom(each: Array | float, other: Array | float, n: int, m: int) -> Array | float:
    """Satterthwaite's degrees of freedom of the sum of two squared standard errors."""
    return (each + other) ** 2 / (each**2 / (n - 1) + other**2 / (m - 1))


def median_steps(steps: Array) -> float | None:
    """The least steps by which half of the runs have arrived; None: fewer have."""
    middle = float(np.sort(steps)[(len(steps) - 1) // 2])
    return middle if np.isfinite(middle) else None


def difference(first: Array, second: Array) -> Difference:
    """Mean of `first` [n] − mean of `second` [m], with t bounds: Welch's, or Student's where `second` is one value, a constant."""
    a, b = np.asarray(first, float), np.asarray(second, float)
    found = paired(a - b) if len(b) == 1 else unpaired(a, b)
    if found.n < RUNS_FOR_BOUND:
        return Difference(mean=found.mean, low=None, high=None)
    margin = -float(special.stdtrit(found.freedom, LEVEL)) * found.error
    return Difference(mean=found.mean, low=found.mean - margin, high=found.mean + margin)


def paired(values: Array) -> Estimate:
    """The mean of paired differences [n ≥ 1]."""
    return Estimate(len(values), float(values.mean()), float(np.sqrt(_squared_error(values))), len(values) - 1)


def unpaired(first: Array, second: Array) -> Estimate:
    """The mean of `first` [n ≥ 1] minus the mean of `second` [m ≥ 1]: Welch's error and degrees of freedom."""
    a, b = _squared_error(first), _squared_error(second)
    n, m = len(first), len(second)
    freedom = float(_freedom(a, b, n, m)) if a + b > 0 else n + m - 2
    return Estimate(min(n, m), float(first.mean() - second.mean()), float(np.sqrt(a + b)), freedom)


def _squared_error(values: Array) -> float:
    return float(np.var(values, ddof=1)) / len(values) if len(values) > 1 else np.nan


def probability_of_improvement(candidate: Array, scratch: Array) -> float:
    """P(candidate < scratch) + ½ P(equal) over all pairs of runs, [n ≥ 1] and [m ≥ 1] env steps; fewer steps are better (Agarwal et al. 2021).

    A censored run is +∞: worse than any that reached the target, equal to another censored one.
    """
    left, right = np.asarray(candidate, float)[:, None], np.asarray(scratch, float)[None, :]
    return float(np.mean((left < right) + 0.5 * (left == right)))


def kaplan_meier(steps: Array, censored: Array) -> Reached:
    """The curve of n ≥ 1 runs from their env steps [n], and whether each had not reached the target by then, bool [n]."""
    from scipy import stats  # half a second, which commands that only read comparisons need not wait

    curve = stats.ecdf(stats.CensoredData.right_censored(np.asarray(steps, float), censored)).cdf
    arrived = np.flatnonzero(curve.probabilities >= 0.5 - 1e-9)  # products of shares round: 12 of 24 may be 0.4999999999999999
    return Reached(
        steps=tuple(curve.quantiles.tolist()),
        share=tuple(curve.probabilities.tolist()),
        runs=len(steps),
        censored=int(np.sum(censored)),
        median_steps=float(curve.quantiles[arrived[0]]) if len(arrived) else None,
    )
