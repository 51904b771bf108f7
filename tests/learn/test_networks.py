"""The network's own pieces against torch's."""

from copy import deepcopy

import numpy as np
import pytest
import torch

from headstart.config.params import NetworkParams
from headstart.learn.compiled.layers import LOG_STD_RANGE
from headstart.learn.networks import ActorCritic, tensors
from headstart.learn.policies import Categorical, Gaussian


def obs_of(rows: int, map_shape: tuple[int, int, int] | None = None) -> dict[str, torch.Tensor]:
    obs = {"features": torch.randn(rows, 4), "mask": (torch.rand(rows, 3) < 0.7).to(torch.uint8)}
    obs["mask"][:, 0] = 1
    return obs if map_shape is None else obs | {"map": torch.randint(0, 256, (rows, *map_shape), dtype=torch.uint8)}


@pytest.mark.parametrize("map_shape", [None, (2, 7, 7)])
@pytest.mark.parametrize("continuous", [False, True])
def test_the_compiled_network_says_what_the_differentiable_one_says(
    map_shape: tuple[int, int, int] | None, continuous: bool
) -> None:
    torch.manual_seed(0)
    network = ActorCritic(4, 3, map_shape, NetworkParams(hidden=(8,), normalise=True), continuous)
    obs = obs_of(6, map_shape)
    network.observe(obs)
    theirs, value = network(network.normalised(obs), 4, actor_learns=True)

    found = network.policy(obs)
    torch.testing.assert_close(network.value(obs)[:4], value.detach())
    assert theirs is not None
    assert type(found) is type(theirs) is (Gaussian if continuous else Categorical)
    torch.testing.assert_close(found.output, theirs.output.detach())
    if isinstance(found, Gaussian) and isinstance(theirs, Gaussian):
        torch.testing.assert_close(found.log_std, theirs.log_std.detach())


def test_what_was_said_stays_when_the_network_is_asked_again() -> None:
    network = ActorCritic(4, 3, None, NetworkParams(hidden=(8,)))
    first, second = obs_of(6), obs_of(6)
    value = network.value(first)
    before = value.clone()
    network.value(second)
    assert torch.equal(value, before)


def test_a_copy_has_weights_of_its_own_that_compiled_code_reads() -> None:
    network = ActorCritic(4, 3, None, NetworkParams(hidden=(8,)))
    copied, obs = deepcopy(network), obs_of(5)
    torch.testing.assert_close(copied.value(obs), network.value(obs))
    with torch.no_grad():
        for parameter in copied.parameters():
            parameter.mul_(2.0)
    assert not torch.allclose(copied.value(obs), network.value(obs))
    _, value = copied(obs, 5, actor_learns=False)
    torch.testing.assert_close(copied.value(obs), value.detach())


def test_a_deviation_at_its_bound_does_not_learn_beyond_it() -> None:
    network = ActorCritic(4, 2, None, NetworkParams(hidden=(8,)), continuous=True)
    assert network.log_std is not None
    with torch.no_grad():
        network.log_std.copy_(torch.tensor([9.0, -1.0]))
    policy, _ = network(obs_of(6), 6, actor_learns=True)
    assert isinstance(policy, Gaussian)
    policy.log_std.sum().backward()
    torch.testing.assert_close(policy.log_std.detach(), torch.tensor([LOG_STD_RANGE[1], -1.0]))
    torch.testing.assert_close(network.log_std.grad, torch.tensor([0.0, 1.0]))


def test_a_small_change_of_a_feature_that_never_varied_stays_small() -> None:
    network = ActorCritic(2, 2, None, NetworkParams(hidden=(8,), normalise=True))
    network.observe({"features": torch.tensor([[0.1, 0.0], [0.1, 2.0]]).repeat(50, 1)})
    seen = network.normalised({"features": torch.tensor([[0.101, 1.0], [0.1, 2.0]])})["features"]
    torch.testing.assert_close(seen, torch.tensor([[0.001, 0.0], [0.0, 1.0]]), atol=1e-6, rtol=1e-6)


def test_the_normaliser_merges_moments_and_travels_with_the_weights() -> None:
    rows = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 5.0, 0.0]) + 2.0
    network = ActorCritic(3, 2, None, NetworkParams(hidden=(8,), normalise=True))
    assert network.normaliser is not None
    for part in rows.split(300):
        network.observe({"features": part})

    np.testing.assert_allclose(network.normaliser.mean, rows.double().mean(dim=0))
    np.testing.assert_allclose(network.normaliser.variance, rows.double().var(dim=0, correction=0), atol=1e-12)
    normalised = network.normaliser(rows)
    torch.testing.assert_close(normalised[:, :2].std(dim=0, correction=0), torch.ones(2), atol=1e-3, rtol=0)
    assert normalised[:, 2].abs().max() < 1e-2  # a feature that never varies says nothing
    assert "normaliser.mean" in tensors(network)


@pytest.mark.parametrize(("size", "layers"), [(7, 1), (35, 1), (36, 3), (84, 3), (97, 3)])
def test_a_map_of_any_size_is_encoded_and_every_weight_learns(size: int, layers: int) -> None:
    network = ActorCritic(2, 3, (4, size, size), NetworkParams(hidden=(8,)))
    obs = {"features": torch.zeros(2, 2), "mask": torch.ones(2, 3, dtype=torch.uint8)}
    obs["map"] = torch.randint(0, 256, (2, 4, size, size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    policy, value = network(obs, 2)
    assert isinstance(policy, Categorical)
    (policy.output[:, 0].sum() + value.sum()).backward()
    assert network.encoder is not None
    assert sum(isinstance(layer, torch.nn.Conv2d) for layer in network.encoder) == layers
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.encoder.parameters())
    torch.testing.assert_close(network.policy(obs).output, policy.output.detach(), atol=1e-5, rtol=1e-4)
