"""The arms at a glance: a row for each, with its exam and its way to the target, and a row for each difference."""

from collections.abc import Mapping

from headstart.compare.arm_runs import ArmRuns
from headstart.compare.comparison import Comparison
from headstart.compare.curves import watched_steps
from headstart.compare.findings import ArmSummary
from headstart.compare.levels import mean_area
from headstart.compare.ratio import Difference
from headstart.runs.wall_clock import WallClock
from headstart.view.blocks import Block, Note, Section, Table, section
from headstart.view.comparison import arms_of, number, there
from headstart.view.ends import clipped, signed
from headstart.view.judged import QUANTITIES, whose


def glance_section(
    found: Comparison, arms: Mapping[str, ArmRuns], seconds: Mapping[str, float], clock: WallClock | None
) -> Section:
    """A row for each arm, then one for each difference. `seconds`: arm → of its whole stage, as the record of its run has them."""
    end = watched_steps([run for arm in arms_of(found) for run in arms[arm.arm].runs])
    rows = [_row(found, arm, arms[arm.arm], end, seconds) for arm in arms_of(found)]
    columns = (
        f"arm | seeds at {found.target.name} | median env steps to it | success | harm | return (IQM) | mean return over training"
    )
    columns += " | wall clock, all seeds"
    blocks: list[Block] = [Table(columns, rows)]
    if found.grid and found.final:
        names = [name for name in QUANTITIES if name in found.margins]
        others = [other for other in (*(one.baseline.arm for one in found.grid), "clone", "expert") if found.final.get(other)]
        apart = [
            (f"{found.candidate.arm} − {whose(other)}", *(_interval(found.final[other].get(name), name) for name in names))
            for other in others
        ]
        blocks += [Table(f"difference of means at the exam | {' | '.join(names)}", apart)]
    blocks += [
        Note(
            f"Success, harm and return: the last checkpoint of every seed on {arms[found.candidate.arm].design.exam_worlds:,} exam worlds, "
            f"sampled policy, n = {found.candidate.exams['sampled'].episodes:,} episodes an arm. Mean return over training: area under the "
            f"curve from 0 to {end:,} env steps, divided by them. Each end of an interval is a one-sided 95 % bound. {_wall(clock)}"
        )
    ]
    return section("glance", "At a glance", *blocks)


def _row(found: Comparison, arm: ArmSummary, runs: ArmRuns, end: int, seconds: Mapping[str, float]) -> tuple[str, ...]:
    exam = arm.exams["sampled"]
    area = mean_area(runs, "return", found.target.mode, end)
    wall = seconds.get(arm.arm)
    return (
        arm.arm,
        there(arm),
        number(arm.reached.median_steps, ",.0f", "not reached by half"),
        f"{exam.success_rate:.3f}",
        f"{exam.harm_rate:.3f}",
        f"{exam.return_iqm:.3f}",
        number(area, ".3f", "not measured"),
        number(wall, ",.0f", "not known") + (" s" if wall is not None else ""),
    )


def _interval(of: Difference | None, quantity: str) -> str:
    if of is None:
        return "not measured"
    if of.low is None or of.high is None:
        return f"{signed(of.mean)} (no bound)"
    return f"{signed(of.mean)} ({signed(clipped(of.low, quantity))} to {signed(clipped(of.high, quantity))})"


def _wall(clock: WallClock | None) -> str:
    if clock is None:
        return (
            "Wall clock: of the stage, with its evaluations; seconds to target are not known, since the logs are not here (`dvc pull` brings "
            "them)."
        )
    return "Wall clock: of the stage, with its evaluations; the seeds share the cores of one machine."
