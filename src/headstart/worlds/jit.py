"""Compiling rules with numba, with an on-disk cache that notices every edit.

numba's own cache looks only at the file of the function that was called, so an edit in a file that it calls would go on running the
old code. Here the cache folder is named after the hash of all simulator sources: any edit starts a new one. Drawing is not compiled.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])
_SOURCES = Path(__file__).parent


def _cache_folder() -> str:
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(path for path in _SOURCES.rglob("*.py") if path.parent.name != "draw"):
        digest.update(path.read_bytes())
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return str(home / "headstart" / "numba" / digest.hexdigest()[:16])


_CACHE = _cache_folder()


def rule(function: F) -> F:
    """A rule of one world, compiled into whichever kernel calls it."""
    compiled: Any = numba.njit(error_model="numpy", nogil=True)(function)
    return cast(F, compiled)


def kernel(function: F) -> F:
    """A loop over W worlds (numba.prange), compiled once and kept on disk."""
    settings: Any = numba.config
    before, settings.CACHE_DIR = settings.CACHE_DIR, _CACHE
    try:
        compiled: Any = numba.njit(error_model="numpy", parallel=True, cache=True)(function)
    finally:
        settings.CACHE_DIR = before
    return cast(F, compiled)
