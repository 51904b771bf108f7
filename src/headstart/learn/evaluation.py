"""How good a policy is: one episode in each of W worlds that training never saw."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from headstart.learn.networks import ConflictAwarePolicyNetwork
from headstart.learn.policies import Policy
from headstart.worlds.api import Array, Observations, World

Mode = Literal["sampled", "deterministic"]
MODES: tuple[Mode, ...] = ("sampled", "deterministic")
Watcher = Callable[[Observations, Policy, Array], None]  # what is seen [N, …], the policy there, worlds that still play [W] bool


@dataclass(frozen=True)
class Played:
    """Outcomes of W episodes."""

    success: Array  # [W] bool
    harm: Array  # [W] bool
    total_reward: Array  # [W] f64, mean over the agents of a world
    stats: Array  # [W, A, S]


@torch.no_grad()
def play_episodes(
    network: ConflictAwarePolicyNetwork | None, world: World, seed: int, mode: Mode, watch: Watcher | None = None
) -> Played:
    """Play one whole episode in every world of `world`, with `network` or, for None, with the scripted expert.

    "sampled" draws actions from the policy, with a random stream that depends on `seed` alone; "deterministic" takes the likeliest.
    `watch` is shown every step of a network before it acts.
    """
    generator = torch.Generator().manual_seed(seed)
    seen, _ = world.reset(seed=seed)
    total = np.zeros((world.num_worlds, world.num_agents))
    stats, playing = np.zeros(0), np.ones(world.num_worlds, bool)
    for _ in range(world.horizon):
        if network is None:
            action = world.expert_actions()
        else:
            policy = network.policy({key: torch.from_numpy(value) for key, value in seen.items()})
            if watch is not None:
                watch(seen, policy, playing)
            action = (policy.sample(generator) if mode == "sampled" else policy.mode()).numpy()
        seen, reward, _, _, info = world.step(action)
        total[playing] += reward.reshape(total.shape)[playing]
        ending = playing & info["episode_end"]
        if ending.any():
            stats = stats if len(stats) else np.zeros_like(info["stats"])
            stats[ending] = info["stats"][ending]
            playing &= ~ending
            if not playing.any():
                break
    return Played(world.success(stats), world.harm(stats), total.mean(axis=1), stats)
