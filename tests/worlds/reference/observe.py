"""The observation of an agent: features by name, in the order of §6, and the hybrid map. Values are exact ratios."""

from tests.worlds.reference.actions import REQUEST_REACH
from tests.worlds.reference.affordances import usable
from tests.worlds.reference.layout import SIDES, Cell, Steps, apart, beside
from tests.worlds.reference.relationships import AVOID
from tests.worlds.reference.town import Agent, Town

from headstart.worlds.town.state import ACTIONS, FAR, OBJECT_TYPES, WAITING

Features = dict[str, float]
Map = dict[str, list[list[int]]]  # channel → 11 rows of 11

HALF_VIEW = 5
SERVES = {"fridge": "hunger", "stove": "hunger", "shower": "hygiene", "bed": "energy"}


def features(town: Town, agent: Agent) -> Features:
    """The blocks in their order; all zero for an agent that has left the town."""
    seen = (
        own(town, agent)
        | job(town, agent)
        | queue(town, agent)
        | adjacent(town, agent)
        | {f"{kind}_{name}": value for kind in OBJECT_TYPES for name, value in thing(town, agent, kind).items()}
        | conflicts(town, agent)
        | {f"other{i}_{name}": value for i in range(3) for name, value in neighbour(town, agent, i).items()}
        | whole_town(town, agent)
        | parking(town, agent)
        | approach(town, agent)
    )
    return dict.fromkeys(seen, 0) if agent.gone else seen


def own(town: Town, agent: Agent) -> Features:
    """self 10: a triangle instead of sine and cosine, exact on every machine."""
    day = town.setup.day
    return (
        {f"need_{need}": level / 10000 for need, level in agent.need.items()}
        | {"wallet": min(400, agent.wallet) / 400}
        | {trait: value / 100 for trait, value in agent.traits.items()}
        | {
            "day": town.time_of_day / day,
            "day_triangle": abs(2 * town.time_of_day - day) / day,
            "progress": town.tick / town.setup.horizon,
        }
    )


def job(town: Town, agent: Agent) -> Features:
    """job 12. Reading: all times are clipped to [−1, 2] like the slack; slack goes by the path to the own workplace."""
    seen: Features = {
        f"job_{name}": agent.job_state == state for state, name in enumerate(("off", "pre", "on_time", "late", "absent", "done"))
    }
    if agent.job is None:
        return seen | dict.fromkeys(("has_job", "to_start", "slack_to_start", "to_end", "worked_share", "strikes"), 0)
    to_start = agent.shift_start - town.time_of_day
    to_end = agent.shift_end - town.time_of_day
    return seen | {
        "has_job": 1,
        "to_start": clip(to_start / 40),
        "slack_to_start": clip((to_start - town.plan.distance(agent.workplace, agent.cell)) / 10),
        "to_end": clip(to_end / 40),
        "worked_share": agent.worked / town.setup.shift["length"],
        "strikes": agent.strikes / 4,
    }


def clip(value: float) -> float:
    return min(2, max(-1, value))


def queue(town: Town, agent: Agent) -> Features:
    """queue 10. Reading: places count from 1, for waiters only; waiting is counted on while holding a claim, up to 50."""
    seen: Features = {f"status_{name}": agent.status == s for s, name in enumerate(("none", "waiting", "claim", "using"))}
    if agent.queue is None:
        return seen | dict.fromkeys(("queue_length", "queue_place", "busy", "claim_left", "stall", "waited"), 0)
    line, agents = town.things[agent.queue].queue, len(town.agents)
    return seen | {
        "queue_length": len(line) / agents,
        "queue_place": (line.index(agent.id) + 1) / agents if agent.status == WAITING else 0,
        "busy": agent.busy / 16,
        "claim_left": agent.claim / 20,
        "stall": town.things[agent.queue].stall / 10,
        "waited": min(50, town.tick - agent.joined) / 50,
    }


def adjacent(town: Town, agent: Agent) -> Features:
    """adjacent 8. Reading: every cell that is not floor is a wall here, objects too."""
    beyond = {side: beside(agent.cell, side) for side in SIDES}
    walls = {f"wall_{side}": cell not in town.plan.floor for side, cell in beyond.items()}
    return walls | {f"agent_{side}": town.agent_at(cell) is not None for side, cell in beyond.items()}


def thing(town: Town, agent: Agent, kind: str) -> Features:
    """One of objects 5 × 13: the nearest of the kind, or the own workplace."""
    o = agent.workplace if kind == "workplace" else town.plan.nearest(kind, agent.cell)
    if o is None:
        names = ("exists", "distance", "at_hand", "in_reach", *nearer({}, agent.cell))
        return dict.fromkeys((*names, "occupied", "queue_length", "usable", "stock", "cooldown"), 0)
    distance, found = town.plan.distance(o, agent.cell), town.things[o]
    return {
        "exists": 1,
        "distance": distance / 32,
        "at_hand": distance == 0,
        "in_reach": distance <= REQUEST_REACH,
        **nearer(town.plan.ways[o], agent.cell),
        "occupied": found.active is not None,
        "queue_length": len(found.queue) / len(town.agents),
        "usable": usable(town, agent, o),
        "stock": found.stock / 10,
        "cooldown": max(0, town.cooldown[o, agent.id] - town.tick) / 50,
    }


def nearer(steps: Steps, cell: Cell, prefix: str = "nearer") -> Features:
    """Which neighbours have a smaller distance."""
    here = steps.get(cell, FAR)
    return {f"{prefix}_{side}": steps.get(beside(cell, side), FAR) < here for side in SIDES}


def conflicts(town: Town, agent: Agent) -> Features:
    """conflict 12. Reading: the top rival is the first of equals; without a rivalry there is none."""
    others = list(town.others(agent))
    mine = {other.id: town.rivalry[agent.id, other.id] for other in others}
    top = max(others, key=lambda other: mine[other.id], default=None)
    dy, dx = offset(agent, top.cell) if top is not None and mine[top.id] > 0 else (0, 0)
    return {
        "rivalry_max": max(mine.values(), default=0) / 10000,
        "rivalry_mean": sum(mine.values()) / (10000 * max(1, len(town.agents) - 1)),
        "rivalry_avoid_count": sum(bp >= AVOID for bp in mine.values()) / len(town.agents),
        "rivalry_toward_me_max": max((town.rivalry[other.id, agent.id] for other in others), default=0) / 10000,
        "recent_conflict": agent.recent_conflict / 1000,
        "top_rival_dy": dy / 8,
        "top_rival_dx": dx / 8,
        "top_rival_near": 0 < abs(dy) + abs(dx) <= 3,
        "need_gap_to_neediest_waiter": need_gap_to_neediest(town, agent) / 10000,
        "am_front": agent.status == WAITING and town.things[agent.queue].queue[0] == agent.id,
        "yield_cooldown": agent.yield_cooldown / 20,
        "stay": agent.stay / 50,
    }


def offset(agent: Agent, cell: Cell) -> tuple[int, int]:
    return cell[0] - agent.cell[0], cell[1] - agent.cell[1]


def need_gap_to_neediest(town: Town, agent: Agent) -> int:
    """The agent's value of the need that its queue serves, less the lowest value among the other waiters."""
    if agent.queue is None:
        return 0
    need = SERVES[town.things[agent.queue].kind]
    waiters = [town.agents[a] for a in town.things[agent.queue].queue if a != agent.id]
    return agent.need[need] - min(waiter.need[need] for waiter in waiters) if waiters else 0


def need_gap_to_second(town: Town, agent: Agent) -> int:
    """The same for the first in the queue, less the second's value."""
    if agent.status != WAITING:
        return 0
    line, need = town.things[agent.queue].queue, SERVES[town.things[agent.queue].kind]
    return agent.need[need] - town.agents[line[1]].need[need] if line[0] == agent.id and len(line) > 1 else 0


def neighbour(town: Town, agent: Agent, rank: int) -> Features:
    """One of others 3 × 9: nearest by Manhattan distance, the lower id of equals."""
    by_distance = sorted(town.others(agent), key=lambda other: apart(agent.cell, other.cell))
    if rank >= len(by_distance):
        return dict.fromkeys(("exists", "dy", "dx", "rivalry", "trust", "familiarity", "status", "same_queue", "stay"), 0)
    other = by_distance[rank]
    dy, dx = offset(agent, other.cell)
    edge = agent.id, other.id
    return {
        "exists": 1,
        "dy": dy / 8,
        "dx": dx / 8,
        "rivalry": town.rivalry[edge] / 10000,
        "trust": town.trust[edge] / 10000,
        "familiarity": town.familiarity[edge] / 10000,
        "status": other.status / 3,
        "same_queue": agent.queue is not None and other.queue == agent.queue,
        "stay": other.stay / 50,
    }


def whole_town(town: Town, agent: Agent) -> Features:
    """town 6, with the last action one-hot, and the arranged meeting (distance by Manhattan, over 16)."""
    invited = town.meeting is not None and agent.id in town.meeting
    dy, dx = offset(agent, town.meeting_cell) if invited else (0, 0)
    return (
        {
            "price_excess": (town.price - 100) / 100,
            "blackout": town.tick < town.blackout_end,
            "outage": town.tick < town.outage_end,
            "chat_cooldown": agent.chat_cooldown / 30,
        }
        | {f"last_{action}": agent.last_action == id for id, action in enumerate(ACTIONS)}
        | {"last_ok": agent.last_ok, "meet_active": invited, "meet_dy": dy / 8, "meet_dx": dx / 8}
        | {"meet_distance": (abs(dy) + abs(dx)) / 16}
    )


def parking(town: Town, agent: Agent) -> Features:
    """parking 5."""
    steps = town.plan.parking
    return nearer(steps, agent.cell, "parking") | {"parking_distance": steps.get(agent.cell, FAR) / 16}


def approach(town: Town, agent: Agent) -> Features:
    """approach 7."""
    narrow = town.plan.narrow
    return {f"narrow_{side}": beside(agent.cell, side) in narrow for side in SIDES} | {
        "narrow_here": agent.cell in narrow,
        "approach_occupied": approach_occupied(town, agent),
        "need_gap_to_second_in_queue": need_gap_to_second(town, agent) / 10000,
    }


def approach_occupied(town: Town, agent: Agent) -> bool:
    """Another agent, nearer than me, is on a narrow cell within 2 steps of my queue's object."""
    if agent.queue is None:
        return False
    way = town.plan.ways[agent.queue]
    mine = way.get(agent.cell, FAR)
    return any(
        way.get(other.cell, FAR) < mine and way.get(other.cell, FAR) <= 2 and other.cell in town.plan.narrow
        for other in town.others(agent)
    )


def view(town: Town, agent: Agent) -> Map:
    """The hybrid map: six channels of 11 × 11 bytes centred on the agent; all zero for one that has left."""
    plan, (y, x) = town.plan, agent.cell
    around = [(y + dy, x + dx) for dy in range(-HALF_VIEW, HALF_VIEW + 1) for dx in range(-HALF_VIEW, HALF_VIEW + 1)]
    standing = {other.cell: other for other in town.present()}
    channels = {
        "wall": {cell: 255 for cell in around if cell not in plan.floor and cell not in plan.places},
        "object": {place: (OBJECT_TYPES.index(kind) + 1) * 40 for place, kind in zip(plan.places, plan.kinds, strict=True)},
        "workplace": {} if agent.workplace is None else {plan.places[agent.workplace]: 255},
        "agent": {cell: 128 if other is agent else 255 for cell, other in standing.items()},
        "rivalry": {cell: town.rivalry[agent.id, other.id] * 255 // 10000 for cell, other in standing.items()},
        "queue": {cell: other.status * 85 for cell, other in standing.items()},
    }
    return {name: picture({} if agent.gone else marks, y - HALF_VIEW, x - HALF_VIEW) for name, marks in channels.items()}


def picture(marks: dict[Cell, int], top: int, left: int) -> list[list[int]]:
    """11 × 11 bytes; marks outside of it are not seen."""
    size = 2 * HALF_VIEW + 1
    rows = [[0] * size for _ in range(size)]
    for (y, x), mark in marks.items():
        if 0 <= y - top < size and 0 <= x - left < size:
            rows[y - top][x - left] = mark
    return rows
