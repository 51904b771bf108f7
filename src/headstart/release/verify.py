"""Is everything still what was recorded? Every hash that the project keeps is taken again from the bytes at hand.

A file that is not here is no fault: `dvc checkout` brings it. A file that is here and differs is one, and so is a line of the history that
differs from what any commit holds.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from headstart.compare.arm_runs import ArmRuns
from headstart.core.errors import HeadstartError
from headstart.core.files import parse_record, read_record, sha256_file
from headstart.core.git import committed, versions
from headstart.dataset.catalogue import Catalogue, read_catalogue, require_valid
from headstart.release.history import read_history
from headstart.release.history_kinds import Drilled, Judged, Stored
from headstart.release.lock import content_md5, read_lock
from headstart.release.releases import InUse, Release, Releases, require_release
from headstart.release.restore import KEPT
from headstart.runs.checkpoint import CARD, Card, load_checkpoint

HISTORY = Path("governance") / "history.ndjson"
RELEASES = Path("models") / "releases.json"
CATALOGUE = Path("data") / "catalogue.json"
MAY_CHANGE = {"status", "tags"}  # of a catalogue entry


class Findings(NamedTuple):
    """Of one check."""

    checked: int
    problems: list[str]


def verify(root: Path) -> dict[str, Findings]:
    """Name of a check → what it found; nothing is written and nothing is raised for a fault."""
    return {name: _guarded(check, root) for name, check in CHECKS.items()}


def history_findings(root: Path) -> Findings:
    """The chain, its versions in git, and every file that a line names."""
    lines = read_history(root / HISTORY)
    problems = anchor_problems(root)
    for line in lines:
        stored: tuple[Stored, ...] = ()
        if isinstance(line.record, Judged):
            stored = (line.record.comparison, *line.record.evidence)
        elif isinstance(line.record, Drilled):
            stored = line.record.evidence
        problems += [f"{HISTORY}, line {line.seq + 1}: {p}" for s in stored if (p := _differs(root / s.copy_path, s.sha256))]
    return Findings(len(lines), problems)


def anchor_problems(root: Path) -> list[str]:
    """Every version of the history that a commit behind HEAD holds must be the beginning of the one at hand."""
    path = root / HISTORY
    data = path.read_bytes() if path.exists() else b""
    for revision, content in versions(root, HISTORY.as_posix()):
        if not data.startswith(content):
            same = next((i for i, (a, b) in enumerate(zip(data, content, strict=False)) if a != b), min(len(data), len(content)))
            line = content[:same].count(b"\n") + 1
            return [f"{HISTORY}, line {line}: expected what revision {revision[:12]} holds, found it edited or cut"]
    return []


def catalogue_findings(root: Path) -> Findings:
    """Datasets against their entries, and entries against those at HEAD."""
    catalogue = read_catalogue(root / CATALOGUE)
    problems = []
    before = committed(root, CATALOGUE.as_posix())
    known = {entry.name: entry for entry in catalogue.entries}
    for old in parse_record(before, Catalogue, f"HEAD:{CATALOGUE}").entries if before else ():
        new = known.get(old.name)
        if new is None or new.model_dump(exclude=MAY_CHANGE) != old.model_dump(exclude=MAY_CHANGE):
            problems.append(f"{CATALOGUE}: {old.name}: expected the entry that HEAD holds, found {'another' if new else 'none'}")
    try:
        require_valid(catalogue, root)
    except HeadstartError as error:
        problems.append(str(error))
    return Findings(len(catalogue.entries), problems)


def checkpoint_findings(root: Path) -> Findings:
    """The weights of every checkpoint against its card, and the cards against the runs that made them."""
    cards = sorted((root / "models").rglob(CARD))
    problems = [str(error) for card in cards if (error := _error(load_checkpoint, card.parent))]
    for path in sorted((root / "models").rglob("runs.json")):
        try:
            for run in read_record(path, ArmRuns).runs:
                card = path.parent / f"seed-{run.seed}" / CARD
                if card.is_file() and (found := read_record(card, Card).weights_sha256) != run.checkpoint_sha256:
                    problems.append(f"{card}: expected weights with hash {run.checkpoint_sha256}, as {path} says, found {found}")
        except HeadstartError as error:
            problems.append(str(error))
    return Findings(len(cards), problems)


def release_findings(root: Path) -> Findings:
    """The kept copies of releases against the pointers to them."""
    path = root / RELEASES
    used = read_record(path, Releases).scenarios.values() if path.exists() else ()
    kept = {r.id: r for u in used for r in _of(u) if (root / KEPT / r.id).exists()}
    problems = [str(error) for r in kept.values() if (error := _error(require_release, r, root / KEPT / r.id))]
    return Findings(len(kept), problems)


def output_findings(root: Path) -> Findings:
    """The outputs of all stages that are here against dvc.lock."""
    checked, problems = 0, []
    for stage in read_lock(root):
        for path, expected in stage.outs.items():
            if not (root / path).exists():
                continue
            checked += 1
            if (found := content_md5(root / path)) != expected:
                problems.append(f"{path}: expected MD5 {expected}, as dvc.lock records it for {stage.name}, found {found}")
    return Findings(checked, problems)


CHECKS: dict[str, Callable[[Path], Findings]] = {
    "history lines": history_findings,
    "catalogue entries": catalogue_findings,
    "checkpoints": checkpoint_findings,
    "kept releases": release_findings,
    "outputs of stages": output_findings,
}


def _guarded(check: Callable[[Path], Findings], root: Path) -> Findings:
    try:
        return check(root)
    except HeadstartError as error:
        return Findings(0, [str(error)])


def _error(function: Callable[..., object], *arguments: object) -> HeadstartError | None:
    try:
        function(*arguments)
    except HeadstartError as error:
        return error
    return None


def _differs(path: Path, expected: str) -> str | None:
    if not path.is_file():
        return f"{path}: expected a file with hash {expected}, found none"
    found = sha256_file(path)
    return None if found == expected else f"{path}: expected hash {expected}, found {found}"


def _of(used: InUse) -> list[Release]:
    return [release for release in (used.current, used.previous, used.initial) if release]
