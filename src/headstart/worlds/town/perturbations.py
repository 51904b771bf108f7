"""Events for the whole town: a price spike, a blackout, a water outage, an arranged meeting of two rivals.

A scenario sets the chance of each in a tick; after one has begun, none begins for 60 ticks.
"""

from headstart.worlds.jit import rule
from headstart.worlds.rng import draw
from headstart.worlds.town.relationships import add_rivalry, add_trust
from headstart.worlds.town.state import (
    BLACKOUT,
    BLACKOUT_TICKS,
    MEET,
    MEET_CELL,
    MEETING,
    OUTAGE,
    OUTAGE_TICKS,
    SPIKE,
    SPIKE_PRICE,
    SPIKE_TICKS,
)

COOLDOWN_TICKS = 60
PRICE_LOW, PRICE_HIGH = 120, 180  # per cent
SPIKE_LOW, SPIKE_HIGH = 30, 60  # ticks
SUPPLY_LOW, SUPPLY_HIGH = 10, 30  # ticks without power or water
MEET_TICKS = 40
MEET_REACH = 1  # cells, Manhattan


@rule
def perturb(world, plan, setup):
    """Perturbations that are over end; then at most one begins. Blackout and outage end by their ticks."""
    if world.tick >= world.spike_end:
        world.price = 100
    if world.tick >= world.meet_end:
        world.meet_a = world.meet_b = -1
    world.perturbation_cooldown = max(0, world.perturbation_cooldown - 1)
    if world.perturbation_cooldown > 0:
        return
    began = True
    if _strikes(world, SPIKE, setup.price_spike):
        world.price = _between(world, SPIKE_PRICE, PRICE_LOW, PRICE_HIGH)
        world.spike_end = world.tick + _between(world, SPIKE_TICKS, SPIKE_LOW, SPIKE_HIGH)
    elif _strikes(world, BLACKOUT, setup.blackout):
        world.blackout_end = world.tick + _between(world, BLACKOUT_TICKS, SUPPLY_LOW, SUPPLY_HIGH)
        for a in range(setup.agents):
            world.agent[a].blackouts += 1
    elif _strikes(world, OUTAGE, setup.outage):
        world.outage_end = world.tick + _between(world, OUTAGE_TICKS, SUPPLY_LOW, SUPPLY_HIGH)
        for a in range(setup.agents):
            world.agent[a].outages += 1
    else:
        began = _strikes(world, MEET, setup.meet) and _arrange(world, plan, setup)
    if began:
        world.perturbation_cooldown = COOLDOWN_TICKS


@rule
def _strikes(world, stream, chance):
    """Whether something with this chance (millionths) begins now."""
    return chance > 0 and draw(world.seed, world.id, world.episode, world.tick, 0, stream, 1000000) < chance


@rule
def _between(world, stream, low, high):
    return low + draw(world.seed, world.id, world.episode, world.tick, 0, stream, high - low + 1)


@rule
def _arrange(world, plan, setup):
    """The pair with the highest sum of rivalries shall meet at a spawn cell; no pair if there is no rivalry."""
    best = 0
    for a in range(setup.agents):
        for b in range(a + 1, setup.agents):
            both = world.rivalry[a, b] + world.rivalry[b, a]
            if both > best and world.agent[a].gone == 0 and world.agent[b].gone == 0:
                best = both
                world.meet_a = a
                world.meet_b = b
    if best == 0:
        return False
    cell = draw(world.seed, world.id, world.episode, world.tick, 0, MEET_CELL, plan.n_spawn)
    world.meet_y = plan.spawn[cell, 0]
    world.meet_x = plan.spawn[cell, 1]
    world.meet_end = world.tick + MEET_TICKS
    return True


@rule
def meet(world):
    """If both agents are at the meeting place, their rivalries fall and the meeting ends."""
    a, b = world.meet_a, world.meet_b
    if a < 0 or not _at_meeting(world, a) or not _at_meeting(world, b):
        return
    for holder, other in ((a, b), (b, a)):
        add_trust(world, holder, other, 1000)
        add_rivalry(world, holder, other, -1500)
        world.agent[holder].reward[MEETING] += 500
    world.meet_a = world.meet_b = -1


@rule
def _at_meeting(world, a):
    agent = world.agent[a]
    return agent.gone == 0 and abs(agent.y - world.meet_y) + abs(agent.x - world.meet_x) <= MEET_REACH
