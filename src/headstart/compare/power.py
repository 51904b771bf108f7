"""The power of a comparison: how likely its bound meets the limit at a given true ratio, planned before the run and reached after it.

Both figures are for one true ratio, chosen before the run. Power at the ratio that was found would say no more than the bound does (Hoenig and
Heisey, "The abuse of power", 2001); so the power reached takes the spread and the arrivals from the runs, and never the ratio.
"""

import math
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np

from headstart.compare.ratio import estimate_ratio, ratio_upper
from headstart.core.arrays import Array
from headstart.core.errors import InputError
from headstart.core.record import Record
from headstart.core.statistics import wilson_lower, wilson_upper

EXPERIMENTS = 400


class Power(Record):
    """Share of simulated experiments whose bound meets the limit; `low` and `high` are each a one-sided 95 % bound of the simulation alone."""

    share: float
    low: float
    high: float
    experiments: int


class PowerPlan(NamedTuple):
    """The experiment whose power is asked for, as `planned_power` takes it; fixed before the run."""

    n: int  # runs a side
    true_ratio: float
    log_sd: float  # of the steps of a run
    limit: float  # of the bound


@cache  # the targets of a scenario share it
def planned_power(n: int, true_ratio: float, log_sd: float, limit: float, budget: float = math.inf) -> Power:
    """Of n runs a side whose steps are lognormal: medians at `true_ratio` and 1, and `log_sd` of ln steps in both arms.

    `budget` of both arms is in multiples of scratch's median. Raises InputError unless n, true_ratio, limit and budget are positive.
    """
    if min(n, true_ratio, limit, budget) <= 0 or log_sd < 0:
        got = f"n {n}, true_ratio {true_ratio}, log_sd {log_sd}, limit {limit}, budget {budget}"
        raise InputError(f"power needs n, true_ratio, limit and budget > 0 and log_sd ≥ 0, got {got}")
    rng = np.random.default_rng(0)
    logs = rng.normal(0.0, log_sd, (EXPERIMENTS, 2, n))
    candidate, scratch = true_ratio * np.exp(logs[:, 0]), np.exp(logs[:, 1])
    return _share(zip(np.where(candidate <= budget, candidate, np.inf), np.minimum(scratch, budget), strict=True), limit)


def reached_power(candidate: Array, scratch: Array, watched: Array, limit: float, true_ratio: float) -> Power | None:
    """Of experiments that draw as many runs from the observed ones, with replacement, had the ratio of medians been `true_ratio`.

    For that the candidate's steps are multiplied by one factor. Arguments as of `estimate_ratio`. None where there is no ratio to start
    from, or it is 0. The interval does not contain what the runs themselves leave open: with ten a side, take it as a rough figure.
    """
    found = estimate_ratio(candidate, scratch, watched).median
    if not found:
        return None
    ours = np.asarray(candidate, float) * (true_ratio / found)
    theirs = np.minimum(np.asarray(scratch, float), np.asarray(watched, float))
    rng = np.random.default_rng(0)
    drawn = ((rng.choice(ours, len(ours)), rng.choice(theirs, len(theirs))) for _ in range(EXPERIMENTS))
    return _share(drawn, limit)


def _share(experiments: Iterator[tuple[Array, Array]], limit: float) -> Power:
    bounds = [ratio_upper(candidate, scratch) for candidate, scratch in experiments]
    met = sum(bound is not None and bound <= limit for bound in bounds)
    n = len(bounds)
    return Power(share=met / n, low=wilson_lower(met, n), high=wilson_upper(met, n), experiments=n)
