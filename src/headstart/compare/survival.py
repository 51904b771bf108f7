"""Steps to target as a waiting time: a run that never got there is censored at the steps it was watched for.

Kaplan and Meier (1958) for the share of runs that have reached the target by x steps; the log-rank test
(Mantel 1966) for whether two arms differ. Neither drops a censored run nor pretends that it arrived at its
budget.
"""

import numpy as np
from scipy import stats

from headstart.core.arrays import Array
from headstart.core.errors import InputError
from headstart.core.record import Record


class Reached(Record):
    """A staircase: `share[i]` of the runs have reached the target by `steps[i]` env steps."""

    steps: tuple[float, ...]
    share: tuple[float, ...]
    runs: int
    censored: int
    median_steps: float | None  # None: half of the runs have not been seen to arrive


def kaplan_meier(steps: Array, censored: Array) -> Reached:
    """Share of runs that reached the target by x: [n] env steps and [n] bool, true where the run was still
    on its way.
    """
    data = _right_censored(steps, censored)
    curve = stats.ecdf(data).cdf
    arrived = np.flatnonzero(curve.probabilities >= 0.5)
    return Reached(
        steps=tuple(float(x) for x in curve.quantiles),
        share=tuple(float(p) for p in curve.probabilities),
        runs=len(steps),
        censored=int(np.sum(censored)),
        median_steps=float(curve.quantiles[arrived[0]]) if len(arrived) else None,
    )


def logrank_p(candidate_steps: Array, candidate_censored: Array, scratch_steps: Array, scratch_censored: Array) -> float | None:
    """Two-sided p that both arms have the same hazard of reaching the target: [n], [n], [m], [m].

    None where the test says nothing: no run arrived, or all that did arrived last with nobody left to
    compare.
    """
    arms = (
        _right_censored(candidate_steps, candidate_censored),
        _right_censored(scratch_steps, scratch_censored),
    )
    if not _has_variance(candidate_steps, candidate_censored, scratch_steps, scratch_censored):
        return None
    return float(stats.logrank(*arms).pvalue)


def _has_variance(x: Array, x_censored: Array, y: Array, y_censored: Array) -> bool:
    """Whether a run arrived while both arms had some on their way, and not all arrived at once."""
    steps, censored = np.concatenate([x, y]), np.concatenate([x_censored, y_censored])
    for arrival in np.unique(steps[~censored.astype(bool)]):
        at_risk = int(np.sum(steps >= arrival))
        arrived = int(np.sum((steps == arrival) & ~censored.astype(bool)))
        if 0 < int(np.sum(x >= arrival)) < at_risk and arrived < at_risk:
            return True
    return False


def _right_censored(steps: Array, censored: Array) -> stats.CensoredData:
    if steps.shape != censored.shape or steps.ndim != 1 or len(steps) == 0:
        raise InputError(f"expected as many steps as censoring flags, got {list(steps.shape)} and {list(censored.shape)}")
    return stats.CensoredData.right_censored(np.asarray(steps, float), np.asarray(censored, bool))
