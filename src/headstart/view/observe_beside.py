"""What stands beside the log of a run: its release, and the other runs. Files are read again only after they changed, or some seconds."""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from headstart.core.errors import HeadstartError
from headstart.release.history import HISTORY, Release, read_history
from headstart.release.standing import Standing, standing_of
from headstart.telemetry.kinds import RunEnded
from headstart.view.observe_log import Unreadable, parsed
from headstart.view.observe_panels import BAD, NONE, OK, WARN, Cell, Table, state, table
from headstart.view.observe_runs import Run, runs

EVERY_S = 5.0  # between two looks at the folders
MAX_RUNS = 40  # that are listed
TAIL_BYTES = 1 << 16  # of a log, in which its last record stands


@dataclass
class Beside:
    """The project around the run that is watched."""

    root: Path
    scenario: str
    looked: float = -EVERY_S
    known: dict[str, Run] = field(default_factory=dict)
    panels: dict[str, Table] = field(default_factory=dict)

    def look(self) -> Mapping[str, Table]:
        """Its panels."""
        if time.monotonic() - self.looked >= EVERY_S:
            self.looked, self.known = time.monotonic(), runs(self.root)
            self.panels = {"promotion": promotion(self.root, self.scenario), "runs": others(self.known)}
        return self.panels


def promotion(root: Path, scenario: str) -> Table:
    """How far the scenario's candidate is from a release, and what is in use."""
    if not (root / HISTORY).exists():
        return table([], [["State", state("no promotion configured", NONE)], ["Reason", f"{HISTORY} does not exist"]])
    try:
        standing = standing_of(read_history(root / HISTORY), scenario)
    except HeadstartError as error:
        return table([], [["State", state("the history cannot be read", BAD)], ["Reason", str(error)[:300]]])
    if not standing.judged and standing.current is None:
        return table(
            [], [["State", state("no promotion configured", NONE)], ["Reason", f"{HISTORY} has no verdict of {scenario}"]]
        )
    rows: list[list[Cell]] = [
        ["State", _state(standing)],
        ["Passes in a row", f"{standing.pass_streak} of {standing.required_passes} required"],
        ["Last verdict", _verdict(standing)],
        ["Reason", standing.note],
        ["In use", _release(standing, standing.current)],
        ["Before it", _release(standing, standing.previous)],
    ]
    return table([], rows)


def _state(standing: Standing) -> Cell:
    return state(standing.state, WARN if standing.last_result in ("HOLD", "FAIL") and standing.state == "monitoring" else OK)


def _verdict(standing: Standing) -> Cell:
    levels = {"PASS": OK, "HOLD": WARN, "FAIL": BAD}
    return state(standing.last_result, levels[standing.last_result]) if standing.last_result else "none yet"


def _release(standing: Standing, release: Release | None) -> str:
    if release is None:
        return "none"
    version = standing.versions.get(release.id)
    return f"{release.id}{f' ({version})' if version else ''}"


def others(known: Mapping[str, Run]) -> Table:
    """The runs with a log, the one that was written last first."""
    rows = []
    for run in list(known.values())[:MAX_RUNS]:
        written = datetime.fromtimestamp(run.written, UTC).strftime("%Y-%m-%d %H:%M:%S")
        rows.append([{"t": run.id, "href": f"/?run={quote(run.id, safe='/')}"}, how_far(run), written])
    return table(["Run", "State", "Last written, UTC"], rows, "No run yet.")


def how_far(run: Run) -> Cell:
    """The last complete record of a run in a few words."""
    with suppress(OSError, ValueError):
        newest = max(run.folder.glob("telemetry-[0-9][0-9][0-9][0-9].ndjson"))
        with newest.open("rb") as file:
            file.seek(max(0, newest.stat().st_size - TAIL_BYTES), os.SEEK_SET)
            *_, last, _ = file.read().split(b"\n")
        record = parsed(last, 0)
        if isinstance(record, RunEnded):
            levels = {"PASS": OK, "HOLD": WARN, "FAIL": BAD, None: OK}
            level = levels[record.verdict] if record.status == "completed" else BAD
            return state(f"{record.status}{f', {record.verdict}' if record.verdict else ''}", level)
        if not isinstance(record, Unreadable):
            return f"{record.phase or 'not ended'}, {record.env_steps:,} env steps"
    return "no record"
