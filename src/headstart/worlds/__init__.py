"""Batched simulators behind one contract (`api.py`). No files, no telemetry, no torch."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headstart.errors import InputError, UsageError
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
    render_mode: str | None = None,
) -> World:
    """W = `num_worlds` worlds of one scenario, with ids from `first_world`.

    `setup` is the world's own section of the scenario file; `render_mode` what `render` returns: "ansi" or "rgb_array".
    Raises InputError for an unknown world or a bad setup, UsageError for a mode that the world does not have.
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
            render_mode=render_mode,
        )
    if world == "gym":
        from headstart.worlds.gym import GymWorld

        if hybrid:
            raise InputError("observation: a Gymnasium world has no map, expected compact, got hybrid")
        if render_mode is not None:
            raise UsageError(f"render_mode: a Gymnasium world cannot be drawn, expected None, got {render_mode!r}")
        return GymWorld(setup, horizon=horizon, success=success, harm=harm, num_worlds=num_worlds, first_world=first_world)
    raise InputError(f"world: expected town or gym, got {world!r}")


def source_sha256(world: str) -> str:
    """Hash of the sources that decide what happens in a world, its scripted expert included; `draw/` decides nothing."""
    folder = Path(__file__).parent
    paths = sorted((folder / world).glob("*.py")) or [folder / f"{world}.py"]
    digest = hashlib.sha256((folder / "rng.py").read_bytes())
    for path in paths:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()
