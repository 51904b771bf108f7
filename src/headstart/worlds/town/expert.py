"""The scripted expert: path-finding and queue etiquette, as one list of priorities. It reads only what the features show.

Symmetry between two polite agents is broken by direction and by how long one has stood still, never by id or chance, so that a policy
can learn it from observations.
"""

from numba import prange

from headstart.worlds.jit import kernel, rule
from headstart.worlds.town.affordances import usable
from headstart.worlds.town.facts import approach_occupied, need_gap_to_second
from headstart.worlds.town.relationships import AVOID
from headstart.worlds.town.rules import allowed
from headstart.worlds.town.state import (
    BED,
    CHAT,
    CLAIM,
    DX,
    DY,
    EAST,
    FRIDGE,
    HUNGER,
    LEAVE,
    NORTH,
    REQUEST,
    SHOWER,
    SOUTH,
    STOVE,
    USE,
    USING,
    WAIT,
    WAITING,
    WEST,
    YIELD,
)

CONTENT = 6000  # bp; above it a need is not worth a walk
URGENT = 1500  # bp; below it even a rival does not keep the agent away
PATIENCE = 2, 5  # ticks of standing still before stepping aside: blocked from south or west, from north or east


@rule
def decide(world, plan, setup, a):
    """The action of agent `a`: the first of these that applies."""
    agent = world.agent[a]
    if agent.status == USING:
        return WAIT
    if agent.status == CLAIM:
        return _claim(world, plan, setup, a)
    if agent.status == WAITING:
        return _wait_in_line(world, plan, setup, a)
    choice = _choose(world, plan, setup, a)
    rival = _rival_within(world, setup, a, 3)
    if rival >= 0 and (choice < 0 or _closer(world, plan, choice, rival, a)):
        step = _away_from(world, plan, setup, a, rival)
        if step != WAIT:
            return step
    if choice >= 0:
        ask = REQUEST + plan.object_type[choice]
        if allowed(world, plan, setup, a, ask):
            return ask
        if plan.distance[choice, agent.y, agent.x] <= 1:
            return WAIT
        return _walk(world, plan, setup, a, plan.descends[choice, agent.y, agent.x])
    return _idle(world, plan, setup, a)


@rule
def _claim(world, plan, setup, a):
    """Use the object, or walk up to it; let whoever is leaving out first."""
    agent = world.agent[a]
    o = agent.queue
    if allowed(world, plan, setup, a, USE):
        return USE
    if plan.distance[o, agent.y, agent.x] == 0 or not usable(world, plan, agent, o):
        return LEAVE
    if approach_occupied(world, plan, setup, a):
        if plan.narrow[agent.y, agent.x] != 0:
            return _back_out(world, plan, setup, a)
        if _next_is_narrow(plan, agent, o):
            return WAIT
    return _walk(world, plan, setup, a, plan.descends[o, agent.y, agent.x])


@rule
def _wait_in_line(world, plan, setup, a):
    """Yield to the needier, and keep the way clear."""
    agent = world.agent[a]
    o = agent.queue
    if need_gap_to_second(world, plan, a) > 1500 and allowed(world, plan, setup, a, YIELD):
        return YIELD
    if not usable(world, plan, agent, o):
        return LEAVE
    if plan.narrow[agent.y, agent.x] != 0 or plan.distance[o, agent.y, agent.x] == 0:
        return _back_out(world, plan, setup, a)
    return WAIT


@rule
def _choose(world, plan, setup, a):
    """The object worth going to, or -1: low need, short queue, short way, no rival on it."""
    agent = world.agent[a]
    best, best_score = -1, 1 << 30
    for k in range(3):
        need = agent.need[k]
        if need >= CONTENT:
            continue
        o = plan.nearest[_object_for(world, plan, agent, k), agent.y, agent.x]
        if o < 0:
            continue
        distance = plan.distance[o, agent.y, agent.x]
        if world.cooldown[o, a] - world.tick > distance or not usable(world, plan, agent, o):
            continue
        score = need + 600 * world.object[o].length + 20 * distance
        if need > URGENT and _rival_at(world, plan, setup, a, o):
            score += 9000
        if score < best_score:
            best, best_score = o, score
    return best


@rule
def _object_for(world, plan, agent, k):
    """Type of object for need `k`; hungry with an empty fridge means cooking."""
    if k != HUNGER:
        return SHOWER if k == 1 else BED
    fridge = plan.nearest[FRIDGE, agent.y, agent.x]
    stove = plan.nearest[STOVE, agent.y, agent.x]
    if fridge >= 0 and stove >= 0 and world.object[fridge].stock == 0:
        if world.object[stove].active < 0 and world.object[stove].stock > 0:
            return STOVE
    return FRIDGE


@rule
def _rival_at(world, plan, setup, a, o):
    """An avoided agent is within 5 cells and nearer to object `o`."""
    for other in range(setup.agents):
        if other != a and world.rivalry[a, other] >= AVOID and _cells_between(world, a, other) <= 5:
            if _closer(world, plan, o, other, a):
                return True
    return False


@rule
def _rival_within(world, setup, a, reach):
    """The nearest avoided agent within `reach` cells, or -1."""
    best, best_distance = -1, reach + 1
    for other in range(setup.agents):
        if other != a and world.rivalry[a, other] >= AVOID:
            distance = _cells_between(world, a, other)
            if distance < best_distance:
                best, best_distance = other, distance
    return best


@rule
def _cells_between(world, a, b):
    return abs(world.agent[a].y - world.agent[b].y) + abs(world.agent[a].x - world.agent[b].x)


@rule
def _closer(world, plan, o, a, b):
    """Agent `a` is nearer to object `o` than agent `b`."""
    first, second = world.agent[a], world.agent[b]
    return plan.distance[o, first.y, first.x] < plan.distance[o, second.y, second.x]


@rule
def _away_from(world, plan, setup, a, rival):
    """A step to a wide cell that is farther from `rival`, or wait."""
    agent = world.agent[a]
    here = _cells_between(world, a, rival)
    for d in range(NORTH, WEST + 1):
        y, x = agent.y + DY[d], agent.x + DX[d]
        if allowed(world, plan, setup, a, d) and plan.narrow[y, x] == 0:
            if abs(world.agent[rival].y - y) + abs(world.agent[rival].x - x) > here:
                return d
    return WAIT


@rule
def _idle(world, plan, setup, a):
    """Nothing is needed: chat, or go and stand where nobody has to pass."""
    agent = world.agent[a]
    if allowed(world, plan, setup, a, CHAT):
        return CHAT
    if plan.narrow[agent.y, agent.x] != 0 or plan.to_object[agent.y, agent.x] <= 3:
        return _walk(world, plan, setup, a, plan.parking_descends[agent.y, agent.x])
    return WAIT


@rule
def _walk(world, plan, setup, a, descends):
    """One step to the nearer free neighbour; stand behind whoever is in the way for a while, then step aside."""
    agent = world.agent[a]
    blocked = WAIT
    for d in range(NORTH, WEST + 1):
        if (descends >> (d - 1)) & 1:
            if allowed(world, plan, setup, a, d):
                return d
            if blocked == WAIT:
                blocked = d
    if blocked == WAIT or agent.stay < (PATIENCE[0] if blocked in (SOUTH, WEST) else PATIENCE[1]):
        return WAIT
    sideways = EAST if blocked <= SOUTH else NORTH
    for d in (sideways, sideways + 1):
        if allowed(world, plan, setup, a, d):
            return d
    back = ((blocked - 1) ^ 1) + 1  # north ↔ south, east ↔ west
    if allowed(world, plan, setup, a, back):
        return back
    return WAIT


@rule
def _back_out(world, plan, setup, a):
    """One step away from the agent's object, towards the open where there is a choice."""
    agent = world.agent[a]
    o = agent.queue
    best, best_distance = WAIT, -1
    for d in range(NORTH, WEST + 1):
        if allowed(world, plan, setup, a, d):
            y, x = agent.y + DY[d], agent.x + DX[d]
            distance = plan.distance[o, y, x]
            if distance > plan.distance[o, agent.y, agent.x] and distance > best_distance:
                best, best_distance = d, distance
    return best


@rule
def _next_is_narrow(plan, agent, o):
    descends = plan.descends[o, agent.y, agent.x]
    for d in range(NORTH, WEST + 1):
        if (descends >> (d - 1)) & 1 and plan.narrow[agent.y + DY[d], agent.x + DX[d]] != 0:
            return True
    return False


@kernel
def decide_worlds(worlds, plans, setups, actions):
    """The expert's action of every agent into actions [W, A] i64."""
    for w in prange(len(worlds)):
        world, setup = worlds[w], setups[0]
        plan = plans[world.layout]
        for a in range(setup.agents):
            actions[w, a] = decide(world, plan, setup, a)
