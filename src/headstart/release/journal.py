"""The history of the project, and the two files that are written from it: nobody edits those, `headstart verify` compares them."""

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from headstart.core.errors import HeadstartError
from headstart.core.files import read_record, sha256_file, sha256_json, write_bytes, write_record
from headstart.core.record import Record
from headstart.release.history import History, Line, open_history, read_history
from headstart.release.history_kinds import Drilled, Stored
from headstart.release.promotion import Standing, fold
from headstart.release.releases import InUse, Releases
from headstart.release.verify import HISTORY, RELEASES, Findings

CACHE = HISTORY.with_name("promotion.json")
EVIDENCE = HISTORY.with_name("evidence")
OWN = (HISTORY.parent.as_posix(), RELEASES.as_posix())  # what these commands write themselves

_TOKEN = secrets.token_hex(16)


class Standings(Record):
    """Where every scenario stands, by "<world>/<scenario>", after the line with the hash `history_sha256`."""

    schema_id: Literal["promotion/1"] = "promotion/1"
    history_sha256: str | None
    standings: dict[str, Standing]


@contextmanager
def held_history(root: Path) -> Iterator[History]:
    """The history, locked; whatever was appended when the block ends also stands in the two files that are written from it."""
    with open_history(root / HISTORY) as history:
        before = history.lines
        try:
            yield history
        finally:
            if history.lines != before:
                refresh(root, history.lines)


def standing_of(lines: Sequence[Line], world: str, scenario: str) -> Standing:
    """Where a scenario stands after all lines."""
    return fold(lines).get((world, scenario)) or Standing(world=world, scenario=scenario)


def standings(lines: Sequence[Line]) -> Standings:
    """What `governance/promotion.json` should hold."""
    found = {f"{world}/{scenario}": standing for (world, scenario), standing in fold(lines).items()}
    return Standings(history_sha256=lines[-1].sha256 if lines else None, standings=found)


def releases(lines: Sequence[Line]) -> Releases:
    """What `models/releases.json` should hold."""
    return Releases(
        scenarios={
            scenario: InUse(
                world=world, current=found.current_release, previous=found.previous_release, initial=found.initial_release
            )
            for (world, scenario), found in fold(lines).items()
            if found.current_release
        }
    )


def refresh(root: Path, lines: Sequence[Line]) -> None:
    """Write both files anew."""
    write_record(root / CACHE, standings(lines))
    write_record(root / RELEASES, releases(lines))


def cache_findings(root: Path) -> Findings:
    """Whether both files say what the history says."""
    problems = []
    try:
        lines = read_history(root / HISTORY)
        expected: dict[Path, Record] = {CACHE: standings(lines), RELEASES: releases(lines)}
    except HeadstartError as error:
        return Findings(0, [f"{CACHE}, {RELEASES}: not compared, since the history does not hold: {error}"])
    for path, record in expected.items():
        try:
            found = read_record(root / path, type(record)) if lines or (root / path).exists() else record
        except HeadstartError as error:
            problems.append(str(error))
            continue
        if found != record:
            problems.append(
                f"{root / path}: expected what {HISTORY} says, found something else; `headstart release rebuild` writes it"
            )
    return Findings(len(expected), problems)


def record_drill(
    root: Path, passed: bool, rounds: int, guardrails: Sequence[str], actor: str, reason: str, report: Path | None = None
) -> Line:
    """Append that the rollback drill was run; `report` is a path below `root`, kept as evidence."""
    evidence = (keep_evidence(root, report),) if report else ()
    with held_history(root) as history:
        drill = Drilled(passed=passed, rounds=rounds, guardrails=tuple(guardrails), evidence=evidence)
        return history.append(drill, actor, reason)


def keep_evidence(root: Path, path: Path) -> Stored:
    """Copy a file to where git keeps it for good: the next training overwrites the original."""
    sha256 = sha256_file(root / path)
    copy = EVIDENCE / f"{sha256}{path.suffix}"
    if not (root / copy).exists():
        write_bytes(root / copy, (root / path).read_bytes())
    return Stored(path=path.as_posix(), sha256=sha256, copy_path=copy.as_posix())


def process_key() -> str:
    """A name for this process that no other one has, and that says nothing about the machine."""
    return sha256_json([_TOKEN, os.getpid()])
