"""Every compiled term of the loss and its gradient against `learn.loss` and autograd, on random rows."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from headstart.learn import loss
from headstart.learn.compiled import losses as compiled
from headstart.learn.compiled.layers import FORBIDDEN, masked_log_softmax
from headstart.learn.compiled.losses import Coefficients
from headstart.learn.loss import normalised
from headstart.learn.policies import NEAR, Categorical, Gaussian, Policy

ROWS, RECORDED, ACTIONS, DIMENSIONS = 40, 10, 5, 2
NOTHING = Coefficients(clip=0.2, entropy=0.0, kl=0.0, imitation=0.0)
COEFFICIENTS = {
    "surrogate": NOTHING,
    "entropy": NOTHING._replace(entropy=0.3),
    "kl": NOTHING._replace(kl=0.7),
    "imitation": NOTHING._replace(imitation=1.5),
    "all": Coefficients(clip=0.1, entropy=0.3, kl=0.7, imitation=1.5),
}
NO_WEIGHTS = np.zeros(0, np.float32)


def stated(policy: Policy, acted: loss.Acted, imitated: loss.Imitated, coef: Coefficients) -> tuple[Tensor, loss.Terms]:
    """The loss of `learn.loss`."""
    terms = loss.policy_terms(policy, acted, imitated, coef.clip)
    return terms.surrogate - coef.entropy * terms.entropy + coef.kl * terms.kl + coef.imitation * terms.imitation, terms


def some(rows: int, generator: torch.Generator) -> Tensor:
    """Weights of which some are nothing."""
    return normalised((torch.rand(rows, generator=generator) < 0.7).float())


def arrays(acted: loss.Acted, reference: Tensor | None, log_std: Tensor | None = None) -> compiled.Acted:
    """The same rows for compiled code."""
    known = np.zeros((0, acted.log_prob.shape[0]), np.float32) if reference is None else reference.numpy()
    deviation = NO_WEIGHTS if log_std is None else log_std.numpy()
    return compiled.Acted(
        acted.action.numpy(), acted.log_prob.numpy(), acted.advantage.numpy(), acted.weight.numpy(), known, deviation
    )


@pytest.mark.parametrize("coef", COEFFICIENTS.values(), ids=COEFFICIENTS)
@pytest.mark.parametrize("known", [True, False])
def test_a_categorical_policy(coef: Coefficients, known: bool) -> None:
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
    other = torch.log_softmax(torch.where(mask.bool(), torch.randn(rows, ACTIONS, generator=generator), FORBIDDEN), dim=-1)[:ROWS]
    acted = loss.Acted(
        action,
        (policy.rows(torch.arange(ROWS)).log_prob(action) + 0.3 * torch.randn(ROWS, generator=generator)).detach(),
        torch.randn(ROWS, generator=generator),
        some(ROWS, generator),
        Categorical(other) if known else None,
    )
    imitated = loss.Imitated(label, some(rows, generator) if known else torch.zeros(rows))
    expected, terms = stated(policy, acted, imitated, coef)
    (by_output,) = torch.autograd.grad(expected, output)

    taught = compiled.Imitated(label.numpy(), imitated.weight.numpy() if known else NO_WEIGHTS)
    gradient, found = compiled.categorical(
        output.detach().numpy(), mask.numpy(), arrays(acted, other if known else None), taught, coef
    )

    np.testing.assert_allclose(gradient, by_output, atol=1e-6, rtol=1e-4)
    assert tuple(found) == pytest.approx([term.item() for term in terms], abs=1e-5)
    assert np.abs(gradient[mask.numpy() == 0]).max() == 0


@pytest.mark.parametrize("coef", COEFFICIENTS.values(), ids=COEFFICIENTS)
@pytest.mark.parametrize("known", [True, False])
def test_a_gaussian_policy(coef: Coefficients, known: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    rows = ROWS + RECORDED
    output = torch.randn(rows, DIMENSIONS, generator=generator).requires_grad_()
    log_std = torch.tensor([-0.5, 0.2]).requires_grad_()
    policy = Gaussian(output, log_std)
    action = output[:ROWS].detach() + 0.5 * torch.randn(ROWS, DIMENSIONS, generator=generator)
    other, deviation = torch.randn(ROWS, DIMENSIONS, generator=generator), torch.tensor([-0.2, -0.3])
    acted = loss.Acted(
        action,
        (policy.rows(torch.arange(ROWS)).log_prob(action) + 0.3 * torch.randn(ROWS, generator=generator)).detach(),
        torch.randn(ROWS, generator=generator),
        some(ROWS, generator),
        Gaussian(other, deviation) if known else None,
    )
    label = output.detach().clamp(-1, 1) + 0.2 * torch.randn(rows, DIMENSIONS, generator=generator)
    imitated = loss.Imitated(label, some(rows, generator) if known else torch.zeros(rows))
    expected, terms = stated(policy, acted, imitated, coef)
    by_output, by_log_std = torch.autograd.grad(expected, [output, log_std])

    taught = compiled.Imitated(label.numpy(), imitated.weight.numpy() if known else NO_WEIGHTS)
    rows_acted = arrays(acted, other, deviation) if known else arrays(acted, None)
    gradient, slope, found = compiled.gaussian(output.detach().numpy(), log_std.detach().numpy(), rows_acted, taught, coef, NEAR)

    np.testing.assert_allclose(gradient, by_output, atol=1e-6, rtol=1e-4)
    np.testing.assert_allclose(slope, by_log_std, atol=1e-6, rtol=1e-4)
    assert tuple(found) == pytest.approx([term.item() for term in terms], abs=1e-5)


@pytest.mark.parametrize("clip", [math.inf, 0.2])
def test_the_value_loss(clip: float) -> None:
    generator = torch.Generator().manual_seed(0)
    value, returns, before = (torch.randn(50, generator=generator) for _ in range(3))
    value.requires_grad_()
    expected = loss.value_loss(value, returns, before, clip)
    (by_value,) = torch.autograd.grad(expected, value)

    found = np.empty((50, 1), np.float32)
    total = compiled.value_loss(value.detach().numpy()[:, None], returns.numpy(), before.numpy(), clip, found)

    assert total == pytest.approx(expected.item())
    np.testing.assert_allclose(found[:, 0], by_value, atol=1e-7)


def test_rows_that_do_not_count_may_hold_anything() -> None:
    output = np.array([[0.1, 0.2], [math.nan, math.inf]], np.float32)
    acted = loss.Acted(torch.tensor([0, 1]), torch.tensor([-0.7, 5.0]), torch.ones(2), torch.tensor([1.0, 0.0]))
    nobody = compiled.Imitated(np.zeros(0, np.int64), NO_WEIGHTS)
    gradient, terms = compiled.categorical(output, np.ones((2, 2), np.uint8), arrays(acted, None), nobody, NOTHING)
    assert np.isfinite(terms).all()
    assert gradient[1].tolist() == [0.0, 0.0]


def test_advantages_are_standardised_over_the_rows_that_count() -> None:
    advantage, weight = torch.tensor([1.0, 3.0, 1000.0]), torch.tensor([0.5, 0.5, 0.0])
    found = advantage.numpy().copy()
    compiled.standardise(found, weight.numpy())
    np.testing.assert_allclose(found[:2], [-1.0, 1.0], atol=1e-6)
    np.testing.assert_allclose(found, loss.standardised(advantage, weight), rtol=1e-5)


@pytest.mark.parametrize("actions", [2, 15, 16, 17])
def test_log_policy_is_the_masked_log_softmax(actions: int) -> None:
    output, mask = torch.randn(32, actions), (torch.rand(32, actions) < 0.5).to(torch.uint8)
    mask[:, 0] = 1
    expected = torch.log_softmax(torch.where(mask.bool(), output, FORBIDDEN), dim=-1)
    np.testing.assert_allclose(masked_log_softmax(output.numpy(), mask.numpy()), expected, atol=1e-5, rtol=1e-5)
