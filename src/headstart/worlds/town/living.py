"""Effects of time on an agent: needs and rivalries decay, the shift advances, comfort is rewarded; hunger or exhaustion ends a life."""

from headstart.worlds.jit import rule
from headstart.worlds.town.employment import run_shift
from headstart.worlds.town.relationships import fade_and_fret
from headstart.worlds.town.state import COMFORT, ENERGY, HUNGER, POTENTIAL, REWARD_TERMS, TERMINAL, WAITING

FAINT_HUNGER, FAINT_ENERGY = 300, 100  # bp


@rule
def live(world, plan, setup, a):
    """One tick of agent `a`, after all agents have acted."""
    agent = world.agent[a]
    for k in range(3):
        agent.need[k] = max(0, agent.need[k] - setup.decay[k] * agent.decay[k] // 100)
    agent.chat_cooldown = max(0, agent.chat_cooldown - 1)
    agent.yield_cooldown = max(0, agent.yield_cooldown - 1)
    agent.recent_conflict = agent.recent_conflict * 95 // 100
    agent.waited += agent.status == WAITING
    agent.life += 1
    fade_and_fret(world, setup, a)
    run_shift(world, plan, setup, a)
    before, agent.potential = agent.potential, discomfort(agent)
    agent.reward[COMFORT] -= agent.potential // 100
    agent.reward[POTENTIAL] += (before - agent.potential) // 2
    for k in range(3):
        agent.lowest_need = min(agent.lowest_need, agent.need[k])
    if agent.need[HUNGER] <= FAINT_HUNGER or agent.need[ENERGY] <= FAINT_ENERGY:
        agent.faints += 1
        agent.reward[TERMINAL] -= 20000
        agent.alive = 0
    for term in range(len(REWARD_TERMS)):
        agent.total_reward += agent.reward[term]


@rule
def discomfort(agent):
    """Φ = (100·dh² + 60·dy² + 80·de²) / 10⁶ with d = 10,000 − need: 0 … 24,000."""
    h, y, e = 10000 - agent.need[0], 10000 - agent.need[1], 10000 - agent.need[2]
    return (100 * h * h + 60 * y * y + 80 * e * e) // 1000000
