"""The loop over minibatches, compiled whole: gather rows, pass them forward, loss, pass backward, clip, Adam. PPO and cloning share it.

What torch would spend on dispatching some forty calls a minibatch is as much as the matrix products of networks this small.
"""

import math
from typing import NamedTuple

import numpy as np
from numba.extending import overload

from headstart.core.arrays import Array
from headstart.learn.compiled.jit import entry, part
from headstart.learn.compiled.layers import LOG_STD_RANGE, TANH, pass_backward, pass_forward
from headstart.learn.compiled.losses import Acted, Coefficients, Imitated, Terms, categorical, gaussian, standardise, value_loss

# what is logged of each minibatch; Terms, labels and grad_norm are 0 where the actor does not learn
LOG = (*Terms._fields, "labels", "loss_value", "grad_norm_value", "grad_norm", "adv_std", "finite", "actor_learns", "rows")


class Layers(NamedTuple):
    """Parameters that lie end to end, and Adam's moments of them: [P] f32 each."""

    weights: Array
    gradient: Array
    first: Array
    second: Array
    sizes: Array  # [L + 1] i64, the width of every layer, inputs first; empty where these are no layers


class Rows(NamedTuple):
    """N rows to learn from, in the order in which they came."""

    features: Array  # [N, F] f32
    mask: Array  # [N, K] u8, or [N, 0]
    action: Array  # [N] i64, or [N, D] f32
    log_prob: Array  # [N] f32, as all that follows
    advantage: Array  # [N]
    returns: Array  # [N]
    value: Array  # [N], before the update
    has_choice: Array  # [N], 1 where PPO learns from the policy's choice
    label: Array  # as `action`: the expert's choice, where it is imitated
    imitated: Array  # [N], 1 where it is
    reference: Array  # [N, K] log-probabilities or [N, D] means of the reference policy, or [0, …]
    reference_log_std: Array  # [D], or [0]


class Recorded(NamedTuple):
    """M recorded rows, of which every minibatch takes as many as it has of its own; or none at all."""

    features: Array  # [M, F]
    mask: Array  # [M, K]
    label: Array  # [M], or [M, D]
    has_choice: Array  # [M], 1 where they count


class Plan(NamedTuple):
    """What does not change between minibatches."""

    size: int  # rows of a minibatch
    coef: Coefficients
    max_grad_norm: float = math.inf  # of the policy's gradient
    max_grad_norm_value: float = math.inf
    normalises_advantage: bool = False  # minibatch by minibatch
    target_kl: float = math.inf  # the policy sits out the rest of an update beyond this
    actor_learns: bool = True
    # from the network and its optimiser
    activation: int = TANH
    eps: float = 0.0
    weight_decay: float = 0.0


@part
def room_for(source: Array, rows: int) -> Array:
    """An empty array of so many rows of `source`."""
    return np.empty((rows,) + source.shape[1:], source.dtype)  # noqa: RUF005 - numba has no star in a tuple


@part
def take(source: Array, index: Array, to: Array, at: int) -> None:
    """Rows `index` of `source` to `to`, from row `at` on."""
    for i in range(len(index)):
        to[at + i] = source[index[i]]


@part
def norm_of(gradient: Array) -> float:
    """Sum of squares."""
    total = 0.0
    for i in range(len(gradient)):
        total += np.float64(gradient[i]) * gradient[i]
    return total


@part
def normalised(counts: Array) -> float:
    """[B] in place: what each row counts for in a mean over those that count; nothing where none does. Returns how many count."""
    total = 0.0
    for i in range(len(counts)):
        total += counts[i]
    counts /= max(total, 1.0)
    return total


@part
def adam(layers: Layers, rate: float, step: int, scale: float, eps: float, decay: float) -> None:
    """One step (Kingma, Ba 2015) on `scale` times the gradient, with `decay` times the weights added to it; `step` counts from 1."""
    first_left, second_left = np.float32(1.0 - 0.9**step), np.float32(math.sqrt(1.0 - 0.999**step))
    size, small = np.float32(rate) / first_left, np.float32(eps)
    for i in range(len(layers.weights)):
        slope = np.float32(scale) * layers.gradient[i] + np.float32(decay) * layers.weights[i]
        layers.first[i] = np.float32(0.9) * layers.first[i] + np.float32(0.1) * slope
        layers.second[i] = np.float32(0.999) * layers.second[i] + np.float32(0.001) * slope * slope
        layers.weights[i] -= size * layers.first[i] / (np.sqrt(layers.second[i]) / second_left + small)


def policy_terms(
    output: Array, mask: Array, deviation: Layers, acted: Acted, imitated: Imitated, coef: Coefficients
) -> tuple[Array, Terms]:
    """Gradient by the network's output, [B + E, K] or [B + E, D], and the terms; of a Gaussian policy also the gradient by its log-deviation.

    Which policy it is numba sees by the type of the actions, when it compiles.
    """
    raise NotImplementedError


@overload(policy_terms)
def _policy_terms(output, mask, deviation, acted, imitated, coef):  # type: ignore[no-untyped-def]
    def of_categorical(output, mask, deviation, acted, imitated, coef):  # type: ignore[no-untyped-def]
        return categorical(output, mask, acted, imitated, coef)

    def of_gaussian(output, mask, deviation, acted, imitated, coef):  # type: ignore[no-untyped-def]
        bounded = np.minimum(np.maximum(deviation.weights, np.float32(LOG_STD_RANGE[0])), np.float32(LOG_STD_RANGE[1]))
        gradient, by_log_std, terms = gaussian(output, bounded, acted, imitated, coef)
        for j in range(len(by_log_std)):  # nothing is learned beyond the bounds
            deviation.gradient[j] = by_log_std[j] if deviation.weights[j] == bounded[j] else np.float32(0.0)
        return gradient, terms

    return of_categorical if acted.types[0].ndim == 1 else of_gaussian


@entry
def learn(
    actor: Layers,
    critic: Layers,
    deviation: Layers,
    steps: Array,
    rows: Rows,
    recorded: Recorded,
    index: Array,
    recorded_index: Array,
    rates: Array,
    plan: Plan,
    log: Array,
) -> None:
    """A policy and its critic learn from every epoch of `index` [E, N]; `rates` [minibatches] are the learning rates.

    Changed in place: weights and moments, `steps` [2] i64 of critic and policy, and `log` [minibatches, len(LOG)] f64. `deviation` is the
    log-deviation of a Gaussian policy. Of `recorded`, `recorded_index` [E, N] names the rows that go with those of `index`.
    """
    size, coef, widest = plan.size, plan.coef, max(actor.sizes.max(), critic.sizes.max())
    beside = size if len(recorded.features) > 0 else 0
    most = size + beside
    x, mask, action = room_for(rows.features, most), room_for(rows.mask, most), room_for(rows.action, size)
    label, imitation_weight = room_for(rows.label, most), np.empty(most, np.float32)
    log_prob, advantage, ppo_weight = np.empty(size, np.float32), np.empty(size, np.float32), np.empty(size, np.float32)
    returns, value, by_value = np.empty(size, np.float32), np.empty(size, np.float32), np.empty((size, 1), np.float32)
    reference = room_for(rows.reference, size if len(rows.reference) > 0 else 0)
    rooms = np.empty((4, max(len(actor.sizes), len(critic.sizes)), most * widest), np.float32)
    actor_learns, number = plan.actor_learns, 0
    for epoch in range(len(index)):
        for begin in range(0, index.shape[1], size):
            pick = index[epoch, begin : begin + size]
            b = len(pick)
            extra = b if beside > 0 and actor_learns else 0
            take(rows.features, pick, x, 0)
            take(rows.returns, pick, returns, 0)
            take(rows.value, pick, value, 0)
            take(rows.advantage, pick, advantage, 0)
            adv_std = advantage[:b].std()
            found = pass_forward(critic.weights, critic.sizes, plan.activation, x[:b], rooms[0])
            loss_value = value_loss(found, returns[:b], value[:b], coef.value_clip, by_value)
            by_value *= np.float32(coef.value_coef)
            pass_backward(critic.weights, critic.gradient, critic.sizes, plan.activation, x[:b], rooms[0], rooms[1], by_value[:b])
            norm_value, norm, labels = math.sqrt(norm_of(critic.gradient)), 0.0, 0.0
            finite = math.isfinite(loss_value) and math.isfinite(norm_value) and math.isfinite(adv_std)
            terms = Terms(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
            if actor_learns:
                take(rows.mask, pick, mask, 0)
                take(rows.action, pick, action, 0)
                take(rows.log_prob, pick, log_prob, 0)
                take(rows.has_choice, pick, ppo_weight, 0)
                normalised(ppo_weight[:b])
                if plan.normalises_advantage:
                    standardise(advantage[:b], ppo_weight[:b])
                if len(reference) > 0:
                    take(rows.reference, pick, reference, 0)
                take(rows.label, pick, label, 0)
                take(rows.imitated, pick, imitation_weight, 0)
                if extra > 0:
                    others = recorded_index[epoch, begin : begin + size]
                    take(recorded.features, others, x, b)
                    take(recorded.mask, others, mask, b)
                    take(recorded.label, others, label, b)
                    take(recorded.has_choice, others, imitation_weight, b)
                labels = normalised(imitation_weight[: b + extra])
                known = reference[: b if len(reference) > 0 else 0]
                acted = Acted(action[:b], log_prob[:b], advantage[:b], ppo_weight[:b], known, rows.reference_log_std)
                imitated = Imitated(label[: b + extra], imitation_weight[: b + extra])
                output = pass_forward(actor.weights, actor.sizes, plan.activation, x[: b + extra], rooms[2])
                gradient, terms = policy_terms(output, mask[: b + extra], deviation, acted, imitated, coef)
                pass_backward(
                    actor.weights, actor.gradient, actor.sizes, plan.activation, x[: b + extra], rooms[2], rooms[3], gradient
                )
                norm = math.sqrt(norm_of(actor.gradient) + norm_of(deviation.gradient))
                for term in terms:
                    finite = finite and math.isfinite(term)
                finite = finite and math.isfinite(norm)
            log[number] = (
                terms.loss_policy, terms.entropy, terms.kl_divergence, terms.clip_fraction, terms.loss_kl, terms.loss_bc, terms.accuracy,
                labels, loss_value, norm_value, norm, adv_std, 1.0 if finite else 0.0, 1.0 if actor_learns else 0.0, float(b),
            )  # fmt: skip
            if finite:
                steps[0] += 1
                scale = plan.max_grad_norm_value / norm_value if norm_value > plan.max_grad_norm_value else 1.0
                adam(critic, rates[number], steps[0], scale, plan.eps, plan.weight_decay)
                if actor_learns:
                    steps[1] += 1
                    scale = plan.max_grad_norm / norm if norm > plan.max_grad_norm else 1.0
                    adam(actor, rates[number], steps[1], scale, plan.eps, plan.weight_decay)
                    adam(deviation, rates[number], steps[1], scale, plan.eps, plan.weight_decay)
            if actor_learns and terms.kl_divergence > plan.target_kl:
                actor_learns = False  # the critic goes on
            number += 1
