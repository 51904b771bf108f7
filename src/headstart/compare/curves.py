"""Learning curves of many seeds on one grid: IQM with a bootstrap band, and the area under them."""

from collections.abc import Sequence

import numpy as np

from headstart.compare.arm_runs import ArmRuns, Score, SeedRun
from headstart.core.arrays import Array, Mode
from headstart.core.record import Record
from headstart.core.statistics import iqm_band

MEASURES = ("success", "harm", "return")


class CurveBand(Record):
    """One measure of one arm: IQM over seeds with a two-sided 95 % bootstrap band, at X common env steps."""

    env_steps: tuple[int, ...]
    iqm: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def curve_bands(arm: ArmRuns, mode: Mode, resamples: int, seed: int) -> dict[str, CurveBand]:
    """Measure → band. The grid is the design's, as far as the shortest run was watched; between evaluations
    a curve is linear.
    """
    end = watched_steps(arm.runs)
    grid = np.arange(0, end + 1, arm.design.every)
    return {measure: _band(arm.runs, measure, mode, grid, resamples, seed) for measure in MEASURES}


def area_under(run: SeedRun, mode: Mode, end: int) -> float | None:
    """Mean success rate over env steps 0..end (trapezoids): in [0, 1]. None where end is 0."""
    if end <= 0:
        return None
    steps, success = _points(run, "success", mode)
    x = np.append(steps[steps < end], end)
    return float(np.trapezoid(np.interp(x, steps, success), x)) / end


def watched_steps(runs: Sequence[SeedRun]) -> int:
    """Env steps up to which every run has been evaluated."""
    return min(run.curve[-1].env_steps for run in runs)


def rate(score: Score, measure: str) -> float:
    """A measure of one score: success and harm as rates in [0, 1], return in the world's units."""
    return score.return_mean if measure == "return" else float(getattr(score, measure)) / score.episodes


def _band(runs: Sequence[SeedRun], measure: str, mode: Mode, grid: Array, resamples: int, seed: int) -> CurveBand:
    values = np.stack([np.interp(grid, *_points(run, measure, mode)) for run in runs])  # [n, X]
    iqm, low, high = iqm_band(values, resamples, seed=seed)
    return CurveBand(
        env_steps=tuple(int(x) for x in grid),
        iqm=tuple(map(float, iqm)),
        low=tuple(map(float, low)),
        high=tuple(map(float, high)),
    )


def _points(run: SeedRun, measure: str, mode: Mode) -> tuple[Array, Array]:
    """[X] env steps and [X] values of one run's own evaluations."""
    steps = np.array([point.env_steps for point in run.curve])
    return steps, np.array([rate(point.score(mode), measure) for point in run.curve])
