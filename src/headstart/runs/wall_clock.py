"""Seconds to target of two arms, from the logs of their runs.

A run's clock starts with its log. It contains evaluations and rollbacks, but neither the start of the process nor the time between an
interruption and the resumption; work that was lost and done again counts once, since the log has it once. Recording and cloning are not in
it: their stages measure the time of all clones together. The runs of an arm share the cores of a machine.
"""

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from headstart.compare.findings import ArmSummary, Findings
from headstart.compare.levels import Steps
from headstart.config.project import REPORTS
from headstart.core.arrays import Array, Mode
from headstart.core.errors import InputError
from headstart.core.files import read_record
from headstart.core.run_record import RUN, RunRecord
from headstart.runs.states import TELEMETRY
from headstart.telemetry.kinds import AnyLine, Evaluation
from headstart.telemetry.reader import read_telemetry

STARTUP_S = 0.1  # a process takes longer from its start to its log; times in a log are rounded to 0.001 s


class WallClock(NamedTuple):
    """The candidate against the strongest baseline, in seconds that are counted as their env steps are."""

    seconds: Steps
    interrupted: int  # runs that were resumed
    machines: int  # on which the arms ran; 0: unknown


def wall_clock(root: Path, found: Findings) -> WallClock | None:
    """From reports/<scenario>/{baseline,anneal}/<arm>/telemetry below `root`; None where the log of a run is not there, or no baseline.

    Raises InputError for a log without an evaluation that the comparison is about, and what `read_telemetry` raises.
    """
    if found.strongest is None:
        return None
    folder = root / REPORTS / found.scenario
    ours, theirs = folder / "anneal" / found.candidate.arm, folder / "baseline" / found.strongest.baseline.arm
    candidate, baseline = _clocked(ours, found.candidate, found.target.mode), None
    if candidate is not None:
        baseline = _clocked(theirs, found.strongest.baseline, found.target.mode)
    if candidate is None or baseline is None:
        return None
    seconds = Steps(candidate.by, np.where(np.isinf(baseline.by), np.inf, baseline.after), baseline.after)
    return WallClock(seconds, candidate.interrupted + baseline.interrupted, _machines(ours / RUN, theirs / RUN))


class _Clocked(NamedTuple):
    """The n runs of an arm."""

    after: Array  # [n] seconds of the evaluation before the target, or of the last
    by: Array  # [n] seconds of the evaluation that first met it; +∞: none did
    interrupted: int


def _clocked(folder: Path, arm: ArmSummary, mode: Mode) -> _Clocked | None:
    logs = [folder / TELEMETRY / f"seed-{one.seed}" for one in arm.passages]
    if not all(log.is_dir() for log in logs):
        return None
    after, by, interrupted = [], [], 0
    for log, one in zip(logs, arm.passages, strict=True):
        seconds, resumed = evaluation_seconds(read_telemetry(log), mode)
        if missing := {one.after, one.by or 0} - seconds.keys():
            raise InputError(
                f"{log}: expected evaluations at {sorted(missing)} env steps, found none; `dvc checkout` brings the log"
            )
        after.append(seconds[one.after])
        by.append(np.inf if one.by is None else seconds[one.by])
        interrupted += resumed
    return _Clocked(np.array(after), np.array(by), interrupted)


def evaluation_seconds(lines: tuple[AnyLine, ...], mode: Mode) -> tuple[dict[int, float], bool]:
    """Env steps of each evaluation → seconds from the start of the log; before any step they count as 0. And whether the run was resumed."""
    found, seconds, resumed, before = {}, 0.0, False, None
    for line in lines:
        again = before is not None and _opened(line) > _time(before) + STARTUP_S
        seconds += line.wall.elapsed_s - (before.wall.elapsed_s if before is not None and not again else 0.0)
        if isinstance(line, Evaluation) and line.policy_mode == mode:
            found[line.env_steps] = seconds
        resumed, before = resumed or again, line
    return found | {0: 0.0}, resumed


def _time(line: AnyLine) -> float:
    return datetime.fromisoformat(line.wall.time_utc).timestamp()


def _opened(line: AnyLine) -> float:
    """When the process that wrote the line opened the log: later than the line before only if it is another process."""
    return _time(line) - line.wall.elapsed_s


def _machines(*paths: Path) -> int:
    if not all(path.is_file() for path in paths):
        return 0
    return len({read_record(path, RunRecord).circumstances.host for path in paths})
