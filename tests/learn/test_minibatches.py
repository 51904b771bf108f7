"""The compiled loop learns what torch's autograd does from the same minibatches."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from headstart.config.params import NetworkParams
from headstart.learn.compiled.losses import Coefficients
from headstart.learn.compiled.minibatches import LOG
from headstart.learn.demonstrations import Demonstrations
from headstart.learn.minibatches import Batch, _by_autograd, imitated_rows, learn, minibatches, plan_of
from headstart.learn.networks import ActorCritic, tensors
from headstart.learn.optimizer import Adam

ROWS, RECORDED, EPOCHS, SIZE, ACTIONS = 200, 60, 2, 64, 4
ALL = Coefficients(clip=0.1, entropy=0.05, kl=0.3, imitation=0.7)


def network(seed: int, reals: bool = False, normalise: bool = False) -> ActorCritic:
    torch.manual_seed(seed)
    return ActorCritic(6, ACTIONS, None, NetworkParams(hidden=(16, 8), normalise=normalise), continuous=reals)


def rows_of(count: int, reals: bool, generator: torch.Generator) -> tuple[dict[str, Tensor], Tensor]:
    """What is seen, and a choice that is allowed there."""
    features = torch.randn(count, 6, generator=generator)
    if reals:
        return {"features": features}, torch.randn(count, ACTIONS, generator=generator).clamp(-1, 1)
    mask = (torch.rand(count, ACTIONS, generator=generator) < 0.7).to(torch.uint8)
    mask[:, 0] = 1
    return {"features": features, "mask": mask}, (torch.rand(mask.shape, generator=generator) * mask).argmax(dim=1)


def batch_of(reals: bool, known: bool, labelled: bool) -> Batch:
    generator = torch.Generator().manual_seed(3)
    obs, action = rows_of(ROWS, reals, generator)
    acting = network(1, reals)
    batch = Batch(
        obs=obs,
        action=action,
        log_prob=acting.policy(obs).log_prob(action) + 0.1 * torch.randn(ROWS, generator=generator),
        advantage=torch.randn(ROWS, generator=generator),
        returns=torch.randn(ROWS, generator=generator),
        value=torch.randn(ROWS, generator=generator),
        has_choice=(torch.rand(ROWS, generator=generator) < 0.8).float(),
        reference=network(2, reals).policy(obs) if known else None,
    )
    if labelled:
        batch.label, batch.imitated = action.roll(0), (torch.rand(ROWS, generator=generator) < 0.5).float()
    return batch


def recorded_rows(reals: bool) -> Demonstrations:
    generator = torch.Generator().manual_seed(4)
    obs, label = rows_of(RECORDED, reals, generator)
    return Demonstrations(obs, label, torch.zeros(RECORDED), (torch.rand(RECORDED, generator=generator) < 0.9).float())


@pytest.mark.parametrize("reals", [False, True], ids=["actions", "reals"])
@pytest.mark.parametrize(
    ("known", "labelled", "beside", "changes"),
    [
        (False, False, False, {}),
        (True, False, False, {"normalises": True, "value_clip": 0.2}),
        (True, True, False, {"max_grad_norm": 0.01, "max_grad_norm_value": 0.02}),
        (True, False, True, {"normalises": True, "value_coef": 0.5}),
        (True, True, True, {"target_kl": 0.001}),
        (False, False, False, {"acts": False}),
    ],
    ids=["plain", "normalised, value clipped", "clipped", "recorded", "stopped by its divergence", "critic alone"],
)
def test_both_ways_end_with_the_same_weights_and_say_the_same(
    reals: bool, known: bool, labelled: bool, beside: bool, changes: dict[str, Any]
) -> None:
    batch, recorded = batch_of(reals, known, labelled), recorded_rows(reals) if beside else None
    rates = np.linspace(0.01, 0.001, minibatches(ROWS, SIZE, EPOCHS))
    ours, theirs = network(5, reals), network(5, reals)
    mine, its = Adam(ours, weight_decay=0.01), Adam(theirs, weight_decay=0.01)
    plan = plan_of(ours, SIZE, ALL, **changes)

    log = learn(ours, mine, batch, recorded, EPOCHS, rates, plan, torch.Generator().manual_seed(0))

    generator = torch.Generator().manual_seed(0)
    index = torch.stack([torch.randperm(ROWS, generator=generator) for _ in range(EPOCHS)])
    drawn = torch.randint(RECORDED, index.shape, generator=generator) if beside else None
    said = _by_autograd(theirs, its, batch, recorded, index, drawn, rates, plan)
    np.testing.assert_allclose(log, said, atol=2e-3, rtol=2e-3)
    for name, value in tensors(theirs).items():
        np.testing.assert_allclose(tensors(ours)[name], value, atol=2e-4, err_msg=name)
    assert mine.steps.tolist() == its.steps.tolist()
    assert log[:, LOG.index("rows")].tolist() == [64, 64, 64, 8] * EPOCHS
    if "target_kl" in changes:
        assert 0 < log[:, LOG.index("acts")].sum() < len(log)  # the policy rests, and the critic goes on


@pytest.mark.parametrize("spoilt", ["advantage", "returns"])
def test_a_step_that_is_not_finite_is_not_made(spoilt: str) -> None:
    batch = replace(batch_of(False, False, False), **{spoilt: torch.full((ROWS,), math.nan)})
    subject = network(5)
    before = {name: value.copy() for name, value in tensors(subject).items()}
    optimizer = Adam(subject)
    log = learn(
        subject, optimizer, batch, None, 1, np.full(4, 0.01), plan_of(subject, SIZE, ALL), torch.Generator().manual_seed(0)
    )
    assert log[:, LOG.index("finite")].sum() == 0
    assert all((value == before[name]).all() for name, value in tensors(subject).items())
    assert optimizer.steps.tolist() == [0, 0]


def test_what_is_imitated_is_the_experts_choice_in_the_rollout_and_the_recorded_ones() -> None:
    batch, rows = batch_of(False, False, False), torch.tensor([3, 5])
    recorded = Demonstrations({}, torch.tensor([1, 1]), torch.zeros(2), torch.tensor([1.0, 0.0]))
    assert imitated_rows(batch, rows, None)[1].tolist() == [0, 0]
    assert imitated_rows(batch, rows, recorded)[0].tolist() == [*batch.action[rows].tolist(), 1, 1]
    assert imitated_rows(batch, rows, recorded)[1].tolist() == [0, 0, 1, 0]

    batch.label, batch.imitated = batch.action + 1, torch.ones(ROWS)
    assert imitated_rows(batch, rows, None)[0].tolist() == (batch.action[rows] + 1).tolist()
    assert imitated_rows(batch, rows, recorded)[1].tolist() == [1, 1, 1, 0]


def test_a_map_is_encoded_by_torch_and_its_encoder_rests_with_the_policy() -> None:
    torch.manual_seed(0)
    subject = ActorCritic(6, ACTIONS, (2, 7, 7), NetworkParams(hidden=(8,)))
    batch = batch_of(False, True, True)
    batch.obs["map"] = torch.randint(0, 256, (ROWS, 2, 7, 7), dtype=torch.uint8)
    before = {name: value.copy() for name, value in tensors(subject).items()}

    def moved(acts: bool) -> set[str]:
        plan = plan_of(subject, SIZE, ALL, acts=acts)
        learn(subject, Adam(subject), batch, None, 1, np.full(4, 0.01), plan, torch.Generator().manual_seed(0))
        return {name.split(".")[0] for name, value in tensors(subject).items() if (value != before[name]).any()}

    assert moved(acts=False) == {"critic"}
    assert moved(acts=True) == {"actor", "critic", "encoder"}
