"""Probe environments (Andy Jones 2021): worlds so small that a learner which fails one of them names the part that is broken."""

import pickle
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector.utils import batch_space

from headstart.core.arrays import Array
from headstart.worlds.api import Observations, World, WorldSpec


class Probe(World):
    """W worlds of one agent; an episode is `length` ticks long, the last one ends it. Subclasses define observations and rewards."""

    length = 1
    truncates = False

    def __init__(self, num_worlds: int = 32) -> None:
        self.names = WorldSpec("probe", ("signal", "clock"), ("left", "right"), ("reward",), ("visits",))
        self.num_worlds = self.num_envs = num_worlds
        self.num_agents, self.horizon = 1, self.length
        spaces = {"features": gym.spaces.Box(-1, 1, (2,), np.float32), "mask": gym.spaces.Box(0, 1, (2,), np.uint8)}
        self.single_observation_space = gym.spaces.Dict(spaces)
        self.observation_space = batch_space(self.single_observation_space, num_worlds)
        self.single_action_space = gym.spaces.Discrete(2)
        self.action_space = batch_space(self.single_action_space, num_worlds)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observations, dict[str, Any]]:
        self.rng = np.random.default_rng(seed)
        self.tick = np.zeros(self.num_worlds, np.int64)
        self.signal = self.rng.choice([-1.0, 1.0], self.num_worlds)
        return self.obs(), {}

    def obs(self) -> Observations:
        features = np.stack([self.signal, self.tick / max(1, self.length)], axis=1).astype(np.float32)
        return {"features": features, "mask": np.ones((self.num_worlds, 2), np.uint8)}

    def reward(self, actions: Array) -> Array:
        raise NotImplementedError

    def step(self, actions: Array) -> tuple[Observations, Array, Array, Array, dict[str, Any]]:
        reward = self.reward(actions).astype(np.float32)
        self.tick += 1
        end = self.tick >= self.length
        final, stats = self.obs(), self.running_stats
        self.tick[end] = 0
        self.signal = np.where(end, self.rng.choice([-1.0, 1.0], self.num_worlds), self.signal)
        none = np.zeros(self.num_worlds, bool)
        info = {
            "reward_terms": reward[:, None],
            "final_obs": final,
            "episode_end": end,
            "stats": stats,
        }
        return self.obs(), reward, none if self.truncates else end, end if self.truncates else none, info

    def expert_actions(self) -> Array:
        return np.zeros(self.num_worlds, np.int64)

    @property
    def running_stats(self) -> Array:
        return self.tick.astype(np.int32)[:, None, None].copy()

    def snapshot(self) -> dict[str, Array]:
        stream = np.frombuffer(pickle.dumps(self.rng), np.uint8)
        return {"tick": self.tick.copy(), "signal": self.signal.copy(), "stream": stream}

    def restore(self, snapshot: dict[str, Array]) -> Observations:
        self.rng = pickle.loads(snapshot["stream"].tobytes())
        self.tick, self.signal = snapshot["tick"].copy(), snapshot["signal"].copy()
        return self.obs()


class Constant(Probe):
    """Pays 1 and ends: V = 1."""

    def reward(self, actions: Array) -> Array:
        return np.ones(self.num_worlds)


class Signal(Probe):
    """Pays the observed signal and ends: V = signal."""

    def reward(self, actions: Array) -> Array:
        return self.signal


class Later(Probe):
    """Pays 1 in the second of two ticks: V = γ, then 1."""

    length = 2

    def reward(self, actions: Array) -> Array:
        return (self.tick == 1).astype(float)


class Choice(Probe):
    """Pays the right choice: the policy must become `right` where the signal is positive."""

    def reward(self, actions: Array) -> Array:
        return np.where((actions == 1) == (self.signal > 0), 1.0, -1.0)


class Forever(Probe):
    """Pays 1 in every tick and is only ever truncated: V = 1 / (1 − γ)."""

    truncates = True

    def obs(self) -> Observations:
        obs = super().obs()
        obs["features"][:, 1] = 0.0  # no clock: the last observation looks like all others
        return obs

    def reward(self, actions: Array) -> Array:
        return np.ones(self.num_worlds)


class Reach(Probe):
    """Continuous: pays the less, the farther the action is from half the signal."""

    def __init__(self, num_worlds: int = 32) -> None:
        super().__init__(num_worlds)
        self.names = WorldSpec("probe", ("signal", "clock"), (), ("reward",), ("visits",), action_low=(-1.0,), action_high=(1.0,))
        self.single_action_space = gym.spaces.Box(-1, 1, (1,), np.float32)
        self.action_space = batch_space(self.single_action_space, num_worlds)

    def obs(self) -> Observations:
        return {"features": super().obs()["features"]}

    def reward(self, actions: Array) -> Array:
        return -((actions[:, 0] - self.signal / 2) ** 2)
