"""The log of a run (`telemetry/3`): one JSON object a line, in segments, written so that a kill costs at most its last second.

<run>/telemetry/telemetry-0000.ndjson, -0001, …     in ascending order, never renamed
<run>/telemetry/index.json                          hashes of the segments that were closed for a next one
"""

import hashlib
import json
import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self

import numpy as np
from pydantic import ValidationError

from headstart.core.errors import HeadstartError, InputError, IntegrityError
from headstart.core.files import (
    inside,
    make_directory,
    problems,
    read_bytes,
    read_record,
    sync_directory,
    write_bytes,
    write_record,
)
from headstart.core.provenance import utc_text
from headstart.core.record import Count, Record, RelativePath, Sha256
from headstart.core.strict_json import canonical_json
from headstart.telemetry.kinds import KINDS, Envelope, Line, Wall

BUFFER_BYTES = 64 << 10
FLUSH_S = 1.0
MAX_SEGMENT_BYTES = 1 << 30
INDEX = "index.json"

MAX_TOTAL_BYTES = 256 << 20
FULL = 1 << 40  # what `thinned` is from then on
WALL_BYTES = 256  # at which a record's `wall` is counted, whose own length two equal runs do not share

_BUFFERED = {"update", "minibatch", "reading"}
_FSYNC = {"checkpoint", "guardrail", "rollback", "phase_ended", "run_ended"}
_OWN = {"kind", "schema_id", "seq", "nonfinite", "wall", *Envelope.model_fields}
_WALL = ("update_s", "env_steps_per_s")


class Segment(Record):
    """A segment that is complete."""

    name: RelativePath
    sha256: Sha256
    records: Count


class SegmentIndex(Record):
    """The closed segments, in order; the one that was open last is not among them."""

    schema_id: Literal["telemetry-index/1"] = "telemetry-index/1"
    segments: tuple[Segment, ...]


class TelemetryWriter:
    """Writes the records of one run, as a context manager: into a directory that has none, or after the first `keep` of them.

    Every record goes into a buffer of 64 KiB, which is written to the file after a second, or at once with any kind but `update`,
    `minibatch` and `reading`; fsync follows a checkpoint, a guardrail, the end of a phase or of the run. If the block ends by an
    exception, a `run_ended` records it.
    """

    def __init__(
        self,
        directory: Path,
        envelope: Envelope,
        max_bytes: int = 16 << 20,
        keep: int = 0,
        max_total_bytes: int = MAX_TOTAL_BYTES,
        mirror: Callable[[Line], None] | None = None,
    ) -> None:
        """A segment has at most `max_bytes`. `mirror` is shown every record. Raises InputError if the directory holds telemetry of another run.

        As the log fills its `max_total_bytes`, `thinned` asks for fewer updates; no record that is given is dropped. With `keep`, an
        interrupted run resumes: records beyond that number and an incomplete end are removed, because the run will write them again.
        Raises IntegrityError if there are fewer.
        """
        if not keep and any(directory.glob("telemetry-*")):
            raise InputError(f"{directory}: expected no telemetry of another run")
        self.directory, self.envelope = directory, envelope
        self._max_bytes, self._max_total_bytes, self._mirror = max_bytes, max_total_bytes, mirror
        self._size = 0  # of the log, as if every `wall` had WALL_BYTES
        self.seq = 0  # number of the last record
        self._env_steps, self._ended = 0, False
        self._phase: str | None = None
        self._began = self._flushed = time.monotonic()
        self._closed: list[Segment] = []
        self._records = self._bytes = 0  # of the open segment
        try:
            make_directory(directory)
            self._reopen(keep) if keep else self._open_segment()
        except OSError as error:
            raise IntegrityError(f"{directory}: the log cannot be written: {error.strerror}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self._close()
            return
        with suppress(HeadstartError):  # the error that ended the block is more important
            try:
                if not self._ended:
                    status = "partial" if issubclass(kind, KeyboardInterrupt) else "failed"
                    self.write("run_ended", status=status, censored=True, error_type=kind.__name__)
            finally:
                self._close()

    def write(self, kind: str, **fields: Any) -> None:
        """Append one record of a kind.

        Absent nullable fields become null; numbers that are not finite become null too, and are named in `nonfinite`. `env_steps` and `phase`
        stay as they were where absent (`phase_ended` is the last record of its phase); `update_s` and
        `env_steps_per_s` go into `wall`. Raises InputError for an unknown kind or field, a missing or wrong one, or a record
        after `run_ended`, and IntegrityError if it cannot be written.
        """
        if kind not in KINDS:
            raise InputError(f"telemetry: expected a kind among {sorted(KINDS)}, got {kind!r}")
        if self._ended:
            raise InputError(f"telemetry: expected nothing after run_ended, got {kind}")
        if taken := sorted(_OWN & fields.keys()):
            raise InputError(f"telemetry record {kind!r}: {taken} are set by the writer and cannot be given")
        line = self._line(kind, fields)
        data = canonical_json(line.model_dump(mode="json")) + b"\n"
        self._append(kind, data)
        self.seq, self._env_steps, self._ended = line.seq, line.env_steps, kind == "run_ended"
        self._phase = None if kind == "phase_ended" else line.phase
        if self._mirror:
            self._mirror(line)
        before, self._size = self.thinned, self._size + _size(data)
        if self.thinned > before and not self._ended:
            self.write("guardrail", **_backlog(self._size, self._max_total_bytes, self.thinned))

    @property
    def thinned(self) -> int:
        """Of how many updates one should be written: 1, 2 from half of `max_total_bytes` on, 4 from three quarters on, and so on."""
        left = self._max_total_bytes - self._size
        return 1 << ((self._max_total_bytes // left).bit_length() - 1) if left > 0 else FULL

    def flush(self) -> None:
        """Write all records to disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def _line(self, kind: str, fields: dict[str, Any]) -> Line:
        clock = {name: fields.pop(name, None) for name in _WALL}
        if kind == "run_ended":
            fields["records_written"] = self.seq + 1
        nonfinite: list[str] = []
        given = {name: _finite(value, name, nonfinite) for name, value in fields.items()}
        place = {"phase": self._phase, "env_steps": self._env_steps}
        try:
            own = {"seq": self.seq + 1, "nonfinite": sorted(nonfinite), "wall": self._wall(clock)}
            return KINDS[kind].model_validate(place | given | dict(self.envelope) | own)
        except ValidationError as error:
            raise InputError(f"telemetry record {kind!r}: {problems(error)}") from None

    def _wall(self, given: dict[str, Any]) -> Wall:
        return Wall(
            time_utc=utc_text(datetime.now(UTC)),
            elapsed_s=time.monotonic() - self._began,
            rss_mib=_rss_mib(),
            **{name: _finite(value, name, []) for name, value in given.items()},
        )

    def _append(self, kind: str, data: bytes) -> None:
        try:
            if self._records > 0 and self._bytes + len(data) > self._max_bytes:
                self._rotate()
            self._put(data)
            if kind not in _BUFFERED or time.monotonic() - self._flushed > FLUSH_S:
                self._file.flush()
                self._flushed = time.monotonic()
            if kind in _FSYNC:
                os.fsync(self._file.fileno())
        except OSError as error:
            raise IntegrityError(f"{self._path}: the log cannot be written: {error.strerror}") from None

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._count(data)

    def _count(self, data: bytes) -> None:
        self._hash.update(data)
        self._records, self._bytes = self._records + 1, self._bytes + len(data)

    def _open_segment(self, mode: str = "xb") -> None:
        self._path = self._segment_path()
        self._file: IO[bytes] = self._path.open(mode, buffering=BUFFER_BYTES)
        try:
            sync_directory(self.directory)
        except OSError:
            self._file.close()
            raise
        self._hash = hashlib.sha256()
        self._records = self._bytes = 0

    def _reopen(self, keep: int) -> None:
        """Continue the log after record `keep`."""
        if (self.directory / INDEX).exists():
            for segment in read_record(self.directory / INDEX, SegmentIndex).segments:
                if self.seq + segment.records >= keep:  # the last one is open, also where all of it is kept
                    break
                self._closed.append(segment)
                self.seq += segment.records
                self._size += sum(map(_size, read_bytes(inside(self.directory, segment.name), MAX_SEGMENT_BYTES).splitlines()))
            write_record(self.directory / INDEX, SegmentIndex(segments=tuple(self._closed)))
        here, *later = self._segments()[len(self._closed) :] or [self._segment_path()]
        for path in reversed(later):
            path.unlink()
        lines = read_bytes(here, MAX_SEGMENT_BYTES).splitlines(keepends=True)[: keep - self.seq]
        if len(lines) < keep - self.seq or not lines[-1].endswith(b"\n"):
            raise IntegrityError(f"{here}: expected {keep} records to resume from, found {self.seq + len(lines)}")
        write_bytes(here, b"".join(lines))
        self._open_segment("ab")
        for line in lines:
            self._count(line)
            self._size += _size(line)
        self.seq, last = keep, json.loads(lines[-1])
        self._env_steps, self._phase = last["env_steps"], None if last["kind"] == "phase_ended" else last["phase"]

    def _segments(self) -> list[Path]:
        return sorted(self.directory.glob("telemetry-[0-9][0-9][0-9][0-9].ndjson"))

    def _segment_path(self) -> Path:
        return self.directory / f"telemetry-{len(self._closed):04d}.ndjson"

    def _close(self) -> None:
        try:
            with self._file:
                self.flush()
        except OSError as error:
            raise IntegrityError(f"{self._path}: the log cannot be written: {error.strerror}") from None

    def _rotate(self) -> None:
        self._close()
        digest = self._hash.hexdigest()
        self._closed.append(Segment(name=self._path.name, sha256=digest, records=self._records))
        write_record(self.directory / INDEX, SegmentIndex(segments=tuple(self._closed)))
        self._open_segment()


def _size(line: bytes) -> int:
    """Bytes of a record, if its `wall` had WALL_BYTES: equal for equal runs, so that both thin out alike."""
    return len(line.rstrip(b"\n")) + 1 - len(canonical_json(json.loads(line)["wall"])) + WALL_BYTES


def _backlog(size: int, limit: int, thinned: int) -> dict[str, Any]:
    """The `guardrail` that says that fewer updates are written from here on."""
    kept = f"one in {thinned}" if thinned < FULL else "none but the first and last of a phase"
    return {
        "guardrail": "telemetry_backlog",
        "severity": "warn",
        "metric": "log_bytes",
        "value": size,
        "threshold": limit,
        "direction": "above",
        "window": 1,
        "hits": 1,
        "decision": "continue",
        "reason": f"the log has {size:,} of at most {limit:,} bytes (telemetry.max_total_bytes): of its updates, {kept} is written",
    }


def _finite(value: Any, name: str, nonfinite: list[str]) -> Any:
    """`value` as plain Python, with null for each number that is not finite; their dotted names go into `nonfinite`."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        nonfinite.append(name)
        return None
    if isinstance(value, dict):
        return {key: _finite(item, f"{name}.{key}", nonfinite) for key, item in value.items()}
    return value


def _rss_mib() -> float | None:
    """Resident memory of this process, if /proc provides it, as on Linux."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except OSError:
        return None
