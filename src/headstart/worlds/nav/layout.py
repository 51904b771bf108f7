"""Eight families of situations: walls, pedestrians and route of a new episode, from its difficulty d in [0, 1].

Every number has its own random stream, so that a family's geometry does not depend on what else is drawn. Layouts are computed in float64
and rounded once, when stored. x points along the corridor, the robot starts near x = 0.8; half of the episodes are mirrored in y.
"""

from headstart.worlds.jit import rule
from headstart.worlds.nav.angles import QUARTER, TURN
from headstart.worlds.nav.pieces import (
    BOX,
    DIFFICULTY,
    FAMILY,
    FROM,
    GOAL,
    HEADING,
    MAP,
    MIRROR,
    PLACE,
    SHAPE,
    START,
    TO,
    count,
    middle,
    mirror,
    room,
    route,
    uniform,
    walker,
    wall,
    waypoint,
)
from headstart.worlds.nav.state import (
    BOTTLENECK,
    CROSSING,
    DOORWAY,
    HEAD_ON,
    MERGING,
    OPEN_CROWD,
    OVERTAKING,
)

START_X, GOAL_X, LENGTH = 0.8, 11.2, 12.0  # of a room
CORRIDOR_GOAL_X, CORRIDOR_LENGTH = 12.2, 13.0
LEG = 6.0  # of the blind corner


@rule
def lay_out(world, setup):
    """Draw the family and build it; the robot's heading is within 45° of the way it has to go."""
    world.n_walls = world.n_peds = world.n_waypoints = 0
    world.family = setup.families[int(uniform(world, MAP, FAMILY, 0.0, setup.n_families))]
    d = uniform(world, MAP, DIFFICULTY, setup.difficulty_low, setup.difficulty_high)
    world.difficulty = d
    world.heading = int(uniform(world, MAP, HEADING, -TURN // 8, TURN // 8))
    if world.family == OPEN_CROWD:
        _open_crowd(world, setup, d)
    elif world.family == CROSSING:
        _crossing(world, setup, d)
    elif world.family == HEAD_ON or world.family == OVERTAKING:
        _corridor(world, setup, d)
    elif world.family == DOORWAY:
        _doorway(world, setup, d)
    elif world.family == BOTTLENECK:
        _bottleneck(world, setup, d)
    elif world.family == MERGING:
        _merging(world, setup, d)
    else:
        _blind_corner(world, setup, d)
    if uniform(world, MAP, MIRROR, 0.0, 1.0) < 0.5:
        mirror(world)


# --- the families -----------------------------------------------------------------------------------------------------


@rule
def _open_crowd(world, setup, d):
    half = uniform(world, MAP, SHAPE, 4.0, 5.0)
    room(world, 0.0, -half, LENGTH, half)
    for i in range(int(uniform(world, MAP, SHAPE + 1, 0.0, 3.0))):
        size = uniform(world, BOX + i, 0, 0.3, 0.8)
        x, y = uniform(world, BOX + i, 1, 3.0, 9.0), uniform(world, BOX + i, 2, 1.5 - half, half - 1.5)
        room(world, x - size, y - size, x + size, y + size)
    route(world, (START_X, uniform(world, MAP, START, 1.2 - half, half - 1.2)))
    waypoint(world, (GOAL_X, uniform(world, MAP, GOAL, 1.2 - half, half - 1.2)))
    for i in range(count(setup, 3, 6, d)):
        a = uniform(world, i, PLACE, 1.0, 11.0), uniform(world, i, FROM, 1.0 - half, half - 1.0)
        b = uniform(world, i, PLACE + 1, 1.0, 11.0), uniform(world, i, TO, 1.0 - half, half - 1.0)
        walker(world, setup, a, middle(a, b), b)


@rule
def _crossing(world, setup, d):
    room(world, 0.0, -4.5, LENGTH, 4.5)
    route(world, (START_X, uniform(world, MAP, START, -1.0, 1.0)))
    waypoint(world, (GOAL_X, uniform(world, MAP, GOAL, -1.0, 1.0)))
    for i in range(count(setup, 2, 7, d)):
        x, drift = uniform(world, i, PLACE, 3.0, 9.5), uniform(world, i, PLACE + 1, -1.0, 1.0)
        side = 1.0 if uniform(world, i, PLACE + 2, 0.0, 1.0) < 0.5 else -1.0
        a = x, side * uniform(world, i, FROM, 2.0, 4.0)
        b = x + drift, -side * uniform(world, i, TO, 2.0, 4.0)
        walker(world, setup, a, middle(a, b), b)


@rule
def _corridor(world, setup, d):
    """Head-on: pedestrians come towards the robot. Overtaking: slow ones walk ahead of it."""
    half = (1.9 - 0.6 * d + uniform(world, MAP, SHAPE, 0.0, 0.2)) * setup.width
    room(world, 0.0, -half, CORRIDOR_LENGTH, half)
    route(world, (START_X, uniform(world, MAP, START, 0.6 - half, half - 0.6)))
    waypoint(world, (CORRIDOR_GOAL_X, uniform(world, MAP, GOAL, 0.6 - half, half - 0.6)))
    for i in range(count(setup, 1, 4, d)):
        y = uniform(world, i, FROM, 0.5 - half, half - 0.5)
        y_end = uniform(world, i, TO, 0.5 - half, half - 0.5)
        a, b = (uniform(world, i, PLACE, 5.0, 12.0), y), (START_X, y_end)
        if world.family == OVERTAKING:
            a, b = (START_X + uniform(world, i, PLACE, 2.2, 7.2), y), (CORRIDOR_GOAL_X, y_end)
        walker(world, setup, a, middle(a, b), b)


@rule
def _doorway(world, setup, d):
    room(world, 0.0, -4.0, LENGTH, 4.0)
    x, y = uniform(world, MAP, SHAPE, 5.0, 7.0), uniform(world, MAP, SHAPE + 1, -2.4, 2.4)
    half = (0.85 - 0.2 * d) * setup.width
    wall(world, (x, -4.0), (x, y - half))
    wall(world, (x, y + half), (x, 4.0))
    route(world, (START_X, uniform(world, MAP, START, -3.0, 3.0)))
    waypoint(world, (x + 0.4, y))  # beyond the door: a waypoint in it pulls the robot into the jamb
    waypoint(world, (GOAL_X, uniform(world, MAP, GOAL, -3.0, 3.0)))
    for i in range(count(setup, 1, 4, d)):
        a = uniform(world, i, PLACE, x + 1.0, 11.2), uniform(world, i, FROM, -3.2, 3.2)
        b = uniform(world, i, PLACE + 1, 0.8, x - 1.0), uniform(world, i, TO, -3.2, 3.2)
        walker(world, setup, a, (x, y), b)


@rule
def _bottleneck(world, setup, d):
    half, neck = 2.2, (1.1 - 0.3 * d) * setup.width
    x, length = uniform(world, MAP, SHAPE, 5.5, 7.5), uniform(world, MAP, SHAPE + 1, 1.5, 3.0)
    first, last = x - length / 2, x + length / 2
    for side in (-1.0, 1.0):
        wall(world, (0.0, side * half), (first, side * half))
        wall(world, (first, side * half), (first, side * neck))
        wall(world, (first, side * neck), (last, side * neck))
        wall(world, (last, side * neck), (last, side * half))
        wall(world, (last, side * half), (CORRIDOR_LENGTH, side * half))
    wall(world, (0.0, -half), (0.0, half))
    wall(world, (CORRIDOR_LENGTH, -half), (CORRIDOR_LENGTH, half))
    route(world, (START_X, uniform(world, MAP, START, -1.5, 1.5)))
    waypoint(world, (x, 0.0))
    waypoint(world, (CORRIDOR_GOAL_X, uniform(world, MAP, GOAL, -1.5, 1.5)))
    for i in range(count(setup, 1, 4, d)):
        near = uniform(world, i, PLACE, 1.0, first - 0.5), uniform(world, i, FROM, -1.6, 1.6)
        far = uniform(world, i, PLACE + 1, last + 0.5, 12.0), uniform(world, i, TO, -1.6, 1.6)
        if uniform(world, i, PLACE + 2, 0.0, 1.0) < 0.7:
            near, far = far, near
        walker(world, setup, near, (x, uniform(world, i, PLACE + 3, 0.5 - neck, neck - 0.5)), far)


@rule
def _merging(world, setup, d):
    """The robot comes up a side arm into a corridor where pedestrians walk towards its goal."""
    half, arm = (1.5 - 0.2 * d) * setup.width, uniform(world, MAP, SHAPE, 0.9, 1.3) * setup.width
    x, depth = uniform(world, MAP, SHAPE + 1, 3.5, 5.0), 4.0
    floor = -half - depth
    wall(world, (0.0, half), (CORRIDOR_LENGTH, half))
    wall(world, (0.0, -half), (x - arm, -half))
    wall(world, (x + arm, -half), (CORRIDOR_LENGTH, -half))
    wall(world, (0.0, -half), (0.0, half))
    wall(world, (CORRIDOR_LENGTH, -half), (CORRIDOR_LENGTH, half))
    wall(world, (x - arm, -half), (x - arm, floor))
    wall(world, (x + arm, -half), (x + arm, floor))
    wall(world, (x - arm, floor), (x + arm, floor))
    route(world, (x + uniform(world, MAP, START, 0.5 - arm, arm - 0.5), floor + 0.8))
    waypoint(world, (x, -0.3 * half))
    waypoint(world, (CORRIDOR_GOAL_X, uniform(world, MAP, GOAL, 0.6 - half, half - 0.6)))
    world.heading += QUARTER
    for i in range(count(setup, 2, 4, d)):
        a = uniform(world, i, PLACE, 0.5, x + 1.0), uniform(world, i, FROM, 0.5 - half, half - 0.5)
        b = 12.4, uniform(world, i, TO, 0.5 - half, half - 0.5)
        walker(world, setup, a, middle(a, b), b)


@rule
def _blind_corner(world, setup, d):
    half, x = (1.5 - 0.3 * d) * setup.width, uniform(world, MAP, SHAPE, 5.0, 7.0)
    wall(world, (0.0, -half), (x + half, -half))
    wall(world, (x + half, -half), (x + half, LEG))
    wall(world, (x + half, LEG), (x - half, LEG))
    wall(world, (x - half, LEG), (x - half, half))
    wall(world, (x - half, half), (0.0, half))
    wall(world, (0.0, half), (0.0, -half))
    route(world, (START_X, uniform(world, MAP, START, 0.6 - half, half - 0.6)))
    waypoint(world, (x, 0.0))
    waypoint(world, (x + uniform(world, MAP, GOAL, 0.6 - half, half - 0.6), LEG - 0.8))
    for i in range(count(setup, 1, 4, d)):
        a = x + uniform(world, i, FROM, 0.5 - half, half - 0.5), uniform(world, i, PLACE, half, LEG - 0.5)
        b = uniform(world, i, PLACE + 1, 0.8, 3.0), uniform(world, i, TO, 0.5 - half, half - 0.5)
        walker(world, setup, a, (x, 0.0), b)
