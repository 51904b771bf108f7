"""Two arms beyond one target: the ratio at other levels of return, the area between their curves, where they end, and several scenarios at once.

These figures describe; none decides a verdict. Their intervals are two-sided 95 % bootstrap intervals over runs, which are resampled arm by arm
(stratified; Agarwal et al., "Deep RL at the edge of the statistical precipice", 2021). Each holds for one figure alone.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from headstart.compare.arm_runs import ArmRuns, SeedRun
from headstart.compare.curves import TAIL, on_grid, points, score_value, watched_steps
from headstart.compare.ratio import RatioEstimate, estimate_ratio
from headstart.compare.target import interval
from headstart.core.arrays import Array, Mode
from headstart.core.record import Record, Share

RESAMPLES = 10_000
CONSECUTIVE = 2  # evaluations in a row, as a target's default


class LevelRatio(Record):
    """The ratio of steps to a level of mean return."""

    level: float
    candidate_reached: int  # runs
    scratch_reached: int
    ratio: RatioEstimate  # its bound holds for this level alone


class Interval(Record):
    """A figure with its two-sided 95 % interval."""

    mean: float
    low: float
    high: float


class Profile(Record):
    """Share of an arm's runs whose return in the exam is at least each of X levels."""

    level: tuple[float, ...]
    share: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


class Aggregate(Record):
    """The ratio over several scenarios, each with the same weight."""

    ratio: float | None  # geometric mean of the ratios of medians; None: no scenario has one
    low: float | None
    high: float | None  # None: the resamples leave it open, or there is no ratio
    scenarios: tuple[str, ...]
    left_out: tuple[str, ...]  # their ratio is not estimable or 0


class Ending(Record):
    """The exams of the last checkpoints of some runs."""

    runs: int
    return_median: float
    harm_median: float  # of the runs' rates


class Ceiling(Record):
    """Whether the head start costs what is reached in the end."""

    env_steps: int  # up to which all runs were evaluated
    not_below: Share  # of the evaluations up to there: the candidate's median return is at least scratch's
    first_below: int | None  # env steps of the first evaluation where it is not
    candidate: Ending
    scratch: Ending
    scratch_best: Ending  # the quarter of scratch's runs that had the greatest return at their last evaluation


class Steps(NamedTuple):
    """Steps to target of both arms in one scenario, as `estimate_ratio` takes them."""

    candidate: Array  # [n], +∞ where it was not reached
    scratch: Array  # [m]
    watched: Array  # [m] steps up to which scratch was watched


# --- the ratio against the level ----------------------------------------------------------------------------------------


def level_ratios(candidate: ArmRuns, scratch: ArmRuns, mode: Mode, levels: int = 10) -> tuple[LevelRatio, ...]:
    """From the median return of scratch at a tenth of its steps up to the best that the median of either arm reaches, in equal distances.

    A run reaches a level at the first of two evaluations in a row at or above it; the candidate's steps are counted to the end of the
    evaluation interval, scratch's to its beginning.
    """
    tenth = np.array([watched_steps(scratch.runs) / 10])
    lowest = float(np.median(on_grid(scratch.runs, "return", mode, tenth)))
    highest = max(float(_median_curve(arm.runs, mode, _grid(arm.runs, arm.design.every)).max()) for arm in (candidate, scratch))
    return tuple(_at_level(candidate, scratch, mode, level) for level in np.unique(np.linspace(lowest, highest, levels)).tolist())


def _at_level(candidate: ArmRuns, scratch: ArmRuns, mode: Mode, level: float) -> LevelRatio:
    ours = np.array([_passage(run, mode, level)[1] for run in candidate.runs])
    after, by = np.array([_passage(run, mode, level) for run in scratch.runs]).T
    return LevelRatio(
        level=level,
        candidate_reached=int(np.isfinite(ours).sum()),
        scratch_reached=int(np.isfinite(by).sum()),
        ratio=estimate_ratio(ours, np.where(np.isinf(by), np.inf, after), watched=after),
    )


def _passage(run: SeedRun, mode: Mode, level: float) -> tuple[float, float]:
    """Env steps by which the level was not reached yet, and of the evaluation that shows it; +∞: never."""
    steps, returns = points(run, "return", mode)
    before, by = interval((returns >= level).tolist(), CONSECUTIVE)
    return float(steps[before]), math.inf if by is None else float(steps[by])


# --- curves and exams ---------------------------------------------------------------------------------------------------


def area_between(candidate: ArmRuns, scratch: ArmRuns, mode: Mode, measure: str, resamples: int = RESAMPLES) -> Interval | None:
    """Mean over env steps 0..end of the candidate's mean curve − scratch's; `measure` is success, harm or return.

    The end is where all runs of both arms were still evaluated. None where it is 0.
    """
    end = watched_steps((*candidate.runs, *scratch.runs))
    if end <= 0:
        return None
    ours, theirs = (np.array([_area(run, measure, mode, end) for run in arm.runs]) for arm in (candidate, scratch))
    rng = np.random.default_rng(0)
    low, high = np.quantile(_means(ours, resamples, rng) - _means(theirs, resamples, rng), [TAIL, 1 - TAIL])
    return Interval(mean=float(ours.mean() - theirs.mean()), low=float(low), high=float(high))


def mean_area(arm: ArmRuns, measure: str, mode: Mode, end: int) -> float | None:
    """Mean over env steps 0..end of the arm's mean curve. None where the end is 0."""
    return float(np.mean([_area(run, measure, mode, end) for run in arm.runs])) if end > 0 else None


def _area(run: SeedRun, measure: str, mode: Mode, end: int) -> float:
    """Mean of one run's curve over env steps 0..end, by trapezoids."""
    steps, values = points(run, measure, mode)
    x = np.append(steps[steps < end], end)
    return float(np.trapezoid(np.interp(x, steps, values), x)) / end


def performance_profile(arms: Sequence[ArmRuns], mode: Mode, levels: int = 41, resamples: int = RESAMPLES) -> dict[str, Profile]:
    """Arm → profile, on one grid from the least to the greatest return of any run in its exam; the bands hold point by point."""
    returns = {arm.arm: np.array([run.exam[mode].return_mean for run in arm.runs]) for arm in arms}
    lowest, highest = (float(pick([pick(values) for values in returns.values()])) for pick in (np.min, np.max))
    grid = np.linspace(lowest, highest, levels)
    found = {}
    for name, values in returns.items():
        passed = values[:, None] >= grid  # [n, X]
        low, high = np.quantile(_means(passed, resamples, np.random.default_rng(0)), [TAIL, 1 - TAIL], axis=0)
        share, low, high = (tuple(line.tolist()) for line in (passed.mean(axis=0), low, high))
        found[name] = Profile(level=tuple(grid.tolist()), share=share, low=low, high=high)
    return found


def ceiling(candidate: ArmRuns, scratch: ArmRuns, mode: Mode) -> Ceiling:
    """Both arms' median curves of return side by side, and where they end.

    Scratch's best runs are chosen by their last evaluation, since a choice by the exam would flatter them.
    """
    end = watched_steps((*candidate.runs, *scratch.runs))
    grid = np.arange(0, end + 1, candidate.design.every)
    below = _median_curve(candidate.runs, mode, grid) < _median_curve(scratch.runs, mode, grid)
    by_return = sorted(scratch.runs, key=lambda run: (-run.curve[-1].score(mode).return_mean, run.seed))
    return Ceiling(
        env_steps=end,
        not_below=float(1 - below.mean()),
        first_below=int(grid[below][0]) if below.any() else None,
        candidate=_ending(candidate.runs, mode),
        scratch=_ending(scratch.runs, mode),
        scratch_best=_ending(by_return[: math.ceil(len(by_return) / 4)], mode),
    )


def _ending(runs: Sequence[SeedRun], mode: Mode) -> Ending:
    returns, harm = (float(np.median([score_value(run.exam[mode], measure) for run in runs])) for measure in ("return", "harm"))
    return Ending(runs=len(runs), return_median=returns, harm_median=harm)


def _grid(runs: Sequence[SeedRun], every: int) -> Array:
    return np.arange(0, watched_steps(runs) + 1, every)


def _median_curve(runs: Sequence[SeedRun], mode: Mode, grid: Array) -> Array:
    """Median return over runs at X env steps, [X]."""
    return np.asarray(np.median(on_grid(runs, "return", mode, grid), axis=0))


def _means(values: Array, resamples: int, rng: np.random.Generator) -> Array:
    """Means over runs that are drawn with replacement: [n, …] → [resamples, …]."""
    return np.asarray(values[rng.integers(0, len(values), (resamples, len(values)))].mean(axis=1))


# --- several scenarios --------------------------------------------------------------------------------------------------


def aggregate(scenarios: Mapping[str, Steps], resamples: int = RESAMPLES) -> Aggregate:
    """The geometric mean of the scenarios' ratios of medians; runs are resampled within every arm of every scenario.

    Where fewer than half of a resample's runs of scratch arrive, its median lies anywhere beyond what was watched: the lower end takes the
    ratio as 0, and the upper end takes the budget as the median.
    """
    medians = {name: estimate_ratio(*steps).median for name, steps in scenarios.items()}
    used = tuple(name for name, median in medians.items() if median)
    left_out = tuple(name for name in scenarios if name not in used)
    if not used:
        return Aggregate(ratio=None, low=None, high=None, scenarios=(), left_out=left_out)
    rng = np.random.default_rng(0)
    low, high = np.mean([_log_ratios(scenarios[name], resamples, rng) for name in used], axis=0)  # [resamples] each
    # NaN: 0 in one scenario and +∞ in another. Quantiles are drawn values, since nothing lies between two infinities.
    least = np.quantile(np.where(np.isnan(low), -np.inf, low), TAIL, method="lower")
    most = np.quantile(np.where(np.isnan(high), np.inf, high), 1 - TAIL, method="higher")
    return Aggregate(
        ratio=math.exp(sum(math.log(medians[name] or 1) for name in used) / len(used)),
        low=float(np.exp(least)),
        high=float(np.exp(most)) if np.isfinite(most) else None,
        scenarios=used,
        left_out=left_out,
    )


def _log_ratios(steps: Steps, resamples: int, rng: np.random.Generator) -> Array:
    """The least and the greatest log of the ratio of medians that each resample allows, [2, resamples]."""
    rows = rng.integers(0, len(steps.scratch), (resamples, len(steps.scratch)))
    ours = _medians(np.asarray(steps.candidate, float)[rng.integers(0, len(steps.candidate), (resamples, len(steps.candidate)))])
    theirs = _medians(np.asarray(steps.scratch, float)[rows])
    known = _medians(np.minimum(steps.scratch, steps.watched)[rows])
    with np.errstate(divide="ignore", invalid="ignore"):
        least = np.where(np.isinf(theirs), -np.inf, np.log(ours) - np.log(theirs))
        return np.stack([least, np.log(ours) - np.log(known)])


def _medians(steps: Array) -> Array:
    """As `median_steps` of every row: [B, n] → [B]."""
    return np.asarray(np.sort(steps, axis=1)[:, (steps.shape[1] - 1) // 2])
