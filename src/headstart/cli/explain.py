"""`headstart explain`: a run in one paragraph."""

from pathlib import Path
from typing import Annotated

import typer

from headstart.cli.names import run_names
from headstart.cli.output import Json, output
from headstart.cli.project import path_or_name

Run = Annotated[
    str, typer.Argument(help="SCENARIO, SCENARIO/ARM, SCENARIO/ARM/seed-N, or a folder of one.", autocompletion=run_names)
]


def explain(run: Run, as_json: Json = False) -> None:
    """Tell in a paragraph what was trained, how it went, and what was decided."""
    from headstart.view.explain import explain as explained

    with output(as_json) as out:
        found = explained(Path(), path_or_name(run))
        out.found(text=found.text, look=found.look, **found.facts)
        out.say(found.text)
        out.say(f"look: {found.look}")
