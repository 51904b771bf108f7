"""The states that a policy visits: its observations in one episode in each of W worlds, and whether the expert would act the same.

As in DAgger (Ross, Gordon, Bagnell 2011), the policy is judged in the states that it reaches itself, not in the expert's.
"""

from dataclasses import dataclass

import numpy as np
import torch

from headstart.core.arrays import Array
from headstart.learn.demonstrations import decision_rows
from headstart.learn.evaluation import Acting
from headstart.learn.networks import ActorCritic
from headstart.worlds.api import Act, Observations, Played, World, play


@dataclass(frozen=True)
class Visits:
    """M rows of W complete episodes, in the order of their steps, and how the episodes ended."""

    features: Array  # [M, F] f32
    world: Array  # [M] i64, 0 … W − 1
    first: Array  # [M] bool: the row is the reset of its world
    decisions: int  # rows in which more than one action is allowed
    agreed: int | None  # decisions in which the most likely action is the expert's; None without an expert
    played: Played


def visit(network: ActorCritic, world: World, seed: int, expert: Act | None = None) -> Visits:
    """Play one complete episode in every world with actions sampled from the policy, and record the observations."""
    features: list[Array] = []
    worlds: list[Array] = []
    decisions, agreed = 0.0, 0.0

    acting = Acting(network, seed, "sampled")

    def watch(obs: Observations, playing: Array) -> None:
        nonlocal decisions, agreed
        rows = np.repeat(playing, world.num_agents) & ~world.gone
        features.append(obs["features"][rows])
        worlds.append(np.flatnonzero(rows) // world.num_agents)
        counts = decision_rows({key: torch.from_numpy(value) for key, value in obs.items()}) * torch.from_numpy(rows)
        decisions += float(counts.sum())
        if expert is not None:
            agreed += float((acting.policy.agrees(torch.from_numpy(expert(obs))) * counts).sum())

    played = play(world, acting, seed, watch)
    return Visits(
        features=np.concatenate(features),
        world=np.concatenate(worlds),
        first=np.arange(sum(map(len, worlds))) < len(worlds[0]),
        decisions=int(decisions),
        agreed=None if expert is None else int(agreed),
        played=played,
    )
