"""Verification: every recorded hash is computed again from the current files.

The workspace is checked always. The cache of DVC and a remote are checked on request, and so is whether anything is missing: else a
missing output is no fault, since `dvc checkout` restores it. A file that differs is a fault, and so is a line of the history that differs
from any commit.
"""

import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from headstart.compare.arm_runs import ArmRuns
from headstart.config.project import CATALOGUE, MODELS
from headstart.core.errors import HeadstartError, InputError
from headstart.core.files import parse_record, read_record
from headstart.core.git import committed, tagged_commit, versions
from headstart.dataset.catalogue import Catalogue, read_catalogue, require_valid
from headstart.release.faults import GIT, RELEASES, Fault, Findings, errors, guarded
from headstart.release.history import HISTORY, Line, line_sha256, read_history
from headstart.release.lock import require_release
from headstart.release.objects import (
    Store,
    cache_of,
    listing,
    needed_for_releases,
    needed_now,
    opened,
    remote_of,
    run_cache_has,
    run_findings,
    store_findings,
)  # fmt: skip
from headstart.release.outputs import REPAIR, lock_findings, output_findings
from headstart.release.registry import version_tag
from headstart.release.rollback import RESTORED
from headstart.release.standing import fold
from headstart.runs.checkpoint import CARD, Card, load_checkpoint
from headstart.runs.environments import recorded_environments, require_environment

MAY_CHANGE = {"status", "tags"}  # of a catalogue entry
POLICIES = Path("policies")
FINAL = (POLICIES.as_posix(), "reports/evidence", "reports/tuning")  # git tracks them, and nothing computes them again


class Scope(NamedTuple):
    """What to check besides the files of the workspace that are there."""

    cache: bool = False
    remotes: tuple[str, ...] = ()
    complete: bool = False  # whether a missing output is a fault


WORKSPACE_ALONE = Scope()


def scope_of(root: Path, cache: bool, remote: str | None, everything: bool) -> Scope:
    """What `--cache`, `--remote NAME` and `--all` ask for: `--all` for all, with the default remote if there is one."""
    remotes = (remote,) if remote else ()
    if everything and not remote:
        with opened(root) as repo:
            remotes = tuple(filter(None, [repo.config["core"].get("remote")]))
    return Scope(cache or everything, remotes, everything)


def verify(root: Path, scope: Scope = WORKSPACE_ALONE) -> dict[str, Findings]:
    """Name of a check → its findings; nothing is written, and a fault raises nothing."""
    found = {name: guarded(partial(check, root)) for name, check in CHECKS.items()}
    if not (scope.cache or scope.remotes or scope.complete):
        return found | {
            "entries of dvc.lock": guarded(lambda: lock_findings(root, lambda *entry: remembered(root, *entry))),
            "outputs of stages": guarded(lambda: output_findings(root, lambda md5: _listing(root, md5), False)),
        }
    try:
        with opened(root) as repo:
            return found | _stored(root, repo, scope)
    except HeadstartError as error:
        return found | {"storage": Findings(0, (Fault(str(error)),))}


def _stored(root: Path, repo: Any, scope: Scope) -> dict[str, Findings]:
    """The findings for which DVC is asked."""
    cache = cache_of(repo)
    found = {"entries of dvc.lock": guarded(lambda: lock_findings(root, lambda *entry: run_cache_has(repo, *entry)))}
    remotes: list[Store] = []
    for name in scope.remotes:
        try:
            remotes.append(remote_of(repo, name))
        except HeadstartError as error:
            found[f"objects in the remote {name}"] = Findings(0, (Fault(str(error)),))
    stores = [cache, *remotes]
    found["outputs of stages"] = guarded(lambda: output_findings(root, lambda md5: listing(stores, md5), scope.complete))
    if scope.cache:
        found["objects in the cache"] = guarded(lambda: store_findings(cache, needed_now(root, stores)))
        found["runs that DVC remembers"] = guarded(lambda: run_findings(repo))
    for store in remotes:
        found[f"objects in {store.place}"] = guarded(partial(_in_remote, root, store, stores))
    return found


def _in_remote(root: Path, store: Store, stores: list[Store]) -> Findings:
    return store_findings(store, needed_for_releases(root, stores) | needed_now(root, stores))


def remembered(root: Path, name: str, entry: dict[str, Any]) -> bool:
    """As `run_cache_has`; DVC is opened only for that, because most often HEAD has the entry."""
    with opened(root) as repo:
        return run_cache_has(repo, name, entry)


def _listing(root: Path, md5: str) -> dict[str, str] | None:
    """The files of a directory that the cache knows; DVC is opened only for that, because most folders are whole."""
    try:
        with opened(root) as repo:
            return listing([cache_of(repo)], md5)
    except InputError:
        return None


def history_findings(root: Path) -> Findings:
    """The hash chain, the order of the lines, and the versions of the history in git."""
    try:
        lines = read_history(root / HISTORY)
        fold(lines)
        checked, problems = len(lines), anchor_problems(root)
    except HeadstartError as error:
        checked, problems = 0, [str(error)]
    return Findings(checked, tuple(_history_fault(root, problem) for problem in problems))


def _history_fault(root: Path, problem: str) -> Fault:
    """The history may come back from HEAD if no line is lost that is not committed: none that can be read, and that HEAD lacks."""
    path, before = root / HISTORY, (committed(root, HISTORY.as_posix()) or b"").splitlines()
    newer = [line for line in path.read_bytes().splitlines() if line not in before] if path.exists() else []
    if before and not any(_is_line(line) for line in newer):
        return Fault(problem, REPAIR, GIT, HISTORY.as_posix())
    return Fault(problem, f"`git show HEAD:{HISTORY}` has what is committed; lines that are not must be kept by hand")


def _is_line(data: bytes) -> bool:
    """Whether this is a whole line of a history with its own hash."""
    try:
        line = parse_record(data, Line, "a line")
    except HeadstartError:
        return False
    return line_sha256(line) == line.sha256


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
    faults = []
    before = committed(root, CATALOGUE.as_posix())
    known = {entry.name: entry for entry in catalogue.entries}
    for old in parse_record(before, Catalogue, f"HEAD:{CATALOGUE}").entries if before else ():
        new = known.get(old.name)
        if new is None or new.model_dump(exclude=MAY_CHANGE) != old.model_dump(exclude=MAY_CHANGE):
            found = "another" if new else "none"
            faults.append(Fault(f"{CATALOGUE}: {old.name}: expected the entry that HEAD holds, found {found}"))
    faults += errors(require_valid, catalogue, root)
    return Findings(len(catalogue.entries), tuple(faults))


def checkpoint_findings(root: Path) -> Findings:
    """The weights of every checkpoint against its card, and the cards against the runs that made them."""
    cards = sorted(card for folder in (MODELS, POLICIES) for card in (root / folder).rglob(CARD))
    faults = [fault for card in cards for fault in errors(load_checkpoint, card.parent)]
    for path in sorted((root / MODELS).rglob("runs.json")):
        try:
            for run in read_record(path, ArmRuns).runs:
                card = path.parent / f"seed-{run.seed}" / CARD
                if card.is_file() and (found := read_record(card, Card).weights_sha256) != run.checkpoint_sha256:
                    text = f"{card}: expected weights with hash {run.checkpoint_sha256}, as {path} says, found {found}"
                    faults.append(Fault(text))
        except HeadstartError as error:
            faults.append(Fault(str(error)))
    return Findings(len(cards), tuple(faults))


def release_findings(root: Path) -> Findings:
    """The files of releases below .headstart, and the tags of promoted ones that are here."""
    checked, faults, absent = 0, list[Fault](), 0
    for standing in fold(read_history(root / HISTORY)).values():
        for release in standing.releases.values():
            if (root / RESTORED / release.id).exists():
                checked += 1
                cure = "`headstart verify --repair` moves it away and restores it"
                faults += [
                    fault._replace(store=RELEASES, path=release.id, cure=cure)
                    for fault in errors(require_release, release, root / RESTORED / release.id)
                ]
            else:
                absent += 1
            if version := standing.versions.get(release.id):
                tag = version_tag(standing.scenario, version)
                if (found := tagged_commit(root, tag)) not in (None, release.git_revision):
                    faults.append(Fault(f"tag {tag}: expected revision {release.git_revision}, as {HISTORY} says, found {found}"))
    brings = f"{absent} not in {RESTORED} (`headstart release rollback` brings them when needed)"
    return Findings(checked, tuple(faults), brings if absent else "")


def environment_findings(root: Path) -> Findings:
    """The code of environments that are none of this package, against what the stage `source` hashed."""
    recorded = recorded_environments(root)
    faults = [fault for name, sha256 in recorded.items() for fault in errors(require_environment, root, name, sha256)]
    return Findings(len(recorded), tuple(faults))


def final_findings(root: Path) -> Findings:
    """The bytes of FINAL against HEAD: hashed, since git itself believes times and sizes."""
    tree = subprocess.run(["git", "ls-tree", "-r", "-z", "HEAD", "--", *FINAL], cwd=root, capture_output=True, check=False).stdout
    blobs = {
        name: about.split()[2] for entry in filter(None, tree.decode().split("\0")) for about, name in [entry.split("\t", 1)]
    }
    here = [name for name in blobs if (root / name).is_file()]
    paths = "".join(f"{name}\n" for name in here)
    hashed = subprocess.run(
        ["git", "hash-object", "--stdin-paths"], cwd=root, input=paths, capture_output=True, text=True, check=False
    )
    found = dict(zip(here, hashed.stdout.split(), strict=False))
    faults = [
        Fault(
            f"{name}: expected what HEAD holds, found {'other bytes' if name in found else 'no file'}",
            f"commit it if you changed it, else `git checkout HEAD -- {name}` or `headstart verify --repair` brings it back",
            GIT,
            name,
        )
        for name, blob in blobs.items()
        if found.get(name) != blob
    ]
    return Findings(len(here), tuple(faults))


CHECKS: dict[str, Callable[[Path], Findings]] = {
    "history lines": history_findings,
    "catalogue entries": catalogue_findings,
    "checkpoints": checkpoint_findings,
    "releases": release_findings,
    "environments": environment_findings,
    "policies and evidence in git": final_findings,
}
