"""Learning curves of many seeds on one grid: IQM with a bootstrap band, and the seed whose curve ends best."""

from collections.abc import Sequence

import numpy as np

from headstart.compare.arm_runs import ArmRuns, Score, SeedRun
from headstart.core.arrays import Array, Mode
from headstart.core.errors import InputError
from headstart.core.record import Record
from headstart.core.statistics import interquartile_mean

MEASURES = ("success", "harm", "return")
TAIL = (1 - 0.95) / 2  # of a two-sided 95 % interval


class CurveBand(Record):
    """One measure of one arm: IQM over seeds with a two-sided 95 % bootstrap band, at X common env steps."""

    env_steps: tuple[int, ...]
    iqm: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def curve_bands(arm: ArmRuns, mode: Mode, resamples: int) -> dict[str, CurveBand]:
    """Measure → band. The grid is the design's, up to the last evaluation of the shortest run; between evaluations a curve is linear."""
    grid = np.arange(0, watched_steps(arm.runs) + 1, arm.design.every)
    return {measure: _band(arm.runs, measure, mode, grid, resamples) for measure in MEASURES}


def watched_steps(runs: Sequence[SeedRun]) -> int:
    """Env steps up to which every run has been evaluated."""
    return min(run.curve[-1].env_steps for run in runs)


def score_value(score: Score, quantity: str) -> float:
    """A quantity of one score: success and harm as rates in [0, 1], return in the world's units, or one of the scenario's measures."""
    known = {"success": score.success_rate, "harm": score.harm_rate, "return": score.return_mean}
    return known[quantity] if quantity in known else score.measures[quantity]


def on_grid(runs: Sequence[SeedRun], measure: str, mode: Mode, grid: Array) -> Array:
    """A measure of n runs at X env steps, [n, X]; between evaluations a curve is linear."""
    return np.stack([np.interp(grid, *points(run, measure, mode)) for run in runs])


def points(run: SeedRun, measure: str, mode: Mode) -> tuple[Array, Array]:
    """[X] env steps and [X] values of one run's own evaluations."""
    steps = np.array([point.env_steps for point in run.curve])
    return steps, np.array([score_value(point.score(mode), measure) for point in run.curve])


def best_run(arm: ArmRuns, mode: Mode) -> SeedRun:
    """The run with the most successes in its last evaluation; then the least harm, the highest return, the lowest seed.

    The exam is not used for this choice: it judges the arm, and a choice by its scores would bias them.
    Raises InputError for an arm without runs, or a run without an evaluation.
    """
    if not arm.runs or not all(run.curve for run in arm.runs):
        raise InputError(f"arm {arm.arm} on {arm.scenario}: expected runs that were evaluated during training, found none")

    def merit(run: SeedRun) -> tuple[float, float, float, int]:
        score = run.curve[-1].score(mode)
        return score.success_rate, -score.harm_rate, score.return_mean, -run.seed

    return max(arm.runs, key=merit)


def iqm_band(values: Array, resamples: int) -> tuple[Array, Array, Array]:
    """IQM over n seeds with a two-sided 95 % percentile bootstrap band, seeds resampled with their complete curves: [n ≥ 1, X] → three [X].

    Equal values give equal bands. The resamples are taken in blocks, so that memory stays near 32 MB.
    """
    rng = np.random.default_rng(0)
    block = max(1, 4_000_000 // values.size)
    draws = []
    for first in range(0, resamples, block):
        rows = rng.integers(0, len(values), (len(values), min(block, resamples - first)))
        draws.append(interquartile_mean(values[rows]))  # [n, block, X] → [block, X]
    low, high = np.quantile(np.concatenate(draws), [TAIL, 1 - TAIL], axis=0)
    return interquartile_mean(values), low, high


def _band(runs: Sequence[SeedRun], measure: str, mode: Mode, grid: Array, resamples: int) -> CurveBand:
    iqm, low, high = (tuple(line.tolist()) for line in iqm_band(on_grid(runs, measure, mode, grid), resamples))
    return CurveBand(env_steps=tuple(grid.tolist()), iqm=iqm, low=low, high=high)
