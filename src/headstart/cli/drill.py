"""`headstart drill`: break things on purpose, and see that the way back works."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.core.errors import GateFailed, UsageError

if TYPE_CHECKING:
    from headstart.runs.drill import Row

drill_app = typer.Typer(no_args_is_help=True, help="Break things on purpose, and see that the way back works.")


@drill_app.callback()
def _group() -> None:
    """`rollback` is a command of its own, also while it is the only one."""


@drill_app.command()
def rollback(
    guardrail: Annotated[str, typer.Option(help="One that can break, or all.")] = "all",
    n: Annotated[int, typer.Option("--n", min=1, max=1000, help="Runs of each drill, broken at different updates.")] = 3,
    scenario: Annotated[str, typer.Option(help="Whose arm, limits and clone; cartpole is the quickest.")] = "queue_conflict",
    arm: Annotated[str, typer.Option(help="An arm that starts from the clone.")] = "pretrained",
    record: Annotated[bool, typer.Option("--record", help="Write it to the history; `headstart promote` asks for it.")] = False,
    by: Annotated[str | None, typer.Option("--by", help="Who drills; stands in the history.")] = None,
) -> None:
    """Plant a fault for every guardrail into short real runs and take them back; exits with 6 on any miss."""
    if record and not by:
        raise UsageError("--record: expected --by NAME beside it")
    if record and guardrail != "all":
        raise UsageError(f"--record: expected a drill of all guardrails, got one of {guardrail}")
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the networks are small
    from headstart.config.params import for_scenario, load_params
    from headstart.config.scenario import load_scenario
    from headstart.guard.drill import FAULTS
    from headstart.runs.drill import rollback_drill

    described = load_scenario(scenario)
    params = for_scenario(load_params(), described)
    names = tuple(FAULTS) if guardrail == "all" else (guardrail,)
    rows = rollback_drill(params, described, arm, names, n, typer.echo)
    typer.echo(table(rows))
    missed = sum(not row.passed for row in rows)
    if record and by:
        _record(rows, n, f"{scenario}, arm {arm}", by)
    if missed:
        raise GateFailed(f"{missed} of {len(rows)} drills missed")
    typer.echo(f"{len(rows)} drills, {n} runs each: all passed")


def table(rows: "Sequence[Row]") -> str:
    """One line for each drill."""
    cells: list[tuple[str, ...]] = [
        ("", "guardrail", "fault", "expected", "decided", "checks", "hash equal", "goes on", "negative control")
    ]
    for row in rows:
        marks = ("yes" if mark else "NO" for mark in (row.exact, row.goes_on, row.fails_without))
        checks = "never" if row.checks is None else str(row.checks)
        decided = row.decided if row.right else f"{row.decided}, wrongly"
        cells.append(("ok" if row.passed else "MISS", row.guardrail, row.fault, row.expected, decided, checks, *marks))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in cells)


def _record(rows: "Sequence[Row]", rounds: int, on: str, by: str) -> None:
    from headstart.release.history import Drilled
    from headstart.release.record import record_drill

    names = tuple(dict.fromkeys(row.guardrail for row in rows))
    line = record_drill(
        Path(), Drilled(passed=all(row.passed for row in rows), rounds=rounds, guardrails=names), by, f"drill on {on}"
    )
    typer.echo(f"line {line.seq + 1} of the history; commit governance")
