"""The town's state: one structured record a world, so that rules read `agent.need[HUNGER]` and `queue.stall`.

All numbers are integers. Units: needs, rivalry, trust and familiarity in basis points (bp); money in cents; conflict intensity in
1/100; rewards in 1/10,000; time in ticks. A world has room for MAX_AGENTS agents and MAX_OBJECTS objects; a scenario uses the first of each.
"""

import numpy as np

GRID = 16
MAX_AGENTS = 8
MAX_OBJECTS = 8

HUNGER, HYGIENE, ENERGY = 0, 1, 2
NEEDS = ("hunger", "hygiene", "energy")

FRIDGE, STOVE, SHOWER, BED, WORKPLACE = 0, 1, 2, 3, 4
OBJECT_TYPES = ("fridge", "stove", "shower", "bed", "workplace")

NONE, WAITING, CLAIM, USING = 0, 1, 2, 3  # status in a queue
OFF, PRE, ON_TIME, LATE, ABSENT, DONE = 0, 1, 2, 3, 4, 5  # state of today's shift

ACTIONS = (
    "wait", "north", "south", "east", "west",
    "request_fridge", "request_stove", "request_shower", "request_bed",
    "use", "leave", "yield", "press", "chat", "work",
)  # fmt: skip
WAIT, NORTH, SOUTH, EAST, WEST, REQUEST, USE, LEAVE, YIELD, PRESS, CHAT, WORK = 0, 1, 2, 3, 4, 5, 9, 10, 11, 12, 13, 14
N_ACTIONS = len(ACTIONS)

REWARD_TERMS = (
    "comfort", "potential", "service", "wage", "punctuality", "conflict", "stress", "chat", "move", "terminal", "meeting",
)  # fmt: skip
COMFORT, POTENTIAL, SERVICE, WAGE, PUNCTUALITY, CONFLICT, STRESS, CHATTING, MOVING, TERMINAL, MEETING = range(11)

# Random streams: one number for every use.
SPAWN, NEED, WALLET, PERSONALITY, JOB, SHIFT, LAYOUT, RIVALRY, FIRST_TICK = 1, 2, 5, 6, 7, 8, 9, 10, 11
SPIKE, SPIKE_PRICE, SPIKE_TICKS, BLACKOUT, BLACKOUT_TICKS, OUTAGE, OUTAGE_TICKS, MEET, MEET_CELL = range(20, 29)
ORDER, CHATS = 30, 31

# What passes between agents. Chats are counted for the speaker (quality: bp, summed over those that succeeded), a shared meal for who ate
# last, help and lateness (ticks) for who came late, and a takeover for who was absent; help and takeovers once for each colleague at work.
# Cuts of power and water are the town's: every agent counts them.
SOCIAL = (
    "chat_failures", "chat_quality", "shared_meals", "late_help", "late_ticks", "shift_takeovers", "blackouts", "outages",
)  # fmt: skip
# What is counted for every agent from reset to horizon; the names that success and harm predicates use.
STATS = (
    "eats", "showers", "cooks", "sleeps", "presses", "ghost_steps", "yields", "chats", "refused", "waited", "moves", "stress",
    "faints", "evictions", "on_time", "late", "absent", "full_shifts", "shifts", "intensity", *SOCIAL, "lowest_need",
    "highest_rivalry", "total_reward",
)  # fmt: skip

AGENT = np.dtype(
    [(name, "i4") for name in ("y", "x", "wallet", "extroversion", "forgiveness", "ambition")]
    + [("need", "i4", (3,)), ("decay", "i4", (3,))]  # bp; per cent of the scenario's decay
    + [(name, "i4") for name in ("queue", "status", "busy", "claim", "joined", "last_action", "last_ok")]
    + [(name, "i4") for name in ("job", "job_state", "shift_start", "shift_end", "worked", "strikes")]  # shift: ticks of the day
    + [(name, "i4") for name in ("workplace", "ate_at")]  # object or -1; tick of the last meal
    + [(name, "i4") for name in ("alive", "gone")]  # alive: 0 in the tick that ends a life; gone: left the world for good
    + [(name, "i4") for name in ("recent_conflict", "chat_cooldown", "yield_cooldown", "stay", "potential", "life")]
    + [(name, "i4") for name in STATS]
    + [("reward", "i4", (len(REWARD_TERMS),))],  # of this tick
    align=True,
)
OBJECT = np.dtype([(name, "i4") for name in ("active", "stall", "stock", "length")], align=True)
WORLD = np.dtype(
    [("seed", "u8"), ("id", "u8")]  # the key of the world's random numbers
    + [(name, "i4") for name in ("tick", "episode", "layout", "first_tick")]
    + [(name, "i4") for name in ("price", "spike_end", "blackout_end", "outage_end")]
    # who shall meet (-1: nobody), where, until when
    + [(name, "i4") for name in ("meet_a", "meet_b", "meet_y", "meet_x", "meet_end")]
    + [("perturbation_cooldown", "i4")]  # ticks left
    + [
        ("agent", AGENT, (MAX_AGENTS,)),
        ("object", OBJECT, (MAX_OBJECTS,)),
        ("queue", "i4", (MAX_OBJECTS, MAX_AGENTS)),  # waiting agents in order
        ("cooldown", "i4", (MAX_OBJECTS, MAX_AGENTS)),  # tick before which a new request is refused
        ("rivalry", "i4", (MAX_AGENTS, MAX_AGENTS)),  # [holder, other] bp
        ("trust", "i4", (MAX_AGENTS, MAX_AGENTS)),
        ("familiarity", "i4", (MAX_AGENTS, MAX_AGENTS)),
        ("occupant", "i1", (GRID, GRID)),  # agent on the cell, or -1
    ],
    align=True,
)

# One of the eight rotations and mirrors of a layout, with everything about it that never changes.
PLAN = np.dtype(
    [
        ("n_objects", "i4"),
        ("n_spawn", "i4"),
        ("n_workplaces", "i4"),
        ("object_type", "i4", (MAX_OBJECTS,)),
        ("place", "i4", (MAX_OBJECTS, 2)),  # y, x
        ("workplace", "i4", (MAX_OBJECTS,)),  # object of each workplace, in order
        ("floor", "u1", (GRID + 2, GRID + 2)),  # one cell of wall around, so that neighbours need no bounds test
        ("object_at", "i1", (GRID, GRID)),
        ("distance", "i4", (MAX_OBJECTS, GRID, GRID)),  # steps to the nearest service cell, FAR where there is no way
        ("descends", "u1", (MAX_OBJECTS, GRID, GRID)),  # bit d: the neighbour in direction d is nearer
        ("nearest", "i1", (len(OBJECT_TYPES), GRID, GRID)),  # object of that type with the shortest way, or -1
        ("to_object", "i4", (GRID, GRID)),  # steps to the nearest service cell of any object
        ("narrow", "u1", (GRID, GRID)),  # where two agents cannot pass, and next to it
        ("parking", "i4", (GRID, GRID)),  # steps to the nearest spawn cell
        ("parking_descends", "u1", (GRID, GRID)),
        ("spawn", "i4", (GRID * GRID, 2)),
        ("wall_view", "u1", (GRID + 10, GRID + 10)),  # map channels 0 and 1, padded for an 11 × 11 view
        ("object_view", "u1", (GRID + 10, GRID + 10)),
    ],
    align=True,
)
FAR = 99
DY = np.array([0, -1, 1, 0, 0])  # by action id: wait, north, south, east, west
DX = np.array([0, 0, 0, 1, -1])

# What a scenario may set; one record for all its worlds.
SETUP = np.dtype(
    [(name, "i4") for name in ("agents", "horizon", "day", "fridge_stock", "stove_stock", "restock_every", "rivalry_decay")]
    + [("need_low", "i4", (3,)), ("need_high", "i4", (3,)), ("decay", "i4", (3,))]
    + [(name, "i4") for name in ("wallet_low", "wallet_high", "rivalry_low", "rivalry_high")]
    + [(name, "i4") for name in ("jobs", "shift_first", "shift_spacing", "shift_jitter", "shift_length")]
    + [(name, "i4") for name in ("price_spike", "blackout", "outage", "meet")]  # chance in a tick, 1/1,000,000
    + [(name, "i4") for name in ("pay_first_service", "respawn")],  # yes or no
    align=True,
)
