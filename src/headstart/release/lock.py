"""What dvc.lock vouches for: which dependencies and parameters gave which bytes.

The hashes are taken here from the bytes at hand, not from DVC's index of times and sizes, which a file changed in place can deceive.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from headstart.core.errors import InputError, IntegrityError
from headstart.core.yaml import parse_yaml

LOCK = "dvc.lock"


class LockedStage(NamedTuple):
    """One run of a stage."""

    name: str
    deps: dict[str, str]  # path → MD5, of a directory with ".dir" behind it
    params: dict[str, Any]  # key → value, of all parameter files
    outs: dict[str, str]  # path → MD5


def read_lock(root: Path) -> tuple[LockedStage, ...]:
    """All stages of dvc.lock; none where there is no such file. Raises InputError if it is not one of DVC's."""
    path = root / LOCK
    if not path.exists():
        return ()
    try:
        content = parse_yaml(path.read_bytes(), path)
        return tuple(_stage(name, entry) for name, entry in content["stages"].items())
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: expected a lock file of DVC, got {' '.join(str(error).split())}") from None


def stage_of(root: Path, out: Path) -> LockedStage:
    """The stage whose output holds `out`, a path below `root`. Raises InputError if dvc.lock has none."""
    for stage in read_lock(root):
        if any(out.is_relative_to(path) for path in stage.outs):
            return stage
    raise InputError(f"{root / LOCK}: expected a stage with the output {out}; `dvc repro` or `dvc commit` records it")


def require_at_hand(root: Path, stage: LockedStage, out: Path) -> str:
    """The output of `stage` that holds `out`, as dvc.lock spells it. Raises IntegrityError unless its bytes are the recorded ones."""
    path = next(path for path in stage.outs if out.is_relative_to(path))
    if (found := content_md5(root / path)) != stage.outs[path]:
        raise IntegrityError(
            f"{root / path}: expected MD5 {stage.outs[path]}, as {LOCK} records it for {stage.name}, found {found}; "
            "`dvc checkout` brings back what is recorded"
        )
    return path


def content_md5(path: Path) -> str:
    """DVC's hash of a file or directory. Raises InputError if it is missing."""
    if not path.is_dir():
        return _md5(path)
    files = {file.relative_to(path).as_posix(): file for file in path.rglob("*") if file.is_file()}
    listing = [{"md5": _md5(files[name]), "relpath": name} for name in sorted(files)]
    return hashlib.md5(json.dumps(listing, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def _md5(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except OSError as error:
        raise InputError(f"{path}: expected a readable file: {error.strerror}") from None


def _stage(name: str, entry: dict[str, Any]) -> LockedStage:
    return LockedStage(
        name,
        {dep["path"]: dep["md5"] for dep in entry.get("deps", ())},
        {key: value for values in entry.get("params", {}).values() for key, value in values.items()},
        {out["path"]: out["md5"] for out in entry.get("outs", ())},
    )
