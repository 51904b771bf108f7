"""Where a policy goes: the rows that it sees in one episode in each of W worlds, and whether the expert would do the same there.

Judging a policy on the states that it comes to by itself, and not on the teacher's, is the point of DAgger (Ross, Gordon, Bagnell 2011).
"""

from dataclasses import dataclass

import numpy as np
import torch

from headstart.learn.demonstrations import decision_rows
from headstart.learn.evaluation import Played
from headstart.learn.networks import ConflictAwarePolicyNetwork
from headstart.learn.rollout import Teacher
from headstart.worlds.api import Array, World


@dataclass(frozen=True)
class Visits:
    """M rows of W whole episodes, in the order in which they were seen, and how the episodes ended."""

    features: Array  # [M, F] f32
    world: Array  # [M] i64, 0 … W − 1
    first: Array  # [M] bool: seen at reset
    decisions: int  # rows in which more than one action is allowed
    agreed: int | None  # of them: the likeliest action is the teacher's; None without one
    played: Played


@torch.no_grad()
def visit(network: ConflictAwarePolicyNetwork, world: World, seed: int, teacher: Teacher | None = None) -> Visits:
    """Play one whole episode in every world with actions sampled from the policy: the episodes of `play_episodes` with this seed."""
    generator = torch.Generator().manual_seed(seed)
    seen, _ = world.reset(seed=seed)
    agents, playing = world.num_agents, np.ones(world.num_worlds, bool)
    total, stats = np.zeros((world.num_worlds, agents)), np.zeros(0)
    features: list[Array] = []
    worlds: list[Array] = []
    decisions, agreed = 0.0, 0.0
    for _ in range(world.horizon):
        rows = np.repeat(playing, agents)
        features.append(seen["features"][rows])
        worlds.append(np.flatnonzero(rows) // agents)
        tensors = {key: torch.from_numpy(value) for key, value in seen.items()}
        policy, counts = network.policy(tensors), decision_rows(tensors) * torch.from_numpy(rows)
        decisions += float(counts.sum())
        if teacher is not None:
            agreed += float((policy.agrees(torch.from_numpy(teacher(seen))) * counts).sum())
        seen, reward, _, _, info = world.step(policy.sample(generator).numpy())
        total[playing] += reward.reshape(total.shape)[playing]
        ending = playing & info["episode_end"]
        stats = stats if len(stats) else np.zeros_like(info["stats"])
        stats[ending] = info["stats"][ending]
        playing &= ~ending
        if not playing.any():
            break
    return Visits(
        features=np.concatenate(features),
        world=np.concatenate(worlds),
        first=np.arange(sum(map(len, worlds))) < len(worlds[0]),
        decisions=int(decisions),
        agreed=None if teacher is None else int(agreed),
        played=Played(world.success(stats), world.harm(stats), total.mean(axis=1), stats),
    )
