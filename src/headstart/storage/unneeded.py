"""What nothing needs any more: objects of DVC's cache or of a remote, work folders of runs that stopped, and files that a kill left."""

import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from headstart.config.project import DATA, MODELS, REPORTS, WORK_DIR
from headstart.core.dvc_lock import OBJECT
from headstart.core.errors import Busy, InputError, IntegrityError
from headstart.core.git import answer
from headstart.storage.needed import Needed, listed, needed
from headstart.storage.probe import answering
from headstart.storage.remotes import configuration

KEPT_WORK = frozenset({"releases", "locks", "quarantine"})  # below .headstart: what lies there may be nowhere else
DAY_S = 86400.0


class Thing(NamedTuple):
    """A file or folder, or an object of a store."""

    name: str  # the path, or the hash
    size: int  # bytes
    says: str  # why it may go, or what it holds


class Listing(NamedTuple):
    """A store of DVC's, with what is in it."""

    odb: Any
    objects: dict[str, int]  # hash → bytes
    strays: dict[str, int]  # path of what is no object, as a push that was killed leaves it → bytes
    young: frozenset[str]  # hashes and paths that were written lately


@contextmanager
def open_project(root: Path) -> Iterator[Any]:
    """DVC's repository of a project. InputError where there is none."""
    from dvc.repo import Repo

    configuration(root)  # with an error of ours where it cannot be read
    with Repo(str(root)) as repo:
        yield repo


@contextmanager
def project(root: Path) -> Iterator[Any]:
    """The same, which nobody else changes meanwhile. Raises Busy while something of DVC runs."""
    from dvc.lock import LockError

    with open_project(root) as repo:
        try:
            repo.lock.lock()
        except LockError as error:
            raise Busy(f"{root.resolve()}: expected no other command of DVC: {' '.join(str(error).split())}") from None
        try:
            _require_idle(root)
            yield repo
        finally:
            repo.lock.unlock()


def look(odb: Any, days: float = 0.0) -> Listing:
    """All that a store holds. What is younger than `days` counts as written lately; without days, what is no object by a day."""
    objects, strays, young = dict[str, int](), dict[str, int](), set[str]()
    now = time.time()
    with answering(odb.path):
        found = list(_files_in(odb))
    for path, size, written in found:
        name = "".join(odb.fs.parts(path)[-2:])
        is_object = OBJECT.fullmatch(name) is not None
        (objects if is_object else strays)[name if is_object else path] = size
        if now - written < (days if is_object else max(days, 1.0)) * DAY_S:
            young.add(name if is_object else path)
    return Listing(odb, objects, strays, frozenset(young))


def _files_in(odb: Any) -> Iterator[tuple[str, int, float]]:
    """Path, bytes and time of writing, in seconds since 1970, of every file of a store."""
    if not odb.fs.exists(odb.path):
        return
    if odb.fs.protocol == "local":
        for path in odb.fs.find(odb.path):
            found = os.stat(path)
            yield path, found.st_size, found.st_mtime
        return
    for path, info in odb.fs.fs.find(odb.path, detail=True).items():
        told = info.get("mtime", info.get("LastModified"))
        written = told.timestamp() if hasattr(told, "timestamp") else time.time() if told is None else float(told)
        yield path, int(info["size"]), written


def unneeded(store: Listing, kept: Needed) -> list[Thing]:
    """What may go from a store, folders before their files, so that a kill leaves no folder without them."""
    loose = [name for name in store.objects if name not in kept.all and name not in store.young]
    folders = [Thing(name, store.objects[name], _inside(store.odb, name)) for name in sorted(loose) if name.endswith(".dir")]
    files = [Thing(name, store.objects[name], "a file") for name in sorted(loose) if not name.endswith(".dir")]
    strays = [
        Thing(path, size, "left by a transfer that was killed") for path, size in store.strays.items() if path not in store.young
    ]
    return [*folders, *files, *strays]


def remove(store: Listing, things: Iterable[Thing]) -> None:
    """Remove them, in their order."""
    from dvc_data.hashfile.db import get_index

    with answering(store.odb.path):
        for thing in things:
            store.odb.fs.remove(store.odb.oid_to_path(thing.name) if thing.name in store.objects else thing.name)
    if store.odb.fs.protocol != "local":
        get_index(store.odb).clear()  # DVC remembers what a remote has


def needed_of(root: Path, repo: Any) -> Needed:
    """What must stay; the remotes are asked only for lists of folders that the cache lacks. InputError where one does not answer."""
    found = needed(root, repo.cache.local)
    if not found.unknown:
        return found
    lists = f"{len(found.unknown)} folders that commits need, whose lists of files are not in the cache, so nothing was removed"
    with answering(lists):
        return needed(root, repo.cache.local, [repo.cloud.get_remote_odb(name) for name in repo.config["remote"]])


def require_own_cache(root: Path, repo: Any) -> None:
    """InputError for a cache outside of the project: other projects may keep their data there."""
    if not Path(repo.cache.local.path).resolve().is_relative_to(root.resolve()):
        raise InputError(
            f"{repo.cache.local.path}: expected the cache of this project alone, it lies outside and others may use it; "
            "`dvc gc --projects` takes the paths of all of them"
        )


def require_all_fetched(root: Path) -> None:
    """InputError where a repository that this one pushes to has commits that are not here: they may need what a remote holds."""
    for name in answer(root, "remote").decode().split():
        listed = [line.split() for line in answer(root, "ls-remote", name).splitlines()]
        known = answer(root, "cat-file", "--batch-check", given=b"\n".join(line[0] for line in listed)).splitlines()
        lacking = [ref.decode() for (_, ref), answer in zip(listed, known, strict=True) if answer.endswith(b"missing")]
        if lacking:
            raise InputError(
                f"git remote {name}: expected all its commits here, {lacking[0]} is not, and {len(lacking) - 1} more; "
                f"`git fetch {name} '+refs/*:refs/of-{name}/*'` fetches all of them"
            )


def push_needed(root: Path, repo: Any, name: str) -> int:
    """Push all that is needed to a remote; how many objects were pushed.

    Raises InputError where the remote fails.
    """
    from dvc_data.hashfile.hash_info import HashInfo

    with answering(f"remote {name}"):
        remote = repo.cloud.get_remote_odb(name)
        cache, there = look(repo.cache.local).objects, look(remote).objects
        new = {HashInfo("md5", one) for one in needed_of(root, repo).all if one in cache and one not in there}
        done = repo.cloud.transfer(repo.cache.local, remote, new, shallow=True)
    if done.failed:
        raise InputError(
            f"remote {name}: {len(done.failed)} of {len(new)} objects were not pushed; the same command again goes on"
        )
    return len(done.transferred)


# --- outside of DVC -----------------------------------------------------------------------------------------------------


def leftovers(root: Path, days: float) -> list[Thing]:
    """Work folders that no one wrote to for some days, and what a kill left half written for as long as an hour."""
    found = []
    for folder in sorted((root / WORK_DIR).glob("*/*")):
        if folder.parent.name not in KEPT_WORK and _age_s(folder) > days * DAY_S:
            found.append(
                Thing(
                    folder.relative_to(root).as_posix(), size_of(folder), "a run that stopped; its stage begins anew without it"
                )
            )
    for home in (DATA, MODELS, REPORTS, WORK_DIR):
        for path in sorted((root / home).rglob(".*.tmp-*")):
            whole = path.with_name(path.name.removeprefix(".").rpartition(".tmp-")[0])
            if (
                whole.exists()
                and _age_s(path) > min(days, 1 / 24) * DAY_S
                and not any(path.is_relative_to(root / one.name) for one in found)
            ):
                found.append(
                    Thing(path.relative_to(root).as_posix(), size_of(path), f"half written beside {whole.name}, which is whole")
                )
    return found


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file() and not file.is_symlink())


def remove_leftovers(root: Path, things: Iterable[Thing]) -> None:
    for thing in things:
        path = root / thing.name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _age_s(path: Path) -> float:
    """Seconds since something in it was written."""
    return time.time() - max(one.lstat().st_mtime for one in (path, *path.rglob("*")))


def _inside(odb: Any, name: str) -> str:
    try:
        paths = list(listed(odb, name))
    except IntegrityError:
        return "a folder whose list is damaged"
    return f"a folder: {', '.join(paths[:3])}{f' and {len(paths) - 3} more' if len(paths) > 3 else ''}"


def _require_idle(root: Path) -> None:
    """Busy while another process of DVC or headstart works in the project: what it made may stand in no file yet."""
    ours = {os.getpid(), *(process.pid for process in psutil.Process().parents())}
    for process in psutil.process_iter(["pid", "cwd", "cmdline"]):
        where, words = process.info["cwd"], process.info["cmdline"]
        if process.pid not in ours and where and words and Path(where).is_relative_to(root.resolve()) and _works(words):
            raise Busy(
                f"{root.resolve()}: expected no other command at work, found process {process.pid}: {' '.join(words)[:200]}"
            )


def _works(words: list[str]) -> bool:
    """Whether the command line of a process is one of DVC or headstart."""
    program, *arguments = (Path(word).name for word in words[:4])
    named = arguments if program.startswith("python") else [program]
    return any(name in ("dvc", "headstart") or name.startswith("headstart.") for name in named)
