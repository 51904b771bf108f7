"""Recorded steps as a batch of PPO: by their recorded log-probabilities, or by advantage-weighted regression where there are none.

clipped               the loss of `learn.loss`; its ratio is π/μ to the policy μ of the recording, in every epoch the same (Zhuang et al. 2023)
advantage_weighted    the recorded action is imitated with the weight exp(A/β), at most MAX_WEIGHT (Peng et al. 2019; Nair et al. 2020)

Both take the advantages A from the recorded rewards with the learner's own value function, in deviations of all the rows.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import reduce
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from headstart.config.schedule import PPOParams
from headstart.core.arrays import Array
from headstart.learn.advantage import facts, gae
from headstart.learn.demonstrations import cells, decision_rows
from headstart.learn.loss import normalised, standardised
from headstart.learn.minibatches import Batch
from headstart.learn.networks import ActorCritic
from headstart.learn.policies import Policy

MAX_WEIGHT = 20.0  # of exp(A/β), as in Peng et al. 2019
ROWS = 16_384  # that the networks are asked for at a time

Objective = Literal["clipped", "advantage_weighted"]


@dataclass(frozen=True)
class Records:
    """B recorded steps of E episodes, one episode after the other."""

    obs: dict[str, Tensor]  # [B, …]
    action: Tensor  # [B] i64 or [B, D] f32, as it was executed
    log_prob: Tensor | None  # [B] nats, log μ(a | o) of that action; None: not recorded
    reward: Array  # [B] f32
    terminated: Array  # [B] bool
    truncated: Array  # [B] bool
    length: Array  # [E] i64
    final_obs: dict[str, Tensor]  # [E, …], after the last step

    @property
    def objective(self) -> Objective:
        return "advantage_weighted" if self.log_prob is None else "clipped"

    def drawn(self, rows: int, generator: torch.Generator) -> "Records":
        """Whole episodes, drawn with replacement until they have at least so many rows."""
        pick = torch.randint(len(self.length), (rows,), generator=generator).numpy()
        pick = pick[: int(np.searchsorted(np.cumsum(self.length[pick]), rows)) + 1]
        tick, episode = cells(self.length[pick])
        at = (np.cumsum(self.length) - self.length)[pick][episode] + tick
        index, episodes = torch.from_numpy(at), torch.from_numpy(pick)
        return Records(
            obs={key: value.index_select(0, index) for key, value in self.obs.items()},
            action=self.action.index_select(0, index),
            log_prob=None if self.log_prob is None else self.log_prob.index_select(0, index),
            reward=self.reward[at],
            terminated=self.terminated[at],
            truncated=self.truncated[at],
            length=self.length[pick],
            final_obs={key: value.index_select(0, episodes) for key, value in self.final_obs.items()},
        )


def estimate_records(
    network: ActorCritic, records: Records, params: PPOParams, temperature: float, reference: ActorCritic | None
) -> tuple[Batch, dict[str, float]]:
    """Values, advantages and returns of the recorded rows, and the batch of their objective.

    The rows of advantage-weighted regression count for the entropy and the KL terms as those of a rollout do, measured from the policy as it is
    now; their surrogate has no advantage, and the imitation has their weights.
    """
    value = torch.cat([network.value(part) for part in _parts(records)]).numpy()
    advantage = recorded_advantage(records, value, network.value(records.final_obs).numpy(), params)
    returns, has_choice = advantage + value, decision_rows(records.obs)
    policy, known = _policy(network, records), None if reference is None else _policy(reference, records)
    scaled, nothing = standardised(torch.from_numpy(advantage), normalised(has_choice)), torch.zeros_like(has_choice)
    if records.log_prob is None:
        log_prob, gain = policy.log_prob(records.action), nothing
        imitated = (scaled / temperature).clamp_max(math.log(MAX_WEIGHT)).exp() * has_choice
    else:
        log_prob, imitated = records.log_prob, nothing
        gain = scaled if params.advantage_normalization else torch.from_numpy(advantage)
    batch = Batch(
        obs=network.normalised(records.obs),
        action=records.action,
        log_prob=log_prob,
        advantage=gain,
        returns=torch.from_numpy(returns),
        value=torch.from_numpy(value),
        has_choice=has_choice,
        label=records.action,
        imitated=imitated,
        reference=known,
    )
    read = (records.obs["features"].numpy(), records.reward, log_prob.numpy(), returns)
    return batch, facts(records.reward, advantage, value, returns) | {
        "entropy": float(normalised(has_choice) @ policy.entropy()),
        "expert_steps": 0.0,
        "nonfinite": float(sum(np.size(x) - np.isfinite(x).sum() for x in read)),
    }


def _parts(records: Records) -> Iterator[dict[str, Tensor]]:
    for at in range(0, len(records.action), ROWS):
        yield {key: value[at : at + ROWS] for key, value in records.obs.items()}


def _policy(network: ActorCritic, records: Records) -> Policy:
    return reduce(lambda some, more: some.followed_by(more), map(network.policy, _parts(records)))  # type: ignore[arg-type]  # of one kind


def recorded_advantage(records: Records, value: Array, final_value: Array, params: PPOParams) -> Array:
    """GAE [B] of every episode by itself. An episode that did not terminate is continued by `final_value` [E], V of its last observation."""
    tick, episode = cells(records.length)
    shape, last = (int(records.length.max()), len(records.length)), records.length - 1

    def padded(column: Array) -> Array:
        out = np.zeros(shape, column.dtype)
        out[tick, episode] = column
        return out

    terminated, truncated = padded(records.terminated), padded(records.truncated)
    every, final = np.arange(shape[1]), np.zeros(shape, value.dtype)
    truncated[last, every] = ~terminated[last, every]  # nothing of the cells below an end enters it
    final[last, every] = final_value
    found = gae(
        padded(records.reward),
        padded(value),
        np.zeros(shape[1], value.dtype),
        final,
        terminated,
        truncated,
        params.gamma,
        params.gae_lambda,
    )
    return np.asarray(found[tick, episode])


def joined(rollout: Batch, recorded: Batch, rows: int) -> Batch:
    """The rows of a rollout and the first `rows` of the recorded ones."""

    def both(name: str) -> Tensor:
        return torch.cat([getattr(rollout, name), getattr(recorded, name)[:rows]])

    reference = None
    if rollout.reference is not None and recorded.reference is not None:
        reference = rollout.reference.followed_by(recorded.reference.rows(slice(rows)))  # type: ignore[arg-type]  # of one kind
    columns = {field.name: both(field.name) for field in fields(Batch) if field.name not in ("obs", "reference")}
    obs = {key: torch.cat([value, recorded.obs[key][:rows]]) for key, value in rollout.obs.items()}
    return Batch(obs=obs, reference=reference, **columns)
