"""Hostile inputs from a valid one: bytes that are damaged, and trees of valid syntax that say something else."""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from random import Random
from typing import Any

NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 2**31 - 1, 2**31, 2**32 - 1, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1)
TOKENS = (
    b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1", b"9" * 30, b"1" * 5000, b"null", b"true", b"0x1F", b"1_000", b"~", b'""', b"{}", b"[]",
    b"\\ud800", b"\\u0000", b"\\u202e", b"\xff\xfe", b"\xef\xbb\xbf", b"\xc3\x28", b"\xed\xa0\x80", "\u202e".encode(),
    b"\x00", b"\x1b[31m", b"\r\n",
    b"&a", b"*a", b"!!python/object:os.system", b"%YAML 1.1\n---\n", b"---\n", b"...\n", b"? ", b"<<: ", b"- " * 40,
    b"[" * 200, b'{"a":' * 100, b"a" * 3000,
    b"../../etc/passwd", b"\t", b"\n", b",", b":", b'"', b"'", b"#", b"|", b">",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2**31, 2**53 + 1, 10**30, -(10**30), 1e308, -1e308, 5e-324, float("nan"), float("inf"), "", " ", "a",
    "x" * 5000,
    "../../etc/passwd", "/etc/passwd", "a\nb", "\u202eabc", "\x1b[31m", "\x00", "\ud800", "Ä", "1e5", "NO", [], {}, [[]], {"": {}}, [None] * 500,
    {str(n): n for n in range(300)}, [[[[[[[[[[1]]]]]]]]]], [0, -1], [10**9], {"a": [1, {"b": 2}]},
)  # fmt: skip


def damaged(data: bytes, other: bytes, random: Random, text: bool) -> bytes:
    """One to three damages; `other` is another valid input, of which a slice may be taken. `text`: tokens of JSON and YAML are used as well."""
    for _ in range(random.choice((1, 1, 2, 3))):
        data = random.choice(_OF_TEXT if text else _OF_BYTES)(data, other, random)
    return data


def changed(tree: Any, random: Random) -> Any:
    """A copy of a tree in which one to three values, keys or lengths differ."""
    tree = json.loads(json.dumps(tree))
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        places = list(_places(tree))
        if places:
            holder, key = random.choice(places)
            _change(holder, key, random)
    return tree


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    for key, value in list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree)) if isinstance(tree, list) else ():
        yield tree, key
        yield from _places(value)


def _change(holder: Any, key: Any, random: Random) -> None:
    value, kind = holder[key], random.randrange(8)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, dict):
        holder[random.choice((f"{key}x", "", "x" * 300, "a b", "..", "\u202e", "__class__"))] = holder.pop(key)
    elif kind == 2 and isinstance(value, list):
        holder[key] = random.choice((value * 2, value[:-1], value[::-1], [*value, deepcopy(random.choice(VALUES))]))
    elif kind == 3 and isinstance(value, int | float):
        holder[key] = random.choice((-value, value + 1, value * 10**9, value / 3, str(value), [value]))
    elif kind == 4 and isinstance(value, str):
        holder[key] = random.choice((value.upper(), value[:-1], value + " ", value + "/..", "A" + value, value * 100))
    else:
        holder[key] = deepcopy(random.choice(VALUES))  # one that is nested in itself is no tree


def _place(data: bytes, random: Random) -> int:
    """Often near the beginning, where headers are."""
    return random.randrange(min(len(data), random.choice((16, 64, 256, len(data)))) + 1) if data else 0


def _flip(data: bytes, other: bytes, random: Random) -> bytes:
    out = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 8))):
        if out:
            out[min(_place(data, random), len(out) - 1)] ^= 1 << random.randrange(8)
    return bytes(out)


def _cut(data: bytes, other: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _delete(data: bytes, other: bytes, random: Random) -> bytes:
    at = _place(data, random)
    return data[:at] + data[at + random.choice((1, 2, 8, 64)) :]


def _double(data: bytes, other: bytes, random: Random) -> bytes:
    at, length = _place(data, random), random.choice((1, 8, 64, len(data)))
    return data[: at + length] + data[at:]


def _swap(data: bytes, other: bytes, random: Random) -> bytes:
    a, b = sorted((_place(data, random), random.randrange(len(data) + 1)))
    return data[:a] + data[b : b + 16] + data[a + 16 : b] + data[a : a + 16] + data[b + 16 :]


def _number(data: bytes, other: bytes, random: Random) -> bytes:
    at, size = _place(data, random), random.choice((1, 2, 4, 8))
    number = (random.choice(NUMBERS) % 2 ** (8 * size)).to_bytes(size, random.choice(("little", "big")))
    return data[:at] + number + data[at + size :]


def _splice(data: bytes, other: bytes, random: Random) -> bytes:
    at, to = _place(data, random), random.randrange(len(other) + 1)
    return data[:at] + other[to : to + random.choice((8, 64, 512))] + data[at:]


def _token(data: bytes, other: bytes, random: Random) -> bytes:
    at = _place(data, random)
    return data[:at] + random.choice(TOKENS) + data[at + random.choice((0, 0, 1, 4)) :]


def _lines(data: bytes, other: bytes, random: Random) -> bytes:
    lines = data.split(b"\n")
    a, b = random.randrange(len(lines)), random.randrange(len(lines))
    match random.randrange(3):
        case 0:
            lines[a], lines[b] = lines[b], lines[a]
        case 1:
            lines.insert(a, lines[b])
        case _:
            lines[a] = random.choice((b"  ", b"\t", b"- ")) + lines[a]
    return b"\n".join(lines)


Damage = Callable[[bytes, bytes, Random], bytes]
_OF_BYTES: tuple[Damage, ...] = (_flip, _flip, _cut, _delete, _double, _swap, _number, _number, _splice)
_OF_TEXT: tuple[Damage, ...] = (*_OF_BYTES, _token, _token, _token, _lines, _lines)
