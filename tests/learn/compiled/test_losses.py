"""Every compiled term of the loss and its gradient against `learn.loss` and autograd, on random rows."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from headstart.learn.compiled import losses as compiled
from headstart.learn.compiled.layers import FORBIDDEN, masked_log_softmax
from headstart.learn.compiled.losses import Coefficients
from headstart.learn.loss import Minibatch, minibatch_loss, normalised, standardised, value_loss
from headstart.learn.policies import Categorical, Gaussian, Policy

ROWS, RECORDED, ACTIONS, DIMENSIONS = 40, 10, 5, 2
NOTHING = Coefficients()
COEFFICIENTS = {
    "surrogate": NOTHING,
    "entropy": NOTHING._replace(entropy_coef=0.3),
    "kl": NOTHING._replace(kl_weight=0.7),
    "imitation": NOTHING._replace(bc_weight=1.5),
    "all": Coefficients(clip_range=0.1, entropy_coef=0.3, kl_weight=0.7, bc_weight=1.5),
}


def stated(policy: Policy, rows: Minibatch, coef: Coefficients) -> tuple[Tensor, list[float]]:
    """The policy's part of the loss of `learn.loss`, and the terms in the order of compiled.Terms."""
    total, terms = minibatch_loss(policy, torch.zeros(ROWS), rows, coef)
    return total, [terms[name].item() for name in compiled.Terms._fields]


def some(rows: int, generator: torch.Generator) -> Tensor:
    """Weights that sum to 1, and of which some are 0."""
    return normalised((torch.rand(rows, generator=generator) < 0.7).float())


def rows_of(policy: Policy, action: Tensor, label: Tensor, reference: Policy | None, imitates: bool) -> Minibatch:
    """Rows of a rollout of which some are clipped, and rows of demonstrations."""
    generator = torch.Generator().manual_seed(1)
    log_prob = policy.rows(slice(ROWS)).log_prob(action) + 0.3 * torch.randn(ROWS, generator=generator)
    return Minibatch(
        action=action,
        log_prob=log_prob.detach(),
        advantage=torch.randn(ROWS, generator=generator),
        returns=torch.zeros(ROWS),
        old_value=torch.zeros(ROWS),
        ppo_weight=some(ROWS, generator),
        reference=reference,
        label=label,
        imitation_weight=some(len(label), generator) if imitates else torch.zeros(len(label)),
    )


def arrays(rows: Minibatch) -> compiled.Minibatch:
    """The same rows for compiled code."""
    reference, log_std = np.zeros((0, 0), np.float32), np.zeros(0, np.float32)
    if rows.reference is not None:
        reference = rows.reference.output.numpy()
    if isinstance(rows.reference, Gaussian):
        log_std = rows.reference.log_std.numpy()
    acting = (part.numpy() for part in (rows.action, rows.log_prob, rows.advantage, rows.ppo_weight))
    return compiled.Minibatch(*acting, reference, log_std, rows.label.numpy(), rows.imitation_weight.numpy())


@pytest.mark.parametrize("coef", COEFFICIENTS.values(), ids=COEFFICIENTS)
@pytest.mark.parametrize("imitates", [True, False])
@pytest.mark.parametrize("has_reference", [True, False])
def test_a_categorical_policy(coef: Coefficients, has_reference: bool, imitates: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    rows = ROWS + RECORDED
    output = (2.0 * torch.randn(rows, ACTIONS, generator=generator)).requires_grad_()
    mask = (torch.rand(rows, ACTIONS, generator=generator) < 0.6).to(torch.uint8)
    mask[:, 0] = 1
    action, label = (torch.zeros(n, dtype=torch.int64) for n in (ROWS, rows))
    for index, allowed in enumerate(mask):
        label[index] = np.random.default_rng(index).choice(np.flatnonzero(allowed))
    action[: ROWS // 2] = label[: ROWS // 2]
    policy = Categorical(torch.log_softmax(torch.where(mask.bool(), output, FORBIDDEN), dim=-1))
    other = torch.log_softmax(torch.where(mask.bool(), torch.randn(rows, ACTIONS, generator=generator), FORBIDDEN), dim=-1)
    minibatch = rows_of(policy, action, label, Categorical(other[:ROWS]) if has_reference else None, imitates)
    expected, terms = stated(policy, minibatch, coef)
    (by_output,) = torch.autograd.grad(expected, output)

    gradient, found = compiled.categorical(output.detach().numpy(), mask.numpy(), arrays(minibatch), coef)

    np.testing.assert_allclose(gradient, by_output, atol=1e-6, rtol=1e-4)
    assert tuple(found) == pytest.approx(terms, abs=1e-5)
    assert np.abs(gradient[mask.numpy() == 0]).max() == 0


@pytest.mark.parametrize("coef", COEFFICIENTS.values(), ids=COEFFICIENTS)
@pytest.mark.parametrize("imitates", [True, False])
@pytest.mark.parametrize("has_reference", [True, False])
def test_a_gaussian_policy(coef: Coefficients, has_reference: bool, imitates: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    rows = ROWS + RECORDED
    output = torch.randn(rows, DIMENSIONS, generator=generator).requires_grad_()
    log_std = torch.tensor([-0.5, 0.2]).requires_grad_()
    policy = Gaussian(output, log_std)
    action = output[:ROWS].detach() + 0.5 * torch.randn(ROWS, DIMENSIONS, generator=generator)
    other = Gaussian(torch.randn(ROWS, DIMENSIONS, generator=generator), torch.tensor([-0.2, -0.3]))
    label = output.detach().clamp(-1, 1) + 0.2 * torch.randn(rows, DIMENSIONS, generator=generator)
    minibatch = rows_of(policy, action, label, other if has_reference else None, imitates)
    expected, terms = stated(policy, minibatch, coef)
    by_output, by_log_std = torch.autograd.grad(expected, [output, log_std])

    gradient, slope, found = compiled.gaussian(output.detach().numpy(), log_std.detach().numpy(), arrays(minibatch), coef)

    np.testing.assert_allclose(gradient, by_output, atol=1e-6, rtol=1e-4)
    np.testing.assert_allclose(slope, by_log_std, atol=1e-6, rtol=1e-4)
    assert tuple(found) == pytest.approx(terms, abs=1e-5)


@pytest.mark.parametrize("clip", [math.inf, 0.2])
def test_the_value_loss(clip: float) -> None:
    generator = torch.Generator().manual_seed(0)
    value, returns, before = (torch.randn(50, generator=generator) for _ in range(3))
    value.requires_grad_()
    expected = value_loss(value, returns, before, clip)
    (by_value,) = torch.autograd.grad(expected, value)

    found = np.empty((50, 1), np.float32)
    total = compiled.value_loss(value.detach().numpy()[:, None], returns.numpy(), before.numpy(), clip, found)

    assert total == pytest.approx(expected.item())
    np.testing.assert_allclose(found[:, 0], by_value, atol=1e-7)


def test_rows_that_do_not_count_may_hold_anything() -> None:
    output = np.array([[0.1, 0.2], [math.nan, math.inf]], np.float32)
    label, nothing = torch.tensor([0, 1]), torch.zeros(2)
    rows = Minibatch(
        label, torch.tensor([-0.7, 5.0]), nothing + 1, nothing, nothing, torch.tensor([1.0, 0.0]), None, label, nothing
    )
    gradient, terms = compiled.categorical(output, np.ones((2, 2), np.uint8), arrays(rows), NOTHING)
    assert np.isfinite(terms).all()
    assert gradient[1].tolist() == [0.0, 0.0]


def test_advantages_are_standardised_over_the_rows_that_count() -> None:
    advantage, weight = torch.tensor([1.0, 3.0, 1000.0]), torch.tensor([0.5, 0.5, 0.0])
    found = advantage.numpy().copy()
    compiled.standardise(found, weight.numpy())
    np.testing.assert_allclose(found[:2], [-1.0, 1.0], atol=1e-6)
    np.testing.assert_allclose(found, standardised(advantage, weight), rtol=1e-5)


@pytest.mark.parametrize("actions", [2, 15, 16, 17])
def test_log_policy_is_the_masked_log_softmax(actions: int) -> None:
    output, mask = torch.randn(32, actions), (torch.rand(32, actions) < 0.5).to(torch.uint8)
    mask[:, 0] = 1
    expected = torch.log_softmax(torch.where(mask.bool(), output, FORBIDDEN), dim=-1)
    np.testing.assert_allclose(masked_log_softmax(output.numpy(), mask.numpy()), expected, atol=1e-5, rtol=1e-5)
