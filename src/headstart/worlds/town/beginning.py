"""How an episode begins, and how an agent that fainted or was evicted leaves and comes back."""

from headstart.worlds.jit import rule
from headstart.worlds.rng import draw
from headstart.worlds.town.employment import enter_day, hire
from headstart.worlds.town.living import discomfort
from headstart.worlds.town.queueing import free
from headstart.worlds.town.relationships import LONG_AGO, add_rivalry
from headstart.worlds.town.state import (
    FIRST_TICK,
    FRIDGE,
    LAYOUT,
    MAX_AGENTS,
    NEED,
    NONE,
    PERSONALITY,
    RIVALRY,
    SPAWN,
    STOVE,
    WAIT,
    WALLET,
)


@rule
def reset_world(world, plans, setup):
    """Begin the world's current episode: layout, agents, objects and relationships are drawn anew."""
    world.layout = draw(world.seed, world.id, world.episode, 0, 0, LAYOUT, 8)
    plan = plans[world.layout]
    world.tick = world.first_tick = 0
    world.price = 100
    world.spike_end = world.blackout_end = world.outage_end = 0
    world.meet_a = world.meet_b = -1
    world.meet_y = world.meet_x = world.meet_end = world.perturbation_cooldown = 0
    world.occupant[:] = -1
    world.cooldown[:] = 0
    world.trust[:] = 0
    world.familiarity[:] = 0
    world.rivalry[:] = 0
    for o in range(plan.n_objects):
        thing = world.object[o]
        thing.active = -1
        thing.stall = 0
        thing.length = 0
        kind = plan.object_type[o]
        thing.stock = setup.fridge_stock if kind == FRIDGE else setup.stove_stock if kind == STOVE else 0
    for a in range(setup.agents):
        _born(world, plan, setup, a)
    span = setup.rivalry_high - setup.rivalry_low
    for a in range(setup.agents):
        for other in range(setup.agents):
            if setup.rivalry_high > 0 and other != a:
                pair = a * MAX_AGENTS + other
                more = draw(world.seed, world.id, world.episode, 0, pair, RIVALRY, span + 1)
                add_rivalry(world, a, other, setup.rivalry_low + more)
                world.agent[a].highest_rivalry = max(world.agent[a].highest_rivalry, world.rivalry[a, other])


@rule
def stagger(world, setup):
    """Move the world's first episode to a random tick, so that a batch of worlds covers all parts of the day."""
    world.first_tick = draw(world.seed, world.id, world.episode, 0, 0, FIRST_TICK, setup.horizon)
    world.tick = world.first_tick
    for a in range(setup.agents):
        enter_day(world, setup, world.agent[a])


@rule
def _born(world, plan, setup, a):
    """Agent `a` at the start of an episode."""
    agent = world.agent[a]
    _clear_counters(agent)
    personality = draw(world.seed, world.id, world.episode, 0, a, PERSONALITY, 4)
    _character(agent, personality)
    for k in range(3):
        span = setup.need_high[k] - setup.need_low[k]
        agent.need[k] = setup.need_low[k] + draw(world.seed, world.id, world.episode, 0, a, NEED + k, span + 1)
    span = setup.wallet_high - setup.wallet_low
    agent.wallet = setup.wallet_low + draw(world.seed, world.id, world.episode, 0, a, WALLET, span + 1)
    agent.lowest_need = min(agent.need[0], agent.need[1], agent.need[2])
    hire(world, plan, setup, a)
    _settle(world, plan, a)


@rule
def respawn(world, plan, setup, a):
    """Agent `a` comes back at a spawn cell with half-filled needs and no money; its job, shift and counters go on."""
    agent = world.agent[a]
    depart(world, a)
    for k in range(3):
        agent.need[k] = 5000
    agent.wallet = 0
    _settle(world, plan, a)


@rule
def depart(world, a):
    """Agent `a` leaves the grid, its queue and its object."""
    agent = world.agent[a]
    free(world, a)
    world.occupant[agent.y, agent.x] = -1
    agent.gone = 1


@rule
def _settle(world, plan, a):
    """Put agent `a` on a free spawn cell, with nothing begun."""
    agent = world.agent[a]
    cell = draw(world.seed, world.id, world.episode, world.tick, a, SPAWN, plan.n_spawn)
    while world.occupant[plan.spawn[cell, 0], plan.spawn[cell, 1]] >= 0:
        cell = (cell + 1) % plan.n_spawn
    agent.y = plan.spawn[cell, 0]
    agent.x = plan.spawn[cell, 1]
    world.occupant[agent.y, agent.x] = a
    agent.queue = -1
    agent.status = NONE
    agent.busy = agent.claim = agent.joined = 0
    agent.last_action = WAIT
    agent.last_ok = 1
    agent.strikes = 0
    agent.ate_at = LONG_AGO
    agent.alive = 1
    agent.gone = 0
    agent.recent_conflict = agent.chat_cooldown = agent.yield_cooldown = agent.stay = agent.life = 0
    agent.potential = discomfort(agent)


@rule
def _character(agent, personality):
    """balanced, socialite, industrious, stoic: how fast needs decay (per cent), and three traits (−100 … 100)."""
    hunger, hygiene, energy = 100, 100, 100
    extroversion, forgiveness, ambition = 0, 0, 0
    if personality == 1:
        hygiene = 110
        extroversion, forgiveness, ambition = 60, 10, -10
    elif personality == 2:
        energy = 90
        extroversion, forgiveness, ambition = -20, -10, 50
    elif personality == 3:
        hunger = 95
        extroversion, forgiveness, ambition = -30, 50, -20
    agent.decay[0], agent.decay[1], agent.decay[2] = hunger, hygiene, energy
    agent.extroversion, agent.forgiveness, agent.ambition = extroversion, forgiveness, ambition


@rule
def _clear_counters(agent):
    agent.eats = agent.showers = agent.cooks = agent.sleeps = 0
    agent.presses = agent.ghost_steps = agent.yields = agent.chats = agent.refused = agent.waited = agent.moves = 0
    agent.stress = agent.faints = agent.evictions = 0
    agent.on_time = agent.late = agent.absent = agent.full_shifts = agent.shifts = 0
    agent.chat_failures = agent.chat_quality = agent.shared_meals = agent.late_help = agent.late_ticks = 0
    agent.shift_takeovers = agent.blackouts = agent.outages = 0
    agent.intensity = agent.highest_rivalry = agent.total_reward = 0
