"""The compiled Adam takes torch's steps, and its moments go to torch's optimiser and come back."""

import numpy as np
import pytest
import torch

from headstart.config.params import NetworkParams
from headstart.core.errors import UsageError
from headstart.learn.compiled.minibatches import adam
from headstart.learn.networks import ActorCritic
from headstart.learn.optimizer import Adam, autograd_device


def network(map_shape: tuple[int, int, int] | None = None) -> ActorCritic:
    torch.manual_seed(0)
    return ActorCritic(3, 2, map_shape, NetworkParams(hidden=(8, 8)), continuous=True)


def set_gradients(subject: ActorCritic, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in subject.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def test_steps_are_those_of_torch() -> None:
    mine, theirs = network(), network()
    critic = Adam(mine).parts.critic
    torchs = torch.optim.Adam(theirs.critic.parameters(), lr=0.01, eps=1e-5, weight_decay=0.1)
    for step in range(1, 6):
        set_gradients(theirs, step)
        critic.gradient[:] = torch.cat([p.grad.flatten() for p in theirs.critic.parameters() if p.grad is not None])
        adam(critic, 0.01, step, 1.0, 1e-5, 0.1)
        torchs.step()
    for (name, value), other in zip(mine.critic.named_parameters(), theirs.critic.parameters(), strict=True):
        torch.testing.assert_close(value, other, msg=name, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("map_shape", [None, (2, 7, 7)])
def test_moments_go_to_torch_and_come_back(map_shape: tuple[int, int, int] | None) -> None:
    subject, whole = network(map_shape), network(map_shape)
    optimizer = Adam(subject, eps=1e-4, weight_decay=0.1)
    other = torch.optim.Adam(whole.parameters(), lr=0.01, eps=1e-4, weight_decay=0.1)
    for seed in range(4):
        lent = optimizer.to_torch(subject)
        lent.param_groups[0]["lr"] = 0.01
        for parameters, of in ((subject, lent), (whole, other)):
            set_gradients(parameters, seed)
            of.step()
        optimizer.from_torch(lent, subject)
    assert all(torch.equal(a, b) for a, b in zip(subject.parameters(), whole.parameters(), strict=True))
    assert optimizer.parts.steps.tolist() == [4, 4]


def test_a_policy_that_has_no_gradient_keeps_its_moments_and_its_count() -> None:
    subject = network()
    optimizer = Adam(subject)
    lent = optimizer.to_torch(subject)
    for parameter in subject.critic.parameters():
        parameter.grad = torch.ones_like(parameter)
    lent.step()
    optimizer.from_torch(lent, subject)
    assert optimizer.parts.steps.tolist() == [1, 0]
    assert optimizer.parts.critic.first.all()
    assert not optimizer.parts.actor.first.any()


@pytest.mark.parametrize("map_shape", [None, (2, 7, 7)])
def test_its_state_brings_back_the_same_moments(map_shape: tuple[int, int, int] | None) -> None:
    subject = network(map_shape)
    optimizer, fresh = Adam(subject), Adam(subject)
    lent = optimizer.to_torch(subject)
    set_gradients(subject, 0)
    lent.step()
    optimizer.from_torch(lent, subject)
    fresh.restore(optimizer.state())
    kept = fresh.state()
    assert {name.split(".")[0] for name in kept} >= {"critic", "actor", "deviation", "steps"}
    assert ("encoder.first" in kept) == (map_shape is not None)
    for name, value in optimizer.state().items():
        assert value.any(), name
        np.testing.assert_array_equal(kept[name], value)


@pytest.mark.parametrize(
    ("wanted", "has_gpu", "expected"),
    [("cpu", True, None), ("cpu", False, None), ("auto", False, None), ("auto", True, "cuda"), ("cuda", True, "cuda")],
)
def test_where_torch_learns(monkeypatch: pytest.MonkeyPatch, wanted: str, has_gpu: bool, expected: str | None) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    found = autograd_device(wanted)  # type: ignore[arg-type]
    assert found == (None if expected is None else torch.device(expected))


def test_a_gpu_that_is_not_there_is_an_error_that_names_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match=r"device: expected a GPU .* got none; set device: cpu"):
        autograd_device("cuda")
