"""The log of a run while it grows: every complete record once, over torn ends, segments, and the move of a finished log into reports.

A run that is resumed writes again what it had not yet committed to: where the log no longer begins with what was read of it, reading restarts.
"""

import hashlib
import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol

from pydantic import ValidationError

from headstart.core.files import problems
from headstart.telemetry.kinds import ANY_LINE, AnyLine

CHUNK_BYTES = 1 << 20  # read at once; a longer line is no record
MAX_GAP_S = 60.0  # a replay does not wait longer for the next record, in the time of the log


class Unreadable(NamedTuple):
    """A line that is no record."""

    number: int  # counted from 1 over all segments
    why: str


class Part(NamedTuple):
    """What is new in a log."""

    records: tuple[AnyLine | Unreadable, ...] = ()
    restarts: bool = False  # forget what was read before: these are the first records


class Source(Protocol):
    """Where records come from."""

    def read(self) -> Part: ...

    def close(self) -> None: ...


@dataclass
class Log:
    """How far the log in the folder that `where` names was read."""

    where: Callable[[], Path | None]
    segment: int = 0
    offset: int = 0  # in the segment
    lines: int = 0
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)  # of what was read
    file: int | None = None  # descriptor: as long as it is open, no other file has its inode

    def read(self) -> Part:
        """The complete records behind those that were read, of at most one chunk."""
        folder = self.where()
        if folder is None or not segment_path(folder, 0).exists():
            return Part()
        restarts = self._was_replaced(folder) and not self._goes_on(folder)
        if restarts:
            self.segment, self.offset, self.lines, self.digest = 0, 0, 0, hashlib.sha256()
            self._open(folder)
        data = self._chunk(folder)
        self.digest.update(data)
        records = []
        for line in data.split(b"\n")[:-1] or ([data] if data else []):
            self.lines += 1
            records.append(parsed(line, self.lines))
        return Part(tuple(records), restarts)

    def close(self) -> None:
        if self.file is not None:
            os.close(self.file)
            self.file = None

    def _chunk(self, folder: Path) -> bytes:
        """Whole lines from where reading stands; from the next segment where this one has no more."""
        while True:
            if self.file is None:
                self._open(folder)
            assert self.file is not None
            data = os.pread(self.file, CHUNK_BYTES, self.offset)
            whole = data[: data.rfind(b"\n") + 1] or (data if len(data) == CHUNK_BYTES else b"")
            if whole or not segment_path(folder, self.segment + 1).exists():
                self.offset += len(whole)
                return whole
            self.segment, self.offset = self.segment + 1, 0
            self._open(folder)

    def _open(self, folder: Path) -> None:
        self.close()
        self.file = os.open(segment_path(folder, self.segment), os.O_RDONLY)

    def _was_replaced(self, folder: Path) -> bool:
        if self.file is None:
            return False
        try:
            now, ours = segment_path(folder, self.segment).stat(), os.fstat(self.file)
        except FileNotFoundError:
            return True
        return (now.st_dev, now.st_ino) != (ours.st_dev, ours.st_ino) or now.st_size < self.offset

    def _goes_on(self, folder: Path) -> bool:
        """Whether another file begins with all that was read; then reading stands at the same place in it."""
        digest = hashlib.sha256()
        for number in range(self.segment + 1):
            path = segment_path(folder, number)
            if not path.exists():
                return False
            with path.open("rb") as file:
                left = self.offset if number == self.segment else path.stat().st_size
                while left and (data := file.read(min(left, CHUNK_BYTES))):
                    digest.update(data)
                    left -= len(data)
        same = digest.digest() == self.digest.digest()
        if same:
            self._open(folder)
        return same


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


def parsed(line: bytes, number: int) -> AnyLine | Unreadable:
    """A line as a record."""
    try:
        return ANY_LINE.validate_json(line, strict=True)
    except ValidationError as error:
        return Unreadable(number, problems(error))


def segment_path(folder: Path, number: int) -> Path:
    """A file of the log."""
    return folder / f"telemetry-{number:04d}.ndjson"
