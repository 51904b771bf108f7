"""`headstart lineage`: from a number, a checkpoint or an episode back to what it came from, and on to what came of it."""

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.core.errors import IntegrityError

if TYPE_CHECKING:
    from headstart.release.known import Step

WIDTH, LABEL = 80, 10


def lineage(
    thing: Annotated[
        str,
        typer.Argument(help="A path, <dataset>[@<version>], an episode's id, a release's id, or <scenario>/<arm>/<seed>"),
    ],
    episodes: Annotated[bool, typer.Option("--episodes", help="List the ids of the episodes that were learned from.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For a program.")] = False,
) -> None:
    """What a report, checkpoint, dataset or episode came from, and what came of it; exits with 4 where a hash is not the recorded one."""
    from headstart.cli.project import typed_path
    from headstart.release.lineage import lineage as steps_of

    typed = typed_path(thing)
    step = steps_of(Path(), str(typed) if typed.exists() and not typed.is_absolute() else thing, episodes)
    typer.echo(step.model_dump_json(indent=2) if as_json else "\n".join(lines_of(step)))
    if breaks := list(step.all_breaks()):
        raise IntegrityError("\n  ".join([f"{len(breaks)} break{'s' if len(breaks) > 1 else ''}", *breaks]))


def lines_of(step: "Step", how: str = "", depth: int = 0, seen: set[tuple[str, str]] | None = None) -> list[str]:
    """A step and, further right, what it was made from and what it led to; what was told before is named only."""
    seen = set() if seen is None else seen
    pad = "  " * depth
    lines = _wrapped(f"{how}{step.kind} {step.name}", pad, pad + "  ")
    if (step.kind, step.name) in seen and (step.facts or step.made_from):
        return [*lines[:-1], f"{lines[-1]} (as above)"]
    seen.add((step.kind, step.name))
    marks = [("BREAK", text) for text in step.breaks] + [("absent", text) for text in step.absent]
    for label, text in (*step.facts, *marks):
        lines += _wrapped(f"{label:{LABEL}}{text}", f"{pad}  ", f"{pad}  {'':{LABEL}}")
    for word, parts in (("from ", step.made_from), ("led to ", step.led_to)):
        for part in parts:
            lines += lines_of(part, word, depth + 1, seen)
    return lines


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False) or [first]
