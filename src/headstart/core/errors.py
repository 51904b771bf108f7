"""All errors for users, with their exit codes.

    HeadstartError            1  base class; 1 also stands for a bug in headstart
    ├── UsageError            2  wrong use of the command line or of a function
    ├── InputError            3  a file or a parameter is invalid or missing
    │   └── SchemaMismatch    3  two artefacts describe different observations or actions
    ├── IntegrityError        4  bytes differ from those recorded: hash, replay, truncated file
    ├── Hold                  5  not proven: a user must decide
    ├── GateFailed            6  a gate failed: no later stage may run
    ├── Busy                  8  another process holds a lock that this one needs
    └── MissingExtra          9  an optional dependency is not installed

A message states what was expected, what was found, where, and how to correct it.
"""

import errno
from collections.abc import Iterable
from itertools import islice


class HeadstartError(Exception):
    """Base class; the process ends with `exit_code`."""

    exit_code = 1


class UsageError(HeadstartError):
    """Wrong use of a command or a function: an unknown name, a missing argument, an array of the wrong shape."""

    exit_code = 2


class InputError(HeadstartError):
    """A file or a parameter is invalid or missing."""

    exit_code = 3


class SchemaMismatch(InputError):
    """Two artefacts describe different observations, actions or rewards."""


class IntegrityError(HeadstartError):
    """Bytes differ from those that were recorded."""

    exit_code = 4


class Hold(HeadstartError):
    """Something is not proven; a user must decide."""

    exit_code = 5


class GateFailed(HeadstartError):
    """A gate failed; no later stage may run."""

    exit_code = 6


class Busy(HeadstartError):
    """Another process holds a lock that this one needs."""

    exit_code = 8


class MissingExtra(HeadstartError):
    """An optional dependency is not installed."""

    exit_code = 9


def shown(value: object) -> str:
    """A value as it stands in an error: its first 60 characters, on one line."""
    try:
        return " ".join(repr(value).split("\n"))[:60]
    except ValueError:  # Python refuses to write an integer of more than 4300 digits
        return "a number of too many digits"


def printable(text: str) -> str:
    """A text as it may stand in a terminal: characters that would steer it, or change the order of others, are escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def of_system(error: OSError, otherwise: str) -> str:
    """What a person reads where the system refuses to read or write. `otherwise`: the place, if the error names none."""
    place, why = error.filename or otherwise, error.strerror or error
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{place}: expected room on the disk, which is full ({why}); make room, and type the command again"
    return f"{place}: expected to read or write here, got {why}"


def too_large(error: MemoryError) -> str:
    """What a person reads where the memory does not suffice; NumPy names the array."""
    said = " ".join(str(error).split()) or "no more memory"
    return f"expected what fits into memory: {printable(said)}; fewer worlds at once (capture.shard_worlds, ppo.worlds) or steps need less"


def nearest(word: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for a message if a known word is close to `word`, else an empty text."""
    import difflib  # imported here because only errors need it

    close = difflib.get_close_matches(word[:100], list(islice(known, 1000)), 1)
    return f" (did you mean {close[0]!r}?)" if close else ""
