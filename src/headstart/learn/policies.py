"""Distributions over actions: categorical over K masked actions, or Gaussian over actions of D dimensions.

Both have the same methods, so that rollouts, losses and evaluation need not distinguish them.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from headstart.learn.compiled.layers import NEAR

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


@dataclass(frozen=True)
class Categorical:
    """π(a | o) over K actions; those that the mask forbids have a probability below 1e-20."""

    log_policy: Tensor  # [B, K]

    @property
    def output(self) -> Tensor:
        """[B, K] log-probabilities."""
        return self.log_policy

    @cached_property
    def probability(self) -> Tensor:
        """[B, K]."""
        return self.log_policy.exp()

    def log_prob(self, action: Tensor) -> Tensor:
        """log π(a | o) of actions [B] i64: [B]."""
        return self.log_policy.gather(1, action[:, None]).squeeze(1)

    def entropy(self) -> Tensor:
        """[B] nats."""
        return -(self.probability * self.log_policy).sum(dim=-1)

    def kl(self, reference: "Categorical") -> Tensor:
        """KL(self ‖ reference): [B] nats."""
        return (self.probability * (self.log_policy - reference.log_policy)).sum(dim=-1)

    def sample(self, generator: torch.Generator) -> Tensor:
        """One action per row by the Gumbel-max trick (Gumbel 1954): [B] i64."""
        uniform = torch.rand(self.log_policy.shape, generator=generator).clamp_min_(1e-12)
        return (self.log_policy - torch.log(-torch.log(uniform))).argmax(dim=-1)

    def mode(self) -> Tensor:
        """The most likely action: [B] i64."""
        return self.log_policy.argmax(dim=-1)

    def imitation_loss(self, label: Tensor) -> Tensor:
        """Cross-entropy with an expert's actions [B]: [B] nats."""
        return -self.log_prob(label)

    def agrees(self, label: Tensor) -> Tensor:
        """Whether the most likely action is the expert's: [B] bool."""
        return self.mode() == label

    def rows(self, index: Tensor | slice) -> "Categorical":
        """The rows of a minibatch."""
        return Categorical(self.log_policy[index])

    def followed_by(self, other: "Categorical") -> "Categorical":
        """The rows of both."""
        return Categorical(torch.cat([self.log_policy, other.log_policy]))


@dataclass(frozen=True)
class Gaussian:
    """Independent normal distributions with a standard deviation that does not depend on the state; the world clips actions."""

    mean: Tensor  # [B, D]
    log_std: Tensor  # [D]

    @property
    def output(self) -> Tensor:
        """[B, D] means."""
        return self.mean

    def log_prob(self, action: Tensor) -> Tensor:
        """log density of actions [B, D]: [B]."""
        z = (action - self.mean) * (-self.log_std).exp()
        return -(0.5 * z.square() + self.log_std + _HALF_LOG_2PI).sum(dim=-1)

    def entropy(self) -> Tensor:
        """[B] nats, differential."""
        return (self.log_std + 0.5 + _HALF_LOG_2PI).sum().expand(len(self.mean))

    def kl(self, reference: "Gaussian") -> Tensor:
        """KL(self ‖ reference): [B] nats."""
        variance = (2 * (self.log_std - reference.log_std)).exp()
        distance = ((self.mean - reference.mean) * (-reference.log_std).exp()).square()
        return (reference.log_std - self.log_std + 0.5 * (variance + distance - 1)).sum(dim=-1)

    def sample(self, generator: torch.Generator) -> Tensor:
        """[B, D]."""
        return self.mean + self.log_std.exp() * torch.randn(self.mean.shape, generator=generator)

    def mode(self) -> Tensor:
        """The mean: [B, D]."""
        return self.mean

    def imitation_loss(self, label: Tensor) -> Tensor:
        """Mean squared distance to an expert's actions [B, D], a linear function of their log-likelihood at a fixed deviation: [B]."""
        return (self.mean - label).square().mean(dim=-1)

    def agrees(self, label: Tensor) -> Tensor:
        """Whether every component of the mean, clipped to ±1, is within NEAR of the expert's: [B] bool."""
        return ((self.mean.clamp(-1.0, 1.0) - label).abs() <= NEAR).all(dim=-1)

    def rows(self, index: Tensor | slice) -> "Gaussian":
        """The rows of a minibatch."""
        return Gaussian(self.mean[index], self.log_std)

    def followed_by(self, other: "Gaussian") -> "Gaussian":
        """The rows of both, of one policy."""
        return Gaussian(torch.cat([self.mean, other.mean]), self.log_std)


Policy = Categorical | Gaussian
