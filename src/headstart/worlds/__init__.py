"""Batched simulators behind one contract (`api.py`). No files, no telemetry, no torch."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headstart.errors import InputError
from headstart.worlds.api import FIRST_WORLD, World, WorldSpec

__all__ = ["FIRST_WORLD", "World", "WorldSpec", "make", "source_sha256"]


def make(
    world: str,
    setup: Mapping[str, Any],
    *,
    horizon: int,
    success: Sequence[str],
    harm: Sequence[str],
    num_worlds: int,
    first_world: int = 0,
    hybrid: bool = False,
) -> World:
    """W = `num_worlds` worlds of one scenario, with ids from `first_world`.

    `setup` is the world's own section of the scenario file. Raises InputError for an unknown world or a bad setup.
    """
    if world == "town":
        from headstart.worlds.town.env import Town

        return Town(
            setup,
            horizon=horizon,
            success=success,
            harm=harm,
            num_worlds=num_worlds,
            first_world=first_world,
            hybrid=hybrid,
        )
    if world == "nav":
        from headstart.worlds.nav.env import Nav

        if hybrid:
            raise InputError("world nav has no map: expected observation compact, got hybrid")
        return Nav(setup, horizon=horizon, success=success, harm=harm, num_worlds=num_worlds, first_world=first_world)
    raise InputError(f"world: expected town or nav, got {world!r}")


def source_sha256(world: str) -> str:
    """Hash of the sources that decide what happens in a world, its scripted expert included."""
    folder = Path(__file__).parent
    digest = hashlib.sha256((folder / "rng.py").read_bytes())
    for path in sorted((folder / world).glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()
