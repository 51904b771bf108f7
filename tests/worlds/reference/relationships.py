"""Rivalry, trust and familiarity of each holder toward each other agent (§4)."""

from tests.worlds.reference.layout import apart
from tests.worlds.reference.town import Agent, Town

from headstart.worlds.town.state import CHATS, USING

AVOID = 5000  # bp of rivalry from which an agent keeps away
MAX_EDGES, FAINT_EDGE = 6, 500


def change_rivalry(town: Town, holder: int, other: int, amount: int) -> None:
    """0 … 10,000."""
    before = town.rivalry[holder, other]
    town.rivalry[holder, other] = min(10000, max(0, before + amount))
    if before == 0 < amount:
        make_room(town, holder, other)


def change_trust(town: Town, holder: int, other: int, amount: int) -> None:
    """−10,000 … 10,000."""
    town.trust[holder, other] = min(10000, max(-10000, town.trust[holder, other] + amount))


def change_familiarity(town: Town, holder: int, other: int, amount: int) -> None:
    """−10,000 … 10,000."""
    town.familiarity[holder, other] = min(10000, max(-10000, town.familiarity[holder, other] + amount))


def make_room(town: Town, holder: int, newest: int) -> None:
    """At most 6 edges per holder: those below 500 give way to a new one, otherwise the weakest goes (§4, Rivalry).

    Reading: the new edge itself does not give way for being below 500, but it may be the weakest; of equals it is the one that goes.
    """

    def edges() -> list[int]:
        return [other.id for other in town.agents if town.rivalry[holder, other.id] > 0]

    if len(edges()) > MAX_EDGES:
        for other in edges():
            if other != newest and town.rivalry[holder, other] < FAINT_EDGE:
                town.rivalry[holder, other] = 0
    if len(edges()) > MAX_EDGES:
        weakest = min(edges(), key=lambda other: (town.rivalry[holder, other], other != newest, other))
        town.rivalry[holder, weakest] = 0
        town.note("edge_dropped", holder, weakest)


def conflict(town: Town, actor: Agent, rival: Agent, intensity: int) -> None:
    """The rival's rivalry rises, less if it is forgiving; the actor's half as much; both mark a recent conflict (§4, Conflict)."""
    resentment = 1500 * intensity // 100
    change_rivalry(town, rival.id, actor.id, resentment * (200 - rival.forgiveness) // 200)
    change_rivalry(town, actor.id, rival.id, resentment // 2)
    for agent in (actor, rival):
        agent.recent_conflict = min(1000, agent.recent_conflict + intensity)
    town.note("intensity", actor.id, rival.id, intensity)


def courtesy(town: Town, giver: Agent, receiver: Agent) -> None:
    """Effects of yielding (§4, Yield)."""
    change_trust(town, receiver.id, giver.id, 500)
    change_familiarity(town, receiver.id, giver.id, 500)
    change_rivalry(town, receiver.id, giver.id, -500)
    change_rivalry(town, giver.id, receiver.id, -500)


def listener(town: Town, agent: Agent) -> Agent | None:
    """The first 4-neighbour in id order who is not using and whom the agent does not avoid (§2, §4)."""
    for other in town.others(agent):
        if apart(agent.cell, other.cell) == 1 and other.status != USING and town.rivalry[agent.id, other.id] < AVOID:
            return other
    return None


def chat(town: Town, speaker: Agent, hearer: Agent) -> None:
    """Success raises the trust of both; failure raises the listener's rivalry (§4, Chat; §5 chat).

    Reading: all divisions round down; the reward uses the familiarity after the chat.
    """
    sympathy = town.trust[hearer.id, speaker.id] - town.rivalry[hearer.id, speaker.id]
    chance = 70 + speaker.extroversion // 5 + sympathy // 200
    if town.roll(100, CHATS, speaker.id) < chance:
        quality = 5000 + 20 * hearer.extroversion
        for holder, other in ((speaker, hearer), (hearer, speaker)):
            change_trust(town, holder.id, other.id, quality // 20)
            change_familiarity(town, holder.id, other.id, quality // 10)
            change_rivalry(town, holder.id, other.id, -300)
            holder.reward["chat"] += 100 + town.familiarity[holder.id, other.id] // 100
        town.note("chats", speaker.id, hearer.id)
        town.note("chat_quality", speaker.id, hearer.id, quality)
    else:
        change_familiarity(town, hearer.id, speaker.id, -500)
        change_rivalry(town, hearer.id, speaker.id, 500)
        speaker.reward["chat"] -= 50
        town.note("chat_failures", speaker.id, hearer.id)
    speaker.chat_cooldown = 30


def share_meal(town: Town, agent: Agent) -> None:
    """Two agents that finish eating within 6 ticks and Manhattan distance 3 of each other have shared a meal (§4 [U])."""
    agent.ate_at = town.tick
    for other in town.others(agent):
        if other.ate_at is not None and town.tick - other.ate_at <= 6 and apart(agent.cell, other.cell) <= 3:
            for holder, held in ((agent, other), (other, agent)):
                change_trust(town, holder.id, held.id, 1000)
                change_familiarity(town, holder.id, held.id, 2500)
            town.note("shared_meals", agent.id, other.id)


def fade(town: Town, agent: Agent) -> None:
    """Rivalries decay, faster with forgiveness (§4, Rivalry)."""
    lost = town.setup.rivalry_decay * (100 + agent.forgiveness) // 100
    for other in town.agents:
        town.rivalry[agent.id, other.id] = max(0, town.rivalry[agent.id, other.id] - lost)
    agent.highest_rivalry = max(town.rivalry[agent.id, other.id] for other in town.agents)


def fret(town: Town, agent: Agent) -> None:
    """Per avoided agent within Manhattan distance 2: energy −10, reward −0.01 (§4, Stress)."""
    for other in town.others(agent):
        if town.rivalry[agent.id, other.id] >= AVOID and apart(agent.cell, other.cell) <= 2:
            agent.need["energy"] = max(0, agent.need["energy"] - 10)
            agent.reward["stress"] -= 100
            town.note("stress", agent.id, other.id)
