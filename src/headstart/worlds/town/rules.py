"""One tick of one town, in the order in which it happens, and what an agent may do.

Scalar rules for one world, compiled with numba; `env.py` runs them over W worlds.
"""

from headstart.worlds.jit import rule
from headstart.worlds.rng import draw
from headstart.worlds.town import affordances, employment, perturbations, queueing, relationships
from headstart.worlds.town.affordances import usable
from headstart.worlds.town.employment import may_work
from headstart.worlds.town.living import live
from headstart.worlds.town.queueing import REQUEST_REACH
from headstart.worlds.town.relationships import listener
from headstart.worlds.town.state import (
    CHAT,
    CLAIM,
    DX,
    DY,
    LEAVE,
    MOVING,
    N_ACTIONS,
    ORDER,
    PRESS,
    REQUEST,
    REWARD_TERMS,
    USE,
    USING,
    WAIT,
    WAITING,
    WEST,
    WORK,
    YIELD,
)

N_TERMS = len(REWARD_TERMS)


@rule
def tick(world, plan, setup, actions):
    """Advance one world by one tick. `actions`: [A] ids; an action that is not allowed becomes `wait`."""
    for a in range(setup.agents):
        for term in range(N_TERMS):
            world.agent[a].reward[term] = 0
    perturbations.perturb(world, plan, setup)
    first = draw(world.seed, world.id, world.episode, world.tick, 0, ORDER, setup.agents)
    for turn in range(setup.agents):
        a = (first + turn) % setup.agents
        if world.agent[a].gone == 0:
            act(world, plan, setup, a, actions[a])
    for o in range(plan.n_objects):
        queueing.run_object(world, plan, setup, o)
    perturbations.meet(world)
    for a in range(setup.agents):
        if world.agent[a].gone == 0:
            live(world, plan, setup, a)
    world.tick += 1


@rule
def act(world, plan, setup, a, action):
    """Agent `a` does `action`, or waits where it is not allowed any more."""
    agent = world.agent[a]
    ok = allowed(world, plan, setup, a, action)
    if not ok:
        agent.refused += 1
        action = WAIT
    agent.last_action = action
    agent.last_ok = ok
    moved = False
    if action == WAIT:
        pass
    elif action <= WEST:
        world.occupant[agent.y, agent.x] = -1
        agent.y += DY[action]
        agent.x += DX[action]
        world.occupant[agent.y, agent.x] = a
        agent.reward[MOVING] -= 5
        agent.moves += 1
        moved = True
    elif action < USE:
        queueing.request(world, plan.nearest[action - REQUEST, agent.y, agent.x], a)
    elif action == USE:
        affordances.start_use(world, plan, a)
    elif action == LEAVE:
        queueing.leave(world, a)
    elif action == YIELD:
        queueing.yield_place(world, a)
    elif action == PRESS:
        queueing.press(world, a)
    elif action == CHAT:
        relationships.chat(world, a, listener(world, a))
    elif action == WORK:
        employment.work(world, plan, setup, a)
    agent.stay = 0 if moved else min(50, agent.stay + 1)


@rule
def allowed(world, plan, setup, a, action):
    """Whether agent `a` may do `action` now: the one definition, for masks and for turns."""
    agent = world.agent[a]
    if action == WAIT:
        return True
    if agent.gone != 0:
        return False
    if agent.status == USING:
        return action == LEAVE
    if action <= WEST:
        y, x = agent.y + DY[action], agent.x + DX[action]
        return plan.floor[y + 1, x + 1] != 0 and world.occupant[y, x] < 0
    if action < USE:
        if agent.queue >= 0:
            return False
        o = plan.nearest[action - REQUEST, agent.y, agent.x]
        if o < 0 or plan.distance[o, agent.y, agent.x] > REQUEST_REACH or world.tick < world.cooldown[o, a]:
            return False
        return usable(world, plan, agent, o)
    o = agent.queue
    if action == CHAT:
        return agent.chat_cooldown == 0 and listener(world, a) >= 0
    if action == WORK:
        return may_work(world, plan, setup, agent)
    if o < 0:
        return False
    if action == USE:
        return agent.status == CLAIM and plan.distance[o, agent.y, agent.x] == 0 and usable(world, plan, agent, o)
    if action == LEAVE:
        return True
    if action == YIELD:
        return agent.yield_cooldown == 0 and (
            (agent.status == CLAIM and world.object[o].length > 0)
            or (agent.status == WAITING and world.object[o].length > 1 and world.queue[o, 0] == a)
        )
    # PRESS
    return agent.status == WAITING and world.object[o].active >= 0 and plan.distance[o, agent.y, agent.x] <= REQUEST_REACH


@rule
def write_mask(world, plan, setup, a, mask):
    """mask: [K] u8, 1 where the action is allowed."""
    for action in range(N_ACTIONS):
        mask[action] = allowed(world, plan, setup, a, action)
