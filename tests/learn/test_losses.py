"""Every term of the loss and its gradient against autograd, on random rows."""

import numpy as np
import pytest
import torch
from torch import Tensor

from headstart.learn.losses import FORBIDDEN, Acted, Coefficients, Taught, policy_terms, shares
from headstart.learn.policies import Categorical, Gaussian, Policy

ROWS, RECORDED, ACTIONS, DIMENSIONS = 40, 10, 5, 2
NOTHING = Coefficients(clip=0.2)
COEFFICIENTS = {
    "surrogate": NOTHING,
    "entropy": NOTHING._replace(entropy=0.3),
    "kl": NOTHING._replace(kl=0.7),
    "miss": NOTHING._replace(miss=1.5),
    "all": Coefficients(clip=0.1, entropy=0.3, kl=0.7, miss=1.5),
}


def expected(policy: Policy, acted: Acted, taught: Taught | None, coef: Coefficients) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss as the papers write it, on the quantities that policies know."""
    here = policy.rows(torch.arange(len(acted.share)))
    log_ratio = here.log_prob(acted.action) - acted.log_prob
    ratio = log_ratio.exp()
    clipped = ratio.clamp(1.0 - coef.clip, 1.0 + coef.clip)
    terms = {
        "surrogate": -(acted.share * torch.minimum(ratio * acted.advantage, clipped * acted.advantage)).sum(),
        "entropy": (acted.share * here.entropy()).sum(),
        "divergence": (acted.share * (ratio - 1.0 - log_ratio)).sum(),
        "clipped": (acted.share * ((ratio - 1.0).abs() > coef.clip)).sum(),
        "kl": torch.zeros(()) if acted.reference is None else (acted.share * here.kl(acted.reference)).sum(),  # type: ignore[arg-type]
        "miss": torch.zeros(()) if taught is None else (taught.share * policy.miss(taught.label)).sum(),
        "right": torch.zeros(()) if taught is None else (taught.share * policy.agrees(taught.label)).sum(),
    }
    loss = terms["surrogate"] - coef.entropy * terms["entropy"] + coef.kl * terms["kl"] + coef.miss * terms["miss"]
    return loss, terms


def some(rows: int, generator: torch.Generator) -> Tensor:
    """Shares of which some are nothing."""
    return shares((torch.rand(rows, generator=generator) < 0.7).float())


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
    other = Categorical(
        torch.log_softmax(torch.where(mask.bool(), torch.randn(rows, ACTIONS, generator=generator), FORBIDDEN), dim=-1)
    ).rows(torch.arange(ROWS))
    acted = Acted(
        action,
        (policy.rows(torch.arange(ROWS)).log_prob(action) + 0.3 * torch.randn(ROWS, generator=generator)).detach(),
        torch.randn(ROWS, generator=generator),
        some(ROWS, generator),
        other if known else None,
    )
    taught = Taught(label, some(rows, generator)) if known else None
    loss, terms = expected(policy, acted, taught, coef)
    (by_output,) = torch.autograd.grad(loss, output)

    gradient, found = policy_terms(output.detach(), None, mask, acted, taught, coef)

    torch.testing.assert_close(gradient.output, by_output, atol=1e-6, rtol=1e-4)
    assert found._asdict() == pytest.approx({name: term.item() for name, term in terms.items()}, abs=1e-5)
    assert gradient.log_std is None
    assert gradient.output[mask == 0].abs().max() == 0


@pytest.mark.parametrize("coef", COEFFICIENTS.values(), ids=COEFFICIENTS)
@pytest.mark.parametrize("known", [True, False])
def test_a_gaussian_policy(coef: Coefficients, known: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    rows = ROWS + RECORDED
    output = torch.randn(rows, DIMENSIONS, generator=generator).requires_grad_()
    log_std = torch.tensor([-0.5, 0.2]).requires_grad_()
    policy = Gaussian(output, log_std)
    action = output[:ROWS].detach() + 0.5 * torch.randn(ROWS, DIMENSIONS, generator=generator)
    acted = Acted(
        action,
        (policy.rows(torch.arange(ROWS)).log_prob(action) + 0.3 * torch.randn(ROWS, generator=generator)).detach(),
        torch.randn(ROWS, generator=generator),
        some(ROWS, generator),
        Gaussian(torch.randn(ROWS, DIMENSIONS, generator=generator), torch.tensor([-0.2, -0.3])) if known else None,
    )
    label = output.detach().clamp(-1, 1) + 0.2 * torch.randn(rows, DIMENSIONS, generator=generator)
    taught = Taught(label, some(rows, generator)) if known else None
    loss, terms = expected(policy, acted, taught, coef)
    by_output, by_log_std = torch.autograd.grad(loss, [output, log_std])

    gradient, found = policy_terms(output.detach(), log_std.detach(), None, acted, taught, coef)

    torch.testing.assert_close(gradient.output, by_output, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(gradient.log_std, by_log_std, atol=1e-6, rtol=1e-4)
    assert found._asdict() == pytest.approx({name: term.item() for name, term in terms.items()}, abs=1e-5)


def test_rows_that_are_only_taught() -> None:
    output = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    taught = Taught(torch.tensor([0, 0]), torch.tensor([0.5, 0.5]))
    gradient, terms = policy_terms(output, None, torch.ones(2, 2, dtype=torch.uint8), None, taught, Coefficients(miss=1.0))
    first, second = 1 / (1 + np.exp(-2.0)), 1 / (1 + np.exp(1.0))
    assert terms.miss == pytest.approx(-(np.log(first) + np.log(second)) / 2, abs=1e-6)
    assert terms.right == 0.5
    np.testing.assert_allclose(gradient.output, 0.5 * np.array([[first - 1, 1 - first], [second - 1, 1 - second]]), atol=1e-6)


def test_rows_that_do_not_count_may_hold_anything() -> None:
    output = torch.tensor([[0.1, 0.2], [float("nan"), float("inf")]])
    acted = Acted(torch.tensor([0, 1]), torch.tensor([-0.7, 5.0]), torch.ones(2), torch.tensor([1.0, 0.0]), None)
    gradient, terms = policy_terms(output, None, torch.ones(2, 2, dtype=torch.uint8), acted, None, NOTHING)
    assert np.isfinite(terms).all()
    assert gradient.output[1].tolist() == [0.0, 0.0]
