"""Text maps: `#` wall, `.` floor, letters for objects; read once, turned into all eight rotations and mirrors."""

from collections import deque
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from headstart.core.errors import InputError
from headstart.worlds.town.state import (
    DX,
    DY,
    EAST,
    FAR,
    GRID,
    MAX_AGENTS,
    MAX_OBJECTS,
    NORTH,
    OBJECT_TYPES,
    PLAN,
    SOUTH,
    WEST,
    WORKPLACE,
)

LETTERS = {"F": 0, "T": 1, "S": 2, "B": 3, "C": 4, "K": 4}  # → index in OBJECT_TYPES; C and K are two workplaces
SPAWN_CLEARANCE = 5  # cells from any object
DIRECTIONS = (NORTH, SOUTH, EAST, WEST)
Cells = npt.NDArray[np.int32]


def read_layout(text: str) -> np.ndarray:
    """The eight plans of a text map: PLAN records [8].

    Up to 16 rows of 16 characters; missing rows at the bottom are wall. Raises InputError that names the row.
    """
    return _read(text).copy()


@lru_cache(maxsize=16)
def _read(text: str) -> np.ndarray:
    """A copy is a thousand times faster than the searches for ways; a process makes many worlds of one map."""
    rows = text.split()
    if not 1 <= len(rows) <= GRID:
        raise InputError(f"layout: expected 1 to {GRID} rows, got {len(rows)}")
    for number, row in enumerate(rows, 1):
        unknown = set(row) - set("#.") - set(LETTERS)
        if len(row) != GRID or unknown:
            what = f"unknown characters {sorted(unknown)}" if unknown else f"{len(row)} characters"
            raise InputError(f"layout row {number}: expected {GRID} of '#.{''.join(LETTERS)}', got {what}")
    grid = np.array([list(row) for row in rows] + [["#"] * GRID] * (GRID - len(rows)))
    turned = [np.rot90(flipped, k) for flipped in (grid, grid[:, ::-1]) for k in range(4)]
    return np.array([_plan(cells) for cells in turned])


def _plan(cells: np.ndarray) -> np.ndarray:
    """One PLAN record of a [16, 16] character grid."""
    plan = np.zeros((), PLAN)
    floor = cells == "."
    plan["floor"][1:-1, 1:-1] = floor
    plan["object_at"][:] = -1
    # by letter, then place: an object keeps its number under rotation if letters differ
    places = sorted((cells[y, x], y, x) for y, x in np.argwhere(np.isin(cells, list(LETTERS))))
    if not 1 <= len(places) <= MAX_OBJECTS:
        raise InputError(f"layout: expected 1 to {MAX_OBJECTS} objects, got {len(places)}")
    plan["n_objects"] = len(places)
    plan["distance"][:] = FAR
    for index, (letter, y, x) in enumerate(places):
        plan["object_type"][index] = LETTERS[letter]
        plan["place"][index] = y, x
        plan["object_at"][y, x] = index
        services = [(y + DY[d], x + DX[d]) for d in DIRECTIONS]
        plan["distance"][index] = _steps(floor, [c for c in services if _inside(c) and floor[c]])
        plan["descends"][index] = _descends(plan["distance"][index])
        plan["object_view"][5 + y, 5 + x] = (LETTERS[letter] + 1) * 40
    kinds = plan["object_type"][: len(places)]
    workplaces = np.flatnonzero(kinds == WORKPLACE)
    plan["n_workplaces"] = len(workplaces)
    plan["workplace"][: len(workplaces)] = workplaces
    for kind in range(len(OBJECT_TYPES)):
        of_kind = np.flatnonzero(kinds == kind)
        plan["nearest"][kind] = of_kind[np.argmin(plan["distance"][of_kind], axis=0)] if len(of_kind) else -1
    plan["to_object"] = plan["distance"][: len(places)].min(axis=0)
    plan["narrow"] = _narrow(floor)
    spawn = np.argwhere(floor & (plan["narrow"] == 0) & (plan["to_object"] >= SPAWN_CLEARANCE) & (plan["to_object"] < FAR))
    if len(spawn) < MAX_AGENTS:
        raise InputError(f"layout: expected at least {MAX_AGENTS} cells to start from, got {len(spawn)}")
    plan["n_spawn"] = len(spawn)
    plan["spawn"][: len(spawn)] = spawn
    plan["parking"] = _steps(floor, [(int(y), int(x)) for y, x in spawn])
    plan["parking_descends"] = _descends(plan["parking"])
    plan["wall_view"] = 255
    plan["wall_view"][5:-5, 5:-5] = np.where(cells == "#", 255, 0)
    return plan


def _inside(cell: tuple[int, int]) -> bool:
    return 0 <= cell[0] < GRID and 0 <= cell[1] < GRID


def _steps(floor: np.ndarray, sources: list[tuple[int, int]]) -> Cells:
    """Breadth-first steps over floor cells from the nearest of `sources`; FAR where there is no way."""
    steps = np.full((GRID, GRID), FAR, np.int32)
    queue = deque(sources)
    for cell in sources:
        steps[cell] = 0
    while queue:
        y, x = queue.popleft()
        for d in DIRECTIONS:
            cell = (y + DY[d], x + DX[d])
            if _inside(cell) and floor[cell] and steps[cell] == FAR:
                steps[cell] = steps[y, x] + 1
                queue.append(cell)
    return steps


def _descends(steps: Cells) -> np.ndarray:
    """Bits [16, 16]: bit d-1 is set where the neighbour in direction d is nearer."""
    nearer = [
        (neighbour < steps).astype(np.uint8) << (d - 1) for d, neighbour in zip(DIRECTIONS, _beside(steps, FAR), strict=True)
    ]
    return np.asarray(np.bitwise_or.reduce(nearer))


def _narrow(floor: np.ndarray) -> np.ndarray:
    """Floor cells [16, 16] with something solid on two opposite sides, and the floor cells next to those."""
    north, south, east, west = _beside(floor, False)
    gate = floor & ((~north & ~south) | (~east & ~west))
    return np.asarray(floor & np.logical_or.reduce([gate, *_beside(gate, False)]))


def _beside(cells: np.ndarray, outside: int) -> list[np.ndarray]:
    """For each direction, the neighbours [16, 16] of all cells; `outside` is beyond the edge."""
    framed = np.pad(cells, 1, constant_values=outside)
    return [framed[1 + DY[d] : 1 + DY[d] + GRID, 1 + DX[d] : 1 + DX[d] + GRID] for d in DIRECTIONS]
