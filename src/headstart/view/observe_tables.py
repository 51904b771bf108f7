"""Tables of a page that a script fills: a cell is a text, or a text with a state, a link, a gauge, a bar or its last values."""

from collections.abc import Sequence
from typing import Any

Cell = str | dict[str, Any]  # t: text; c: state; href; bar; gauge: value and marks; spark: values
Table = dict[str, Any]  # head: names of columns, none of a table of pairs; rows: cells; none: what stands there without rows

OK, WARN, BAD, NONE = "ok", "warn", "bad", "none"  # states; a word always stands beside the colour
OUTCOMES = {"PASS": OK, "HOLD": WARN, "FAIL": BAD}


def state(text: str, level: str, **more: Any) -> Cell:
    """A cell with a state."""
    return {"t": text, "c": level, **more}


def table(head: Sequence[str], rows: Sequence[Sequence[Cell]], none: str = "") -> Table:
    """A table; `none` stands there while it has no rows."""
    return {"head": list(head), "rows": [list(row) for row in rows], "none": none}


def number(value: float | None, why: str = "not measured") -> str:
    """A number as a person rounds it."""
    if value is None:
        return why
    text = f"{value:,.0f}" if abs(value) >= 1000 or isinstance(value, int) else f"{value:.4g}"
    return text.replace("-", "−")


def duration(seconds: float) -> str:
    """A time as a person says it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
