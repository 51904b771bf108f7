"""Eight families of situations: walls, pedestrians and route of a new episode, from its difficulty d in [0, 1].

Every number has its own random stream, so that a family's geometry does not depend on what else is drawn. Layouts are computed in float64
and rounded once, when stored. x points along the corridor, the robot starts near x = 0.8; half of the episodes are mirrored in y.
"""

import math

from headstart.worlds.jit import rule
from headstart.worlds.nav.angles import QUARTER, TURN
from headstart.worlds.nav.state import (
    BOTTLENECK,
    CROSSING,
    DOORWAY,
    HEAD_ON,
    MAX_PEDS,
    MERGING,
    OPEN_CROWD,
    OVERTAKING,
)
from headstart.worlds.rng import draw

START_X, GOAL_X, LENGTH = 0.8, 11.2, 12.0  # of a room
CORRIDOR_GOAL_X, CORRIDOR_LENGTH = 12.2, 13.0
LEG = 6.0  # of the blind corner

# who a random number is for (pedestrians are 0…7), and which of its streams
MAP, BOX = 8, 9
FAMILY, DIFFICULTY, MIRROR, HEADING, START, GOAL, SHAPE = range(7)  # SHAPE and above: the family's own
SPEED, YIELD, FROM, TO, PLACE = range(5)  # PLACE and above: the family's own


@rule
def uniform(world, who, stream, low, high):
    """A number in [low, high) that belongs to this episode, `who` and `stream`."""
    share = draw(world.seed, world.id, world.episode, 0, who, stream, 1 << 24) * (1.0 / (1 << 24))
    return low + share * (high - low)


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
        _mirror(world)


# --- the families -----------------------------------------------------------------------------------------------------


@rule
def _open_crowd(world, setup, d):
    half = uniform(world, MAP, SHAPE, 4.0, 5.0)
    _room(world, 0.0, -half, LENGTH, half)
    for i in range(int(uniform(world, MAP, SHAPE + 1, 0.0, 3.0))):
        size = uniform(world, BOX + i, 0, 0.3, 0.8)
        x, y = uniform(world, BOX + i, 1, 3.0, 9.0), uniform(world, BOX + i, 2, 1.5 - half, half - 1.5)
        _room(world, x - size, y - size, x + size, y + size)
    _route(world, (START_X, uniform(world, MAP, START, 1.2 - half, half - 1.2)))
    _waypoint(world, (GOAL_X, uniform(world, MAP, GOAL, 1.2 - half, half - 1.2)))
    for i in range(_count(setup, 3, 6, d)):
        a = uniform(world, i, PLACE, 1.0, 11.0), uniform(world, i, FROM, 1.0 - half, half - 1.0)
        b = uniform(world, i, PLACE + 1, 1.0, 11.0), uniform(world, i, TO, 1.0 - half, half - 1.0)
        _walker(world, setup, a, _middle(a, b), b)


@rule
def _crossing(world, setup, d):
    _room(world, 0.0, -4.5, LENGTH, 4.5)
    _route(world, (START_X, uniform(world, MAP, START, -1.0, 1.0)))
    _waypoint(world, (GOAL_X, uniform(world, MAP, GOAL, -1.0, 1.0)))
    for i in range(_count(setup, 2, 7, d)):
        x, drift = uniform(world, i, PLACE, 3.0, 9.5), uniform(world, i, PLACE + 1, -1.0, 1.0)
        side = 1.0 if uniform(world, i, PLACE + 2, 0.0, 1.0) < 0.5 else -1.0
        a = x, side * uniform(world, i, FROM, 2.0, 4.0)
        b = x + drift, -side * uniform(world, i, TO, 2.0, 4.0)
        _walker(world, setup, a, _middle(a, b), b)


@rule
def _corridor(world, setup, d):
    """Head-on: pedestrians come towards the robot. Overtaking: slow ones walk ahead of it."""
    half = (1.9 - 0.6 * d + uniform(world, MAP, SHAPE, 0.0, 0.2)) * setup.width
    _room(world, 0.0, -half, CORRIDOR_LENGTH, half)
    _route(world, (START_X, uniform(world, MAP, START, 0.6 - half, half - 0.6)))
    _waypoint(world, (CORRIDOR_GOAL_X, uniform(world, MAP, GOAL, 0.6 - half, half - 0.6)))
    for i in range(_count(setup, 1, 4, d)):
        y = uniform(world, i, FROM, 0.5 - half, half - 0.5)
        y_end = uniform(world, i, TO, 0.5 - half, half - 0.5)
        a, b = (uniform(world, i, PLACE, 5.0, 12.0), y), (START_X, y_end)
        if world.family == OVERTAKING:
            a, b = (START_X + uniform(world, i, PLACE, 2.2, 7.2), y), (CORRIDOR_GOAL_X, y_end)
        _walker(world, setup, a, _middle(a, b), b)


@rule
def _doorway(world, setup, d):
    _room(world, 0.0, -4.0, LENGTH, 4.0)
    x, y = uniform(world, MAP, SHAPE, 5.0, 7.0), uniform(world, MAP, SHAPE + 1, -2.4, 2.4)
    half = (0.85 - 0.2 * d) * setup.width
    _wall(world, (x, -4.0), (x, y - half))
    _wall(world, (x, y + half), (x, 4.0))
    _route(world, (START_X, uniform(world, MAP, START, -3.0, 3.0)))
    _waypoint(world, (x + 0.4, y))  # beyond the door: a waypoint in it pulls the robot into the jamb
    _waypoint(world, (GOAL_X, uniform(world, MAP, GOAL, -3.0, 3.0)))
    for i in range(_count(setup, 1, 4, d)):
        a = uniform(world, i, PLACE, x + 1.0, 11.2), uniform(world, i, FROM, -3.2, 3.2)
        b = uniform(world, i, PLACE + 1, 0.8, x - 1.0), uniform(world, i, TO, -3.2, 3.2)
        _walker(world, setup, a, (x, y), b)


@rule
def _bottleneck(world, setup, d):
    half, neck = 2.2, (1.1 - 0.3 * d) * setup.width
    x, length = uniform(world, MAP, SHAPE, 5.5, 7.5), uniform(world, MAP, SHAPE + 1, 1.5, 3.0)
    first, last = x - length / 2, x + length / 2
    for side in (-1.0, 1.0):
        _wall(world, (0.0, side * half), (first, side * half))
        _wall(world, (first, side * half), (first, side * neck))
        _wall(world, (first, side * neck), (last, side * neck))
        _wall(world, (last, side * neck), (last, side * half))
        _wall(world, (last, side * half), (CORRIDOR_LENGTH, side * half))
    _wall(world, (0.0, -half), (0.0, half))
    _wall(world, (CORRIDOR_LENGTH, -half), (CORRIDOR_LENGTH, half))
    _route(world, (START_X, uniform(world, MAP, START, -1.5, 1.5)))
    _waypoint(world, (x, 0.0))
    _waypoint(world, (CORRIDOR_GOAL_X, uniform(world, MAP, GOAL, -1.5, 1.5)))
    for i in range(_count(setup, 1, 4, d)):
        near = uniform(world, i, PLACE, 1.0, first - 0.5), uniform(world, i, FROM, -1.6, 1.6)
        far = uniform(world, i, PLACE + 1, last + 0.5, 12.0), uniform(world, i, TO, -1.6, 1.6)
        if uniform(world, i, PLACE + 2, 0.0, 1.0) < 0.7:
            near, far = far, near
        _walker(world, setup, near, (x, uniform(world, i, PLACE + 3, 0.5 - neck, neck - 0.5)), far)


@rule
def _merging(world, setup, d):
    """The robot comes up a side arm into a corridor where pedestrians walk towards its goal."""
    half, arm = (1.5 - 0.2 * d) * setup.width, uniform(world, MAP, SHAPE, 0.9, 1.3) * setup.width
    x, depth = uniform(world, MAP, SHAPE + 1, 3.5, 5.0), 4.0
    floor = -half - depth
    _wall(world, (0.0, half), (CORRIDOR_LENGTH, half))
    _wall(world, (0.0, -half), (x - arm, -half))
    _wall(world, (x + arm, -half), (CORRIDOR_LENGTH, -half))
    _wall(world, (0.0, -half), (0.0, half))
    _wall(world, (CORRIDOR_LENGTH, -half), (CORRIDOR_LENGTH, half))
    _wall(world, (x - arm, -half), (x - arm, floor))
    _wall(world, (x + arm, -half), (x + arm, floor))
    _wall(world, (x - arm, floor), (x + arm, floor))
    _route(world, (x + uniform(world, MAP, START, 0.5 - arm, arm - 0.5), floor + 0.8))
    _waypoint(world, (x, -0.3 * half))
    _waypoint(world, (CORRIDOR_GOAL_X, uniform(world, MAP, GOAL, 0.6 - half, half - 0.6)))
    world.heading += QUARTER
    for i in range(_count(setup, 2, 4, d)):
        a = uniform(world, i, PLACE, 0.5, x + 1.0), uniform(world, i, FROM, 0.5 - half, half - 0.5)
        b = 12.4, uniform(world, i, TO, 0.5 - half, half - 0.5)
        _walker(world, setup, a, _middle(a, b), b)


@rule
def _blind_corner(world, setup, d):
    half, x = (1.5 - 0.3 * d) * setup.width, uniform(world, MAP, SHAPE, 5.0, 7.0)
    _wall(world, (0.0, -half), (x + half, -half))
    _wall(world, (x + half, -half), (x + half, LEG))
    _wall(world, (x + half, LEG), (x - half, LEG))
    _wall(world, (x - half, LEG), (x - half, half))
    _wall(world, (x - half, half), (0.0, half))
    _wall(world, (0.0, half), (0.0, -half))
    _route(world, (START_X, uniform(world, MAP, START, 0.6 - half, half - 0.6)))
    _waypoint(world, (x, 0.0))
    _waypoint(world, (x + uniform(world, MAP, GOAL, 0.6 - half, half - 0.6), LEG - 0.8))
    for i in range(_count(setup, 1, 4, d)):
        a = x + uniform(world, i, FROM, 0.5 - half, half - 0.5), uniform(world, i, PLACE, half, LEG - 0.5)
        b = uniform(world, i, PLACE + 1, 0.8, 3.0), uniform(world, i, TO, 0.5 - half, half - 0.5)
        _walker(world, setup, a, (x, 0.0), b)


# --- what they are made of --------------------------------------------------------------------------------------------


@rule
def _room(world, left, bottom, right, top):
    """Four walls: a room, or a box."""
    _wall(world, (left, bottom), (right, bottom))
    _wall(world, (right, bottom), (right, top))
    _wall(world, (right, top), (left, top))
    _wall(world, (left, top), (left, bottom))


@rule
def _wall(world, a, b):
    m = world.n_walls
    world.wall_ax[m], world.wall_ay[m] = a
    world.wall_bx[m], world.wall_by[m] = b
    world.wall_scale[m] = 1.0 / ((b[0] - a[0]) ** 2 + (b[1] - a[1]) ** 2)
    world.n_walls = m + 1


@rule
def _route(world, start):
    world.x, world.y = start
    world.route = 0.0


@rule
def _waypoint(world, place):
    k = world.n_waypoints
    before = (world.x, world.y) if k == 0 else (world.waypoint_x[k - 1], world.waypoint_y[k - 1])
    world.waypoint_x[k], world.waypoint_y[k] = place
    world.route += math.sqrt((place[0] - before[0]) ** 2 + (place[1] - before[1]) ** 2)
    world.n_waypoints = k + 1


@rule
def _count(setup, least, more, d):
    """least + floor(more·d) pedestrians, scaled, 1 to 8."""
    return max(1, min(MAX_PEDS, int((least + int(more * d)) * setup.ped_count + 0.5)))


@rule
def _middle(a, b):
    return 0.5 * (a[0] + b[0]), 0.5 * (a[1] + b[1])


@rule
def _walker(world, setup, a, m, b):
    """One more pedestrian, at `a` on its way to `m` and `b`; at the far end where the robot stands within 1.5 m."""
    i = world.n_peds
    world.n_peds = i + 1
    world.ped_path_x[0, i], world.ped_path_y[0, i] = a
    world.ped_path_x[1, i], world.ped_path_y[1, i] = m
    world.ped_path_x[2, i], world.ped_path_y[2, i] = b
    slow = world.family == OVERTAKING
    speed = uniform(world, i, SPEED, 0.3, 0.7) if slow else uniform(world, i, SPEED, 0.6, 1.3)
    world.ped_speed[i] = speed * setup.ped_speed
    world.ped_yield[i] = uniform(world, i, YIELD, 0.4, 1.0)
    from_a, from_b = _from_robot(world, a), _from_robot(world, b)
    turned = from_a < 1.5 and from_b > from_a
    place = b if turned else a
    world.ped_x[i], world.ped_y[i] = place
    world.ped_to_x[i], world.ped_to_y[i] = m
    world.ped_goal[i], world.ped_direction[i] = 1, -1 if turned else 1
    dx, dy = m[0] - place[0], m[1] - place[1]
    share = world.ped_speed[i] / max(1e-6, math.sqrt(dx * dx + dy * dy))
    world.ped_vx[i], world.ped_vy[i] = dx * share, dy * share


@rule
def _from_robot(world, place):
    return math.sqrt((place[0] - world.x) ** 2 + (place[1] - world.y) ** 2)


@rule
def _mirror(world):
    world.y, world.heading = -world.y, -world.heading
    for m in range(world.n_walls):
        world.wall_ay[m], world.wall_by[m] = -world.wall_ay[m], -world.wall_by[m]
    for k in range(world.n_waypoints):
        world.waypoint_y[k] = -world.waypoint_y[k]
    for i in range(world.n_peds):
        world.ped_y[i], world.ped_vy[i], world.ped_to_y[i] = -world.ped_y[i], -world.ped_vy[i], -world.ped_to_y[i]
        for k in range(3):
            world.ped_path_y[k, i] = -world.ped_path_y[k, i]
