"""What stands beside the log of a run: its release, and the other runs. Files are read again only after they changed, or some seconds."""

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
from headstart.telemetry.follow import Unreadable, parsed
from headstart.telemetry.kinds import AnyLine, BcEpoch, RunEnded
from headstart.view.observe_panels import accuracy_limit, cloning
from headstart.view.observe_runs import Run, runs
from headstart.view.observe_state import Seen
from headstart.view.observe_tables import BAD, NONE, OK, OUTCOMES, WARN, Cell, Table, state, table

EVERY_S = 5.0  # between two looks at the folders
MAX_RUNS = 40  # that are listed
TAIL_BYTES, TAIL_LINES = 1 << 16, 2  # of a log: a last epoch stands before the end of its run


@dataclass
class Beside:
    """The project around the run that is watched."""

    root: Path
    scenario: str
    looked: float = -EVERY_S
    known: dict[str, Run] = field(default_factory=dict)
    panels: dict[str, Table] = field(default_factory=dict)
    starts_from: Table | None = None  # of the clone; None: not found yet

    def look(self) -> None:
        """Look at the files of the project, if some seconds passed."""
        if time.monotonic() - self.looked >= EVERY_S:
            self.looked, self.known = time.monotonic(), runs(self.root)
            self.panels = {"promotion": promotion(self.root, self.scenario), "runs": others(self.known)}

    def of(self, seen: Seen) -> Mapping[str, Table]:
        """The panels beside those of the run."""
        self.look()
        if self.starts_from is None and seen.epoch is None and seen.started and "bc" in seen.started.inputs:
            self.starts_from = self._clone(seen)
        return self.panels if self.starts_from is None or seen.epoch else self.panels | {"cloning": self.starts_from}

    def _clone(self, seen: Seen) -> Table | None:
        """The clone of the run's seed, by the last epoch in its log."""
        run = self.known.get(f"{self.scenario}/bc/seed-{seen.started.seed}" if seen.started else "")
        epochs = [record for record in tail(run.folder) if isinstance(record, BcEpoch)] if run else []
        return cloning(epochs[-1], accuracy_limit(seen), run.id) if run and epochs else None


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
    return state(standing.last_result, OUTCOMES[standing.last_result]) if standing.last_result else "none yet"


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
    match tail(run.folder):
        case [*_, RunEnded() as end]:
            level = BAD if end.status != "completed" else OUTCOMES[end.verdict] if end.verdict else OK
            return state(f"{end.status}{f', {end.verdict}' if end.verdict else ''}", level)
        case [*_, last]:
            return f"{last.phase or 'not ended'}, {last.env_steps:,} env steps"
    return "no record"


def tail(folder: Path) -> list[AnyLine]:
    """The last complete records of a log."""
    with suppress(OSError, ValueError):
        newest = max(folder.glob("telemetry-[0-9][0-9][0-9][0-9].ndjson"))
        with newest.open("rb") as file:
            file.seek(max(0, newest.stat().st_size - TAIL_BYTES))
            lines = file.read().split(b"\n")[:-1][-TAIL_LINES:]
        return [record for record in (parsed(line, 0) for line in lines) if not isinstance(record, Unreadable)]
    return []
