"""The policy network that behaviour cloning and PPO share, so that weights hand over unchanged."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from headstart.params import NetworkParams

MAP_EMBEDDING = 64
FORBIDDEN = -60.0  # logit of a masked action: a probability below 1e-20, yet no denormal, which would slow exp tenfold
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

    The actor is a categorical policy over K actions, masked to those that are allowed. Orthogonal initialisation with gain √2, 0.01 for
    the last actor layer and 1 for the last critic layer (Engstrom et al. 2020; Andrychowicz et al. 2021).
    """

    def __init__(self, features: int, actions: int, map_shape: tuple[int, int, int] | None, params: NetworkParams) -> None:
        super().__init__()
        self.encoder = _map_encoder(map_shape) if map_shape else None
        inputs = features + (MAP_EMBEDDING if map_shape else 0)
        self.actor = _mlp(inputs, params, actions, last_gain=0.01)
        self.critic = _mlp(inputs, params, 1, last_gain=1.0)

    def log_policy(self, seen: Mapping[str, Tensor]) -> Tensor:
        """log π(a | o) over all K actions [B, K]; FORBIDDEN where the mask says so."""
        logits = torch.where(seen["mask"].bool(), self.actor(self._input(seen)), FORBIDDEN)
        actions = logits.shape[-1]
        padded = nn.functional.pad(logits, (0, -actions % SIMD_COLUMNS), value=FORBIDDEN)
        return torch.log_softmax(padded, dim=-1)[:, :actions]

    def value(self, seen: Mapping[str, Tensor]) -> Tensor:
        """V(o) [B]."""
        return self.critic(self._input(seen)).squeeze(-1)  # type: ignore[no-any-return]

    def policy_parameters(self) -> list[nn.Parameter]:
        """What the surrogate loss trains; the map encoder belongs to the actor."""
        return list(self.actor.parameters()) + (list(self.encoder.parameters()) if self.encoder else [])

    def _input(self, seen: Mapping[str, Tensor]) -> Tensor:
        if self.encoder is None:
            return seen["features"]
        return torch.cat([seen["features"], self.encoder(seen["map"].float() / 255.0)], dim=-1)


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
