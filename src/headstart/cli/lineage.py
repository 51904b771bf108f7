"""`headstart lineage`: from a number, a checkpoint or an episode back to what it came from, and on to what came of it."""

import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.cli.names import run_names
from headstart.cli.output import Json, columns, output
from headstart.cli.project import path_or_name
from headstart.core.errors import IntegrityError

if TYPE_CHECKING:
    from headstart.release.known import Step

LABEL = 10
ONCE = ("stage", "settings", "manifest", "holds", "capture", "curate")  # facts that many steps share
HASH = re.compile(r"\b([0-9a-f]{16})[0-9a-f]{48}\b")


def lineage(
    thing: Annotated[
        str,
        typer.Argument(
            help="A path, <dataset>[@<version>], an episode's id, a release's id, or SCENARIO/ARM/seed-N.",
            autocompletion=run_names,
        ),
    ],
    episodes: Annotated[bool, typer.Option("--episodes", help="List the ids of the episodes that were learned from.")] = False,
    as_json: Json = False,
) -> None:
    """What a report, checkpoint, dataset or episode came from, and what came of it; exits with 4 where a hash is not the recorded one."""
    from headstart.release.lineage import lineage as steps_of

    with output(as_json) as out:
        step = steps_of(Path(), path_or_name(thing), episodes)
        out.found(**step.model_dump(mode="json"))
        out.verbatim("\n".join(lines_of(step)))
        if breaks := list(step.all_breaks()):
            raise IntegrityError("\n  ".join([f"{len(breaks)} break{'s' if len(breaks) > 1 else ''}", *breaks]))


def lines_of(step: "Step", how: str = "", depth: int = 0, told: set[tuple[str, ...]] | None = None) -> list[str]:
    """A step and, further right, what it was made from and what it led to; what was told before is named only. Hashes are cut to 16 digits."""
    told = set() if told is None else told
    pad = "  " * depth
    lines = _wrapped(f"{how}{step.kind} {step.name}", pad, pad + "  ")
    if (step.kind, step.name) in told and (step.facts or step.made_from):
        return [*lines[:-1], f"{lines[-1]} (as above)"]
    told.add((step.kind, step.name))
    for label, text in _untold(step, told):
        short = HASH.sub(r"\1", text)
        lines += _wrapped(f"{label:{LABEL}}{short}", f"{pad}  ", f"{pad}  {'':{LABEL}}")
    for word, parts in (("from ", step.made_from), ("led to ", step.led_to)):
        for part in parts:
            lines += lines_of(part, word, depth + 1, told)
    return lines


def _untold(step: "Step", told: set[tuple[str, ...]]) -> list[tuple[str, str]]:
    """Label and text of the facts that no step before shared, of breaks and of what is absent."""
    facts = [fact for fact in step.facts if fact[0] not in ONCE or fact not in told]
    if len(facts) < len(step.facts) and "stage" in dict(step.facts) and "stage" not in dict(facts):
        stage = dict(step.facts)["stage"].partition(",")[0]
        facts = [fact for fact in facts if fact[0] not in ("commit", "settings")] + [("stage", f"{stage} (as above)")]
    told.update(step.facts)
    return [*facts, *(("BREAK", text) for text in step.breaks), *(("absent", text) for text in step.absent)]


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(text, columns(), initial_indent=first, subsequent_indent=rest, break_on_hyphens=False) or [first]
