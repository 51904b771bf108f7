"""`headstart play`: watch a policy in a world, or prove and watch a recorded episode; in the terminal, as a page, a film or a picture."""

import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.cli.output import Json, Output, output
from headstart.cli.project import typed_file, typed_path
from headstart.cli.showing import Shown, say_next, show, told
from headstart.core.errors import IntegrityError, UsageError, shown
from headstart.core.extras import require_torch

if TYPE_CHECKING:
    from headstart.config.scenario import Scenario
    from headstart.view.play_dataset import Opened
    from headstart.view.track import Track
    from headstart.worlds.api import Act, World

MAX_SEED = 2**31 - 1
UNTRAINED = "untrained"


def play(
    what: Annotated[
        str,
        typer.Argument(
            metavar="NAME[@VERSION]",
            help="Of a scenario or its dataset, or the path of a draft; with a version, of the catalogue's.",
        ),
    ],
    episode: Annotated[
        str | None,
        typer.Argument(
            metavar="EPISODE",
            help="Of the dataset: its number from 0, or its name. Without it a policy acts.",
            show_default=False,
        ),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER", help=f"A checkpoint, or `{UNTRAINED}`: a new network. Without it the scenario's expert acts."
        ),
    ] = None,
    against: Annotated[
        str | None, typer.Option(metavar="OTHER", help="Another policy, or episode, beside it and in step.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(parser=typed_file, metavar="FILE", help="Write a page that plays it: pause, scrub, speed.")
    ] = None,
    gif: Annotated[Path | None, typer.Option(parser=typed_file, metavar="FILE", help="Write a moving picture.")] = None,
    mp4: Annotated[Path | None, typer.Option(parser=typed_file, metavar="FILE", help="Write a film (extra `mp4`).")] = None,
    png: Annotated[
        Path | None, typer.Option(parser=typed_file, metavar="FILE", help="Write a picture of the last moment.")
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(parser=typed_file, metavar="FILE", help="Write thumbnails of the dataset's episodes, as .html or .png."),
    ] = None,
    episodes: Annotated[int, typer.Option(min=1, max=100_000, metavar="N", help="How many, for --sheet.")] = 1000,
    agent: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="With a policy: whose actions and rewards stand beside the picture.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=MAX_SEED, metavar="N", help="With a policy: of the world and of its choices.")
    ] = None,
    world: Annotated[
        int | None, typer.Option(min=0, max=MAX_SEED, metavar="N", help="With a policy: its id; 1000000 is the first captured.")
    ] = None,
    ticks: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="With a policy: how far to play; without it, to the end.")
    ] = None,
    ticks_per_second: Annotated[float, typer.Option(min=0.1, max=1000, metavar="N", help="In a terminal and in a film.")] = 8.0,
    variant: Annotated[
        str | None, typer.Option(metavar="NAME", help="With a policy: in this held-out variant of the scenario.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Watch a policy, or a recorded episode: in the terminal, as a page, a film or a picture.

    A recorded episode is rebuilt and held to its record step by step; exit 4 where they differ.

    A policy: headstart play queue_conflict --policy FOLDER

    An episode of a dataset: headstart play queue_conflict 12 --html FILE

    All episodes at a glance: headstart play queue_conflict --sheet FILE
    """
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # else pygame looks for a screen, and prints that there is none
    to = Shown(html, gif, mp4, png, ticks_per_second, as_json)
    for option, given in (("html", html), ("gif", gif), ("mp4", mp4), ("png", png)):
        if given is not None and given.suffix.lower() != f".{option}":
            raise UsageError(f"--{option}: expected a file that ends in .{option}, got {given.name}")
    of_policy = {"--variant": variant, "--agent": agent, "--seed": seed, "--world": world, "--ticks": ticks}
    recorded = sheet is not None or episode is not None or "@" in what
    if recorded and (misplaced := [option for option, value in of_policy.items() if value is not None]):
        raise UsageError(
            f"{misplaced[0]}: expected it with a policy; a recorded episode has its own world, seed and length, and is that of one agent"
        )
    if sheet is not None and (episode is not None or policy is not None or to.files):
        raise UsageError(
            "--sheet: expected a dataset alone, since it shows all episodes; leave the episode, --policy and other files away"
        )
    if sheet is None and recorded and policy is not None:
        raise UsageError(
            f"--policy: expected no episode beside it, got {shown(episode)}: a policy acts by itself, an episode is recorded"
        )
    if sheet is None and recorded and episode is None:
        raise UsageError(f"{what}: expected an episode behind it, as `headstart play {what} 0`, or --sheet FILE")
    with output(as_json) as out:
        if sheet is not None:
            _sheet(out, what, sheet, episodes)
        elif episode is not None:
            _episodes(out, what, [episode, *([against] if against else [])], to)
        else:
            where = (world or 0, seed or 0, ticks, agent or 0)
            _policies(out, _chosen(what, variant), [policy] if against is None else [against, policy], to, where)


# --- a dataset --------------------------------------------------------------------------------------------------------


def _episodes(out: Output, what: str, which: Sequence[str], to: Shown) -> None:
    """Prove and show one episode, or two in step; IntegrityError where a record differs from its replay."""
    from headstart.view.drawn import IN_TERMINAL
    from headstart.view.play_dataset import open_dataset

    dataset, colour = open_dataset(what), sys.stdout.isatty()
    mode = "rgb_array" if to.files else "ansi" if dataset.scenario.world in IN_TERMINAL and colour and not to.silent else None
    found = [_proved(dataset, one, mode) for one in which]
    tracks = [track for track, *_ in found]
    show(
        tracks,
        f"{dataset.name}: {' and '.join(track.title for track in tracks)}",
        to,
        [] if len(which) > 1 else list(tracks[0].says),
    )
    for track, _ in found:
        out.say(f"{dataset.name}, {track.title}: {track.about}".rstrip(": "), rest="  ")
        for line in track.says:
            out.say(line, "  ", "    ")
        count = f"{len(track.marks) or 'no'} anomal{'y' if len(track.marks) == 1 else 'ies'}"
        out.say(f"{count} ({track.checked})" if track.checked else count, "  ", "    ")
        for mark in track.marks:
            steps = (
                f"step {mark.first_step}" if mark.first_step == mark.last_step else f"steps {mark.first_step}-{mark.last_step}"
            )
            out.say(f"{steps}: {mark.kind}: {mark.text}", "    ", "      ")
    episodes = [told(track) | {"anomalies": [asdict(mark) for mark in track.marks], "differs": wrong} for track, wrong in found]
    out.found(dataset=dataset.name, episodes=episodes, files=list(to.files.values()))
    say_next(out, to, f"headstart play {what} {which[0]} --html episode.html")
    if wrong := [text for _, text in found if text]:
        raise IntegrityError("\n  ".join(wrong))


def _proved(dataset: "Opened", which: str, mode: str | None) -> "tuple[Track, str]":
    """An episode with all that was found, and what is wrong with its record; empty: nothing."""
    from headstart.config.params import for_scenario, load_params
    from headstart.view.play_dataset import find_episode
    from headstart.view.play_proved import proved

    return proved(find_episode(dataset, which), for_scenario(load_params(), dataset.scenario), mode)


def _sheet(out: Output, what: str, path: Path, count: int) -> None:
    from headstart.config.params import for_scenario, load_params
    from headstart.core.files import write_bytes
    from headstart.view.play_dataset import open_dataset
    from headstart.view.sheet import sheet

    if path.suffix.lower() not in (".html", ".png"):
        raise UsageError(f"--sheet: expected a file that ends in .html or .png, got {path.name}")
    dataset = open_dataset(what)
    data, says = sheet(dataset, for_scenario(load_params(), dataset.scenario), count, path.suffix.lower() == ".png")
    write_bytes(path, data)
    out.found(dataset=dataset.name, says=says, files=[path])
    out.say(says, rest="  ")
    out.say(f"open {path}")


# --- policies ---------------------------------------------------------------------------------------------------------


def _chosen(what: str, variant: str | None) -> "Scenario":
    """The scenario, or its held-out variant."""
    from headstart.config.scenario import load_scenario, variant_of

    scenario = load_scenario(what)
    if variant is not None and variant not in scenario.variants:
        known = ", ".join(scenario.variants) or "none"
        raise UsageError(f"--variant: expected one of scenarios/{what}.yaml, which has {known}, got {shown(variant)}")
    return scenario if variant is None else variant_of(scenario, variant)


def _policies(
    out: Output, chosen: "Scenario", policies: Sequence[str | None], to: Shown, where: tuple[int, int, int | None, int]
) -> None:
    from headstart.view.play import played

    world, seed, ticks, agent = where
    if len(policies) > 1 and not to.files and not to.silent:
        raise UsageError(
            "--against: expected --html FILE, --gif FILE or --mp4 FILE beside it, since two worlds do not fit in a terminal"
        )
    mode = to.mode(chosen)
    tracks, names = [], _names(policies)
    for of, name in zip(policies, names, strict=True):
        watched, act = _player(chosen, of, world, seed, mode)
        try:
            about = f"world {world}, seed {seed}" + (f"; beside the picture: agent {agent}" if watched.num_agents > 1 else "")
            tracks.append(played(watched, act, seed, ticks, agent, name, about))
        finally:
            watched.close()
    show(
        tracks,
        f"{chosen.name}: {' and '.join(track.title for track in tracks)}",
        to,
        list(tracks[0].says) if len(tracks) == 1 else [],
    )
    for track in tracks:
        for line in track.says:
            out.say(f"{track.title}: {line}", rest="  ")
    out.found(scenario=chosen.name, policies=[told(track) for track in tracks], files=list(to.files.values()))
    say_next(out, to, "")


def _names(policies: Sequence[str | None]) -> list[str]:
    """What each is called: its folder, with those above it where two would have one name, as the same seed of two arms."""
    last = ["expert" if of is None else Path(of).name for of in policies]
    return last if len({*last}) == len(last) else ["expert" if of is None else "/".join(Path(of).parts[-2:]) for of in policies]


def _player(scenario: "Scenario", policy: str | None, world: int, seed: int, mode: str | None) -> "tuple[World, Act]":
    """One world, and who acts in it: a checkpoint, a new network, or the scenario's own expert."""
    from headstart.runs.worlds import task_of
    from headstart.worlds.make import make

    folder = None if policy in (None, UNTRAINED) else typed_path(str(policy))
    hybrid = folder is not None and scenario.world == "town" and _sees_map(folder)
    watched = make(task_of(scenario), num_worlds=1, first_world=world, hybrid=hybrid, render_mode=mode)
    if policy is None:
        return watched, _expert(scenario, watched)
    require_torch("play --policy", "because a network acts")
    from headstart.config.params import for_scenario, load_params
    from headstart.learn.evaluation import Acting
    from headstart.runs.policy import load_policy, new_network

    if folder is not None:
        network, _ = load_policy(folder, watched)
    else:
        network = new_network(watched, for_scenario(load_params(), scenario).network, seed)
    return watched, Acting(network, seed, "sampled")


def _expert(scenario: "Scenario", watched: "World") -> "Act":
    from headstart.runs.expert import expert_of, script
    from headstart.runs.own_expert import own_act

    if scenario.demonstrations is not None:
        raise UsageError(
            f"{scenario.name}: expected --policy FOLDER, or an episode: recorded demonstrations have no expert that could act"
        )
    if scenario.expert.is_own:
        return own_act(scenario, watched)
    return script(watched) if scenario.expert.policy == "scripted" else expert_of(scenario, watched)


def _sees_map(checkpoint: Path) -> bool:
    from headstart.core.files import read_record
    from headstart.runs.checkpoint import CARD, Card

    return bool(read_record(checkpoint / CARD, Card).observation.map_channels)
