"""Repair: what `verify` finds is moved to quarantine, and the recorded bytes are brought back from wherever a good copy is.

A good copy is one whose hash was taken here: in the cache, in the workspace, in git, in a remote, or among what was just moved away. DVC
vouches for nothing: it believes times and sizes. It cannot take a file that comes back for the one that went, whose inode is another.
"""

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from headstart.config.history import HISTORY, read_history
from headstart.config.project import CATALOGUE, LOCKS, WORK_DIR
from headstart.core.dvc_lock import content_md5, file_md5s, listing_md5, listing_of
from headstart.core.errors import Busy, HeadstartError, InputError, UsageError, nearest
from headstart.core.files import write_bytes
from headstart.core.git import committed
from headstart.core.lock import held
from headstart.dataset.stores import CACHE, Store, Stores, bring, files_of, keep, name_of, opened, words
from headstart.release.faults import GIT, RELEASES, WORKSPACE, Fault
from headstart.release.objects import hash_of, place_of
from headstart.release.outputs import again, recorded_outputs
from headstart.release.quarantine import QUARANTINE, Bench, move_away, moved
from headstart.release.rollback import RELEASES_LOCK, restore_alone
from headstart.release.standing import fold
from headstart.release.verify import Scope, verify

DOING, ROUNDS = "headstart verify --repair", 3


class NoCopy(InputError):
    """The recorded bytes are nowhere; says what was tried, in brackets."""


def repair(root: Path, scope: Scope, source: str | None = None) -> list[str]:
    """Mend each fault in this scope that has a place; returns a line for each.

    Raises Busy while DVC, a stage or another command of headstart is at work.
    """
    said: list[str] = []
    with opened(root) as (repo, stores), exclusive(root, repo):
        bench = _bench(root, repo, stores, scope, source)
        for _ in range(ROUNDS):
            faults = _faults(root, scope)
            if tracked := [fault for fault in faults if fault.store == GIT]:
                faults = tracked  # what git tracks decides what else is a fault
            faults.sort(key=lambda fault: fault.store == RELEASES)  # they are restored from the outputs
            kept = [move_away(bench, fault) for fault in faults]
            said += [_mend(bench, fault, error) for fault, error in zip(faults, kept, strict=True)]
            if not any(map(_tells, faults)):
                break
    return list(dict.fromkeys(said))


def _tells(fault: Fault) -> bool:
    """Whether other files could not be checked because of it: dvc.lock, a listing or the catalogue says what they should be."""
    return fault.store == GIT or (fault.md5 or "").endswith(".dir") or (fault.path or "").startswith(f"{CATALOGUE}/")


def _faults(root: Path, scope: Scope) -> list[Fault]:
    return [fault for found in verify(root, scope).values() for fault in found.faults if fault.path is not None]


@contextmanager
def exclusive(root: Path, repo: Any) -> Iterator[None]:
    """Keep others away: raises Busy while DVC or a command of headstart that has a lock is at work, and none begins meanwhile."""
    from dvc.lock import LockError
    from dvc.rwlock import rwlock

    hardlink = repo.config["core"].get("hardlink_lock", False)
    command = " ".join(sys.argv)  # as DVC names this process in its own calls
    try:
        with ExitStack() as locks:
            for path in sorted({*(root / LOCKS).glob("*"), root / RELEASES_LOCK}):
                locks.enter_context(held(path, DOING, patience_s=0))
            locks.enter_context(repo.lock)
            locks.enter_context(rwlock(repo.tmp_dir, repo.fs, command, [], [repo.root_dir], hardlink))
            yield
    except LockError as error:
        raise Busy(f"{DOING}: expected to be alone: {' '.join(str(error).split())}") from None


def _bench(root: Path, repo: Any, stores: Stores, scope: Scope, source: str | None) -> Bench:
    from dvc_data.hashfile.db import get_index

    remotes = {store.name: store for store in stores.remotes}
    for name in filter(None, (scope.remote, source)):
        if name not in remotes:
            raise UsageError(f"expected one of the remotes {', '.join(remotes) or 'none'}, got {name!r}{nearest(name, remotes)}")
    if scope.remote and remotes[scope.remote].odb is not None:
        get_index(remotes[scope.remote].odb).clear()  # what DVC believes to be there: `dvc push` would not send it again
    source = source or repo.config["core"].get("remote")
    quarantine = root / QUARANTINE / datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S.%f")
    (root / WORK_DIR).mkdir(exist_ok=True)
    sources = Stores(stores.cache, (remotes[source],) if source else (), [])
    return Bench(root, stores.cache, remotes, sources, quarantine, {})


# --- back ---------------------------------------------------------------------------------------------------------------


def _mend(bench: Bench, fault: Fault, error: str | None) -> str:
    """Bring back what belongs where the fault is, unless an error kept the offender in its place; says what was done."""
    what = fault.text.partition(": expected ")[0]
    if error:
        return f"{what}: not mended: {error}"
    try:
        return f"{what}: {_brought(bench, fault)}"
    except NoCopy as none:
        found = f"{what}: found no good copy{none}"
    except HeadstartError as raised:
        return f"{what}: not mended: {raised}"
    if fault.stage is None:
        return f"{found}; {bench.quarantine.relative_to(bench.root)} keeps what was there, and nothing that dvc.lock records needs it"
    return f"{found}; {again(fault.stage)}"


def _brought(bench: Bench, fault: Fault) -> str:
    """What was done. Raises NoCopy if no good copy is anywhere."""
    assert fault.path is not None
    if fault.store == RELEASES:
        _restore_release(bench.root, fault.path)
        return "restored"
    if fault.store == GIT or (fault.store == WORKSPACE and _is_in_git(bench.root, fault)):
        write_bytes(bench.root / fault.path, committed(bench.root, fault.path) or b"")
        return "back as HEAD holds it"
    if fault.md5 is None:
        return f"moved to {bench.quarantine.relative_to(bench.root)}"
    if fault.store == WORKSPACE:
        return f"back from {_to_workspace(bench, bench.root / fault.path, fault.md5)}"
    origin = _to_cache(bench, fault.md5)
    if fault.store != CACHE:
        _to_remote(bench, bench.remotes[fault.store], fault.md5)
    return f"back from {origin}"


def _restore_release(root: Path, name: str) -> None:
    for standing in fold(read_history(root / HISTORY)).values():
        if name in standing.releases:
            restore_alone(root, standing.releases[name])


def _is_in_git(root: Path, fault: Fault) -> bool:
    """Whether HEAD holds the recorded bytes, as of metrics, which DVC does not keep."""
    content = committed(root, fault.path or "")
    return content is not None and hashlib.md5(content, usedforsecurity=False).hexdigest() == fault.md5


def _to_workspace(bench: Bench, path: Path, md5: str) -> str:
    """Put a file or a directory of the cache into the workspace; returns where its bytes were found."""
    origin = _to_cache(bench, md5)
    if not md5.endswith(".dir"):
        _place(bench, md5, path)
        return origin
    for name, file in (files_of(bench.sources, md5) or {}).items():
        _to_workspace(bench, path / name, file)
    return origin


def _place(bench: Bench, md5: str, path: Path) -> None:
    """As a link of the kind that DVC is set to make, or as a copy."""
    from dvc_objects.fs.generic import transfer

    odb = bench.cache.odb
    path.parent.mkdir(parents=True, exist_ok=True)
    transfer(odb.fs, odb.oid_to_path(md5), odb.fs, str(path.parent.resolve() / path.name), links=list(odb.cache_types))


def _to_cache(bench: Bench, md5: str) -> str:
    """See to a good object in the cache; returns where its bytes were found."""
    found = hash_of(bench.cache, md5)
    if found == name_of(md5):
        return place_of(bench.cache)
    if found is not None:
        moved(bench, CACHE, md5)
    for place, copies in (("what was moved away", bench.moved), ("the workspace", _at_hand(bench.root))):
        if (copy := copies.get(name_of(md5))) and _kept(bench, copy, md5):
            return place
    if not bench.sources.remotes:
        raise NoCopy()
    try:
        (store,) = bring(bench.sources, [md5], bench.root)
    except HeadstartError as error:
        raise NoCopy(f" ({error})") from error
    return place_of(bench.remotes[store])


def _at_hand(root: Path) -> dict[str, Path | bytes]:
    """MD5 → a file of the workspace, or the listing of a directory in it, with these bytes."""
    found: dict[str, Path | bytes] = {}
    for output in recorded_outputs(root):
        if (folder := root / output.path).exists():
            files = file_md5s(folder)
            found |= {md5: folder / name for name, md5 in files.items()}
            if folder.is_dir():
                found[name_of(listing_md5(files))] = listing_of(files)
    return found


def _kept(bench: Bench, copy: Path | bytes, md5: str) -> bool:
    """Whether a copy is a good one; it is then in the cache."""
    with tempfile.TemporaryDirectory(dir=bench.root / WORK_DIR) as folder:
        path = Path(folder, md5)
        if isinstance(copy, bytes):
            path.write_bytes(copy)
        elif copy.is_file():
            shutil.copyfile(copy, path)
        if not path.exists() or content_md5(path) != name_of(md5):
            return False
        keep(bench.cache, md5, path)
    return True


def _to_remote(bench: Bench, store: Store, md5: str) -> None:
    odb = bench.cache.odb
    try:
        store.odb.add(odb.oid_to_path(md5), odb.fs, md5, hardlink=False, check_exists=False)
    except Exception as error:
        raise InputError(f"{store.said}: expected to write to it: {words(error)}") from error
