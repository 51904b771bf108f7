"""The map: walls, floor and objects in eight turns, and how many steps it is from everywhere to everything (§1)."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from headstart.worlds.town.state import FAR, GRID

Cell = tuple[int, int]  # y, x
Steps = dict[Cell, int]  # cells that are not in it cannot be reached

SIDES = {"north": (-1, 0), "south": (1, 0), "east": (0, 1), "west": (0, -1)}  # the order of all ties (§12.12)
KINDS = {"F": "fridge", "T": "stove", "S": "shower", "B": "bed", "C": "workplace", "K": "workplace"}
CLEARANCE = 5  # steps from a spawn cell to any object, at least


def beside(cell: Cell, side: str) -> Cell:
    dy, dx = SIDES[side]
    return cell[0] + dy, cell[1] + dx


def apart(one: Cell, other: Cell) -> int:
    """Manhattan distance."""
    return abs(one[0] - other[0]) + abs(one[1] - other[1])


@dataclass(frozen=True)
class Plan:
    """One turn of a map, and everything about it that never changes."""

    walls: set[Cell]
    floor: set[Cell]
    kinds: list[str]  # of object 0, 1, …
    places: list[Cell]
    ways: list[Steps]  # to the nearest service cell of object 0, 1, …
    narrow: set[Cell]
    spawn: list[Cell]
    parking: Steps  # to the nearest spawn cell

    def distance(self, o: int, cell: Cell) -> int:
        return self.ways[o].get(cell, FAR)

    def nearest(self, kind: str, cell: Cell) -> int | None:
        """The object of a kind with the shortest way; the first of several."""
        return min(self.all_of(kind), key=lambda o: self.distance(o, cell), default=None)

    def all_of(self, kind: str) -> list[int]:
        return [o for o, other in enumerate(self.kinds) if other == kind]


@cache
def read_plans(text: str) -> list[Plan]:
    """The eight turns of a map: four rotations, counter-clockwise, of it and of its mirror image. Missing rows are wall."""
    rows = text.split()
    rows += ["#" * GRID] * (GRID - len(rows))
    plans = []
    for drawing in (rows, [row[::-1] for row in rows]):
        for _ in range(4):
            plans.append(read_plan(drawing))
            drawing = ["".join(column) for column in zip(*drawing, strict=True)][::-1]
    return plans


def read_plan(rows: list[str]) -> Plan:
    """Reading: objects are numbered by letter, then by row and column, so that most keep their number when the map turns."""
    cells = {(y, x): letter for y, row in enumerate(rows) for x, letter in enumerate(row)}
    floor = {cell for cell, letter in cells.items() if letter == "."}
    objects = sorted((letter, cell) for cell, letter in cells.items() if letter in KINDS)
    ways = [walk([beside(cell, side) for side in SIDES], floor) for _, cell in objects]
    narrow = tight_spots(floor)
    spawn = [c for c in sorted(floor - narrow) if CLEARANCE <= min(way.get(c, FAR) for way in ways) < FAR]
    return Plan(
        walls={cell for cell, letter in cells.items() if letter == "#"},
        floor=floor,
        kinds=[KINDS[letter] for letter, _ in objects],
        places=[cell for _, cell in objects],
        ways=ways,
        narrow=narrow,
        spawn=spawn,
        parking=walk(spawn, floor),
    )


def walk(goals: Iterable[Cell], floor: set[Cell]) -> Steps:
    """Breadth-first steps from every floor cell to the nearest of `goals`."""
    steps = {goal: 0 for goal in goals if goal in floor}
    line = deque(steps)
    while line:
        here = line.popleft()
        for side in SIDES:
            there = beside(here, side)
            if there in floor and there not in steps:
                steps[there] = steps[here] + 1
                line.append(there)
    return steps


def tight_spots(floor: set[Cell]) -> set[Cell]:
    """Floor where two cannot pass, because opposite sides are closed, and the floor next to it.

    Reading: §1 says "walls on two opposite sides"; an object closes a side as a wall does.
    """

    def closed(cell: Cell, side: str) -> bool:
        return beside(cell, side) not in floor

    gates = {
        cell
        for cell in floor
        if (closed(cell, "north") and closed(cell, "south")) or (closed(cell, "east") and closed(cell, "west"))
    }
    return gates | {beside(gate, side) for gate in gates for side in SIDES} & floor
