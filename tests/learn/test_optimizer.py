"""Adam over parameters that lie end to end takes the steps that torch's takes over each of them."""

import math

import numpy as np
import pytest
import torch

from headstart.config.params import NetworkParams
from headstart.learn.networks import ActorCritic
from headstart.learn.optimizer import Adam

UNBOUNDED = (math.inf, math.inf)


def network(map_shape: tuple[int, int, int] | None = None) -> ActorCritic:
    torch.manual_seed(0)
    return ActorCritic(3, 2, map_shape, NetworkParams(hidden=(8, 8)), continuous=True)


def slopes(subject: ActorCritic, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in subject.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


@pytest.mark.parametrize("map_shape", [None, (2, 7, 7)])
def test_steps_are_those_of_torch(map_shape: tuple[int, int, int] | None) -> None:
    mine, theirs = network(map_shape), network(map_shape)
    ours = Adam(mine, eps=1e-5, weight_decay=0.1)
    torchs = torch.optim.Adam(theirs.parameters(), lr=0.01, eps=1e-5, weight_decay=0.1)
    for seed in range(5):
        slopes(mine, seed)
        slopes(theirs, seed)
        ours.step(mine, 0.01, ours.gather(mine, True), UNBOUNDED, True)
        torchs.step()
    for (name, value), other in zip(mine.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(value, other, msg=name, atol=1e-6, rtol=1e-5)


def test_gradients_are_clipped_to_a_common_norm() -> None:
    subject, free = network(), network()
    optimizer, other = Adam(subject), Adam(free)
    slopes(subject, 0)
    slopes(free, 0)
    policy = [*free.actor.parameters(), free.log_std]
    norm = torch.cat([p.grad.flatten() for p in policy if p is not None and p.grad is not None]).norm().item()
    norms = optimizer.gather(subject, True)
    assert norms[1] == pytest.approx(norm, rel=1e-5)
    optimizer.step(subject, 0.01, norms, (math.inf, norm / 4), True)
    other.step(free, 0.01, other.gather(free, True), UNBOUNDED, True)
    np.testing.assert_allclose(optimizer.actor.first, other.actor.first / 4, rtol=1e-5)
    np.testing.assert_allclose(optimizer.deviation.first, other.deviation.first / 4, rtol=1e-5)
    np.testing.assert_array_equal(optimizer.critic.first, other.critic.first)


def test_a_policy_that_rests_is_passed_by() -> None:
    subject = network()
    before = {name: value.clone() for name, value in subject.state_dict().items()}
    optimizer = Adam(subject)
    slopes(subject, 0)
    optimizer.step(subject, 0.01, optimizer.gather(subject, False), UNBOUNDED, False)
    assert optimizer.steps.tolist() == [1, 0]
    for name, value in subject.named_parameters():
        assert torch.equal(value, before[name]) != name.startswith("critic"), name


def test_its_state_brings_back_the_same_steps() -> None:
    subject, other = network(), network()
    optimizer, fresh = Adam(subject), Adam(other)
    for seed in range(3):
        slopes(subject, seed)
        optimizer.step(subject, 0.01, optimizer.gather(subject, True), UNBOUNDED, True)
    other.load_state_dict(subject.state_dict())
    fresh.restore(optimizer.state())
    for one, of in ((subject, optimizer), (other, fresh)):
        slopes(one, 9)
        of.step(one, 0.01, of.gather(one, True), UNBOUNDED, True)
    assert all(torch.equal(a, b) for a, b in zip(subject.parameters(), other.parameters(), strict=True))
