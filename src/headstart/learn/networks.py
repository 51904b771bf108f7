"""The policy network that behaviour cloning and PPO share, so that weights hand over unchanged."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from headstart.learn.losses import FORBIDDEN, Gradient
from headstart.learn.policies import Categorical, Gaussian, Policy
from headstart.params import NetworkParams

MAP_EMBEDDING = 64
LOG_STD_RANGE = (math.log(0.05), math.log(1.5))  # of a Gaussian policy: never frozen, never random
SIMD_COLUMNS = 16  # torch's log_softmax leaves its fast path where the last dimension is not a multiple of it


class MLP(nn.Sequential):
    """Linear layers with tanh or relu between them, differentiated by hand: of layers this small autograd makes twice the work."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs] → [B, outputs]."""
        return self.trace(x)[-1]

    @torch.no_grad()
    def trace(self, x: Tensor) -> list[Tensor]:
        """What every layer reads, and then what the last one says."""
        trace, (layers, activations) = [x], self._parts()
        for layer, activation in zip(layers, [*activations, None], strict=True):
            y = torch.addmm(layer.bias, trace[-1], layer.weight.t())
            if isinstance(activation, nn.Tanh):
                _tanh_(y)
            elif activation is not None:
                y.relu_()
            trace.append(y)
        return trace

    @torch.no_grad()
    def backward(self, trace: Sequence[Tensor], gradient: Tensor, inputs: bool = False) -> Tensor | None:
        """From the gradient by the output to that by every weight, in `.grad`, and with `inputs` to that by what the first layer read."""
        layers, activations = self._parts()
        for layer, activation, read in reversed(list(zip(layers, [None, *activations], trace[:-1], strict=True))):
            layer.weight.grad, layer.bias.grad = gradient.t() @ read, gradient.sum(0)
            if activation is None:
                break
            gradient = gradient @ layer.weight
            if isinstance(activation, nn.Tanh):
                torch.ops.aten.tanh_backward.grad_input(gradient, read, grad_input=gradient)
            else:
                gradient.mul_(read > 0)
        return gradient @ layers[0].weight if inputs else None

    def _parts(self) -> tuple[list[Any], list[nn.Module]]:
        parts = list(self)
        return parts[::2], parts[1::2]


def _tanh_(x: Tensor) -> None:
    """In place, on a CPU by NumPy's vectorised kernel: on AMD cores it takes a seventh of the time of torch's, which is MKL's."""
    if x.device.type == "cpu":
        np.tanh(x.numpy(), out=x.numpy())
    else:
        x.tanh_()


ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU}


class Trace(NamedTuple):
    """A pass of a minibatch through the network, kept to learn from."""

    read: Tensor  # [B + E, F'], features normalised, and the map encoded
    actor: list[Tensor]  # layer by layer; empty where the actor is at rest
    critic: list[Tensor]  # of the first B rows
    log_std: Tensor | None  # [D], of a Gaussian policy

    @property
    def output(self) -> Tensor:
        """[B + E, K], or [B + E, D]: what the policy is made of."""
        return self.actor[-1]

    @property
    def value(self) -> Tensor:
        """V(o) [B]."""
        return self.critic[-1].squeeze(-1)


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

    def normalised(self, seen: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The same observations as `trace` wants them: once for many passes."""
        return dict(seen) if self.normaliser is None else {**seen, "features": self.normaliser(seen["features"])}

    def trace(self, seen: Mapping[str, Tensor], valued: int, acts: bool = True) -> Trace:
        """Normalised observations through the critic, the first `valued` rows, and, if it acts, through the actor, all of them."""
        read = self._encoded(seen)
        inputs = read.detach()
        return Trace(read, self.actor.trace(inputs) if acts else [], self.critic.trace(inputs[:valued]), self._bounded_log_std())

    def backward(self, trace: Trace, by_value: Tensor, by_policy: Gradient | None) -> None:
        """From the gradient of a loss, [B] by V(o) and, unless the actor rests, by its policy, to that by every parameter, in `.grad`."""
        encodes = self.encoder is not None and by_policy is not None  # the encoder rests with the actor
        by_value_read = self.critic.backward(trace.critic, by_value[:, None], encodes)
        if by_policy is None:
            return
        by_policy_read = self.actor.backward(trace.actor, by_policy.output, encodes)
        if self.encoder is not None:
            self.encoder.zero_grad()  # or autograd would add to it
            torch.autograd.backward([trace.read[: len(by_value)], trace.read], [by_value_read, by_policy_read])
        if self.log_std is not None and by_policy.log_std is not None:
            low, high = LOG_STD_RANGE
            self.log_std.grad = by_policy.log_std * ((self.log_std >= low) & (self.log_std <= high))

    def _bounded_log_std(self) -> Tensor | None:
        return None if self.log_std is None else self.log_std.detach().clamp(*LOG_STD_RANGE)

    def _policy(self, read: Tensor, seen: Mapping[str, Tensor]) -> Policy:
        output = self.actor(read)
        log_std = self._bounded_log_std()
        if log_std is not None:
            return Gaussian(output, log_std)
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
        return self._encoded(self.normalised(seen))

    def _encoded(self, seen: Mapping[str, Tensor]) -> Tensor:
        if self.encoder is None:
            return seen["features"]
        return torch.cat([seen["features"], self.encoder(seen["map"].float() / 255.0)], dim=-1)


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
        layers += [_orthogonal(nn.Linear(inputs, width), math.sqrt(2)), ACTIVATIONS[params.activation]()]
        inputs = width
    return MLP(*layers, _orthogonal(nn.Linear(inputs, outputs), last_gain))


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
