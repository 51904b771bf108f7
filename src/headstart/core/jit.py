"""Compiling with numba, with an on-disk cache that notices every edit.

numba's own cache looks only at the file of the function that was called, so an edit in a file that it calls would go on running the old code;
and it goes by that file's path and time, so every clone and every experiment in a folder of its own would compile again. Here the cache is a
folder named after the hash of all sources that are compiled together: an edit starts a new one, equal sources share one. Drawing is left out.
"""

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core import event
from numba.core.caching import _CacheLocator

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
    before = settings.CACHE_DIR, settings.CACHE_LOCATOR_CLASSES
    settings.CACHE_DIR, settings.CACHE_LOCATOR_CLASSES = str(cache), f"{__name__}.{ByContent.__name__}"
    try:
        compiled: Any = numba.njit(error_model="numpy", cache=True, **options)(function)
    finally:
        settings.CACHE_DIR, settings.CACHE_LOCATOR_CLASSES = before
    _ANNOUNCED[compiled] = said
    return cast(F, compiled)


class ByContent(_CacheLocator):
    """Tells numba to keep a function in numba.config.CACHE_DIR, whose name vouches for the sources."""

    def __init__(self, function: Callable[..., Any]) -> None:
        settings: Any = numba.config
        self._folder = Path(settings.CACHE_DIR) / function.__module__
        self._line = function.__code__.co_firstlineno

    @classmethod
    def from_function(cls, function: Callable[..., Any], file: str) -> "ByContent":
        """Every function has a place; `file` does not matter."""
        return cls(function)

    def get_cache_path(self) -> str:
        """The folder."""
        return str(self._folder)

    def get_source_stamp(self) -> str:
        """Says nothing: whatever lies in the folder is of these sources."""
        return ""

    def get_disambiguator(self) -> str:
        """Tells functions of one name apart."""
        return str(self._line)


class _Announcement(event.Listener):
    """Compiling takes long enough to look like a fault, so it is said."""

    def on_start(self, started: Any) -> None:
        said = _ANNOUNCED.get(started.data["dispatcher"])
        if said:
            print(f"compiling {said}, once for this version: up to half a minute", file=sys.stderr)

    def on_end(self, ended: Any) -> None:
        pass


event.register("numba:compile", _Announcement())
