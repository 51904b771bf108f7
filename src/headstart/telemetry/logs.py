"""Any log, for a person to look at: a run's telemetry folder, one of its files, or a log of the versions 1.0 to 1.2.

`reader.py` reads a run's own log for the machine and stops at the first fault; here all faults are listed beside what could be read.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from headstart.core.errors import HeadstartError, InputError, IntegrityError, shown
from headstart.core.files import inside, read_bytes, read_record, sha256_bytes
from headstart.core.record import Record
from headstart.core.strict_json import canonical_json, parse_json
from headstart.telemetry.imported import IMPORTED_KINDS, AnyImported
from headstart.telemetry.kinds import KINDS, AnyLine
from headstart.telemetry.problems import Place, Problem, fitted
from headstart.telemetry.reader import MAX_FILE_BYTES, MAX_LINE_BYTES, MAX_LINE_DEPTH
from headstart.telemetry.upgrade import VERSIONS, array_items, upgrade
from headstart.telemetry.writer import INDEX, SegmentIndex

SEGMENTS = "telemetry-[0-9][0-9][0-9][0-9].ndjson"
FORMATS: dict[str, Mapping[str, type[Record]]] = {"telemetry/3": KINDS, "telemetry-imported/1": IMPORTED_KINDS}
AnyRecord = AnyLine | AnyImported


class Log(NamedTuple):
    """What could be read of a log, and what is wrong with it."""

    name: str
    files: tuple[Path, ...]
    records: tuple[AnyRecord, ...]
    places: tuple[Place, ...]  # of the records
    problems: tuple[Problem, ...]
    torn_bytes: int = 0  # at the end: a record that was not written to its end


def read_log(path: Path, assumed: str | None = None) -> Log:
    """Read a log. `assumed`: the version of records that state none. Raises InputError where there is none."""
    if assumed is not None and assumed not in VERSIONS:
        raise InputError(f"--assume-version: expected one of {', '.join(VERSIONS)}, got {shown(assumed)}")
    files = files_of(path)
    whole = {file: read_bytes(file, MAX_FILE_BYTES) for file in files}
    name = str(path)
    if files == [path] and is_of_version_1(whole[path]):
        return _of_version_1(name, _rotated(path, whole[path]), assumed)
    found, torn, problems = _lines(whole), 0, list(_segment_problems(path, whole))
    records, places, due = list[AnyRecord](), list[Place](), None
    for place, line, is_last in found:
        try:
            value = _parsed(line, place)
        except InputError as error:
            torn += _taken(problems, place, line, is_last, error)
            due = None  # nothing is known of what follows a line that is no record
            continue
        record, more = _record(value, place)
        problems += more
        due = due if record is not None else None
        if record is not None:
            place = place._replace(seq=record.seq)
            if due is not None and record.seq != due:
                problems.append(place.problem("integrity", "seq", str(due), record.seq))
            due = record.seq + 1
            records.append(record)
            places.append(place)
    return Log(name, tuple(files), tuple(records), tuple(places), tuple(problems), torn)


def sound_log(path: Path, assumed: str | None = None) -> Log:
    """A log that can be read through: raises the error of the first fault, an end that is torn and unknown fields are none."""
    log = read_log(path, assumed)
    for problem in log.problems:
        if problem.level != "warning":
            more = f"; `headstart telemetry validate {path}` lists all"
            raise (IntegrityError if problem.level == "integrity" else InputError)(problem.text + more)
    if not log.records:
        raise InputError(f"{path}: expected a log with a record, got none that is complete")
    return log


def files_of(path: Path) -> list[Path]:
    """The files of a log, in order. InputError, which names the logs below it, for a folder that has none."""
    if not path.is_dir():
        return [path]
    for folder in (path, path / "telemetry"):
        if files := sorted(folder.glob(SEGMENTS)):
            return files
    below = sorted({file.parent for file in path.glob(f"**/{SEGMENTS}")})
    hint = f"; there are logs in {', '.join(map(str, below[:3]))}" + (f" and {len(below) - 3} more" if len(below) > 3 else "")
    raise InputError(f"{path}: expected a log, telemetry-0000.ndjson, found none{hint if below else ''}")


def is_of_version_1(data: bytes) -> bool:
    """Whether these are records of the versions 1.0 to 1.2: one array, or a first line without our schema."""
    head = data.lstrip()
    if not _is_lines(head):
        return True
    try:
        first = parse_json(head.split(b"\n", 1)[0], "", MAX_LINE_BYTES, MAX_LINE_DEPTH, infinite=True)
    except InputError:
        return False
    return isinstance(first, dict) and "schema_id" not in first and "schema" not in first


def _of_version_1(name: str, whole: dict[Path, bytes], assumed: str | None) -> Log:
    first, data = next(iter(whole)), b"".join(whole.values())
    items: list[tuple[Any, Place]] = []
    problems, torn = list[Problem](), 0
    for place, line, is_last in _lines(whole) if _is_lines(data) else ():
        try:
            items.append((parse_json(line, place.text, MAX_LINE_BYTES, MAX_LINE_DEPTH, infinite=True), place))
        except InputError as error:
            torn += _taken(problems, place, line, is_last, error)
    found = upgrade(items if _is_lines(data) else array_items(data, str(first)), data, assumed)
    records = found.records if len(found.records) > 1 else ()
    return Log(name, tuple(whole), records, found.places, (*problems, *found.problems), torn)


def _is_lines(data: bytes) -> bool:
    return not data.lstrip().startswith(b"[")


def _rotated(path: Path, data: bytes) -> dict[Path, bytes]:
    """A log and its parts `<name>.1`, `<name>.2` …, which are the later ones in some programs, and the earlier in others."""
    whole = {path: data}
    while (part := Path(f"{path}.{len(whole)}")).is_file() and _is_lines(data):
        whole[part] = read_bytes(part, MAX_FILE_BYTES)
    return dict(sorted(whole.items(), key=lambda one: _first_epoch(one[1])))


def _first_epoch(data: bytes) -> float:
    try:
        return float(parse_json(data.lstrip().split(b"\n", 1)[0], "", MAX_LINE_BYTES, MAX_LINE_DEPTH)["epoch"])
    except (InputError, TypeError, KeyError, ValueError):
        return 0.0


def _lines(whole: dict[Path, bytes]) -> Iterator[tuple[Place, bytes, bool]]:
    """Every line with its newline, and whether it is the last of all; the last may lack the newline."""
    *_, last = whole
    for path, data in whole.items():
        start, number = 0, 0
        while start < len(data):
            end, number = data.find(b"\n", start) + 1 or len(data), number + 1
            yield Place(str(path), number), data[start:end], path == last and end == len(data)
            start = end


def _taken(problems: list[Problem], place: Place, line: bytes, is_last: bool, error: InputError) -> int:
    """How many bytes of a line that is no JSON are torn, as at the end of a log that is still written; else it is a problem."""
    if is_last and not line.endswith(b"\n"):
        return len(line)
    said = str(error).removeprefix(f"{place.text}: ").removeprefix("expected ")
    problems.append(place.problem("integrity", "", said, shown(line[:40].decode(errors="replace"))))
    return 0


def _parsed(line: bytes, place: Place) -> Any:
    where = place.text
    if not line.endswith(b"\n"):
        raise InputError(f"{where}: expected a newline at the end")
    return parse_json(line, where, MAX_LINE_BYTES, MAX_LINE_DEPTH)


def _record(value: Any, place: Place) -> tuple[Any, list[Problem]]:
    if not isinstance(value, dict):
        return None, [place.problem("invalid", "", "a JSON object", shown(value))]
    seq = value.get("seq")
    place = place._replace(seq=seq if isinstance(seq, int) else None)
    kinds = FORMATS.get(str(value.get("schema_id")))
    if kinds is None or str(value.get("kind")) not in kinds:
        key, known = ("schema_id", list(FORMATS)) if kinds is None else ("kind", list(kinds))
        return None, [place.problem("invalid", key, f"one of {', '.join(known)}", shown(value.get(key)))]
    return fitted(kinds[value["kind"]], value, canonical_json(value), place)


def _segment_problems(path: Path, whole: dict[Path, bytes]) -> Iterator[Problem]:
    """Closed segments whose bytes are not those that the index names."""
    folder = next(iter(whole)).parent
    if not path.is_dir() or not (folder / INDEX).exists():
        return
    for segment in read_record(folder / INDEX, SegmentIndex).segments:
        try:
            file = inside(folder, segment.name)
            found = sha256_bytes(whole[file]) if file in whole else "no file"
        except HeadstartError as error:
            found = str(error)
        if found != segment.sha256:
            yield Place(str(folder / segment.name), 1).problem("integrity", "", f"the hash {segment.sha256} of {INDEX}", found)
