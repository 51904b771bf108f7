"""Small datasets as the stages leave them, to be played: of the town, of the robot, and a recording of CartPole by another program."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from tests.poles import pole_project, record_poles

from headstart.config.params import for_scenario, load_params
from headstart.config.scenario import load_scenario
from headstart.dataset.curation import write_index
from headstart.dataset.episodes import Episodes, Header
from headstart.dataset.episodes_file import read_episodes, write_episodes
from headstart.runs.expert import script
from headstart.runs.importing import converted
from headstart.runs.recording import record
from headstart.runs.worlds import schema_of, worlds_of
from headstart.worlds.api import FIRST_WORLD, Act, World

ROOT = Path(__file__).parents[1]
SHARD = "shard-0000.h5"


def simulated(name: str, worlds: int = 2) -> Path:
    """A capture of the scripted expert of a scenario of this repository, and its index; the path of its only shard."""
    for folder in ("scenarios", f"data/{name}/curated"):
        Path(folder).mkdir(parents=True, exist_ok=True)
    Path("params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    Path(f"scenarios/{name}.yaml").write_bytes((ROOT / f"scenarios/{name}.yaml").read_bytes())
    return captured(name, worlds, script)


def captured(name: str, worlds: int, acting: Callable[[World], Act]) -> Path:
    """What `capture` leaves of a scenario that is in the working directory, with its index; the path of its only shard."""
    scenario = load_scenario(name)
    settings = for_scenario(load_params(), scenario).capture
    world = worlds_of(scenario, "capture", worlds)
    header = Header(
        scenario=name,
        scenario_sha256=scenario.sha256,
        policy_sha256="e" * 64,
        seed=settings.seed,
        observation=schema_of(world),
        writer_version="test",
    )
    episodes = record(world, acting(world), FIRST_WORLD["capture"] + np.arange(worlds), settings, header)
    return written(name, episodes, header)


def poles() -> Path:
    """A recording of CartPole as `capture` leaves it, the path of its only shard."""
    params, scenario = pole_project(record_poles(12))
    Path("params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    Path("data/pole/curated").mkdir(parents=True, exist_ok=True)
    return written("pole", *converted(record_poles(12), params, scenario, "a" * 64))


def written(name: str, episodes: Episodes, header: Header) -> Path:
    """The shard of a recording whose episodes are all accepted, and its index."""
    path, count = Path(f"data/{name}/raw/{SHARD}"), len(episodes.table.length)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_episodes(path, episodes, header)
    write_index(Path(f"data/{name}/curated/episodes.tsv"), episodes.table, np.zeros(count, bool), [[] for _ in range(count)])
    return path


def edited(path: Path, change: Callable[[Episodes], None]) -> None:
    """Change the episodes of a shard, and nothing else."""
    episodes, header = read_episodes(path)
    change(episodes)
    write_episodes(path, episodes, header)
