"""Verification: every recorded hash is computed again from the current files.

A missing file is not a fault: `dvc checkout` restores it. A file that differs is a fault, and so is a line of the history that
differs from any commit, or a tag that is not where the history says.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from headstart.compare.arm_runs import ArmRuns
from headstart.config.project import CATALOGUE, MODELS
from headstart.core.errors import HeadstartError
from headstart.core.files import parse_record, read_record
from headstart.core.git import committed, versions
from headstart.dataset.catalogue import Catalogue, read_catalogue, require_valid
from headstart.release.history import HISTORY, read_history, torn_end
from headstart.release.lock import content_md5, read_lock, require_release
from headstart.release.registry import tag_problems
from headstart.release.rollback import RESTORED
from headstart.release.standing import fold
from headstart.runs.checkpoint import CARD, Card, load_checkpoint
from headstart.runs.environments import recorded_environments, require_environment

MAY_CHANGE = {"status", "tags"}  # of a catalogue entry


class Findings(NamedTuple):
    """The result of one check."""

    checked: int
    problems: list[str]


def verify(root: Path) -> dict[str, Findings]:
    """Name of a check → its findings; nothing is written, and a fault raises nothing."""
    return {name: _guarded(check, root) for name, check in CHECKS.items()}


def history_findings(root: Path) -> Findings:
    """The hash chain, the order of the lines, and the versions of the history in git."""
    lines = read_history(root / HISTORY)
    fold(lines)
    return Findings(len(lines), [*torn_problems(root), *anchor_problems(root)])


def torn_problems(root: Path) -> list[str]:
    """A line that a killed command left incomplete."""
    data = (root / HISTORY).read_bytes() if (root / HISTORY).exists() else b""
    torn = torn_end(data, str(HISTORY))
    cure = "`headstart release list` sets them aside"
    return [f"{HISTORY}: expected complete lines, found {len(torn)} torn bytes behind them; {cure}"] if torn else []


def anchor_problems(root: Path) -> list[str]:
    """Every version of the history in HEAD and its ancestors must be the beginning of the current one."""
    path = root / HISTORY
    data = path.read_bytes() if path.exists() else b""
    for revision, content in versions(root, HISTORY.as_posix()):
        content = content[: content.rfind(b"\n") + 1]  # a line that a crash tore may have been committed
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
    problems += _errors(require_valid, catalogue, root)
    return Findings(len(catalogue.entries), problems)


def checkpoint_findings(root: Path) -> Findings:
    """The weights of every checkpoint against its card, and the cards against the runs that made them."""
    cards = sorted((root / MODELS).rglob(CARD))
    problems = [problem for card in cards for problem in _errors(load_checkpoint, card.parent)]
    for path in sorted((root / MODELS).rglob("runs.json")):
        try:
            for run in read_record(path, ArmRuns).runs:
                card = path.parent / f"seed-{run.seed}" / CARD
                if card.is_file() and (found := read_record(card, Card).weights_sha256) != run.checkpoint_sha256:
                    problems.append(f"{card}: expected weights with hash {run.checkpoint_sha256}, as {path} says, found {found}")
        except HeadstartError as error:
            problems.append(str(error))
    return Findings(len(cards), problems)


def release_findings(root: Path) -> Findings:
    """The files of releases below .headstart, and all tags that the history asks for."""
    lines = read_history(root / HISTORY)
    checked, problems = 0, list(tag_problems(root, lines))
    for standing in fold(lines).values():
        for release in standing.releases.values():
            if (root / RESTORED / release.id).exists():
                checked += 1
                problems += _errors(require_release, release, root / RESTORED / release.id)
    return Findings(checked, problems)


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


def environment_findings(root: Path) -> Findings:
    """The code of environments that are none of this package, against what the stage `source` hashed."""
    recorded = recorded_environments(root)
    problems = [problem for name, sha256 in recorded.items() for problem in _errors(require_environment, root, name, sha256)]
    return Findings(len(recorded), problems)


CHECKS: dict[str, Callable[[Path], Findings]] = {
    "history lines": history_findings,
    "catalogue entries": catalogue_findings,
    "checkpoints": checkpoint_findings,
    "releases": release_findings,
    "outputs of stages": output_findings,
    "environments": environment_findings,
}


def _guarded(check: Callable[[Path], Findings], root: Path) -> Findings:
    try:
        return check(root)
    except HeadstartError as error:
        return Findings(0, [str(error)])


def _errors(check: Callable[..., object], *arguments: object) -> Iterator[str]:
    try:
        check(*arguments)
    except HeadstartError as error:
        yield str(error)
