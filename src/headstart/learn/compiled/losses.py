"""The terms of a minibatch's loss and their gradient by the network's output, row by row; `learn.loss` computes the same in torch.

Each row has a PPO weight and an imitation weight; each set sums to 1, or to 0 where no row counts.
"""

import math
from typing import NamedTuple

import numpy as np

from headstart.core.arrays import Array
from headstart.learn.compiled.jit import part
from headstart.learn.compiled.layers import FORBIDDEN, NEAR


class Minibatch(NamedTuple):
    """B rows of a rollout and after them E rows of demonstrations, which are imitated only; as in `learn.loss`."""

    action: Array  # [B] i64, or [B, D] f32
    log_prob: Array  # [B], log π_old(a | o)
    advantage: Array  # [B]
    ppo_weight: Array  # [B]
    reference: Array  # [B, K] log-probabilities or [B, D] means of π_ref; without one [0, …]
    reference_log_std: Array  # [D] of a Gaussian π_ref
    label: Array  # [B + E] i64, or [B + E, D] f32: the expert's choice
    imitation_weight: Array  # [B + E]


class Coefficients(NamedTuple):
    """Coefficients of the terms of the loss, and clip ranges of π and V; the policy's loss has the coefficient 1."""

    clip_range: float = 0.2
    entropy_coef: float = 0.0
    kl_weight: float = 0.0
    bc_weight: float = 0.0
    value_coef: float = 1.0
    value_clip: float = math.inf


class Terms(NamedTuple):
    """Weighted means over the rows, named as in `learn.loss`."""

    loss_policy: float  # −L^CLIP (Schulman et al. 2017, eq. 7)
    entropy: float
    kl_divergence: float  # from π_old, by k3 of Schulman 2020: unbiased, never negative
    clip_fraction: float  # share of rows whose ratio is beyond 1 ± clip_range
    loss_kl: float  # KL(π ‖ π_ref)
    loss_bc: float  # cross-entropy with the labels, or squared distance to them
    accuracy: float  # share of labels with which the policy agrees


@part
def standardise(advantage: Array, weight: Array) -> None:
    """[B] in place: mean 0 and deviation 1 over the rows that count."""
    mean = variance = 0.0
    for i in range(len(weight)):
        mean += weight[i] * advantage[i]
    for i in range(len(weight)):
        variance += weight[i] * (advantage[i] - mean) ** 2
    scale = 1.0 / (math.sqrt(variance) + 1e-8)
    for i in range(len(weight)):
        advantage[i] = (advantage[i] - mean) * scale


@part
def value_loss(value: Array, returns: Array, old_value: Array, clip: float, by_value: Array) -> float:
    """Mean of (V − returns)², or of the larger of that and the same with V at most `clip` from `old_value`; gradient [B, 1]."""
    total = 0.0
    for i in range(len(returns)):
        error, moved = np.float64(value[i, 0]) - returns[i], np.float64(value[i, 0]) - old_value[i]
        near = old_value[i] + min(max(moved, -clip), clip) - returns[i] if abs(moved) > clip else error
        worse = abs(near) > abs(error)  # then the gradient by V is 0
        by_value[i, 0] = 0.0 if worse else 2.0 * error / len(returns)
        total += near * near if worse else error * error
    return total / len(returns)


@part
def categorical(output: Array, mask: Array, rows: Minibatch, coef: Coefficients) -> tuple[Array, Terms]:
    """Gradient [B + E, K] of the policy's loss by the logits, for a softmax over what the mask allows, and the terms."""
    actions = output.shape[1]
    gradient = np.zeros_like(output)
    log_policy = np.empty(actions, output.dtype)
    loss_policy = entropy = kl_divergence = clip_fraction = loss_kl = loss_bc = accuracy = 0.0
    for i in range(len(output)):
        weight = rows.ppo_weight[i] if i < len(rows.ppo_weight) else 0.0
        imitation_weight = np.float64(rows.imitation_weight[i])
        if weight == 0.0 and imitation_weight == 0.0:
            continue
        policy = gradient[i]  # contains the probabilities first
        log_policy[:] = FORBIDDEN
        best = -1
        for k in range(actions):
            if mask[i, k] and (best < 0 or output[i, k] > output[i, best]):
                best = k
        total = 0.0
        for k in range(actions):
            if mask[i, k]:
                log_policy[k] = output[i, k] - output[i, best]
                policy[k] = math.exp(log_policy[k])
                total += policy[k]
        log_total = math.log(total)
        has_reference = i < len(rows.reference)
        row_entropy = row_kl = 0.0
        for k in range(actions):
            if mask[i, k]:
                log_policy[k] -= log_total
                policy[k] /= total
                row_entropy -= policy[k] * log_policy[k]
                if has_reference:
                    row_kl += policy[k] * (log_policy[k] - rows.reference[i, k])
        slope = 0.0
        if weight > 0.0:
            loss, slope, k3, is_clipped = clipped_surrogate(
                log_policy[rows.action[i]] - rows.log_prob[i], rows.advantage[i], coef.clip_range
            )
            loss_policy += weight * loss
            kl_divergence += weight * k3
            clip_fraction += weight * is_clipped
            entropy += weight * row_entropy
            loss_kl += weight * row_kl
        if imitation_weight > 0.0:
            loss_bc -= imitation_weight * log_policy[rows.label[i]]
            accuracy += imitation_weight * (best == rows.label[i])
        for k in range(actions):
            if mask[i, k]:
                spread = coef.entropy_coef * (log_policy[k] + row_entropy)
                if has_reference:
                    spread += coef.kl_weight * (log_policy[k] - rows.reference[i, k] - row_kl)
                policy[k] *= weight * (spread - slope) + imitation_weight * coef.bc_weight
        if weight > 0.0:
            policy[rows.action[i]] += weight * slope
        if imitation_weight > 0.0:
            policy[rows.label[i]] -= imitation_weight * coef.bc_weight
    return gradient, Terms(loss_policy, entropy, kl_divergence, clip_fraction, loss_kl, loss_bc, accuracy)


@part
def gaussian(mean: Array, log_std: Array, rows: Minibatch, coef: Coefficients) -> tuple[Array, Array, Terms]:
    """Gradient by the mean [B + E, D] and by log_std [D] for independent normal distributions; and the terms."""
    dimensions = mean.shape[1]
    gradient, by_log_std = np.zeros_like(mean), np.zeros(dimensions, np.float32)
    loss_policy = kl_divergence = clip_fraction = loss_kl = loss_bc = accuracy = counted = 0.0
    precision = np.exp(-log_std)
    constant = np.sum(log_std) + 0.5 * dimensions * math.log(2 * math.pi)
    for i in range(len(rows.ppo_weight)):
        weight = rows.ppo_weight[i]
        if weight == 0.0:
            continue
        counted += weight
        now = -constant
        for j in range(dimensions):
            now -= 0.5 * ((rows.action[i, j] - mean[i, j]) * precision[j]) ** 2
        loss, slope, k3, is_clipped = clipped_surrogate(now - rows.log_prob[i], rows.advantage[i], coef.clip_range)
        loss_policy += weight * loss
        kl_divergence += weight * k3
        clip_fraction += weight * is_clipped
        for j in range(dimensions):
            z = (rows.action[i, j] - mean[i, j]) * precision[j]
            gradient[i, j] += weight * slope * z * precision[j]
            by_log_std[j] += weight * slope * (z * z - 1.0)
            if i < len(rows.reference):
                scale = math.exp(-rows.reference_log_std[j])
                away = (mean[i, j] - rows.reference[i, j]) * scale
                variance = (scale / precision[j]) ** 2
                loss_kl += weight * (rows.reference_log_std[j] - log_std[j] + 0.5 * (variance + away * away - 1.0))
                gradient[i, j] += weight * coef.kl_weight * away * scale
                by_log_std[j] += weight * coef.kl_weight * (variance - 1.0)
    for i in range(len(rows.imitation_weight)):
        imitation_weight = rows.imitation_weight[i]
        if imitation_weight > 0.0:
            agrees = True
            for j in range(dimensions):
                away = mean[i, j] - rows.label[i, j]
                loss_bc += imitation_weight * away * away / dimensions
                gradient[i, j] += imitation_weight * coef.bc_weight * 2.0 * away / dimensions
                agrees = agrees and abs(min(max(mean[i, j], -1.0), 1.0) - rows.label[i, j]) <= NEAR
            accuracy += imitation_weight * agrees
    by_log_std -= np.float32(counted * coef.entropy_coef)
    return (
        gradient,
        by_log_std,
        Terms(loss_policy, counted * (constant + 0.5 * dimensions), kl_divergence, clip_fraction, loss_kl, loss_bc, accuracy),
    )


@part
def clipped_surrogate(log_ratio: float, advantage: float, clip: float) -> tuple[float, float, float, bool]:
    """−min(r A, clip(r) A), its slope by log r, k3, and whether r is beyond 1 ± clip."""
    # both in f64: within 1 ± clip the two products must be equal
    ratio, gain = math.exp(np.float64(log_ratio)), np.float64(advantage)
    free, bounded = ratio * gain, min(max(ratio, 1.0 - clip), 1.0 + clip) * gain
    slope = -free if free <= bounded else 0.0
    return -min(free, bounded), slope, ratio - 1.0 - log_ratio, abs(ratio - 1.0) > clip
