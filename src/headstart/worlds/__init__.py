"""Batched simulators behind one contract (`api.py`). No files, no telemetry, no torch."""

from collections.abc import Mapping, Sequence
from typing import Any

from headstart.errors import InputError
from headstart.worlds.api import FIRST_WORLD, World, WorldSpec

__all__ = ["FIRST_WORLD", "World", "WorldSpec", "make"]


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
    raise InputError(f"world: expected town, got {world!r}")
