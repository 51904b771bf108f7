"""Learning from rows, minibatch by minibatch, for PPO and for cloning: compiled, or by torch's autograd where a map is encoded."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.core.arrays import Array
from headstart.learn.compiled import minibatches as compiled
from headstart.learn.compiled.losses import Coefficients
from headstart.learn.compiled.minibatches import LOG, Plan
from headstart.learn.demonstrations import Demonstrations
from headstart.learn.loss import Acted, Imitated, Terms, normalised, policy_terms, standardised, value_loss
from headstart.learn.networks import LOG_STD_RANGE, ActorCritic
from headstart.learn.optimizer import Adam
from headstart.learn.policies import NEAR, Gaussian, Policy

NEVER = math.inf


@dataclass
class Batch:
    """N rows, flat, ready to be shuffled."""

    obs: dict[str, Tensor]  # [N, …], normalised
    action: Tensor  # [N] i64, or [N, D]
    log_prob: Tensor  # [N]
    advantage: Tensor  # [N]
    returns: Tensor  # [N], advantage + value: the target of the critic
    value: Tensor  # [N], before the update
    has_choice: Tensor  # [N] f32, 1 where the learner chose among more than one action: elsewhere there is no policy to learn
    reference: Policy | None = None  # what the reference policy says of the same rows
    label: Tensor | None = None  # as `action`: the expert's choice
    imitated: Tensor | None = None  # [N] f32, 1 where that is imitated

    def __len__(self) -> int:
        return len(self.action)


def plan_of(network: ActorCritic, size: int, coef: Coefficients, **changes: Any) -> Plan:
    """What does not change between minibatches of `size` rows; `changes` are fields of Plan."""
    usual = Plan(
        size=size,
        coef=Coefficients(*map(float, coef)),
        value_coef=1.0,
        value_clip=NEVER,
        max_grad_norm=NEVER,
        max_grad_norm_value=NEVER,
        normalises=False,
        target_kl=NEVER,
        acts=True,
        activation=network.actor.activation,
        eps=0.0,
        weight_decay=0.0,
        near=NEAR,
        log_std_low=LOG_STD_RANGE[0],
        log_std_high=LOG_STD_RANGE[1],
    )
    planned = usual._replace(**changes)
    floats: dict[str, Any] = {name: float(getattr(planned, name)) for name, kind in Plan.__annotations__.items() if kind is float}
    return planned._replace(**floats)  # given a whole number, it would be compiled again


def learn(
    network: ActorCritic,
    optimizer: Adam,
    batch: Batch,
    recorded: Demonstrations | None,
    epochs: int,
    rates: Array,
    plan: Plan,
    generator: torch.Generator,
) -> Array:
    """Learn from every row in every epoch; returns what is logged of each minibatch, [minibatches, len(LOG)] f64.

    `rates`: the learning rate of each minibatch. Every row comes with one of `recorded`, drawn anew, whose choice is imitated as well.
    """
    index = torch.stack([torch.randperm(len(batch), generator=generator) for _ in range(epochs)])
    beside = None if recorded is None else torch.randint(len(recorded.label), index.shape, generator=generator)
    plan = plan._replace(eps=optimizer.eps, weight_decay=optimizer.weight_decay)
    optimizer.learning_rate = float(rates[-1])
    if network.encoder is not None:
        return _by_autograd(network, optimizer, batch, recorded, index, beside, rates, plan)
    log = np.zeros((len(rates), len(LOG)))
    rows, others = _rows(batch), _recorded(batch, recorded)
    drawn = np.zeros((0, 0), np.int64) if beside is None else beside.numpy()
    compiled.learn(
        optimizer.actor, optimizer.critic, optimizer.deviation, optimizer.steps, rows, others, index.numpy(), drawn, rates, plan, log
    )  # fmt: skip
    return log


def minibatches(rows: int, size: int, epochs: int) -> int:
    """How many there are."""
    return epochs * math.ceil(rows / size)


def _rows(batch: Batch) -> compiled.Rows:
    """The batch for compiled code; what is not there has no rows."""
    features, action = batch.obs["features"].contiguous().numpy(), batch.action.numpy()
    return compiled.Rows(
        features=features,
        mask=_mask(batch.obs),
        action=action,
        log_prob=batch.log_prob.numpy(),
        advantage=batch.advantage.numpy(),
        returns=batch.returns.numpy(),
        value=batch.value.numpy(),
        has_choice=batch.has_choice.numpy(),
        reference=_output(batch.reference),
        reference_log_std=batch.reference.log_std.numpy() if isinstance(batch.reference, Gaussian) else np.zeros(0, np.float32),
        label=action[:0] if batch.label is None else batch.label.numpy(),
        imitated=np.zeros(0, np.float32) if batch.imitated is None else batch.imitated.numpy(),
    )


def _recorded(batch: Batch, recorded: Demonstrations | None) -> compiled.Recorded:
    if recorded is None:
        rows = _rows(batch)
        return compiled.Recorded(rows.features[:0], rows.mask[:0], rows.action[:0], rows.has_choice[:0])
    features, label = recorded.obs["features"].contiguous().numpy(), recorded.label.numpy()
    return compiled.Recorded(features, _mask(recorded.obs), label, recorded.has_choice.numpy())


def _mask(obs: dict[str, Tensor]) -> Array:
    if "mask" in obs:
        return np.ascontiguousarray(obs["mask"].numpy())
    return np.zeros((len(obs["features"]), 0), np.uint8)


def _output(policy: Policy | None) -> Array:
    """[N, K] log-probabilities, or [N, D] means."""
    if policy is None:
        return np.zeros((0, 0), np.float32)
    return np.ascontiguousarray((policy.mean if isinstance(policy, Gaussian) else policy.log_policy).numpy())


def _by_autograd(
    network: ActorCritic,
    optimizer: Adam,
    batch: Batch,
    recorded: Demonstrations | None,
    index: Tensor,
    beside: Tensor | None,
    rates: Array,
    plan: Plan,
) -> Array:
    """What compiled code does, by torch."""
    log, acts = np.zeros((len(rates), len(LOG))), plan.acts
    parts = [part for epoch in index for part in epoch.split(plan.size)]
    others = [None] * len(parts) if beside is None else [part for epoch in beside for part in epoch.split(plan.size)]
    for number, (rows, drawn) in enumerate(zip(parts, others, strict=True)):
        taken = None if drawn is None or recorded is None or not acts else recorded.rows(drawn)
        log[number] = _step(network, optimizer, batch, rows, taken, float(rates[number]), plan, acts)
        if acts and log[number, compiled.DIVERGENCE] > plan.target_kl:
            acts = False  # the critic goes on
    return log


def _step(
    network: ActorCritic,
    optimizer: Adam,
    batch: Batch,
    rows: Tensor,
    recorded: Demonstrations | None,
    rate: float,
    plan: Plan,
    acts: bool,
) -> list[float]:
    obs = {name: values[rows] for name, values in batch.obs.items()}
    if recorded is not None:
        obs = {name: torch.cat([values, recorded.obs[name]]) for name, values in obs.items()}
    advantage = batch.advantage[rows]
    spread = float(advantage.std(correction=0))
    network.zero_grad()
    policy, value = network.differentiable(obs, len(rows), acts)
    lost = value_loss(value, batch.returns[rows], batch.value[rows], plan.value_clip)
    total, terms, labels = plan.value_coef * lost, Terms(*[torch.zeros(())] * len(Terms._fields)), 0.0
    if policy is not None:
        weight = normalised(batch.has_choice[rows])
        if plan.normalises:
            advantage = standardised(advantage, weight)
        reference = None if batch.reference is None else batch.reference.rows(rows)
        acted = Acted(batch.action[rows], batch.log_prob[rows], advantage, weight, reference)
        label, counts = imitated_rows(batch, rows, recorded)
        labels = float(counts.sum())
        terms = policy_terms(policy, acted, Imitated(label, normalised(counts)), plan.coef.clip)
        coef = plan.coef
        total = total + terms.surrogate - coef.entropy * terms.entropy + coef.kl * terms.kl + coef.imitation * terms.imitation
    total.backward()
    found = [*(term.item() for term in terms), labels, lost.item()]
    norms = optimizer.gather(network, acts)
    finite = all(map(math.isfinite, (*found, *norms, spread)))
    if finite:
        optimizer.step(network, rate, norms, (plan.max_grad_norm_value, plan.max_grad_norm), acts)
    return [*found, *norms, spread, float(finite), float(acts), float(len(rows))]


def imitated_rows(batch: Batch, rows: Tensor, recorded: Demonstrations | None) -> tuple[Tensor, Tensor]:
    """Labels of the rows of a minibatch and then of recorded ones, and 1 where they are imitated."""
    if batch.label is None or batch.imitated is None:
        label, counts = batch.action[rows], torch.zeros(len(rows))
    else:
        label, counts = batch.label[rows], batch.imitated[rows]
    if recorded is None:
        return label, counts
    return torch.cat([label, recorded.label]), torch.cat([counts, recorded.has_choice])
