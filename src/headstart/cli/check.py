"""`headstart check`: is a scenario sound, and how long will it take, before anything is trained."""

import textwrap
from itertools import chain
from typing import Annotated

import typer

WIDTH = 80


def check(scenario: Annotated[str, typer.Argument(help="A file in scenarios/, without .yaml")]) -> None:
    """Play a scenario for half a minute, and say what is wrong with it: exit 3 for its environment, 6 for a gate that cannot be met."""
    from headstart.config.params import for_scenario, load_params, require_arms_that_dvc_trains
    from headstart.config.scenario import load_scenario
    from headstart.core.errors import GateFailed, InputError
    from headstart.runs.check import Found, examine, of_gate
    from headstart.runs.plan import estimates, no_pass

    described = load_scenario(scenario)
    settings = load_params()
    params = for_scenario(settings, described)
    require_arms_that_dvc_trains(settings, params, described)
    typer.echo(f"check {scenario}: {described.world}, horizon {described.horizon}")
    found: list[Found] = []
    for one in chain(examine(params, described), map(of_gate, no_pass(params, described))):
        found.append(one)
        _say(one.name, one.says, "WRONG" if one.cure else "")
        if one.cure:
            _say("", f"cure: {one.cure}", "")
    wrong = [one for one in found if one.cure]
    if wrong:
        error = GateFailed if all(one.gate for one in wrong) else InputError
        raise error(f"{scenario}: {len(wrong)} of these must be mended before anything is trained")
    for of in estimates(params, described):
        steps = f"{of.runs} × {of.env_steps:,} env steps at {of.rate:,.0f} a second"
        _say("time", f"{of.name}: {steps}: {_minutes(of.seconds)}", "")
    typer.echo("sound; the other stages add to the time of training and evaluations")


def _say(name: str, text: str, mark: str) -> None:
    head = f"  {mark:<6}{name:<10}"
    lines = textwrap.wrap(text, WIDTH - len(head), break_long_words=True) or [""]
    typer.echo(head + lines[0])
    for line in lines[1:]:
        typer.echo(" " * len(head) + line)


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
