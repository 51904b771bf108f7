"""What the page is told of a run: first all that is known, then what is new. Message n follows from the first n lines of the log.

Everything that is kept is bounded: the last rows, for a page that connects again, and a thinned curve, for one that is new.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from headstart.telemetry.follow import Unreadable
from headstart.telemetry.kinds import AnyLine, BcEpoch, PhaseStarted
from headstart.view.observe_charts import Curves
from headstart.view.observe_panels import finding, panels
from headstart.view.observe_replay import Source
from headstart.view.observe_state import Seen, row_of, take
from headstart.view.observe_tables import Table

RECENT = 4000  # rows, about half an hour
KEPT = 400  # rows of one kind in a curve: of a longer one every second row, then every fourth, …
Row = dict[str, Any]  # n: of its message; k: kind of its record; x; v: series → value


@dataclass
class Thinned:
    """At most KEPT rows, evenly over all that came, and the last one."""

    rows: list[Row] = field(default_factory=list)
    count: int = 0
    every: int = 1
    last: Row | None = None

    def add(self, row: Row) -> None:
        if self.count % self.every == 0:
            self.rows.append(row)
        self.count, self.last = self.count + 1, row
        if len(self.rows) > KEPT:
            self.rows, self.every = self.rows[::2], 2 * self.every

    def all(self) -> list[Row]:
        return self.rows if self.last is None or self.rows[-1] is self.last else [*self.rows, self.last]


@dataclass
class Feed:
    """A run that is watched."""

    source: Source
    charts: Mapping[str, Curves]
    x: str  # of the charts: env steps, or epochs
    beside: Callable[[Seen], Mapping[str, Table]]  # panels of what is not in the log
    live: bool = True  # false: a replay, of which no record is late
    seen: Seen = field(default_factory=Seen)
    n: int = 0  # lines read; a log that begins anew counts as one
    first: int = 0  # n before the first line of the log as it is now
    forgotten: int = 0  # n of the last row that left `recent`
    recent: deque[Row] = field(default_factory=deque)
    kept: dict[str, Thinned] = field(default_factory=dict)
    last: dict[str, tuple[int, float]] = field(default_factory=dict)  # series → its last x and y
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    shown: dict[str, Any] = field(default_factory=dict)  # panels and sentences after `n` lines

    def advance(self) -> int:
        """Read what is new; how many records that were."""
        part = self.source.read()
        if part.restarts:
            self.n += 1
            self.seen, self.first, self.last = Seen(), self.n, {}
            self.recent.clear()
            self.kept.clear()
        for record in part.records:
            self.n += 1
            take(self.seen, record)
            if (row := _row(self.n, record)) is not None:
                self._add(row)
        fresh: dict[str, Any] = panels(self.seen) | dict(self.beside(self.seen))
        target = self.seen.started.target if self.seen.started else {}
        says = {name: finding(self.last, curves, self.x, target) for name, curves in self.charts.items()}
        fresh |= {"says": says, "target": target}
        if part.records or part.restarts or fresh != self.shown:
            self.shown = fresh
            self.changed.set()
            self.changed = asyncio.Event()
        return len(part.records)

    def message(self, after: int | None, sent: dict[str, Any]) -> dict[str, Any]:
        """What a page that has message `after`, and the panels in `sent`, does not have; `sent` is brought up to date."""
        reset = after is None or not self.first <= after <= self.n or after < self.forgotten
        rows = (
            [row for of in self.kept.values() for row in of.all()]
            if reset
            else [row for row in self.recent if row["n"] > (after or 0)]
        )
        if reset:
            sent.clear()
        fresh = {name: panel for name, panel in self.shown.items() if sent.get(name) != panel}
        sent |= fresh
        return {
            "n": self.n,
            "reset": reset,
            "rows": rows,
            "panels": fresh,
            "age": self._age(),
            "over": self.seen.ended is not None,
        }

    def _add(self, row: Row) -> None:
        self.last |= {name: (row["x"], y) for name, y in row["v"].items()}
        self.recent.append(row)
        while len(self.recent) > RECENT:
            self.forgotten = self.recent.popleft()["n"]
        self.kept.setdefault(row["k"], Thinned()).add(row)

    def _age(self) -> float | None:
        """Seconds since the last record was written; None where no further one is due."""
        last = self.seen.last
        if last is None or self.seen.ended or not self.live:
            return None
        return max((datetime.now(UTC) - datetime.fromisoformat(last.wall.time_utc)).total_seconds(), 0.0)


def _row(n: int, record: AnyLine | Unreadable) -> Row | None:
    if isinstance(record, PhaseStarted):
        return {"n": n, "k": "phase", "x": record.env_steps, "v": {}, "t": record.phase}
    values = row_of(record)
    if values is None or isinstance(record, Unreadable):
        return None
    return {"n": n, "k": record.kind, "x": record.bc_epoch if isinstance(record, BcEpoch) else record.env_steps, "v": values}
