"""The network's own pieces against torch's."""

import numpy as np
import torch

from headstart.learn.networks import FORBIDDEN, ConflictAwarePolicyNetwork, Tanh
from headstart.params import NetworkParams


def test_tanh_and_its_gradient_are_those_of_torch() -> None:
    x = torch.linspace(-9, 9, 1001)
    mine, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()

    y = Tanh()(mine * 1.0)
    y.square().sum().backward()
    torch.tanh(theirs).square().sum().backward()

    torch.testing.assert_close(y, torch.tanh(x))
    torch.testing.assert_close(mine.grad, theirs.grad)


def test_log_policy_is_the_masked_log_softmax_whatever_the_number_of_actions() -> None:
    for actions in (2, 15, 16, 17):
        network = ConflictAwarePolicyNetwork(4, actions, None, NetworkParams(hidden=(8,)))
        features = torch.randn(32, 4)
        mask = (torch.rand(32, actions) < 0.5).to(torch.uint8)
        mask[:, 0] = 1

        found = network.log_policy({"features": features, "mask": mask})

        expected = torch.log_softmax(torch.where(mask.bool(), network.actor(features), FORBIDDEN), dim=-1)
        assert found.shape == (32, actions)
        torch.testing.assert_close(found, expected)
        np.testing.assert_allclose(found.detach().exp().sum(dim=-1), 1.0, rtol=1e-5)
