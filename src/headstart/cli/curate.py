"""`headstart curate`: the stage, or with options a slice of a dataset, as a dataset of its own."""

from pathlib import Path
from typing import Annotated, Any

import typer

from headstart.cli.names import Scenario
from headstart.cli.output import Json, output

OUTCOMES = ("success", "failure", "harm", "no-harm")
ROOT = Path()


def curate(
    scenario: Scenario,
    agent: Annotated[
        list[int] | None, typer.Option(min=0, metavar="N", help="Only episodes of this agent; may be repeated.")
    ] = None,
    outcome: Annotated[
        list[str] | None, typer.Option(metavar="WHAT", help=f"Only {', '.join(OUTCOMES)}; may be repeated: all of them hold.")
    ] = None,
    min_return: Annotated[
        float | None, typer.Option(metavar="R", help="Only episodes with at least this sum of rewards.")
    ] = None,
    behaviour: Annotated[
        list[str] | None, typer.Option(metavar="COUNTER", help="Only with it, as showers or 'showers >= 2'; may be repeated.")
    ] = None,
    family: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only of this kind of situation; may be repeated.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the slice <scenario>.NAME; without it, the first free number.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Accept, reject and split episodes: data/<scenario>/curated; with options a slice, data/<scenario>.<name>.

    A slice takes the accepted episodes of a dataset, NAME or NAME@VERSION, that pass. Its manifest names the dataset and the filter:

    headstart curate SCENARIO --agent 0 --outcome success --name first
    """
    from headstart.core.errors import UsageError

    asked = {"agent": agent, "outcome": outcome, "min_return": min_return, "behaviour": behaviour, "family": family}
    given: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in asked.items() if value is not None
    }
    if not given:
        if name is not None:
            raise UsageError("--name: expected a filter beside it, as --agent 0; without one, `curate` is the stage")
        from headstart.cli.capture import on_draft
        from headstart.cli.stages import run_stage

        (on_draft if "." in scenario else run_stage)(as_json, "curate", scenario)
        return
    _slice(scenario, given, name, as_json)


def _slice(dataset: str, given: dict[str, Any], name: str | None, as_json: bool) -> None:
    from headstart.config.checked import checked
    from headstart.config.scenario import load_scenario
    from headstart.core.errors import UsageError, nearest
    from headstart.dataset.manifest import Filter
    from headstart.dataset.slices import curated_folder, write_slice
    from headstart.worlds.nav.state import FAMILIES

    for one in given.get("outcome", ()):
        if one not in OUTCOMES:
            raise UsageError(f"--outcome: expected one of {', '.join(OUTCOMES)}, got {one!r}{nearest(one, OUTCOMES)}")
    wanted = checked(Filter, given, "headstart curate")
    whole = curated_folder(ROOT, dataset)[1]
    scenario = load_scenario(whole.scenario)
    made = write_slice(ROOT, dataset, wanted, name, scenario, FAMILIES if scenario.world == "nav" else ())
    assert made.parent is not None
    with output(as_json) as out:
        out.found(**made.model_dump(mode="json"))
        out.say(f"curate {dataset}: {made.dataset}@{made.version}")
        out.say(f"{made.accepted.episodes:,} of {whole.accepted.episodes:,} accepted episodes: {wanted}", "  has:  ")
        out.say(made.parent.dataset, "  of:   ")
        for command in (f"inspect {made.dataset}", f"play {made.dataset} EPISODE"):
            out.say(f"`headstart {command}`", "  look: ")
