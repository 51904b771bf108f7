"""The command line: `headstart STAGE SCENARIO`, and what a person asks of the results.

Rooms are imported inside the commands, so that `headstart --help` needs neither torch nor numba.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

import headstart
from headstart.cli import stages as cli_stages
from headstart.cli.catalogue import catalogue_app
from headstart.cli.check import check as check_scenario
from headstart.cli.compile import compile_rules
from headstart.cli.convert_sb3 import convert_sb3
from headstart.cli.deps import deps
from headstart.cli.doctor import doctor
from headstart.cli.drill import drill_app
from headstart.cli.ending import DEBUG, ending, exit_codes_text
from headstart.cli.evidence import evidence, results
from headstart.cli.explain import explain
from headstart.cli.export_policy import export_policy
from headstart.cli.formats import export, formats
from headstart.cli.init import init
from headstart.cli.inspect import inspect
from headstart.cli.lineage import lineage
from headstart.cli.observe import observe
from headstart.cli.play import play
from headstart.cli.project import enter_project
from headstart.cli.release import promote, release_app, verify
from headstart.cli.remote import remote_app
from headstart.cli.report import report
from headstart.cli.schedule import schedule_app
from headstart.cli.schema import schema
from headstart.cli.storage import gc, storage
from headstart.cli.targets import targets
from headstart.cli.telemetry import telemetry_app
from headstart.cli.tune import tune
from headstart.core.progress_lines import QUIET

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Give PPO a head start from an expert's behaviour. `headstart STAGE SCENARIO` runs a stage; the others ask of the results.",
    epilog=exit_codes_text(),
)


@contextmanager
def _environment_of_its_own() -> Iterator[None]:
    """What --quiet and --debug set holds for this command and the processes that it begins."""
    before = {name: os.environ.get(name) for name in (QUIET, DEBUG)}
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            os.environ.update({} if value is None else {name: value})


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"headstart {headstart.__version__}")
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_version)] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    for asked, variable in ((quiet, QUIET), (debug, DEBUG)):
        if asked:  # processes that a command begins read it too
            os.environ[variable] = "1"


PANELS: dict[str, tuple[Callable[..., None], ...]] = {  # of the help
    "Begin": (init, check_scenario, formats, targets, tune, doctor),
    "Look": (report, explain, observe, play, inspect, lineage),
    "Data": (verify, storage, gc, export),
    "Policies": (promote, export_policy, convert_sb3),
    "This repository": (evidence, results, compile_rules, deps, schema),
}
GROUPS = {
    "Look": {"telemetry": telemetry_app},
    "Data": {"catalogue": catalogue_app, "remote": remote_app},
    "Policies": {"release": release_app, "schedule": schedule_app, "drill": drill_app},
}
NAMES = {check_scenario: "check", compile_rules: "compile"}  # of functions that are not called as their command

for _panel, _commands in PANELS.items():
    for _command in _commands:
        app.command(NAMES.get(_command), rich_help_panel=_panel)(_command)
    if _panel == "Begin":
        cli_stages.add_to(app, "Stages")
for _panel, _groups in GROUPS.items():
    for _name, _group in _groups.items():
        app.add_typer(_group, name=_name, rich_help_panel=_panel)


def main() -> None:
    """Entry point."""
    with _environment_of_its_own(), ending():
        enter_project()
        app(prog_name="headstart")
