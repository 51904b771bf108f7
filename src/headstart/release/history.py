"""`governance/history.ndjson`: verdicts and releases, with actor and reason (`history/3`); lines are appended and never changed.

Every line carries the hash of the one before it, so that an edit, a removal or a swap breaks the chain from there on. `headstart verify`
also detects a rewritten chain: it compares the history with every committed version.
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
from headstart.core.record import Arm, Count, Name, Record, RelativePath, Sha256, UtcTime
from headstart.core.strict_json import canonical_json
from headstart.core.verdict import Evidence

HISTORY = Path("governance") / "history.ndjson"
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


class Drilled(Record):
    """The rollback drill was run."""

    kind: Literal["drill"] = "drill"
    passed: bool
    rounds: Count
    guardrails: tuple[str, ...]


Event = Judged | Promoted | RolledBack | Swapped | Withdrawn | Drilled


def _printable(text: str) -> str:
    if not text.isprintable() or not text.strip():
        raise ValueError("expected one line of printable text")
    return text


Words = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_printable)]


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

    def __init__(self, path: Path, descriptor: int, lines: tuple[Line, ...]) -> None:
        self.path, self.lines, self._descriptor = path, lines, descriptor

    def append(self, record: Event, actor: str, reason: str) -> Line:
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
    """Yield the verified history, locked for all other processes; an incomplete last line, left by a crash, is moved aside first.

    Raises Busy if another process holds it, and IntegrityError as `read_history` does.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"{path}: another process is writing to it; try again when it is done") from None
        _set_torn_line_aside(path, descriptor)
        yield History(path, descriptor, read_history(path))
    finally:
        os.close(descriptor)


def read_history(path: Path) -> tuple[Line, ...]:
    """All lines, oldest first; none if there is no file.

    Raises IntegrityError, naming the file, the line and both hashes, where the chain is broken.
    """
    if not path.exists():
        return ()
    return parse_history(read_bytes(path, MAX_HISTORY_BYTES), str(path))


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


def _set_torn_line_aside(path: Path, descriptor: int) -> None:
    """Move bytes behind the last newline, if any, to a file beside the history; the caller holds the lock."""
    data = read_bytes(path, MAX_HISTORY_BYTES)
    whole = data.rfind(b"\n") + 1
    if torn := data[whole:]:
        write_bytes(path.with_name(f"{path.stem}.torn-{sha256_bytes(torn)[:12]}.txt"), torn)
        os.ftruncate(descriptor, whole)
        os.fsync(descriptor)
