"""Compiled code and torch's autograd learn the same from the same minibatches."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from headstart.config.params import NetworkParams
from headstart.config.schedule import Ramp
from headstart.learn.compiled.losses import Coefficients
from headstart.learn.compiled.minibatches import Plan
from headstart.learn.demonstrations import Demonstrations
from headstart.learn.minibatches import Batch, _minibatch, learn
from headstart.learn.networks import ActorCritic, tensors
from headstart.learn.optimizer import Adam

ROWS, RECORDED, EPOCHS, SIZE, ACTIONS = 200, 60, 2, 64, 4
ALL = Coefficients(clip_range=0.1, entropy_coef=0.05, kl_weight=0.3, bc_weight=0.7)
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")  # of autograd


def network(seed: int, continuous: bool = False, normalise: bool = False) -> ActorCritic:
    torch.manual_seed(seed)
    return ActorCritic(6, ACTIONS, None, NetworkParams(hidden=(16, 8), normalise=normalise), continuous=continuous)


def rows_of(count: int, continuous: bool, generator: torch.Generator) -> tuple[dict[str, Tensor], Tensor]:
    """Observations, and a choice that is allowed there."""
    features = torch.randn(count, 6, generator=generator)
    if continuous:
        return {"features": features}, torch.randn(count, ACTIONS, generator=generator).clamp(-1, 1)
    mask = (torch.rand(count, ACTIONS, generator=generator) < 0.7).to(torch.uint8)
    mask[:, 0] = 1
    return {"features": features, "mask": mask}, (torch.rand(mask.shape, generator=generator) * mask).argmax(dim=1)


def batch_of(continuous: bool, known: bool, labelled: bool) -> Batch:
    generator = torch.Generator().manual_seed(3)
    obs, action = rows_of(ROWS, continuous, generator)
    acting = network(1, continuous)
    counts = torch.rand(ROWS, generator=generator) < 0.5
    return Batch(
        obs=obs,
        action=action,
        log_prob=acting.policy(obs).log_prob(action) + 0.1 * torch.randn(ROWS, generator=generator),
        advantage=torch.randn(ROWS, generator=generator),
        returns=torch.randn(ROWS, generator=generator),
        value=torch.randn(ROWS, generator=generator),
        has_choice=(torch.rand(ROWS, generator=generator) < 0.8).float(),
        label=action.roll(0),
        imitated=(counts & torch.tensor(labelled)).float(),
        reference=network(2, continuous).policy(obs) if known else None,
    )


def recorded_rows(continuous: bool) -> Demonstrations:
    generator = torch.Generator().manual_seed(4)
    obs, label = rows_of(RECORDED, continuous, generator)
    return Demonstrations(obs, label, torch.zeros(RECORDED), (torch.rand(RECORDED, generator=generator) < 0.9).float())


@pytest.mark.parametrize("continuous", [False, True], ids=["categorical", "gaussian"])
@pytest.mark.parametrize(
    ("known", "labelled", "beside", "coef", "changes"),
    [
        (False, False, False, {}, {}),
        (True, False, False, {"value_clip": 0.2}, {"normalises_advantage": True}),
        (True, True, False, {}, {"max_grad_norm": 0.01, "max_grad_norm_value": 0.02}),
        (True, False, True, {"value_coef": 0.5}, {"normalises_advantage": True}),
        (True, True, True, {}, {"target_kl": 0.001}),
        (False, False, False, {}, {"actor_learns": False}),
    ],
    ids=["plain", "normalised, value clipped", "gradients clipped", "demonstrations", "stopped by target_kl", "critic alone"],
)
def test_both_ways_end_with_the_same_weights_and_log_the_same(
    continuous: bool, known: bool, labelled: bool, beside: bool, coef: dict[str, float], changes: dict[str, Any]
) -> None:
    batch, recorded = batch_of(continuous, known, labelled), recorded_rows(continuous) if beside else None
    rate = Ramp.model_validate({"from": 0.01, "to": 0.001})
    plan = Plan(SIZE, ALL._replace(**coef), **changes)
    fast, readable = network(5, continuous), network(5, continuous)
    ours, theirs = Adam(fast, weight_decay=0.01), Adam(readable, weight_decay=0.01, device=DEVICE)

    log = learn(fast, ours, batch, recorded, plan, EPOCHS, rate, torch.Generator().manual_seed(0))
    other = learn(readable, theirs, batch, recorded, plan, EPOCHS, rate, torch.Generator().manual_seed(0))

    for name, values in other.items():
        np.testing.assert_allclose(log[name], values, atol=2e-3, rtol=2e-3, err_msg=name)
    for name, value in tensors(readable).items():
        np.testing.assert_allclose(tensors(fast)[name], value, atol=2e-4, err_msg=name)
    for name, value in theirs.state().items():
        np.testing.assert_allclose(ours.state()[name], value, atol=2e-4, err_msg=name)
    assert log["rows"].tolist() == [64, 64, 64, 8] * EPOCHS
    if "target_kl" in changes:
        assert 0 < log["actor_learns"].sum() < len(log["rows"])  # the policy rests, and the critic goes on


@pytest.mark.parametrize("device", [None, DEVICE], ids=["compiled", "autograd"])
@pytest.mark.parametrize("spoilt", ["advantage", "returns"])
def test_a_step_that_is_not_finite_is_not_made(spoilt: str, device: torch.device | None) -> None:
    batch = replace(batch_of(False, False, False), **{spoilt: torch.full((ROWS,), math.nan)})
    subject = network(5)
    before = {name: value.copy() for name, value in tensors(subject).items()}
    optimizer = Adam(subject, device=device)
    log = learn(subject, optimizer, batch, None, Plan(SIZE, ALL), 1, Ramp.model_validate(0.01), torch.Generator().manual_seed(0))
    assert log["finite"].sum() == 0
    assert all((value == before[name]).all() for name, value in tensors(subject).items())
    assert optimizer.parts.steps.tolist() == [0, 0]


def test_the_experts_choice_is_imitated_in_the_rollout_and_in_demonstrations() -> None:
    batch, pick = batch_of(False, False, False), torch.tensor([3, 5])
    obs = {name: values[:2] for name, values in batch.obs.items()}
    demonstrated = Demonstrations(obs, torch.tensor([1, 1]), torch.zeros(2), torch.tensor([1.0, 0.0]))
    found, rows, labels = _minibatch(batch, pick, demonstrated, False)
    assert (rows.imitation_weight.tolist(), float(labels)) == ([0, 0, 1, 0], 1.0)
    assert rows.label.tolist() == [*batch.label[pick].tolist(), 1, 1]
    assert len(found["features"]) == 4

    batch = replace(batch, label=batch.action + 1, imitated=torch.ones(ROWS))
    _, rows, labels = _minibatch(batch, pick, None, False)
    assert (rows.label.tolist(), rows.imitation_weight.tolist()) == ((batch.action[pick] + 1).tolist(), [0.5, 0.5])
    _, rows, labels = _minibatch(batch, pick, demonstrated, False)
    assert rows.imitation_weight.tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])


def test_a_map_is_encoded_by_torch_and_its_encoder_rests_with_the_policy() -> None:
    torch.manual_seed(0)
    subject = ActorCritic(6, ACTIONS, (2, 7, 7), NetworkParams(hidden=(8,)))
    batch = batch_of(False, True, True)
    batch.obs["map"] = torch.randint(0, 256, (ROWS, 2, 7, 7), dtype=torch.uint8)
    before = {name: value.copy() for name, value in tensors(subject).items()}

    def moved(actor_learns: bool) -> set[str]:
        plan = Plan(SIZE, ALL, actor_learns=actor_learns)
        learn(subject, Adam(subject), batch, None, plan, 1, Ramp.model_validate(0.01), torch.Generator().manual_seed(0))
        return {name.split(".")[0] for name, value in tensors(subject).items() if (value != before[name]).any()}

    assert moved(actor_learns=False) == {"critic"}
    assert moved(actor_learns=True) == {"actor", "critic", "encoder"}
