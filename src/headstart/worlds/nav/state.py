"""The navigation world's state: one structured record a world.

Numbers are float32 (metres, seconds, m/s), angles whole numbers (65,536 a turn). What the inner loops run over (pedestrians, walls) is kept
column by column, `world.ped_x[i]`, so that eight pedestrians are one vector; unused places are parked far away and need no test.
"""

import numpy as np

FAMILIES = ("open_crowd", "crossing", "head_on", "doorway", "bottleneck", "merging", "overtaking", "blind_corner")
OPEN_CROWD, CROSSING, HEAD_ON, DOORWAY, BOTTLENECK, MERGING, OVERTAKING, BLIND_CORNER = range(8)
MAX_PEDS = 8
MAX_WALLS = 16  # the families use at most 12; 16 is a whole number of vectors
MAX_WAYPOINTS = 2  # the last one is the goal
PARKED = 1e4  # m, where unused pedestrians and walls are

RUNNING, SUCCESS, PED_COLLISION, WALL_COLLISION, TIMEOUT = range(5)

REWARD_TERMS = ("progress", "success", "collision", "time", "proximity")
PROGRESS, REACHED, COLLISION, TIME, PROXIMITY = range(5)

# What is counted in every episode; the names that success and harm predicates use. mm, bp (1/10,000) and steps of 0.1 s.
STATS = (
    "success", "collisions", "ped_collisions", "wall_collisions", "timeouts", "steps", "steps_to_goal", "path_mm", "route_mm",
    "efficiency_bp", "clearance_mm", "near_misses", "discomfort_steps", "stl_bp", "family", "total_reward",
)  # fmt: skip


def _f4(names: str, *shape: int) -> list[tuple[str, str, tuple[int, ...]]]:
    return [(name, "f4", shape) for name in names.split()]


WORLD = np.dtype(
    [("seed", "u8"), ("id", "u8")]  # the key of the world's random numbers, with `episode`
    + [(name, "i4") for name in ("tick", "first_tick", "episode", "family", "status", "discomfort")]
    + [(name, "i4") for name in ("heading", "waypoint", "n_waypoints", "n_walls", "n_peds")]
    + [(name, "f4") for name in ("x", "y", "v", "w")]  # the robot: m, m, m/s, rad/s
    + [(name, "f4") for name in ("remaining", "rest", "route")]  # m of route: ahead, after the current waypoint, at the start
    + [(name, "f4") for name in ("path", "clearance", "ped_clearance", "wall_clearance")]  # m: driven, least so far, now, now
    + [(name, "f4") for name in ("difficulty", "total_reward")]
    + _f4("reward", len(REWARD_TERMS))  # of this step
    + _f4("waypoint_x waypoint_y", MAX_WAYPOINTS)
    + _f4("wall_ax wall_ay wall_bx wall_by wall_scale", MAX_WALLS)  # ends a and b; 1/|b − a|²
    + _f4("ped_x ped_y ped_vx ped_vy", MAX_PEDS)
    + _f4("ped_force_x ped_force_y", MAX_PEDS)  # m/s², of this step
    + _f4("ped_speed ped_yield", MAX_PEDS)  # desired, m/s; how far it gives way to the robot
    + _f4("ped_path_x ped_path_y", 3, MAX_PEDS)  # a, m, b: walked back and forth
    + _f4("ped_to_x ped_to_y", MAX_PEDS)  # the point of the path that is walked to
    + [("ped_goal", "i4", (MAX_PEDS,)), ("ped_direction", "i4", (MAX_PEDS,))],  # index into the path; +1 or −1
    align=True,
)

# What a scenario may set; one record for all its worlds.
SETUP = np.dtype(
    [("horizon", "i4"), ("n_families", "i4"), ("families", "i4", (len(FAMILIES),))]
    + [(name, "f4") for name in ("difficulty_low", "difficulty_high", "ped_speed", "ped_count", "width")]
    + [(name, "f4") for name in ("progress", "success", "collision", "time", "proximity")],  # reward weights
    align=True,
)


def scratch_dtype(rays: int) -> np.dtype[np.void]:
    """Work space of one thread of the kernel. Its R is part of the type, so that loops over rays have a fixed length.

    Sight lines are the R rays of the lidar and, after them, the lines to the pedestrians: what a wall does to both is one loop.
    """
    lines = rays + MAX_PEDS
    return np.dtype(
        [
            ("lanes", "i8"),  # MAX_PEDS as data: a loop of known short length is unrolled into scalars, this one into vectors
            *_f4("rays", rays),  # carries R
            *_f4("line_x line_y inverse", lines),  # robot frame; 1 / (where the line first meets a wall), in lengths of the line
            *_f4("ax ay bx by scale", MAX_WALLS),  # walls in the robot frame; `scale` also holds squared distances
            *_f4("distance vx vy", MAX_PEDS),  # m², squared; m/s, robot frame
        ],
        align=True,
    )
