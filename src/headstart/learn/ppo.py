"""Proximal policy optimisation (Schulman et al. 2017) on one rollout at a time. `bc.py` is its twin.

update
├── estimate       values, GAE, returns
└── each epoch, each minibatch
    ├── policy_loss    clipped surrogate (eq. 7) − entropy bonus + KL to a reference policy
    │                  + what the policy misses of the teacher's and the recorded actions (DAPG: Rajeswaran et al. 2018)
    └── value_loss     squared error to the returns, clipped where asked for

A number that is not finite is never learned from: an update whose data hold one does not begin, a step whose gradient holds one is not made.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from headstart.learn.advantage import explained_variance, gae
from headstart.learn.demonstrations import Demonstrations, decision_rows
from headstart.learn.losses import Acted, Coefficients, Gradient, Taught, policy_terms, shares, squared_error, standardised
from headstart.learn.networks import ConflictAwarePolicyNetwork, Trace
from headstart.learn.optimizer import Adam
from headstart.learn.policies import Policy
from headstart.learn.rollout import Rollout
from headstart.schedule import PPOParams

Metrics = dict[str, float]


@dataclass(frozen=True)
class Weights:
    """What a schedule sets anew for every update."""

    learning_rate: float
    entropy_coef: float = 0.0
    kl_weight: float = 0.0
    bc_weight: float = 0.0
    teacher_share: float = 0.0
    actor_frozen: bool = False


@dataclass
class Batch:
    """B rows, flat, ready to be shuffled."""

    seen: dict[str, Tensor]  # [B, …], normalised
    action: Tensor  # [B] i64, or [B, D]
    log_prob: Tensor  # [B]
    advantage: Tensor  # [B]
    returns: Tensor  # [B], advantage + value: the target of the critic
    value: Tensor  # [B], before the update
    decides: Tensor  # [B] f32, 1 where the learner chose among more than one action: elsewhere there is no policy to learn
    reference: Policy | None  # what the reference policy says of the same rows
    taught: Tensor | None = None  # [B] f32, 1 where the teacher's choice is imitated
    label: Tensor | None = None  # as `action`, that choice

    def rows(self, index: Tensor) -> "Batch":
        """The rows of a minibatch."""

        def of(values: Tensor) -> Tensor:
            return values.index_select(0, index)  # values[index] takes twice the time

        return Batch(
            {key: of(value) for key, value in self.seen.items()},
            of(self.action),
            of(self.log_prob),
            of(self.advantage),
            of(self.returns),
            of(self.value),
            of(self.decides),
            None if self.reference is None else self.reference.rows(index),
            None if self.taught is None else of(self.taught),
            None if self.label is None else of(self.label),
        )


def update(
    network: ConflictAwarePolicyNetwork,
    optimizer: Adam,
    rollout: Rollout,
    params: PPOParams,
    weights: Weights,
    generator: torch.Generator,
    reference: ConflictAwarePolicyNetwork | None = None,
    demonstrations: Demonstrations | None = None,
) -> Metrics:
    """Several epochs of shuffled minibatches over one rollout; returns metrics averaged over rows.

    With `weights.bc_weight`, every minibatch comes with as many rows of `demonstrations`.
    """
    batch, metrics = estimate(network, rollout, params, reference if weights.kl_weight > 0 else None)
    if reference is not None:
        metrics["kl_to_reference"] = distance(network, reference, rollout, batch.decides)
    if metrics["nonfinite"]:
        return metrics | NOT_LEARNED
    for group in optimizer.param_groups:
        group["lr"] = weights.learning_rate
    if demonstrations is not None and weights.bc_weight > 0:
        demonstrations = replace(demonstrations, seen=network.normalised(demonstrations.seen))
    log: list[tuple[int, Metrics]] = []
    actor_stopped = weights.actor_frozen
    for _ in range(params.num_epochs):
        for index in torch.randperm(len(batch.action), generator=generator).split(params.mini_batch_size):
            taught = None
            if demonstrations is not None and weights.bc_weight > 0:
                taught = demonstrations.rows(torch.randint(len(demonstrations.label), (len(index),), generator=generator))
            part = _step(network, optimizer, batch.rows(index), params, weights, actor_stopped, taught)
            log.append((len(index), part))
            if params.target_kl is not None and part.get("kl_divergence", 0.0) > params.target_kl:
                actor_stopped = True  # the critic goes on
    return metrics | _summary(log) | {"nonfinite": metrics["nonfinite"] + sum(part["nonfinite"] for _, part in log)}


def estimate(
    network: ConflictAwarePolicyNetwork,
    rollout: Rollout,
    params: PPOParams,
    reference: ConflictAwarePolicyNetwork | None,
) -> tuple[Batch, Metrics]:
    """Values, advantages and returns of a rollout, flattened to B = T·N rows."""
    ticks, rows = rollout.reward.shape
    seen = {key: value.flatten(0, 1) for key, value in rollout.seen.items()}
    normalised = network.normalised(seen)
    with torch.no_grad():
        value = _values(network, normalised).reshape(ticks, rows)
        last_value = network.value(rollout.last_seen).numpy()
        final_value = _final_values(network, rollout)
        reference_policy = reference.policy(seen) if reference else None
    advantage = gae(
        rollout.reward,
        value.numpy(),
        last_value,
        final_value,
        rollout.terminated,
        rollout.truncated,
        params.gamma,
        params.gae_lambda,
    )
    returns = advantage + value.numpy()
    action, decides = rollout.action.flatten(0, 1), decision_rows(seen)
    taught, label = (None, None) if rollout.label is None else (decides, rollout.label.flatten(0, 1))
    if rollout.driven is not None:
        driven = rollout.driven.flatten().float()
        if rollout.label is None:
            taught, label = decides * driven, action
        decides = decides * (1.0 - driven)
    batch = Batch(
        normalised,
        action,
        rollout.log_prob.flatten(),
        torch.from_numpy(advantage).flatten(),
        torch.from_numpy(returns).flatten(),
        value.flatten(),
        decides,
        reference_policy,
        taught,
        label,
    )
    return batch, {
        # with the actor at rest nothing else measures it: E[−log π(a)] is the entropy
        "entropy": -float((rollout.log_prob.flatten() * batch.decides).sum() / batch.decides.sum().clamp_min(1.0)),
        "adv_mean": float(advantage.mean()),
        "adv_std": float(advantage.std()),
        "explained_variance": explained_variance(value.numpy(), returns),
        "reward_advantage_corr": _correlation(rollout.reward, advantage),
        "teacher_steps": float(rollout.driven.sum()) if rollout.driven is not None else 0.0,
        "nonfinite": float(_nonfinite(rollout) + np.size(returns) - np.isfinite(returns).sum()),
    }


def _values(network: ConflictAwarePolicyNetwork, seen: dict[str, Tensor], chunk: int = 2048) -> Tensor:
    """V(o) of B rows, [B]; in chunks, since fresh memory for all rows at once costs as much as the products."""
    parts = zip(*(values.split(chunk) for values in seen.values()), strict=True)
    return torch.cat([network.trace(dict(zip(seen, part, strict=True)), chunk, acts=False).value for part in parts])


def _final_values(network: ConflictAwarePolicyNetwork, rollout: Rollout) -> np.ndarray:
    """V of the observation in which a truncated episode ended, where one did, [T, N]; 0 elsewhere."""
    found = np.zeros(rollout.reward.shape, np.float32)
    if rollout.final:
        ticks = np.concatenate([np.full(len(ended), t) for t, ended, _ in rollout.final])
        ended = np.concatenate([ended for _, ended, _ in rollout.final])
        seen = {key: torch.cat([last[key] for _, _, last in rollout.final]) for key in rollout.final[0][2]}
        found[ticks, ended] = network.value(seen).numpy()
    return found


def _nonfinite(rollout: Rollout) -> int:
    """Numbers among observations, rewards and log-probabilities that are not finite."""
    read = (rollout.seen["features"], torch.from_numpy(rollout.reward), rollout.log_prob)
    suspect = [x for x in read if not torch.isfinite(x.sum())]  # a sum is quicker than a look at every number
    return sum(int((~torch.isfinite(x)).sum()) for x in suspect)


@torch.no_grad()
def distance(
    network: ConflictAwarePolicyNetwork,
    reference: ConflictAwarePolicyNetwork,
    rollout: Rollout,
    decides: Tensor,
    rows: int = 2048,
) -> float:
    """KL(policy ‖ reference) on about `rows` of the learner's states, nats: how far it has gone from what it was taught."""
    index = torch.arange(0, len(decides), max(1, len(decides) // rows))
    seen = {key: value.flatten(0, 1).index_select(0, index) for key, value in rollout.seen.items()}
    kl = network.policy(seen).kl(reference.policy(seen))  # type: ignore[arg-type]  # both are of one kind
    return float(shares(decides[index]) @ kl)


def policy_loss(
    trace: Trace, seen: Mapping[str, Tensor], batch: Batch, taught: Taught | None, params: PPOParams, weights: Weights
) -> tuple[Gradient, Metrics]:
    """L^CLIP (eq. 7) over decision rows, minus the entropy bonus, plus the weighted KL to the reference policy and what is missed of the labels.

    Returns the gradient of the loss, and its parts.
    """
    share = shares(batch.decides)
    advantage = batch.advantage
    if params.advantage_normalization:
        advantage = torch.from_numpy(standardised(advantage.numpy(), share.numpy()))
    acted = Acted(batch.action, batch.log_prob, advantage, share, batch.reference)
    coef = Coefficients(params.clip_param, weights.entropy_coef, weights.kl_weight, weights.bc_weight)
    gradient, terms = policy_terms(trace.output, trace.log_std, seen.get("mask"), acted, taught, coef)
    parts = {
        "loss_policy": terms.surrogate,
        "entropy": terms.entropy,
        "kl_divergence": terms.divergence,
        "clip_fraction": terms.clipped,
    }
    if batch.reference is not None:
        parts["loss_kl"] = terms.kl
    if taught is not None:
        parts["loss_bc"] = terms.miss
    return gradient, parts


def value_loss(value: Tensor, batch: Batch, params: PPOParams) -> tuple[Tensor, float]:
    """Gradient [B] and mean of the squared error to the returns; with value_clip of the worse of the clipped and the unclipped one."""
    clip = math.inf if params.value_clip is None else params.value_clip
    gradient, loss = squared_error(value.numpy(), batch.returns.numpy(), batch.value.numpy(), clip)
    return torch.from_numpy(gradient), loss


def _step(
    network: ConflictAwarePolicyNetwork,
    optimizer: Adam,
    batch: Batch,
    params: PPOParams,
    weights: Weights,
    actor_stopped: bool,
    demonstrations: Demonstrations | None = None,
) -> Metrics:
    """One optimiser step. Actor and critic are clipped apart, so that a large value error cannot throttle the policy."""
    seen, taught = (batch.seen, None) if actor_stopped or weights.bc_weight == 0 else lessons(batch, demonstrations)
    trace = network.trace(seen, len(batch.action), acts=not actor_stopped)
    by_value, loss_value = value_loss(trace.value, batch, params)
    parts = {"loss_value": loss_value, "adv_std_minibatch": float(batch.advantage.numpy().std())}
    parts["loss_total"] = params.value_loss_coef * loss_value
    gradient = None
    if not actor_stopped:
        gradient, policy_parts = policy_loss(trace, seen, batch, taught, params, weights)
        parts |= policy_parts
        parts["loss_total"] += parts["loss_policy"] - weights.entropy_coef * parts["entropy"]
        parts["loss_total"] += weights.kl_weight * parts.get("loss_kl", 0.0) + weights.bc_weight * parts.get("loss_bc", 0.0)
    network.backward(trace, params.value_loss_coef * by_value, gradient)
    parts["grad_norm_value"] = optimizer.critic.gather(params.max_grad_norm_value)
    if actor_stopped:
        optimizer.policy.rest()
    else:
        parts["grad_norm"] = optimizer.policy.gather(params.max_grad_norm)
    finite = all(math.isfinite(part) for part in parts.values())
    if finite:
        optimizer.step()
    return parts | {"nonfinite": float(not finite)}


def lessons(batch: Batch, demonstrations: Demonstrations | None) -> tuple[dict[str, Tensor], Taught | None]:
    """What is seen in the rows of the rollout and then in the recorded ones, and the choices that are imitated in them."""
    label, counts = batch.label, batch.taught
    if label is None or counts is None:
        if demonstrations is None:
            return batch.seen, None
        label, counts = batch.action, torch.zeros_like(batch.decides)
    if demonstrations is None:
        return batch.seen, Taught(label, shares(counts))
    seen = {key: torch.cat([values, demonstrations.seen[key]]) for key, values in batch.seen.items()}
    return seen, Taught(torch.cat([label, demonstrations.label]), shares(torch.cat([counts, demonstrations.decides])))


def _summary(log: list[tuple[int, Metrics]]) -> Metrics:
    """Row-weighted means over the minibatches that have a metric, the worst of some, and counts."""
    out: Metrics = {}
    for name in sorted({name for _, part in log for name in part}):
        having = [(n, part[name]) for n, part in log if name in part]
        out[name] = sum(n * value for n, value in having) / sum(n for n, _ in having)
        if name in ("kl_divergence", "clip_fraction", "grad_norm"):
            out[name + "_max"] = max(value for _, value in having)
    spreads = [part["adv_std_minibatch"] for _, part in log]
    entropies = [part["entropy"] for _, part in log if "entropy" in part]
    return out | {
        "adv_min_std": min(spreads),
        "adv_zero_std_batches": sum(spread == 0.0 for spread in spreads),
        "entropy_std": float(np.std(entropies)) if entropies else 0.0,
        "clip_triggered_minibatches": sum(part.get("clip_fraction", 0.0) > 0 for _, part in log),
        "updates": len(log),
        "transitions": sum(n for n, _ in log),
    }


NOT_LEARNED: Metrics = dict.fromkeys(
    ("loss_value", "loss_total", "adv_min_std", "entropy_std", "adv_zero_std_batches", "clip_triggered_minibatches"), 0.0
) | {"updates": 0, "transitions": 0, "grad_norm_value": 0.0}  # of an update that did not begin


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x.ravel() - x.mean(), y.ravel() - y.mean()
    norm = float(np.sqrt((x * x).sum() * (y * y).sum()))
    return float((x * y).sum()) / norm if norm > 0 else float("nan")
