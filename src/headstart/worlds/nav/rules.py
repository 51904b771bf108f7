"""One step of one robot among pedestrians, in the order in which it happens; scalar rules in float32, compiled with numba."""

import math

import numpy as np

from headstart.worlds.jit import rule
from headstart.worlds.nav.angles import TURN, cosine, sine
from headstart.worlds.nav.layout import lay_out
from headstart.worlds.nav.state import (
    COLLISION,
    MAX_PEDS,
    MAX_WALLS,
    PARKED,
    PED_COLLISION,
    PROGRESS,
    PROXIMITY,
    REACHED,
    RUNNING,
    SUCCESS,
    TIME,
    TIMEOUT,
    WALL_COLLISION,
)
from headstart.worlds.nav.walkers import DT, RADIUS_PED, RADIUS_ROBOT, walk

f32 = np.float32
TOP_V, TOP_W = f32(2.0), f32(1.5)  # m/s, rad/s
PUSH_V, PUSH_W = f32(2.0 * 0.1), f32(4.0 * 0.1)  # m/s and rad/s in a step at full action
BINARY = f32(0.1 * TURN / (2 * 3.141592653589793))  # binary angle in a step per rad/s
PASSED, ARRIVED = f32(0.7), f32(0.5)  # m from a waypoint, from the goal
NEAR, DISCOMFORT = f32(0.4), f32(0.2)  # m
ZERO, HALF, ONE, TWO = f32(0.0), f32(0.5), f32(1.0), f32(2.0)
ROUND_BP, ROUND_MM = f32(1e4), f32(1e3)
HUGE = f32(1e8)


@rule
def tick(world, setup, scratch, forward, turn):
    """Advance one world by 0.1 s; the action is two accelerations in [−1, 1]."""
    drive_robot(world, forward, turn)
    walk(world, scratch)
    measure_clearances(world, scratch)
    before = world.remaining
    world.remaining = distance_ahead(world) + world.rest
    advance_waypoint(world, setup, before)
    world.tick += 1
    end_or_go_on(world, setup)


@rule
def drive_robot(world, forward, turn):
    """Mid-point rule: the place moves along the heading half-way through the turn. There is no reverse gear."""
    world.v = min(max(world.v + forward * PUSH_V, ZERO), TOP_V)
    world.w = min(max(world.w + turn * PUSH_W, -TOP_W), TOP_W)
    angle = math.floor(world.w * BINARY + HALF)
    middle = world.heading + (angle >> 1)
    step = world.v * DT
    world.x += step * cosine(middle)
    world.y += step * sine(middle)
    world.path += step
    world.heading = (world.heading + angle) & (TURN - 1)


@rule
def measure_clearances(world, scratch):
    """From the robot's rim to the nearest pedestrian and wall."""
    nearest = HUGE
    for i in range(MAX_PEDS):
        dx, dy = world.ped_x[i] - world.x, world.ped_y[i] - world.y
        scratch.distance[i] = dx * dx + dy * dy
    for i in range(world.n_peds):
        nearest = min(nearest, scratch.distance[i])
    world.ped_clearance = math.sqrt(nearest) - (RADIUS_ROBOT + RADIUS_PED)
    for m in range(MAX_WALLS):
        x, y = world.x - world.wall_ax[m], world.y - world.wall_ay[m]
        ex, ey = world.wall_bx[m] - world.wall_ax[m], world.wall_by[m] - world.wall_ay[m]
        share = min(max((x * ex + y * ey) * world.wall_scale[m], ZERO), ONE)
        dx, dy = x - share * ex, y - share * ey
        scratch.scale[m] = dx * dx + dy * dy
    nearest = HUGE
    for m in range(world.n_walls):
        nearest = min(nearest, scratch.scale[m])
    world.wall_clearance = math.sqrt(nearest) - RADIUS_ROBOT


@rule
def distance_ahead(world):
    """To the current waypoint."""
    dx, dy = world.waypoint_x[world.waypoint] - world.x, world.waypoint_y[world.waypoint] - world.y
    return math.sqrt(dx * dx + dy * dy)


@rule
def advance_waypoint(world, setup, before):
    """Reward for progress first; passing a waypoint resets the remaining length and pays nothing."""
    world.reward[PROGRESS] = setup.progress * (before - world.remaining)
    k = world.waypoint
    if k + 1 < world.n_waypoints and world.remaining - world.rest < PASSED:
        world.waypoint = k + 1
        world.rest = ZERO  # a route has at most two waypoints
        world.remaining = distance_ahead(world)


@rule
def end_or_go_on(world, setup):
    """Status and the rest of the reward. A collision counts before an arrival in the same step."""
    near = world.ped_clearance < DISCOMFORT
    world.discomfort += near
    world.clearance = min(world.clearance, world.ped_clearance)
    status = RUNNING
    if world.ped_clearance < ZERO:
        status = PED_COLLISION
    elif world.wall_clearance < ZERO:
        status = WALL_COLLISION
    elif world.waypoint + 1 == world.n_waypoints and world.remaining < ARRIVED:
        status = SUCCESS
    elif world.tick >= setup.horizon:
        status = TIMEOUT
    world.status = status
    world.reward[REACHED] = setup.success if status == SUCCESS else ZERO
    world.reward[COLLISION] = setup.collision if status in (PED_COLLISION, WALL_COLLISION) else ZERO
    world.reward[TIME] = setup.time
    world.reward[PROXIMITY] = setup.proximity * (ONE - world.ped_clearance / NEAR) if world.ped_clearance < NEAR else ZERO
    for term in range(len(world.reward)):
        world.total_reward += world.reward[term]


@rule
def reset_world(world, setup):
    """Begin the episode `world.episode`."""
    for i in range(MAX_PEDS):
        world.ped_x[i] = world.ped_y[i] = PARKED
        world.ped_vx[i] = world.ped_vy[i] = world.ped_speed[i] = world.ped_yield[i] = 0.0
        world.ped_goal[i] = world.ped_direction[i] = 0
        world.ped_to_x[i] = world.ped_to_y[i] = PARKED
    for m in range(MAX_WALLS):
        world.wall_ax[m] = world.wall_ay[m] = world.wall_bx[m] = world.wall_by[m] = PARKED
        world.wall_scale[m] = 0.0
    lay_out(world, setup)
    world.heading &= TURN - 1
    world.tick = world.first_tick = world.status = world.discomfort = world.waypoint = 0
    world.v = world.w = world.path = world.total_reward = 0.0
    world.clearance = world.ped_clearance = world.wall_clearance = 10.0
    world.remaining = world.route
    world.rest = world.route - distance_ahead(world)
    world.reward[:] = 0.0


@rule
def whole(value, unit):
    """Rounded to a whole number of 1/unit."""
    return math.floor(value * unit + HALF)


@rule
def write_stats(world, stats):
    """Counters of the episode in the order of STATS."""
    success, steps = world.status == SUCCESS, world.tick - world.first_tick
    ped, wall = world.status == PED_COLLISION, world.status == WALL_COLLISION
    ideal = (world.route - ARRIVED) / TOP_V  # s
    stats[0], stats[1], stats[2], stats[3] = success, ped or wall, ped, wall
    stats[4], stats[5], stats[6] = world.status == TIMEOUT, steps, steps if success else 0
    stats[7], stats[8] = whole(world.path, ROUND_MM), whole(world.route, ROUND_MM)
    stats[9] = whole(min(ONE, world.route / max(world.path, DT)), ROUND_BP)
    stats[10] = whole(world.clearance, ROUND_MM)
    stats[11], stats[12] = success and world.clearance < DISCOMFORT, world.discomfort
    stats[13] = whole(min(ONE, ideal / (f32(steps) * DT)), ROUND_BP) if success else 0
    stats[14], stats[15] = world.family, whole(world.total_reward, ROUND_BP)
