"""One tick of one town, in the order in which it happens, and what an agent may do.

Scalar rules for one world, compiled with numba; `env.py` runs them over W worlds.
"""

from headstart.worlds.jit import rule
from headstart.worlds.rng import draw
from headstart.worlds.town import queueing
from headstart.worlds.town.queueing import AVOID, REQUEST_REACH, usable
from headstart.worlds.town.state import (
    CHAT,
    CHATTING,
    CLAIM,
    COMFORT,
    DX,
    DY,
    ENERGY,
    FRIDGE,
    HUNGER,
    LEAVE,
    MOVING,
    N_ACTIONS,
    NONE,
    POTENTIAL,
    PRESS,
    REQUEST,
    REWARD_TERMS,
    STOVE,
    STRESS,
    TERMINAL,
    USE,
    USING,
    WAIT,
    WAITING,
    WEST,
    WORK,
    YIELD,
)

# random streams: one number for every use
SPAWN, NEED, WALLET, PERSONALITY, LAYOUT, RIVALRY, FIRST_TICK, ORDER, CHATS = 1, 2, 5, 6, 9, 10, 11, 30, 31

FAINT_HUNGER, FAINT_ENERGY = 300, 100  # bp
STRESS_REACH = 2  # cells, Manhattan
N_TERMS = len(REWARD_TERMS)


@rule
def tick(world, plan, setup, actions):
    """Advance one world by one tick. `actions`: [A] ids; an action that is not allowed becomes `wait`."""
    for a in range(setup.agents):
        for term in range(N_TERMS):
            world.agent[a].reward[term] = 0
    first = draw(world.seed, world.id, world.episode, world.tick, 0, ORDER, setup.agents)
    for turn in range(setup.agents):
        a = (first + turn) % setup.agents
        act(world, plan, setup, a, actions[a])
    for o in range(plan.n_objects):
        queueing.run_object(world, plan, setup, o)
    for a in range(setup.agents):
        live(world, setup, a)
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
        queueing.start_use(world, plan, a)
    elif action == LEAVE:
        queueing.leave(world, a)
    elif action == YIELD:
        queueing.yield_place(world, a)
    elif action == PRESS:
        queueing.press(world, a)
    elif action == CHAT:
        chat(world, a, listener(world, a))
    agent.stay = 0 if moved else min(50, agent.stay + 1)


@rule
def allowed(world, plan, setup, a, action):
    """Whether agent `a` may do `action` now: the one definition, for masks and for turns."""
    agent = world.agent[a]
    if action == WAIT:
        return True
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
    if o < 0 or action == WORK:
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


@rule
def listener(world, a):
    """The first agent next to `a` (in order n, s, e, w of cells; lowest id) whom it does not avoid and who is not using, or -1."""
    agent = world.agent[a]
    best = -1
    for d in range(1, 5):
        y, x = agent.y + DY[d], agent.x + DX[d]
        if 0 <= y < 16 and 0 <= x < 16:
            other = world.occupant[y, x]
            if other >= 0 and (best < 0 or other < best):
                if world.agent[other].status != USING and world.rivalry[a, other] < AVOID:
                    best = other
    return best


@rule
def chat(world, a, other):
    """A few words with a neighbour; who is liked and outgoing succeeds more often."""
    speaker, hearer = world.agent[a], world.agent[other]
    chance = 70 + speaker.extroversion // 5 + (world.trust[other, a] - world.rivalry[other, a]) // 200
    if draw(world.seed, world.id, world.episode, world.tick, a, CHATS, 100) < chance:
        quality = 5000 + 20 * hearer.extroversion
        warm(world, a, other, quality)
        warm(world, other, a, quality)
        speaker.chats += 1
    else:
        queueing.add_familiarity(world, other, a, -500)
        queueing.add_rivalry(world, other, a, 500)
        speaker.reward[CHATTING] -= 50
    speaker.chat_cooldown = 30


@rule
def warm(world, holder, other, quality):
    """`holder` thinks better of `other` after a good chat."""
    queueing.add_trust(world, holder, other, quality // 20)
    queueing.add_familiarity(world, holder, other, quality // 10)
    queueing.add_rivalry(world, holder, other, -300)
    world.agent[holder].reward[CHATTING] += 100 + world.familiarity[holder, other] // 100


@rule
def live(world, setup, a):
    """What time does to agent `a`: needs, cool-downs, rivalry, stress, comfort, and fainting."""
    agent = world.agent[a]
    for k in range(3):
        agent.need[k] = max(0, agent.need[k] - setup.decay[k] * agent.decay[k] // 100)
    agent.chat_cooldown = max(0, agent.chat_cooldown - 1)
    agent.yield_cooldown = max(0, agent.yield_cooldown - 1)
    agent.recent_conflict = agent.recent_conflict * 95 // 100
    agent.waited += agent.status == WAITING
    agent.life += 1
    fade = setup.rivalry_decay * (100 + agent.forgiveness) // 100
    highest = 0
    for other in range(setup.agents):
        if other == a:
            continue
        rivalry = max(0, world.rivalry[a, other] - fade)
        world.rivalry[a, other] = rivalry
        highest = max(highest, rivalry)
        neighbour = world.agent[other]
        if rivalry >= AVOID and abs(neighbour.y - agent.y) + abs(neighbour.x - agent.x) <= STRESS_REACH:
            agent.need[ENERGY] = max(0, agent.need[ENERGY] - 10)
            agent.stress += 1
            agent.reward[STRESS] -= 100
    agent.highest_rivalry = highest
    before, agent.potential = agent.potential, discomfort(agent)
    agent.reward[COMFORT] -= agent.potential // 100
    agent.reward[POTENTIAL] += (before - agent.potential) // 2
    for k in range(3):
        agent.lowest_need = min(agent.lowest_need, agent.need[k])
    if fainted(agent):
        agent.faints += 1
        agent.reward[TERMINAL] -= 20000
    for term in range(N_TERMS):
        agent.total_reward += agent.reward[term]


@rule
def discomfort(agent):
    """Φ = (100·dh² + 60·dy² + 80·de²) / 10⁶ with d = 10,000 − need: 0 … 24,000."""
    h, y, e = 10000 - agent.need[0], 10000 - agent.need[1], 10000 - agent.need[2]
    return (100 * h * h + 60 * y * y + 80 * e * e) // 1000000


@rule
def fainted(agent):
    return agent.need[HUNGER] <= FAINT_HUNGER or agent.need[ENERGY] <= FAINT_ENERGY


@rule
def reset_world(world, plans, setup):
    """Begin the world's current episode: layout, agents, objects and relationships are drawn anew."""
    world.layout = draw(world.seed, world.id, world.episode, 0, 0, LAYOUT, 8)
    plan = plans[world.layout]
    world.tick = 0
    world.first_tick = 0
    world.price = 100
    world.spike_end = world.blackout_end = world.outage_end = 0
    world.meet_a = world.meet_b = -1
    world.meet_end = world.perturbation_cooldown = 0
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
                pair = a * 8 + other
                more = draw(world.seed, world.id, world.episode, 0, pair, RIVALRY, span + 1)
                world.rivalry[a, other] = setup.rivalry_low + more
                world.agent[a].highest_rivalry = max(world.agent[a].highest_rivalry, world.rivalry[a, other])


@rule
def _born(world, plan, setup, a):
    """Agent `a` at the start of an episode."""
    agent = world.agent[a]
    clear_counters(agent)
    personality = draw(world.seed, world.id, world.episode, 0, a, PERSONALITY, 4)
    character(agent, personality)
    for k in range(3):
        span = setup.need_high[k] - setup.need_low[k]
        agent.need[k] = setup.need_low[k] + draw(world.seed, world.id, world.episode, 0, a, NEED + k, span + 1)
    span = setup.wallet_high - setup.wallet_low
    agent.wallet = setup.wallet_low + draw(world.seed, world.id, world.episode, 0, a, WALLET, span + 1)
    agent.lowest_need = min(agent.need[0], agent.need[1], agent.need[2])
    settle(world, plan, a)


@rule
def respawn(world, plan, setup, a):
    """Agent `a` fainted: it comes back at a spawn cell with half-filled needs and no money; its counters go on."""
    agent = world.agent[a]
    queueing.free(world, a)
    world.occupant[agent.y, agent.x] = -1
    for k in range(3):
        agent.need[k] = 5000
    agent.wallet = 0
    settle(world, plan, a)


@rule
def settle(world, plan, a):
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
    agent.job = -1
    agent.job_state = agent.shift_start = agent.shift_end = agent.worked = agent.strikes = 0
    agent.recent_conflict = agent.chat_cooldown = agent.yield_cooldown = agent.stay = agent.life = 0
    agent.potential = discomfort(agent)


@rule
def character(agent, personality):
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
def clear_counters(agent):
    agent.eats = agent.showers = agent.cooks = agent.sleeps = 0
    agent.presses = agent.ghost_steps = agent.yields = agent.chats = agent.refused = agent.waited = agent.moves = 0
    agent.stress = agent.faints = agent.evictions = 0
    agent.on_time = agent.late = agent.absent = agent.full_shifts = agent.shifts = 0
    agent.intensity = agent.highest_rivalry = agent.total_reward = 0
