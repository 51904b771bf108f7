"""Reading YAML 1.2, as DVC writes it: 1e-05 is a number, NO and 10:20 are text. Other versions are rejected."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent, DocumentStartEvent

from headstart.core.errors import InputError

MAX_BYTES = 1 << 20


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a mapping from a user's file: no tags, no aliases, no duplicate keys, only text as keys, at most 1 MiB.

    Raises InputError, which names the file and the line.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: expected a YAML file, got {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise InputError(f"{path}: expected at most {MAX_BYTES} bytes, got {len(data)}")
    content = parse_yaml(data, path)
    if problem := _unusual(data.decode()):
        raise InputError(f"{path}: {problem}")
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected keys and values at the top, got {type(content).__name__}")
    _require_text_keys(content, str(path))
    return content


def parse_yaml(data: bytes, where: Path) -> Any:
    """One YAML document, in which aliases are allowed. InputError begins with `where`."""
    try:
        return YAML(typ="safe", pure=True).load(data.decode())
    except (YAMLError, ArithmeticError, AssertionError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise InputError(f"{where}: not readable as YAML: {' '.join(str(error).split())}") from error


def _unusual(text: str) -> str | None:
    """A construct that is not allowed: an alias, a tag, another version of YAML. None: there is none."""
    for event in YAML(typ="safe", pure=True).parse(text):
        line = event.start_mark.line + 1
        if isinstance(event, AliasEvent):
            return f"line {line}: aliases are not allowed, got *{event.anchor}"
        if (tag := getattr(event, "tag", None)) is not None:
            return f"line {line}: tags are not allowed, got {tag}"
        if isinstance(event, DocumentStartEvent) and event.version not in (None, (1, 2)):
            return f"line {line}: expected YAML 1.2, got {'.'.join(map(str, event.version))}"
    return None


def _require_text_keys(content: Any, where: str) -> None:
    if isinstance(content, list):
        for item in content:
            _require_text_keys(item, where)
    elif isinstance(content, dict):
        for key, value in content.items():
            if not isinstance(key, str):
                raise InputError(f"{where}: expected text as key, got {key!r}")
            _require_text_keys(value, f"{where}: {key}")
