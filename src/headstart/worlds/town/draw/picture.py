"""A world as a picture: floor, walls, objects as squares with a letter, agents as discs with their number.

An agent's status is a shape at its upper right: ring, waits; triangle, may use the object; square, uses it. Dots under an object: its queue.
A yellow cell: where two agents shall meet.
"""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from headstart.worlds.town.draw.colours import AGENTS, FLOOR, INK, LETTERS, LINE, MEETING, OBJECTS, PAPER, WALL, Rgb, ink_on
from headstart.worlds.town.state import CLAIM, GRID, NONE, WAITING

Picture = npt.NDArray[np.uint8]  # [height, width, 3]
Area = npt.NDArray[np.float64]  # [CELL, CELL] share of each pixel that a shape covers
CELL = 32  # pixels
LEGEND = (
    "Discs are agents with their numbers; squares are objects: F fridge, T stove, S shower, B bed, W workplace, with a dot for each agent in "
    "the queue. At an agent a ring says that it waits, a triangle that it may use the object, a square that it uses it. Yellow: a meeting."
)
FINE = 4  # samples a pixel, each way, for smooth edges

# 5 × 7 dots of the letters of objects and the numbers of agents; a row is five bits
GLYPHS = {
    "F": (31, 16, 16, 30, 16, 16, 16), "T": (31, 4, 4, 4, 4, 4, 4), "S": (15, 16, 16, 14, 1, 1, 30),
    "B": (30, 17, 17, 30, 17, 17, 30), "W": (17, 17, 17, 21, 21, 21, 10), "0": (14, 17, 19, 21, 25, 17, 14),
    "1": (4, 12, 4, 4, 4, 4, 14), "2": (14, 17, 1, 2, 4, 8, 31), "3": (31, 2, 4, 2, 1, 17, 14),
    "4": (2, 6, 10, 18, 31, 2, 2), "5": (31, 16, 30, 1, 1, 17, 14), "6": (6, 8, 16, 30, 17, 17, 14),
    "7": (31, 1, 2, 4, 8, 8, 8),
}  # fmt: skip


def picture(world: Any, plan: Any) -> Picture:
    """One world (WORLD and PLAN records) as [16 · 32, 16 · 32, 3] u8."""
    image = np.empty((GRID * CELL, GRID * CELL, 3), np.uint8)
    for y in range(GRID):
        for x in range(GRID):
            cell = image[y * CELL : (y + 1) * CELL, x * CELL : (x + 1) * CELL]
            a, o = int(world["occupant"][y, x]), int(plan["object_at"][y, x])
            if o >= 0 or plan["floor"][y + 1, x + 1]:
                cell[:] = FLOOR
                cell[-1] = cell[:, -1] = LINE
            else:
                cell[:] = WALL
            if world["meet_a"] >= 0 and (y, x) == (world["meet_y"], world["meet_x"]):
                cell[2:-3, 2:-3] = MEETING
            if o >= 0:
                _object(cell, int(plan["object_type"][o]), int(world["object"][o]["length"]))
            if a >= 0:
                _agent(cell, a, int(world["agent"][a]["status"]))
    return image


def _object(cell: Picture, kind: int, waiting: int) -> None:
    cell[2:-3, 2:-3] = OBJECTS[kind]
    ink = ink_on(OBJECTS[kind])
    _letter(cell, LETTERS[kind], ink, top=5 if waiting else 8)
    for place in range(waiting):
        _blend(cell, _disc(centre=(25, 6 + 3.6 * place), radius=1.6), ink)


def _agent(cell: Picture, a: int, status: int) -> None:
    _blend(cell, _disc((16, 15.5), 12.5), INK)
    _blend(cell, _disc((16, 15.5), 11.5), AGENTS[a])
    _letter(cell, str(a), ink_on(AGENTS[a]), top=9, left=11)
    if status == NONE:
        return
    mark = _disc((6, 25), 5) - _disc((6, 25), 2.5) if status == WAITING else _triangle() if status == CLAIM else _square()
    _blend(cell, _disc((6, 25), 7), PAPER)
    _blend(cell, mark, INK)


def _letter(cell: Picture, letter: str, ink: Rgb, top: int, left: int = 11) -> None:
    """A glyph in dots of two pixels."""
    bits = np.array([[(row >> (4 - column)) & 1 for column in range(5)] for row in GLYPHS[letter]], bool)
    dots = np.kron(bits, np.ones((2, 2), bool))
    cell[top : top + 14, left : left + 10][dots] = ink


def _blend(cell: Picture, area: Area, colour: Rgb) -> None:
    share = area[:, :, None]
    cell[:] = np.rint(cell * (1 - share) + np.array(colour) * share).astype(np.uint8)


@cache
def _disc(centre: tuple[float, float], radius: float) -> Area:
    y, x = _samples()
    return _smooth((y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2)


@cache
def _triangle() -> Area:
    y, x = _samples()
    return _smooth((y <= 9.5) & (y - 1 >= 2 * np.abs(x - 25)))


@cache
def _square() -> Area:
    y, x = _samples()
    return _smooth((np.abs(y - 6) <= 4) & (np.abs(x - 25) <= 4))


def _samples() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Row and column of every sample in a cell (pixels): [CELL · FINE, 1] and [1, CELL · FINE]."""
    at = (np.arange(CELL * FINE) + 0.5) / FINE
    return at[:, None], at[None, :]


def _smooth(inside: npt.NDArray[np.bool_]) -> Area:
    return np.asarray(inside.reshape(CELL, FINE, CELL, FINE).mean(axis=(1, 3)))
