"""Beyond the target, as text and tables: the ratio at other levels, areas between curves, where they end, power,
seconds, and several scenarios at once.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from headstart.compare.beyond import AREAS
from headstart.compare.comparison import Comparison
from headstart.compare.findings import Findings, steps_of
from headstart.compare.levels import Ending, Interval, LevelRatio, Steps, aggregate
from headstart.compare.ratio import RUNS_FOR_BOUND, estimate_ratio, kaplan_meier, median_steps
from headstart.runs.wall_clock import WallClock
from headstart.view.blocks import Table
from headstart.view.comparison import arms_of, number, ratio_cells
from headstart.view.ends import clipped


def levels_table(found: Comparison) -> Table:
    """The ratio to the strongest baseline at other levels of return; of a comparison that has one."""
    assert found.beyond is not None
    ours, theirs = found.candidate, found.grid[0].baseline
    return Table(
        f"mean return at least | {ours.arm} there | {theirs.arm} there | ratio of medians | 95 % upper bound",
        [_level(row, ours.reached.runs, theirs.reached.runs) for row in found.beyond.levels],
    )


def _level(row: LevelRatio, ours: int, theirs: int) -> Sequence[str]:
    arrived = (f"{row.candidate_reached} of {ours}", f"{row.scratch_reached} of {theirs}")
    return f"{row.level:.3f}", *arrived, *ratio_cells(row.ratio)


def profile_text(found: Comparison) -> str:
    """How the performance profile is read."""
    few = min(arm.reached.runs for arm in arms_of(found)) < RUNS_FOR_BOUND
    band = (
        f"no band, since some arms have fewer than {RUNS_FOR_BOUND} seeds"
        if few
        else "band: its 95 % bootstrap interval at each return, which has no width where all seeds agree"
    )
    return f"Share of seeds whose last checkpoint has at least this mean return in the exam, {found.target.mode} policy; {band}."


# --- where the curves end -----------------------------------------------------------------------------------------------


def ceiling_text(found: Findings) -> str:
    """Whether the head start costs what is reached in the end; empty for a baseline by itself."""
    if found.beyond is None:
        return ""
    one, ours, theirs = found.beyond.ceiling, found.candidate, found.grid[0].baseline
    until = f"up to {one.env_steps:,} env steps, where the shortest run ends"
    where = f"at every evaluation {until}"
    if one.first_below is not None:
        where = f"at {_percent(one.not_below)} of the evaluations {until}, and below it first at {one.first_below:,}"
    ends = (
        f"{ours.arm}, after up to {ours.budget:,} steps, {_ending(one.candidate)}",
        f"{theirs.arm}, after up to {theirs.budget:,}, {_ending(one.scratch)}",
        f"the {one.scratch_best.runs} of its runs with the best last evaluation, {_ending(one.scratch_best)}",
    )
    return (
        f"Ceiling: the median return of {ours.arm} is at least that of {theirs.arm} {where}. Medians over runs at the exam: "
        f"{'; '.join(ends)}."
    )


def _ending(end: Ending) -> str:
    return f"return {end.return_median:.3f} and harm {end.harm_median:.3f}"


def areas_text(found: Findings) -> str:
    """The area between the mean curves; empty where there is none."""
    if found.beyond is None or not found.beyond.areas:
        return ""
    areas, end = found.beyond.areas, found.beyond.ceiling.env_steps
    values = ", ".join(f"{name} {_interval(areas[name], name)}" for name in AREAS)
    return f"Area between the curves, {found.candidate.arm} − {found.grid[0].baseline.arm}, mean over 0 to {end:,} env steps: {values}."


def _interval(one: Interval, quantity: str) -> str:
    return f"{one.mean:+.3f} (95 % interval {clipped(one.low, quantity):+.3f} to {clipped(one.high, quantity):+.3f})"


# --- power and seconds --------------------------------------------------------------------------------------------------


def power_text(found: Findings) -> str:
    """How likely the bound meets its limit at one true ratio, planned before the run and reached after it; empty for a baseline by itself."""
    if found.beyond is None:
        return ""
    limits, planned, reached = found.limits, found.beyond.planned_power, found.beyond.reached_power
    after = "" if reached is None else f", and {_percent(reached.share)} had their steps spread as those of these runs"
    return (
        f"Power: before the run, {_percent(planned.share)} of {planned.experiments} simulated experiments of this size with a true ratio of "
        f"{limits.planned_ratio:g} gave a bound of at most {limits.max_ratio:g}{after}. It says how likely such an experiment was to succeed, "
        "and nothing about the ratio that was found."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def clock_text(found: Findings, clock: WallClock | None) -> str:
    """The ratio of seconds to target, or why there is none."""
    if clock is None:
        return "Seconds to target: not known, since the telemetry of these runs is not there; `dvc pull` brings it."
    if clock.machines > 1:
        return "Seconds to target: not compared, since the arms ran on different machines."
    resumed = (
        f" Runs that were interrupted: {clock.interrupted}; the time until they went on is left out." if clock.interrupted else ""
    )
    return (
        f"Seconds to target: {_seconds(found, clock.seconds)}. Counted as env steps are, from the start of a run's log and with its "
        f"evaluations, but without recording and cloning; the runs of an arm share the cores of a machine.{resumed}"
    )


def _seconds(found: Findings, seconds: Steps) -> str:
    ours = median_steps(seconds.candidate)
    theirs = kaplan_meier(np.minimum(seconds.scratch, seconds.watched), np.isinf(seconds.scratch)).median_steps
    ratio = estimate_ratio(*seconds)
    estimate, bound = ratio_cells(ratio)
    bound = "" if ratio.upper == 0 else f" ({'no bound' if ratio.upper is None else f'≤ {bound}'})"
    medians = ", ".join(
        f"{arm.arm} {number(median, ',.1f', 'not reached by half')}"
        for arm, median in ((found.candidate, ours), (found.grid[0].baseline, theirs))
    )
    return f"ratio {estimate}{bound}, medians: {medians}"


# --- several scenarios --------------------------------------------------------------------------------------------------


def aggregate_text(comparisons: Mapping[str, Findings]) -> str:
    """The ratio over scenarios, each with one comparison of the same candidate; empty for fewer than two."""
    against = {scenario: (found, found.strongest) for scenario, found in comparisons.items()}
    steps = {
        scenario: steps_of(found.candidate.passages, strongest.baseline.passages)
        for scenario, (found, strongest) in against.items()
        if strongest is not None
    }
    if len(steps) < 2:
        return ""
    one = aggregate(steps)
    left_out = (
        f" Left out, since there is no ratio or the clones meet the target: {', '.join(one.left_out)}." if one.left_out else ""
    )
    if one.ratio is None:
        return f"Over scenarios: no ratio.{left_out}"
    high = "no upper end" if one.high is None else f"{one.high:.3f}"
    return (
        f"Over scenarios, the geometric mean of the ratios of {', '.join(one.scenarios)}: {one.ratio:.3f} (95 % interval "
        f"{number(one.low, '.3f')} to {high}; against the strongest baseline, online steps to the target of each).{left_out}"
    )
