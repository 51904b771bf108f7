"""Adam (Kingma, Ba 2015) over parameters that lie end to end, for compiled code; tests hold it to torch's.

torch's own is not used: importing it takes a second, and a step of it as long for a bias as for a layer.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from headstart.core.arrays import Array
from headstart.learn.compiled.minibatches import Layers, step_of_adam
from headstart.learn.networks import ActorCritic

PPO_EPS = 1e-5  # of the PPO literature
NO_SIZES = np.zeros(0, np.int64)

Part = tuple[Layers, list[nn.Parameter]]


class Adam:
    """Moments of a network's parameters, and how many steps its critic and its policy have made."""

    def __init__(self, network: ActorCritic, eps: float = PPO_EPS, weight_decay: float = 0.0) -> None:
        self.eps, self.weight_decay = eps, weight_decay
        self.learning_rate = 0.0  # of the last step
        self.steps = np.zeros(2, np.int64)  # of critic and policy
        self.critic = _moments(network.critic.weights, network.critic.sizes)
        self.actor = _moments(network.actor.weights, network.actor.sizes)
        self.deviation = _moments(torch.zeros(0) if network.log_std is None else network.log_std)
        self.encoder = [_moments(parameter) for parameter in network.encoder.parameters()] if network.encoder else []

    def gather(self, network: ActorCritic, acts: bool) -> tuple[float, float]:
        """Collect the gradients that torch left in the network; returns the norms of critic and policy, 0 of one that does not act."""
        parts = self._parts(network, acts)
        for of, parameters in (pair for part in parts for pair in part):
            of.gradient[:] = _flat([parameter.grad for parameter in parameters])
        critic, policy = (
            math.sqrt(sum(float(np.square(of.gradient, dtype=np.float64).sum()) for of, _ in part)) for part in parts
        )
        return critic, policy

    def step(
        self,
        network: ActorCritic,
        learning_rate: float,
        norms: Sequence[float],
        bounds: Sequence[float],
        acts: bool,
    ) -> None:
        """A step on the gathered gradients, those of critic and policy each scaled down to its bound where its norm is larger."""
        for which, part in enumerate(self._parts(network, acts)):
            self.steps[which] += bool(part)
            scale = bounds[which] / norms[which] if norms[which] > bounds[which] else 1.0
            for of, _ in part:
                step_of_adam(of, learning_rate, self.steps[which], scale, self.eps, self.weight_decay)

    def state(self) -> dict[str, Array]:
        """Everything that later steps depend on, as copies."""
        moments = {f"{name}.{which}": getattr(of, which).copy() for name, of in self._named() for which in ("first", "second")}
        return moments | {"steps": self.steps.copy()}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Go back to a state."""
        self.steps[:] = state["steps"]
        for name, of in self._named():
            of.first[:], of.second[:] = state[f"{name}.first"], state[f"{name}.second"]

    def _parts(self, network: ActorCritic, acts: bool) -> tuple[list[Part], list[Part]]:
        """Moments with the parameters that they are of: of the critic, and of the policy unless it rests."""
        critic: list[Part] = [(self.critic, list(network.critic.parameters()))]
        if not acts:
            return critic, []
        encoder = list(network.encoder.parameters()) if network.encoder else []
        policy: list[Part] = [(self.actor, list(network.actor.parameters()))]
        policy += [] if network.log_std is None else [(self.deviation, [network.log_std])]
        policy += [(of, [parameter]) for of, parameter in zip(self.encoder, encoder, strict=True)]
        return critic, policy

    def _named(self) -> Iterator[tuple[str, Layers]]:
        yield from (("critic", self.critic), ("actor", self.actor))
        if len(self.deviation.weights):
            yield "deviation", self.deviation
        yield from ((f"encoder-{index}", of) for index, of in enumerate(self.encoder))


def _moments(weights: Tensor | nn.Parameter, sizes: Array = NO_SIZES) -> Layers:
    """Compiled code changes the weights where they are."""
    flat = weights.detach().reshape(-1).numpy()
    return Layers(flat, np.zeros_like(flat), np.zeros_like(flat), np.zeros_like(flat), sizes)


def _flat(gradients: Sequence[Tensor | None]) -> Array:
    parts = [gradient.detach().flatten().numpy() for gradient in gradients if gradient is not None]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
