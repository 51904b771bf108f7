"""A recording that `headstart init` copies into a project: its format, found by looking at it, its environment, and its size."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from headstart.config.project import DEMONSTRATIONS
from headstart.core.errors import InputError, shown
from headstart.core.files import read_bytes
from headstart.core.strict_json import parse_json
from headstart.dataset.formats import lerobot, minari
from headstart.dataset.formats.minari_guard import METADATA
from headstart.dataset.formats.reading import ABOUT, read_recording
from headstart.runs.first_scenario import Brought

BEGINS = {b"PK\x03\x04": "npz", b"\x89HDF": "hdf5"}  # first bytes of a file → format
MAX_METADATA = 1 << 22


def found(path: Path) -> tuple[str, Path]:
    """The format of the recording at `path`, and the file or folder to copy. A path that does not exist may be the id of a Minari dataset.

    InputError for what is no recording.
    """
    if not path.exists() and path.suffix in (".npz", ".h5", ".hdf5"):
        raise InputError(f"--demonstrations: expected a recording, there is no file {path}")
    if path.is_file():
        with path.open("rb") as file:
            begins = file.read(4)
        if begins in BEGINS:
            return BEGINS[begins], path
    elif (path / lerobot.INFO).is_file():
        return "lerobot", path
    elif not path.exists() or any((folder / METADATA).is_file() for folder in (path, path / "data")):
        return "minari", minari.folder_of(path)
    elif any(path.rglob("*.h5")):
        return "hdf5", path
    known = "; ".join(f"{name}: {about}" for name, about in ABOUT.items())
    raise InputError(f"--demonstrations: {path}: expected a recording, got something else. {known}")


NAME = re.compile(r"[^:\\\x00-\x1f]+")  # of a file that a scenario can name


def place_of(kind: str, source: Path) -> Path:
    """Where it lies in a project; InputError for a name that a scenario cannot have.

    Minari keeps the files of a dataset in a folder `data`, whose own folder has the name.
    """
    if kind == "minari":
        return DEMONSTRATIONS / (source.parent.name if source.name == "data" else source.name) / "data"
    if not NAME.fullmatch(source.name):
        raise InputError(f"--demonstrations: expected a name without colons and backslashes, got {source.name!r}; rename it")
    return DEMONSTRATIONS / source.name


def environment_of(kind: str, source: Path) -> tuple[str, Mapping[str, Any]] | None:
    """Id and arguments of the environment that a Minari dataset was recorded in; None: the recording does not name one."""
    if kind != "minari":
        return None
    try:
        where = str(source / METADATA)
        spec = parse_json(parse_json(read_bytes(Path(where), MAX_METADATA), where)["env_spec"].encode(), where)
        name, kwargs = str(spec["id"]), dict(spec.get("kwargs") or {})
    except (AttributeError, InputError, KeyError, TypeError, ValueError):
        return None
    if ":" in name:
        raise InputError(
            f"--demonstrations: {where} names the environment {shown(name)}, whose module would be imported; if you trust it, name it "
            "yourself with --env"
        )
    return name, kwargs


def brought(kind: str, source: Path) -> Brought:
    """What the recording says of its scenario. InputError where it cannot be read, and MissingExtra without the package of its format."""
    recording = read_recording(kind, source)
    rewards = recording.rewards
    place = place_of(kind, source)
    return Brought(
        kind=kind,
        path=(place.parent if kind == "minari" else place).as_posix(),
        longest=int(recording.length.max()),
        episodes=len(recording.length),
        returns=None if rewards is None else np.add.reduceat(np.asarray(rewards, np.float64), recording.start),
    )
