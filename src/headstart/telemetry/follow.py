"""The records of a log that is still written, as they come: over its segments, a resumed run, and a file that is not there yet."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from headstart.core.errors import Busy, InputError, IntegrityError
from headstart.telemetry.logs import SEGMENTS, AnyRecord, is_of_version_1, parse_record_line
from headstart.telemetry.problems import Place


class _Part(NamedTuple):
    """How far a file was read."""

    inode: int
    offset: int
    lines: int


def follow(
    path: Path, interval_s: float, idle_s: float | None = None, sleep: Callable[[float], None] = time.sleep
) -> Iterator[AnyRecord]:
    """Every record once, in order, until `run_ended`. A line counts when it is complete.

    A run that resumes writes its last records again, which are not repeated here. Raises Busy after `idle_s` without a new record,
    IntegrityError for a complete line that is no record, or a gap in `seq`, and InputError for a log of version 1.x, which nothing writes.
    """
    parts: dict[Path, _Part] = {}
    seq, idle = 0, 0.0
    while True:
        news = False
        for record in _new_records(path, parts):
            if record.seq <= seq:
                continue
            if seq and record.seq != seq + 1:
                raise IntegrityError(f"{path}: expected seq {seq + 1}, got {record.seq}")
            seq, news = record.seq, True
            yield record
            if record.kind == "run_ended":
                return
        idle = 0.0 if news else idle + interval_s
        if idle_s is not None and idle > idle_s:
            at = f"after record {seq}" if seq else "for its first record"
            raise Busy(f"{path}: waited {idle_s:g} s {at}; the run may have been killed, `--idle-timeout` waits longer")
        sleep(interval_s)


def _new_records(path: Path, parts: dict[Path, _Part]) -> Iterator[AnyRecord]:
    """What was added since the last look; a file that was replaced or cut is read from its beginning."""
    for file in _files(path):
        try:
            with file.open("rb") as stream:
                found = Path(file).stat()
                part = parts.get(file, _Part(found.st_ino, 0, 0))
                if part.inode != found.st_ino or found.st_size < part.offset:
                    part = _Part(found.st_ino, 0, 0)
                stream.seek(part.offset)
                data = stream.read()
        except FileNotFoundError:
            continue
        if part.offset == 0 and b"\n" in data and is_of_version_1(data):
            raise InputError(f"{path}: expected a log of telemetry/3 to follow, got one of version 1.x; leave out --follow")
        whole = data[: data.rfind(b"\n") + 1]
        lines = whole.split(b"\n")[:-1]
        parts[file] = _Part(part.inode, part.offset + len(whole), part.lines + len(lines))
        for number, line in enumerate(lines, start=part.lines + 1):
            yield parse_record_line(line + b"\n", Place(str(file), number))


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(path.glob(SEGMENTS)) or sorted((path / "telemetry").glob(SEGMENTS))
    return [path]
