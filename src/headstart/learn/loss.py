"""The loss of a minibatch as the papers write it, in torch and on any device. `learn.compiled` computes the same, and tests hold it to this.

    L = −L^CLIP − c₁·H + c₂·KL(π ‖ π_ref) + c₃·imitation + c₄·L^V

L^CLIP: Schulman et al. 2017, eq. 7. H: entropy. KL: to a reference policy, on the rows of the rollout. Imitation: what the policy misses of an
expert's choices, in the rollout and in recorded rows beside it (Rajeswaran et al. 2018). L^V: squared error of the critic. Each row has a PPO
weight and an imitation weight; each set sums to 1.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from headstart.learn.policies import Policy


class Acted(NamedTuple):
    """B rows in which the policy acted."""

    action: Tensor  # [B] i64, or [B, D] f32
    log_prob: Tensor  # [B], of the action when it was taken
    advantage: Tensor  # [B]
    weight: Tensor  # [B], PPO weights
    reference: Policy | None = None  # what the reference policy says of them


class Imitated(NamedTuple):
    """B + E rows, the acted ones first, and an expert's choice in those that count."""

    label: Tensor  # [B + E] i64, or [B + E, D] f32
    weight: Tensor  # [B + E], imitation weights


class Terms(NamedTuple):
    """Weighted means over the rows."""

    surrogate: Tensor  # −L^CLIP
    entropy: Tensor
    divergence: Tensor  # from the policy that acted, by k3 of Schulman 2020: unbiased, never negative
    clipped: Tensor  # share of rows whose ratio is beyond 1 ± clip
    kl: Tensor  # to the reference
    imitation: Tensor
    right: Tensor  # share of labels that the policy agrees with


def normalised(counts: Tensor) -> Tensor:
    """What each of B rows counts for in a mean over those that count; nothing where none does."""
    return counts / counts.sum().clamp_min(1.0)


def standardised(advantage: Tensor, weight: Tensor) -> Tensor:
    """[B], with mean 0 and deviation 1 over the rows that count."""
    mean = (weight * advantage).sum()
    deviation = (weight * (advantage - mean).square()).sum().sqrt()
    return (advantage - mean) / (deviation + 1e-8)


def policy_terms(policy: Policy, acted: Acted, imitated: Imitated, clip: float) -> Terms:
    """The terms of a policy over B + E rows."""
    here, nothing = policy.rows(torch.arange(len(acted.weight))), torch.zeros(())
    counts = acted.weight > 0  # the others may hold anything
    log_ratio = torch.where(counts, here.log_prob(acted.action) - acted.log_prob, 0.0)
    ratio = log_ratio.exp()
    bounded = ratio.clamp(1.0 - clip, 1.0 + clip)

    def mean(values: Tensor) -> Tensor:
        return (acted.weight * torch.where(counts, values, 0.0)).sum()

    return Terms(
        surrogate=-mean(torch.minimum(ratio * acted.advantage, bounded * acted.advantage)),
        entropy=mean(here.entropy()),
        divergence=mean(ratio - 1.0 - log_ratio),
        clipped=mean(((ratio - 1.0).abs() > clip).float()),
        kl=nothing if acted.reference is None else mean(here.kl(acted.reference)),  # type: ignore[arg-type]  # both are of one kind
        imitation=(imitated.weight * policy.imitation_loss(imitated.label)).sum(),
        right=(imitated.weight * policy.agrees(imitated.label)).sum(),
    )


def value_loss(value: Tensor, returns: Tensor, before: Tensor, clip: float) -> Tensor:
    """Mean of (V − returns)², or of the worse of that and what V would miss had it moved at most `clip` from `before`: [B] each."""
    near = before + (value - before).clamp(-clip, clip)
    return torch.maximum((value - returns).square(), (near - returns).square()).mean()
