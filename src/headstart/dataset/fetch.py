"""The bytes of any version of the catalogue come back from DVC's cache or a remote, by the hashes in its entry."""

import shutil
from pathlib import Path
from typing import Any, NamedTuple

from headstart.core.dvc_lock import content_md5, read_lock
from headstart.core.errors import InputError, IntegrityError
from headstart.core.files import fresh_directory, inside
from headstart.dataset.catalogue import Entry, Stored, checked_out, fetched
from headstart.dataset.catalogue_check import files_problems, places
from headstart.dataset.stores import Stores, bring, files_of, opened

AWAY = "move it away, and run this again"


class Fetched(NamedTuple):
    """A version that is here now."""

    folder: Path  # it holds validated.json and curated/
    objects: dict[str, int]  # store → how many came from it; empty: the version was here
    faults: list[str]  # corrupt objects that another store made good


def fetch(root: Path, entry: Entry, remote: str | None = None, to: Path | None = None) -> Fetched:
    """Bring a version: that of dvc.lock to its place below data/, another to datasets/<dataset>@<version>; or any to the folder `to`.

    Every object is hashed before it is believed, and manifest and files again before they are in place. Raises InputError where the bytes
    are nowhere, IntegrityError where only corrupt ones are left or something else lies in the place.
    """
    stored = locked(root, entry) if to is None else None
    return _to_its_place(root, entry, stored, remote) if stored else _beside(root, entry, to, remote)


def _to_its_place(root: Path, entry: Entry, stored: Stored, remote: str | None) -> Fetched:
    path, folder = checked_out(entry.dataset)
    wanted = ((path, stored.manifest_md5), (folder, stored.files_md5))
    missing = [where for where, md5 in wanted if not _has(root / where, md5)]
    if not missing:
        return Fetched(folder.parent, {}, [])
    with opened(root, remote) as (repo, stores):
        _, _, came = _brought(root, entry, (stored,), stores)
        _check_out(repo, [str((root / where).resolve()) for where in missing])
    _require_right(root, entry, path, folder)
    return Fetched(folder.parent, came, stores.faults)


def _beside(root: Path, entry: Entry, to: Path | None, remote: str | None) -> Fetched:
    """In a folder of its own, complete or not at all."""
    path, folder = fetched(entry.name)
    place = to or root / folder.parent
    if place.exists():
        _require_right(Path(), entry, place / path.name, place / folder.name)
        return Fetched(place, {}, [])
    whole = [here for here in places(root, entry) if not files_problems(root, entry, *here)] if remote is None else []
    if whole:  # it is checked out, and wanted elsewhere
        with fresh_directory(place) as new:
            shutil.copyfile(root / whole[0][0], new / path.name)
            shutil.copytree(root / whole[0][1], new / folder.name)
            _require_right(Path(), entry, new / path.name, new / folder.name)
        return Fetched(place, {"the workspace": 1 + sum(file.is_file() for file in (place / folder.name).rglob("*"))}, [])
    with opened(root, remote) as (_, stores):
        one, files, came = _brought(root, entry, entry.stored[::-1], stores)
        with fresh_directory(place) as new:
            _copy(stores, one, files, new / path.name, new / folder.name)
            _require_right(Path(), entry, new / path.name, new / folder.name)
    return Fetched(place, came, stores.faults)


def locked(root: Path, entry: Entry) -> Stored | None:
    """The hashes of a version, if it is that of dvc.lock."""
    outs = {path: md5 for stage in read_lock(root) for path, md5 in stage.outs.items()}
    manifest, folder = (outs.get(path.as_posix()) for path in checked_out(entry.dataset))
    return next((one for one in entry.stored if manifest and (one.manifest_md5, one.files_md5) == (manifest, folder)), None)


def _has(path: Path, md5: str | None) -> bool:
    """Whether the bytes are there; IntegrityError where others are."""
    if path.exists() and (found := content_md5(path)) != md5:
        raise IntegrityError(f"{path}: expected nothing, or MD5 {md5}, as dvc.lock records it, found {found}; {AWAY}")
    return path.exists()


def _require_right(root: Path, entry: Entry, path: Path, folder: Path) -> None:
    if not (root / path).is_file():
        raise IntegrityError(f"{root / path}: expected the manifest of {entry.name}, found none; {AWAY}")
    if found := files_problems(root, entry, path, folder):
        raise IntegrityError(f"{'; '.join(found)}; {AWAY}")


def _brought(
    root: Path, entry: Entry, candidates: tuple[Stored, ...], stores: Stores
) -> tuple[Stored, dict[str, str], dict[str, int]]:
    """The hashes whose objects are all in the cache now, the files by path, and store → objects that came from it."""
    error = InputError(f"{entry.name}: its hashes in DVC were never recorded, so that no cache or remote can be asked for it")
    for one in candidates:
        if one.manifest_md5 is None or one.files_md5 is None:
            continue
        try:
            came = bring(stores, [one.manifest_md5, one.files_md5], root)
            files = files_of(stores, one.files_md5) or {}
            for store, count in bring(stores, list(files.values()), root).items():
                came[store] = came.get(store, 0) + count
            return one, files, came
        except InputError as missing:
            more = (
                "`dvc push` where it is brings it to a remote"
                if stores.remotes
                else "there is no remote: `headstart remote use` adds one"
            )
            error = InputError(f"{entry.name}: {missing}; {more}")
    raise error


def _check_out(repo: Any, paths: list[str]) -> None:
    """DVC links or copies the objects, as its cache is set up, and remembers that it did."""
    from dvc.exceptions import DvcException

    try:
        repo.checkout(targets=paths)
    except DvcException as error:
        raise InputError(f"dvc checkout: {' '.join(str(error).split())}") from error


def _copy(stores: Stores, one: Stored, files: dict[str, str], path: Path, folder: Path) -> None:
    shutil.copyfile(stores.cache.odb.oid_to_path(one.manifest_md5), path)
    folder.mkdir()
    for name, md5 in files.items():
        target = inside(folder, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(stores.cache.odb.oid_to_path(md5), target)
