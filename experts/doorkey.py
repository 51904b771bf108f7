"""MiniGrid's DoorKey: fetch the key, open the door, walk to the goal, by breadth-first search on what the agent sees."""

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

EMPTY, DOOR, KEY, GOAL = 1, 4, 5, 8  # minigrid.core.constants: OBJECT_TO_IDX
OPEN = 0  # STATE_TO_IDX of a door
LEFT, RIGHT, FORWARD, PICK_UP, TOGGLE = 0, 1, 2, 3, 5
SIZE, ME = 7, (3, 6)  # of the view in cells, and where the agent stands in it, looking up
AHEAD = ((0, -1), (1, 0), (0, 1), (-1, 0))  # by direction: up, right, down, left

Pose = tuple[int, int, int]  # column, row, direction


def act(obs: Any, info: Any) -> int:
    """The flattened picture [7 · 7 · 3] of object, colour and state → an action. What is carried lies on the agent's own cell."""
    view = np.asarray(obs).reshape(SIZE, SIZE, 3)
    kind, state = view[..., 0], view[..., 2]
    free = (kind == EMPTY) | (kind == GOAL) | ((kind == DOOR) & (state == OPEN))
    shut = (kind == DOOR) & (state != OPEN)
    found = first_move(free, lambda pose: kind[pose[:2]] == GOAL)
    if found is None and kind[ME] == KEY:
        found = first_move(free, before(shut), TOGGLE)
    elif found is None:
        found = first_move(free, before(kind == KEY), PICK_UP)
    if found is None:
        found = first_move(free, lambda pose: kind[pose[:2]] == DOOR)
    return LEFT if found is None else found


def before(wanted: Any) -> Callable[[Pose], bool]:
    """Whether a pose faces a cell of `wanted` [7, 7]."""

    def faces(pose: Pose) -> bool:
        cell = ahead(pose)
        return inside(cell) and bool(wanted[cell])

    return faces


def first_move(free: Any, there: Callable[[Pose], bool], then: int | None = None) -> int | None:
    """The first action of a shortest way over `free` cells to a pose that is `there`, `then` where it begins there; None: no way is seen."""
    queue: deque[tuple[Pose, int | None]] = deque([((*ME, 0), None)])
    seen = {queue[0][0]}
    while queue:
        pose, first = queue.popleft()
        if there(pose):
            return then if first is None else first
        x, y, facing = pose
        cell = ahead(pose)
        turns = [(LEFT, (x, y, (facing - 1) % 4)), (RIGHT, (x, y, (facing + 1) % 4))]
        for action, after in [(FORWARD, (*cell, facing)), *turns]:
            walkable = action != FORWARD or (inside(cell) and free[cell])
            if walkable and after not in seen:
                seen.add(after)
                queue.append((after, action if first is None else first))
    return None


def ahead(pose: Pose) -> tuple[int, int]:
    """The cell that a pose faces."""
    x, y, facing = pose
    return x + AHEAD[facing][0], y + AHEAD[facing][1]


def inside(cell: tuple[int, int]) -> bool:
    """Whether the view has this cell."""
    return 0 <= cell[0] < SIZE and 0 <= cell[1] < SIZE
