"""One town as a PettingZoo `ParallelEnv` (Terry et al. 2021): the same rules as `Town`, agents by name, no respawn.

Needs the extra `pettingzoo`; nothing else imports this file.
"""

from typing import Any, TypeVar

import gymnasium as gym
import numpy as np
from pettingzoo import ParallelEnv

from headstart.core.errors import UsageError
from headstart.worlds.api import Observations, Task
from headstart.worlds.town.env import Town
from headstart.worlds.town.state import MAX_AGENTS, N_ACTIONS, WAIT

Agent = str
T = TypeVar("T")
ByAgent = dict[Agent, T]
ONLY_WAIT = np.tile(np.arange(N_ACTIONS) == WAIT, (MAX_AGENTS, 1)).astype(np.uint8)  # the mask of an agent that is gone


class ParallelTown(ParallelEnv[Agent, Observations, int]):
    """`Town` with one world; its docstring has actions, observations, reward, start and end.

    An agent that faints or is evicted leaves `agents` and the grid; the horizon truncates all that are left. An agent's last observation
    is from before the end; its mask then allows `wait` only. `reset()` without a seed draws one from the last seed given.
    """

    def __init__(self, task: Task, world: int = 0, hybrid: bool = False) -> None:
        """`world`: id of the world; with a seed it names the same episode as in `Town`."""
        self._town = Town(task, num_worlds=1, first_world=world, hybrid=hybrid, respawn=False)
        self._row = {f"agent_{a}": a for a in range(self._town.num_agents)}
        self.possible_agents = list(self._row)
        self.agents: list[Agent] = []
        self.metadata = {"name": "headstart_town", "render_modes": []}
        self._seeds = np.random.default_rng(0)

    def observation_space(self, agent: Agent) -> gym.spaces.Space[Any]:
        return self._town.single_observation_space

    def action_space(self, agent: Agent) -> gym.spaces.Space[Any]:
        return self._town.single_action_space

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ByAgent[Observations], ByAgent[dict[str, Any]]]:
        if seed is None:
            seed = int(self._seeds.integers(1 << 31))
        else:
            self._seeds = np.random.default_rng(seed)
        seen, _ = self._town.reset(seed=seed)
        self.agents = list(self.possible_agents)
        return {agent: self._of(agent, seen) for agent in self.agents}, {agent: {} for agent in self.agents}

    def step(
        self, actions: ByAgent[int]
    ) -> tuple[ByAgent[Observations], ByAgent[float], ByAgent[bool], ByAgent[bool], ByAgent[dict[str, Any]]]:
        """info of an agent: "reward_terms" [R]; at the end of the episode, "stats" [S]."""
        if set(actions) != set(self.agents):
            raise UsageError(f"actions: expected one for each of {self.agents}, got {sorted(actions)}")
        rows = np.array([actions.get(agent, WAIT) for agent in self.possible_agents])
        seen, reward, terminated, truncated, info = self._town.step(rows)
        ended = terminated | truncated
        here = {agent: self._row[agent] for agent in self.agents}
        self.agents = [agent for agent, a in here.items() if not ended[a]]
        infos: ByAgent[dict[str, Any]] = {agent: {"reward_terms": info["reward_terms"][a].copy()} for agent, a in here.items()}
        if info["episode_end"][0]:
            for agent, a in here.items():
                infos[agent]["stats"] = info["stats"][0, a].copy()
        last = info["final_obs"] | {"mask": ONLY_WAIT}
        return (
            {agent: self._of(agent, last if ended[a] else seen) for agent, a in here.items()},
            {agent: float(reward[a]) for agent, a in here.items()},
            {agent: bool(terminated[a]) for agent, a in here.items()},
            {agent: bool(truncated[a]) for agent, a in here.items()},
            infos,
        )

    def expert_actions(self) -> ByAgent[int]:
        """Actions of the scripted expert in the present state."""
        chosen = self._town.expert_actions()
        return {agent: int(chosen[self._row[agent]]) for agent in self.agents}

    def _of(self, agent: Agent, seen: Observations) -> Observations:
        return {name: rows[self._row[agent]].copy() for name, rows in seen.items()}
