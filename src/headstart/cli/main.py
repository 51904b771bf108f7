"""The command line: `headstart STAGE SCENARIO`, and what a person asks of the results.

Rooms are imported inside the commands, so that `headstart --help` needs neither torch nor numba.
"""

import importlib
import sys
from pathlib import Path
from typing import Annotated

import typer

import headstart
from headstart.cli import release as cli_release
from headstart.cli.catalogue import catalogue_app
from headstart.cli.check import check as check_scenario
from headstart.cli.compile import compile_rules
from headstart.cli.convert_sb3 import convert_sb3
from headstart.cli.deps import deps
from headstart.cli.doctor import doctor
from headstart.cli.drill import drill_app
from headstart.cli.evidence import evidence, results
from headstart.cli.export_policy import export_policy
from headstart.cli.formats import export, formats
from headstart.cli.init import init
from headstart.cli.inspect import inspect
from headstart.cli.lineage import lineage
from headstart.cli.play import play
from headstart.cli.project import enter_project
from headstart.cli.remote import remote_app
from headstart.cli.report import report
from headstart.cli.schedule import schedule_app
from headstart.cli.schema import schema
from headstart.cli.storage import gc, storage
from headstart.cli.targets import targets
from headstart.cli.telemetry import telemetry_app
from headstart.cli.tune import tune
from headstart.core.errors import HeadstartError, InputError, IntegrityError, MissingExtra, printable, too_large

app = typer.Typer(no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False, help=__doc__.splitlines()[0])
app.add_typer(catalogue_app, name="catalogue")
app.add_typer(schedule_app, name="schedule")
app.add_typer(drill_app, name="drill")
app.add_typer(remote_app, name="remote")
app.add_typer(telemetry_app, name="telemetry")
cli_release.add_to(app)

STAGES = {
    "settings": "Write what params.yaml and the scenario say, for DVC to compare: data/<scenario>/settings.json.",
    "source": "Read what a scenario brings, a recording or an expert of its own: data/<scenario>/source.",
    "capture": "Record the approved expert: data/<scenario>/raw.",
    "curate": "Accept, reject and split episodes: data/<scenario>/curated.",
    "validate": "Hold a dataset to its gates; a failure quarantines it and exits with 6.",
    "bc_train": "Clone the expert: models/<scenario>/bc.",
    "evaluate": "Compare the candidate with the baselines: reports/evaluate/<scenario>.",
}
Scenario = Annotated[str, typer.Argument(help="A file in scenarios/, without .yaml")]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"headstart {headstart.__version__}")
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_version)] = False,
) -> None:
    pass


def _run(stage: str, *arguments: str) -> None:
    from headstart.config.stage import printed, run

    function = getattr(importlib.import_module(f"headstart.stages.{stage}"), stage)
    typer.echo(printed(run(function, *arguments)))


@app.command()
def expert(
    scenario: Scenario,
    worlds: Annotated[int | None, typer.Option(help="Episodes to judge it on.")] = None,
) -> None:
    """Judge the scenario's expert; prints success and harm with bounds, and writes nothing."""
    from headstart.config.params import changed, for_scenario, load_params
    from headstart.config.scenario import load_scenario
    from headstart.runs.expert_judging import judge_at_hand

    described = load_scenario(scenario)
    params = for_scenario(load_params(), described)
    if worlds is not None:
        params = changed(params, {"expert": {"worlds": worlds}}, "--worlds")
    artefact, verdict = judge_at_hand(params, described, params.expert.worlds)
    shown = f"; return {artefact.score.return_mean:.3f}" if artefact.score else ""
    typer.echo(f"{scenario}: {verdict.outcome}{shown}")
    for check in verdict.checks:
        if not check.applies:
            typer.echo(f"  --   {check.name}: {check.text}")
            continue
        mark = "ok  " if check.passed else "MISS"
        typer.echo(f"  {mark} {check.name}: {check.text}: {check.measured} {check.direction} {check.threshold}")


def _stage_command(stage: str, says: str) -> None:
    def command(scenario: Scenario) -> None:
        _run(stage, scenario)

    app.command(stage.replace("_", "-"), help=says)(command)


for _stage, _says in STAGES.items():
    _stage_command(_stage, _says)


@app.command()
def baseline(scenario: Scenario, arm: str) -> None:
    """Train an arm that starts from random weights, on all seeds."""
    _run("baseline", scenario, arm)


@app.command()
def anneal(scenario: Scenario, arm: str) -> None:
    """Train an arm that starts from the clone, on all seeds."""
    _run("anneal", scenario, arm)


app.command()(init)
app.command()(report)
app.command()(lineage)
app.command()(play)
app.command()(inspect)
app.command("check")(check_scenario)
app.command()(tune)
app.command()(evidence)
app.command()(results)
app.command("compile")(compile_rules)
app.command()(convert_sb3)
app.command()(deps)
app.command()(doctor)
app.command()(schema)
app.command()(storage)
app.command()(gc)
app.command()(targets)
app.command()(formats)
app.command()(export)
app.command()(export_policy)


def _told(error: HeadstartError) -> str:
    """What is said of an error: where data is missing, also where it may be had."""
    if not isinstance(error, InputError) or not Path("dvc.lock").is_file():
        return str(error)
    from headstart.storage.missing import told

    return told(Path(), error)


def main() -> None:
    """Entry point: the project's errors end in one line and their exit code."""
    try:
        enter_project()
        app(standalone_mode=True)
    except HeadstartError as error:
        typer.echo(f"error: {printable(_told(error))}", err=True)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "numba"):
            raise
        typer.echo(f"error: this command needs {error.name}: `pip install {error.name}`", err=True)
        sys.exit(MissingExtra.exit_code)
    except OSError as error:  # an unwritable folder, a full disk
        where = error.filename or "output"
        typer.echo(printable(f"error: {where}: expected to read or write here, got {error.strerror or error}"), err=True)
        sys.exit(IntegrityError.exit_code)
    except MemoryError as error:
        typer.echo(f"error: {too_large(error)}", err=True)
        sys.exit(InputError.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
