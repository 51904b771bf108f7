"""Adam over few long tensors: it takes as long for a bias as for a layer, and small networks have a dozen of them."""

import math
from collections.abc import Iterable

import torch
from torch.nn import Parameter

from headstart.learn.networks import ConflictAwarePolicyNetwork


class Adam(torch.optim.Adam):
    """Kingma, Ba 2015, over critic and policy, each laid end to end in one tensor; ε is that of the PPO literature."""

    def __init__(
        self, network: ConflictAwarePolicyNetwork, learning_rate: float = 1e-3, eps: float = 1e-5, weight_decay: float = 0.0
    ):
        self.critic, self.policy = EndToEnd(network.critic.parameters()), EndToEnd(network.policy_parameters())
        whole = [self.critic.whole, self.policy.whole]
        super().__init__(whole, lr=learning_rate, eps=eps, weight_decay=weight_decay, fused=True)


class EndToEnd:
    """Parameters that are clipped together, from now on views of one `whole`."""

    def __init__(self, parameters: Iterable[Parameter]) -> None:
        self.parameters = list(parameters)
        self.whole = Parameter(torch.cat([parameter.detach().flatten() for parameter in self.parameters]))
        sizes = [parameter.numel() for parameter in self.parameters]
        for parameter, part in zip(self.parameters, self.whole.detach().split(sizes), strict=True):
            parameter.data = part.view_as(parameter)

    def gather(self, bound: float = math.inf) -> float:
        """Collect the gradients and scale them down to a norm of `bound`, if theirs is larger; returns the norm that it was."""
        self.whole.grad = torch.cat([parameter.grad.flatten() for parameter in self.parameters if parameter.grad is not None])
        norm = float(torch.linalg.vector_norm(self.whole.grad))
        if norm > bound:
            self.whole.grad.mul_(bound / norm)
        return norm

    def rest(self) -> None:
        """Have no gradient, so that the next step passes it by."""
        self.whole.grad = None
