"""The arms at a glance: a row for each, with its exam, its way to the target, and the time that it took."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from headstart.compare.arm_runs import ArmRuns
from headstart.compare.comparison import Comparison
from headstart.compare.curves import score_value, watched_steps
from headstart.compare.findings import ArmSummary
from headstart.compare.levels import mean_area
from headstart.core.run_record import RunRecord
from headstart.runs.wall_clock import WallClock
from headstart.view.blocks import Block, Note, Section, Table, section
from headstart.view.comparison import arms_of, number, there

BEFORE = ("source", "expert", "capture", "curate", "validate", "bc_train")  # stages that a candidate with a head start waits for


def glance_section(found: Comparison, arms: Mapping[str, ArmRuns], runs: Sequence[RunRecord], clock: WallClock | None) -> Section:
    """A row for each arm. `runs`: the records of all stages, which have their seconds."""
    wall, all_in = wall_clock_cells(runs, found.candidate.arm)
    end = watched_steps([run for arm in arms_of(found) for run in arms[arm.arm].runs])
    rows = [_row(found, arm, arms[arm.arm], end, wall.get(arm.arm, "not known")) for arm in arms_of(found)]
    columns = f"arm | seeds at {found.target.name} | median env steps to it"
    columns += " | success | harm | return, mean | return, IQM | mean return over training"
    blocks: list[Block] = [Table(f"{columns} | wall clock, all seeds", rows)]
    blocks += [
        Note(
            f"Success, harm and return: the last checkpoint of every seed on {arms[found.candidate.arm].design.exam_worlds:,} exam worlds, "
            f"sampled policy, n = {found.candidate.exams['sampled'].episodes:,} worlds an arm, over its seeds. Mean return "
            f"over training: area under the "
            f"curve from 0 to {end:,} env steps, divided by them. {_wall(clock, all_in)}"
        )
    ]
    return section("glance", "At a glance", *blocks)


def _row(found: Comparison, arm: ArmSummary, runs: ArmRuns, end: int, wall: str) -> tuple[str, ...]:
    exam = arm.exams["sampled"]
    area = mean_area(runs, "return", found.target.mode, end)
    return (
        arm.arm,
        there(arm),
        number(arm.reached.median_steps, ",.0f", "not reached by half"),
        f"{exam.success_rate:.3f}",
        f"{exam.harm_rate:.3f}",
        f"{fmean(score_value(run.exam['sampled'], 'return') for run in runs.runs):.3f}",
        f"{exam.return_iqm:.3f}",
        number(area, ".3f", "not measured"),
        wall,
    )


def wall_clock_cells(runs: Sequence[RunRecord], candidate: str) -> tuple[dict[str, str], str]:
    """Arm → seconds of the stage that trained it, the candidate's also with what its demonstrations and clones took; and that in words."""
    trained = {run.arm: run.circumstances.seconds for run in runs if run.arm is not None}
    before = {run.stage: run.circumstances.seconds for run in runs if run.arm is None and run.stage in BEFORE}
    cells = {arm: f"{seconds:,.0f} s" for arm, seconds in trained.items()}
    if candidate not in trained or not before or "baseline" in {run.stage for run in runs if run.arm == candidate}:
        return cells, ""
    cells[candidate] += f"; all-in {trained[candidate] + sum(before.values()):,.0f} s"
    took = ", ".join(f"{stage} {before[stage]:,.1f}" for stage in BEFORE if stage in before)
    return cells, f" All-in adds what came before {candidate} could begin, for all seeds: {took} s."


def _wall(clock: WallClock | None, all_in: str) -> str:
    if clock is None:
        return (
            f"Wall clock: of the stage, with its evaluations; seconds to target are not known, since the logs are not here (`dvc pull` brings "
            f"them).{all_in}"
        )
    return f"Wall clock: of the stage, with its evaluations; the seeds share the cores of one machine.{all_in}"
