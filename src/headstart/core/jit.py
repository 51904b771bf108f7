"""Compilation with numba, with a cache on disk that every source edit invalidates.

numba's own cache checks only the file of the called function, so after an edit in another file the old code would still run; and it checks that
file's path and time, so every clone and every experiment would compile again. Here the cache is a folder named after the hash
of all sources that are compiled together: an edit leads to a new folder, equal sources share a folder. Drawing code is left out.
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
_ANNOUNCED: dict[Any, str] = {}  # compiled function → its name in the message on stderr


def cache_of(sources: Path) -> Path:
    """The cache folder for the Python files below `sources`; its name changes with any of them."""
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(path for path in sources.rglob("*.py") if path.parent.name != "draw"):
        digest.update(path.read_bytes())
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "headstart" / "numba" / digest.hexdigest()[:16]


def cached(function: F, cache: Path, said: str, **options: Any) -> F:
    """`function`, compiled with numba's `options` at its first call, with a message on stderr, and kept in `cache`."""
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
    """Makes numba store a function in numba.config.CACHE_DIR, whose name depends on the sources."""

    def __init__(self, function: Callable[..., Any]) -> None:
        settings: Any = numba.config
        self._folder = Path(settings.CACHE_DIR) / function.__module__
        self._line = function.__code__.co_firstlineno

    @classmethod
    def from_function(cls, function: Callable[..., Any], file: str) -> "ByContent":
        """Return a locator for any function; `file` is not used."""
        return cls(function)

    def get_cache_path(self) -> str:
        """The folder."""
        return str(self._folder)

    def get_source_stamp(self) -> str:
        """Empty, because the name of the folder already depends on the sources."""
        return ""

    def get_disambiguator(self) -> str:
        """The line of the function, which distinguishes functions of the same name."""
        return str(self._line)


class _Announcement(event.Listener):
    """Print a message, because compilation takes long enough to look like a fault."""

    def on_start(self, started: Any) -> None:
        said = _ANNOUNCED.get(started.data["dispatcher"])
        if said:
            print(f"compiling {said}, once for this version: up to half a minute", file=sys.stderr)

    def on_end(self, ended: Any) -> None:
        pass


event.register("numba:compile", _Announcement())
