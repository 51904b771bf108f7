"""The terms of a minibatch's loss and their gradient by what the policy's network says, row by row; `learn.loss` states the same in torch.

The B rows of a rollout come first; E rows that are only imitated may follow. Each row has a PPO weight and an imitation weight; each set sums
to 1, or to 0 where nothing counts. An array without rows stands for what is not there.
"""

import math
from typing import NamedTuple

import numpy as np

from headstart.core.arrays import Array
from headstart.learn.compiled.jit import part
from headstart.learn.compiled.layers import FORBIDDEN


class Acted(NamedTuple):
    """Rows in which the policy acted."""

    action: Array  # [B] i64, or [B, D] f32
    log_prob: Array  # [B], of the action when it was taken
    advantage: Array  # [B]
    weight: Array  # [B], PPO weights
    reference: Array  # [B, K] log-probabilities or [B, D] means of the reference policy, or [0, …]
    reference_log_std: Array  # [D] of a Gaussian one


class Imitated(NamedTuple):
    """Rows in which an expert's choice is known: the acted ones, then those that were recorded; or none at all."""

    label: Array  # [B + E] i64, or [B + E, D] f32
    weight: Array  # [B + E], imitation weights


class Coefficients(NamedTuple):
    """How much each term counts in the loss, and where the surrogate is clipped."""

    clip: float
    entropy: float
    kl: float
    imitation: float


class Terms(NamedTuple):
    """Weighted means."""

    surrogate: float  # −L^CLIP (Schulman et al. 2017, eq. 7)
    entropy: float
    divergence: float  # from the policy that acted, by k3 of Schulman 2020: unbiased, never negative
    clipped: float  # share of rows whose ratio is beyond 1 ± clip
    kl: float  # to the reference
    imitation: float  # cross-entropy with the labels, or squared distance to them
    right: float  # share of labels that the policy agrees with


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
def value_loss(value: Array, returns: Array, before: Array, clip: float, by_value: Array) -> float:
    """Mean of (V − returns)², or of the worse of that and what V would miss had it moved at most `clip` from `before`; its gradient [B, 1]."""
    total = 0.0
    for i in range(len(returns)):
        error, moved = np.float64(value[i, 0]) - returns[i], np.float64(value[i, 0]) - before[i]
        near = before[i] + min(max(moved, -clip), clip) - returns[i] if abs(moved) > clip else error
        worse = abs(near) > abs(error)  # and V cannot change it
        by_value[i, 0] = 0.0 if worse else 2.0 * error / len(returns)
        total += near * near if worse else error * error
    return total / len(returns)


@part
def categorical(output: Array, mask: Array, acted: Acted, imitated: Imitated, coef: Coefficients) -> tuple[Array, Terms]:
    """Gradient [B + E, K] of surrogate − entropy + KL + imitation for a policy that is the softmax of what the mask allows, and its terms."""
    rows, actions = output.shape
    gradient = np.zeros_like(output)
    log_policy = np.empty(actions, output.dtype)
    surrogate = entropy = divergence = clipped = kl = imitation = right = 0.0
    for i in range(rows):
        weight = acted.weight[i] if i < len(acted.weight) else 0.0
        copies = imitated.weight[i] if i < len(imitated.weight) else 0.0
        if weight == 0.0 and copies == 0.0:
            continue
        policy = gradient[i]  # holds probabilities first
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
        known = i < len(acted.reference)
        uncertainty = distance = 0.0
        for k in range(actions):
            if mask[i, k]:
                log_policy[k] -= log_total
                policy[k] /= total
                uncertainty -= policy[k] * log_policy[k]
                if known:
                    distance += policy[k] * (log_policy[k] - acted.reference[i, k])
        slope = 0.0
        if weight > 0.0:
            loss, slope, moved, beyond = clipped_surrogate(
                log_policy[acted.action[i]] - acted.log_prob[i], acted.advantage[i], coef.clip
            )
            surrogate += weight * loss
            divergence += weight * moved
            clipped += weight * beyond
            entropy += weight * uncertainty
            kl += weight * distance
        if copies > 0.0:
            imitation -= copies * log_policy[imitated.label[i]]
            right += copies * (best == imitated.label[i])
        for k in range(actions):
            if mask[i, k]:
                spread = coef.entropy * (log_policy[k] + uncertainty)
                if known:
                    spread += coef.kl * (log_policy[k] - acted.reference[i, k] - distance)
                policy[k] *= weight * (spread - slope) + copies * coef.imitation
        if weight > 0.0:
            policy[acted.action[i]] += weight * slope
        if copies > 0.0:
            policy[imitated.label[i]] -= copies * coef.imitation
    return gradient, Terms(surrogate, entropy, divergence, clipped, kl, imitation, right)


@part
def gaussian(
    mean: Array, log_std: Array, acted: Acted, imitated: Imitated, coef: Coefficients, near: float
) -> tuple[Array, Array, Terms]:
    """Gradient by the mean [B + E, D] and by log_std [D] for independent normal distributions; labels within `near` are right."""
    dimensions = mean.shape[1]
    gradient, by_log_std = np.zeros_like(mean), np.zeros(dimensions, np.float32)
    surrogate = divergence = clipped = kl = imitation = right = counted = 0.0
    precision = np.exp(-log_std)
    constant = np.sum(log_std) + 0.5 * dimensions * math.log(2 * math.pi)
    for i in range(len(acted.weight)):
        weight = acted.weight[i]
        if weight == 0.0:
            continue
        counted += weight
        now = -constant
        for j in range(dimensions):
            now -= 0.5 * ((acted.action[i, j] - mean[i, j]) * precision[j]) ** 2
        loss, slope, moved, beyond = clipped_surrogate(now - acted.log_prob[i], acted.advantage[i], coef.clip)
        surrogate += weight * loss
        divergence += weight * moved
        clipped += weight * beyond
        for j in range(dimensions):
            z = (acted.action[i, j] - mean[i, j]) * precision[j]
            gradient[i, j] += weight * slope * z * precision[j]
            by_log_std[j] += weight * slope * (z * z - 1.0)
            if i < len(acted.reference):
                scale = math.exp(-acted.reference_log_std[j])
                away = (mean[i, j] - acted.reference[i, j]) * scale
                variance = (scale / precision[j]) ** 2
                kl += weight * (acted.reference_log_std[j] - log_std[j] + 0.5 * (variance + away * away - 1.0))
                gradient[i, j] += weight * coef.kl * away * scale
                by_log_std[j] += weight * coef.kl * (variance - 1.0)
    for i in range(len(imitated.weight)):
        copies = imitated.weight[i]
        if copies > 0.0:
            agrees = True
            for j in range(dimensions):
                away = mean[i, j] - imitated.label[i, j]
                imitation += copies * away * away / dimensions
                gradient[i, j] += copies * coef.imitation * 2.0 * away / dimensions
                agrees = agrees and abs(min(max(mean[i, j], -1.0), 1.0) - imitated.label[i, j]) <= near
            right += copies * agrees
    by_log_std -= np.float32(counted * coef.entropy)
    return (
        gradient,
        by_log_std,
        Terms(surrogate, counted * (constant + 0.5 * dimensions), divergence, clipped, kl, imitation, right),
    )


@part
def clipped_surrogate(log_ratio: float, advantage: float, clip: float) -> tuple[float, float, float, bool]:
    """−min(r A, clip(r) A), its slope by log r, k3, and whether r is beyond 1 ± clip."""
    ratio, gain = (
        math.exp(np.float64(log_ratio)),
        np.float64(advantage),
    )  # of one precision: within 1 ± clip both products are equal
    free, bounded = ratio * gain, min(max(ratio, 1.0 - clip), 1.0 + clip) * gain
    slope = -free if free <= bounded else 0.0
    return -min(free, bounded), slope, ratio - 1.0 - log_ratio, abs(ratio - 1.0) > clip
