"""Scripted drivers. They read only the features, so that a policy can learn them from observations."""

import numpy as np
from numba import prange

from headstart.worlds.jit import kernel, rule
from headstart.worlds.nav.observe import EGO, N_TRACKS, TRACK
from headstart.worlds.nav.rules import PUSH_V, PUSH_W, TOP_V, TOP_W

f32 = np.float32
GAP_SEEKER, STRAIGHT_LINE = 0, 1
EXPERTS = {"gap_seeker": GAP_SEEKER, "straight_line": STRAIGHT_LINE}

CRUISE = f32(1.6)  # m/s, of the straight-line driver
TURN_GAIN, STEER_GAIN = f32(3.0), f32(1.0)  # rad/s per radian off; action per (rad/s off / what a step can change)
CLOSENESS = f32(2.5)  # cost of a blocked ray, in radians of detour
ZERO, ONE, HALF, TWO, TINY = f32(0.0), f32(1.0), f32(0.5), f32(2.0), f32(1e-6)
LONGEST = f32(8.0)
BODY = f32(0.3)
HUGE = f32(1e8)
PI = f32(3.1415927)


@rule
def angle_of(x, y):
    """atan2(y, x) to 0.005 rad with + − × ÷ only, so that decisions are the same bits everywhere."""
    ax, ay = abs(x), abs(y)
    z = min(ax, ay) / max(max(ax, ay), TINY)
    a = z * (f32(0.7853982) + f32(0.273) * (ONE - z))
    a = PI * HALF - a if ay > ax else a
    a = PI - a if x < ZERO else a
    return -a if y < ZERO else a


@rule
def act(v, w, wanted_v, wanted_w, out):
    """Accelerations that reach the wanted speeds as fast as they can."""
    out[0] = min(max((wanted_v - v) / PUSH_V, -ONE), ONE)
    out[1] = min(max((wanted_w - w) / PUSH_W * STEER_GAIN, -ONE), ONE)


@rule
def turn_towards(bearing):
    return min(max(bearing * TURN_GAIN, -TOP_W), TOP_W)


@rule
def straight_line(seen, out):
    """To the waypoint at 1.6 m/s, slower while it is not ahead; whoever is in the way is not seen."""
    bearing = angle_of(seen[2], seen[3])
    act(seen[0] * TOP_V, seen[1] * TOP_W, CRUISE * max(ZERO, seen[2]), turn_towards(bearing), out)


@rule
def distance_along(seen, k):
    """Metres from the robot's centre to what ray k meets (0.3 where it touches)."""
    return min(LONGEST, ONE / seen[EGO + k] - ONE + BODY)


@rule
def gap_seeker(seen, out):
    """Towards the ray with the lowest cost = |bearing off the waypoint| + 2.5 × closeness; speed by the clearance ahead."""
    rays = len(seen) - EGO - N_TRACKS * TRACK
    target = angle_of(seen[2], seen[3])
    step = TWO * PI / f32(rays)
    best, lowest = ZERO, HUGE
    for k in range(rays):
        angle = f32(k) * step
        angle = angle - TWO * PI if angle > PI else angle
        off = abs(angle - target)
        off = TWO * PI - off if off > PI else off
        near = max(seen[EGO + k], max(seen[EGO + (k + 1) % rays], seen[EGO + (k + rays - 1) % rays]))
        cost = off + CLOSENESS * near
        if cost < lowest:
            best, lowest = angle, cost
    front = LONGEST
    for k in range(-2, 3):
        front = min(front, distance_along(seen, (k + rays) % rays))
    wanted = min(TOP_V, max(ZERO, (front - BODY - f32(0.35)) * ONE)) * max(ZERO, ONE - abs(best))
    act(seen[0] * TOP_V, seen[1] * TOP_W, wanted, turn_towards(best), out)


@kernel
def decide_rows(features, expert, actions):
    """The expert's action for every row of features [N, F] into actions [N, 2]."""
    for row in prange(len(features)):
        if expert == STRAIGHT_LINE:
            straight_line(features[row], actions[row])
        else:
            gap_seeker(features[row], actions[row])
