"""Rivalry, trust and familiarity between agents, and what changes them: conflict, chat, a shared meal, time.

All three are directional, [holder, other]. A holder has at most MAX_EDGES rivalries; the weakest give way to a new one.
"""

from headstart.worlds.jit import rule
from headstart.worlds.rng import draw
from headstart.worlds.town.state import CHATS, CHATTING, DX, DY, ENERGY, GRID, MAX_AGENTS, STRESS, USING

AVOID = 5000  # bp of rivalry from which an agent keeps away
MAX_EDGES = 6
FAINT_EDGE = 500  # bp; an edge below it makes room for a new one
CHAT_COOLDOWN = 30  # ticks
STRESS_REACH = 2  # cells, Manhattan
MEAL_TICKS, MEAL_REACH = 6, 3  # two meals that end this near in time and place are one
LONG_AGO = -1000  # tick of the last meal of an agent that had none


@rule
def add_rivalry(world, holder, other, amount):
    before = world.rivalry[holder, other]
    world.rivalry[holder, other] = min(10000, max(0, before + amount))
    if before == 0 and amount > 0:
        _make_room(world, holder, other)


@rule
def _make_room(world, holder, newest):
    """Keep `holder` at MAX_EDGES rivalries: the faint ones go if that is too many, then the weakest of all."""
    edges = 0
    for other in range(MAX_AGENTS):
        edges += world.rivalry[holder, other] > 0
    if edges <= MAX_EDGES:
        return
    weakest = newest
    for other in range(MAX_AGENTS):
        if other != newest and 0 < world.rivalry[holder, other] < FAINT_EDGE:
            world.rivalry[holder, other] = 0
            edges -= 1
        if 0 < world.rivalry[holder, other] < world.rivalry[holder, weakest]:
            weakest = other
    if edges > MAX_EDGES:
        world.rivalry[holder, weakest] = 0


@rule
def add_trust(world, holder, other, amount):
    world.trust[holder, other] = min(10000, max(-10000, world.trust[holder, other] + amount))


@rule
def add_familiarity(world, holder, other, amount):
    world.familiarity[holder, other] = min(10000, max(-10000, world.familiarity[holder, other] + amount))


@rule
def conflict(world, actor, rival, intensity):
    """A conflict: the rival's rivalry rises by 1500 per unit of intensity, the actor's by half of that."""
    anger = 1500 * intensity // 100
    add_rivalry(world, rival, actor, anger * (200 - world.agent[rival].forgiveness) // 200)
    add_rivalry(world, actor, rival, anger // 2)
    first, second = world.agent[actor], world.agent[rival]
    first.recent_conflict = min(1000, first.recent_conflict + intensity)
    second.recent_conflict = min(1000, second.recent_conflict + intensity)
    first.intensity += intensity


@rule
def courtesy(world, giver, receiver):
    """`giver` let `receiver` go first."""
    add_trust(world, receiver, giver, 500)
    add_familiarity(world, receiver, giver, 500)
    add_rivalry(world, receiver, giver, -500)
    add_rivalry(world, giver, receiver, -500)


@rule
def listener(world, a):
    """The neighbour (n, s, e, w) with the lowest id whom `a` does not avoid and who is not using anything, or -1."""
    agent = world.agent[a]
    best = -1
    for d in range(1, 5):
        y, x = agent.y + DY[d], agent.x + DX[d]
        if 0 <= y < GRID and 0 <= x < GRID:
            other = world.occupant[y, x]
            if other >= 0 and (best < 0 or other < best):
                if world.agent[other].status != USING and world.rivalry[a, other] < AVOID:
                    best = other
    return best


@rule
def chat(world, a, other):
    """Chat with a neighbour; extroversion and the neighbour's trust raise the chance of success, its rivalry lowers it."""
    speaker, hearer = world.agent[a], world.agent[other]
    chance = 70 + speaker.extroversion // 5 + (world.trust[other, a] - world.rivalry[other, a]) // 200
    if draw(world.seed, world.id, world.episode, world.tick, a, CHATS, 100) < chance:
        quality = 5000 + 20 * hearer.extroversion
        _warm(world, a, other, quality)
        _warm(world, other, a, quality)
        speaker.chats += 1
        speaker.chat_quality += quality
    else:
        speaker.chat_failures += 1
        add_familiarity(world, other, a, -500)
        add_rivalry(world, other, a, 500)
        speaker.reward[CHATTING] -= 50
    speaker.chat_cooldown = CHAT_COOLDOWN


@rule
def _warm(world, holder, other, quality):
    """Effects of a successful chat on what `holder` holds toward `other`."""
    add_trust(world, holder, other, quality // 20)
    add_familiarity(world, holder, other, quality // 10)
    add_rivalry(world, holder, other, -300)
    world.agent[holder].reward[CHATTING] += 100 + world.familiarity[holder, other] // 100


@rule
def shared_meal(world, setup, a):
    """Agent `a` has just eaten; agents that finished a meal near it in the last ticks shared the meal."""
    agent = world.agent[a]
    agent.ate_at = world.tick
    for other in range(setup.agents):
        neighbour = world.agent[other]
        if other == a or neighbour.gone != 0 or world.tick - neighbour.ate_at > MEAL_TICKS:
            continue
        if abs(neighbour.y - agent.y) + abs(neighbour.x - agent.x) <= MEAL_REACH:
            agent.shared_meals += 1
            for holder, held in ((a, other), (other, a)):
                add_trust(world, holder, held, 1000)
                add_familiarity(world, holder, held, 2500)


@rule
def fade_and_fret(world, setup, a):
    """Rivalries of agent `a` fade; each one that still makes it avoid an agent costs energy and reward while that agent is near."""
    agent = world.agent[a]
    fade = setup.rivalry_decay * (100 + agent.forgiveness) // 100
    highest = 0
    for other in range(setup.agents):
        neighbour = world.agent[other]
        if other == a:
            continue
        rivalry = max(0, world.rivalry[a, other] - fade)
        world.rivalry[a, other] = rivalry
        highest = max(highest, rivalry)
        if rivalry >= AVOID and neighbour.gone == 0:
            if abs(neighbour.y - agent.y) + abs(neighbour.x - agent.x) <= STRESS_REACH:
                agent.need[ENERGY] = max(0, agent.need[ENERGY] - 10)
                agent.stress += 1
                agent.reward[STRESS] -= 100
    agent.highest_rivalry = highest
