"""The network's own pieces against torch's."""

import numpy as np
import torch

from headstart.learn.networks import FORBIDDEN, ConflictAwarePolicyNetwork, Tanh, tensors
from headstart.learn.policies import Categorical
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

        policy = network.policy({"features": features, "mask": mask})
        assert isinstance(policy, Categorical)
        found = policy.log_policy

        expected = torch.log_softmax(torch.where(mask.bool(), network.actor(features), FORBIDDEN), dim=-1)
        assert found.shape == (32, actions)
        torch.testing.assert_close(found, expected)
        np.testing.assert_allclose(found.detach().exp().sum(dim=-1), 1.0, rtol=1e-5)


def test_the_normaliser_merges_moments_and_travels_with_the_weights() -> None:
    rows = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 5.0, 0.0]) + 2.0
    network = ConflictAwarePolicyNetwork(3, 2, None, NetworkParams(hidden=(8,), normalise=True))
    assert network.normaliser is not None
    for part in rows.split(300):
        network.observe({"features": part})

    np.testing.assert_allclose(network.normaliser.mean, rows.double().mean(dim=0))
    np.testing.assert_allclose(network.normaliser.variance, rows.double().var(dim=0, correction=0), atol=1e-12)
    normalised = network.normaliser(rows)
    torch.testing.assert_close(normalised[:, :2].std(dim=0, correction=0), torch.ones(2), atol=1e-3, rtol=0)
    assert normalised[:, 2].abs().max() < 1e-2  # a feature that never varies says nothing
    assert "normaliser.mean" in tensors(network)
