"""The candidate against the strongest baseline beyond one target: other levels of return, whole curves, where they end, and power.

None of it decides a verdict.
"""

from headstart.compare.arm_runs import ArmRuns
from headstart.compare.levels import Ceiling, Interval, LevelRatio, Steps, area_between, ceiling, level_ratios
from headstart.compare.power import Power, PowerPlan, planned_power, reached_power
from headstart.core.arrays import Mode
from headstart.core.record import Record

AREAS = ("success", "return")


class Beyond(Record):
    """Intervals of levels and areas are over runs, those of power over simulated experiments."""

    levels: tuple[LevelRatio, ...]  # ascending
    areas: dict[str, Interval]  # success, return → area between the curves; empty without an evaluation after the start
    ceiling: Ceiling
    planned_power: Power
    reached_power: Power | None  # None: there is no ratio to start from


def find_beyond(candidate: ArmRuns, baseline: ArmRuns, steps: Steps, mode: Mode, plan: PowerPlan, resamples: int) -> Beyond:
    """`steps` are those to the target, by which the power is judged; `mode` is the target's."""
    areas = {measure: area_between(candidate, baseline, mode, measure, resamples) for measure in AREAS}
    return Beyond(
        levels=level_ratios(candidate, baseline, mode),
        areas={measure: area for measure, area in areas.items() if area is not None},
        ceiling=ceiling(candidate, baseline, mode),
        planned_power=planned_power(*plan),
        reached_power=reached_power(*steps, plan.limit, plan.true_ratio),
    )
