"""Training on rows, minibatch by minibatch, for PPO and for cloning: with autograd on any device, or in compiled code on the CPU."""

import math
from copy import deepcopy
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from headstart.config.schedule import Ramp
from headstart.core.arrays import Array
from headstart.learn.compiled import minibatches as compiled
from headstart.learn.compiled.minibatches import LOG, Plan
from headstart.learn.demonstrations import Demonstrations
from headstart.learn.loss import Minibatch, minibatch_loss, normalised, standardised
from headstart.learn.networks import ActorCritic
from headstart.learn.optimizer import Adam
from headstart.learn.policies import Gaussian, Policy


@dataclass(frozen=True)
class Batch:
    """N rows, flat, ready to be shuffled."""

    obs: dict[str, Tensor]  # [N, …], normalised
    action: Tensor  # [N] i64, or [N, D]
    log_prob: Tensor  # [N]
    advantage: Tensor  # [N]
    returns: Tensor  # [N], advantage + value: the target of the critic
    value: Tensor  # [N], before the update
    has_choice: Tensor  # [N] f32, 1 where the policy chose among several actions; PPO uses only these
    label: Tensor  # as `action`: the expert's choice, used where `imitated` is 1
    imitated: Tensor  # [N] f32, 1 where the label is imitated
    reference: Policy | None = None  # π_ref of the same rows


class Order(NamedTuple):
    """The rows of E epochs, in the order of training."""

    rows: Tensor  # [E, N] i64, of the batch
    recorded: Tensor | None  # [E, N] i64, rows of the demonstrations that accompany them


def learn(
    network: ActorCritic,
    optimizer: Adam,
    batch: Batch,
    recorded: Demonstrations | None,
    plan: Plan,
    epochs: int,
    learning_rate: Ramp,
    generator: torch.Generator,
) -> dict[str, Array]:
    """Train on every row in every epoch; returns the columns of LOG, [minibatches] f64 each.

    `learning_rate` changes over all minibatches. With every row, a newly drawn row of `recorded` is imitated.
    """
    index = torch.stack([torch.randperm(len(batch.action), generator=generator) for _ in range(epochs)])
    drawn = None if recorded is None else torch.randint(len(recorded.label), index.shape, generator=generator)
    count = epochs * math.ceil(len(batch.action) / plan.size)
    rates = np.array([learning_rate.at(number / count) for number in range(count)])
    optimizer.learning_rate = float(rates[-1])
    learn_all = _compiled if optimizer.device is None else _by_autograd
    log = learn_all(network, optimizer, batch, recorded, Order(index, drawn), rates, plan)
    return dict(zip(LOG, log.T, strict=True))


# --- autograd, on any device --------------------------------------------------------------------------------------------


def _by_autograd(
    network: ActorCritic, optimizer: Adam, batch: Batch, recorded: Demonstrations | None, order: Order, rates: Array, plan: Plan
) -> Array:
    """Train a copy of the network on the optimiser's device, then copy its weights and moments back."""
    device = optimizer.device
    learner = deepcopy(network).to(device)
    adam = optimizer.to_torch(learner)
    critic = list(learner.critic.parameters())
    policy = [parameter for name, parameter in learner.named_parameters() if not name.startswith("critic.")]
    batch, recorded = _moved(batch, device), _moved(recorded, device)
    picks = [pick.to(device) for epoch in order.rows for pick in epoch.split(plan.size)]
    drawn = [] if order.recorded is None else [pick.to(device) for epoch in order.recorded for pick in epoch.split(plan.size)]
    log, actor_learns = np.zeros((len(rates), len(LOG))), plan.actor_learns
    for number, pick in enumerate(picks):
        demonstrated = recorded.rows(drawn[number]) if recorded is not None and actor_learns else None
        obs, rows, labels = _minibatch(batch, pick, demonstrated, plan.normalises_advantage)
        found, value = learner(obs, len(pick), actor_learns)
        total, terms = minibatch_loss(found, value, rows, plan.coef)
        adam.zero_grad()
        total.backward()
        terms["grad_norm_value"] = clip_grad_norm_(critic, plan.max_grad_norm_value)
        terms["grad_norm"] = clip_grad_norm_(policy, plan.max_grad_norm)
        terms["labels"] = labels * actor_learns
        terms["adv_std"] = batch.advantage[pick].std(correction=0)
        # one transfer from the device for all metrics; the norm of no gradients is on the CPU
        said = dict(zip(terms, torch.stack([term.to(device) for term in terms.values()]).tolist(), strict=True))
        finite = all(map(math.isfinite, said.values()))
        said |= {"finite": finite, "actor_learns": actor_learns, "rows": len(pick)}
        log[number] = [said.get(name, 0.0) for name in LOG]
        if finite:
            adam.param_groups[0]["lr"] = float(rates[number])
            adam.step()
        if actor_learns and said["kl_divergence"] > plan.target_kl:
            actor_learns = False  # the critic continues
    optimizer.from_torch(adam, learner)
    network.load_state_dict(learner.state_dict())
    return log


def _minibatch(
    batch: Batch, pick: Tensor, demonstrated: Demonstrations | None, normalises_advantage: bool
) -> tuple[dict[str, Tensor], Minibatch, Tensor]:
    """Observations and rows of a minibatch, demonstrations last; and how many rows are imitated."""
    obs = {name: values[pick] for name, values in batch.obs.items()}
    label, imitated = batch.label[pick], batch.imitated[pick]
    if demonstrated is not None:
        obs = {name: torch.cat([values, demonstrated.obs[name]]) for name, values in obs.items()}
        label = torch.cat([label, demonstrated.label])
        imitated = torch.cat([imitated, demonstrated.has_choice])
    ppo_weight, advantage = normalised(batch.has_choice[pick]), batch.advantage[pick]
    rows = Minibatch(
        action=batch.action[pick],
        log_prob=batch.log_prob[pick],
        advantage=standardised(advantage, ppo_weight) if normalises_advantage else advantage,
        returns=batch.returns[pick],
        old_value=batch.value[pick],
        ppo_weight=ppo_weight,
        reference=None if batch.reference is None else batch.reference.rows(pick),
        label=label,
        imitation_weight=normalised(imitated),
    )
    return obs, rows, imitated.sum()


def _moved(value: Any, device: torch.device | None) -> Any:
    """A copy of the batch with all tensors on the device."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {name: _moved(part, device) for name, part in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: _moved(getattr(value, field.name), device) for field in fields(value)})
    return value


# --- compiled, on the CPU -----------------------------------------------------------------------------------------------


def _compiled(
    network: ActorCritic, optimizer: Adam, batch: Batch, recorded: Demonstrations | None, order: Order, rates: Array, plan: Plan
) -> Array:
    """Train in compiled code. Weights and moments are changed in place; an absent input becomes an array without rows."""
    plan = plan._replace(activation=network.actor.activation, eps=optimizer.eps, weight_decay=optimizer.weight_decay)
    reference = batch.reference
    shared = {field.name: getattr(batch, field.name).numpy() for field in fields(batch) if field.name not in ("obs", "reference")}
    rows = compiled.Rows(
        features=batch.obs["features"].contiguous().numpy(),
        mask=_mask(batch.obs),
        reference=np.zeros((0, 0), np.float32) if reference is None else np.ascontiguousarray(reference.output.numpy()),
        reference_log_std=reference.log_std.numpy() if isinstance(reference, Gaussian) else np.zeros(0, np.float32),
        **shared,
    )
    others = compiled.Recorded(rows.features[:0], rows.mask[:0], rows.action[:0], rows.has_choice[:0])
    if recorded is not None:
        features = recorded.obs["features"].contiguous().numpy()
        others = compiled.Recorded(features, _mask(recorded.obs), recorded.label.numpy(), recorded.has_choice.numpy())
    drawn = np.zeros((0, 0), np.int64) if order.recorded is None else order.recorded.numpy()
    log = np.zeros((len(rates), len(LOG)))
    compiled.learn(optimizer.parts, rows, others, order.rows.numpy(), drawn, rates, plan, log)
    return log


def _mask(obs: dict[str, Tensor]) -> Array:
    """[N, K] u8; of a continuous policy [N, 0]."""
    if "mask" in obs:
        return np.ascontiguousarray(obs["mask"].numpy())
    return np.zeros((len(obs["features"]), 0), np.uint8)
