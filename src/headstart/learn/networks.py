"""The network of both behaviour cloning and PPO, so that PPO can start from the clone's weights.

Calling it runs in torch on any device, with gradients. `policy` and `value` run in compiled code on the CPU, without gradients.
"""

import math
from collections.abc import Mapping
from copy import deepcopy
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from headstart.config.params import NetworkParams
from headstart.core.arrays import Array
from headstart.learn.compiled.layers import FORBIDDEN, LOG_STD_RANGE, RELU, TANH, masked_log_softmax, outputs
from headstart.learn.policies import Categorical, Gaussian, Policy
from headstart.worlds.api import PICTURE_SIZE

MAP_EMBEDDING, PICTURE_EMBEDDING = 64, 512
STILL = 1e-12  # variance below which a feature has not varied
Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)
ACTIVATIONS: dict[str, tuple[type[nn.Module], int]] = {"tanh": (nn.Tanh, TANH), "relu": (nn.ReLU, RELU)}


class MLP(nn.Sequential):
    """Linear layers with tanh or relu between them; `outputs` is compiled.

    Its parameters are views of one tensor, `weights`, in which they are consecutive, as compiled code needs them.
    """

    def __init__(self, *modules: nn.Module) -> None:
        super().__init__(*modules)
        parameters = list(self.parameters())
        self.weights = torch.cat([parameter.detach().flatten() for parameter in parameters])
        parts = self.weights.split([parameter.numel() for parameter in parameters])
        for parameter, part in zip(parameters, parts, strict=True):
            parameter.data = part.view_as(parameter)
        layers = [layer for layer in self if isinstance(layer, nn.Linear)]
        self.sizes = np.array([layers[0].in_features, *(layer.out_features for layer in layers)])
        self.activation = RELU if any(isinstance(layer, nn.ReLU) for layer in self) else TANH
        self._rooms = np.empty((len(layers), 0), np.float32)

    def outputs(self, x: Tensor) -> Array:
        """[B, inputs] → [B, outputs]."""
        if self._rooms.shape[1] < len(x) * self.sizes[1:].max():
            self._rooms = np.empty((len(self._rooms), len(x) * self.sizes[1:].max()), np.float32)
        return outputs(self.weights.numpy(), self.sizes, self.activation, x.contiguous().numpy(), self._rooms)

    def __deepcopy__(self, memo: dict[int, Any]) -> "MLP":
        """A copy with separate weights."""
        return MLP(*(deepcopy(module, memo) for module in self))


class ActorCritic(nn.Module):
    """Separate actor and critic over features [B, F] and, where the world has one, an egocentric map [B, C, G, G] u8.

    The actor is a categorical policy over K actions, masked to those that are allowed, or, with `continuous`, a Gaussian one over actions of
    D = `actions` dimensions. Features are normalised by a running mean and deviation, updated by `observe` only. Orthogonal initialisation with
    gain √2, 0.01 for the last actor layer and 1 for the last critic layer (Engstrom et al. 2020; Andrychowicz et al. 2021).
    """

    def __init__(
        self, features: int, actions: int, map_shape: tuple[int, int, int] | None, params: NetworkParams, continuous: bool = False
    ) -> None:
        super().__init__()
        self.normaliser = Normaliser(features) if params.normalise and features else None
        self.log_std = nn.Parameter(torch.full((actions,), math.log(params.initial_std))) if continuous else None
        self.encoder = _map_encoder(map_shape) if map_shape else None
        inputs = features + (_embedding(map_shape) if map_shape else 0)
        self.actor = _mlp(inputs, params, actions, last_gain=0.01)
        self.critic = _mlp(inputs, params, 1, last_gain=1.0)

    def forward(self, normalised: Mapping[str, Tensor], valued: int, actor_learns: bool = True) -> tuple[Policy | None, Tensor]:
        """π of all rows, unless the actor does not learn, and V of the first `valued` rows, for autograd. The features must be normalised.

        The encoder of maps belongs to the actor: it is trained by both losses, and not while the actor is frozen.
        """
        with torch.set_grad_enabled(actor_learns):
            x = self._inputs(normalised)
        value = self.critic(x[:valued]).squeeze(-1)
        if not actor_learns:
            return None, value
        output = self.actor(x)
        if self.log_std is not None:
            return Gaussian(output, self.log_std.clamp(*LOG_STD_RANGE)), value
        return Categorical(torch.log_softmax(torch.where(normalised["mask"].bool(), output, FORBIDDEN), dim=-1)), value

    @torch.no_grad()
    def policy(self, obs: Mapping[str, Tensor]) -> Policy:
        """π(· | o) of B observations; FORBIDDEN is the logit of an action that the mask forbids."""
        output = self.actor.outputs(self._inputs(self.normalised(obs)))
        if self.log_std is not None:
            return Gaussian(torch.from_numpy(output), self.log_std.detach().clamp(*LOG_STD_RANGE))
        return Categorical(torch.from_numpy(masked_log_softmax(output, obs["mask"].contiguous().numpy())))

    @torch.no_grad()
    def value(self, obs: Mapping[str, Tensor], normalised: bool = False) -> Tensor:
        """V(o) [B]; `normalised`: the features are already normalised."""
        x = self._inputs(obs if normalised else self.normalised(obs))
        return torch.from_numpy(self.critic.outputs(x)[:, 0])

    def normalised(self, obs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The same observations with normalised features, for use in many passes."""
        return dict(obs) if self.normaliser is None else {**obs, "features": self.normaliser(obs["features"])}

    def _inputs(self, normalised: Mapping[str, Tensor]) -> Tensor:
        """[B, inputs of actor and critic]."""
        if self.encoder is None:
            return normalised["features"]
        return torch.cat([normalised["features"], self.encoder(normalised["map"].float() / 255.0)], dim=-1)

    def observe(self, obs: Mapping[str, Tensor]) -> None:
        """Update the normaliser with these observations; no effect without a normaliser."""
        if self.normaliser is not None:
            self.normaliser.observe(obs["features"])

    @torch.no_grad()
    def set_std(self, std: float) -> None:
        """Act with this standard deviation from now on; no change for a categorical policy."""
        if self.log_std is not None:
            self.log_std.fill_(math.log(std))


class Normaliser(nn.Module):
    """(x − mean) / deviation of every feature seen so far, clipped to ±6. Mean and deviation are part of the weights.

    A feature that has not varied counts as deviation 1: its first small change would be ten thousand deviations.
    """

    mean: Tensor  # [F] f64
    variance: Tensor  # [F] f64
    count: Tensor  # rows seen

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features, dtype=torch.float64))
        self.register_buffer("variance", torch.ones(features, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    def forward(self, features: Tensor) -> Tensor:
        """[B, F] → [B, F]."""
        scale = torch.where(self.variance < STILL, 1.0, (self.variance + 1e-8).rsqrt())
        return torch.addcmul((-self.mean * scale).float(), features, scale.float()).clamp_(-6.0, 6.0)

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


def _mlp(inputs: int, params: NetworkParams, outputs: int, last_gain: float) -> MLP:
    layers: list[nn.Module] = []
    for width in params.hidden:
        layers += [_orthogonal(nn.Linear(inputs, width), math.sqrt(2)), ACTIVATIONS[params.activation][0]()]
        inputs = width
    return MLP(*layers, _orthogonal(nn.Linear(inputs, outputs), last_gain))


def weight_shapes(
    features: int, actions: int, map_shape: tuple[int, int, int] | None, params: NetworkParams
) -> dict[str, tuple[int, ...]]:
    """The weights of all layers of an ActorCritic, by name, without making one: [outputs, inputs, …]."""
    inputs = features + (_embedding(map_shape) if map_shape else 0)
    found: dict[str, tuple[int, ...]] = {}
    for part, last in (("actor", actions), ("critic", 1)):
        widths = (inputs, *params.hidden, last)
        found |= {f"{part}.{2 * n}.weight": (after, before) for n, (before, after) in enumerate(pairwise(widths))}
    if map_shape is not None:
        channels, size, _ = map_shape
        picture = size >= PICTURE_SIZE
        found["encoder.0.weight"] = (32, channels, 8, 8) if picture else (16, channels, 3, 3)
        found[f"encoder.{7 if picture else 3}.weight"] = (_embedding(map_shape), _map_numbers(size))
    return found


def _map_numbers(size: int) -> int:
    """Numbers that the last layer of the encoder takes."""
    if size >= PICTURE_SIZE:
        side = ((size - 8) // 4 + 1 - 4) // 2 - 1  # after 8 × 8 cells by 4, 4 × 4 by 2, and 3 × 3
        return int(64 * side**2)
    return int(16 * ((size - 3) // 2 + 1) ** 2)


def _embedding(shape: tuple[int, int, int]) -> int:
    return PICTURE_EMBEDDING if shape[1] >= PICTURE_SIZE else MAP_EMBEDDING


def _map_encoder(shape: tuple[int, int, int]) -> nn.Sequential:
    """Small maps: one layer of cells. Pictures of 36 × 36 and more: the three layers of Mnih et al. 2015, orthogonally initialised."""
    channels, size, _ = shape
    if size >= PICTURE_SIZE:
        layers = [nn.Conv2d(channels, 32, 8, stride=4), nn.Conv2d(32, 64, 4, stride=2), nn.Conv2d(64, 64, 3)]
        parts = [part for layer in layers for part in (_orthogonal(layer, math.sqrt(2)), nn.ReLU())]
        return nn.Sequential(
            *parts, nn.Flatten(), _orthogonal(nn.Linear(_map_numbers(size), PICTURE_EMBEDDING), math.sqrt(2)), nn.ReLU()
        )
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(_map_numbers(size), MAP_EMBEDDING), nn.ReLU()
    )


def _orthogonal(layer: Layer, gain: float) -> Layer:
    nn.init.orthogonal_(layer.weight, gain)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def tensors(network: nn.Module) -> dict[str, np.ndarray]:
    """The weights as arrays, by name: what a checkpoint holds."""
    return {name: value.detach().cpu().numpy() for name, value in network.state_dict().items()}


def load_tensors(network: nn.Module, arrays: Mapping[str, np.ndarray]) -> None:
    """Load the arrays of a checkpoint into a network of the same shape."""
    network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in arrays.items()})


def part(state: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The arrays whose names begin with `prefix`, by the rest of their names."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
