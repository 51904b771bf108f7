"""Reading the log of a run back: every complete record, and what was torn off its end."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from headstart.core.errors import InputError, IntegrityError
from headstart.core.files import inside, problems, read_bytes, read_record, sha256_file
from headstart.core.strict_json import canonical_json, parse_json
from headstart.telemetry.kinds import ANY_LINE, AnyLine
from headstart.telemetry.writer import INDEX, SegmentIndex

MAX_LINE_BYTES = 1 << 20
MAX_LINE_DEPTH = 16
MAX_FILE_BYTES = 1 << 30


@dataclass(frozen=True)
class Telemetry:
    """The complete records of a run, in order, and the number of bytes behind the last of them."""

    records: tuple[AnyLine, ...]
    torn_tail_bytes: int


def read_telemetry(directory: Path) -> Telemetry:
    """Read all segments of a run.

    A last line that is not complete, or does not parse, counts as torn. Raises InputError if there is no log or a file is too
    large, and IntegrityError, naming file and line, for a bad line elsewhere, a gap or repeat in `seq`, or a closed segment
    whose hash is not that in the index.
    """
    paths = sorted(directory.glob("telemetry-[0-9][0-9][0-9][0-9].ndjson"))
    if not paths:
        raise InputError(f"{directory}: expected telemetry-0000.ndjson, found none")
    _check_closed_segments(directory)
    records: list[AnyLine] = []
    torn = 0
    for path in paths:
        data = read_bytes(path, MAX_FILE_BYTES)
        end = 0
        for number, line in enumerate(_lines(data), start=1):
            where = f"{path}, line {number}"
            try:
                record = _parse(line, where)
            except InputError as error:
                if path == paths[-1] and end + len(line) == len(data):
                    break
                raise IntegrityError(str(error)) from None
            if record.seq != len(records) + 1:
                raise IntegrityError(f"{where}: expected seq {len(records) + 1}, got {record.seq}")
            records.append(record)
            end += len(line)
        torn = len(data) - end
    return Telemetry(tuple(records), torn)


def canonical_sha256(records: Iterable[AnyLine]) -> str:
    """SHA-256 over the records without `wall`: equal for two runs that did the same."""
    digest = hashlib.sha256()
    for record in records:
        digest.update(canonical_json(record.model_dump(mode="json", exclude={"wall"})) + b"\n")
    return digest.hexdigest()


def _lines(data: bytes) -> Iterator[bytes]:
    """The lines with their newlines; the last may lack it. (`splitlines` would also break at a carriage return.)"""
    start = 0
    while start < len(data):
        end = data.find(b"\n", start) + 1 or len(data)
        yield data[start:end]
        start = end


def _parse(line: bytes, where: str) -> AnyLine:
    if not line.endswith(b"\n"):
        raise InputError(f"{where}: expected a newline at the end")
    value = parse_json(line, where, MAX_LINE_BYTES, MAX_LINE_DEPTH)
    try:
        return ANY_LINE.validate_json(canonical_json(value, where), strict=True)
    except ValidationError as error:
        raise InputError(f"{where}: {problems(error)}") from None


def _check_closed_segments(directory: Path) -> None:
    if not (directory / INDEX).exists():
        return
    for segment in read_record(directory / INDEX, SegmentIndex).segments:
        path = inside(directory, segment.name)
        found = sha256_file(path) if path.is_file() else "no file"
        if found != segment.sha256:
            raise IntegrityError(f"{path}: expected hash {segment.sha256}, found {found}")
