"""The robot's observation: speed, waypoint and goal, a lidar, and the nearest visible pedestrians; all in the robot's frame.

A sight line with direction d meets the wall from a to b, seen from the robot with a × b > 0, where a × d ≥ 0 and d × b ≥ 0, at
1/t = (a × d + d × b) / (a × b): no division for each ray, and no gap where two walls share an end. A line to a pedestrian is one more ray, as
long as the way to it: it is hidden where 1/t > 1.
"""

import math

import numpy as np

from headstart.worlds.jit import rule
from headstart.worlds.nav.angles import TURN, cosine, sine
from headstart.worlds.nav.rules import TOP_V, TOP_W
from headstart.worlds.nav.state import MAX_WALLS
from headstart.worlds.nav.walkers import RADIUS_PED, RADIUS_ROBOT

f32 = np.float32
RANGE = f32(8.0)  # m, of the lidar
WAYPOINT_RANGE, GOAL_RANGE = f32(8.0), f32(16.0)
N_TRACKS, TRACK = 4, 5  # pedestrians that are told apart, and features of each
EGO = 8  # features before the lidar
ZERO, ONE, TINY, HUGE = f32(0.0), f32(1.0), f32(1e-6), f32(1e8)
NEAREST = f32(1 / 0.3)  # 1/m; what is nearer touches the robot
PER_SPEED, PER_PLACE = f32(0.5), f32(0.125)
REACH = f32((8.0 + 0.3) ** 2)  # m²; the lidar sees no pedestrian whose centre is farther


def feature_names(rays: int) -> tuple[str, ...]:
    """Names of the 8 + R + 20 columns."""
    own = ("v", "w", *(f"{place}_{name}" for place in ("waypoint", "goal") for name in ("cos", "sin", "distance")))
    track = ("proximity", "x", "y", "vx", "vy")
    return (*own, *(f"ray{k}" for k in range(rays)), *(f"ped{i}_{name}" for i in range(N_TRACKS) for name in track))


def ray_directions(rays: int) -> np.ndarray:
    """Ray k looks k/R of a turn to the left of the heading: [2, R] f32."""
    angles = np.arange(rays) * (TURN // rays)
    return np.array([[cosine(angle) for angle in angles], [sine(angle) for angle in angles]], np.float32)


@rule
def write_features(world, scratch, out):
    """Features into out [8 + R + 20] f32."""
    rays = len(scratch.rays)
    c, s = cosine(world.heading), sine(world.heading)
    to_robot_frame(world, scratch, c, s)
    look_at_walls(world, scratch)
    look_at_peds(world, scratch)
    out[0], out[1] = world.v / TOP_V, world.w / TOP_W
    k = world.waypoint
    write_bearing(world.waypoint_x[k] - world.x, world.waypoint_y[k] - world.y, c, s, WAYPOINT_RANGE, out[2:5])
    k = world.n_waypoints - 1
    write_bearing(world.waypoint_x[k] - world.x, world.waypoint_y[k] - world.y, c, s, GOAL_RANGE, out[5:8])
    for k in range(rays):  # 1 / (1 + max(0, t − 0.3)) from 1/t
        near = min(scratch.inverse[k], NEAREST)
        out[EGO + k] = near / (near * (ONE - RADIUS_ROBOT) + ONE)
    write_tracks(world, scratch, out, EGO + rays)


@rule
def to_robot_frame(world, scratch, c, s):
    """Walls (as seen anticlockwise), and the lines to pedestrians with their velocities."""
    for m in range(MAX_WALLS):
        x, y = world.wall_ax[m] - world.x, world.wall_ay[m] - world.y
        ax, ay = x * c + y * s, y * c - x * s
        x, y = world.wall_bx[m] - world.x, world.wall_by[m] - world.y
        bx, by = x * c + y * s, y * c - x * s
        facing = ax * by - ay * bx
        left = facing > ZERO
        scratch.ax[m], scratch.ay[m] = ax if left else bx, ay if left else by
        scratch.bx[m], scratch.by[m] = bx if left else ax, by if left else ay
        scratch.scale[m] = ONE / max(abs(facing), TINY)
    rays = len(scratch.rays)
    for i in range(scratch.lanes):
        x, y = world.ped_x[i] - world.x, world.ped_y[i] - world.y
        scratch.line_x[rays + i], scratch.line_y[rays + i] = x * c + y * s, y * c - x * s
        scratch.distance[i] = x * x + y * y
        scratch.vx[i] = world.ped_vx[i] * c + world.ped_vy[i] * s
        scratch.vy[i] = world.ped_vy[i] * c - world.ped_vx[i] * s


@rule
def look_at_walls(world, scratch):
    for k in range(len(scratch.inverse)):
        scratch.inverse[k] = ONE / RANGE
    for m in range(world.n_walls):
        ax, ay, bx, by, scale = scratch.ax[m], scratch.ay[m], scratch.bx[m], scratch.by[m], scratch.scale[m]
        for k in range(len(scratch.inverse)):
            u = ax * scratch.line_y[k] - ay * scratch.line_x[k]
            v = scratch.line_x[k] * by - scratch.line_y[k] * bx
            hit = (u + v) * scale if min(u, v) >= ZERO else ZERO
            scratch.inverse[k] = max(scratch.inverse[k], hit)


@rule
def look_at_peds(world, scratch):
    """A disc at c is met at t = d·c − √(r² − |c|² + (d·c)²), so 1/t = (d·c + √…) / (|c|² − r²)."""
    rays = len(scratch.rays)
    for i in range(world.n_peds):
        if scratch.distance[i] > REACH:
            continue
        x, y = scratch.line_x[rays + i], scratch.line_y[rays + i]
        gap = max(scratch.distance[i] - RADIUS_PED * RADIUS_PED, TINY)
        scale = ONE / gap
        for k in range(rays):
            along = x * scratch.line_x[k] + y * scratch.line_y[k]
            inside = along * along - gap
            hit = (along + math.sqrt(max(inside, ZERO))) * scale if min(inside, along) > ZERO else ZERO
            scratch.inverse[k] = max(scratch.inverse[k], hit)


@rule
def write_bearing(x, y, c, s, reach, out):
    """cos, sin of the bearing in the robot's frame; distance as a share of `reach`."""
    distance = math.sqrt(x * x + y * y)
    share = ONE / max(distance, TINY)
    out[0], out[1] = (x * c + y * s) * share, (y * c - x * s) * share
    out[2] = min(distance, reach) / reach


@rule
def write_tracks(world, scratch, out, c):
    """The four nearest pedestrians behind no wall, nearest first: proximity, place, velocity relative to the robot's."""
    rays = len(scratch.rays)
    for i in range(world.n_peds):
        if scratch.inverse[rays + i] > ONE:  # a wall is nearer
            scratch.distance[i] = HUGE
    for _ in range(N_TRACKS):
        best, nearest = -1, HUGE
        for i in range(world.n_peds):
            if scratch.distance[i] < nearest:
                best, nearest = i, scratch.distance[i]
        if best < 0:
            for k in range(TRACK):
                out[c + k] = ZERO
        else:
            scratch.distance[best] = HUGE
            clearance = max(math.sqrt(nearest) - (RADIUS_ROBOT + RADIUS_PED), ZERO)
            out[c] = ONE / (ONE + clearance)
            out[c + 1], out[c + 2] = scratch.line_x[rays + best] * PER_PLACE, scratch.line_y[rays + best] * PER_PLACE
            out[c + 3], out[c + 4] = scratch.vx[best] * PER_SPEED - world.v / TOP_V, scratch.vy[best] * PER_SPEED
        c += TRACK
