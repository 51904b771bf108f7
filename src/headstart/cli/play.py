"""`headstart play`: watch one world, in the terminal or as a picture, still or moving."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.cli.project import typed_path
from headstart.core.errors import UsageError

if TYPE_CHECKING:
    from headstart.config.scenario import Scenario
    from headstart.worlds.api import Act, World

MAX_SEED = 2**31 - 1
UNTRAINED = "untrained"
Policy = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER", help=f"A checkpoint, or `{UNTRAINED}`: a new network. Without it the scripted expert acts, or your own."
    ),
]
Picture = Annotated[
    Path | None, typer.Option(parser=typed_path, metavar="FILE", help="Write a picture of the last moment instead.")
]
Movie = Annotated[
    Path | None, typer.Option(parser=typed_path, metavar="FILE", help="Write the episode as an animated picture instead.")
]


def play(
    scenario: Annotated[str, typer.Argument(help="A file in scenarios/, without .yaml")],
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Of the episode and of a policy's choices.")] = 0,
    world: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Its id; 1000000 is the first that is captured.")] = 0,
    policy: Policy = None,
    against: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Another policy beside it, in the same world; with --gif.")
    ] = None,
    ticks: Annotated[int | None, typer.Option(min=0, help="How far to play; without it, to the end of the episode.")] = None,
    ticks_per_second: Annotated[float, typer.Option(min=0.1, max=1000, help="In a terminal and in a GIF.")] = 8.0,
    png: Picture = None,
    gif: Movie = None,
) -> None:
    """Watch one world: the expert or a policy, in the terminal or as a picture."""
    from headstart.config.scenario import load_scenario
    from headstart.view.play import frames, show

    if gif and png:
        raise UsageError("--gif, --png: expected one of them, got both")
    for file in filter(None, (gif, png)):
        _require_writable(file)
    if against is not None and gif is None:
        raise UsageError("--against: expected --gif FILE beside it, since two worlds do not fit in a terminal")
    chosen = load_scenario(scenario)
    if chosen.is_foreign:
        raise UsageError(
            f"{scenario}: expected a town or a robot, the worlds that can be drawn; an environment of your own draws itself: "
            "`headstart.load(FOLDER).predict(obs)` acts in it, as docs/examples/gymnasium_loop.py shows"
        )
    if chosen.world == "nav" and not (gif or png):
        raise UsageError(f"{scenario}: expected --gif FILE or --png FILE, since the robot's world is drawn in pixels only")
    last = chosen.horizon - 1 if ticks is None else ticks
    mode = "rgb_array" if png or gif else "ansi"
    policies = [policy] if against is None else [against, policy]
    players = [_player(chosen, of, world, seed, mode) for of in policies]
    played = [frames(watched, act, seed, last) for watched, act in players]
    if gif:
        from headstart.view.gif import moving_picture

        titles = ["expert" if of is None else Path(of).name for of in policies]
        _write(gif, moving_picture(played, titles, ticks_per_second))
    elif png:
        from headstart.view.play import png as encoded

        *_, moment = played[0]
        _write(png, encoded(moment))
    else:
        show(played[0], sys.stdout, ticks_per_second, colour=sys.stdout.isatty() and "NO_COLOR" not in os.environ)


def _require_writable(path: Path) -> None:
    """Raise UsageError unless a file can be put there without replacing anything but a file."""
    if not path.name or path.is_symlink() or (path.exists() and not path.is_file()):
        raise UsageError(f"{path}: expected the name of a picture, new or to be replaced; this is no plain file")


def _write(path: Path, data: bytes) -> None:
    from headstart.core.files import write_bytes

    write_bytes(path, data)
    typer.echo(path)


def _player(scenario: "Scenario", policy: str | None, world: int, seed: int, mode: str) -> "tuple[World, Act]":
    """One world, and who acts in it: a checkpoint, a new network, or the scripted expert or the user's own."""
    from headstart.runs.worlds import task_of
    from headstart.worlds.make import make

    folder = None if policy in (None, UNTRAINED) else typed_path(str(policy))
    hybrid = folder is not None and _sees_map(folder)
    watched = make(task_of(scenario), num_worlds=1, first_world=world, hybrid=hybrid, render_mode=mode)
    if policy is None and scenario.demonstrations is not None:
        raise UsageError(f"{scenario.name}: expected --policy FOLDER: recorded demonstrations have no expert that could act")
    if policy is None:
        from headstart.runs.expert import script
        from headstart.runs.own_expert import own_act

        return watched, own_act(scenario, watched) if scenario.expert.is_own else script(watched)
    from headstart.config.params import for_scenario, load_params
    from headstart.learn.evaluation import Acting
    from headstart.runs.policy import load_policy, new_network

    if folder is not None:
        network, _ = load_policy(folder, watched)
    else:
        network = new_network(watched, for_scenario(load_params(), scenario).network, seed)
    return watched, Acting(network, seed, "sampled")


def _sees_map(checkpoint: Path) -> bool:
    from headstart.core.files import read_record
    from headstart.runs.checkpoint import CARD, Card

    return bool(read_record(checkpoint / CARD, Card).observation.map_channels)
