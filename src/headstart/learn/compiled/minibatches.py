"""The loop over minibatches, compiled: gather rows, forward pass, loss, backward pass, clipping, Adam. PPO and cloning share it.

For networks of this size, torch spends as much time on dispatching about forty calls per minibatch as on the matrix products.
"""

import math
from typing import NamedTuple

import numpy as np
from numba.extending import overload

from headstart.core.arrays import Array
from headstart.learn.compiled.jit import entry, part
from headstart.learn.compiled.layers import LOG_STD_RANGE, TANH, pass_backward, pass_forward
from headstart.learn.compiled.losses import Coefficients, Minibatch, Terms, categorical, gaussian, standardise, value_loss

# the logged numbers of each minibatch; Terms, labels and grad_norm are 0 if the actor does not learn
LOG = (*Terms._fields, "labels", "loss_value", "grad_norm_value", "grad_norm", "adv_std", "finite", "actor_learns", "rows")


class Layers(NamedTuple):
    """Parameters, consecutive in one array, and their moments for Adam: [P] f32 each."""

    weights: Array
    gradient: Array
    first: Array
    second: Array
    sizes: Array  # [L + 1] i64, the width of every layer, inputs first; empty if these are not layers


class Parts(NamedTuple):
    """The parameters that are trained, changed in place."""

    critic: Layers
    actor: Layers
    deviation: Layers  # the log-deviation of a Gaussian policy; without one [0]
    steps: Array  # [2] i64, of Adam, of critic and policy


class Rows(NamedTuple):
    """N rows to learn from, as in `learn.minibatches.Batch`."""

    features: Array  # [N, F] f32
    mask: Array  # [N, K] u8, or [N, 0]
    action: Array  # [N] i64, or [N, D] f32
    log_prob: Array  # [N] f32, as are all below
    advantage: Array  # [N]
    returns: Array  # [N]
    value: Array  # [N], before the update
    has_choice: Array  # [N], 1 where PPO learns from the policy's choice
    label: Array  # as `action`: the expert's choice, used where `imitated` is 1
    imitated: Array  # [N], 1 where the label is imitated
    reference: Array  # [N, K] log-probabilities or [N, D] means of the reference policy, or [0, …]
    reference_log_std: Array  # [D], or [0]


class Recorded(NamedTuple):
    """M rows of demonstrations, of which each minibatch takes as many as it has rows of the rollout; M is 0 without demonstrations."""

    features: Array  # [M, F]
    mask: Array  # [M, K]
    label: Array  # [M], or [M, D]
    has_choice: Array  # [M], 1 where they are imitated


class Plan(NamedTuple):
    """The settings that are the same for all minibatches."""

    size: int  # rows of a minibatch
    coef: Coefficients
    max_grad_norm: float = math.inf  # of the policy's gradient
    max_grad_norm_value: float = math.inf
    normalises_advantage: bool = False  # minibatch by minibatch
    target_kl: float = math.inf  # above this KL, the policy is not trained in the rest of the update
    actor_learns: bool = True
    # from the network and its optimiser
    activation: int = TANH
    eps: float = 0.0
    weight_decay: float = 0.0


@part
def gather(source: Array, pick: Array, recorded: Array, drawn: Array) -> Array:
    """Rows `pick` of `source`, followed by rows `drawn` of `recorded`."""
    rows = np.empty((len(pick) + len(drawn),) + source.shape[1:], source.dtype)  # noqa: RUF005 - numba has no star in a tuple
    for i in range(len(pick)):
        rows[i] = source[pick[i]]
    for i in range(len(drawn)):
        rows[len(pick) + i] = recorded[drawn[i]]
    return rows


@part
def take(source: Array, pick: Array) -> Array:
    """Rows `pick` of `source`."""
    return gather(source, pick, source, pick[:0])


@part
def norm_of(gradient: Array) -> float:
    """Sum of squares."""
    total = 0.0
    for i in range(len(gradient)):
        total += np.float64(gradient[i]) * gradient[i]
    return total


@part
def normalised(counts: Array) -> float:
    """[B] of 0 and 1, divided in place by their sum, which is returned."""
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


def policy_terms(output: Array, mask: Array, deviation: Layers, rows: Minibatch, coef: Coefficients) -> tuple[Array, Terms]:
    """Gradient by the network's output, [B + E, K] or [B + E, D], and the terms; of a Gaussian policy also the gradient by its log-deviation.

    numba chooses the policy by the type of the actions, when it compiles.
    """
    raise NotImplementedError


@overload(policy_terms)
def _policy_terms(output, mask, deviation, rows, coef):  # type: ignore[no-untyped-def]
    def of_categorical(output, mask, deviation, rows, coef):  # type: ignore[no-untyped-def]
        return categorical(output, mask, rows, coef)

    def of_gaussian(output, mask, deviation, rows, coef):  # type: ignore[no-untyped-def]
        bounded = np.minimum(np.maximum(deviation.weights, np.float32(LOG_STD_RANGE[0])), np.float32(LOG_STD_RANGE[1]))
        gradient, by_log_std, terms = gaussian(output, bounded, rows, coef)
        for j in range(len(by_log_std)):  # no gradient beyond the bounds
            deviation.gradient[j] = by_log_std[j] if deviation.weights[j] == bounded[j] else np.float32(0.0)
        return gradient, terms

    return of_categorical if rows.types[0].ndim == 1 else of_gaussian


@part
def learn_critic(critic: Layers, rows: Rows, pick: Array, x: Array, plan: Plan, rooms: Array) -> float:
    """The gradient of the critic's weights by the rows `pick`, whose features are x [B, F]; returns the loss."""
    by_value = np.empty((len(pick), 1), np.float32)
    returns, old_value = take(rows.returns, pick), take(rows.value, pick)
    value = pass_forward(critic.weights, critic.sizes, plan.activation, x, rooms[0])
    loss = value_loss(value, returns, old_value, plan.coef.value_clip, by_value)
    by_value *= np.float32(plan.coef.value_coef)
    pass_backward(critic.weights, critic.gradient, critic.sizes, plan.activation, x, rooms[0], rooms[1], by_value)
    return loss


@part
def learn_actor(
    parts: Parts, rows: Rows, recorded: Recorded, pick: Array, drawn: Array, x: Array, plan: Plan, rooms: Array
) -> tuple[Terms, float]:
    """The gradient of the policy's weights by the rows `pick` and the recorded rows `drawn`, whose features are x [B + E, F].

    Returns the terms and how many rows are imitated.
    """
    actor, ppo_weight, advantage = parts.actor, take(rows.has_choice, pick), take(rows.advantage, pick)
    normalised(ppo_weight)
    if plan.normalises_advantage:
        standardise(advantage, ppo_weight)
    imitation_weight = gather(rows.imitated, pick, recorded.has_choice, drawn)
    labels = normalised(imitation_weight)
    minibatch = Minibatch(
        take(rows.action, pick),
        take(rows.log_prob, pick),
        advantage,
        ppo_weight,
        take(rows.reference, pick if len(rows.reference) > 0 else pick[:0]),
        rows.reference_log_std,
        gather(rows.label, pick, recorded.label, drawn),
        imitation_weight,
    )
    mask = gather(rows.mask, pick, recorded.mask, drawn)
    output = pass_forward(actor.weights, actor.sizes, plan.activation, x, rooms[2])
    by_output, terms = policy_terms(output, mask, parts.deviation, minibatch, plan.coef)
    pass_backward(actor.weights, actor.gradient, actor.sizes, plan.activation, x, rooms[2], rooms[3], by_output)
    return terms, labels


@part
def all_finite(values: tuple[float, ...]) -> bool:
    """Whether all values are finite."""
    for value in values:
        if not math.isfinite(value):
            return False
    return True


@entry
def learn(
    parts: Parts, rows: Rows, recorded: Recorded, index: Array, recorded_index: Array, rates: Array, plan: Plan, log: Array
) -> None:
    """A policy and its critic learn from every epoch of `index` [E, N]; `rates` [minibatches] are the learning rates.

    Of `recorded`, `recorded_index` [E, N] names the rows that go with those of `index`. Fills `log` [minibatches, len(LOG)] f64.
    """
    critic, actor, deviation, steps = parts
    size, widest, has_recorded = plan.size, max(actor.sizes.max(), critic.sizes.max()), len(recorded.features) > 0
    rooms = np.empty((4, max(len(actor.sizes), len(critic.sizes)), (size + size * has_recorded) * widest), np.float32)
    actor_learns, number = plan.actor_learns, 0
    for epoch in range(len(index)):
        for begin in range(0, index.shape[1], size):
            pick = index[epoch, begin : begin + size]
            drawn = recorded_index[epoch, begin : begin + size] if has_recorded and actor_learns else pick[:0]
            x = gather(rows.features, pick, recorded.features, drawn)
            adv_std = take(rows.advantage, pick).std()
            loss_value = learn_critic(critic, rows, pick, x[: len(pick)], plan, rooms)
            norm_value, norm, labels, terms = (
                math.sqrt(norm_of(critic.gradient)),
                0.0,
                0.0,
                Terms(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
            )
            if actor_learns:
                terms, labels = learn_actor(parts, rows, recorded, pick, drawn, x, plan, rooms)
                norm = math.sqrt(norm_of(actor.gradient) + norm_of(deviation.gradient))
            finite = all_finite(terms) and all_finite((loss_value, norm_value, norm, adv_std))
            log[number] = (
                terms.loss_policy, terms.entropy, terms.kl_divergence, terms.clip_fraction, terms.loss_kl, terms.loss_bc, terms.accuracy,
                labels, loss_value, norm_value, norm, adv_std, 1.0 if finite else 0.0, 1.0 if actor_learns else 0.0, float(len(pick)),
            )  # fmt: skip
            if finite:
                steps[0] += 1
                scale = plan.max_grad_norm_value / norm_value if norm_value > plan.max_grad_norm_value else 1.0
                adam(critic, rates[number], steps[0], scale, plan.eps, plan.weight_decay)
            if finite and actor_learns:
                steps[1] += 1
                scale = plan.max_grad_norm / norm if norm > plan.max_grad_norm else 1.0
                adam(actor, rates[number], steps[1], scale, plan.eps, plan.weight_decay)
                adam(deviation, rates[number], steps[1], scale, plan.eps, plan.weight_decay)
            if actor_learns and terms.kl_divergence > plan.target_kl:
                actor_learns = False  # the critic continues
            number += 1
