"""Facts about an agent's place in a queue that features show and the expert acts on."""

from headstart.worlds.jit import rule
from headstart.worlds.town.state import BED, SHOWER, WAITING


@rule
def need_of(kind):
    """The need that an object of this type serves."""
    return 1 if kind == SHOWER else 2 if kind == BED else 0


@rule
def need_gap_to_neediest(world, plan, a):
    """How far the lowest value of the served need among the other waiters is below the agent's (bp); 0 outside a queue."""
    agent = world.agent[a]
    o = agent.queue
    if o < 0:
        return 0
    k = need_of(plan.object_type[o])
    lowest = 10000
    for i in range(world.object[o].length):
        other = world.queue[o, i]
        if other != a:
            lowest = min(lowest, world.agent[other].need[k])
    return agent.need[k] - lowest if lowest < 10000 else 0


@rule
def need_gap_to_second(world, plan, a):
    """For the first in a queue: how far the second's value of the served need is below its own (bp); 0 for every other agent."""
    agent = world.agent[a]
    o = agent.queue
    if agent.status != WAITING or world.object[o].length < 2 or world.queue[o, 0] != a:
        return 0
    k = need_of(plan.object_type[o])
    return agent.need[k] - world.agent[world.queue[o, 1]].need[k]


@rule
def approach_occupied(world, plan, setup, a):
    """An agent that is nearer to the agent's object stands in the narrow way to it."""
    agent = world.agent[a]
    o = agent.queue
    if o < 0:
        return False
    mine = plan.distance[o, agent.y, agent.x]
    for other in range(setup.agents):
        if other != a and world.agent[other].gone == 0:
            y, x = world.agent[other].y, world.agent[other].x
            distance = plan.distance[o, y, x]
            if distance < mine and distance <= 2 and plan.narrow[y, x] != 0:
                return True
    return False
