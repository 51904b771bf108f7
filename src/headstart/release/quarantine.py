"""Quarantine: where a repair moves what is not as recorded. Nothing in it is ever deleted."""

import os
import shutil
from pathlib import Path
from typing import NamedTuple

from headstart.config.project import WORK_DIR
from headstart.core.errors import HeadstartError, InputError
from headstart.dataset.stores import CACHE, Store, Stores, words
from headstart.release.faults import GIT, RELEASES, RUNS, WORKSPACE, Fault
from headstart.release.rollback import RESTORED

QUARANTINE = WORK_DIR / "quarantine"  # one folder a repair


class Bench(NamedTuple):
    """What a repair works with."""

    root: Path
    cache: Store
    remotes: dict[str, Store]  # all
    sources: Stores  # the cache, and the remote from which good copies may come
    quarantine: Path
    moved: dict[str, Path]  # MD5 → what was moved away with these bytes


def move_away(bench: Bench, fault: Fault) -> str | None:
    """Move the offender of a fault, if there is one, to quarantine; returns what went wrong, or None."""
    try:
        if fault.path is not None and (there := moved(bench, fault.store, fault.path)) and fault.found:
            bench.moved[fault.found] = there  # the bytes of another object, if two were exchanged
    except (HeadstartError, OSError) as error:
        return " ".join(str(error).split())
    return None


def moved(bench: Bench, store: str, path: str) -> Path | None:
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
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        fs.get_file(path, str(to))
        fs.remove(path)
    except FileNotFoundError:
        return None
    except Exception as error:  # of the library of some storage: what it raises is its own
        raise InputError(f"{store.said}: expected to take the object away: {words(error)}") from error
    return to
