"""What the studies of this folder share: a block is recorded, a clone is trained and plays, and what was found is kept beside the module."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from headstart.compare.arm_runs import Score
from headstart.config.params import BCParams, Params, for_scenario, load_params
from headstart.config.scenario import Scenario, load_scenario
from headstart.core.arrays import Array
from headstart.core.files import write_bytes
from headstart.core.statistics import t_margin, wilson_lower, wilson_upper
from headstart.core.strict_json import parse_json, pretty_json
from headstart.dataset.episodes import Episodes, Header
from headstart.learn.bc import fit, fitting_of
from headstart.learn.demonstrations import Demonstrations
from headstart.learn.evaluation import play_episodes
from headstart.learn.networks import ActorCritic
from headstart.runs.expert import script
from headstart.runs.policy import new_network
from headstart.runs.recording import recorded as record_worlds
from headstart.runs.tuning import for_tuning, require_apart
from headstart.runs.worlds import score_of, worlds_of
from headstart.worlds.api import Act, World


def recorded(scenario: Scenario, params: Params, block: int, expert: Callable[[World], Act] = script) -> tuple[Episodes, Header]:
    """As the stage `capture` records a block."""
    count = params.capture.worlds
    world = worlds_of(scenario, "capture", count, params.capture.observation, skip=block * count)
    return record_worlds(world, expert(world), params.capture, scenario, "0" * 64)


def settings_of(params: Params, seed: int) -> BCParams:
    """Those of a clone of its own."""
    return params.bc_train.model_copy(update={"seed": params.bc_train.seed + seed})


def fitted(world: World, params: Params, seed: int, train: Demonstrations, held: Demonstrations) -> ActorCritic:
    """A new network after `bc_train`."""
    settings = settings_of(params, seed)
    network = new_network(world, params.network, settings.seed)
    for _ in fit(fitting_of(network, train, settings, None), train, held, settings):
        pass
    return network


def closed_loop(network: ActorCritic, world: World, scenario: Scenario, params: Params, seed: int) -> Score:
    """Of a policy that draws its actions, in worlds of the purpose `clone`, on which nothing is trained."""
    return score_of(play_episodes(network, world, params.evaluation.seed + seed, "sampled"), world, scenario)


def share(name: str, count: int, worlds: int) -> dict[str, Any]:
    """Of all worlds, with its two-sided 90 % bounds (Wilson)."""
    bounds = [short(wilson_lower(count, worlds)), short(wilson_upper(count, worlds))]
    return {name: short(count / worlds), f"{name}_bounds": bounds}


def change(apart: Array) -> list[float]:
    """Low end, mean and high end of differences paired by seed [n]: their two-sided 90 % interval (t)."""
    margin = t_margin(apart, 0.95)
    return [short(apart.mean() + side * margin) for side in (-1, 0, 1)]


def change_text(found: Iterable[float]) -> str:
    low, mean, high = found
    return f"{mean:+.3f} ({low:+.3f} to {high:+.3f})"


def short(value: float) -> float:
    """As it is kept."""
    return round(float(value), 4)


def keep(
    path: Path,
    names: Iterable[str],
    measure: Callable[[Scenario, Params], dict[str, Any]],
    table: Callable[[Mapping[str, Any]], Iterator[str]],
) -> None:
    """Measure the scenarios on tuning seeds, print their tables, and keep what was found in the file, beside what it has of others."""
    found = parse_json(path.read_bytes(), str(path)) if path.exists() else {}
    for name in names:
        scenario = load_scenario(name)
        require_apart(load_params(), scenario)
        found[name] = measure(scenario, for_tuning(for_scenario(load_params(), scenario)))
        write_bytes(path, pretty_json(found))
        print("\n".join([name, "", *table(found[name]), ""]))
