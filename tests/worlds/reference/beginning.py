"""How an episode begins, and how an agent comes back (§4 Termination, §8)."""

from tests.worlds.reference.employment import enter_day, hire
from tests.worlds.reference.living import discomfort
from tests.worlds.reference.queues import release
from tests.worlds.reference.relationships import change_rivalry
from tests.worlds.reference.town import Agent, Thing, Town

from headstart.worlds.town.state import (
    FIRST_TICK,
    LAYOUT,
    MAX_AGENTS,
    NEED,
    NEEDS,
    NONE,
    PERSONALITY,
    RIVALRY,
    SPAWN,
    WAIT,
    WALLET,
)

# need decay hunger, hygiene, energy (per cent); extroversion, forgiveness, ambition: §4, Personalities
PERSONALITIES = {
    "balanced": ((100, 100, 100), (0, 0, 0)),
    "socialite": ((100, 110, 100), (60, 10, -10)),
    "industrious": ((100, 100, 90), (-20, -10, 50)),
    "stoic": ((95, 100, 100), (-30, 50, -20)),
}


def begin_episode(town: Town) -> Town:
    """A town at tick 0 of an episode of the same world."""
    fresh = Town(town.setup, town.plans, town.dice, town.episode)
    fresh.layout = fresh.roll(8, LAYOUT)
    stock = {"fridge": fresh.setup.fridge_stock, "stove": fresh.setup.stove_stock}
    fresh.things = [
        Thing(kind, place, stock.get(kind, 0)) for kind, place in zip(fresh.plan.kinds, fresh.plan.places, strict=True)
    ]
    for a in range(fresh.setup.agents):
        be_born(fresh, a)
    draw_rivalries(fresh)
    return fresh


def stagger(town: Town) -> None:
    """The first episode may begin at any tick of the horizon (§12.1)."""
    town.tick = town.first_tick = town.roll(town.setup.horizon, FIRST_TICK)
    for agent in town.agents:
        enter_day(town, agent)


def be_born(town: Town, a: int) -> None:
    """Character, needs and wallet are drawn per agent and episode."""
    agent = Agent(a, gone=True)
    town.agents.append(agent)
    decays, traits = list(PERSONALITIES.values())[town.roll(4, PERSONALITY, a)]
    agent.decay = dict(zip(NEEDS, decays, strict=True))
    agent.extroversion, agent.forgiveness, agent.ambition = traits
    for k, need in enumerate(NEEDS):
        agent.need[need] = town.between(*town.setup.need[need], NEED + k, a)
    agent.wallet = town.between(*town.setup.wallet, WALLET, a)
    agent.lowest_need = min(agent.need.values())
    hire(town, agent)
    enter_day(town, agent)
    settle(town, agent)


def draw_rivalries(town: Town) -> None:
    """Each holder's rivalry toward each other (§8)."""
    if town.setup.rivalry[1] == 0:
        return
    for holder in town.agents:
        for other in town.others(holder):
            amount = town.between(*town.setup.rivalry, RIVALRY, holder.id * MAX_AGENTS + other.id)
            change_rivalry(town, holder.id, other.id, amount)
            holder.highest_rivalry = max(holder.highest_rivalry, town.rivalry[holder.id, other.id])


def depart(town: Town, agent: Agent) -> None:
    """Off the grid, out of every queue."""
    release(town, agent)
    agent.gone = True


def respawn(town: Town, agent: Agent) -> None:
    """The same slot at a spawn cell with needs 5000 and no money; its job, its relationships and its counters stay."""
    depart(town, agent)
    agent.need = dict.fromkeys(NEEDS, 5000)
    agent.wallet = 0
    settle(town, agent)


def settle(town: Town, agent: Agent) -> None:
    """On a spawn cell, the next in order if it is taken, with nothing begun."""
    spawn = town.plan.spawn
    first = town.roll(len(spawn), SPAWN, agent.id)
    agent.cell = next(cell for cell in spawn[first:] + spawn[:first] if town.agent_at(cell) is None)
    agent.gone, agent.alive = False, True
    agent.queue, agent.status, agent.busy, agent.claim, agent.joined = None, NONE, 0, 0, 0
    agent.last_action, agent.last_ok = WAIT, True
    agent.strikes, agent.ate_at = 0, None
    agent.recent_conflict = agent.chat_cooldown = agent.yield_cooldown = agent.stay = agent.life = 0
    agent.potential = discomfort(agent)
