"""Adam over parameters laid end to end takes the steps that torch's takes over each of them."""

import copy

import torch

from headstart.learn.networks import ConflictAwarePolicyNetwork
from headstart.learn.optimizer import Adam
from headstart.params import NetworkParams


def network() -> ConflictAwarePolicyNetwork:
    torch.manual_seed(0)
    return ConflictAwarePolicyNetwork(3, 2, None, NetworkParams(hidden=(8, 8)), continuous=True)


def slopes(subject: ConflictAwarePolicyNetwork, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in subject.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def test_steps_are_those_of_torch() -> None:
    mine, theirs = network(), network()
    ours = Adam(mine, 0.01, eps=1e-5, weight_decay=0.1)
    torchs = torch.optim.Adam(theirs.parameters(), lr=0.01, eps=1e-5, weight_decay=0.1)
    for seed in range(5):
        slopes(mine, seed)
        slopes(theirs, seed)
        ours.critic.gather()
        ours.policy.gather()
        ours.step()
        torchs.step()
    for (name, value), other in zip(mine.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(value, other, msg=name)


def test_gradients_are_clipped_to_a_common_norm() -> None:
    subject = network()
    optimizer = Adam(subject)
    slopes(subject, 0)
    norm = torch.cat([p.grad.flatten() for p in subject.policy_parameters() if p.grad is not None]).norm().item()

    assert abs(optimizer.policy.gather(norm * 2) - norm) < 1e-4
    assert optimizer.policy.whole.grad is not None
    assert abs(optimizer.policy.whole.grad.norm().item() - norm) < 1e-4
    assert abs(optimizer.policy.gather(0.5) - norm) < 1e-4
    assert abs(optimizer.policy.whole.grad.norm().item() - 0.5) < 1e-5


def test_what_rests_is_passed_by_and_a_copy_is_a_network_of_its_own() -> None:
    subject = network()
    optimizer = Adam(subject)
    slopes(subject, 0)
    before = copy.deepcopy(subject)
    optimizer.critic.gather()
    optimizer.policy.gather()
    optimizer.policy.rest()
    optimizer.step()
    for name, value in subject.named_parameters():
        assert torch.equal(value, before.get_parameter(name)) != name.startswith("critic"), name


def test_weights_that_are_loaded_are_the_ones_that_learn() -> None:
    subject = network()
    optimizer = Adam(subject)
    subject.load_state_dict({name: torch.zeros_like(value) for name, value in subject.state_dict().items()})
    slopes(subject, 0)
    optimizer.critic.gather()
    optimizer.step()
    assert all(0 < value.abs().max() < 0.0011 for value in subject.critic.parameters())
