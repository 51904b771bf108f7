"""Events for the whole town: price spikes, blackouts, outages, arranged meetings (§4, Perturbations)."""

from collections.abc import Callable
from itertools import combinations

from tests.worlds.reference.layout import apart
from tests.worlds.reference.relationships import change_rivalry, change_trust
from tests.worlds.reference.town import Agent, Town

from headstart.worlds.town.state import (
    BLACKOUT,
    BLACKOUT_TICKS,
    MEET,
    MEET_CELL,
    OUTAGE,
    OUTAGE_TICKS,
    SPIKE,
    SPIKE_PRICE,
    SPIKE_TICKS,
)

COOLDOWN = 60  # ticks, shared


def perturb(town: Town) -> None:
    """Expire, then draw (§3.1); after the first that begins, none begins for 60 ticks."""
    expire(town)
    if town.perturbation_cooldown > 0:
        return
    for name, stream, begin in PERTURBATIONS:
        chance = town.setup.perturbations[name]
        if town.roll(1_000_000, stream) < chance and begin(town):
            town.perturbation_cooldown = COOLDOWN
            town.note(name)
            return


def expire(town: Town) -> None:
    if town.tick >= town.spike_end:
        town.price = 100
    if town.tick >= town.meeting_end:
        town.meeting = None
    town.perturbation_cooldown = max(0, town.perturbation_cooldown - 1)


def spike(town: Town) -> bool:
    """120 … 180 % for 30 … 60 ticks."""
    town.price = town.between(120, 180, SPIKE_PRICE)
    town.spike_end = town.tick + town.between(30, 60, SPIKE_TICKS)
    return True


def blackout(town: Town) -> bool:
    """No stove for 10 … 30 ticks."""
    town.blackout_end = town.tick + town.between(10, 30, BLACKOUT_TICKS)
    of_the_town(town, "blackouts")
    return True


def outage(town: Town) -> bool:
    """No shower for 10 … 30 ticks."""
    town.outage_end = town.tick + town.between(10, 30, OUTAGE_TICKS)
    of_the_town(town, "outages")
    return True


def of_the_town(town: Town, kind: str) -> None:
    """Every agent counts it, also one that is gone."""
    for agent in town.agents:
        town.note(kind, agent.id)


def arrange_meeting(town: Town) -> bool:
    """The pair with the highest mutual rivalry is given 40 ticks to meet (§4 [U]).

    Reading: mutual is the sum of both directions; a pair without rivalry is not sent; the cell is a spawn cell.
    """

    def mutual(pair: tuple[Agent, Agent]) -> int:
        a, b = pair[0].id, pair[1].id
        return town.rivalry[a, b] + town.rivalry[b, a]

    pair = max(combinations(town.present(), 2), key=mutual, default=None)
    if pair is None or mutual(pair) == 0:
        return False
    town.meeting = pair[0].id, pair[1].id
    town.meeting_cell = town.plan.spawn[town.roll(len(town.plan.spawn), MEET_CELL)]
    town.meeting_end = town.tick + 40
    return True


PERTURBATIONS: list[tuple[str, int, Callable[[Town], bool]]] = [
    ("price_spike", SPIKE, spike),
    ("blackout", BLACKOUT, blackout),
    ("outage", OUTAGE, outage),
    ("meet", MEET, arrange_meeting),
]


def meet(town: Town) -> None:
    """Both within 1 of the cell at once: their rivalries fall (§4 [U]). Reading: checked after all actions; then the meeting ends."""
    if town.meeting is None:
        return
    pair = [town.agents[a] for a in town.meeting]
    if any(agent.gone or apart(agent.cell, town.meeting_cell) > 1 for agent in pair):
        return
    for holder, other in (pair, pair[::-1]):
        change_trust(town, holder.id, other.id, 1000)
        change_rivalry(town, holder.id, other.id, -1500)
        holder.reward["meeting"] += 500
    town.note("meeting", pair[0].id, pair[1].id)
    town.meeting = None
