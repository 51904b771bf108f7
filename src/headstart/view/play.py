"""An episode of one world before your eyes: in the terminal, or its last moment as a picture."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from headstart.core.arrays import Array
from headstart.core.errors import UsageError
from headstart.worlds.api import Observations, World

HIDE_CURSOR, SHOW_CURSOR, HOME, CLEAR_LINE, CLEAR_REST = "\x1b[?25l", "\x1b[?25h", "\x1b[H", "\x1b[K", "\x1b[J"
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def frames(world: World, act: Callable[[Observations], Array], seed: int, ticks: int) -> Iterator[Any]:
    """What `world.render` returns for its first world: at the start, and after each of `ticks` ticks.

    The tick that ends an episode also begins the next one, so the last moment to be seen is one tick before the horizon.
    """
    if not 0 <= ticks < world.horizon:
        raise UsageError(f"ticks: expected 0 to {world.horizon - 1}, got {ticks}")
    obs, _ = world.reset(seed=seed)
    yield _first(world)
    for _ in range(ticks):
        obs, *_ = world.step(act(obs))
        yield _first(world)


def show(texts: Iterator[str], out: TextIO, ticks_per_second: float, colour: bool) -> None:
    """Write the texts over each other where `out` is a terminal, else one after the other without waiting."""
    screen = out.isatty()
    try:
        if screen:
            out.write(HIDE_CURSOR + HOME + CLEAR_REST)
        for text in texts:
            plain = text if colour else COLOURS.sub("", text)
            out.write(HOME + plain.replace("\n", CLEAR_LINE + "\n") + CLEAR_REST if screen else plain + "\n")
            out.flush()
            if screen:
                time.sleep(1 / ticks_per_second)
    finally:
        if screen:
            out.write(SHOW_CURSOR)
            out.flush()


def _first(world: World) -> Any:
    rendered = world.render()
    assert rendered is not None
    return rendered[0]
