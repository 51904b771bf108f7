"""A policy in one world to watch: what it does step by step, in the terminal, or one moment of it as a PNG file."""

import re
import struct
import time
import zlib
from collections.abc import Callable, Iterable
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

from headstart.core.arrays import Array
from headstart.core.errors import UsageError
from headstart.view.track import Track, track_of
from headstart.worlds.api import Observations, World

HIDE_CURSOR, SHOW_CURSOR, HOME, CLEAR_LINE, CLEAR_REST = "\x1b[?25l", "\x1b[?25h", "\x1b[H", "\x1b[K", "\x1b[J"
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def played(
    world: World, act: Callable[[Observations], Array], seed: int, ticks: int | None, agent: int, title: str, about: str = ""
) -> Track:
    """What `act` does in the first world of `world`, for `ticks` ticks or to the end of its episode; beside it the row of `agent`.

    The tick that ends an episode also begins the next one: only environments that draw themselves show the last moment.
    """
    if ticks is not None and not 0 <= ticks < world.horizon:
        raise UsageError(f"ticks: expected 0 to {world.horizon - 1}, got {ticks}")
    if not 0 <= agent < world.num_agents:
        raise UsageError(f"agent: expected 0 to {world.num_agents - 1}, got {agent}")
    track = track_of(world, title, about)
    obs, _ = world.reset(seed=seed)
    for _ in range(world.horizon if ticks is None else ticks):
        track.see(world, agent)
        actions = act(obs)
        track.acted(obs, agent, actions[agent], _probability(act, agent, actions))
        obs, reward, terminated, truncated, info = world.step(actions)
        track.paid(agent, reward, terminated, truncated, info)
        if info["episode_end"][0]:
            track.ended(info, agent)
            track.says = (_outcome(world, track, info["stats"]),)
            break
    else:
        track.see(world, agent)
    return track


def _outcome(world: World, track: Track, stats: Array) -> str:
    success, harm = ("yes" if found[0] else "no" for found in (world.success(stats), world.harm(stats)))
    return f"{len(track)} steps, return {sum(track.reward):.4g}, success {success}, harm {harm}"


def _probability(act: Any, row: int, actions: Array) -> float | None:
    """Of the action that a network chose among K; None of anything else."""
    shares = getattr(getattr(act, "policy", None), "probability", None)
    return None if shares is None else round(float(shares[row, int(actions[row])]), 4)


def show(texts: Iterable[str], out: TextIO, ticks_per_second: float, colour: bool) -> None:
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


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
