"""DVC's cache and remotes, object by object: an object is believed only if its bytes hash to its name, which DVC itself does not look at."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from headstart.config.project import WORK_DIR
from headstart.core.dvc_lock import content_md5
from headstart.core.errors import HeadstartError, InputError, IntegrityError, UsageError, nearest
from headstart.core.files import problems
from headstart.core.record import Record, RelativePath
from headstart.core.remote_folder import away
from headstart.core.strict_json import MAX_BYTES, canonical_json, parse_json

CACHE = "cache"


class Listed(Record):
    """A file of a folder, as DVC's object of the folder lists it."""

    md5: str
    relpath: RelativePath


class Store(NamedTuple):
    """The cache or a remote."""

    name: str  # CACHE, or that of the remote
    where: str  # its folder or URL
    odb: Any  # dvc_data's HashFileDB; None: it cannot be reached
    fault: str = ""  # why not

    @property
    def said(self) -> str:
        """As a sentence names it."""
        return "the cache" if self.name == CACHE else f"remote {self.name} ({self.where})"


class Stores(NamedTuple):
    """Where the bytes of a project may be, in the order in which they are asked."""

    cache: Store
    remotes: tuple[Store, ...]
    faults: list[str]  # what was found wrong on the way; it grows

    @property
    def all(self) -> tuple[Store, ...]:
        return (self.cache, *self.remotes)


@contextmanager
def opened(root: Path, remote: str | None = None) -> Iterator[tuple[Any, Stores]]:
    """DVC's repository, its cache and its remotes, the default one first; or only the one that is named.

    Raises UsageError for a remote that is none, and InputError where DVC cannot read its files.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.scm import NoSCMError

    try:
        with Repo(str(root.resolve())) as repo:
            known = sorted(repo.config["remote"])
            default = repo.config["core"].get("remote")
            if remote is not None and remote not in known:
                there = ", ".join(known) or "none; `headstart remote use` adds one"
                raise UsageError(f"--remote: expected one of the remotes, {there}, got {remote!r}{nearest(remote, known)}")
            names = [remote] if remote else sorted(known, key=lambda name: (name != default, name))
            cache = Store(CACHE, str(repo.cache.local.path), repo.cache.local)
            yield repo, Stores(cache, tuple(_remote(repo, name) for name in names), [])
    except (DvcException, NoSCMError) as error:
        raise InputError(f"DVC: {' '.join(str(error).split())}") from error


def _remote(repo: Any, name: str) -> Store:
    where = str(repo.config["remote"][name].get("url", ""))
    if fault := away(where):
        return Store(name, where, None, fault)
    try:
        return Store(name, where, repo.cloud.get_remote(name).odb)
    except Exception as error:  # of the library of some storage: what it raises is its own
        return Store(name, where, None, words(error))


def words(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def there(store: Store, objects: Sequence[str]) -> set[str]:
    """Which of the objects a store has, by name alone. Raises InputError where it cannot be asked."""
    if store.odb is None:
        raise InputError(f"{store.said}: {store.fault}")
    try:
        return set(store.odb.list_oids_exists(list(objects)))
    except Exception as error:
        raise InputError(f"{store.said}: {words(error)}") from error


def bring(stores: Stores, objects: Sequence[str], root: Path) -> dict[str, int]:
    """Bring objects into the cache, with the bytes of their names: store → how many came from it, those that were in the cache included.

    What is corrupt is named in `stores.faults` and taken from the next store. Raises IntegrityError where only corrupt bytes are left, and
    InputError where there are none.
    """
    came: dict[str, int] = {}
    for one in dict.fromkeys(objects):
        source = _bring(stores, one, root)
        came[source] = came.get(source, 0) + 1
    return came


def _bring(stores: Stores, one: str, root: Path) -> str:
    cached, corrupt, failed = Path(stores.cache.odb.oid_to_path(one)), list[str](), list[str]()
    if cached.is_file():
        if content_md5(cached) == name_of(one):
            return CACHE
        corrupt.append(_corrupt(stores.cache, one, content_md5(cached)))
    (root / WORK_DIR).mkdir(exist_ok=True)
    with TemporaryDirectory(prefix="fetch-", dir=root / WORK_DIR) as folder:
        copy = Path(folder) / one
        for store in stores.remotes:
            try:
                found = _download(store, one, copy)
            except HeadstartError as error:
                failed.append(str(error))
                continue
            if found == name_of(one):
                keep(stores.cache, one, copy)
                stores.faults.extend(corrupt)
                return store.name
            if found is not None:
                corrupt.append(_corrupt(store, one, found))
    if corrupt:
        raise IntegrityError("; ".join([*corrupt, *failed, "no other store has it; `dvc push` from where it is whole"]))
    raise InputError("; ".join([f"no object {one} in {' or '.join(store.said for store in stores.all)}", *failed]))


def _download(store: Store, one: str, copy: Path) -> str | None:
    """MD5 of what came; None: the store has no such object. Raises InputError where it cannot be reached."""
    if store.odb is None:
        raise InputError(f"{store.said}: {store.fault}")
    try:
        store.odb.fs.get_file(store.odb.oid_to_path(one), str(copy))
    except FileNotFoundError:
        return None
    except Exception as error:
        raise InputError(f"{store.said}: {words(error)}") from error
    return content_md5(copy)


def keep(cache: Store, one: str, copy: Path) -> None:
    """Put verified bytes into the cache, in place of corrupt ones if it has these."""
    from dvc.fs import localfs

    Path(cache.odb.oid_to_path(one)).unlink(missing_ok=True)
    cache.odb.add(str(copy), localfs, one, hardlink=False)


def name_of(one: str) -> str:
    """The MD5 that the name of an object says."""
    return one.removesuffix(".dir")


def _corrupt(store: Store, one: str, found: str) -> str:
    return f"{store.said}: {store.odb.oid_to_path(one)} is corrupt: expected MD5 {name_of(one)}, found {found}"


def files_of(stores: Stores, folder_md5: str) -> dict[str, str] | None:
    """Path → object, of the files of a folder, from the first store that has its list whole; None: none has.

    InputError for a list that is none, or that leaves the folder.
    """
    for store in stores.all:
        data = _read(store, folder_md5)
        if data is not None and hashlib.md5(data, usedforsecurity=False).hexdigest() == name_of(folder_md5):
            where = f"{store.said}: {folder_md5}"
            try:
                listed = TypeAdapter(tuple[Listed, ...]).validate_json(
                    canonical_json(parse_json(data, where), where), strict=True
                )
            except ValidationError as error:
                raise InputError(f"{where}: {problems(error)}") from None
            return {file.relpath: file.md5 for file in listed}
    return None


def _read(store: Store, one: str) -> bytes | None:
    try:
        with store.odb.fs.open(store.odb.oid_to_path(one), "rb") as file:
            return bytes(file.read(MAX_BYTES + 1))
    except Exception:  # not there, or the store cannot be reached: who asks for the files says so
        return None
