"""One world that steps: the order of a tick, and what happens to rows that end (§3)."""

from dataclasses import dataclass, field
from typing import Any

from tests.worlds.reference.actions import act, allowed
from tests.worlds.reference.beginning import begin_episode, depart, respawn, stagger
from tests.worlds.reference.chance import Dice
from tests.worlds.reference.layout import read_plans
from tests.worlds.reference.living import live
from tests.worlds.reference.observe import Map, features, view
from tests.worlds.reference.perturbations import meet, perturb
from tests.worlds.reference.queues import run_object
from tests.worlds.reference.setup import read_setup
from tests.worlds.reference.town import Agent, Event, Town

from headstart.worlds.town.state import ACTIONS, ORDER, REWARD_TERMS, STATS


@dataclass
class Outcome:
    """Results of one step; lists are over agents."""

    reward: list[dict[str, int]]  # by term, 1/10,000
    terminated: list[bool]
    truncated: list[bool]
    over: bool  # the episode ended
    final_features: dict[int, dict[str, float]] = field(default_factory=dict)  # of agents that ended
    final_map: dict[int, Map] = field(default_factory=dict)
    stats: list[dict[str, int]] = field(default_factory=list)  # where the episode ended
    events: list[Event] = field(default_factory=list)  # of the whole episode, where it ended


@dataclass
class ReferenceWorld:
    """The world with one id; `town` is its present state."""

    town: Town

    def reset(self, staggered: bool = False) -> None:
        self.town.episode = 0
        self.town = begin_episode(self.town)
        if staggered:
            stagger(self.town)

    def step(self, actions: list[int]) -> Outcome:
        """One tick (§3)."""
        town = self.town
        tick(town, actions)
        outcome = judge(town)
        if outcome.over:
            town.episode += 1
            self.town = begin_episode(town)
        else:
            for agent, ended in zip(town.agents, outcome.terminated, strict=True):
                if ended:
                    (respawn if town.setup.respawn else depart)(town, agent)
        return outcome

    def mask(self, a: int) -> dict[str, bool]:
        return {action: allowed(self.town, self.town.agents[a], action) for action in ACTIONS}


def make_world(setup: dict[str, Any], horizon: int, seed: int, world: int, respawn: bool = True) -> ReferenceWorld:
    """A world that has still to be reset."""
    checked = read_setup(setup, horizon, respawn)
    return ReferenceWorld(Town(checked, read_plans(checked.layout), Dice(seed, world)))


def tick(town: Town, actions: list[int]) -> None:
    """Perturbations; actions, from an agent that the tick draws; objects; meetings; time; the clock (§3.1–5)."""
    for agent in town.agents:
        agent.reward = dict.fromkeys(REWARD_TERMS, 0)
    perturb(town)
    first = town.roll(len(town.agents), ORDER)
    for agent in town.agents[first:] + town.agents[:first]:
        if not agent.gone:
            act(town, agent, ACTIONS[actions[agent.id]])
    for o in range(len(town.things)):
        run_object(town, o)
    meet(town)
    for agent in town.present():
        live(town, agent)
    town.tick += 1


def judge(town: Town) -> Outcome:
    """Which agents ended and how, their last observations, and at the horizon the counters: all before any reset (§3.6).

    Reading: a life that ends at the horizon is terminated, not truncated.
    """
    over = town.tick >= town.setup.horizon
    terminated = [not agent.alive and not agent.gone for agent in town.agents]
    truncated = [over and agent.alive and not agent.gone for agent in town.agents]
    ended = [agent for agent in town.agents if over or terminated[agent.id]]
    return Outcome(
        reward=[agent.reward for agent in town.agents],
        terminated=terminated,
        truncated=truncated,
        over=over,
        final_features={agent.id: features(town, agent) for agent in ended},
        final_map={agent.id: view(town, agent) for agent in ended},
        stats=[statistics(agent) for agent in town.agents] if over else [],
        events=town.events if over else [],
    )


def statistics(agent: Agent) -> dict[str, int]:
    """The counters of an episode by name: three measures, and events counted."""
    measures = {name: getattr(agent, name) for name in ("lowest_need", "highest_rivalry", "total_reward")}
    return {name: measures[name] if name in measures else agent.count[name] for name in STATS}
