"""What the commands of `headstart telemetry` print: summaries, drift, problems and alerts, as text for 80 columns or as Markdown."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from headstart.core.errors import printable
from headstart.telemetry.drift import Comparison
from headstart.telemetry.rules import Alert, Watch
from headstart.telemetry.social import EVENTS
from headstart.telemetry.summary import Summary
from headstart.view import WIDTH

LONGEST = 32  # characters of a cell that is not the last of its row
TIED = "\u00a0"  # a space at which no line is broken
IMPORTED = "Imported from version {}: it can be looked at and compared, never promoted."


def number(value: object) -> str:
    """A value as a person reads it: counts in full, other numbers with four digits."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return printable(str(value)).replace("\n", "\\n")
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


Table = tuple[str, Sequence[str], Sequence[Sequence[str]]]  # title, head, rows


def tables(summary: Summary, wall: bool = True) -> Iterator[Table]:
    """A summary as tables; those without a row are left out."""
    evaluated = [(name, *(number(of[key]) for key in ("first", "best", "last"))) for name, of in summary.evaluations.items()]
    extremes = [(one.field, *map(number, one[1:])) for one in summary.extremes]
    phases = [
        (
            one.name,
            one.kind,
            number(one.env_steps),
            number(one.env_steps_used),
            number(one.updates),
            number(one.rollbacks),
            _outcome(one),
        )
        for one in summary.phases
    ]
    cloned = [one for one in summary.phases if one.kind == "bc" and one.bc_accuracy is not None]
    gates = [(one.name, number(one.bc_accuracy), number(one.bc_threshold)) for one in cloned]
    alerts = [
        (one.guardrail, one.severity, one.decision, number(one.times), number(one.first), number(one.last))
        for one in summary.alerts
    ]
    reasons = [(one.guardrail, number(one.reason)) for one in summary.alerts if one.severity != "not applicable"]
    back = [tuple(number(value) for value in one.values()) for one in summary.rollbacks]
    of_back = tuple(name.replace("_", " ") for name in next(iter(summary.rollbacks), {}))
    found: list[Table] = [
        (
            "Run",
            ("", ""),
            [(name.replace("_", " "), number(value)) for name, value in summary.about.items() if value is not None],
        ),
        ("Learned from", ("", ""), [(name.replace("_", " "), number(value)) for name, value in summary.dataset.items()]),
        ("Evaluations", ("field", "first", "best", "last"), evaluated),
        ("Between agents", ("", *(one.of for one in summary.social)), list(_social(summary))),
        ("Phases", ("phase", "kind", "from", "used", "updates", "back", "outcome"), phases),
        ("Accuracy of cloning", ("phase", "held out", "threshold"), gates),
        ("Guardrails", ("guardrail", "severity", "decision", "times", "first at", "last at"), alerts),
        ("What they said last", ("guardrail", "reason"), reasons),
        ("Rollbacks", of_back, back),
        ("Extremes", ("field", "least", "at update", "most", "at update"), extremes),
        (
            "Latest",
            ("field", "value", "field", "value"),
            _in_pairs([(name, number(value)) for name, value in summary.latest.items()]),
        ),
    ]
    if summary.drift is not None:
        found += drift_tables(summary.drift)
    if wall:
        found.append(("Clock of this machine", ("", ""), [(name, number(value)) for name, value in summary.wall.items()]))
    return (table for table in found if table[2])


def _social(summary: Summary) -> Iterator[tuple[str, ...]]:
    """A row an event, after one that says what was counted over."""
    if summary.social:
        yield "counted over", *(f"{one.n:,} {'updates' if one.of == 'training' else 'episodes'}" for one in summary.social)
        for name, text in EVENTS.items():
            yield text, *(number(one.counts[name]) for one in summary.social)


def _in_pairs(rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Rows of two beside each other: the second half to the right of the first."""
    half = (len(rows) + 1) // 2
    right = rows[half:] + [("", "")] * (2 * half - len(rows))
    return [one + other for one, other in zip(rows[:half], right, strict=True)]


def _outcome(phase: Any) -> str:
    return printable(phase.outcome + (f", open: {', '.join(phase.open_guardrails)}" if phase.open_guardrails else ""))


def drift_tables(comparison: Comparison) -> list[Table]:
    """The farthest value of every field, and which fields could not be compared."""
    limits = ["" if one.limit is None else f"BEYOND ×{one.breaches}" if one.breaches else "within" for one in comparison.drifts]
    limited = any(limits)
    rows = [
        (
            one.field,
            number(one.base),
            f"{number(one.worst)} at {number(one.worst_at)}",
            "n/a" if one.relative is None else f"{_percent(100 * one.relative)} %",
            *[limit or "no limit"] * limited,
        )
        for one, limit in zip(comparison.drifts, limits, strict=True)
    ]
    missing = [("in the log", name) for name in comparison.missing_in_log] + [
        ("in the baseline", name) for name in comparison.missing_in_baseline
    ]
    return [
        ("Drift", ("field", "base", "farthest", "change", *["limit"] * limited), rows),
        ("Not compared", ("missing", "field"), missing),
    ]


def _percent(value: float) -> str:
    return f"{value:+,.0f}" if abs(value) >= 1000 else f"{value:+.3g}"


def text_of(title: str, found: Iterable[Table]) -> str:
    """Tables for a terminal: words to the left, numbers to the right; a long text in the last column goes on below itself."""
    return "\n".join([printable(title), *("\n" + _text_table(table) for table in found)])


def markdown_of(title: str, found: Iterable[Table]) -> str:
    parts = [f"# {_cell(title)}"]
    for heading, head, rows in found:
        lines = [f"| {' | '.join(map(_cell, row))} |" for row in (head, *rows)]
        parts.append(f"## {heading}\n\n" + "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]]))
    return "\n\n".join(parts) + "\n"


def _cell(text: str) -> str:
    for sign in "\\|<>[]`*_":
        text = text.replace(sign, f"\\{sign}")
    return _line(text)


def _line(text: str, limit: int | None = None) -> str:
    """A text that steers no terminal, on one line, cut where it is longer than `limit`."""
    shown = printable(text).replace("\n", "\\n")
    return shown if limit is None or len(shown) <= limit else shown[: limit - 1] + "…"


def _text_table(table: Table) -> str:
    title, head, rows = table
    shown = [[*(_line(text, LONGEST) for text in row[:-1]), _line(row[-1])] for row in ([head, *rows] if any(head) else rows)]
    columns = range(len(head))
    widths = [max(len(row[column]) for row in shown) for column in columns]
    right = [column > 0 and all(_is_number(row[column]) for row in shown[any(head) :]) for column in columns]
    lines = []
    for row in shown:
        cells = [
            text.rjust(width) if to_right else text.ljust(width) for text, width, to_right in zip(row, widths, right, strict=True)
        ]
        before = "  " + "".join(f"{cell}  " for cell in cells[:-1])
        room = max(WIDTH - len(before), 20)
        first, *more = textwrap.wrap(cells[-1], room, break_on_hyphens=False) if len(row[-1]) > room else [cells[-1]]
        lines += [f"{before}{first}".rstrip(), *(" " * len(before) + part for part in more)]
    return "\n".join([title, *lines])


def _is_number(text: str) -> bool:
    return not text or text[0].isdigit() or text[0] in "-+–" or text == "n/a"


def alert_line(alert: Alert) -> str:
    """One line when a rule begins to hold, and one when it no longer does."""
    word = {"starts": alert.severity.upper(), "clears": "clear"}[alert.event]
    at = f"{alert.env_steps:,} env steps" if alert.env_steps is not None else f"record {alert.seq}"
    base = "" if alert.base is None else f", base {number(alert.base)}"
    return printable(f"{word:<5}  {at}: {alert.rule} (value {number(alert.value)}{base})")


def watch_text(title: str, watch: Watch) -> str:
    """What became of every rule: those that held, those that could not be held to anything, and in one paragraph those that never held."""
    rows, never = list[tuple[str, ...]](), list[str]()
    for one in watch.rules:
        text = one.rule.text.removesuffix(one.rule.severity).strip()
        if one.measured and not one.alerts:
            never.append(f"{text} (n {one.measured})".replace(" ", TIED))
            continue
        unmeasured = "no baseline" if one.without_base else "no value"
        state = ("holds now" if one.active else f"held, {one.alerts}×") if one.measured else unmeasured
        rows.append((text, one.rule.severity, state, number(one.measured), number(one.worst)))
    found: list[Table] = [("Rules", ("rule", "", "state", "n", "worst"), rows)] if rows else []
    quiet = textwrap.fill(
        ", ".join(never), WIDTH, initial_indent="  ", subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
    return text_of(title, found) + (f"\n\nNever held\n{quiet.replace(TIED, ' ')}" if never else "")
