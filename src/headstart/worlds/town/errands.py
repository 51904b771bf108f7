"""The goal of the scripted expert: work when it is time, otherwise the object that serves its lowest need best."""

from headstart.worlds.jit import rule
from headstart.worlds.town.affordances import USE_TICKS, usable
from headstart.worlds.town.relationships import AVOID
from headstart.worlds.town.state import ABSENT, BED, CLAIM, DX, DY, FRIDGE, HUNGER, HYGIENE, NORTH, SHOWER, STOVE, WEST

CONTENT = 6000  # bp; needs above it are not served
URGENT = 1500  # bp; below it the agent goes despite rivals
PRESSING = 2000  # bp; below it a need is served even if the shift is near
SET_OUT = 9  # ticks to spare on the way to work
RIVAL_REACH = 5  # cells


@rule
def shift_ahead(world, setup, agent):
    """The agent has a shift today that is not over and that it may still work."""
    if agent.job < 0 or agent.job_state >= ABSENT:
        return False
    return world.tick % setup.day < agent.shift_end


@rule
def on_duty(world, plan, setup, agent):
    """It is time to go to work, or to stay there. A claimed use is finished first if time allows."""
    if not shift_ahead(world, setup, agent):
        return False
    slack = agent.shift_start - world.tick % setup.day - plan.distance[agent.workplace, agent.y, agent.x]
    if slack > SET_OUT:
        return False
    o = agent.queue
    return agent.status != CLAIM or slack <= USE_TICKS[plan.object_type[o]] + 2 * plan.distance[o, agent.y, agent.x]


@rule
def choose(world, plan, setup, a):
    """The object worth going to, or -1: low need, short queue, short way, quickly done, no rival on it, and time enough before work."""
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
        if need > PRESSING and _work_is_near(world, plan, setup, agent, o):
            continue
        if need > URGENT and _rival_on(world, plan, setup, a, o):
            continue
        score = need + 600 * world.object[o].length + 30 * distance + 15 * USE_TICKS[plan.object_type[o]]
        if score < best_score:
            best, best_score = o, score
    return best


@rule
def _object_for(world, plan, agent, k):
    """Type of object for need `k`; the stove if the agent is hungry and the fridge is empty."""
    if k != HUNGER:
        return SHOWER if k == HYGIENE else BED
    fridge = plan.nearest[FRIDGE, agent.y, agent.x]
    stove = plan.nearest[STOVE, agent.y, agent.x]
    if fridge >= 0 and stove >= 0 and world.object[fridge].stock == 0:
        if world.object[stove].active < 0 and world.object[stove].stock > 0:
            return STOVE
    return FRIDGE


@rule
def _work_is_near(world, plan, setup, agent, o):
    """The shift is too near for going to object `o`, queueing, using it and being on time."""
    if not shift_ahead(world, setup, agent):
        return False
    to_start = agent.shift_start - world.tick % setup.day
    use = USE_TICKS[plan.object_type[o]]
    return to_start < use * (2 + world.object[o].length) + 2 * plan.distance[o, agent.y, agent.x] + 8


@rule
def _rival_on(world, plan, setup, a, o):
    """An avoided agent is within 5 cells, in a direction in which object `o` is nearer; or `a` avoids somebody and the object is taken."""
    agent = world.agent[a]
    taken = world.object[o].active >= 0
    for other in range(setup.agents):
        rival = world.agent[other]
        if other == a or rival.gone != 0 or world.rivalry[a, other] < AVOID:
            continue
        if taken:
            return True
        dy, dx = rival.y - agent.y, rival.x - agent.x
        if abs(dy) + abs(dx) > RIVAL_REACH:
            continue
        for d in range(NORTH, WEST + 1):
            if (plan.descends[o, agent.y, agent.x] >> (d - 1)) & 1 and dy * DY[d] + dx * DX[d] > 0:
                return True
    return False


@rule
def rival_in_queue(world, setup, a):
    """An agent that `a` avoids is in the same queue, or uses its object."""
    for other in range(setup.agents):
        if other != a and world.agent[other].queue == world.agent[a].queue and world.rivalry[a, other] >= AVOID:
            return True
    return False
