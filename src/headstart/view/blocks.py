"""What a report consists of: texts, tables and figures, before they are Markdown or HTML. Both are made of the same blocks, so both show the
same numbers.

In a text, `backquotes` mark what a user types and what a file contains, and **two stars** what must not be overlooked.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup, escape

NUMBER = re.compile(  # a cell of a column of numbers, which stands on the right
    r"[+\-−<>≥≤ ]*[\d,.]+(e[-+]?\d+)?( ?%| s)?( of [\d,]+| to [+\-−\d,.]+)?( \([^a-z]*(to|no bound|n = )?[^a-z]*\))?"
)
CODE = re.compile(r"`([^`]+)`")
STRONG = re.compile(r"\*\*([^*]+)\*\*")


class Text(NamedTuple):
    """A paragraph."""

    text: str


class Lead(NamedTuple):
    """The paragraph that is read if nothing else is."""

    text: str


class Note(NamedTuple):
    """A paragraph that says how to read what stands above it."""

    text: str


class Items(NamedTuple):
    """A list."""

    items: Sequence[str]


class Command(NamedTuple):
    """A line for a shell."""

    line: str


class Table(NamedTuple):
    """`columns` has " | " between two names."""

    columns: str
    rows: Sequence[Sequence[str]]
    below: bool = False  # whether a page shows the last cell of a row, a command, on a line of its own

    @property
    def names(self) -> list[str]:
        """Of the columns."""
        return self.columns.split(" | ")

    @property
    def aligned(self) -> list[bool]:
        """Which columns stand on the right: those in which more than a third of the cells are numbers."""
        columns = zip(*self.rows, strict=True) if self.rows else [() for _ in self.names]
        return [
            3 * sum(NUMBER.fullmatch(cell.replace("**", "")) is not None for cell in column) > len(column) for column in columns
        ]


class Figure(NamedTuple):
    """A chart with the sentence that states its finding, and its numbers, which are shown on request."""

    name: str
    spec: Mapping[str, Any] | None  # of Vega-Lite; None: nothing draws it here
    shows: str  # for readers who cannot see it
    finding: str
    numbers: Table | None = None  # None: they stand in a table beside it


class More(NamedTuple):
    """What is shown on request."""

    title: str
    blocks: Sequence["Block"]


Block = Text | Lead | Note | Items | Command | Table | More | Figure


class Part(NamedTuple):
    """A part of a section, with a heading of its own."""

    title: str
    blocks: Sequence[Block]


class Section(NamedTuple):
    """`key` is its address in a page."""

    key: str
    title: str
    parts: Sequence[Part]  # the first may have no title


def section(key: str, title: str, *blocks: Block, parts: Sequence[Part] = ()) -> Section:
    return Section(key, title, [*([Part("", blocks)] if blocks else []), *parts])


def counted(n: int, word: str) -> str:
    """1 finding, 2 findings."""
    return f"{n:,} {word}{'' if n == 1 else 's'}"


def kind_of(block: Block) -> str:
    """For a template."""
    return type(block).__name__.lower()


def figures_of(sections: Iterable[Section]) -> list[Figure]:
    """All that can be drawn."""
    return [figure for one in sections for part in one.parts for figure in _drawn(part.blocks)]


def _drawn(blocks: Iterable[Block]) -> list[Figure]:
    found: list[Figure] = []
    for block in blocks:
        found += _drawn(block.blocks) if isinstance(block, More) else []
        found += [block] if isinstance(block, Figure) and block.spec is not None else []
    return found


# --- Markdown -----------------------------------------------------------------------------------------------------------


def markdown(sections: Iterable[Section], pictures: str) -> str:
    """`pictures`: the folder in which those of the figures lie, as a link has it."""
    return "\n\n".join(text for one in sections for text in [f"## {_plain(one.title)}", *_parts(one.parts, pictures)])


def _parts(parts: Iterable[Part], pictures: str) -> list[str]:
    found = []
    for part in parts:
        found += [f"### {_plain(part.title)}"] if part.title else []
        found += [as_markdown(block, pictures) for block in part.blocks]
    return found


def as_markdown(block: Block, pictures: str = "") -> str:
    match block:
        case Text(text):
            return _plain(text)
        case Lead(text):
            return f"**{_plain(text)}**"
        case Note(text):
            return f"*{_plain(text)}*"
        case Items(items):
            return "\n".join(f"* {_plain(item)}" for item in items)
        case Command(line):
            return f"    {' '.join(line.split())}"  # code, in which nothing is a tag
        case Table():
            return "\n".join(_table(block))
        case More(title, blocks):
            return "\n\n".join(_more(title, [as_markdown(one, pictures) for one in blocks]))
        case Figure():
            return "\n\n".join(_figure(block, pictures))


def _figure(figure: Figure, pictures: str) -> list[str]:
    drawn = [f"![{_plain(figure.shows)}]({pictures}/{figure.name}.png)"] if figure.spec is not None else []
    numbers = _more("Show numbers", [as_markdown(figure.numbers)]) if figure.numbers else []
    return [*drawn, f"*{_plain(figure.finding)}*", *numbers]


def _more(title: str, blocks: Iterable[str]) -> list[str]:
    return [f"<details><summary>{_plain(title)}</summary>", *blocks, "</details>"]


def _table(table: Table) -> list[str]:
    rows = ([_plain(cell).replace("|", r"\|") for cell in row] for row in table.rows)
    return [f"| {table.columns} |", "|---" * len(table.names) + "|", *(f"| {' | '.join(row)} |" for row in rows)]


def _plain(text: str) -> str:
    """One line, in which nothing begins a tag."""
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", " ".join(text.split()))


# --- HTML ---------------------------------------------------------------------------------------------------------------


class Linked:
    """Texts as HTML: escaped, with `code`, and with each term of a glossary linked where it stands first."""

    def __init__(self, terms: Mapping[str, str]) -> None:
        self.waiting = dict(terms)  # term, as a text has it → its address in the page

    def __call__(self, text: str) -> Markup:
        parts = CODE.split(text)  # texts and code by turns
        shown = [Markup("<code>{}</code>").format(part) if i % 2 else self._strong(part) for i, part in enumerate(parts)]
        return Markup("").join(shown)

    def _strong(self, text: str) -> Markup:
        parts = STRONG.split(text)  # texts and what must not be overlooked by turns
        shown = [Markup("<strong>{}</strong>").format(part) if i % 2 else self._linked(part) for i, part in enumerate(parts)]
        return Markup("").join(shown)

    def _linked(self, text: str) -> Markup:
        for term, key in self.waiting.items():  # which is never changed, only replaced
            if found := re.search(rf"(?<![\w-]){re.escape(term)}(?![\w-])", text):
                self.waiting = {other: to for other, to in self.waiting.items() if to != key}
                before, after = self._linked(text[: found.start()]), self._linked(text[found.end() :])
                return before + Markup('<a class="term" href="#{}">{}</a>').format(key, term) + after
        return escape(text)
