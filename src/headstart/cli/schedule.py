"""`headstart schedule`: check the schedule of an arm, or rehearse it. Neither command needs torch or numba."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from headstart.cli.names import arm_names, scenario_names
from headstart.cli.output import Json, output
from headstart.cli.project import typed_file, typed_path
from headstart.core.errors import GateFailed, Hold, InputError, MissingExtra, UsageError, nearest

if TYPE_CHECKING:
    from headstart.config.params import Params
    from headstart.config.scenario import Scenario
    from headstart.config.schedule import Arm
    from headstart.guard.guardrails import Reading, Values
    from headstart.guard.simulation import Simulation
    from headstart.guard.traces import Trace

schedule_app = typer.Typer(no_args_is_help=True, help="Check the schedule of an arm, or rehearse it.")

FileOrArm = Annotated[
    str, typer.Argument(metavar="FILE_OR_ARM", help="An arm of params.yaml, or a YAML file of one arm.", autocompletion=arm_names)
]
ForScenario = Annotated[
    str | None, typer.Option("--scenario", help="Whose recipe, metrics and evaluations count.", autocompletion=scenario_names)
]
MAX_TRACE_BYTES = 16 << 20
CODES = {"PASS": 0, "HOLD": Hold.exit_code, "FAIL": GateFailed.exit_code}


@schedule_app.command()
def check(file_or_arm: FileOrArm, scenario: ForScenario = None, as_json: Json = False) -> None:
    """Show a schedule and its problems; exits with 3 on an error, 5 where nothing that it makes could be promoted."""
    from headstart.guard.schedule_check import check_schedule
    from headstart.view.schedule import describe, problem_text

    arm, params, described = _found(file_or_arm, scenario)
    known = _metrics(described)
    budget, rollout = params.arms["scratch"].budget, _rollout(arm, described) if described else None
    problems = check_schedule(arm, known_metrics=known, evaluation_every=params.evaluation.every, budget=budget, rollout=rollout)
    levels = {problem.level for problem in problems}
    outcome = "error" if "error" in levels else "HOLD" if "hold" in levels else "sound"
    with output(as_json) as out:
        out.found(arm=file_or_arm, outcome=outcome, problems=[asdict(problem) for problem in problems], recipe=arm)
        if outcome == "error":
            out.verbatim(problem_text(problems))
            raise typer.Exit(InputError.exit_code)
        out.verbatim(describe(arm, known, problems))
        out.verbatim(f"\n{file_or_arm}: {outcome}")
    raise typer.Exit(CODES["HOLD" if outcome == "HOLD" else "PASS"])


@schedule_app.command()
def simulate(
    file_or_arm: FileOrArm,
    trace: Annotated[
        str,
        typer.Option(
            help="steady, improve, slow-drift, cliff, oscillate, bc-fails, nan@K, noisy:SEED, FILE.tsv, or a run's telemetry folder."
        ),
    ],
    scenario: ForScenario = None,
    expect: Annotated[
        Literal["PASS", "HOLD", "FAIL"] | None, typer.Option(help="Exit with 0 if it ends so, else with 6.")
    ] = None,
    svg: Annotated[Path | None, typer.Option(parser=typed_file, metavar="FILE", help="Draw the rehearsal, as .svg.")] = None,
    tsv: Annotated[
        Path | None, typer.Option(parser=typed_file, metavar="FILE", help="Write what was read, a trace to rehearse with again.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Rehearse a schedule on a trace of metrics with the code that decides in real runs; exits with PASS 0, HOLD 5, FAIL 6."""
    from headstart.guard.simulation import simulate as rehearse
    from headstart.guard.traces import REFERENCE, from_tsv, recorded_run, to_tsv, trace_named
    from headstart.view.schedule import timeline

    arm, params, described = _found(file_or_arm, scenario)
    known = _metrics(described)
    reference: Values = {name: value for name, value in REFERENCE.items() if name in known}
    source: Trace | tuple[Reading, ...]
    happened = typed_path(trace).is_dir()
    if happened:
        source, reference = recorded_run(typed_path(trace))
    else:
        source = from_tsv(_read(typed_path(trace)), trace) if trace.endswith(".tsv") else trace_named(trace)
    every = params.evaluation.every
    found = rehearse(arm, source, every, reference, update_steps=_rollout(arm, described), own_reference=happened)
    if svg:
        _draw(arm, found, svg)
    if tsv:
        from headstart.core.files import write_bytes

        write_bytes(tsv, to_tsv(found.readings).encode())
    with output(as_json) as out:
        shown = [event for event in found.events if event.kind not in ("update", "evaluation")]
        events = [{"env_steps": of.env_steps, "phase": of.phase, "kind": of.kind, "text": of.text} for of in shown]
        out.found(arm=file_or_arm, outcome=found.outcome, reasons=found.reasons, env_steps=found.at.env_steps, events=events)
        out.verbatim(timeline(found))
    met = 0 if found.outcome == expect else GateFailed.exit_code
    raise typer.Exit(CODES[found.outcome] if expect is None else met)


def _found(name: str, scenario: str | None) -> "tuple[Arm, Params, Scenario | None]":
    """The arm, and the parameters that hold for the scenario."""
    from headstart.config.params import for_scenario, load_arm, load_params
    from headstart.config.scenario import load_scenario

    params, described = load_params(), load_scenario(scenario) if scenario else None
    if described:
        params = for_scenario(params, described)
    if name in params.arms:
        return params.arms[name], params, described
    path = typed_path(name)
    if path.suffix in (".yaml", ".yml"):
        return load_arm(path), params, described
    hint = nearest(name, params.arms)
    raise UsageError(f"expected a .yaml file or an arm of params.yaml ({', '.join(params.arms)}), got {name!r}{hint}")


def _metrics(scenario: "Scenario | None") -> frozenset[str]:
    from headstart.guard.guardrails import METRICS, metrics_of

    return METRICS if scenario is None else metrics_of(scenario.world)


def _rollout(arm: "Arm", scenario: "Scenario | None") -> int:
    """Env steps of one rollout."""
    agents = scenario.setup.get("agents", 1) if scenario else 1
    return int(arm.ppo.worlds * arm.ppo.rollout_ticks * agents)


def _read(path: Path) -> str:
    from headstart.core.files import read_bytes

    try:
        return read_bytes(path, MAX_TRACE_BYTES).decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected a table of metrics, got {error}") from error


def _draw(arm: "Arm", found: "Simulation", path: Path) -> None:
    try:
        from headstart.view.schedule_figure import simulation_figure, svg
    except ModuleNotFoundError as error:
        raise MissingExtra(f"--svg needs {error.name}: pip install 'headstart[view]'") from error
    from headstart.core.files import write_bytes

    write_bytes(path, svg(simulation_figure(arm, found)))
