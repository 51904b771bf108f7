"""`governance/history.ndjson`: verdicts, releases, approvals and signatures, by whom and why (`history/3`); lines are only ever appended.

Every line carries the hash of the one before it, so that an edit, a removal or a swap breaks the chain from there on. `headstart verify`
also detects a rewritten chain: it compares the history with every committed version.

The history is the log: a command first brings to disk what its line needs, then writes the line, then what follows from it. A line counts once
its newline is there; a command that ended earlier recorded nothing, and bytes behind the last newline are no line.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import Field

from headstart.config.project import LOCKS
from headstart.core.errors import HeadstartError, IntegrityError
from headstart.core.files import make_directory, parse_record, read_bytes, sha256_bytes, sha256_json, sync_directory, write_bytes
from headstart.core.lock import held
from headstart.core.provenance import utc_text
from headstart.core.record import Arm, Count, Name, Record, RelativePath, Sha256, UtcTime, Words
from headstart.core.strict_json import canonical_json
from headstart.core.verdict import Evidence

HISTORY = Path("governance") / "history.ndjson"
LOCK = LOCKS / "history"
PATIENCE_S = 3.0  # so long a command waits for another one to write its line
GENESIS = "0" * 64  # the hash that the first line gives as that of its predecessor
MAX_HISTORY_BYTES = 64 << 20


class Release(Record):
    """A checkpoint that can be released."""

    arm: Arm
    seed: int
    checkpoint: RelativePath  # its folder when it was recorded; a later training may have overwritten it
    weights_sha256: Sha256
    card_sha256: Sha256
    git_revision: str  # whose dvc.lock records the folder, if DVC keeps it

    @property
    def id(self) -> str:
        """The id of the release."""
        return f"{self.arm}-{self.seed}-{self.weights_sha256[:12]}"


class Judged(Record):
    """A comparison was recorded."""

    kind: Literal["verdict"] = "verdict"
    scenario: Name
    outcome: Literal["PASS", "HOLD", "FAIL"]
    comparison: (
        Evidence  # it names the runs that it was computed from; DVC keeps all of them, as the candidate's git revision has them
    )
    # what was judged
    target_sha256: Sha256
    design_sha256: Sha256  # evaluation worlds, seeds and intervals
    baselines_sha256: Sha256  # recipes of the arms that it was compared with, their budgets among them
    schedule_sha256: Sha256  # everything that decides the training, except the seeds
    dataset: str  # "<dataset>@<version>"
    dataset_sha256: Sha256  # of its manifest
    seeds: tuple[int, ...] = Field(min_length=1)
    checkpoints: tuple[Sha256, ...] = Field(min_length=1)  # the candidate's weights, by seed
    anneal_cycles: Count  # of the candidate's schedule
    candidate: Release  # the checkpoint that would be released
    baseline: Release  # scratch, by the same rule: what a first release can be rolled back to
    # under which rules
    required_passes: Annotated[int, Field(ge=1, le=10)]
    loosened: tuple[str, ...]  # rules of the comparison that were looser than the default, and keys that hold its schedule

    @property
    def key(self) -> tuple[str, ...]:
        """Equal for two verdicts if they are about the same candidate, judged in the same way."""
        return (
            *(self.candidate.arm, self.target_sha256, self.design_sha256),
            *(self.baselines_sha256, self.schedule_sha256, self.dataset_sha256),
        )


class Promoted(Record):
    """A user promoted the candidate."""

    kind: Literal["promotion"] = "promotion"
    scenario: Name
    release: Name  # the candidate's id
    version: Name  # in the registry


class RolledBack(Record):
    """A user rolled back to an earlier release."""

    kind: Literal["rollback"] = "rollback"
    scenario: Name
    release: Name  # its id


class Swapped(Record):
    """A user put a checkpoint into use by hand."""

    kind: Literal["swap"] = "swap"
    scenario: Name
    release: Release
    baseline: Release | None  # at hand, if this is the scenario's first release


class Withdrawn(Record):
    """The candidate was withdrawn."""

    kind: Literal["withdrawal"] = "withdrawal"
    scenario: Name


class Approved(Record):
    """A user approved an expert that had passed its gate; the scenario's approval before this one is superseded."""

    kind: Literal["approval"] = "approval"
    scenario: Name
    policy_sha256: Sha256
    scenario_sha256: Sha256


class Signed(Record):
    """A user said for a role whether the candidate may be promoted: of the pass that it names, the last that counted, and of no other."""

    kind: Literal["signature"] = "signature"
    scenario: Name
    role: Name
    decision: Literal["GO", "NO-GO"]
    verdict_sha256: Sha256  # of that pass's line, which has the hashes of all that was judged


class Drilled(Record):
    """The rollback drill was run."""

    kind: Literal["drill"] = "drill"
    passed: bool
    rounds: Count
    guardrails: tuple[str, ...]


Event = Judged | Promoted | RolledBack | Swapped | Withdrawn | Approved | Signed | Drilled
AnyEvent = TypeVar("AnyEvent", Judged, Promoted, RolledBack, Swapped, Withdrawn)


class Line(Record):
    """One event; `sha256` is taken over the canonical JSON of all the other fields."""

    schema_id: Literal["history/3"] = "history/3"
    seq: Count  # 0 for the first line
    prev_sha256: Sha256
    at: UtcTime
    actor: Words
    reason: Words
    record: Annotated[Event, Field(discriminator="kind")]
    sha256: Sha256


class History:
    """A history that this process has locked: its lines, and a method to append one. Made by `open_history`."""

    def __init__(self, path: Path, lines: tuple[Line, ...]) -> None:
        self.path, self.lines = path, lines

    def append(self, record: Event, actor: str, reason: str) -> Line:
        """Write one line and fsync it.

        Raises InputError if actor or reason is not one line of printable text, and IntegrityError if the disk refuses: then there is no line.
        """
        line = next_line(self.lines, record, actor, reason, str(self.path))
        try:
            _append(self.path, canonical_json(line.model_dump(mode="json")) + b"\n")
        except OSError as error:
            raise IntegrityError(
                f"{self.path}: the line cannot be written: {error.strerror}; nothing was recorded, once that is corrected run the command again"
            ) from None
        self.lines = (*self.lines, line)
        return line


def note(text: str) -> None:
    """Tell the user what a command found left by an earlier one and has finished."""
    print(f"note: {text}", file=sys.stderr)


def written(lines: Sequence[Line], record: type[AnyEvent], scenario: str, actor: str, reason: str) -> AnyEvent | None:
    """What the last line of a scenario says, if it is of that kind, by `actor`, for `reason`: the same command wrote it already.

    It was killed before it could say so, or somebody typed it twice; either way there is nothing to write.
    """
    ours = (line for line in reversed(lines) if getattr(line.record, "scenario", None) == scenario)
    last = next((line for line in ours if not isinstance(line.record, Approved | Signed)), None)
    if last is None or not isinstance(last.record, record) or (last.actor, last.reason) != (actor, reason):
        return None
    return last.record


def note_written(lines: Sequence[Line], record: Event) -> None:
    """Say which line has it."""
    line = next(line for line in lines if line.record is record)
    note(f"line {line.seq + 1} of the history, {record.kind} by {line.actor}, was written by an earlier command; it counts once")


@contextmanager
def open_history(root: Path, doing: str) -> Iterator[History]:
    """Yield the verified history, locked for all other processes; an incomplete last line, left by a crash, is moved aside first.

    `doing` is the command, for those who have to wait. Raises Busy if another process holds it, and IntegrityError as `read_history` does.
    """
    path = root / HISTORY
    with held(root / LOCK, doing, PATIENCE_S):
        if path.exists():
            _set_torn_line_aside(path)
        yield History(path, read_history(path))


def read_history(path: Path) -> tuple[Line, ...]:
    """All lines, oldest first; none if there is no file. Bytes behind the last newline are none: see `torn_end`.

    Raises IntegrityError, naming the file, the line and both hashes, where the chain is broken.
    """
    if not path.exists():
        return ()
    data = read_bytes(path, MAX_HISTORY_BYTES)
    return parse_history(data[: len(data) - len(torn_end(data, str(path)))], str(path))


def torn_end(data: bytes, where: str) -> bytes:
    """The bytes behind the last newline: the beginning of a line whose command was killed. Nobody was told that it is written.

    Raises IntegrityError if they hold a whole line: then it is its newline that was changed.
    """
    torn = data[data.rfind(b"\n") + 1 :]
    if line_in(torn[:-1]):
        raise IntegrityError(f"{where}: expected a newline behind its last line, found {torn[-1:]!r}")
    return torn


def parse_history(data: bytes, where: str) -> tuple[Line, ...]:
    """As `read_history`, from the bytes of a history."""
    *complete, rest = data.split(b"\n")
    if rest:
        raise IntegrityError(
            f"{where}, line {len(complete) + 1}: expected a complete line, found {len(rest)} torn bytes; "
            "the next command that writes a line sets them aside"
        )
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


def next_line(lines: tuple[Line, ...], record: Event, actor: str, reason: str, where: str = "history") -> Line:
    """The line that would follow `lines`, with the current time."""
    fields = {
        "schema_id": "history/3",
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


def line_in(data: bytes) -> Line | None:
    """The line that these bytes spell, whose hash is not looked at; None: they spell none."""
    try:
        return parse_record(data, Line, "")
    except HeadstartError:
        return None


def _append(path: Path, data: bytes) -> None:
    """Either all of `data` is on disk behind what was there, or, after OSError, nothing; a disk that refuses even that leaves a torn end."""
    make_directory(path.parent)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        end = os.fstat(descriptor).st_size
        try:
            while data:
                data = data[os.write(descriptor, data) :]
            os.fsync(descriptor)
            sync_directory(path.parent)
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, end)
                os.fsync(descriptor)
            raise
    finally:
        os.close(descriptor)


def _set_torn_line_aside(path: Path) -> None:
    """Move a torn end, if any, to a file beside the history; the caller holds the lock."""
    data = read_bytes(path, MAX_HISTORY_BYTES)
    torn = torn_end(data, str(path))
    if not torn:
        return
    aside = path.with_name(f"{path.stem}.torn-{sha256_bytes(torn)[:12]}.txt")
    try:
        write_bytes(aside, torn)
        with path.open("rb+") as file:
            file.truncate(len(data) - len(torn))
            os.fsync(file.fileno())
    except OSError as error:
        raise IntegrityError(
            f"{aside}: cannot be written: {error.strerror}; once that is corrected run the command again"
        ) from None
    note(
        f"{path}: {len(torn)} bytes of a line that an earlier command did not complete are in {aside} now; nothing was recorded by it"
    )
