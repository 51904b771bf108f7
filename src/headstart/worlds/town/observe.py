"""The observation of an agent: 180 features in named blocks.

`FEATURES` names the columns in order; each block below writes its own. Every value is an integer multiplied or divided by a constant, so
that features have the same bits on every machine.
"""

from collections.abc import Iterable

from headstart.worlds.jit import rule
from headstart.worlds.town.affordances import usable
from headstart.worlds.town.facts import approach_occupied, need_gap_to_neediest, need_gap_to_second
from headstart.worlds.town.queueing import REQUEST_REACH, place_in_queue
from headstart.worlds.town.relationships import AVOID
from headstart.worlds.town.state import ACTIONS, DX, DY, FAR, N_ACTIONS, NEEDS, OBJECT_TYPES, WAITING, WORKPLACE

SIDES = ("north", "south", "east", "west")
N_OTHERS = 3


def _names() -> tuple[str, ...]:
    own = "wallet extroversion forgiveness ambition day day_triangle progress"
    job = "has_job to_start slack_to_start to_end worked_share strikes"
    queue = "queue_length queue_place busy claim_left stall waited"
    thing = [*_each("nearer_{}", SIDES), *["occupied", "queue_length", "usable", "stock", "cooldown"]]
    rivalry = "rivalry_max rivalry_mean rivalry_avoid_count rivalry_toward_me_max recent_conflict"
    top_rival = "top_rival_dy top_rival_dx top_rival_near need_gap_to_neediest_waiter am_front yield_cooldown stay"
    other = ["exists", "dy", "dx", "rivalry", "trust", "familiarity", "status", "same_queue", "stay"]
    return (
        *_each("need_{}", NEEDS), *own.split(),
        *_each("job_{}", ["off", "pre", "on_time", "late", "absent", "done"]), *job.split(),
        *_each("status_{}", ["none", "waiting", "claim", "using"]), *queue.split(),
        *_each("wall_{}", SIDES), *_each("agent_{}", SIDES),
        *(f"{kind}_{c}" for kind in OBJECT_TYPES for c in ["exists", "distance", "at_hand", "in_reach", *thing]),
        *rivalry.split(), *top_rival.split(),
        *(f"other{i}_{c}" for i in range(N_OTHERS) for c in other),
        *["price_excess", "blackout", "outage", "chat_cooldown"], *_each("last_{}", ACTIONS), "last_ok",
        *["meet_active", "meet_dy", "meet_dx", "meet_distance"],
        *_each("parking_{}", SIDES), "parking_distance",
        *_each("narrow_{}", SIDES), *["narrow_here", "approach_occupied", "need_gap_to_second_in_queue"],
    )  # fmt: skip


def _each(pattern: str, names: Iterable[str]) -> list[str]:
    return [pattern.format(name) for name in names]


FEATURES = _names()
N_FEATURES = len(FEATURES)


@rule
def write_features(world, plan, setup, a, out):
    """Features of agent `a` into out [180] f32."""
    agent = world.agent[a]
    if agent.gone != 0:
        out[:] = 0.0
        return
    c = _self(world, setup, agent, out, 0)
    c = _job(world, plan, setup, agent, out, c)
    c = _queue(world, setup, a, out, c)
    c = _adjacent(world, plan, agent, out, c)
    for kind in range(len(OBJECT_TYPES)):
        c = _object(world, plan, setup, a, kind, out, c)
    c = _conflict(world, plan, setup, a, out, c)
    c = _others(world, setup, a, out, c)
    c = _town(world, a, out, c)
    c = _parking(plan, agent, out, c)
    _approach(world, plan, setup, a, out, c)


@rule
def _self(world, setup, agent, out, c):
    for k in range(3):
        out[c + k] = agent.need[k] * 1e-4
    out[c + 3] = min(400, agent.wallet) / 400.0
    out[c + 4] = agent.extroversion / 100.0
    out[c + 5] = agent.forgiveness / 100.0
    out[c + 6] = agent.ambition / 100.0
    time_of_day = world.tick % setup.day
    out[c + 7] = time_of_day / setup.day
    out[c + 8] = abs(2 * time_of_day - setup.day) / setup.day
    out[c + 9] = world.tick / setup.horizon
    return c + 10


@rule
def _job(world, plan, setup, agent, out, c):
    for state in range(6):
        out[c + state] = agent.job_state == state
    for i in range(6, 12):
        out[c + i] = 0.0
    if agent.job >= 0:
        today = world.tick % setup.day
        to_start = agent.shift_start - today
        slack = to_start - plan.distance[agent.workplace, agent.y, agent.x]
        out[c + 6] = 1.0
        out[c + 7] = min(80, max(-40, to_start)) / 40.0
        out[c + 8] = min(20, max(-10, slack)) / 10.0
        out[c + 9] = min(80, max(-40, agent.shift_end - today)) / 40.0
        out[c + 10] = agent.worked / setup.shift_length
        out[c + 11] = agent.strikes / 4.0
    return c + 12


@rule
def _queue(world, setup, a, out, c):
    agent = world.agent[a]
    for s in range(4):
        out[c + s] = agent.status == s
    for i in range(4, 10):
        out[c + i] = 0.0
    o = agent.queue
    if o >= 0:
        out[c + 4] = world.object[o].length / setup.agents
        out[c + 5] = (place_in_queue(world, o, a) + 1) / setup.agents if agent.status == WAITING else 0.0
        out[c + 6] = agent.busy / 16.0
        out[c + 7] = agent.claim / 20.0
        out[c + 8] = world.object[o].stall / 10.0
        out[c + 9] = min(50, world.tick - agent.joined) / 50.0
    return c + 10


@rule
def _adjacent(world, plan, agent, out, c):
    for d in range(1, 5):
        y, x = agent.y + DY[d], agent.x + DX[d]
        floor = plan.floor[y + 1, x + 1] != 0
        out[c + d - 1] = not floor
        out[c + d + 3] = floor and world.occupant[y, x] >= 0
    return c + 8


@rule
def _object(world, plan, setup, a, kind, out, c):
    agent = world.agent[a]
    o = agent.workplace if kind == WORKPLACE else plan.nearest[kind, agent.y, agent.x]
    if o < 0:
        for i in range(13):
            out[c + i] = 0.0
        return c + 13
    thing = world.object[o]
    distance = plan.distance[o, agent.y, agent.x]
    descends = plan.descends[o, agent.y, agent.x]
    out[c] = 1.0
    out[c + 1] = distance / 32.0
    out[c + 2] = distance == 0
    out[c + 3] = distance <= REQUEST_REACH
    for d in range(4):
        out[c + 4 + d] = (descends >> d) & 1
    out[c + 8] = thing.active >= 0
    out[c + 9] = thing.length / setup.agents
    out[c + 10] = usable(world, plan, agent, o)
    out[c + 11] = thing.stock / 10.0
    out[c + 12] = max(0, world.cooldown[o, a] - world.tick) / 50.0
    return c + 13


@rule
def _conflict(world, plan, setup, a, out, c):
    agent = world.agent[a]
    top, highest, total, avoided, toward_me = -1, 0, 0, 0, 0
    for other in range(setup.agents):
        if other == a or world.agent[other].gone != 0:
            continue
        rivalry = world.rivalry[a, other]
        total += rivalry
        avoided += rivalry >= AVOID
        toward_me = max(toward_me, world.rivalry[other, a])
        if rivalry > highest:
            top, highest = other, rivalry
    out[c] = highest * 1e-4
    out[c + 1] = total * 1e-4 / max(1, setup.agents - 1)
    out[c + 2] = avoided / setup.agents
    out[c + 3] = toward_me * 1e-4
    out[c + 4] = agent.recent_conflict * 1e-3
    out[c + 5] = out[c + 6] = out[c + 7] = 0.0
    if top >= 0:
        dy, dx = world.agent[top].y - agent.y, world.agent[top].x - agent.x
        out[c + 5] = dy / 8.0
        out[c + 6] = dx / 8.0
        out[c + 7] = abs(dy) + abs(dx) <= 3
    out[c + 8] = need_gap_to_neediest(world, plan, a) * 1e-4
    out[c + 9] = agent.status == WAITING and world.queue[agent.queue, 0] == a
    out[c + 10] = agent.yield_cooldown / 20.0
    out[c + 11] = agent.stay / 50.0
    return c + 12


@rule
def _others(world, setup, a, out, c):
    """The three nearest other agents, by Manhattan distance, then id."""
    agent = world.agent[a]
    taken = 1 << a
    for _ in range(N_OTHERS):
        best, best_distance = -1, 1000
        for other in range(setup.agents):
            neighbour = world.agent[other]
            if (taken >> other) & 1 == 0 and neighbour.gone == 0:
                distance = abs(neighbour.y - agent.y) + abs(neighbour.x - agent.x)
                if distance < best_distance:
                    best, best_distance = other, distance
        if best < 0:
            for i in range(9):
                out[c + i] = 0.0
        else:
            taken |= 1 << best
            neighbour = world.agent[best]
            out[c] = 1.0
            out[c + 1] = (neighbour.y - agent.y) / 8.0
            out[c + 2] = (neighbour.x - agent.x) / 8.0
            out[c + 3] = world.rivalry[a, best] * 1e-4
            out[c + 4] = world.trust[a, best] * 1e-4
            out[c + 5] = world.familiarity[a, best] * 1e-4
            out[c + 6] = neighbour.status / 3.0
            out[c + 7] = agent.queue >= 0 and neighbour.queue == agent.queue
            out[c + 8] = neighbour.stay / 50.0
        c += 9
    return c


@rule
def _town(world, a, out, c):
    agent = world.agent[a]
    out[c] = (world.price - 100) / 100.0
    out[c + 1] = world.blackout_end > world.tick
    out[c + 2] = world.outage_end > world.tick
    out[c + 3] = agent.chat_cooldown / 30.0
    for action in range(N_ACTIONS):
        out[c + 4 + action] = 0.0
    out[c + 4 + agent.last_action] = 1.0
    c += 4 + N_ACTIONS
    out[c] = agent.last_ok
    for i in range(1, 5):
        out[c + i] = 0.0
    if a == world.meet_a or a == world.meet_b:
        dy, dx = world.meet_y - agent.y, world.meet_x - agent.x
        out[c + 1] = 1.0
        out[c + 2] = dy / 8.0
        out[c + 3] = dx / 8.0
        out[c + 4] = (abs(dy) + abs(dx)) / 16.0
    return c + 5


@rule
def _parking(plan, agent, out, c):
    descends = plan.parking_descends[agent.y, agent.x]
    for d in range(4):
        out[c + d] = (descends >> d) & 1
    out[c + 4] = min(FAR, plan.parking[agent.y, agent.x]) / 16.0
    return c + 5


@rule
def _approach(world, plan, setup, a, out, c):
    agent = world.agent[a]
    for d in range(1, 5):
        y, x = agent.y + DY[d], agent.x + DX[d]
        out[c + d - 1] = plan.floor[y + 1, x + 1] != 0 and plan.narrow[y, x] != 0
    out[c + 4] = plan.narrow[agent.y, agent.x]
    out[c + 5] = approach_occupied(world, plan, setup, a)
    out[c + 6] = need_gap_to_second(world, plan, a) * 1e-4
