"""What the objects do: duration and price of a use, and its effect on the needs when it is finished."""

import numpy as np

from headstart.worlds.jit import rule
from headstart.worlds.town.relationships import shared_meal
from headstart.worlds.town.state import BED, FRIDGE, SERVICE, SHOWER, STOVE, USING

FRIDGE_CAPACITY, STOVE_CAPACITY = 12, 6
FRIDGE_RESTOCK, STOVE_RESTOCK = 3, 1
COOKED_MEALS = 2  # put into the fridge by one cooking

# by object type: ticks, hunger, hygiene, energy (bp at completion), price (cents), units of stock taken at the start
USE_TICKS = np.array([4, 10, 8, 16, 0])
USE_EFFECT = np.array([[4500, 0, 300], [0, -200, -300], [0, 6500, -200], [-200, 0, 6000], [0, 0, 0]])
USE_PRICE = np.array([40, 15, 10, 0, 0])
USE_STOCK = np.array([1, 1, 0, 0, 0])
FIRST_SERVICE = np.array([10000, 5000, 10000, 10000, 0])  # reward, 1/10,000


@rule
def price(world, kind):
    return USE_PRICE[kind] * world.price // 100


@rule
def usable(world, plan, agent, o):
    """Stock, supplies and money are there for `agent` to use object `o`."""
    kind = plan.object_type[o]
    if kind == FRIDGE:
        return world.object[o].stock > 0 and agent.wallet >= price(world, kind)
    if kind == STOVE:
        return world.object[o].stock > 0 and world.blackout_end <= world.tick and agent.wallet >= price(world, kind)
    if kind == SHOWER:
        return world.outage_end <= world.tick and agent.wallet >= price(world, kind)
    return kind == BED


@rule
def start_use(world, plan, a):
    """Agent `a` pays and begins; neither money nor stock comes back if it does not finish."""
    agent = world.agent[a]
    kind = plan.object_type[agent.queue]
    agent.status = USING
    agent.busy = USE_TICKS[kind]
    agent.claim = 0
    agent.wallet -= price(world, kind)
    world.object[agent.queue].stock -= USE_STOCK[kind]


@rule
def finish_use(world, plan, setup, o, a):
    """Effects of a finished use of object `o` on agent `a`."""
    agent = world.agent[a]
    kind = plan.object_type[o]
    for k in range(3):
        agent.need[k] = min(10000, max(0, agent.need[k] + USE_EFFECT[kind, k]))
    if kind == FRIDGE:
        agent.eats += 1
        first = agent.eats == 1
        shared_meal(world, setup, a)
    elif kind == SHOWER:
        agent.showers += 1
        first = agent.showers == 1
    elif kind == BED:
        agent.sleeps += 1
        first = agent.sleeps == 1
    else:
        agent.cooks += 1
        first = agent.cooks == 1
        _serve(world, plan)
    if first and setup.pay_first_service != 0:
        agent.reward[SERVICE] += FIRST_SERVICE[kind]


@rule
def _serve(world, plan):
    """Cooked meals go into the first fridge."""
    for o in range(plan.n_objects):
        if plan.object_type[o] == FRIDGE:
            world.object[o].stock = min(FRIDGE_CAPACITY, world.object[o].stock + COOKED_MEALS)
            return


@rule
def restock(world, plan, setup, o):
    """Meals and ingredients are restocked at fixed intervals."""
    if setup.restock_every == 0 or (world.tick + 1) % setup.restock_every != 0:
        return
    thing = world.object[o]
    if plan.object_type[o] == FRIDGE:
        thing.stock = min(FRIDGE_CAPACITY, thing.stock + FRIDGE_RESTOCK)
    elif plan.object_type[o] == STOVE:
        thing.stock = min(STOVE_CAPACITY, thing.stock + STOVE_RESTOCK)
