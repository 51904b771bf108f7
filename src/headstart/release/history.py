"""`governance/history.ndjson`: what was judged and released, by whom and why; lines are appended and never changed (`history/1`).

Every line carries the hash of the one before it, so that an edit, a cut or a swap breaks the chain from there on. Whoever rewrites the whole
chain is found by `release.verify`, which compares it with every version that git has seen.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from headstart.core.errors import Busy, IntegrityError
from headstart.core.files import parse_record, read_bytes, sha256_bytes, sha256_json, write_bytes
from headstart.core.provenance import utc_text
from headstart.core.record import Count, Record, Sha256, UtcTime
from headstart.core.strict_json import canonical_json
from headstart.release.history_kinds import AnyEvent

GENESIS = "0" * 64  # what the first line names as its predecessor
MAX_HISTORY_BYTES = 64 << 20


def _printable(text: str) -> str:
    if not text.isprintable() or not text.strip():
        raise ValueError("expected one line of printable text")
    return text


Words = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_printable)]


class Line(Record):
    """One event; `sha256` is taken over the canonical JSON of all the other fields."""

    schema_id: Literal["history/1"] = "history/1"
    seq: Count  # 0 for the first line
    prev_sha256: Sha256
    at: UtcTime
    actor: Words
    reason: Words
    record: Annotated[AnyEvent, Field(discriminator="kind")]
    sha256: Sha256


class History:
    """A history that this process holds alone: its lines, and the way to add one. Made by `open_history`."""

    def __init__(self, path: Path, descriptor: int, lines: tuple[Line, ...]) -> None:
        self.path, self.lines, self._descriptor = path, lines, descriptor

    def append(self, record: AnyEvent, actor: str, reason: str) -> Line:
        """Write one line and fsync it. Raises InputError if actor or reason is not one line of printable text."""
        line = next_line(self.lines, record, actor, reason, str(self.path))
        data = canonical_json(line.model_dump(mode="json")) + b"\n"
        while data:
            data = data[os.write(self._descriptor, data) :]
        os.fsync(self._descriptor)
        self.lines = (*self.lines, line)
        return line


@contextmanager
def open_history(path: Path) -> Iterator[History]:
    """Yield the verified history, locked for everybody else; a last line that a crash tore is set aside first.

    Raises Busy if another process holds it, and IntegrityError as `read_history` does.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"{path}: another process is writing to it; try again when it is done") from None
        set_torn_line_aside(path, descriptor)
        yield History(path, descriptor, read_history(path))
    finally:
        os.close(descriptor)


def read_history(path: Path) -> tuple[Line, ...]:
    """All lines, oldest first; no file is no line.

    Raises IntegrityError, naming the file, the line and both hashes, where the chain is broken.
    """
    if not path.exists():
        return ()
    return parse_history(read_bytes(path, MAX_HISTORY_BYTES), str(path))


def parse_history(data: bytes, where: str) -> tuple[Line, ...]:
    """As `read_history`, from the bytes of a history."""
    *complete, rest = data.split(b"\n")
    if rest:
        raise IntegrityError(f"{where}, line {len(complete) + 1}: expected a complete line, found {len(rest)} torn bytes")
    lines: list[Line] = []
    for number, text in enumerate(complete, start=1):
        here = f"{where}, line {number}"
        line = parse_record(text, Line, here)
        if text != canonical_json(line.model_dump(mode="json")):
            raise IntegrityError(f"{here}: expected the canonical spelling of its record, found another")
        expected = lines[-1].sha256 if lines else GENESIS
        if line.prev_sha256 != expected:
            raise IntegrityError(f"{here}: expected to follow a line with hash {expected}, found prev_sha256 {line.prev_sha256}")
        if line.seq != number - 1:
            raise IntegrityError(f"{here}: expected seq {number - 1}, found {line.seq}")
        if (found := line_sha256(line)) != line.sha256:
            raise IntegrityError(f"{here}: expected hash {line.sha256}, found {found}")
        lines.append(line)
    return tuple(lines)


def next_line(lines: tuple[Line, ...], record: AnyEvent, actor: str, reason: str, where: str = "history") -> Line:
    """The line that would follow `lines`, stamped with the time of now."""
    fields = {
        "schema_id": "history/1",
        "seq": len(lines),
        "prev_sha256": lines[-1].sha256 if lines else GENESIS,
        "at": utc_text(datetime.now(UTC)),
        "actor": actor,
        "reason": reason,
        "record": record.model_dump(mode="json"),
    }
    data = canonical_json(fields | {"sha256": sha256_json(fields)}, where)
    return parse_record(data, Line, where)


def line_sha256(line: Line) -> str:
    """The hash that a line should carry."""
    return sha256_json(line.model_dump(mode="json", exclude={"sha256"}))


def set_torn_line_aside(path: Path, descriptor: int) -> Path | None:
    """Move bytes behind the last newline, if any, to a file beside the history; the caller holds the lock. Returns that file."""
    data = read_bytes(path, MAX_HISTORY_BYTES)
    whole = data.rfind(b"\n") + 1
    if whole == len(data):
        return None
    torn = data[whole:]
    aside = path.with_name(f"{path.stem}.torn-{sha256_bytes(torn)[:12]}.txt")
    write_bytes(aside, torn)
    os.ftruncate(descriptor, whole)
    os.fsync(descriptor)
    return aside
