"""`headstart report`: write the reports, say in a few lines what stands in them, and open one."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from headstart.cli.output import Json, output


def report(
    scenario: Annotated[
        str | None, typer.Argument(help="A file in scenarios/, without .yaml; without it all of params.yaml.")
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser; of several scenarios, the index.")] = False,
    write: Annotated[
        bool, typer.Option("--write/--no-write", help="Without, only say what stands in them, as after `dvc repro`.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Write reports/<scenario>/report.html and report.md, and reports/index.html, and say in a few lines what stands in them."""
    from headstart.config.params import load_params
    from headstart.config.scenario import load_scenario
    from headstart.view.index import index_path, write_index
    from headstart.view.judged import numbers
    from headstart.view.report import require_report, summary, write_report
    from headstart.view.report_records import read_headline

    known = load_params().scenarios
    chosen = known if scenario is None else (load_scenario(scenario).name,)  # a name that is none ends here
    with output(as_json) as out:
        pages = {name: (write_report if write else require_report)(Path(), name) for name in chosen}
        index = write_index(Path(), known) if write else index_path(Path())
        told = {name: {"page": path.as_posix(), **numbers(read_headline(Path(), name))} for name, path in pages.items()}
        out.found(index=index.as_posix(), reports=told)
        for name in chosen:
            out.verbatim(f"{summary(Path(), name)}\n")
    if show:
        webbrowser.open((index if len(pages) > 1 else pages[chosen[0]]).resolve().as_uri())
