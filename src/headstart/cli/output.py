"""How a command prints what it found: lines for a person, or with --json one object for a program."""

import os
import re
import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from headstart.core.errors import printable

COMMAND = re.compile(r"`[^`]+`")
TIED = "\u00a0"  # a space at which no line is broken
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object in place of text.")]


class Output:
    """What a command says, and what it found."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self._found: dict[str, Any] = {}

    def say(self, text: object, first: str = "", rest: str | None = None) -> None:
        """Print a text for a person; characters that would steer the terminal are escaped.

        `first` and `rest` stand before its lines (`rest`: by default as many blanks as `first` has); lines are broken at the terminal's width.
        """
        if self.as_json:
            return
        rest = " " * len(first) if rest is None else rest
        for line in printable(str(text)).splitlines() or [""]:
            for row in wrapped(line, first, rest):
                typer.echo(row)
            first = rest

    def verbatim(self, text: str) -> None:
        """Print lines as they are, as YAML that is to be copied."""
        if not self.as_json:
            typer.echo(printable(text), nl=not text.endswith("\n"))

    def table(self, rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
        """Print cells below each other, the columns `right` at their right edge; the last one is broken at the terminal's width."""
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = [
                cell.rjust(width) if place in right else cell.ljust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            if len(row) - 1 in right or not row[-1]:
                self.verbatim("  ".join(cells).rstrip())
            else:
                self.say(row[-1], "  ".join([*cells[:-1], ""]))

    def found(self, **values: Any) -> None:
        """What a program gets, by key."""
        self._found |= values

    def end(self) -> None:
        """Print the object, unless there is none: then a command ended before it found anything."""
        if self.as_json and self._found:
            from pydantic_core import to_json

            typer.echo(to_json(self._found, indent=2, inf_nan_mode="null", fallback=_plain).decode())


@contextmanager
def output(as_json: bool) -> Iterator[Output]:
    """For the length of a command; what it found is also printed where it ends with an error, whose text is on stderr."""
    out = Output(as_json)
    try:
        yield out
    finally:
        out.end()


def columns() -> int:
    """COLUMNS, or the width of the terminal up to 120, beyond which lines are hard to read; 80 where there is no terminal."""
    found = shutil.get_terminal_size((80, 24)).columns
    return max(40, found if os.environ.get("COLUMNS") else min(found, 120))


def wrapped(line: str, first: str, rest: str) -> list[str]:
    """Lines no wider than the terminal; a command between backticks stays on one line, so that it can be copied, as does a path."""
    if len(first) + len(line) <= columns():
        return [(first + line).rstrip()]
    tied = COMMAND.sub(lambda found: found[0].replace(" ", TIED), line)
    rows = textwrap.wrap(
        tied, columns(), initial_indent=first, subsequent_indent=rest, break_on_hyphens=False, break_long_words=False
    )
    return [row.replace(TIED, " ") for row in rows]


def _plain(value: Any) -> Any:
    """NumPy's numbers and arrays, and mappings that are not dictionaries."""
    if isinstance(value, Mapping):
        return dict(value)
    return value.tolist() if hasattr(value, "tolist") else str(value)
