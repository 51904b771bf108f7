"""The checks of an untrusted Minari dataset before its package reads it: what it declares, and that reading it runs no code.

Without the spaces of observations and actions the package would make the environment that the metadata names, whose `entry_point` may be any
function of any module.
"""

import math
from pathlib import Path
from typing import Any

from headstart.core.errors import InputError
from headstart.core.files import read_bytes
from headstart.core.strict_json import parse_json
from headstart.dataset.formats.parquet_guard import require_declared
from headstart.dataset.hdf5_guard import require_harmless, require_unpacked

METADATA, DATA = "metadata.json", "main_data.hdf5"
MAX_BYTES = 64 << 20  # of the metadata: the bounds of pictures stand in them number by number
MAX_CELLS = 1 << 24  # of one observation or action


def require_safe(folder: Path) -> None:
    """InputError for a folder whose metadata name no spaces, or that declares more than it holds."""
    where = str(folder / METADATA)
    metadata = parse_json(read_bytes(folder / METADATA, MAX_BYTES), where, MAX_BYTES, max_values=MAX_CELLS, infinite=True)
    if not isinstance(metadata, dict) or not all(
        isinstance(metadata.get(f"{kind}_space"), str) for kind in ("observation", "action")
    ):
        raise InputError(
            f"{where}: expected observation_space and action_space; without them the environment that the file names would be made, "
            "which runs code of its choice: make the dataset again with both spaces"
        )
    for kind in ("observation", "action"):
        space = parse_json(
            metadata[f"{kind}_space"].encode("utf-8", "replace"),
            f"{where}: {kind}_space",
            MAX_BYTES,
            max_values=MAX_CELLS,
            infinite=True,
        )
        if (cells := _cells(space)) > MAX_CELLS:
            raise InputError(f"{where}: {kind}_space: expected at most {MAX_CELLS} numbers, got {cells}")
    if (folder / DATA).is_file():
        episodes, declared = require_harmless(folder / DATA)
        require_unpacked(folder / DATA, declared)
    else:
        files = [file for file in folder.rglob("*") if file.is_file()]
        episodes = len(files)
        for file in files:
            if file.suffix in (".parquet", ".arrow"):
                require_declared(file)
    total = metadata.get("total_episodes")
    if not isinstance(total, int) or not 0 <= total <= episodes:
        raise InputError(f"{where}: total_episodes: expected at most the {episodes} that the files hold, got {total!r:.60}")


def _cells(space: Any) -> int:
    """Numbers that a serialised space, and each of its parts, has at most."""
    match space:
        case {"subspaces": dict(parts)}:
            return sum(map(_cells, parts.values()))
        case {"subspaces": list(parts)}:
            return sum(map(_cells, parts))
        case {"shape": list(shape)} if all(isinstance(n, int) and n >= 0 for n in shape):
            return math.prod(shape)
        case {"type": "MultiBinary", "n": int(n)}:
            return n
        case {"type": "MultiBinary", "n": list(shape)} if all(isinstance(n, int) and n >= 0 for n in shape):
            return math.prod(shape)
    return 1
