"""Makes the worlds of a scenario, of any simulator."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headstart.core.errors import InputError, UsageError
from headstart.worlds.api import World


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
    script: str | None = None,
    render_mode: str | None = None,
) -> World:
    """W = `num_worlds` worlds of one scenario, with ids from `first_world`.

    `setup` is the world's section of the scenario file; `script` names one of its scripted experts if it has several; `render_mode` is what
    `render` returns: "ansi" or "rgb_array". Raises InputError for an unknown world or a bad setup, UsageError for a mode that the world does
    not have.
    """
    if script is not None and world != "nav":
        raise InputError(f"expert.script: world {world} has no scripts to choose from, got {script!r}")
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
    if world == "nav":
        from headstart.worlds.nav.env import Nav

        _require_compact(world, hybrid)
        return Nav(
            setup,
            horizon=horizon,
            success=success,
            harm=harm,
            num_worlds=num_worlds,
            first_world=first_world,
            expert=script or "gap_seeker",
            render_mode=render_mode,
        )
    if world == "gym":
        from headstart.worlds.gym import GymWorld

        _require_compact(world, hybrid)
        if render_mode is not None:
            raise UsageError(f"render_mode: a Gymnasium world cannot be drawn, expected None, got {render_mode!r}")
        return GymWorld(setup, horizon=horizon, success=success, harm=harm, num_worlds=num_worlds, first_world=first_world)
    raise InputError(f"world: expected town, nav or gym, got {world!r}")


def _require_compact(world: str, hybrid: bool) -> None:
    if hybrid:
        raise InputError(f"world {world} has no map: expected observation compact, got hybrid")


def source_sha256(world: str) -> str:
    """Hash of the sources that decide what happens in a world, its scripted expert included; `draw/` does not affect it."""
    folder = Path(__file__).parent
    paths = sorted((folder / world).glob("*.py")) or [folder / f"{world}.py"]
    digest = hashlib.sha256((folder / "rng.py").read_bytes())
    for path in paths:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()
