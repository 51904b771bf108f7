"""What an expert knows beside its actions: how probable an action is to it, and what a state is worth to it.

Not every expert does: a script and a callable do not, a network that was trained with PPO does. What it knows is recorded beside each step.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.core.arrays import Array
from headstart.worlds.api import Act, Observations

if TYPE_CHECKING:
    from headstart.learn.evaluation import Acting


@dataclass(frozen=True)
class Estimating:
    """An expert that can be asked. N rows; `log_prob` is asked of the observations in which it acted last."""

    act: Act
    log_prob: Callable[[Observations, Array], Array] | None = None  # observations, actions → log π(a | o) [N] f32, nats
    value: Callable[[Observations], Array] | None = None  # observations → V(o) [N] f32

    def __call__(self, obs: Observations) -> Array:
        return self.act(obs)

    @property
    def policy(self) -> Any:
        """The distribution in which it acted last, which the player shows; None where it has none."""
        return getattr(self.act, "policy", None)


def of_network(acting: "Acting", act: Act) -> Estimating:
    """A network that chooses as `act` does: its distribution, from which nothing is drawn here, and its critic."""
    import torch  # a scripted expert needs none

    def log_prob(obs: Observations, action: Array) -> Array:
        return np.asarray(acting.policy.log_prob(torch.from_numpy(np.ascontiguousarray(action))).numpy())

    def value(obs: Observations) -> Array:
        return np.ascontiguousarray(acting.network.value({key: torch.from_numpy(rows) for key, rows in obs.items()}).numpy())

    return Estimating(act, log_prob, value)


def behaviour_log_prob(log_prob: Array, obs: Observations, slip: float) -> Array:
    """log μ(a | o) [N] f32 from log π(a | o): of named actions μ = (1 − ε) π + ε / (number of allowed actions), with ε = `slip`; else π."""
    if "mask" not in obs or slip == 0:
        return np.asarray(log_prob, np.float32)
    allowed = np.maximum(1, (obs["mask"] > 0).sum(axis=1))
    return np.asarray(np.logaddexp(np.log1p(-slip) + log_prob.astype(np.float64), np.log(slip / allowed)), np.float32)
