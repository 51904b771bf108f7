"""The scripted expert: path-finding and queue etiquette, as one list of priorities. It reads only what the features show.

Ties between two agents that give way are broken by direction and by how long each has stood still, never by id or chance, so that a
policy can learn it from observations.
"""

from numba import prange

from headstart.worlds.jit import kernel, rule
from headstart.worlds.town.affordances import usable
from headstart.worlds.town.errands import URGENT, choose, on_duty, rival_in_queue, shift_ahead
from headstart.worlds.town.facts import approach_occupied, need_gap_to_second
from headstart.worlds.town.footwork import back_out, keep_away, let_out, make_way, next_is_narrow, walk
from headstart.worlds.town.rules import allowed
from headstart.worlds.town.state import CHAT, CLAIM, ENERGY, HUNGER, LEAVE, REQUEST, USE, USING, WAIT, WAITING, WORK, YIELD

NEEDIER = 1500  # bp by which the next waiter's need must be greater for the agent to yield
COMMUTE = 40  # ticks before the shift from which idle time is spent near work
NEAR_WORK = 2  # steps
WAITING_ROOM = 5  # steps from the object at which an agent waits
CLEARANCE = 3  # steps from any object within which an idle agent obstructs others


@rule
def decide(world, plan, setup, a):
    """The action of agent `a`: the first of these that applies, away from rivals unless it starves."""
    agent = world.agent[a]
    if agent.status == USING or agent.gone != 0:
        return WAIT
    if on_duty(world, plan, setup, agent):
        return _go_to_work(world, plan, setup, a)
    if agent.status == CLAIM:
        action = _claim(world, plan, setup, a)
    elif agent.status == WAITING:
        action = _wait_in_line(world, plan, setup, a)
    else:
        choice = choose(world, plan, setup, a)
        action = _fetch(world, plan, setup, a, choice) if choice >= 0 else _idle(world, plan, setup, a)
    if agent.need[HUNGER] <= URGENT or agent.need[ENERGY] <= URGENT:
        return action
    return keep_away(world, plan, setup, a, action)


@rule
def _go_to_work(world, plan, setup, a):
    agent = world.agent[a]
    if agent.queue >= 0:
        return LEAVE
    aside = make_way(world, plan, setup, a)
    if aside != WAIT:
        return aside
    if allowed(world, plan, setup, a, WORK):
        return WORK
    if plan.distance[agent.workplace, agent.y, agent.x] <= 1:
        return WAIT
    return walk(world, plan, setup, a, plan.descends[agent.workplace, agent.y, agent.x])


@rule
def _claim(world, plan, setup, a):
    """Use the object, or walk up to it; let an agent that is leaving pass first."""
    agent = world.agent[a]
    o = agent.queue
    if allowed(world, plan, setup, a, USE):
        return USE
    if plan.distance[o, agent.y, agent.x] == 0 or not usable(world, plan, agent, o):
        return LEAVE
    if approach_occupied(world, plan, setup, a):
        if plan.narrow[agent.y, agent.x] != 0:
            return back_out(world, plan, setup, a)
        if next_is_narrow(plan, agent, o):
            return let_out(world, plan, setup, a)
    return walk(world, plan, setup, a, plan.descends[o, agent.y, agent.x])


@rule
def _wait_in_line(world, plan, setup, a):
    """Yield to a waiter with a greater need, and keep the way clear."""
    agent = world.agent[a]
    o = agent.queue
    if need_gap_to_second(world, plan, a) > NEEDIER and allowed(world, plan, setup, a, YIELD):
        return YIELD
    if not usable(world, plan, agent, o) or rival_in_queue(world, setup, a):
        return LEAVE
    aside = make_way(world, plan, setup, a)
    if aside != WAIT:
        return aside
    if plan.narrow[agent.y, agent.x] != 0 or plan.distance[o, agent.y, agent.x] < WAITING_ROOM:
        return back_out(world, plan, setup, a)
    return WAIT


@rule
def _fetch(world, plan, setup, a, o):
    """Join the queue of object `o`, or walk there."""
    agent = world.agent[a]
    ask = REQUEST + plan.object_type[o]
    if allowed(world, plan, setup, a, ask):
        return ask
    if plan.distance[o, agent.y, agent.x] <= 1:
        return WAIT
    return walk(world, plan, setup, a, plan.descends[o, agent.y, agent.x])


@rule
def _idle(world, plan, setup, a):
    """No need is low: chat, be near work in time, or stand where no agent has to pass."""
    agent = world.agent[a]
    if allowed(world, plan, setup, a, CHAT):
        return CHAT
    if shift_ahead(world, setup, agent) and agent.shift_start - world.tick % setup.day < COMMUTE:
        if plan.distance[agent.workplace, agent.y, agent.x] > NEAR_WORK:
            return walk(world, plan, setup, a, plan.descends[agent.workplace, agent.y, agent.x])
        return WAIT
    if plan.narrow[agent.y, agent.x] != 0 or plan.to_object[agent.y, agent.x] <= CLEARANCE:
        return walk(world, plan, setup, a, plan.parking_descends[agent.y, agent.x])
    return make_way(world, plan, setup, a)


@kernel
def decide_worlds(worlds, plans, setups, actions):
    """The expert's action of every agent into actions [W, A] i64."""
    for w in prange(len(worlds)):
        world, setup = worlds[w], setups[0]
        plan = plans[world.layout]
        for a in range(setup.agents):
            actions[w, a] = decide(world, plan, setup, a)
