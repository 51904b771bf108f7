"""Pedestrians: waypoint walkers with a social force of compact support, A·q² with q = clip(1 − clearance/range, 0, 2).

A pedestrian yields to the robot by 12·yield, more than its drive: with less it walks into a robot that waits, and collisions
become unavoidable. Loops run over all eight places without a test; unused ones are parked too far away to feel anything.
"""

import math

import numpy as np

from headstart.worlds.jit import rule

f32 = np.float32
DT = f32(0.1)
RADIUS_ROBOT, RADIUS_PED = f32(0.3), f32(0.3)
DRIVE = f32(2.0)  # 1/s
PUSH_PED, RANGE_PED = f32(6.0), f32(0.8)  # m/s², m
PUSH_WALL, RANGE_WALL = f32(6.0), f32(0.35)
PUSH_ROBOT, RANGE_ROBOT = f32(12.0), f32(0.9)
SIDESTEP = f32(0.3)  # of a disc's push, to the left: breaks symmetric deadlocks
TOP_SPEED = f32(1.3)  # of the desired one
ARRIVED = f32(0.6)  # m
ZERO, ONE, TWO, TINY = f32(0.0), f32(1.0), f32(2.0), f32(1e-6)
NEAR_WALL = f32((0.3 + 0.35) ** 2)  # m²; farther walls push nobody


@rule
def walk(world, scratch):
    """All pedestrians move one step; forces are of the places before it, and of the robot's new one."""
    turn_round(world)
    drive(world, scratch)
    for j in range(world.n_peds):
        avoid_ped(world, scratch, world.ped_x[j], world.ped_y[j])
    avoid_robot(world, scratch)
    for m in range(world.n_walls):
        avoid_wall(world, scratch, m)
    move(world, scratch)


@rule
def turn_round(world):
    """The next point of the path for those who have arrived."""
    for i in range(world.n_peds):
        dx, dy = world.ped_to_x[i] - world.ped_x[i], world.ped_to_y[i] - world.ped_y[i]
        if dx * dx + dy * dy < ARRIVED * ARRIVED:
            if world.ped_goal[i] != 1:
                world.ped_direction[i] = -world.ped_direction[i]
            world.ped_goal[i] += world.ped_direction[i]
            world.ped_to_x[i] = world.ped_path_x[world.ped_goal[i], i]
            world.ped_to_y[i] = world.ped_path_y[world.ped_goal[i], i]


@rule
def drive(world, scratch):
    """(desired velocity − velocity)·2/s"""
    for i in range(scratch.lanes):
        dx, dy = world.ped_to_x[i] - world.ped_x[i], world.ped_to_y[i] - world.ped_y[i]
        share = world.ped_speed[i] / (math.sqrt(dx * dx + dy * dy) + TINY)
        world.ped_force_x[i] = (dx * share - world.ped_vx[i]) * DRIVE
        world.ped_force_y[i] = (dy * share - world.ped_vy[i]) * DRIVE


@rule
def press(clearance, reach):
    """q² of the module docstring."""
    q = min(max(ONE - clearance / reach, ZERO), TWO)
    return q * q


@rule
def avoid_ped(world, scratch, x, y):
    """A pedestrian at x, y pushes all others (itself by nothing: the offset is zero)."""
    for i in range(scratch.lanes):
        dx, dy = world.ped_x[i] - x, world.ped_y[i] - y
        distance = math.sqrt(dx * dx + dy * dy) + TINY
        push = PUSH_PED * press(distance - (RADIUS_PED + RADIUS_PED), RANGE_PED) / distance
        world.ped_force_x[i] += push * (dx - SIDESTEP * dy)
        world.ped_force_y[i] += push * (dy + SIDESTEP * dx)


@rule
def avoid_robot(world, scratch):
    x, y = world.x, world.y
    for i in range(scratch.lanes):
        dx, dy = world.ped_x[i] - x, world.ped_y[i] - y
        distance = math.sqrt(dx * dx + dy * dy) + TINY
        push = PUSH_ROBOT * world.ped_yield[i] * press(distance - (RADIUS_PED + RADIUS_ROBOT), RANGE_ROBOT) / distance
        world.ped_force_x[i] += push * (dx - SIDESTEP * dy)
        world.ped_force_y[i] += push * (dy + SIDESTEP * dx)


@rule
def avoid_wall(world, scratch, m):
    ax, ay = world.wall_ax[m], world.wall_ay[m]
    ex, ey, scale = world.wall_bx[m] - ax, world.wall_by[m] - ay, world.wall_scale[m]
    near = 0
    for i in range(scratch.lanes):
        x, y = world.ped_x[i] - ax, world.ped_y[i] - ay
        share = min(max((x * ex + y * ey) * scale, ZERO), ONE)
        dx, dy = x - share * ex, y - share * ey
        near |= dx * dx + dy * dy < NEAR_WALL
    if not near:
        return
    for i in range(scratch.lanes):
        x, y = world.ped_x[i] - ax, world.ped_y[i] - ay
        share = min(max((x * ex + y * ey) * scale, ZERO), ONE)
        dx, dy = x - share * ex, y - share * ey
        distance = math.sqrt(dx * dx + dy * dy) + TINY
        push = PUSH_WALL * press(distance - RADIUS_PED, RANGE_WALL) / distance
        world.ped_force_x[i] += push * dx
        world.ped_force_y[i] += push * dy


@rule
def move(world, scratch):
    for i in range(scratch.lanes):
        vx = world.ped_vx[i] + world.ped_force_x[i] * DT
        vy = world.ped_vy[i] + world.ped_force_y[i] * DT
        share = min(ONE, TOP_SPEED * world.ped_speed[i] / (math.sqrt(vx * vx + vy * vy) + TINY))
        world.ped_vx[i], world.ped_vy[i] = vx * share, vy * share
        world.ped_x[i] += world.ped_vx[i] * DT
        world.ped_y[i] += world.ped_vy[i] * DT
