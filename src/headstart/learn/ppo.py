"""Proximal policy optimisation (Schulman et al. 2017) on one rollout at a time. `bc.py` is its twin.

update
├── estimate       values, GAE, returns
└── each epoch, each minibatch
    ├── policy_loss    clipped surrogate (eq. 7) − entropy bonus + KL to a reference policy
    ├── imitation_loss what the policy misses of the teacher's and the recorded actions (DAPG: Rajeswaran et al. 2018)
    └── value_loss     squared error to the returns, clipped where asked for

A number that is not finite is never learned from: an update whose data hold one does not begin, a step whose gradient holds one is not made.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from headstart.learn.advantage import explained_variance, gae
from headstart.learn.demonstrations import Demonstrations, decision_rows
from headstart.learn.networks import ConflictAwarePolicyNetwork
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

    seen: dict[str, Tensor]  # [B, …]
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
    optimizer: torch.optim.Optimizer,
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
        metrics["kl_to_reference"] = distance(network, reference, batch)
    if metrics["nonfinite"]:
        return metrics | NOT_LEARNED
    for group in optimizer.param_groups:
        group["lr"] = weights.learning_rate
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
    with torch.no_grad():
        value = _values(network, seen).reshape(ticks, rows)
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
        seen,
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
    return torch.cat([network.value(dict(zip(seen, part, strict=True))) for part in parts])


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
def distance(network: ConflictAwarePolicyNetwork, reference: ConflictAwarePolicyNetwork, batch: Batch, rows: int = 2048) -> float:
    """KL(policy ‖ reference) on about `rows` of the learner's states, nats: how far it has gone from what it was taught."""
    index = torch.arange(0, len(batch.action), max(1, len(batch.action) // rows))
    some = batch.rows(index)
    kl = network.policy(some.seen).kl(reference.policy(some.seen))  # type: ignore[arg-type]  # both are of one kind
    return float((kl * some.decides).sum() / some.decides.sum().clamp_min(1.0))


def policy_loss(policy: Policy, batch: Batch, params: PPOParams, weights: Weights) -> tuple[Tensor, dict[str, Tensor]]:
    """L^CLIP (eq. 7) over decision rows, minus the entropy bonus, plus the weighted KL to the reference policy.

    `policy` is the network's now. Returns the loss and its parts.
    """
    log_ratio = policy.log_prob(batch.action) - batch.log_prob
    ratio = log_ratio.exp()
    share = batch.decides / batch.decides.sum().clamp_min(1.0)
    advantage = batch.advantage
    if params.advantage_normalization:
        mean = (share * advantage).sum()
        spread = (share * (advantage - mean).square()).sum().sqrt()
        advantage = (advantage - mean) / (spread + 1e-8)
    clipped = ratio.clamp(1.0 - params.clip_param, 1.0 + params.clip_param)
    surrogate = -(share * torch.minimum(ratio * advantage, clipped * advantage)).sum()
    entropy = (share * policy.entropy()).sum()
    loss = surrogate - weights.entropy_coef * entropy
    parts = {"loss_policy": surrogate, "entropy": entropy}
    with torch.no_grad():
        parts["kl_divergence"] = (share * (ratio - 1.0 - log_ratio)).sum()  # k3 of Schulman 2020: unbiased, never negative
        parts["clip_fraction"] = (share * ((ratio - 1.0).abs() > params.clip_param)).sum()
    if batch.reference is not None:
        parts["loss_kl"] = (share * policy.kl(batch.reference)).sum()  # type: ignore[arg-type]  # both are of one kind
        loss = loss + weights.kl_weight * parts["loss_kl"]
    return loss, parts


def value_loss(value: Tensor, batch: Batch, params: PPOParams) -> Tensor:
    """Mean squared error to the returns; with value_clip the worse of the clipped and the unclipped error."""
    error = (value - batch.returns).square()
    if params.value_clip is not None:
        near = batch.value + (value - batch.value).clamp(-params.value_clip, params.value_clip)
        error = torch.maximum(error, (near - batch.returns).square())
    return error.mean()


def _step(
    network: ConflictAwarePolicyNetwork,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    params: PPOParams,
    weights: Weights,
    actor_stopped: bool,
    demonstrations: Demonstrations | None = None,
) -> Metrics:
    """One optimiser step. Actor and critic are clipped apart, so that a large value error cannot throttle the policy."""
    optimizer.zero_grad(set_to_none=True)
    policy, value = (None, network.value(batch.seen)) if actor_stopped else network(batch.seen)
    loss_value = value_loss(value, batch, params)
    total = params.value_loss_coef * loss_value
    parts: dict[str, Tensor] = {"loss_value": loss_value, "adv_std_minibatch": batch.advantage.std(correction=0)}
    if policy is not None:
        loss, policy_parts = policy_loss(policy, batch, params, weights)
        total = total + loss
        parts |= policy_parts
        if weights.bc_weight > 0 and (demonstrations is not None or batch.taught is not None):
            parts["loss_bc"] = imitation(network, policy, batch, demonstrations)
            total = total + weights.bc_weight * parts["loss_bc"]
    total.backward()
    parts["loss_total"] = total
    parts["grad_norm_value"] = torch.nn.utils.clip_grad_norm_(network.critic.parameters(), params.max_grad_norm_value)
    if policy is not None:
        parts["grad_norm"] = torch.nn.utils.clip_grad_norm_(network.policy_parameters(), params.max_grad_norm)
    numbers = {name: value.item() for name, value in parts.items()}
    finite = all(math.isfinite(value) for value in numbers.values())
    if finite:
        optimizer.step()
    return numbers | {"nonfinite": float(not finite)}


def imitation(network: ConflictAwarePolicyNetwork, policy: Policy, batch: Batch, demonstrations: Demonstrations | None) -> Tensor:
    """What the policy misses of the teacher's choices, mean over the rows of the rollout that have one and the recorded ones."""
    missed, rows = torch.zeros(()), torch.zeros(())
    if batch.taught is not None and batch.label is not None:
        missed, rows = (batch.taught * policy.miss(batch.label)).sum(), batch.taught.sum()
    if demonstrations is not None:
        recorded = network.policy(demonstrations.seen).miss(demonstrations.label)
        missed, rows = missed + (demonstrations.decides * recorded).sum(), rows + demonstrations.decides.sum()
    return missed / rows.clamp_min(1.0)


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


def make_optimizer(network: ConflictAwarePolicyNetwork) -> torch.optim.Optimizer:
    """Adam with the ε of the PPO literature."""
    return torch.optim.Adam(network.parameters(), lr=1e-3, eps=1e-5, fused=True)
