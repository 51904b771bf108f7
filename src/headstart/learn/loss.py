"""The loss of a minibatch as in the papers, with PPO's clipped surrogate. It runs in torch on any device.

`learn.compiled` computes the same on the CPU; tests compare the two.

    L = −L^CLIP − c_H·H(π) + c_KL·KL(π ‖ π_ref) + c_BC·L^BC + c_V·L^V

L^CLIP, L^V, H: Schulman et al. 2017, eq. 7 and 9. KL to a reference policy: Schmitt et al. 2018. L^BC, the imitation of an expert's choices
during fine-tuning: Rajeswaran et al. 2018. Each row has a PPO weight and an imitation weight; each set sums to 1, or to 0 where no row counts.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from headstart.learn.compiled.losses import Coefficients
from headstart.learn.policies import Policy


class Minibatch(NamedTuple):
    """B rows of a rollout and after them E rows of demonstrations, which are imitated only."""

    action: Tensor  # [B] i64, or [B, D] f32
    log_prob: Tensor  # [B], log π_old(a | o)
    advantage: Tensor  # [B]
    returns: Tensor  # [B], the target of the critic
    old_value: Tensor  # [B], V_old(o)
    ppo_weight: Tensor  # [B]
    reference: Policy | None  # π_ref of the B rows
    label: Tensor  # [B + E] i64, or [B + E, D] f32: the expert's choice
    imitation_weight: Tensor  # [B + E]


def minibatch_loss(policy: Policy | None, value: Tensor, rows: Minibatch, coef: Coefficients) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of π [B + E] and V [B], and its terms by name; without a policy, the loss of the critic alone."""
    terms = {"loss_value": value_loss(value, rows.returns, rows.old_value, coef.value_clip)}
    total = coef.value_coef * terms["loss_value"]
    if policy is None:
        return total, terms
    terms |= ppo_terms(policy.rows(slice(len(value))), rows, coef.clip_range)
    terms["loss_bc"] = (rows.imitation_weight * policy.imitation_loss(rows.label)).sum()
    terms["accuracy"] = (rows.imitation_weight * policy.agrees(rows.label)).sum()
    total = total + terms["loss_policy"] - coef.entropy_coef * terms["entropy"]
    total = total + coef.kl_weight * terms["loss_kl"] + coef.bc_weight * terms["loss_bc"]
    return total, terms


def ppo_terms(policy: Policy, rows: Minibatch, clip_range: float) -> dict[str, Tensor]:
    """The terms of the rows of the rollout."""
    weight = rows.ppo_weight
    log_ratio = policy.log_prob(rows.action) - rows.log_prob
    log_ratio = torch.where(weight > 0, log_ratio, 0.0)  # the ratio of a row that does not count may overflow
    ratio = log_ratio.exp()
    k3 = ratio - 1.0 - log_ratio  # Schulman 2020: an estimate of KL(π_old ‖ π) that is unbiased and never negative
    clipped = ratio.clamp(1.0 - clip_range, 1.0 + clip_range)
    surrogate = torch.minimum(ratio * rows.advantage, clipped * rows.advantage)
    kl = torch.zeros_like(weight) if rows.reference is None else policy.kl(rows.reference)  # type: ignore[arg-type]  # of one kind
    return {
        "loss_policy": -(weight * surrogate).sum(),
        "entropy": (weight * policy.entropy()).sum(),
        "kl_divergence": (weight * k3).sum(),
        "clip_fraction": (weight * ((ratio - 1.0).abs() > clip_range)).sum(),
        "loss_kl": (weight * kl).sum(),
    }


def value_loss(value: Tensor, returns: Tensor, old_value: Tensor, value_clip: float) -> Tensor:
    """Mean of (V − returns)², or of the larger of that and the same with V at most `value_clip` away from `old_value`: [B] each."""
    clipped = old_value + (value - old_value).clamp(-value_clip, value_clip)
    return torch.maximum((value - returns).square(), (clipped - returns).square()).mean()


def normalised(weight: Tensor) -> Tensor:
    """Weights [B] of 0 and 1, divided by their sum."""
    return weight / weight.sum().clamp_min(1.0)


def standardised(advantage: Tensor, weight: Tensor) -> Tensor:
    """[B], with mean 0 and standard deviation 1 under weights that sum to 1."""
    mean = (weight * advantage).sum()
    deviation = (weight * (advantage - mean).square()).sum().sqrt()
    return (advantage - mean) / (deviation + 1e-8)
