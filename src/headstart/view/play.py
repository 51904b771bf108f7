"""An episode of one world to watch: in the terminal, or one moment of it as a PNG file."""

import re
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

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


def png(picture: npt.NDArray[np.uint8]) -> bytes:
    """The bytes of a PNG file (ISO/IEC 15948) from [height, width, 3] red, green and blue; no image library is needed."""
    height, width, _ = picture.shape
    rows = np.hstack([np.zeros((height, 1), np.uint8), picture.reshape(height, width * 3)])  # filter 0 before every row
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # eight bits, colour, nothing interlaced
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _first(world: World) -> Any:
    rendered = world.render()
    assert rendered is not None
    return rendered[0]


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
