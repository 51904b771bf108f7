"""Rollouts: a policy acts in batched worlds, and every step is kept beside the observation that its action was chosen from."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from headstart.core.arrays import Array
from headstart.core.errors import UsageError
from headstart.learn.guide import Blend, Guide
from headstart.learn.networks import ActorCritic
from headstart.worlds.api import Act, World


@dataclass
class Rollout:
    """T steps of N rows; row t holds o_t, the action chosen from it, and its consequences."""

    obs: dict[str, Tensor]  # "features" [T, N, F], "mask" [T, N, K], "map" [T, N, C, G, G]
    action: Tensor  # [T, N] i64, or [T, N, D] f32
    log_prob: Tensor  # [T, N], of the action when it was chosen
    reward: Array  # [T, N] f32
    terminated: Array  # [T, N] bool
    truncated: Array  # [T, N] bool
    final: list[tuple[int, Array, dict[str, Tensor]]]  # (t, rows, their last observation) of truncated rows
    last_seen: dict[str, Tensor]  # [N, …], after step T−1
    stats: Array  # [worlds that ended, A, S], of the whole episodes
    counted: Array  # [S] i64, what the counters rose by in these T steps, summed over all rows
    driven: Tensor | None = None  # [T, N] bool, where the expert acted; None: nowhere
    label: Tensor | None = None  # as `action`: the expert's choice, where it was asked in every step


class Player:
    """A world, its current observations, and the random stream that actions are drawn from."""

    def __init__(
        self,
        world: World,
        seed: int,
        generator: torch.Generator,
        expert: Act | None = None,
        episode_ticks: int = 0,
    ) -> None:
        """`expert` can act in some rows in the policy's place; its episodes last `episode_ticks`."""
        self.world, self.generator, self.expert = world, generator, expert
        self.guide = Guide(world.num_envs, episode_ticks or world.horizon, generator)
        self._obs, _ = world.reset(seed=seed, options={"stagger": True})

    def snapshot(self) -> dict[str, Array]:
        """Everything that the next rollout depends on beside the network and the generator."""
        guide = self.guide.snapshot()
        return {f"world.{key}": value for key, value in self.world.snapshot().items()} | {
            f"guide.{k}": v for k, v in guide.items()
        }

    def restore(self, snapshot: dict[str, Array]) -> None:
        """Go back to a snapshot."""
        self.guide.restore(_part(snapshot, "guide."))
        self._obs = self.world.restore(_part(snapshot, "world."))

    @torch.no_grad()
    def play(
        self, network: ActorCritic, ticks: int, expert_share: float = 0.0, blend: Blend = "step", label_all: bool = False
    ) -> Rollout:
        """Sample `ticks` steps in every world; the expert takes a share of them and, with `label_all`, is asked in every one."""
        rows, expert = self.world.num_envs, self.expert
        if (expert_share > 0 or label_all) and expert is None:
            raise UsageError("expert_share or labels: all: expected an expert, got none; an arm with start: bc has one")
        self.guide.aim(expert_share, blend)
        driven = torch.zeros((ticks, rows), dtype=torch.bool) if expert_share > 0 else None
        obs = {key: torch.empty((ticks, *value.shape), dtype=torch.from_numpy(value).dtype) for key, value in self._obs.items()}
        discrete = bool(self.world.names.actions)
        shape = (ticks, rows) if discrete else (ticks, rows, len(self.world.names.action_low))
        action = torch.empty(shape, dtype=torch.int64 if discrete else torch.float32)
        label = torch.empty_like(action) if label_all else None
        log_prob = torch.empty((ticks, rows))
        reward = np.empty((ticks, rows), np.float32)
        terminated, truncated = np.empty((ticks, rows), bool), np.empty((ticks, rows), bool)
        final, stats = [], []
        before = self.world.running_stats.sum(axis=(0, 1), dtype=np.int64)
        for t in range(ticks):
            for key, value in self._obs.items():
                obs[key][t] = torch.from_numpy(value)
            policy = network.policy({key: value[t] for key, value in obs.items()})
            action[t] = policy.sample(self.generator)
            if expert is not None and (driven is not None or label is not None):
                wanted = torch.from_numpy(expert(self._obs))
                if label is not None:
                    label[t] = wanted
                if driven is not None:
                    drives = driven[t] = torch.from_numpy(self.guide.drives())
                    action[t][drives] = wanted[drives]
            log_prob[t] = policy.log_prob(action[t])
            self._obs, reward[t], terminated[t], truncated[t], info = self.world.step(action[t].numpy())
            self.guide.advance(terminated[t] | truncated[t])
            ended = np.flatnonzero(truncated[t])
            if len(ended):
                final.append((t, ended, {key: torch.from_numpy(value[ended]) for key, value in info["final_obs"].items()}))
            if info["episode_end"].any():
                stats.append(info["stats"][info["episode_end"]])
        ended_stats = np.concatenate(stats) if stats else np.empty((0, self.world.num_agents, len(self.world.names.stats)))
        after = self.world.running_stats.sum(axis=(0, 1), dtype=np.int64)
        return Rollout(
            obs,
            action,
            log_prob,
            reward,
            terminated,
            truncated,
            final,
            {key: torch.tensor(value) for key, value in self._obs.items()},
            ended_stats,
            after - before + ended_stats.sum(axis=(0, 1), dtype=np.int64),
            driven,
            label,
        )


def _part(snapshot: dict[str, Array], prefix: str) -> dict[str, Array]:
    return {key.removeprefix(prefix): value for key, value in snapshot.items() if key.startswith(prefix)}
