"""The command line: `headstart STAGE SCENARIO`, and what a person asks of the results.

Rooms are imported inside the commands, so that `headstart --help` needs neither torch nor numba.
"""

import os
from typing import Annotated

import typer

import headstart
from headstart.cli import release as cli_release
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
from headstart.core.progress_lines import QUIET

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Give PPO a head start from an expert's behaviour. `headstart STAGE SCENARIO` runs a stage; the others ask of the results.",
    epilog=exit_codes_text(),
)
app.add_typer(catalogue_app, name="catalogue")
app.add_typer(schedule_app, name="schedule")
app.add_typer(drill_app, name="drill")
app.add_typer(remote_app, name="remote")
app.add_typer(telemetry_app, name="telemetry")
cli_stages.add_to(app)
cli_release.add_to(app)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"headstart {headstart.__version__}")
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_version)] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.", envvar=QUIET)] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.", envvar=DEBUG)] = False,
) -> None:
    for asked, variable in ((quiet, QUIET), (debug, DEBUG)):
        if asked:  # processes that a command begins read it too
            os.environ[variable] = "1"


app.command()(init)
app.command()(explain)
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


def main() -> None:
    """Entry point."""
    with ending():
        enter_project()
        app(prog_name="headstart")
