"""Compiling with numba, with an on-disk cache that notices every edit.

numba's own cache looks only at the file of the function that was called, so an edit in a file that it calls would go on running the old code.
Here the cache folder is named after the hash of all sources that are compiled together: any edit starts a new one. Drawing is not compiled.
"""

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core import event

F = TypeVar("F", bound=Callable[..., Any])
_ANNOUNCED: dict[Any, str] = {}  # compiled function → what it is said to be while it is compiled


def cache_of(sources: Path) -> Path:
    """Where compiled code of the Python files below `sources` is kept, for as long as none of them changes."""
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(path for path in sources.rglob("*.py") if path.parent.name != "draw"):
        digest.update(path.read_bytes())
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "headstart" / "numba" / digest.hexdigest()[:16]


def cached(function: F, cache: Path, said: str, **options: Any) -> F:
    """`function` compiled with numba's `options` when it is first called, and kept in `cache`; that it is compiled is said on stderr."""
    settings: Any = numba.config
    before, settings.CACHE_DIR = settings.CACHE_DIR, str(cache)
    try:
        compiled: Any = numba.njit(error_model="numpy", cache=True, **options)(function)
    finally:
        settings.CACHE_DIR = before
    _ANNOUNCED[compiled] = said
    return cast(F, compiled)


_WORLDS = cache_of(Path(__file__).parent)


def rule(function: F) -> F:
    """A rule of one world, compiled into whichever kernel calls it."""
    compiled: Any = numba.njit(error_model="numpy", nogil=True)(function)
    return cast(F, compiled)


def kernel(function: F) -> F:
    """A loop over W worlds (numba.prange), compiled once and kept on disk."""
    world = function.__module__.split(".")[-2]
    return cached(function, _WORLDS, f"the rules of {world} ({function.__name__})", parallel=True)


class _Announcement(event.Listener):
    """Compiling takes long enough to look like a fault, so it is said."""

    def on_start(self, started: Any) -> None:
        said = _ANNOUNCED.get(started.data["dispatcher"])
        if said:
            print(f"compiling {said}, once for this version: up to half a minute", file=sys.stderr)

    def on_end(self, ended: Any) -> None:
        pass


event.register("numba:compile", _Announcement())
