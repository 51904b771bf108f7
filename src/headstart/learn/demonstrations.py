"""Recorded steps of an expert as tensors, for cloning and for the imitation term of fine-tuning."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from headstart.core.arrays import Array
from headstart.worlds.api import Observations


@dataclass(frozen=True)
class Demonstrations:
    """B recorded steps in memory."""

    obs: dict[str, Tensor]  # [B, …]
    label: Tensor  # [B] i64 or [B, D] f32, the expert's choice
    returns: Tensor  # [B] f32, discounted, to the end of the episode
    has_choice: Tensor  # [B] f32, 1 where more than one action is allowed
    has_returns: bool = True  # false: rewards are not recorded, and no critic learns from `returns`

    def rows(self, index: Tensor) -> "Demonstrations":
        """The rows of a minibatch."""
        return Demonstrations(
            {key: value.index_select(0, index) for key, value in self.obs.items()},
            self.label.index_select(0, index),
            self.returns.index_select(0, index),
            self.has_choice.index_select(0, index),
            self.has_returns,
        )


def demonstrations(obs: Observations, label: Array, reward: Array, length: Array, gamma: float) -> Demonstrations:
    """Tensors of recorded steps. `length` [E] are the lengths of the consecutive episodes."""
    tensors = {key: torch.from_numpy(value) for key, value in obs.items()}
    returns = torch.from_numpy(discounted_returns(reward, length, gamma))
    return Demonstrations(tensors, torch.from_numpy(label), returns, decision_rows(tensors))


def discounted_returns(reward: Array, length: Array, gamma: float) -> Array:
    """Σ γ^k r_{t+k} to the end of each episode: [B] f32."""
    longest, (column, row) = int(length.max()), cells(length)
    padded = np.zeros((len(length), longest))
    padded[row, column] = reward
    for t in range(longest - 2, -1, -1):
        padded[:, t] += gamma * padded[:, t + 1]
    return np.asarray(padded[row, column], np.float32)


def cells(length: Array) -> tuple[Array, Array]:
    """Of steps that follow each other in episodes of `length` [E]: the tick of each in its episode, and which episode that is, [B] each."""
    episode = np.repeat(np.arange(len(length)), length)
    return np.arange(len(episode)) - (np.cumsum(length) - length)[episode], episode


def decision_rows(obs: dict[str, Tensor]) -> Tensor:
    """[B] f32: 1 where the mask allows more than one action."""
    if "mask" not in obs:
        return torch.ones(len(obs["features"]))
    return (obs["mask"].sum(dim=-1) > 1).float()
