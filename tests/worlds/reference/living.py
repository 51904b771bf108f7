"""Effects of time on an agent: needs and rivalries decay, discomfort costs reward, a life may end (§3.4, §4, §5)."""

from tests.worlds.reference.employment import run_shift
from tests.worlds.reference.relationships import fade, fret
from tests.worlds.reference.town import Agent, Town

from headstart.worlds.town.state import WAITING

WEIGHT = {"hunger": 100, "hygiene": 60, "energy": 80}  # in Φ


def live(town: Town, agent: Agent) -> None:
    """Need decay, cool-downs, rivalry decay, stress, employment, potential and comfort reward, termination (§3.4)."""
    for need in agent.need:
        agent.need[need] = max(0, agent.need[need] - town.setup.decay[need] * agent.decay[need] // 100)
    agent.chat_cooldown = max(0, agent.chat_cooldown - 1)
    agent.yield_cooldown = max(0, agent.yield_cooldown - 1)
    agent.recent_conflict = agent.recent_conflict * 95 // 100
    agent.life += 1
    if agent.status == WAITING:
        town.note("waited", agent.id)
    fade(town, agent)
    fret(town, agent)
    run_shift(town, agent)
    feel(agent)
    if agent.need["hunger"] <= 300 or agent.need["energy"] <= 100:
        faint(town, agent)
    agent.total_reward += sum(agent.reward.values())


def feel(agent: Agent) -> None:
    """Comfort −Φ/100, potential (Φ before − Φ after)/2, in 1/10,000 and rounded down (§5)."""
    before, agent.potential = agent.potential, discomfort(agent)
    agent.reward["comfort"] -= agent.potential // 100
    agent.reward["potential"] += (before - agent.potential) // 2
    agent.lowest_need = min(agent.lowest_need, *agent.need.values())


def discomfort(agent: Agent) -> int:
    """Φ = (100·dh² + 60·dy² + 80·de²)/10⁶ over what is missing (§5)."""
    return sum(WEIGHT[need] * (10000 - level) ** 2 for need, level in agent.need.items()) // 1_000_000


def faint(town: Town, agent: Agent) -> None:
    """Hunger ≤ 300 or energy ≤ 100 (§4, Termination)."""
    agent.alive = False
    agent.reward["terminal"] -= 20000
    town.note("faints", agent.id)
