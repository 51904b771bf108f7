"""Reading YAML 1.2, as DVC writes it: 1e-05 is a number, NO and 10:20 are text. Other versions are rejected.

A user's file is read by the strict parser in Python, some 20 µs a value, and a file of DVC by the one in C, as DVC reads it. Size, depth and
number of values are limited while it is read.
"""

from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.clib._ruamel_yaml import CParser
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, DocumentStartEvent, Event
from ruamel.yaml.parser import Parser

from headstart.core.errors import InputError, shown
from headstart.core.files import read_bytes

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_EVENTS = (
    50_000  # keys, values, beginnings and ends of lists and mappings: five times those of the largest dvc.lock of this project
)


class _Limits:
    """Raises ValueError at the first value that is too many or too deep, before more is read."""

    def __init__(self) -> None:
        self.seen = self.depth = 0

    def check(self, event: Event) -> None:
        self.seen += 1
        self.depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if self.seen > MAX_EVENTS:
            raise ValueError(f"expected at most {MAX_EVENTS} keys and values, got more")
        if self.depth > MAX_DEPTH:
            raise ValueError(f"line {event.start_mark.line + 1}: expected nesting at most {MAX_DEPTH} deep, got more")
        if isinstance(event, DocumentStartEvent) and event.version not in (None, (1, 2)):
            raise ValueError(f"expected YAML 1.2, got {'.'.join(map(str, event.version))}")


class _Plain(Parser):
    """Raises ValueError also at tags and aliases."""

    def __init__(self, loader: Any) -> None:
        super().__init__(loader)
        self.limits = _Limits()

    def get_event(self) -> Event:
        event: Event = super().get_event()
        self.limits.check(event)
        if problem := _unusual(event):
            raise ValueError(f"line {event.start_mark.line + 1}: {problem}")
        return event


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a mapping from a user's file: no tags, no aliases, no duplicate keys, only text as keys, at most 1 MiB.

    Raises InputError, which names the file and the line.
    """
    content = _load(read_bytes(path, MAX_BYTES), path, plain=True)
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected keys and values at the top, got {type(content).__name__}")
    _require_text_keys(content, str(path))
    return content


def parse_yaml(data: bytes, where: Path) -> Any:
    """A file of DVC of at most 1 MiB, in which aliases are allowed. InputError begins with `where`."""
    return _load(data, where, plain=False)


def _load(data: bytes, where: Path, plain: bool) -> Any:
    """A copy of what was read; a process reads the same settings many times."""
    if len(data) > MAX_BYTES:
        raise InputError(f"{where}: expected at most {MAX_BYTES} bytes, got {len(data)}")
    try:
        return deepcopy(_loaded(data, plain))
    except (YAMLError, ArithmeticError, AssertionError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise InputError(f"{where}: not readable as YAML: {' '.join(str(error).split())[:500]}") from None


@lru_cache(maxsize=32)
def _loaded(data: bytes, plain: bool) -> Any:
    text = data.decode()
    if plain:
        yaml = YAML(typ="safe", pure=True)
        yaml.Parser = _Plain
        return yaml.load(text)
    events, limits = CParser(text), _Limits()
    while (event := events.get_event()) is not None:
        limits.check(event)
    return YAML(typ="safe").load(text)


def _unusual(event: Event) -> str | None:
    """What is not allowed: an alias or a tag."""
    if isinstance(event, AliasEvent):
        return f"aliases are not allowed, got *{event.anchor}"
    tag = getattr(event, "tag", None)
    return None if tag is None else f"tags are not allowed, got {tag}"


def _require_text_keys(content: Any, where: str) -> None:
    if isinstance(content, list):
        for item in content:
            _require_text_keys(item, where)
    elif isinstance(content, dict):
        for key, value in content.items():
            if not isinstance(key, str):
                raise InputError(f"{where}: expected text as key, got {shown(key)}")
            _require_text_keys(value, f"{where}: {key[:60]}")
