"""Repair: what `verify` finds is moved to quarantine, and the recorded bytes are brought back from wherever a good copy is.

A good copy is one whose hash was taken here: in the cache, in the workspace, in git, in a remote, or among what was just moved away. DVC
vouches for nothing: it believes times and sizes. It cannot take a file that comes back for the one that went, whose inode is another.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from headstart.config.project import WORK_DIR
from headstart.core.errors import Busy, HeadstartError, InputError
from headstart.core.files import write_bytes
from headstart.core.git import committed
from headstart.release.faults import CACHE, GIT, RELEASES, RUNS, WORKSPACE, Fault
from headstart.release.history import HISTORY, read_history
from headstart.release.objects import Store, cache_of, hash_of, listing, opened, reached, remote_of
from headstart.release.outputs import file_md5s, listing_bytes, md5_of, recorded_outputs
from headstart.release.rollback import RESTORED, restore
from headstart.release.standing import fold
from headstart.release.verify import Scope, verify

ROUNDS = 3
QUARANTINE = WORK_DIR / "quarantine"  # one folder a repair; nothing in it is ever deleted


class Bench(NamedTuple):
    """What a repair works with."""

    root: Path
    cache: Store
    remotes: dict[str, Store]  # those that are checked
    sources: tuple[Store, ...]  # those from which good copies may come
    quarantine: Path
    moved: dict[str, Path]  # MD5 → what was moved away with these bytes
    at_hand: Callable[[], dict[str, Path | bytes]]  # MD5 → a file of the workspace, or the listing of a folder, with these bytes


def repair(root: Path, scope: Scope, source: str | None = None) -> list[str]:
    """Mend what `verify` finds in this scope; returns a line for each fault. Raises Busy while DVC or one of its stages is at work."""
    with opened(root) as repo, exclusive(repo):
        bench = _bench(root, repo, scope, source)
        said: list[str] = []
        for _ in range(ROUNDS):
            faults = _faults(root, scope)
            if tracked := [fault for fault in faults if fault.store == GIT]:
                faults = tracked  # what git tracks decides what else is a fault
            faults.sort(key=lambda fault: fault.store == RELEASES)  # they are restored from the outputs
            moved = [_move_away(bench, fault) for fault in faults]
            said += [_mend(bench, fault, error) for fault, error in zip(faults, moved, strict=True)]
            if not any(fault.store == GIT or (fault.md5 or "").endswith(".dir") for fault in faults):
                break  # else the files that a lock file or a listing names can be checked only now
    return list(dict.fromkeys(said))


def _faults(root: Path, scope: Scope) -> list[Fault]:
    return [fault for found in verify(root, scope).values() for fault in found.faults]


@contextmanager
def exclusive(repo: Any) -> Iterator[None]:
    """Keep DVC and its stages away: raises Busy while a stage that DVC began runs, and none begins meanwhile."""
    from dvc.lock import LockError
    from dvc.rwlock import rwlock

    hardlink = repo.config["core"].get("hardlink_lock", False)
    command = " ".join(sys.argv)  # as DVC names this process in its own calls
    try:
        with repo.lock, rwlock(repo.tmp_dir, repo.fs, command, [], [repo.root_dir], hardlink):
            yield
    except LockError as error:
        raise Busy(f"headstart verify --repair: expected to be alone: {' '.join(str(error).split())}") from None


def _bench(root: Path, repo: Any, scope: Scope, source: str | None) -> Bench:
    from dvc_data.hashfile.db import get_index

    remotes = {name: remote_of(repo, name) for name in scope.remotes}
    for store in remotes.values():
        get_index(store.odb).clear()  # what DVC believes to be there: `dvc push` would not send it again
    name = source or repo.config["core"].get("remote")
    quarantine = root / QUARANTINE / datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S.%f")
    sources = (remote_of(repo, name),) if name else ()
    return Bench(root, cache_of(repo), remotes, sources, quarantine, {}, lambda: _at_hand(root))


def _at_hand(root: Path) -> dict[str, Path | bytes]:
    found: dict[str, Path | bytes] = {}
    for output in recorded_outputs(root):
        if (folder := root / output.path).exists():
            files = file_md5s(folder)
            found |= {md5: folder / name for name, md5 in files.items()}
            if folder.is_dir():
                data = listing_bytes(files)
                found[md5_of(data)] = data
    return found


# --- away ---------------------------------------------------------------------------------------------------------------


def _move_away(bench: Bench, fault: Fault) -> str | None:
    """Move the offender of a fault, if there is one, to quarantine; returns what went wrong, or None."""
    try:
        if fault.path is not None and (moved := _moved(bench, fault.store, fault.path)) and fault.found:
            bench.moved[fault.found] = moved  # the bytes of another object, if two were exchanged
    except (HeadstartError, OSError) as error:
        return " ".join(str(error).split())
    return None


def _moved(bench: Bench, store: str, path: str) -> Path | None:
    """Where in quarantine the file, object or folder is now; None: there was none."""
    if store in (WORKSPACE, GIT):
        return _move(bench.root / path, bench.quarantine / "workspace" / path)
    if store == CACHE:
        return _move(Path(bench.cache.odb.oid_to_path(path)), bench.quarantine / "cache" / path[:2] / path[2:])
    if store == RUNS:
        return _move(Path(path), bench.quarantine.joinpath("runs", *Path(path).parts[-3:]))
    if store == RELEASES:
        return _move(bench.root / RESTORED / path, bench.quarantine / "releases" / path)
    return _fetch_and_remove(bench.remotes[store], path, bench.quarantine / "remotes" / store / path[:2] / path[2:])


def _move(path: Path, to: Path) -> Path | None:
    if not os.path.lexists(path):
        return None
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(path, to)
    return to


def _fetch_and_remove(store: Store, md5: str, to: Path) -> Path | None:
    fs, path = store.odb.fs, store.odb.oid_to_path(md5)
    if not reached(store.place, lambda: fs.exists(path)):
        return None
    to.parent.mkdir(parents=True, exist_ok=True)
    reached(store.place, lambda: fs.get_file(path, str(to)))
    reached(store.place, lambda: fs.remove(path))
    return to


# --- back ---------------------------------------------------------------------------------------------------------------


def _mend(bench: Bench, fault: Fault, error: str | None) -> str:
    """Bring back what belongs where the fault is, unless an error kept the offender in its place; says what was done."""
    what = fault.text.partition(": expected ")[0]
    if fault.path is None:
        return f"{fault}: not mended"
    try:
        if error is None and (origin := _brought(bench, fault)):
            return f"{what}: {origin}"
    except HeadstartError as raised:
        error = str(raised)
    if error:
        return f"{what}: not mended: {error}"
    if fault.stage is None:
        return f"{what}: moved to {bench.quarantine.relative_to(bench.root)}; nothing that is recorded now needs it"
    return f"{what}: found no good copy; `dvc repro {fault.stage}` computes it again"


def _brought(bench: Bench, fault: Fault) -> str | None:
    """Where the bytes came from; None: no good copy is anywhere."""
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
        origin = _to_workspace(bench, bench.root / fault.path, fault.md5)
        return f"back from {origin}" if origin else None
    origin = _to_cache(bench, fault.md5)
    if origin and fault.store != CACHE:
        _to_remote(bench, bench.remotes[fault.store], fault.md5)
    return f"back from {origin}" if origin else None


def _restore_release(root: Path, name: str) -> None:
    for standing in fold(read_history(root / HISTORY)).values():
        if name in standing.releases:
            restore(root, standing.releases[name])


def _is_in_git(root: Path, fault: Fault) -> bool:
    """Whether HEAD holds the recorded bytes, as of metrics, which DVC does not keep."""
    content = committed(root, fault.path or "")
    return content is not None and md5_of(content) == fault.md5


def _to_workspace(bench: Bench, path: Path, md5: str) -> str | None:
    """Put a file or a directory of the cache into the workspace."""
    origin = _to_cache(bench, md5)
    if origin is None:
        return None
    files = {path: md5}
    if md5.endswith(".dir"):
        files = {path / name: file for name, file in (listing([bench.cache], md5) or {}).items()}
    for file, file_md5 in files.items():
        if (origin := _to_cache(bench, file_md5)) is None:
            return None
        _place(bench, file_md5, file)
    return origin


def _place(bench: Bench, md5: str, path: Path) -> None:
    """As a link of the kind that DVC is set to make, or as a copy."""
    from dvc_objects.fs.generic import transfer

    odb = bench.cache.odb
    path.parent.mkdir(parents=True, exist_ok=True)
    transfer(odb.fs, odb.oid_to_path(md5), odb.fs, str(path.parent.resolve() / path.name), links=list(odb.cache_types))


def _to_cache(bench: Bench, md5: str) -> str | None:
    """See to a good object in the cache; returns where its bytes were found."""
    digest = md5.removesuffix(".dir")
    found = hash_of(bench.cache, md5)
    if found == digest:
        return bench.cache.name
    if found is not None:
        _moved(bench, CACHE, md5)
    for place, copies in (("the workspace", bench.at_hand()), ("its copy in quarantine", bench.moved)):
        if digest in copies and _keep(bench, copies[digest], md5):
            return place
    for store in bench.sources:
        if hash_of(store, md5) == digest:
            _fetch(bench, store, md5)
            return store.place
    return None


def _keep(bench: Bench, copy: Path | bytes, md5: str) -> bool:
    """Add a copy to the cache; False if it is no good one, which is not added."""
    odb, data = bench.cache.odb, copy if isinstance(copy, bytes) else None
    with tempfile.TemporaryDirectory(dir=bench.root / WORK_DIR) as folder:
        path = Path(folder, md5)
        if data is not None:
            path.write_bytes(data)
        elif isinstance(copy, Path) and copy.is_file():
            shutil.copyfile(copy, path)
        if not path.exists() or file_md5s(path)[""] != md5.removesuffix(".dir"):
            return False
        odb.add(str(path), odb.fs, md5, hardlink=False, check_exists=False)
    return True


def _fetch(bench: Bench, store: Store, md5: str) -> None:
    with tempfile.TemporaryDirectory(dir=bench.root / WORK_DIR) as folder:
        path = Path(folder, md5)
        reached(store.place, lambda: store.odb.fs.get_file(store.odb.oid_to_path(md5), str(path)))
        if not _keep(bench, path, md5):
            raise InputError(f"{store.place}: expected the object {md5}, fetched other bytes; try again")


def _to_remote(bench: Bench, store: Store, md5: str) -> None:
    odb = bench.cache.odb
    reached(store.place, lambda: store.odb.add(odb.oid_to_path(md5), odb.fs, md5, hardlink=False, check_exists=False))
