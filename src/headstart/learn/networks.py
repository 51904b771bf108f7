"""The policy network that behaviour cloning and PPO share, so that weights hand over unchanged."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from headstart.learn.policies import Categorical, Gaussian, Policy
from headstart.params import NetworkParams

MAP_EMBEDDING = 64
FORBIDDEN = -60.0  # logit of a masked action: a probability below 1e-20, yet no denormal, which would slow exp tenfold
LOG_STD_RANGE = (math.log(0.05), math.log(1.5))  # of a Gaussian policy: never frozen, never random
SIMD_COLUMNS = 16  # torch's log_softmax leaves its fast path where the last dimension is not a multiple of it


class Tanh(nn.Module):
    """tanh in place, on a CPU by NumPy's vectorised kernel: on AMD cores it takes a seventh of the time of torch's, which is MKL's."""

    def forward(self, x: Tensor) -> Tensor:
        return _NumpyTanh.apply(x) if x.device.type == "cpu" else torch.tanh(x)


class _NumpyTanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        in_place = x.detach().numpy()
        np.tanh(in_place, out=in_place)
        ctx.mark_dirty(x)
        ctx.save_for_backward(x)
        return x

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return torch.ops.aten.tanh_backward(gradient, y)  # type: ignore[no-any-return]


ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": Tanh, "relu": nn.ReLU}


class ConflictAwarePolicyNetwork(nn.Module):
    """Separate actor and critic over features [B, F] and, where the world has one, an egocentric map [B, C, G, G] u8.

    The actor is a categorical policy over K actions, masked to those that are allowed, or, with `continuous`, a Gaussian one over D = `actions`
    reals. Features are normalised by a running mean and deviation, which only `observe` moves. Orthogonal initialisation with gain √2, 0.01 for
    the last actor layer and 1 for the last critic layer (Engstrom et al. 2020; Andrychowicz et al. 2021).
    """

    def __init__(
        self,
        features: int,
        actions: int,
        map_shape: tuple[int, int, int] | None,
        params: NetworkParams,
        continuous: bool = False,
    ) -> None:
        super().__init__()
        self.normaliser = Normaliser(features) if params.normalise else None
        self.log_std = nn.Parameter(torch.full((actions,), math.log(params.initial_std))) if continuous else None
        self.encoder = _map_encoder(map_shape) if map_shape else None
        inputs = features + (MAP_EMBEDDING if map_shape else 0)
        self.actor = _mlp(inputs, params, actions, last_gain=0.01)
        self.critic = _mlp(inputs, params, 1, last_gain=1.0)

    def forward(self, seen: Mapping[str, Tensor]) -> tuple[Policy, Tensor]:
        """π(· | o) and V(o) of B observations, which are normalised once for both."""
        read = self._input(seen)
        return self._policy(read, seen), self._value(read)

    def policy(self, seen: Mapping[str, Tensor]) -> Policy:
        """π(· | o) of B observations; FORBIDDEN is the logit of what the mask rules out."""
        return self._policy(self._input(seen), seen)

    def value(self, seen: Mapping[str, Tensor]) -> Tensor:
        """V(o) [B]."""
        return self._value(self._input(seen))

    def _policy(self, read: Tensor, seen: Mapping[str, Tensor]) -> Policy:
        output = self.actor(read)
        if self.log_std is not None:
            return Gaussian(output, self.log_std.clamp(*LOG_STD_RANGE))
        logits = torch.where(seen["mask"].bool(), output, FORBIDDEN)
        actions = logits.shape[-1]
        padded = nn.functional.pad(logits, (0, -actions % SIMD_COLUMNS), value=FORBIDDEN)
        return Categorical(torch.log_softmax(padded, dim=-1)[:, :actions])

    def _value(self, read: Tensor) -> Tensor:
        return self.critic(read).squeeze(-1)  # type: ignore[no-any-return]

    def policy_parameters(self) -> list[nn.Parameter]:
        """What the surrogate loss trains; the map encoder belongs to the actor."""
        encoder = list(self.encoder.parameters()) if self.encoder else []
        return list(self.actor.parameters()) + encoder + ([self.log_std] if self.log_std is not None else [])

    def observe(self, seen: Mapping[str, Tensor]) -> None:
        """Move the normaliser towards these observations; without one, nothing."""
        if self.normaliser is not None:
            self.normaliser.observe(seen["features"])

    @torch.no_grad()
    def set_std(self, std: float) -> None:
        """Act with this standard deviation from now on; no change for a categorical policy."""
        if self.log_std is not None:
            self.log_std.fill_(math.log(std))

    def _input(self, seen: Mapping[str, Tensor]) -> Tensor:
        features = seen["features"] if self.normaliser is None else self.normaliser(seen["features"])
        if self.encoder is None:
            return features
        return torch.cat([features, self.encoder(seen["map"].float() / 255.0)], dim=-1)


class Normaliser(nn.Module):
    """(x − mean) / deviation of every feature seen so far, clipped to ±6; part of the weights, so that it travels with them."""

    mean: Tensor  # [F] f64
    variance: Tensor  # [F] f64
    count: Tensor  # rows behind them

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features, dtype=torch.float64))
        self.register_buffer("variance", torch.ones(features, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    def forward(self, features: Tensor) -> Tensor:
        """[B, F] → [B, F]."""
        scale = (self.variance + 1e-8).rsqrt()
        return (features * scale.float() - (self.mean * scale).float()).clamp_(-6.0, 6.0)

    @torch.no_grad()
    def observe(self, features: Tensor) -> None:
        """Merge the moments of [..., F] into the running ones (Chan, Golub, LeVeque 1983)."""
        rows = features.reshape(-1, features.shape[-1]).double()
        n = len(rows)
        total = self.count + n
        delta = rows.mean(dim=0) - self.mean
        squares = self.variance * self.count + rows.var(dim=0, correction=0) * n + delta.square() * self.count * n / total
        self.mean += delta * n / total
        self.variance.copy_(squares / total)
        self.count.copy_(total)


def _mlp(inputs: int, params: NetworkParams, outputs: int, last_gain: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in params.hidden:
        layers += [_orthogonal(nn.Linear(inputs, width), math.sqrt(2)), ACTIVATIONS[params.activation]()]
        inputs = width
    return nn.Sequential(*layers, _orthogonal(nn.Linear(inputs, outputs), last_gain))


def _map_encoder(shape: tuple[int, int, int]) -> nn.Sequential:
    channels, size, _ = shape
    cells = ((size - 3) // 2 + 1) ** 2
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(16 * cells, MAP_EMBEDDING), nn.ReLU()
    )


def _orthogonal(layer: nn.Linear, gain: float) -> nn.Linear:
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


def tensors(network: nn.Module) -> dict[str, np.ndarray]:
    """The weights as arrays, by name: what a checkpoint holds."""
    return {name: value.detach().cpu().numpy() for name, value in network.state_dict().items()}


def load_tensors(network: nn.Module, arrays: Mapping[str, np.ndarray]) -> None:
    """Put the arrays of a checkpoint into a network of the same shape."""
    network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in arrays.items()})
