"""Compiling with numba, with an on-disk cache that notices every edit.

numba's own cache checks only the file of the called function, so an edit in another file would go on running the old code; and it checks that
file's path and time, so each clone and each experiment in its own folder would compile again. Here the cache is a folder named after the hash
of all sources that are compiled together: an edit starts a new folder, equal sources share one. Drawing code is left out.
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
    """Where compiled code of the Python files below `sources` is kept, for as long as none of them changes."""
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
    """Tells numba to keep a function in numba.config.CACHE_DIR, whose name vouches for the sources."""

    def __init__(self, function: Callable[..., Any]) -> None:
        settings: Any = numba.config
        self._folder = Path(settings.CACHE_DIR) / function.__module__
        self._line = function.__code__.co_firstlineno

    @classmethod
    def from_function(cls, function: Callable[..., Any], file: str) -> "ByContent":
        """Any function can be kept; `file` is not used."""
        return cls(function)

    def get_cache_path(self) -> str:
        """The folder."""
        return str(self._folder)

    def get_source_stamp(self) -> str:
        """Empty: the name of the folder already stands for the sources."""
        return ""

    def get_disambiguator(self) -> str:
        """Tells functions of one name apart."""
        return str(self._line)


class _Announcement(event.Listener):
    """A message, since compiling takes long enough to look like a fault."""

    def on_start(self, started: Any) -> None:
        said = _ANNOUNCED.get(started.data["dispatcher"])
        if said:
            print(f"compiling {said}, once for this version: up to half a minute", file=sys.stderr)

    def on_end(self, ended: Any) -> None:
        pass


event.register("numba:compile", _Announcement())
