"""`headstart observe`: a page that watches a run."""

from pathlib import Path
from typing import Annotated

import typer

from headstart.cli.names import run_names
from headstart.cli.project import path_or_name
from headstart.core.errors import MissingExtra, UsageError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
FAST = 1e6


def observe(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]",
            help="SCENARIO/ARM/seed-N, a part from its beginning, or a folder with a log; without it the run written last.",
            autocompletion=run_names,
        ),
    ] = None,
    replay: Annotated[
        float | None, typer.Option(min=0.001, max=FAST, metavar="SPEED", help="Play the log again, so many times as fast.")
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 0,
    host: Annotated[str, typer.Option(help="127.0.0.1, localhost or ::1.")] = "127.0.0.1",
) -> None:
    """Watch a run in the browser: its curves, schedule, guardrails and alerts, until Ctrl-C."""
    if host not in LOOPBACK:
        raise UsageError(
            f"--host: expected an address of this machine ({', '.join(LOOPBACK)}), got {host!r}; from another machine, "
            f"`ssh -L 8765:127.0.0.1:8765 THIS_MACHINE` and `headstart observe --port 8765`"
        )
    try:
        from headstart.view.observe import serve
        from headstart.view.observe_runs import chosen
    except ModuleNotFoundError as error:
        if error.name in ("jinja2", "markupsafe", "starlette", "uvicorn", "vl_convert"):
            raise MissingExtra("this needs a server: pip install 'headstart[observe]'") from None
        raise
    found = chosen(Path(), None if run is None else path_or_name(run))

    def tell(address: str) -> None:
        typer.echo(f"{found.id}: open {address}\nThe address works once; Ctrl-C ends the page and leaves the run alone.")
        if open_:
            typer.launch(address)

    try:
        serve(Path(), found, replay, (host, port), tell)
    except KeyboardInterrupt:
        typer.echo("the page has ended")
