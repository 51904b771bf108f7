"""What a minibatch wants of a policy's output: the terms of its loss, and their gradient by that output, row by row and compiled.

Autograd would visit some sixty nodes on the way; the tests hold every term to it. The rows of the rollout come first; rows that are only
imitated may follow. Of each row a `share` counts for the terms of PPO, and a `taught` for imitation; the shares add up to one, and so do they.
"""

import math
from typing import Any, NamedTuple

import numba
import numpy as np
import torch
from torch import Tensor

from headstart.learn.policies import NEAR, Categorical, Gaussian, Policy
from headstart.worlds.api import Array

FORBIDDEN = -60.0  # logit of a masked action: a probability below 1e-20, yet no denormal, which would slow exp tenfold


class Acted(NamedTuple):
    """B rows in which the policy acted."""

    action: Tensor  # [B] i64, or [B, D] f32
    log_prob: Tensor  # [B], of the action when it was taken
    advantage: Tensor  # [B]
    share: Tensor  # [B]
    reference: Policy | None  # what the reference policy says of them


class Taught(NamedTuple):
    """B + E rows in which an expert's choice is known."""

    label: Tensor  # [B + E] i64, or [B + E, D] f32
    share: Tensor  # [B + E]


class Coefficients(NamedTuple):
    """How much each term counts in the loss, and where the surrogate is clipped."""

    clip: float = 0.0
    entropy: float = 0.0
    kl: float = 0.0
    miss: float = 0.0


class Terms(NamedTuple):
    """Means over the rows that count."""

    surrogate: float  # −L^CLIP (Schulman et al. 2017, eq. 7)
    entropy: float
    divergence: float  # from the policy that acted, by k3 of Schulman 2020: unbiased, never negative
    clipped: float  # share of rows whose ratio is beyond 1 ± clip
    kl: float  # to the reference
    miss: float  # of the labels
    right: float  # share of labels that the policy agrees with


class Gradient(NamedTuple):
    """Of surrogate − entropy + KL + miss, each with its coefficient, by what the policy is made of."""

    output: Tensor  # [B + E, K], or [B + E, D]
    log_std: Tensor | None  # [D]


def shares(counts: Tensor) -> Tensor:
    """What each of B rows counts for in a mean over those that count; nothing where none does."""
    return counts / counts.sum().clamp_min(1.0)


def policy_terms(
    output: Tensor, log_std: Tensor | None, mask: Tensor | None, acted: Acted | None, taught: Taught | None, coef: Coefficients
) -> tuple[Gradient, Terms]:
    """The terms of a policy made of the actor's `output` and either `log_std` or `mask`, and the gradient of the loss."""
    if acted is None:
        if taught is None:
            raise ValueError("expected rows that acted, or rows that are taught, or both: got neither")
        nothing = taught.share[:0]
        acted = Acted(taught.label[:0], nothing, nothing, nothing, None)
    action, log_prob, advantage, share, reference = acted
    rows = _arrays(action, log_prob, advantage, share)
    lesson = _arrays(*taught) if taught is not None else (None, None)
    if log_std is None:
        known = _arrays(reference.log_policy) if isinstance(reference, Categorical) else (None,)
        by_output, terms = categorical(*_arrays(output, mask), *rows, *known, *lesson, *coef)
        return Gradient(torch.from_numpy(by_output), None), Terms(*terms)
    known = _arrays(reference.mean, reference.log_std) if isinstance(reference, Gaussian) else (None, None)
    by_output, by_log_std, terms = gaussian(*_arrays(output, log_std), *rows, *known, *lesson, *coef, NEAR)
    return Gradient(torch.from_numpy(by_output), torch.from_numpy(by_log_std).float()), Terms(*terms)


def _arrays(*tensors: Tensor | None) -> tuple[Array | None, ...]:
    return tuple(None if tensor is None else tensor.numpy() for tensor in tensors)


def _compiled(function: Any) -> Any:
    """Kept on disk: what the functions here take, return and call is plain numbers and arrays, so that numba notices every edit."""
    return numba.njit(error_model="numpy", nogil=True, cache=True)(function)


@_compiled
def standardised(advantage: Array, share: Array) -> Array:
    """[B], with mean 0 and deviation 1 over the rows that count."""
    mean = variance = 0.0
    for i in range(len(share)):
        mean += share[i] * advantage[i]
    for i in range(len(share)):
        variance += share[i] * (advantage[i] - mean) ** 2
    return ((advantage - mean) / (math.sqrt(variance) + 1e-8)).astype(advantage.dtype)


@_compiled
def squared_error(value: Array, returns: Array, before: Array, clip: float) -> tuple[Array, float]:
    """Gradient [B] and mean of (V − returns)², or of the worse of that and what V would miss had it moved at most `clip` from `before`."""
    gradient, total = np.empty_like(value), 0.0
    for i in range(len(value)):
        error, moved = np.float64(value[i]) - returns[i], np.float64(value[i]) - before[i]
        near = before[i] + min(max(moved, -clip), clip) - returns[i] if abs(moved) > clip else error
        worse = abs(near) > abs(error)  # and V cannot change it
        gradient[i] = 0.0 if worse else 2.0 * error / len(value)
        total += near * near if worse else error * error
    return gradient, total / len(value)


@_compiled
def categorical(
    output: Array,  # [B + E, K] f32, of the actor
    mask: Array,  # [B + E, K] u8
    action: Array,  # [B] i64
    log_prob: Array,  # [B], of the action when it was taken
    advantage: Array,  # [B]
    share: Array,  # [B]
    reference: Array | None,  # [B, K], log-probabilities of the reference policy
    label: Array | None,  # [B + E] i64
    taught: Array | None,  # [B + E]
    clip: float,
    entropy_coef: float,
    kl_coef: float,
    miss_coef: float,
) -> tuple[Array, tuple[float, ...]]:
    """Loss and gradient [B + E, K] of a policy that is the softmax of what the mask allows."""
    rows, actions = output.shape
    gradient = np.zeros_like(output)
    log_policy = np.empty(actions, output.dtype)
    surrogate = entropy = divergence = clipped = kl = miss = right = 0.0
    for i in range(rows):
        weight = share[i] if i < len(share) else 0.0
        lesson = taught[i] if taught is not None else 0.0
        if weight == 0.0 and lesson == 0.0:
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
        uncertainty = distance = 0.0
        for k in range(actions):
            if mask[i, k]:
                log_policy[k] -= log_total
                policy[k] /= total
                uncertainty -= policy[k] * log_policy[k]
                if reference is not None and i < len(share):
                    distance += policy[k] * (log_policy[k] - reference[i, k])
        slope = 0.0
        if weight > 0.0:
            loss, slope, moved, beyond = _clipped(log_policy[action[i]] - log_prob[i], advantage[i], clip)
            surrogate += weight * loss
            divergence += weight * moved
            clipped += weight * beyond
            entropy += weight * uncertainty
            kl += weight * distance
        if label is not None and lesson > 0.0:
            miss -= lesson * log_policy[label[i]]
            right += lesson * (best == label[i])
        for k in range(actions):
            if mask[i, k]:
                spread = entropy_coef * (log_policy[k] + uncertainty)
                if reference is not None and i < len(share):
                    spread += kl_coef * (log_policy[k] - reference[i, k] - distance)
                policy[k] *= weight * (spread - slope) + lesson * miss_coef
        if weight > 0.0:
            policy[action[i]] += weight * slope
        if label is not None and lesson > 0.0:
            policy[label[i]] -= lesson * miss_coef
    return gradient, (surrogate, entropy, divergence, clipped, kl, miss, right)


@_compiled
def gaussian(
    output: Array,  # [B + E, D] f32, of the actor: the mean
    log_std: Array,  # [D]
    action: Array,  # [B, D]
    log_prob: Array,  # [B], of the action when it was taken
    advantage: Array,  # [B]
    share: Array,  # [B]
    reference: Array | None,  # [B, D], the mean of the reference policy
    reference_log_std: Array | None,  # [D]
    label: Array | None,  # [B + E, D]
    taught: Array | None,  # [B + E]
    clip: float,
    entropy_coef: float,
    kl_coef: float,
    miss_coef: float,
    close: float,
) -> tuple[Array, Array, tuple[float, ...]]:
    """Loss, gradient by the mean [B + E, D] and gradient by log_std [D] of independent normal distributions."""
    rows, dimensions = output.shape
    gradient, by_log_std = np.zeros_like(output), np.zeros(dimensions)
    surrogate = divergence = clipped = kl = miss = right = counted = 0.0
    precision = np.exp(-log_std)
    constant = np.sum(log_std) + 0.5 * dimensions * math.log(2 * math.pi)
    for i in range(len(share)):
        weight = share[i]
        if weight == 0.0:
            continue
        counted += weight
        now = -constant
        for j in range(dimensions):
            now -= 0.5 * ((action[i, j] - output[i, j]) * precision[j]) ** 2
        loss, slope, moved, beyond = _clipped(now - log_prob[i], advantage[i], clip)
        surrogate += weight * loss
        divergence += weight * moved
        clipped += weight * beyond
        for j in range(dimensions):
            z = (action[i, j] - output[i, j]) * precision[j]
            gradient[i, j] += weight * slope * z * precision[j]
            by_log_std[j] += weight * slope * (z * z - 1.0)
            if reference is not None and reference_log_std is not None:
                scale = math.exp(-reference_log_std[j])
                away = (output[i, j] - reference[i, j]) * scale
                variance = (scale / precision[j]) ** 2
                kl += weight * (reference_log_std[j] - log_std[j] + 0.5 * (variance + away * away - 1.0))
                gradient[i, j] += weight * kl_coef * away * scale
                by_log_std[j] += weight * kl_coef * (variance - 1.0)
    if label is not None and taught is not None:
        for i in range(rows):
            if taught[i] > 0.0:
                near = True
                for j in range(dimensions):
                    away = output[i, j] - label[i, j]
                    miss += taught[i] * away * away / dimensions
                    gradient[i, j] += taught[i] * miss_coef * 2.0 * away / dimensions
                    near = near and abs(min(max(output[i, j], -1.0), 1.0) - label[i, j]) <= close
                right += taught[i] * near
    by_log_std -= counted * entropy_coef
    return gradient, by_log_std, (surrogate, counted * (constant + 0.5 * dimensions), divergence, clipped, kl, miss, right)


@_compiled
def _clipped(log_ratio: float, advantage: float, clip: float) -> tuple[float, float, float, bool]:
    """−min(r A, clip(r) A), its slope by log r, k3, and whether r is beyond 1 ± clip."""
    ratio, gain = (
        math.exp(np.float64(log_ratio)),
        np.float64(advantage),
    )  # of one precision: within 1 ± clip both products are equal
    free, bounded = ratio * gain, min(max(ratio, 1.0 - clip), 1.0 + clip) * gain
    slope = -free if free <= bounded else 0.0
    return -min(free, bounded), slope, ratio - 1.0 - log_ratio, abs(ratio - 1.0) > clip
