"""The log of a run while it grows: every complete record once, over torn ends, segments, and the move of a finished log into reports.

A run that is resumed writes again what it had not yet committed to: where the log no longer begins with what was read of it, reading restarts.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from headstart.core.errors import Busy, InputError, IntegrityError
from headstart.core.files import problems
from headstart.core.strict_json import parse_json
from headstart.telemetry.kinds import ANY_LINE, KINDS, AnyLine
from headstart.telemetry.logs import SEGMENTS, is_of_version_1
from headstart.telemetry.problems import Place, fitted
from headstart.telemetry.reader import MAX_LINE_BYTES, MAX_LINE_DEPTH

CHUNK_BYTES = 1 << 20  # read at once; a longer line is no record


class Unreadable(NamedTuple):
    """A line that is no record."""

    number: int  # counted from 1 over all segments
    why: str


class Part(NamedTuple):
    """What is new in a log."""

    records: tuple[AnyLine | Unreadable, ...] = ()
    restarts: bool = False  # forget what was read before: these are the first records


class Followed(NamedTuple):
    """A record of a log that is followed."""

    record: AnyLine
    restarts: bool = False  # a resumed run wrote its log again: forget the records before this one, which is the first
    known: bool = False  # it stood there before the restart, but for the clock


def follow(
    path: Path, interval_s: float, idle_s: float | None = None, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Followed]:
    """Every record, in order, until `run_ended`; where a resumed run wrote others in their place, all of the log as it now is.

    `path`: a folder of segments, the folder around it, or one file. Raises Busy after `idle_s` without a new record, IntegrityError for a
    complete line that is no record, or a gap in `seq`, and InputError for a log that is not of telemetry/3, which nothing writes.
    """
    log, digests, seq, idle, restarts = Log(lambda: _place(path)), list[bytes](), 0, 0.0, False
    with closing(log):
        while True:
            part = log.read()
            seq, restarts = (0, True) if part.restarts else (seq, restarts)
            for record in part.records:
                if isinstance(record, Unreadable):
                    raise _no_record(path, record)
                if record.seq != seq + 1:
                    raise IntegrityError(f"{path}: expected seq {seq + 1}, got {record.seq}")
                digest = hashlib.sha256(record.model_dump_json(exclude={"wall"}).encode()).digest()
                known = digests[seq : seq + 1] == [digest]
                if not known:
                    digests[seq:] = [digest]
                yield Followed(record, restarts, known)
                seq, restarts = record.seq, False
                if record.kind == "run_ended":
                    return
            idle = 0.0 if part.records else idle + interval_s
            if idle_s is not None and idle > idle_s:
                at = f"after record {seq}" if seq else "for its first record"
                raise Busy(f"{path}: waited {idle_s:g} s {at}; the run may have been killed, `--idle-timeout` waits longer")
            if not part.records:
                sleep(interval_s)


def _place(path: Path) -> Path:
    return path / "telemetry" if path.is_dir() and not any(path.glob(SEGMENTS)) else path


def _no_record(path: Path, line: Unreadable) -> InputError | IntegrityError:
    if line.number == 1:
        with segment_path(_place(path), 0).open("rb") as file:
            first = file.readline(MAX_LINE_BYTES)
        if is_of_version_1(first) or b'"telemetry-imported/' in first:
            return InputError(f"{path}: expected a log of telemetry/3 to follow, got one of version 1.x; leave out --follow")
    return IntegrityError(f"{path}, line {line.number}: {line.why}")


@dataclass
class Log:
    """How far the log that `where` names was read: a folder of segments, or one file."""

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
        with suppress(FileNotFoundError):  # a resumed run has just removed a segment; the next look finds the log as it then is
            return self._read(folder)
        return Part()

    def close(self) -> None:
        if self.file is not None:
            os.close(self.file)
            self.file = None

    def _read(self, folder: Path) -> Part:
        restarts = self._was_replaced(folder) and not self._goes_on(folder)
        if restarts:
            self._open(folder, 0)
            self.offset, self.lines, self.digest = 0, 0, hashlib.sha256()
        data = self._chunk(folder)
        self.digest.update(data)
        records = []
        for line in data.split(b"\n")[:-1] or ([data] if data else []):
            self.lines += 1
            records.append(parsed(line, self.lines))
        return Part(tuple(records), restarts)

    def _chunk(self, folder: Path) -> bytes:
        """Whole lines from where reading stands; from the next segment where this one has no more."""
        if self.file is None:
            self._open(folder, self.segment)
        while True:
            assert self.file is not None
            data = os.pread(self.file, CHUNK_BYTES, self.offset)
            if whole := data[: data.rfind(b"\n") + 1] or (data if len(data) == CHUNK_BYTES else b""):
                self.offset += len(whole)
                return whole
            try:
                self._open(folder, self.segment + 1)
            except (FileNotFoundError, NotADirectoryError):
                return b""
            self.offset = 0

    def _open(self, folder: Path, segment: int) -> None:
        file = os.open(segment_path(folder, segment), os.O_RDONLY)
        self.close()
        self.file, self.segment = file, segment

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
            self._open(folder, self.segment)
        return same


def parsed(line: bytes, number: int) -> AnyLine | Unreadable:
    """A line as a record; fields that its kind does not have, as a later version may write them, are left out."""
    try:
        return ANY_LINE.validate_json(line, strict=True)
    except ValidationError as error:
        if all(item["type"] == "extra_forbidden" for item in error.errors(include_url=False)):
            return _without_unknown(line) or Unreadable(number, problems(error))
        return Unreadable(number, problems(error))


def _without_unknown(line: bytes) -> AnyLine | None:
    value = parse_json(line, "", MAX_LINE_BYTES, MAX_LINE_DEPTH)
    record, _ = fitted(KINDS[value["kind"]], value, line, Place("", 1))
    return record  # type: ignore[return-value]


def segment_path(folder: Path, number: int) -> Path:
    """A file of the log; one that is a single file has no other segment."""
    return folder if number == 0 and not folder.is_dir() else folder / f"telemetry-{number:04d}.ndjson"
