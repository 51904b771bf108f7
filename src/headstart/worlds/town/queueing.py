"""Queues at objects, and the conflicts that they cause: request, grant, use, leave, yield, press, stall and ghost step.

One agent uses an object at a time. A request joins the tail; when the object is free, the waiter with the lowest
100·place − 4·ticks waited gets a claim and walks up to use it. An agent that holds a claim too long
while others wait is displaced: a ghost step.
"""

from headstart.worlds.jit import rule
from headstart.worlds.town.affordances import finish_use, restock
from headstart.worlds.town.relationships import conflict, courtesy
from headstart.worlds.town.state import CLAIM, CONFLICT, NONE, USING, WAITING

CLAIM_TICKS = 16
COOLDOWN_TICKS = 20
YIELD_COOLDOWN = 20
REQUEST_REACH = 4  # steps within which a request or a press is possible
QUEUE_REACH = 8  # steps beyond which a place in the queue lapses
STALL_LIMIT = 12


@rule
def place_in_queue(world, o, a):
    """Index of agent `a` among the waiters at object `o`, or -1."""
    for index in range(world.object[o].length):
        if world.queue[o, index] == a:
            return index
    return -1


@rule
def join(world, o, a, index):
    """Agent `a` becomes waiter number `index` at object `o`."""
    length = world.object[o].length
    for i in range(length, index, -1):
        world.queue[o, i] = world.queue[o, i - 1]
    world.queue[o, index] = a
    world.object[o].length = length + 1
    world.agent[a].queue = o
    world.agent[a].status = WAITING


@rule
def drop(world, o, a):
    """Agent `a` is no longer among the waiters at object `o`."""
    index = place_in_queue(world, o, a)
    for i in range(index, world.object[o].length - 1):
        world.queue[o, i] = world.queue[o, i + 1]
    world.object[o].length -= 1


@rule
def free(world, a):
    """Agent `a` leaves its queue, claim or use."""
    agent = world.agent[a]
    o = agent.queue
    if o < 0:
        return
    if agent.status == WAITING:
        drop(world, o, a)
    else:
        world.object[o].active = -1
        world.object[o].stall = 0
    agent.queue = -1
    agent.status = NONE
    agent.busy = 0
    agent.claim = 0


@rule
def give_claim(world, o, a):
    """Waiter `a` may use object `o` next."""
    drop(world, o, a)
    agent = world.agent[a]
    agent.status = CLAIM
    agent.claim = CLAIM_TICKS
    world.object[o].active = a
    world.object[o].stall = 0


@rule
def request(world, o, a):
    world.agent[a].joined = world.tick
    join(world, o, a, world.object[o].length)


@rule
def leave(world, a):
    o = world.agent[a].queue
    free(world, a)
    world.cooldown[o, a] = world.tick + COOLDOWN_TICKS // 2


@rule
def yield_place(world, a):
    """Let the next waiter go first: a claim changes hands, or the front two swap."""
    agent = world.agent[a]
    o = agent.queue
    other = world.queue[o, 0] if agent.status == CLAIM else world.queue[o, 1]
    if agent.status == CLAIM:
        give_claim(world, o, other)
        agent.claim = 0
        join(world, o, a, 0)
    else:
        world.queue[o, 0] = other
        world.queue[o, 1] = a
    receiver = world.agent[other]
    agent.joined, receiver.joined = receiver.joined, agent.joined
    courtesy(world, a, other)
    agent.yield_cooldown = YIELD_COOLDOWN
    agent.yields += 1


@rule
def press(world, a):
    """Press the agent that has the claim or uses the object: a conflict."""
    agent = world.agent[a]
    thing = world.object[agent.queue]
    thing.stall += 2
    agent.presses += 1
    intensity = 100 + 25 * (thing.length - 1)
    conflict(world, a, thing.active, intensity)
    agent.reward[CONFLICT] -= 1000 * intensity // 100
    world.agent[thing.active].reward[CONFLICT] -= 300 * intensity // 100


@rule
def ghost_step(world, o):
    """The active agent has stalled too long: it goes to the tail, and its progress is lost."""
    thing = world.object[o]
    a = thing.active
    rival = world.queue[o, 0]
    intensity = 150 + 25 * (thing.length - 1)
    free(world, a)
    world.agent[a].joined = world.tick
    join(world, o, a, thing.length)
    world.agent[a].ghost_steps += 1
    conflict(world, a, rival, intensity)
    world.agent[a].reward[CONFLICT] -= 500 * intensity // 100


@rule
def run_object(world, plan, setup, o):
    """One tick of one object: progress, claim timer, stall and ghost step, lapse of distant waiters, grant, restock."""
    thing = world.object[o]
    if thing.active >= 0:
        _run_active(world, plan, setup, o)
    if thing.active >= 0 and thing.length > 0 and world.agent[thing.active].status == CLAIM:
        thing.stall += 1
    if thing.active >= 0 and thing.length > 0 and thing.stall >= STALL_LIMIT:
        ghost_step(world, o)
    for index in range(thing.length - 1, -1, -1):
        a = world.queue[o, index]
        agent = world.agent[a]
        if plan.distance[o, agent.y, agent.x] > QUEUE_REACH:
            free(world, a)
    if thing.active < 0 and thing.length > 0:
        give_claim(world, o, _next_in_line(world, o))
    restock(world, plan, setup, o)


@rule
def _next_in_line(world, o):
    """The waiter with the lowest 100·place − 4·ticks waited."""
    best, best_rank = -1, 1 << 30
    for index in range(world.object[o].length):
        a = world.queue[o, index]
        rank = 100 * index - 4 * (world.tick - world.agent[a].joined)
        if rank < best_rank:
            best, best_rank = a, rank
    return best


@rule
def _run_active(world, plan, setup, o):
    """Progress of the agent that holds object `o`: it uses it, or its claim runs down."""
    a = world.object[o].active
    agent = world.agent[a]
    if agent.status == USING:
        agent.busy -= 1
        if agent.busy == 0:
            free(world, a)
            world.cooldown[o, a] = world.tick + COOLDOWN_TICKS
            finish_use(world, plan, setup, o, a)
    else:
        agent.claim -= 1
        if agent.claim <= 0 or plan.distance[o, agent.y, agent.x] > QUEUE_REACH:
            free(world, a)
