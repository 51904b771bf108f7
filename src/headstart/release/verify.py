"""Verification: every recorded hash is computed again from the current files.

The workspace is checked always. The cache of DVC and a remote are checked on request, and so is whether anything is missing: else a
missing output is no fault, since `dvc checkout` restores it. A file that differs is a fault, and so is a line of the history that differs
from any commit, or a tag that is not where the history says.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from headstart.compare.arm_runs import ArmRuns
from headstart.config.history import HISTORY, Release, read_history
from headstart.config.project import DATA, MODELS
from headstart.core.contents import CONTENTS, require_whole
from headstart.core.errors import HeadstartError, InputError, UsageError
from headstart.core.files import read_record, sha256_file
from headstart.dataset.stores import Store, Stores, files_of, opened
from headstart.release.faults import RELEASES, Fault, Findings, errors, guarded
from headstart.release.in_git import POLICIES, catalogue_findings, final_findings, history_findings, mark_findings
from headstart.release.objects import (
    Needed,
    needed_for_catalogue,
    needed_for_releases,
    needed_now,
    remembered,
    run_findings,
    store_findings,
)
from headstart.release.outputs import lock_findings, output_findings
from headstart.release.registry import tag_problems
from headstart.release.rollback import RESTORED
from headstart.release.standing import fold
from headstart.runs.checkpoint import CARD, WEIGHTS, Card, load_checkpoint
from headstart.runs.environments import recorded_environments, require_environment


class Scope(NamedTuple):
    """What to check besides the files of the workspace that are there."""

    cache: bool = False
    remote: str | None = None
    complete: bool = False  # whether a missing output is a fault


WORKSPACE_ALONE = Scope()


def scope_of(root: Path, cache: bool, remote: str | None, everything: bool) -> Scope:
    """What `--cache`, `--remote NAME` and `--all` ask for: `--all` for all, with the default remote if there is one."""
    if everything and not remote:
        with opened(root) as (repo, _):
            remote = repo.config["core"].get("remote")
    return Scope(cache or everything, remote, everything)


def verify(root: Path, scope: Scope = WORKSPACE_ALONE) -> dict[str, Findings]:
    """Name of a check → its findings; nothing is written, and a fault raises nothing."""
    found = {name: guarded(partial(check, root)) for name, check in CHECKS.items()}
    if scope == WORKSPACE_ALONE:
        return found | {
            "entries of dvc.lock": guarded(lambda: lock_findings(root, partial(remembered_at, root))),
            "outputs of stages": guarded(lambda: output_findings(root, partial(_listing, root), complete=False)),
        }
    try:
        with opened(root, scope.remote) as (repo, stores):
            return found | _stored(root, repo, stores, scope)
    except UsageError:
        raise
    except HeadstartError as error:
        return found | {"storage": Findings(0, (Fault(str(error)),))}


def _stored(root: Path, repo: Any, stores: Stores, scope: Scope) -> dict[str, Findings]:
    """The findings for which DVC is asked."""
    asked = stores if scope.remote else stores._replace(remotes=())
    found = {
        "entries of dvc.lock": guarded(lambda: lock_findings(root, partial(remembered, repo))),
        "outputs of stages": guarded(lambda: output_findings(root, partial(files_of, asked), scope.complete)),
    }
    if scope.cache:
        found["objects in the cache"] = guarded(lambda: store_findings(stores.cache, needed_now(root, asked)))
        found["runs that DVC remembers"] = guarded(lambda: run_findings(repo))
    for store in asked.remotes:
        found[f"objects in remote {store.name}"] = guarded(partial(_in_remote, root, store, asked))
    return found


def _in_remote(root: Path, store: Store, stores: Stores) -> Findings:
    """A remote must have everything that the project names, so that nothing of it is lost with this machine."""
    needs = _known(needed_for_catalogue, root, stores) | _known(needed_for_releases, root, stores)
    return store_findings(store, needs | needed_now(root, stores))


def _known(needed: Callable[[Path, Stores], dict[str, Needed]], root: Path, stores: Stores) -> dict[str, Needed]:
    """What is needed, as far as a file says it that may be damaged: its own check names it, and the rest is checked nevertheless."""
    try:
        return needed(root, stores)
    except HeadstartError:
        return {}


def remembered_at(root: Path, name: str, entry: dict[str, Any]) -> bool:
    """As `remembered`; DVC is opened only for that, because most often HEAD has the entry."""
    with opened(root) as (repo, _):
        return remembered(repo, name, entry)


def _listing(root: Path, md5: str) -> dict[str, str] | None:
    """The files of a directory that the cache knows; DVC is opened only for that, because most directories are whole."""
    try:
        with opened(root) as (_, stores):
            return files_of(stores._replace(remotes=()), md5)
    except InputError:
        return None


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


def contents_findings(root: Path) -> Findings:
    """The folders that stages seal, against the list of their files: what the next stage does before it reads.

    Fetched versions are copies, in another place than their list says, and are held to their entries of the catalogue.
    """
    folders = sorted(path.parent for place in (DATA, MODELS) for path in (root / place).rglob(CONTENTS))
    return Findings(len(folders), tuple(fault for folder in folders for fault in errors(require_whole, folder)))


def release_findings(root: Path) -> Findings:
    """The files of releases below .headstart, and all tags that the history asks for."""
    lines = read_history(root / HISTORY)
    faults, releases = list(map(Fault, tag_problems(root, lines))), [r for s in fold(lines).values() for r in s.releases.values()]
    here = [release for release in releases if (root / RESTORED / release.id).exists()]
    faults += [fault for release in here for fault in _release_faults(root, release)]
    gone = len(releases) - len(here)
    return Findings(len(here), tuple(faults), f"{gone} not in {RESTORED} (a rollback restores what it needs)" if gone else "")


def _release_faults(root: Path, release: Release) -> list[Fault]:
    folder, cure = root / RESTORED / release.id, "`headstart verify --repair` moves the release away and restores it"
    found = {name: sha256_file(folder / name) if (folder / name).is_file() else "no file" for name in (WEIGHTS, CARD)}
    return [
        Fault(f"{folder / name}: expected hash {sha256} of release {release.id}, found {found[name]}", cure, RELEASES, release.id)
        for name, sha256 in ((WEIGHTS, release.weights_sha256), (CARD, release.card_sha256))
        if found[name] != sha256
    ]


def environment_findings(root: Path) -> Findings:
    """The code of environments that are none of this package, against what the stage `source` hashed."""
    recorded = recorded_environments(root)
    faults = [fault for name, sha256 in recorded.items() for fault in errors(require_environment, root, name, sha256)]
    return Findings(len(recorded), tuple(faults))


CHECKS: dict[str, Callable[[Path], Findings]] = {
    "history lines": history_findings,
    "catalogue entries": catalogue_findings,
    "marks of datasets": mark_findings,
    "folders with contents.json": contents_findings,
    "checkpoints": checkpoint_findings,
    "releases": release_findings,
    "environments": environment_findings,
    "policies and evidence in git": final_findings,
}
