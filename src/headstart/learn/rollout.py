"""Playing: a policy acts in batched worlds and every step is kept, aligned with the observation it was chosen from."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from headstart.learn.networks import ConflictAwarePolicyNetwork
from headstart.worlds.api import Array, Observations, World


@dataclass
class Rollout:
    """T steps of N rows; row t holds o_t, the action chosen from it, and what that action brought."""

    seen: dict[str, Tensor]  # "features" [T, N, F], "mask" [T, N, K], "map" [T, N, C, G, G]
    action: Tensor  # [T, N] i64, or [T, N, D] f32
    log_prob: Tensor  # [T, N], of the action when it was chosen
    reward: Array  # [T, N] f32
    reward_terms: Array  # [R] f64, summed over all rows
    terminated: Array  # [T, N] bool
    truncated: Array  # [T, N] bool
    final: list[tuple[int, Array, dict[str, Tensor]]]  # (t, rows, what they saw last) of truncated rows
    last_seen: dict[str, Tensor]  # [N, …], after step T−1
    stats: Array  # [worlds that ended, A, S], of the whole episodes
    counted: Array  # [S] i64, what the counters rose by in these T steps, summed over all rows


class Player:
    """A world, what it shows now, and the random stream that actions are drawn from."""

    def __init__(self, world: World, seed: int, generator: torch.Generator, stagger: bool = True) -> None:
        self.world = world
        self.generator = generator
        self._seen, _ = world.reset(seed=seed, options={"stagger": stagger})

    @torch.no_grad()
    def play(self, network: ConflictAwarePolicyNetwork, ticks: int) -> Rollout:
        """Sample `ticks` steps in every world."""
        rows = self.world.num_envs
        seen = {key: torch.empty((ticks, *value.shape), dtype=_dtype(value)) for key, value in self._seen.items()}
        discrete = bool(self.world.names.actions)
        shape = (ticks, rows) if discrete else (ticks, rows, len(self.world.names.action_low))
        action = torch.empty(shape, dtype=torch.int64 if discrete else torch.float32)
        log_prob = torch.empty((ticks, rows))
        reward = np.empty((ticks, rows), np.float32)
        terminated, truncated = np.empty((ticks, rows), bool), np.empty((ticks, rows), bool)
        reward_terms = np.zeros(len(self.world.names.reward_terms))
        final, stats = [], []
        before = self.world.running_stats.sum(axis=(0, 1), dtype=np.int64)
        for t in range(ticks):
            for key, value in self._seen.items():
                seen[key][t] = torch.from_numpy(value)
            policy = network.policy({key: value[t] for key, value in seen.items()})
            action[t] = policy.sample(self.generator)
            log_prob[t] = policy.log_prob(action[t])
            self._seen, reward[t], terminated[t], truncated[t], info = self.world.step(action[t].numpy())
            reward_terms += info["reward_terms"].sum(axis=0, dtype=np.float64)
            ended = np.flatnonzero(truncated[t])
            if len(ended):
                final.append((t, ended, {key: torch.from_numpy(value[ended]) for key, value in info["final_obs"].items()}))
            if info["episode_end"].any():
                stats.append(info["stats"][info["episode_end"]])
        ended_stats = np.concatenate(stats) if stats else np.empty((0, self.world.num_agents, len(self.world.names.stats)))
        after = self.world.running_stats.sum(axis=(0, 1), dtype=np.int64)
        return Rollout(
            seen,
            action,
            log_prob,
            reward,
            reward_terms,
            terminated,
            truncated,
            final,
            as_tensors(self._seen),
            ended_stats,
            after - before + ended_stats.sum(axis=(0, 1), dtype=np.int64),
        )


def as_tensors(seen: Observations) -> dict[str, Tensor]:
    """Copies of a world's observation arrays."""
    return {key: torch.tensor(value) for key, value in seen.items()}


def _dtype(array: Array) -> torch.dtype:
    return torch.float32 if array.dtype == np.float32 else torch.uint8
