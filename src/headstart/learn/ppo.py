"""Proximal policy optimisation (Schulman et al. 2017) on one rollout at a time. `bc.py` has the same structure.

update
├── estimate       values, GAE, returns
└── minibatches    every epoch, shuffled: the loss of `learn.loss`, clipped gradients, Adam

Training never uses numbers that are not finite: an update is skipped if its data contain one, a step if its gradient contains one.
"""

import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from headstart.config.schedule import PPOParams, Ramp
from headstart.core.arrays import Array
from headstart.core.errors import UsageError
from headstart.learn.advantage import facts, gae
from headstart.learn.compiled.losses import Coefficients
from headstart.learn.compiled.minibatches import Plan
from headstart.learn.demonstrations import Demonstrations, decision_rows
from headstart.learn.loss import normalised, standardised
from headstart.learn.minibatches import Batch, learn
from headstart.learn.networks import ActorCritic
from headstart.learn.optimizer import Adam
from headstart.learn.replay import Records, estimate_records, joined
from headstart.learn.rollout import Rollout

Metrics = dict[str, float]


@dataclass(frozen=True)
class Weights:
    """The settings that a schedule changes from update to update."""

    learning_rate: float
    entropy_coef: float = 0.0
    kl_weight: float = 0.0
    bc_weight: float = 0.0
    expert_share: float = 0.0
    actor_frozen: bool = False
    replay_share: float = 0.0  # of the rows of a rollout's update: recorded
    temperature: float = 1.0  # β of advantage-weighted regression


def update(
    network: ActorCritic,
    optimizer: Adam,
    rollout: Rollout | None,
    params: PPOParams,
    weights: Weights,
    generator: torch.Generator,
    reference: ActorCritic | None = None,
    recorded: Demonstrations | Records | None = None,
    minibatches: dict[str, Array] | None = None,
) -> Metrics:
    """Several epochs of shuffled minibatches over one rollout; returns metrics averaged over rows.

    With `weights.bc_weight`, every minibatch is followed by as many rows of the demonstrations in `recorded`. Records in `recorded` make up
    `weights.replay_share` of the rows; without a rollout they are all there is, and are passed over once. `minibatches` receives what `learn`
    tells of each, nothing if the update is skipped.
    """
    learned, records = reference if weights.kl_weight > 0 else None, recorded if isinstance(recorded, Records) else None
    batch, shown, metrics = _estimated(network, rollout, records, params, weights, learned, generator)
    if reference is not None:
        metrics["kl_to_reference"] = distance(network, reference, shown, batch.has_choice)
    if metrics["nonfinite"]:
        return metrics | NOT_LEARNED
    demonstrated = None
    if isinstance(recorded, Demonstrations) and weights.bc_weight > 0 and not weights.actor_frozen:
        demonstrated = replace(recorded, obs=network.normalised(recorded.obs))
    replayed, before = metrics.get("recorded_steps", 0) > 0, deepcopy(network) if records else network
    weighted = replayed and records is not None and records.objective == "advantage_weighted"
    bc_weight = (1.0 if rollout is None else weights.replay_share) if weighted else weights.bc_weight
    plan = _plan(params, weights, bc_weight, params.advantage_normalization and not replayed)  # theirs are standardised
    rate = Ramp.model_validate(weights.learning_rate)
    log = learn(network, optimizer, batch, demonstrated, plan, params.num_epochs if rollout is not None else 1, rate, generator)
    log["loss_total"] = _total(log, plan.coef)
    if weighted:  # the regression is the policy's loss
        log["loss_policy"] = log["loss_policy"] + plan.coef.bc_weight * log["loss_bc"]
    if weighted and rollout is None:  # the surrogate has no advantages
        log["adv_std"] = np.full_like(log["adv_std"], metrics["adv_std"])
    if records is not None:
        metrics["kl_step"] = distance(before, network, shown, batch.has_choice)
    absent = ["loss_kl"] * (batch.reference is None) + ["loss_bc"] * (weights.bc_weight == 0)
    if minibatches is not None:
        minibatches |= log
    nonfinite = metrics["nonfinite"] + float((log["finite"] == 0).sum())
    return metrics | _summary(log, absent) | {"nonfinite": nonfinite}


def _plan(params: PPOParams, weights: Weights, bc_weight: float, normalises_advantage: bool) -> Plan:
    return Plan(
        size=params.mini_batch_size,
        coef=Coefficients(
            clip_range=params.clip_param,
            entropy_coef=weights.entropy_coef,
            kl_weight=weights.kl_weight,
            bc_weight=bc_weight,
            value_coef=params.value_loss_coef,
            value_clip=math.inf if params.value_clip is None else params.value_clip,
        ),
        max_grad_norm=params.max_grad_norm,
        max_grad_norm_value=params.max_grad_norm_value,
        normalises_advantage=normalises_advantage,
        target_kl=math.inf if params.target_kl is None else params.target_kl,
        actor_learns=not weights.actor_frozen,
    )


def _estimated(
    network: ActorCritic,
    rollout: Rollout | None,
    records: Records | None,
    params: PPOParams,
    weights: Weights,
    reference: ActorCritic | None,
    generator: torch.Generator,
) -> tuple[Batch, Mapping[str, Tensor], Metrics]:
    """The rows to learn from; the observations, first of these rows, in which policies are compared; and what was estimated."""
    if rollout is None:
        if records is None:
            raise UsageError("an update: expected a rollout or recorded rows, got neither")
        batch, metrics = estimate_records(network, records, params, weights.temperature, reference)
        return batch, records.obs, metrics | {"recorded_steps": len(batch.action)}
    batch, metrics = estimate(network, rollout, params, reference)
    shown = {key: value.flatten(0, 1) for key, value in rollout.obs.items()}
    share = weights.replay_share
    if records is None or (rows := round(len(batch.action) * share / (1 - share))) == 0:
        return batch, shown, metrics
    others, more = estimate_records(network, records.drawn(rows, generator), params, weights.temperature, reference)
    if params.advantage_normalization:
        batch = replace(batch, advantage=standardised(batch.advantage, normalised(batch.has_choice)))
    nonfinite = metrics["nonfinite"] + more["nonfinite"]
    return joined(batch, others, rows), shown, metrics | {"nonfinite": nonfinite, "recorded_steps": rows}


def estimate(network: ActorCritic, rollout: Rollout, params: PPOParams, reference: ActorCritic | None) -> tuple[Batch, Metrics]:
    """Values, advantages and returns of a rollout, flattened to B = T·N rows."""
    obs = {key: value.flatten(0, 1) for key, value in rollout.obs.items()}
    normalised = network.normalised(obs)
    value = network.value(normalised, normalised=True).numpy().reshape(rollout.reward.shape)
    last, final = network.value(rollout.last_obs).numpy(), _final_values(network, rollout)
    ends = rollout.terminated, rollout.truncated
    advantage = gae(rollout.reward, value, last, final, *ends, params.gamma, params.gae_lambda)
    returns = advantage + value
    action, has_choice = rollout.action.flatten(0, 1), decision_rows(obs)
    driven = torch.zeros_like(has_choice) if rollout.driven is None else rollout.driven.flatten().float()
    if rollout.label is None:  # where the expert acted, its choice is the action
        label, imitated = action, has_choice * driven
    else:
        label, imitated = rollout.label.flatten(0, 1), has_choice
    batch = Batch(
        obs=normalised,
        action=action,
        log_prob=rollout.log_prob.flatten(),
        advantage=torch.from_numpy(advantage).flatten(),
        returns=torch.from_numpy(returns).flatten(),
        value=torch.from_numpy(value).flatten(),
        has_choice=has_choice * (1.0 - driven),
        label=label,
        imitated=imitated,
        reference=reference.policy(obs) if reference else None,
    )
    return batch, facts(rollout.reward, advantage, value, returns) | {
        # with a frozen actor this is the only measure of the entropy: E[−log π(a)]
        "entropy": -float((rollout.log_prob.flatten() * batch.has_choice).sum() / batch.has_choice.sum().clamp_min(1.0)),
        "expert_steps": float(driven.sum()),
        "nonfinite": float(_nonfinite(rollout) + np.size(returns) - np.isfinite(returns).sum()),
    }


def _final_values(network: ActorCritic, rollout: Rollout) -> np.ndarray:
    """V of the last observation of each truncated episode, at its last step, [T, N]; 0 elsewhere."""
    found = np.zeros(rollout.reward.shape, np.float32)
    if rollout.final:
        ticks = np.concatenate([np.full(len(ended), t) for t, ended, _ in rollout.final])
        ended = np.concatenate([ended for _, ended, _ in rollout.final])
        obs = {key: torch.cat([last[key] for _, _, last in rollout.final]) for key in rollout.final[0][2]}
        found[ticks, ended] = network.value(obs).numpy()
    return found


def _nonfinite(rollout: Rollout) -> int:
    """How many numbers among observations, rewards and log-probabilities are not finite."""
    read = (rollout.obs["features"], torch.from_numpy(rollout.reward), rollout.log_prob)
    suspect = [x for x in read if not torch.isfinite(x.sum())]  # a sum is faster than testing every number
    return sum(int((~torch.isfinite(x)).sum()) for x in suspect)


@torch.no_grad()
def distance(
    network: ActorCritic, reference: ActorCritic, shown: Mapping[str, Tensor], has_choice: Tensor, rows: int = 2048
) -> float:
    """KL(policy ‖ reference) on about `rows` of the states `shown`, nats: as of the policy from the clone on the learner's states."""
    count = len(shown["features"])
    index = torch.arange(0, count, max(1, count // rows))
    obs = {key: value.index_select(0, index) for key, value in shown.items()}
    kl = network.policy(obs).kl(reference.policy(obs))  # type: ignore[arg-type]  # both are of one kind
    return float(normalised(has_choice[index]) @ kl)


def _total(log: dict[str, Array], coef: Coefficients) -> Array:
    """[minibatches] the total loss; the terms of a policy that does not learn are 0."""
    policy = log["loss_policy"] - coef.entropy_coef * log["entropy"]
    policy = policy + coef.kl_weight * log["loss_kl"] + coef.bc_weight * log["loss_bc"]
    return np.asarray(coef.value_coef * log["loss_value"] + policy)


def _summary(log: dict[str, Array], absent: Sequence[str]) -> Metrics:
    """Row-weighted means over the minibatches that have a metric, the maxima of some metrics, and counts."""
    acts, rows = log["actor_learns"] > 0, log["rows"]
    out: Metrics = {name: float(np.average(log[name], weights=rows)) for name in ("loss_value", "loss_total", "grad_norm_value")}
    if acts.any():
        of_policy = ("loss_policy", "entropy", "kl_divergence", "clip_fraction", "loss_kl", "loss_bc", "grad_norm")
        out |= {name: float(np.average(log[name][acts], weights=rows[acts])) for name in of_policy if name not in absent}
        out |= {f"{name}_max": float(log[name][acts].max()) for name in ("kl_divergence", "clip_fraction", "grad_norm")}
    return out | {
        "adv_min_std": float(log["adv_std"].min()),
        "adv_zero_std_batches": int((log["adv_std"] == 0.0).sum()),
        "entropy_std": float(log["entropy"][acts].std()) if acts.any() else 0.0,
        "clip_triggered_minibatches": int((log["clip_fraction"][acts] > 0).sum()),
        "updates": len(rows),
        "transitions": int(rows.sum()),
    }


NOT_LEARNED: Metrics = dict.fromkeys(
    ("loss_value", "loss_total", "adv_min_std", "entropy_std", "adv_zero_std_batches", "clip_triggered_minibatches"), 0.0
) | {"updates": 0, "transitions": 0, "grad_norm_value": 0.0}  # of a skipped update
