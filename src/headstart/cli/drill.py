"""`headstart drill`: inject faults into short real runs, and check that they go back to a kept state."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.cli.names import arm_names, scenario_names
from headstart.cli.output import Json, Output, output
from headstart.core.errors import GateFailed, UsageError

if TYPE_CHECKING:
    from headstart.runs.drill import Row

drill_app = typer.Typer(no_args_is_help=True, help="Inject faults into short real runs, and check that they roll back.")


@drill_app.callback()
def _group() -> None:
    """`rollback` is a command of its own, also while it is the only one."""


@drill_app.command()
def rollback(
    guardrail: Annotated[str, typer.Option(help="One that can break, or all.")] = "all",
    runs: Annotated[int, typer.Option("--runs", min=1, max=1000, help="Runs of each drill, broken at different updates.")] = 3,
    scenario: Annotated[
        str, typer.Option(help="Whose arm and clone; cartpole is the quickest.", autocompletion=scenario_names)
    ] = "queue_conflict",
    arm: Annotated[str, typer.Option(help="An arm that starts from the clone.", autocompletion=arm_names)] = "pretrained",
    record: Annotated[bool, typer.Option("--record", help="Write it to the history; `headstart promote` asks for it.")] = False,
    by: Annotated[str | None, typer.Option("--by", help="Who drills; stands in the history.")] = None,
    as_json: Json = False,
) -> None:
    """Inject a fault for every guardrail into short real runs, and check that they roll back; exits with 6 on any miss."""
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
    with output(as_json) as out:
        rows = rollback_drill(params, described, arm, names, runs, out.say)
        missed = sum(not row.passed for row in rows)
        drills = [asdict(row) | {"passed": row.passed} for row in rows]
        out.found(scenario=scenario, arm=arm, runs_each=runs, missed=missed, drills=drills)
        say_drills(out, rows)
        if record and by:
            out.say(_record(rows, runs, f"{scenario}, arm {arm}", by))
        if missed:
            raise GateFailed(f"{missed} of {len(rows)} drills missed")
        out.say(f"{len(rows)} drills, {runs} runs each: all passed")


def say_drills(out: Output, rows: "Sequence[Row]") -> None:
    """A line for each drill, and what its fault was; the columns are explained below."""
    cells: list[tuple[str, ...]] = [("", "guardrail", "expected", "decided", "checks", "hash", "goes on", "without")]
    for row in rows:
        marks = ("yes" if mark else "NO" for mark in (row.exact, row.goes_on, row.fails_without))
        checks = "never" if row.checks is None else str(row.checks)
        decided = row.decided if row.right else f"{row.decided}, wrongly"
        cells.append(("ok" if row.passed else "MISS", row.guardrail, row.expected, decided, checks, *marks))
    out.table(cells)
    out.say("faults, in the same order:")
    for row in rows:
        out.say(f"{row.guardrail}: {row.fault}", "  ", "    ")
    out.say(
        "checks: bad readings until it decided; hash: every state that was gone back to is the kept one; goes on: the run came to its end; "
        "without: with the guardrail off the fault passes"
    )


def _record(rows: "Sequence[Row]", rounds: int, on: str, by: str) -> str:
    from headstart.release.history import Drilled
    from headstart.release.record import record_drill

    names = tuple(dict.fromkeys(row.guardrail for row in rows))
    line = record_drill(
        Path(), Drilled(passed=all(row.passed for row in rows), rounds=rounds, guardrails=names), by, f"drill on {on}"
    )
    return f"line {line.seq + 1} of the history; commit governance"
