"""Every error that a user can meet, and the exit code that it ends with.

    HeadstartError            1  our bug, if nothing below fits
    ├── UsageError            2  the command line asks for something that does not exist
    ├── InputError            3  a file or parameter is invalid or missing
    │   └── SchemaMismatch    3  two artefacts describe different observations or actions
    ├── IntegrityError        4  bytes are not those that were recorded: hash, replay, torn file
    ├── Hold                  5  not proven: a person has to look
    ├── GateFailed            6  a gate is broken: nothing downstream may run
    ├── Busy                  8  another process holds what this one needs
    └── MissingExtra          9  an optional part is not installed

A message says what was expected, what came, and where.
"""

from collections.abc import Iterable


class HeadstartError(Exception):
    """Root of the tree; `exit_code` is what the process ends with."""

    exit_code = 1


class UsageError(HeadstartError):
    """The command line asks for something that does not exist."""

    exit_code = 2


class InputError(HeadstartError):
    """A file or a parameter is invalid or missing."""

    exit_code = 3


class SchemaMismatch(InputError):
    """Two artefacts describe different observations, actions or rewards."""


class IntegrityError(HeadstartError):
    """Bytes are not the ones that were recorded."""

    exit_code = 4


class Hold(HeadstartError):
    """Evidence is missing or drifting; a person has to look."""

    exit_code = 5


class GateFailed(HeadstartError):
    """A gate is broken; nothing downstream may run."""

    exit_code = 6


class Busy(HeadstartError):
    """Another process holds what this one needs."""

    exit_code = 8


class MissingExtra(HeadstartError):
    """An optional dependency is not installed."""

    exit_code = 9


def nearest(word: str, known: Iterable[str]) -> str:
    """What a message adds where one of the known words is close to the one that came: ` (did you mean 'x'?)`, or nothing."""
    import difflib  # only a mistake pays for it

    close = difflib.get_close_matches(word, known, 1)
    return f" (did you mean {close[0]!r}?)" if close else ""
