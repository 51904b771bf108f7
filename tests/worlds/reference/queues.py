"""Queues, claims, stalling and their consequences (§4, Queue to Yield)."""

from tests.worlds.reference.affordances import USES, pay, reap, restock
from tests.worlds.reference.relationships import conflict, courtesy
from tests.worlds.reference.town import Agent, Thing, Town

from headstart.worlds.town.state import CLAIM, NONE, USING, WAITING

CLAIM_TICKS = 16
COOLDOWN = 20
REACH = 8  # steps beyond which a claim or a place in a queue lapses
STALL_LIMIT = 12


def run_object(town: Town, o: int) -> None:
    """Progress or finish use, claim timer; stall; ghost step; lapse of distant waiters; grant; restock (§3.3)."""
    thing = town.things[o]
    if thing.active is not None:
        run_active(town, o, town.agents[thing.active])
    if thing.active is not None and thing.queue:
        if town.agents[thing.active].status == CLAIM:
            thing.stall += 1
        if thing.stall >= STALL_LIMIT:
            ghost_step(town, o)
    for waiter in list(thing.queue):
        if town.plan.distance(o, town.agents[waiter].cell) > REACH:
            release(town, town.agents[waiter])
    if thing.active is None and thing.queue:
        grant(thing, next_in_line(town, thing))
    restock(town, thing)


def run_active(town: Town, o: int, agent: Agent) -> None:
    """A use advances; a claim runs out after 16 ticks or beyond 8 steps."""
    if agent.status == USING:
        agent.busy -= 1
        if agent.busy == 0:
            release(town, agent)
            town.cooldown[o, agent.id] = town.tick + COOLDOWN
            reap(town, agent, town.things[o])
    else:
        agent.claim -= 1
        if agent.claim == 0 or town.plan.distance(o, agent.cell) > REACH:
            release(town, agent)


def next_in_line(town: Town, thing: Thing) -> Agent:
    """The waiter that minimises 100·index − 4·ticks waited; the first of equals."""
    ranks = [100 * index - 4 * (town.tick - town.agents[waiter].joined) for index, waiter in enumerate(thing.queue)]
    return town.agents[thing.queue[ranks.index(min(ranks))]]


def grant(thing: Thing, agent: Agent) -> None:
    """The claim goes to a waiter, and stalling is counted from 0."""
    thing.queue.remove(agent.id)
    thing.active, thing.stall = agent.id, 0
    agent.status, agent.claim = CLAIM, CLAIM_TICKS


def line_up(town: Town, agent: Agent, o: int, index: int) -> None:
    """The agent becomes waiter number `index`."""
    town.things[o].queue.insert(index, agent.id)
    agent.queue, agent.status = o, WAITING


def release(town: Town, agent: Agent) -> None:
    """The agent leaves its object and its queue."""
    if agent.queue is None:
        return
    thing = town.things[agent.queue]
    if agent.status == WAITING:
        thing.queue.remove(agent.id)
    else:
        thing.active, thing.stall = None, 0
    agent.queue, agent.status, agent.busy, agent.claim = None, NONE, 0, 0


def request(town: Town, agent: Agent, o: int) -> None:
    """To the tail of the queue."""
    agent.joined = town.tick
    line_up(town, agent, o, len(town.things[o].queue))


def start_use(town: Town, agent: Agent) -> None:
    thing = town.things[agent.queue]
    pay(town, agent, thing)
    agent.status, agent.busy, agent.claim = USING, USES[thing.kind].ticks, 0


def leave(town: Town, agent: Agent) -> None:
    """Ends waiting, claim or use; half a cool-down (§2)."""
    town.cooldown[agent.queue, agent.id] = town.tick + COOLDOWN // 2
    release(town, agent)


def yield_place(town: Town, agent: Agent) -> None:
    """A claim passes to the front waiter and the yielder is first in the queue, or the front two swap; join ticks swap too."""
    o = agent.queue
    thing = town.things[o]
    if agent.status == CLAIM:
        receiver = town.agents[thing.queue[0]]
        release(town, agent)
        grant(thing, receiver)
        line_up(town, agent, o, 0)
    else:
        receiver = town.agents[thing.queue[1]]
        thing.queue[0], thing.queue[1] = receiver.id, agent.id
    agent.joined, receiver.joined = receiver.joined, agent.joined
    courtesy(town, agent, receiver)
    agent.yield_cooldown = 20
    town.note("yields", agent.id, receiver.id)


def press(town: Town, agent: Agent) -> None:
    """Adds 2 to the stall, also during a use, and is a conflict of 100 + 25 for each further waiter."""
    thing = town.things[agent.queue]
    active = town.agents[thing.active]
    thing.stall += 2
    intensity = 100 + 25 * (len(thing.queue) - 1)
    conflict(town, agent, active, intensity)
    agent.reward["conflict"] -= 1000 * intensity // 100
    active.reward["conflict"] -= 300 * intensity // 100
    town.note("presses", agent.id, active.id)


def ghost_step(town: Town, o: int) -> None:
    """An agent that has stalled too long goes to the tail and loses its use: a conflict of 150 + 25 for each further waiter.

    Reading: it counts as having joined now.
    """
    thing = town.things[o]
    displaced, front = town.agents[thing.active], town.agents[thing.queue[0]]
    intensity = 150 + 25 * (len(thing.queue) - 1)
    release(town, displaced)
    request(town, displaced, o)
    conflict(town, displaced, front, intensity)
    displaced.reward["conflict"] -= 500 * intensity // 100
    town.note("ghost_steps", displaced.id, front.id)
