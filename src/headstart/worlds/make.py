"""Makes the worlds of a scenario, of any simulator."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart.core.errors import InputError
from headstart.core.strict_json import sha256_json
from headstart.worlds.api import Task, World

ENVIRONMENTS = ("gym", "pettingzoo")  # worlds that a user brings


def make(task: Task, num_worlds: int, first_world: int = 0, hybrid: bool = False, render_mode: str | None = None) -> World:
    """W = `num_worlds` worlds of one task, with ids from `first_world`; `hybrid` observations have a map beside the features.

    `render_mode` is what `render` returns: "ansi" or "rgb_array". Raises InputError for an unknown world or a bad setup, UsageError for a
    mode that the world does not have, MissingExtra where an environment needs a package to draw itself.
    """
    if task.script is not None and task.world != "nav":
        raise InputError(f"expert.script: world {task.world} has no scripts to choose from, got {task.script!r}")
    if hybrid and task.world != "town":
        raise InputError(f"world {task.world} has no map: expected observation compact, got hybrid")
    if task.world == "town":
        from headstart.worlds.town.env import Town

        return Town(task, num_worlds, first_world, render_mode, hybrid=hybrid)
    if task.world == "nav":
        from headstart.worlds.nav.env import Nav

        return Nav(task, num_worlds, first_world, render_mode)
    if task.world in ENVIRONMENTS:
        from headstart.worlds.gym import GymWorld

        return GymWorld(task, num_worlds, first_world, render_mode)
    raise InputError(f"world: expected town, nav, gym or pettingzoo, got {task.world!r}")


def environment_sha256(world: str, setup: Mapping[str, Any]) -> str:
    """Hash of the code that decides what happens in the worlds of a scenario; `setup` is its own section.

    Town and nav: their sources. An environment of Gymnasium or PettingZoo: the adapter, the code of the environment and the versions of
    the distributions that it comes from. Raises as `make`.
    """
    if world not in ENVIRONMENTS:
        return source_sha256(world)
    from headstart.worlds.gym import GymWorld
    from headstart.worlds.gym_sources import sources_of

    here = {"vectorization": "sync"} if world == "gym" else {}  # processes would not change what happens
    one = GymWorld(Task(world, {**setup, **here}, 1, (), ()), 1)
    one.close()
    made_by = setup["id"] if world == "gym" or ":" in setup["id"] else f"{setup['id']}:parallel_env"
    return sha256_json({"adapter": source_sha256(world)} | sources_of(one.classes, made_by))


def source_sha256(world: str) -> str:
    """Hash of the sources that decide what happens in a world, its scripted expert included; `draw/` does not affect it."""
    folder = Path(__file__).parent
    paths = sorted((folder / world).glob("*.py")) or sorted(folder.glob("gym*.py"))  # one adapter for ENVIRONMENTS
    digest = hashlib.sha256()
    for path in (folder / "rng.py", folder / "simulator.py", *paths):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()
