"""A small PettingZoo environment, as a user's module would hold it: `tests.worlds.parallel_toys`, and functions that change it."""

from typing import Any

import numpy as np
from gymnasium import spaces
from pettingzoo import ParallelEnv
from pettingzoo.utils import wrappers

GOAL, CLIFF = 4, -4


class Walk(ParallelEnv):  # type: ignore[type-arg,misc]
    """Each of A agents walks on its own line from −2, 0 or 2 by −1, 0 or 1 (action 0, 1, 2).

    An agent ends at the goal (reward 1) or at the cliff (reward −1), and is cut after `patience` steps. It sees its place, the number of the
    step, and a number that the seed draws for all in every step. `info`: steps, and `fell` at the cliff only.
    """

    metadata = {"name": "walk"}  # noqa: RUF012
    render_mode = None

    def __init__(
        self, agents: int = 3, patience: int = 1 << 30, continuous: bool = False, masks: str = "", fault: str = ""
    ) -> None:
        self.possible_agents = [f"walker_{a}" for a in range(agents)]
        self.agents: list[str] = []
        self.patience, self.masks, self.fault = patience, masks, fault
        seen = spaces.Box(np.array([-4, 1, 0], np.float32), np.array([4, 1000, 1], np.float32))
        self.seen = spaces.Dict({"observation": seen, "action_mask": spaces.MultiBinary(3)}) if masks == "observation" else seen
        self.acting = spaces.Box(-1, 1, (1,)) if continuous else spaces.Discrete(3)
        self.taken: list[dict[str, Any]] = []

    def observation_space(self, agent: str) -> Any:
        if self.fault == "spaces" and agent == "walker_1":
            return spaces.Box(0, 1, (2,))
        return self.seen

    def action_space(self, agent: str) -> Any:
        return self.acting

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.random, self.t = np.random.default_rng(seed), 0
        self.agents = self.possible_agents[: 1 if self.fault == "late" else None]
        self.place = {agent: float(self.random.integers(-1, 2) * 2) for agent in self.possible_agents}
        return self._look(), {agent: self._info(agent) for agent in self.agents}

    def step(self, actions: dict[str, Any]) -> Any:
        assert actions.keys() == set(self.agents), f"{sorted(actions)} act, there are {self.agents}"
        assert all(self.acting.contains(act) for act in actions.values()), actions
        self.taken.append(actions)
        self.t += 1
        for agent, act in actions.items():
            self.place[agent] += int(act) - 1 if isinstance(self.acting, spaces.Discrete) else round(float(act[0]))
        ends = {agent: not CLIFF < self.place[agent] < GOAL for agent in self.agents}
        cuts = {agent: self.t >= self.patience and not ends[agent] for agent in self.agents}
        rewards = {agent: float(np.sign(self.place[agent])) if ends[agent] else -0.01 for agent in self.agents}
        seen, infos = self._look(), {agent: self._info(agent) for agent in self.agents}
        self.agents = [agent for agent in self.agents if not ends[agent] and not cuts[agent]]
        match self.fault if self.t == 2 else "":
            case "nan":
                seen["walker_1"][0] = np.nan
            case "missing":
                del rewards["walker_1"]
            case "silent":
                self.agents = self.agents[1:]
            case "stranger":
                self.agents = [*self.agents, "stranger"]
            case "crash":
                raise RuntimeError("the floor is wet")
        return seen, rewards, ends, cuts, infos

    def _look(self) -> dict[str, Any]:
        drawn = self.random.random()
        rows = {agent: np.array([self.place[agent], self.t + 1, drawn], np.float32) for agent in self.agents}
        if self.masks != "observation":
            return rows
        return {agent: {"observation": row, "action_mask": self._mask(agent)} for agent, row in rows.items()}

    def _mask(self, agent: str) -> Any:
        """Nothing is allowed at an end; backwards only from places above 0."""
        place = self.place[agent]
        return np.array([place > 0, True, True], np.int8) * (CLIFF < place < GOAL)

    def _info(self, agent: str) -> dict[str, Any]:
        told: dict[str, Any] = {"t": self.t} | ({"fell": True} if self.place[agent] <= CLIFF else {})
        return told | ({"action_mask": self._mask(agent)} if self.masks == "info" else {})


def parallel_env(**kwargs: Any) -> Any:
    return Walk(**kwargs)


def wrapped(**kwargs: Any) -> Any:
    return wrappers.BaseParallelWrapper(Walk(**kwargs))


def in_turns() -> Any:
    from pettingzoo.utils import parallel_to_aec

    return parallel_to_aec(Walk())


def not_an_environment() -> int:
    return 3


def broken() -> Any:
    raise RuntimeError("no floor")
