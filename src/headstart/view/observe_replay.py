"""A log played again at the pace at which it was written, so many times as fast; and what a feed needs of any source of records."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from headstart.telemetry.follow import Log, Part, Unreadable
from headstart.telemetry.kinds import AnyLine

MAX_GAP_S = 60.0  # a replay does not wait longer for the next record, in the time of the log


class Source(Protocol):
    """Where records come from."""

    def read(self) -> Part: ...

    def close(self) -> None: ...


@dataclass
class Replay:
    """A log at the pace at which it was written, so many times as fast."""

    log: Log
    speed: float
    clock: Callable[[], float] = time.monotonic
    began: float | None = None
    waiting: deque[tuple[float, AnyLine | Unreadable]] = field(default_factory=deque)  # time of the log, s, and the record
    at: float = 0.0  # time of the log, s, of the last record in `waiting`
    last: datetime | None = None  # when it was written

    def read(self) -> Part:
        """The records whose time has come."""
        if self.began is None:
            self.began = self.clock()
        now, restarts = (self.clock() - self.began) * self.speed, False
        if not self.waiting:
            part = self.log.read()
            restarts = part.restarts
            self.waiting.extend((self._time_of(record), record) for record in part.records)
        due = []
        while self.waiting and self.waiting[0][0] <= now:
            due.append(self.waiting.popleft()[1])
        return Part(tuple(due), restarts)

    def close(self) -> None:
        self.log.close()

    def _time_of(self, record: AnyLine | Unreadable) -> float:
        if not isinstance(record, Unreadable):
            written = datetime.fromisoformat(record.wall.time_utc)
            if self.last is not None:
                self.at += min(max((written - self.last).total_seconds(), 0.0), MAX_GAP_S)
            self.last = written
        return self.at
