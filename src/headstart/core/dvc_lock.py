"""What dvc.lock records, stage by stage, and DVC's hash of a file or folder, taken from the bytes at hand.

DVC's own index of times and sizes would do, but a file that is changed in place can deceive it.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from headstart.core.errors import InputError, shown
from headstart.core.git import versions
from headstart.core.yaml import parse_yaml

LOCK = "dvc.lock"
OBJECT = re.compile(r"[0-9a-f]{32}(\.dir)?")  # the name of an object in a store of DVC


class LockedStage(NamedTuple):
    """One run of a stage."""

    name: str
    deps: dict[str, str]  # path → MD5, of a directory with ".dir" behind it
    params: dict[str, Any]  # key → value, of all parameter files; those of settings.json begin with "settings."
    outs: dict[str, str]  # path → MD5


def read_lock(root: Path) -> tuple[LockedStage, ...]:
    """All stages of dvc.lock; none where there is no such file. Raises InputError if it is not one of DVC's."""
    path = root / LOCK
    return parse_lock(path.read_bytes(), path) if path.exists() else ()


def parse_lock(data: bytes, where: Path) -> tuple[LockedStage, ...]:
    """As `read_lock`, from the bytes of a lock file."""
    try:
        return tuple(_stage(name, entry) for name, entry in parsed(data, where)["stages"].items())
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{where}: expected a lock file of DVC, got {' '.join(str(error).split())}") from None


@lru_cache(maxsize=64)
def parsed(data: bytes, where: Path) -> Any:
    """The content of a file of DVC, which nobody may change. It is kept, because reading takes long."""
    return parse_yaml(data, where)


def _stage(name: str, entry: dict[str, Any]) -> LockedStage:
    return LockedStage(
        name,
        {_path(dep["path"]): _text(dep["md5"]) for dep in entry.get("deps", ())},
        {_text(key): value for values in entry.get("params", {}).values() for key, value in values.items()},
        {_path(out["path"]): _text(out["md5"]) for out in entry.get("outs", ())},
    )


def _path(value: Any) -> str:
    if any(len(part.encode(errors="replace")) > 255 for part in _text(value).split("/")):
        raise TypeError(f"expected a path that a file can have, got {shown(value)}")
    return str(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text as path, key and MD5, got {shown(value)}")
    return value


def scan_lock(data: bytes) -> tuple[LockedStage, ...]:
    """As `parse_lock`, without parameters, from the bytes of a file that DVC wrote: line by line, a hundred times as fast as YAML.

    It is for the versions of dvc.lock in git, which may be many. A line that DVC would not write is passed over.
    """
    stages: list[LockedStage] = []
    section = path = ""
    for line in data.decode(errors="replace").splitlines():
        if found := re.fullmatch(r"  (\S.*):", line):
            stages.append(LockedStage(found[1].strip("'\""), {}, {}, {}))
        elif found := re.fullmatch(r"    (\w+):.*", line):
            section = found[1]
        elif found := re.fullmatch(r"    - path: (.+)", line):
            path = found[1].strip("'\"")
        elif (found := re.fullmatch(r"      md5: '?([0-9a-f]{32}(\.dir)?)'?", line)) and stages and section in ("deps", "outs"):
            getattr(stages[-1], section)[path] = found[1]
    return tuple(stages)


def locks_in_git(root: Path, of: str = "HEAD") -> Iterator[tuple[str, bytes]]:
    """(revision, bytes) of every version of dvc.lock in HEAD and its ancestors, newest first, or in all branches and tags: `--all`."""
    yield from versions(root, LOCK, of)


# --- hashes -------------------------------------------------------------------------------------------------------------


def content_md5(path: Path, ignored: frozenset[str] = frozenset()) -> str:
    """DVC's hash of a file or directory, without what lies in a folder of an `ignored` name. Raises InputError if it is missing."""
    return listing_md5(file_md5s(path, ignored)) if path.is_dir() else _md5(path)


def file_md5s(path: Path, ignored: frozenset[str] = frozenset()) -> dict[str, str]:
    """MD5 of every file of a directory by its path in there; of a file, its own under the name ""."""
    if not path.is_dir():
        return {"": _md5(path)}
    found = {file.relative_to(path): file for file in path.rglob("*") if file.is_file()}
    return {name.as_posix(): _md5(file) for name, file in sorted(found.items()) if not ignored.intersection(name.parts)}


def listing_of(files: dict[str, str]) -> bytes:
    """What DVC keeps of a directory: its files by name, each with its MD5."""
    listing = [{"md5": files[name], "relpath": name} for name in sorted(files)]
    return json.dumps(listing, sort_keys=True).encode()


def listing_md5(files: dict[str, str]) -> str:
    """DVC's hash of a directory with these files."""
    return hashlib.md5(listing_of(files), usedforsecurity=False).hexdigest() + ".dir"


def _md5(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except OSError as error:
        raise InputError(f"{path}: expected a readable file: {error.strerror}") from None
