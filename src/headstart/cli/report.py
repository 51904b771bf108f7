"""`headstart report`: write the reports, say in a few lines what stands in them, and open one."""

import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from headstart.cli.output import Json, output
from headstart.core.errors import Hold, UsageError


def report(
    scenario: Annotated[
        str | None, typer.Argument(help="A file in scenarios/, without .yaml; without it all of params.yaml.")
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser; of several scenarios, the index.")] = False,
    write: Annotated[
        bool,
        typer.Option(
            "--write/--no-write",
            help="With --no-write: only say what the reports that are there hold, as after `dvc repro`.",
        ),
    ] = True,
    acceptance: Annotated[
        bool, typer.Option("--acceptance", help="Write the page on which a release is decided; exits with 5 while it is NO-GO.")
    ] = False,
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
    if acceptance:
        _accept(chosen, show, write, as_json)
        return
    with output(as_json) as out:
        pages = {name: (write_report if write else require_report)(Path(), name) for name in chosen}
        index = write_index(Path(), known) if write else index_path(Path())
        told = {name: {"page": path.as_posix(), **numbers(read_headline(Path(), name))} for name, path in pages.items()}
        out.found(index=index.as_posix(), reports=told)
        for name in chosen:
            out.verbatim(f"{summary(Path(), name)}\n")
    if show:
        webbrowser.open((index if len(pages) > 1 else pages[chosen[0]]).resolve().as_uri())


def _accept(scenarios: Sequence[str], show: bool, write: bool, as_json: bool) -> None:
    from headstart.core.progress_lines import progress
    from headstart.view.acceptance import read_acceptance
    from headstart.view.acceptance_page import meaning, write_acceptance

    if not write:
        raise UsageError("--acceptance --no-write: expected one of them; the decision is computed anew each time")
    told: dict[str, dict[str, Any]] = {}
    with output(as_json) as out:
        for name in scenarios:
            with progress(f"report {name} --acceptance"):
                made = read_acceptance(Path(), name)
                path = write_acceptance(Path(), made)
            told[name] = {"page": path.as_posix(), "decision": made.decision, "candidate": made.candidate or None}
            told[name] |= {"criteria": [one._asdict() for one in made.criteria], "promoted": made.promoted}
            out.say(f"{name}: {meaning(made)}", rest="  ")
            for one in made.open:
                out.say(f"{one.name}: {one.found}", "  open  ")
            out.say(f"read it: {path}")
            if show:
                webbrowser.open(path.resolve().as_uri())
        out.found(reports=told)
        if waiting := [name for name, of in told.items() if of["decision"] != "GO"]:
            raise Hold(f"NO-GO for {', '.join(waiting)}: the open points are above, with what settles each")
