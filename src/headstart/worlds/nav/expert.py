"""Scripted drivers. They read only the features, so that a policy can learn them from observations."""

import numpy as np
from numba import prange

from headstart.worlds.jit import kernel, rule
from headstart.worlds.nav.angles import TURN, cosine, sine
from headstart.worlds.nav.observe import EGO
from headstart.worlds.nav.rules import PUSH_V, PUSH_W, TOP_V, TOP_W

f32 = np.float32
GAP_SEEKER, STRAIGHT_LINE = 0, 1
EXPERTS = {"gap_seeker": GAP_SEEKER, "straight_line": STRAIGHT_LINE}

CRUISE = f32(1.6)  # m/s, of the straight-line driver
TURN_GAIN = f32(3.0)  # rad/s per radian off the wanted direction
CLOSENESS = f32(3.0)  # radians of detour preferred to a way that is blocked at the robot
BAND = f32(0.35)  # m to either side of a way that must be free
KEEP = f32(0.4)  # m from its centre at which the gap-seeker stands still before what is ahead
BRAKE = f32(1.0)  # m/s per metre of free way beyond that
LONGEST, TOUCHING = f32(8.0), f32(0.3)  # m, what the lidar can say
ZERO, HALF, ONE, TWO, TINY, HUGE = f32(0.0), f32(0.5), f32(1.0), f32(2.0), f32(1e-6), f32(1e8)
PI = f32(3.1415927)
ARC, BULGE = f32(0.7853982), f32(0.273)


@rule
def straight_line(seen, out):
    """To the waypoint at 1.6 m/s, slower while it is not ahead; obstacles are ignored."""
    steer(seen, CRUISE * max(ZERO, seen[2]), angle_of(seen[2], seen[3]), out)


@rule
def gap_seeker(seen, distances, free, out):
    """Towards the ray with the lowest cost = |bearing off the waypoint| + 3/(1 + free way); speed by the free way ahead."""
    rays = len(free)
    for m in range(2 * rays):
        distances[m] = ONE / seen[EGO + m % rays] - ONE + TOUCHING
    free_ways(distances, free)
    target = angle_of(seen[2], seen[3])
    best, lowest = ZERO, HUGE
    for k in range(rays):
        angle = f32(k) * (TWO * PI / f32(rays))
        angle = angle - TWO * PI if angle > PI else angle
        off = abs(angle - target)
        off = TWO * PI - off if off > PI else off
        cost = off + CLOSENESS / (ONE + free[k])
        if cost < lowest:
            best, lowest = angle, cost
    speed = min(TOP_V, BRAKE * max(ZERO, free[0] - KEEP))
    steer(seen, speed * max(ZERO, ONE - abs(best)), best, out)


@rule
def free_ways(distances, free):
    """free [R]: metres that a band of ± BAND can move along each ray before it meets what any ray has met.

    distances: [2R], the rays twice round, so that neighbours need no wrapping.
    """
    rays = len(free)
    for k in range(rays):
        free[k] = LONGEST
    for j in range(-rays // 4 + 1, rays // 4):
        angle = j * (TURN // rays)
        ahead, aside, first = cosine(angle), abs(sine(angle)), (j + rays) % rays
        for k in range(rays):
            distance = distances[first + k]
            free[k] = min(free[k], distance * ahead if distance * aside < BAND else LONGEST)


@rule
def steer(seen, speed, bearing, out):
    """The accelerations that reach the wanted speed and turn towards `bearing` (rad) as fast as they can."""
    turn = min(max(bearing * TURN_GAIN, -TOP_W), TOP_W)
    out[0] = min(max((speed - seen[0] * TOP_V) / PUSH_V, -ONE), ONE)
    out[1] = min(max((turn - seen[1] * TOP_W) / PUSH_W, -ONE), ONE)


@rule
def angle_of(x, y):
    """atan2(y, x) to 0.005 rad with + − × ÷ only, so that decisions are the same bits everywhere."""
    ax, ay = abs(x), abs(y)
    share = min(ax, ay) / max(max(ax, ay), TINY)
    angle = share * (ARC + BULGE * (ONE - share))
    angle = PI * HALF - angle if ay > ax else angle
    angle = PI - angle if x < ZERO else angle
    return -angle if y < ZERO else angle


@kernel
def decide_rows(features, expert, distances, free, actions):
    """The expert's action for every row of features [N, F] into actions [N, 2]; work space: distances [N, 2R], free [N, R]."""
    for row in prange(len(features)):
        if expert == STRAIGHT_LINE:
            straight_line(features[row], actions[row])
        else:
            gap_seeker(features[row], distances[row], free[row], actions[row])
