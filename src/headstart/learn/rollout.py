"""Rollouts: a policy acts in batched worlds, and every step is stored with the observation from which its action was chosen."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from headstart.core.arrays import Array
from headstart.core.errors import UsageError
from headstart.core.memory import require_memory
from headstart.learn.guide import Blend, Guide
from headstart.learn.networks import ActorCritic
from headstart.worlds.api import Act, World


@dataclass
class Rollout:
    """T steps of N rows; row t holds o_t, the action chosen from it, and its reward and end flags."""

    obs: dict[str, Tensor]  # "features" [T, N, F], "mask" [T, N, K], "map" [T, N, C, G, G]
    action: Tensor  # [T, N] i64, or [T, N, D] f32
    log_prob: Tensor  # [T, N], of the action when it was chosen
    reward: Array  # [T, N] f32
    terminated: Array  # [T, N] bool
    truncated: Array  # [T, N] bool
    driven: Tensor | None  # [T, N] bool, true where the expert acted; None: it never acted
    label: Tensor | None  # as `action`: the expert's choice in every step; None: not computed
    final: list[tuple[int, Array, dict[str, Tensor]]] = field(
        default_factory=list
    )  # (t, rows, last observation) of truncated rows
    last_obs: dict[str, Tensor] = field(init=False)  # [N, …], after step T−1
    stats: Array = field(init=False)  # [worlds that ended, A, S], of the complete episodes
    counted: Array = field(init=False)  # [S] i64, increase of the counters in these T steps, summed over all rows


class Player:
    """A world, its current observations, and the random stream from which actions are drawn."""

    def __init__(
        self,
        world: World,
        seed: int,
        generator: torch.Generator,
        expert: Act | None = None,
        episode_ticks: int = 0,
    ) -> None:
        """`expert` can act in some rows instead of the policy; its episodes last `episode_ticks`."""
        self.world, self.generator, self.expert = world, generator, expert
        self.guide = Guide(world.num_envs, episode_ticks or world.horizon, generator)
        self._obs, _ = world.reset(seed=seed, options={"stagger": True})

    def snapshot(self) -> dict[str, Array]:
        """Everything on which the next rollout depends, except the network and the generator."""
        parts = {"world": self.world.snapshot(), "guide": self.guide.snapshot()}
        return {f"{part}.{name}": value for part, state in parts.items() for name, value in state.items()}

    def restore(self, snapshot: dict[str, Array]) -> None:
        """Restore a snapshot."""
        self.guide.restore(_part(snapshot, "guide."))
        self._obs = self.world.restore(_part(snapshot, "world."))

    @torch.no_grad()
    def play(
        self, network: ActorCritic, ticks: int, expert_share: float = 0.0, blend: Blend = "step", label_all: bool = False
    ) -> Rollout:
        """Sample `ticks` steps in every world; the expert acts in the set share of them and, with `label_all`, labels every step."""
        if (expert_share > 0 or label_all) and self.expert is None:
            raise UsageError("expert_share or labels: all: expected an expert, got none; an arm with start: bc has one")
        self.guide.aim(expert_share, blend)
        rollout, stats = self._empty(ticks, expert_share > 0, label_all), [self.world.running_stats[:0]]
        before = self.world.running_stats.sum(axis=(0, 1), dtype=np.int64)
        for t in range(ticks):
            self._act(network, rollout, t)
            self._obs, rollout.reward[t], terminated, truncated, info = self.world.step(rollout.action[t].numpy())
            rollout.terminated[t], rollout.truncated[t] = terminated, truncated
            self.guide.advance(terminated | truncated)
            ended = np.flatnonzero(truncated)
            if len(ended):
                final_obs = {key: torch.from_numpy(value[ended]) for key, value in info["final_obs"].items()}
                rollout.final.append((t, ended, final_obs))
            if info["episode_end"].any():
                stats.append(info["stats"][info["episode_end"]])
        rollout.last_obs = {key: torch.tensor(value) for key, value in self._obs.items()}
        rollout.stats = np.concatenate(stats)
        after = self.world.running_stats.sum(axis=(0, 1), dtype=np.int64)
        rollout.counted = after - before + rollout.stats.sum(axis=(0, 1), dtype=np.int64)
        return rollout

    def _empty(self, ticks: int, guided: bool, label_all: bool) -> Rollout:
        rows, names = (ticks, self.world.num_envs), self.world.names
        size = f"{self.world.num_worlds:,} worlds × {ticks:,} steps × {len(names.features)} features"
        shown = sum(value.nbytes for value in self._obs.values()) + 32 * self.world.num_envs
        require_memory(ticks * shown, f"ppo.worlds, ppo.rollout_ticks: {size}")
        action = torch.empty(rows, dtype=torch.int64) if names.actions else torch.empty((*rows, len(names.action_low)))
        return Rollout(
            obs={
                key: torch.empty((ticks, *value.shape), dtype=torch.from_numpy(value).dtype) for key, value in self._obs.items()
            },
            action=action,
            log_prob=torch.empty(rows),
            reward=np.empty(rows, np.float32),
            terminated=np.empty(rows, bool),
            truncated=np.empty(rows, bool),
            driven=torch.zeros(rows, dtype=torch.bool) if guided else None,
            label=torch.empty_like(action) if label_all else None,
        )

    def _act(self, network: ActorCritic, rollout: Rollout, t: int) -> None:
        """Store observations, actions and the expert's choices at step t."""
        for key, value in self._obs.items():
            rollout.obs[key][t] = torch.from_numpy(value)
        policy = network.policy({key: value[t] for key, value in rollout.obs.items()})
        action = policy.sample(self.generator)
        if self.expert is not None and (rollout.driven is not None or rollout.label is not None):
            choice = torch.from_numpy(self.expert(self._obs))
            if rollout.label is not None:
                rollout.label[t] = choice
            if rollout.driven is not None:
                drives = rollout.driven[t] = torch.from_numpy(self.guide.drives())
                action[drives] = choice[drives]
        rollout.action[t], rollout.log_prob[t] = action, policy.log_prob(action)


def _part(snapshot: dict[str, Array], prefix: str) -> dict[str, Array]:
    return {key.removeprefix(prefix): value for key, value in snapshot.items() if key.startswith(prefix)}
