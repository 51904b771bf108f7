"""Learning from rows, minibatch by minibatch, for PPO and for cloning: by autograd on any device, or in compiled code on the CPU."""

import math
from copy import deepcopy
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

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
    has_choice: Tensor  # [N] f32, 1 where the learner chose among more than one action: elsewhere there is no policy to learn
    label: Tensor  # as `action`: the expert's choice, where it is imitated
    imitated: Tensor  # [N] f32, 1 where it is
    reference: Policy | None = None  # π_ref of the same rows


def learn(
    network: ActorCritic,
    optimizer: Adam,
    batch: Batch,
    recorded: Demonstrations | None,
    epochs: int,
    rates: Array,
    plan: Plan,
    generator: torch.Generator,
) -> dict[str, Array]:
    """Learn from every row in every epoch; returns the columns of LOG, [minibatches] f64 each.

    `rates`: the learning rate of each minibatch. Every row comes with one of `recorded`, drawn anew, whose choice is imitated as well.
    """
    index = torch.stack([torch.randperm(len(batch.action), generator=generator) for _ in range(epochs)])
    beside = None if recorded is None else torch.randint(len(recorded.label), index.shape, generator=generator)
    optimizer.learning_rate = float(rates[-1])
    log = np.zeros((len(rates), len(LOG)))
    if optimizer.device is None:
        _compiled(network, optimizer, batch, recorded, index, beside, rates, plan, log)
    else:
        _by_autograd(network, optimizer, batch, recorded, index, beside, rates, plan, log)
    return dict(zip(LOG, log.T, strict=True))


def minibatches(rows: int, size: int, epochs: int) -> int:
    """How many there are."""
    return epochs * math.ceil(rows / size)


# --- autograd, on any device --------------------------------------------------------------------------------------------


def _by_autograd(
    network: ActorCritic,
    optimizer: Adam,
    batch: Batch,
    recorded: Demonstrations | None,
    index: Tensor,
    beside: Tensor | None,
    rates: Array,
    plan: Plan,
    log: Array,
) -> None:
    """A copy of the network learns on the optimiser's device, and hands its weights and moments back."""
    device = optimizer.device
    learner = deepcopy(network).to(device)
    adam = optimizer.to_torch(learner)
    critic = list(learner.critic.parameters())
    policy = [parameter for name, parameter in learner.named_parameters() if not name.startswith("critic.")]
    batch, recorded, index, beside = (_moved(part, device) for part in (batch, recorded, index, beside))
    picks = [pick for epoch in index for pick in epoch.split(plan.size)]
    others = [None] * len(picks) if beside is None else [pick for epoch in beside for pick in epoch.split(plan.size)]
    actor_learns = plan.actor_learns
    for number, (pick, other) in enumerate(zip(picks, others, strict=True)):
        demonstrated = recorded.rows(other) if recorded is not None and other is not None and actor_learns else None
        obs, rows, labels = _minibatch(batch, pick, demonstrated, plan.normalises_advantage)
        found, value = learner(obs, len(pick), actor_learns)
        total, terms = minibatch_loss(found, value, rows, plan.coef)
        adam.zero_grad()
        total.backward()
        terms["grad_norm_value"] = clip_grad_norm_(critic, plan.max_grad_norm_value)
        terms["grad_norm"] = clip_grad_norm_(policy, plan.max_grad_norm)
        terms["labels"] = labels * actor_learns
        terms["adv_std"] = batch.advantage[pick].std(correction=0)
        said = dict(zip(terms, torch.stack(list(terms.values())).tolist(), strict=True))
        finite = all(map(math.isfinite, said.values()))
        said |= {"finite": finite, "actor_learns": actor_learns, "rows": len(pick)}
        log[number] = [said.get(name, 0.0) for name in LOG]
        if finite:
            adam.param_groups[0]["lr"] = float(rates[number])
            adam.step()
        if actor_learns and said["kl_divergence"] > plan.target_kl:
            actor_learns = False  # the critic goes on
    optimizer.from_torch(adam, learner)
    network.load_state_dict(learner.state_dict())


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
    """The same with all its tensors on the device."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {name: _moved(part, device) for name, part in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: _moved(getattr(value, field.name), device) for field in fields(value)})
    return value


# --- compiled, on the CPU -----------------------------------------------------------------------------------------------


def _compiled(
    network: ActorCritic,
    optimizer: Adam,
    batch: Batch,
    recorded: Demonstrations | None,
    index: Tensor,
    beside: Tensor | None,
    rates: Array,
    plan: Plan,
    log: Array,
) -> None:
    """Weights and moments are changed where they are; what is not there is an array without rows."""
    plan = plan._replace(activation=network.actor.activation, eps=optimizer.eps, weight_decay=optimizer.weight_decay)
    reference = batch.reference
    rows = compiled.Rows(
        features=batch.obs["features"].contiguous().numpy(),
        mask=_mask(batch.obs),
        action=batch.action.numpy(),
        log_prob=batch.log_prob.numpy(),
        advantage=batch.advantage.numpy(),
        returns=batch.returns.numpy(),
        value=batch.value.numpy(),
        has_choice=batch.has_choice.numpy(),
        label=batch.label.numpy(),
        imitated=batch.imitated.numpy(),
        reference=np.zeros((0, 0), np.float32) if reference is None else np.ascontiguousarray(reference.output.numpy()),
        reference_log_std=reference.log_std.numpy() if isinstance(reference, Gaussian) else np.zeros(0, np.float32),
    )
    others = compiled.Recorded(rows.features[:0], rows.mask[:0], rows.action[:0], rows.has_choice[:0])
    if recorded is not None:
        features = recorded.obs["features"].contiguous().numpy()
        others = compiled.Recorded(features, _mask(recorded.obs), recorded.label.numpy(), recorded.has_choice.numpy())
    drawn = np.zeros((0, 0), np.int64) if beside is None else beside.numpy()
    compiled.learn(optimizer.parts, rows, others, index.numpy(), drawn, rates, plan, log)


def _mask(obs: dict[str, Tensor]) -> Array:
    """[N, K] u8; of a continuous policy [N, 0]."""
    if "mask" in obs:
        return np.ascontiguousarray(obs["mask"].numpy())
    return np.zeros((len(obs["features"]), 0), np.uint8)
