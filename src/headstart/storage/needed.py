"""Which objects of DVC something still needs: each whose hash stands in a file that git, the workspace or an experiment holds.

DVC's own `gc` asks the stages that params.yaml selects. Here a hash counts wherever it stands: in any lock file, .dvc file or catalogue of
any branch, tag, stash, experiment, queued experiment, release or working tree, also for scenarios that no one selects now.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from headstart.core.errors import InputError, IntegrityError
from headstart.core.git import answer

HASH = re.compile(rb"(?<![0-9a-f])[0-9a-f]{32}(?:\.dir)?(?![0-9a-f])")
REVISION = re.compile(rb"(?<![0-9a-f])[0-9a-f]{40}(?![0-9a-f])")
NAMES = re.compile(r"(^|/)(dvc\.lock|[^/]+\.dvc|data/catalogue(\.json|/[^/]+\.json)|governance/history\.ndjson)$")
DEPS = re.compile(rb"^    deps:\n(?:    - .*\n|      .*\n)*", re.MULTILINE)  # of a stage in a lock file, as DVC writes it
STASHES = ("refs/stash", "refs/exps/stash", "refs/exps/apply/stash", "refs/exps/celery/stash", "refs/exps/celery/failed")
PATTERNS = ("dvc.lock", "*.dvc", "data/catalogue.json", "data/catalogue/*.json", "governance/history.ndjson")


class Needed(NamedTuple):
    """What must stay."""

    here: frozenset[str]  # objects that the working tree's own dvc.lock names
    all: frozenset[str]  # these, and what any other file names
    unknown: frozenset[str]  # folders whose list of files is nowhere: neither in the cache nor in a remote


def needed(root: Path, cache: Any, remotes: Sequence[Any] = ()) -> Needed:
    """Every object that is needed, with the files of folders, whose lists are read from the cache or else from the first of `remotes`.

    Raises InputError in a shallow clone, and IntegrityError where the list of a folder is damaged.
    """
    lock, text = root / "dvc.lock", named_in(root)
    named, own = _hashes(text), _hashes(_without_deps(lock.read_bytes())) if lock.is_file() else set[str]()
    folders = {
        name for name in _hashes(_without_deps(text)) if name.endswith(".dir")
    }  # deps are also source code, which no store has
    lists = _lists(cache, {name for name in named if name.endswith(".dir")})
    for store in remotes:
        lists |= _lists(store, folders - lists.keys())
    return Needed(_with_files(own, lists), _with_files(named, lists), frozenset(folders - lists.keys()))


def named_in(root: Path) -> bytes:
    """The contents of all files that name hashes: those that git and the working trees hold, and those of the commits that these name."""
    if answer(root, "rev-parse", "--is-shallow-repository").strip() == b"true":
        raise InputError(
            f"{root.resolve()}: expected all commits, this clone is shallow: older ones may need data; `git fetch --unshallow`"
        )
    text = _in_git(root, ["--all", "--indexed-objects"], _stashed(root)) + _on_disk(root)
    return text + b"\n" + _in_git(root, ["--no-walk"], _commits(root, sorted(set(REVISION.findall(text)))))


def _hashes(text: bytes) -> set[str]:
    return {found.decode() for found in HASH.findall(text)}


def _without_deps(text: bytes) -> bytes:
    return DEPS.sub(b"", text)


def _with_files(named: set[str], lists: dict[str, frozenset[str]]) -> frozenset[str]:
    return frozenset(named).union(*(lists[name] for name in named if name in lists))


# --- in git -------------------------------------------------------------------------------------------------------------


def _in_git(root: Path, walk: list[str], revisions: Iterable[bytes]) -> bytes:
    """The contents, one after another, of all files of interest in the commits of a walk and in `revisions`."""
    revisions = list(revisions)
    if "--no-walk" in walk and not revisions:
        return b""
    listed = answer(root, "rev-list", "--objects", *walk, "--stdin", given=b"\n".join(revisions)).decode(errors="replace")
    pairs = (line.partition(" ") for line in listed.splitlines())
    blobs = {blob for blob, _, path in pairs if NAMES.search(path)}
    return answer(root, "cat-file", "--batch", given="\n".join(blobs).encode())


def _stashed(root: Path) -> list[bytes]:
    """Commits of stashes, of which only the last one of each kind is a reference: `git stash`, and queued experiments of DVC."""
    known = answer(root, "for-each-ref", "--format=%(refname)", *STASHES).decode().split()
    return [line for name in known for line in answer(root, "reflog", "show", "--format=%H", name).split()]


def _commits(root: Path, revisions: Iterable[bytes]) -> list[bytes]:
    """Those revisions that are commits of this repository."""
    lines = answer(root, "cat-file", "--batch-check", given=b"\n".join(revisions)).splitlines()
    return [line.split()[0] for line in lines if line.split()[1:2] == [b"commit"]]


# --- on disk ------------------------------------------------------------------------------------------------------------


def _on_disk(root: Path) -> bytes:
    """The contents of the same files as they are now, here, in the other working trees, and where experiments run."""
    listed = answer(root, "worktree", "list", "--porcelain").decode(errors="replace").splitlines()
    trees = {Path(line.removeprefix("worktree ")) for line in listed if line.startswith("worktree ")}
    trees |= {root.resolve(), *(lock.parent for lock in (root / ".dvc/tmp/exps").rglob("dvc.lock"))}
    return b"\n".join(file.read_bytes() for tree in sorted(trees) if tree.is_dir() for file in _files_in(tree))


def _files_in(tree: Path) -> list[Path]:
    listed = answer(
        tree, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *(f":(glob)**/{one}" for one in PATTERNS)
    )
    return [tree / name.decode() for name in listed.split(b"\0") if name and (tree / name.decode()).is_file()]


# --- folders ------------------------------------------------------------------------------------------------------------


def _lists(store: Any, folders: set[str]) -> dict[str, frozenset[str]]:
    """Folder → the objects that it consists of, for those whose list a store has."""
    return {folder: frozenset(listed(store, folder).values()) for folder in store.list_oids_exists(sorted(folders))}


def listed(store: Any, folder: str) -> dict[str, str]:
    """Path → object, of the files of a folder, as its list in a store has them. IntegrityError where the list is damaged."""
    path = store.oid_to_path(folder)
    content = store.fs.cat_file(path)
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != folder.removesuffix(".dir"):
        raise IntegrityError(
            f"{path}: expected the list of a folder with this MD5, found other bytes; `headstart verify` says more"
        )
    return {entry["relpath"]: entry["md5"] for entry in json.loads(content)}
