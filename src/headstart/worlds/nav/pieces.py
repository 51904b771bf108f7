"""Parts of layouts: random numbers with an owner and a stream, walls, routes, and pedestrians who walk back and forth."""

import math

from headstart.worlds.jit import rule
from headstart.worlds.nav.state import MAX_PEDS, OVERTAKING
from headstart.worlds.rng import draw

# owner of a random number (pedestrians are 0…7), and its stream
MAP, BOX = 8, 9
FAMILY, DIFFICULTY, MIRROR, HEADING, START, GOAL, SHAPE = range(7)  # of MAP; SHAPE and above: the family's own
SPEED, YIELD, FROM, TO, PLACE = range(5)  # of a pedestrian; PLACE and above: the family's own
FIRST_TICK = 63  # of MAP
ROOMY = 1.5  # m around the robot in which no pedestrian starts if the other end of its path is farther away


@rule
def uniform(world, who, stream, low, high):
    """A number in [low, high) that belongs to this episode, `who` and `stream`."""
    share = draw(world.seed, world.id, world.episode, 0, who, stream, 1 << 24) * (1.0 / (1 << 24))
    return low + share * (high - low)


@rule
def room(world, left, bottom, right, top):
    """Four walls: a room, or a box."""
    wall(world, (left, bottom), (right, bottom))
    wall(world, (right, bottom), (right, top))
    wall(world, (right, top), (left, top))
    wall(world, (left, top), (left, bottom))


@rule
def wall(world, a, b):
    m = world.n_walls
    world.wall_ax[m], world.wall_ay[m] = a
    world.wall_bx[m], world.wall_by[m] = b
    world.wall_scale[m] = 1.0 / ((b[0] - a[0]) ** 2 + (b[1] - a[1]) ** 2)
    world.n_walls = m + 1


@rule
def route(world, start):
    world.x, world.y = start
    world.route = 0.0


@rule
def waypoint(world, place):
    k = world.n_waypoints
    before = (world.x, world.y) if k == 0 else (world.waypoint_x[k - 1], world.waypoint_y[k - 1])
    world.waypoint_x[k], world.waypoint_y[k] = place
    world.route += math.sqrt((place[0] - before[0]) ** 2 + (place[1] - before[1]) ** 2)
    world.n_waypoints = k + 1


@rule
def count(setup, least, more, d):
    """least + floor(more·d) pedestrians, scaled, 1 to 8."""
    return max(1, min(MAX_PEDS, int((least + int(more * d)) * setup.ped_count + 0.5)))


@rule
def middle(a, b):
    return 0.5 * (a[0] + b[0]), 0.5 * (a[1] + b[1])


@rule
def walker(world, setup, a, m, b):
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
    turned = from_a < ROOMY and from_b > from_a
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
def mirror(world):
    world.y, world.heading = -world.y, -world.heading
    for m in range(world.n_walls):
        world.wall_ay[m], world.wall_by[m] = -world.wall_ay[m], -world.wall_by[m]
    for k in range(world.n_waypoints):
        world.waypoint_y[k] = -world.waypoint_y[k]
    for i in range(world.n_peds):
        world.ped_y[i], world.ped_vy[i], world.ped_to_y[i] = -world.ped_y[i], -world.ped_vy[i], -world.ped_to_y[i]
        for k in range(3):
            world.ped_path_y[k, i] = -world.ped_path_y[k, i]
