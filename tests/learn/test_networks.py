"""The network's own pieces against torch's."""

from typing import Literal

import numpy as np
import pytest
import torch

from headstart.learn.losses import FORBIDDEN, Gradient
from headstart.learn.networks import LOG_STD_RANGE, MLP, ConflictAwarePolicyNetwork, tensors
from headstart.learn.policies import Categorical
from headstart.params import NetworkParams


def autograd(layers: MLP, x: torch.Tensor) -> torch.Tensor:
    """The same layers by torch's own modules."""
    for module in layers:
        x = module(x)
    return x


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("hidden", [(), (8,), (16, 8)])
def test_outputs_and_gradients_of_the_layers_are_those_of_autograd(
    activation: Literal["tanh", "relu"], hidden: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    network = ConflictAwarePolicyNetwork(5, 3, None, NetworkParams(hidden=hidden, activation=activation), continuous=True)
    layers, x = network.actor, torch.randn(64, 5, requires_grad=True)
    weight = torch.randn(64, 3)
    theirs = autograd(layers, x)
    expected = torch.autograd.grad((theirs * weight).sum(), [x, *layers.parameters()])

    trace = layers.trace(x.detach())
    by_input = layers.backward(trace, weight, inputs=True)

    torch.testing.assert_close(trace[-1], theirs.detach())
    assert by_input is not None
    for mine, its in zip([by_input, *(p.grad for p in layers.parameters())], expected, strict=True):
        torch.testing.assert_close(mine, its, atol=1e-5, rtol=1e-4)


def test_the_map_encoder_learns_from_the_actor_and_from_the_critic() -> None:
    torch.manual_seed(0)
    network = ConflictAwarePolicyNetwork(4, 3, (2, 7, 7), NetworkParams(hidden=(8,)))
    assert network.encoder is not None
    seen = {"features": torch.randn(6, 4), "map": torch.randint(0, 256, (6, 2, 7, 7), dtype=torch.uint8)}
    by_output, by_value = torch.randn(6, 3), torch.randn(4)  # two rows are for the actor alone
    read = torch.cat([seen["features"], network.encoder(seen["map"].float() / 255.0)], dim=-1)
    loss = (autograd(network.actor, read) * by_output).sum() + (autograd(network.critic, read[:4]).squeeze(-1) * by_value).sum()
    expected = torch.autograd.grad(loss, list(network.parameters()))

    for _ in range(2):  # no gradient is left over from the first time
        network.backward(network.trace(seen, valued=4), by_value, Gradient(by_output, None))

    for parameter, its in zip(network.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, its, atol=1e-5, rtol=1e-4)


def test_the_map_encoder_rests_with_the_actor() -> None:
    network = ConflictAwarePolicyNetwork(4, 3, (2, 7, 7), NetworkParams(hidden=(8,)))
    seen = {"features": torch.randn(6, 4), "map": torch.randint(0, 256, (6, 2, 7, 7), dtype=torch.uint8)}
    network.backward(network.trace(seen, 6, acts=False), torch.randn(6), None)
    assert all(parameter.grad is None for parameter in network.policy_parameters())
    assert all(parameter.grad is not None for parameter in network.critic.parameters())


def test_a_deviation_at_its_bound_does_not_learn_beyond_it() -> None:
    network = ConflictAwarePolicyNetwork(4, 2, None, NetworkParams(hidden=(8,)), continuous=True)
    assert network.log_std is not None
    with torch.no_grad():
        network.log_std.copy_(torch.tensor([9.0, -1.0]))
    trace = network.trace({"features": torch.randn(6, 4)}, 6)
    network.backward(trace, torch.zeros(6), Gradient(torch.zeros(6, 2), torch.ones(2)))
    torch.testing.assert_close(trace.log_std, torch.tensor([LOG_STD_RANGE[1], -1.0]))
    torch.testing.assert_close(network.log_std.grad, torch.tensor([0.0, 1.0]))


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
