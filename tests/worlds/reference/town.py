"""The state of one town: agents, objects, queues, relationships, and a list of all events (§1)."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.worlds.reference.chance import Dice
from tests.worlds.reference.layout import Cell, Plan
from tests.worlds.reference.setup import Setup

from headstart.worlds.town.state import NEEDS, NONE, OFF, REWARD_TERMS


class Event(NamedTuple):
    """Something that happened; `kind` is the name of the statistic that counts it, if there is one."""

    tick: int
    kind: str
    agent: int = -1
    other: int = -1
    amount: int = 1


@dataclass
class Agent:
    """One agent. Needs in bp, money in cents, time in ticks."""

    id: int
    cell: Cell = (-1, -1)
    need: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NEEDS, 0))
    decay: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NEEDS, 100))  # per cent of the scenario's
    wallet: int = 0
    extroversion: int = 0
    forgiveness: int = 0
    ambition: int = 0
    queue: int | None = None  # the object in whose queue it is, or which it holds
    status: int = NONE
    busy: int = 0  # ticks of use left
    claim: int = 0  # ticks of claim left
    joined: int = 0  # tick
    last_action: int = 0
    last_ok: bool = True
    job: int | None = None
    workplace: int | None = None
    job_state: int = OFF
    shift_start: int = 0  # tick of the day
    shift_end: int = 0
    worked: int = 0
    strikes: int = 0
    ate_at: int | None = None
    alive: bool = True  # False in the tick that ends a life
    gone: bool = False  # not on the grid
    recent_conflict: int = 0
    chat_cooldown: int = 0
    yield_cooldown: int = 0
    stay: int = 0
    potential: int = 0
    life: int = 0
    lowest_need: int = 0
    highest_rivalry: int = 0
    total_reward: int = 0
    count: Counter[str] = field(default_factory=Counter)  # of events
    reward: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REWARD_TERMS, 0))  # of this tick, 1/10,000

    @property
    def traits(self) -> dict[str, int]:
        return {"extroversion": self.extroversion, "forgiveness": self.forgiveness, "ambition": self.ambition}


@dataclass
class Thing:
    """One object and its queue."""

    kind: str
    place: Cell
    stock: int = 0
    active: int | None = None  # the agent that holds the claim or uses it
    stall: int = 0
    queue: list[int] = field(default_factory=list)


@dataclass
class Town:
    """One world."""

    setup: Setup
    plans: list[Plan]
    dice: Dice
    episode: int = 0
    tick: int = 0
    first_tick: int = 0
    layout: int = 0
    agents: list[Agent] = field(default_factory=list)
    things: list[Thing] = field(default_factory=list)
    cooldown: Counter[tuple[int, int]] = field(default_factory=Counter)  # (object, agent) → tick before which it is refused
    rivalry: Counter[tuple[int, int]] = field(default_factory=Counter)  # (holder, other) → bp
    trust: Counter[tuple[int, int]] = field(default_factory=Counter)
    familiarity: Counter[tuple[int, int]] = field(default_factory=Counter)
    price: int = 100  # per cent
    spike_end: int = 0  # tick
    blackout_end: int = 0
    outage_end: int = 0
    meeting: tuple[int, int] | None = None  # the two agents
    meeting_cell: Cell = (0, 0)
    meeting_end: int = 0
    perturbation_cooldown: int = 0
    events: list[Event] = field(default_factory=list)  # of this episode

    @property
    def plan(self) -> Plan:
        return self.plans[self.layout]

    @property
    def time_of_day(self) -> int:
        return self.tick % self.setup.day

    def roll(self, n: int, stream: int, agent: int = 0) -> int:
        return self.dice.roll(n, stream, self.episode, self.tick, agent)

    def between(self, low: int, high: int, stream: int, agent: int = 0) -> int:
        return low + self.roll(high - low + 1, stream, agent)

    def present(self) -> list[Agent]:
        return [agent for agent in self.agents if not agent.gone]

    def others(self, agent: Agent) -> Iterator[Agent]:
        return (other for other in self.present() if other is not agent)

    def agent_at(self, cell: Cell) -> Agent | None:
        return next((agent for agent in self.present() if agent.cell == cell), None)

    def note(self, kind: str, agent: int = -1, other: int = -1, amount: int = 1) -> None:
        """Write an event down, and count it for its agent."""
        self.events.append(Event(self.tick, kind, agent, other, amount))
        if agent >= 0:
            self.agents[agent].count[kind] += amount
