"""Strict JSON (RFC 8259) from untrusted files: limited size and depth, no NaN, no duplicate keys."""

import hashlib
import json
import math
import re
from typing import Any, NoReturn

import numpy as np

from headstart.core.errors import InputError, shown

MAX_BYTES = 16 << 20
MAX_DEPTH = 32
MAX_VALUES = 500_000  # a value of 3 bytes of JSON takes up to 200 bytes of memory
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")  # an escape of half a pair


def parse_json(
    data: bytes,
    where: str,
    max_bytes: int = MAX_BYTES,
    max_depth: int = MAX_DEPTH,
    max_values: int = MAX_VALUES,
    infinite: bool = False,
) -> Any:
    """Parse one JSON document. `infinite`: of another program, which may write NaN and Infinity.

    Raises InputError, which begins with `where`, on: more than `max_bytes` bytes, nesting deeper than `max_depth`, text that is
    not UTF-8 or not JSON, more than `max_values` values, NaN, Infinity, a number beyond the range of a double, half of a surrogate pair, a
    duplicate key in one object.
    """
    if len(data) > max_bytes:
        raise InputError(f"{where}: expected at most {max_bytes} bytes of JSON, got {len(data)}")
    brackets = data.count(b"{") + data.count(b"[")
    if brackets > max_depth and (depth := _depth(data)) > max_depth:
        raise InputError(f"{where}: expected JSON nested at most {max_depth} deep, got {depth}")
    if (values := data.count(b",") + brackets) > max_values:
        raise InputError(f"{where}: expected at most {max_values} values in JSON, got some {values}")
    try:
        found = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object_without_duplicates,
            parse_constant=float if infinite else _refuse_constant,
            parse_float=float if infinite else _finite_float,
        )
        if SURROGATE.search(data):
            json.dumps(found, ensure_ascii=False).encode()  # a half without its other half is no character
        return found
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: expected UTF-8, got byte 0x{data[error.start]:02x} at {error.start}") from None
    except UnicodeEncodeError as error:
        raise InputError(f"{where}: expected UTF-8, got {error.object[error.start]!a}, half of a surrogate pair") from None
    except ValueError as error:  # json.JSONDecodeError is one; so is an integer of more than 4300 digits
        raise InputError(f"{where}: expected strict JSON: {error}") from None


def canonical_json(value: Any, where: str = "JSON") -> bytes:
    """The canonical JSON of a value, of which hashes are taken: sorted keys, no spaces, UTF-8. Raises InputError on NaN."""
    return _dump(value, where, separators=(",", ":"))


def pretty_json(value: Any, where: str = "JSON") -> bytes:
    """Readable JSON, which gives small diffs in git: sorted keys, two spaces, a newline at the end. Raises InputError on NaN."""
    return _dump(value, where, indent=2) + b"\n"


def sha256_json(value: Any) -> str:
    """SHA-256 of the canonical JSON of `value`: equal for equal values, whatever the order of their keys."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def _dump(value: Any, where: str, **style: Any) -> bytes:
    try:
        text = json.dumps(value, sort_keys=True, allow_nan=False, ensure_ascii=False, **style)
        return text.encode("utf-8")
    except ValueError as error:  # NaN, infinity, or half of a surrogate pair
        raise InputError(f"{where}: expected a value that JSON can hold: {error}") from None


def _depth(data: bytes) -> int:
    """Deepest nesting of brackets outside of strings, without recursion. In invalid JSON the count may be wrong after the first fault."""
    code = np.frombuffer(data.replace(b"\\\\", b"").replace(b'\\"', b""), np.uint8)
    outside = np.cumsum(code == ord('"'), dtype=np.int32) % 2 == 0
    opens = ((code == ord("{")) | (code == ord("["))) & outside
    closes = ((code == ord("}")) | (code == ord("]"))) & outside
    return int(np.cumsum(opens.view(np.int8) - closes.view(np.int8), dtype=np.int32).max(initial=0))


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        seen = set[str]()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"key {shown(twice)} occurs twice in one object")
    return result


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is beyond the range of a double")
    return value
