"""What each object offers: how long it takes, what it costs, what it gives (§4, Affordances and Economy)."""

from dataclasses import dataclass, field

from tests.worlds.reference.relationships import share_meal
from tests.worlds.reference.town import Agent, Thing, Town


@dataclass(frozen=True)
class Use:
    """One row of the table of affordances."""

    statistic: str
    ticks: int
    cents: int
    stock: int  # taken at the start
    first: int  # reward of the first in an episode, 1/10,000 (§5)
    gives: dict[str, int] = field(default_factory=dict)  # bp at completion


USES = {
    "fridge": Use("eats", ticks=4, cents=40, stock=1, first=10000, gives={"hunger": 4500, "energy": 300}),
    "stove": Use("cooks", ticks=10, cents=15, stock=1, first=5000, gives={"hygiene": -200, "energy": -300}),
    "shower": Use("showers", ticks=8, cents=10, stock=0, first=10000, gives={"hygiene": 6500, "energy": -200}),
    "bed": Use("sleeps", ticks=16, cents=0, stock=0, first=10000, gives={"hunger": -200, "energy": 6000}),
}
CAPACITY = {"fridge": 12, "stove": 6}
RESTOCK = {"fridge": 3, "stove": 1}


def price(town: Town, kind: str) -> int:
    return USES[kind].cents * town.price // 100


def usable(town: Town, agent: Agent, o: int) -> bool:
    """Fridge: stock and money; stove: ingredients, power, money; shower: water and money; bed: always (§2)."""
    thing = town.things[o]
    if thing.kind == "bed":
        return True
    if thing.kind == "workplace" or agent.wallet < price(town, thing.kind):
        return False
    if thing.kind == "shower":
        return town.tick >= town.outage_end
    return thing.stock > 0 and (thing.kind == "fridge" or town.tick >= town.blackout_end)


def pay(town: Town, agent: Agent, thing: Thing) -> None:
    """Money and stock go at the start and do not come back (§2, leave)."""
    agent.wallet -= price(town, thing.kind)
    thing.stock -= USES[thing.kind].stock


def reap(town: Town, agent: Agent, thing: Thing) -> None:
    """The effect, at completion only; a cook fills the fridge; the first of its kind is rewarded (§4, §5)."""
    use = USES[thing.kind]
    for need, amount in use.gives.items():
        agent.need[need] = min(10000, max(0, agent.need[need] + amount))
    town.note(use.statistic, agent.id)
    if thing.kind == "fridge":
        share_meal(town, agent)
    if thing.kind == "stove":
        for fridge in town.plan.all_of("fridge")[:1]:
            stock(town.things[fridge], 2)
    if agent.count[use.statistic] == 1 and town.setup.pay_first_service:
        agent.reward["service"] += use.first


def stock(thing: Thing, amount: int) -> None:
    thing.stock = min(CAPACITY[thing.kind], thing.stock + amount)


def restock(town: Town, thing: Thing) -> None:
    """Every 60 ticks, at the end of the sixtieth (§4, Economy)."""
    every = town.setup.restock_every
    if every > 0 and (town.tick + 1) % every == 0 and thing.kind in RESTOCK:
        stock(thing, RESTOCK[thing.kind])
