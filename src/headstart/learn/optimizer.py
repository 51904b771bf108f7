"""Adam (Kingma, Ba 2015): the moments of a network's parameters, for compiled code and for torch's own optimiser."""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from headstart.config.params import Device
from headstart.core.arrays import Array
from headstart.core.errors import UsageError
from headstart.learn.compiled.minibatches import Layers, Parts
from headstart.learn.networks import ActorCritic

PPO_EPS = 1e-5  # as usual for PPO
NO_SIZES = np.zeros(0, np.int64)


def autograd_device(wanted: Device) -> torch.device | None:
    """The device on which torch trains; None for compiled code on the CPU. UsageError if a GPU is requested and there is none."""
    if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
        return None
    if not torch.cuda.is_available():
        raise UsageError(
            "params.yaml, device: expected a GPU that torch can use, got none; "
            "set device: cpu, or install a torch with CUDA and check that `nvidia-smi` lists the GPU"
        )
    return torch.device("cuda")


class Adam:
    """Moments [P] of a network's parameters, part by part, and the numbers of steps of its critic and its policy; all on the CPU."""

    def __init__(
        self, network: ActorCritic, eps: float = PPO_EPS, weight_decay: float = 0.0, device: torch.device | None = None
    ) -> None:
        """`device`: where torch trains; None: compiled code on the CPU, and torch there for a network that encodes a map."""
        self.eps, self.weight_decay = eps, weight_decay
        self.device = torch.device("cpu") if device is None and network.encoder is not None else device
        self.learning_rate = 0.0  # of the last step
        encoder = [] if network.encoder is None else list(network.encoder.parameters())
        self.encoder = _layers(nn.utils.parameters_to_vector(encoder) if encoder else torch.zeros(0))
        self.parts = Parts(
            critic=_layers(network.critic.weights, network.critic.sizes),
            actor=_layers(network.actor.weights, network.actor.sizes),
            deviation=_layers(torch.zeros(0) if network.log_std is None else network.log_std),
            steps=np.zeros(2, np.int64),
        )

    def to_torch(self, network: ActorCritic) -> torch.optim.Adam:
        """torch's Adam over the parameters of `network`, a copy on any device, with these moments and steps."""
        adam = torch.optim.Adam(network.parameters(), eps=self.eps, weight_decay=self.weight_decay)
        for parameter, which, first, second in self._moments(network):
            moments = {"exp_avg": torch.tensor(first), "exp_avg_sq": torch.tensor(second)}
            adam.state[parameter] = {name: value.to(parameter.device) for name, value in moments.items()}
            adam.state[parameter]["step"] = torch.tensor(float(self.parts.steps[which]))
        return adam

    def from_torch(self, adam: torch.optim.Adam, network: ActorCritic) -> None:
        """Copy the moments and steps back from an optimiser that `to_torch` made."""
        for parameter, which, first, second in self._moments(network):
            state = adam.state[parameter]
            first[...], second[...] = state["exp_avg"].cpu().numpy(), state["exp_avg_sq"].cpu().numpy()
            self.parts.steps[which] = int(state["step"])

    def state(self) -> dict[str, Array]:
        """Everything on which later steps depend, as copies."""
        moments = {f"{name}.{which}": getattr(of, which).copy() for name, of in self._named() for which in ("first", "second")}
        return moments | {"steps": self.parts.steps.copy()}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Restore a state."""
        self.parts.steps[:] = state["steps"]
        for name, of in self._named():
            of.first[:], of.second[:] = state[f"{name}.first"], state[f"{name}.second"]

    def _named(self) -> Iterator[tuple[str, Layers]]:
        critic, actor, deviation, _ = self.parts
        parts = {"critic": critic, "actor": actor, "deviation": deviation, "encoder": self.encoder}
        return ((name, of) for name, of in parts.items() if len(of.weights))

    def _moments(self, network: ActorCritic) -> Iterator[tuple[nn.Parameter, int, Array, Array]]:
        """Every parameter of `network`, whether it belongs to critic (0) or policy (1), and views of its two moments."""
        at = {name: 0 for name, _ in self._named()}
        parts = dict(self._named())
        for name, parameter in network.named_parameters():
            part = "deviation" if name == "log_std" else name.split(".")[0]
            here = slice(at[part], at[part] + parameter.numel())
            at[part] = here.stop
            first, second = (moments[here].reshape(parameter.shape) for moments in (parts[part].first, parts[part].second))
            yield parameter, int(part != "critic"), first, second


def _layers(weights: Tensor, sizes: Array = NO_SIZES) -> Layers:
    """Parameters, consecutive in one array, which compiled code changes in place, and moments of 0."""
    flat = weights.detach().reshape(-1).numpy()
    return Layers(flat, np.zeros_like(flat), np.zeros_like(flat), np.zeros_like(flat), sizes)
