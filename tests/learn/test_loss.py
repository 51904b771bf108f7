"""The loss by hand, term by term."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from headstart.learn.compiled.losses import Coefficients
from headstart.learn.loss import Minibatch, minibatch_loss, normalised, ppo_terms, standardised, value_loss
from headstart.learn.policies import Categorical


def terms(
    new: list[float],
    old: list[float],
    advantage: list[float],
    has_choice: list[float] | None = None,
    reference: Categorical | None = None,
) -> tuple[dict[str, Tensor], Tensor]:
    """B rows of two actions, of which the first was taken with probability `old` and now has `new`; and the logits."""
    probability, rows = torch.tensor(new), len(new)
    logits = torch.stack([probability.log(), (1 - probability).log()], dim=1).requires_grad_()
    action, nothing = torch.zeros(rows, dtype=torch.int64), torch.zeros(rows)
    minibatch = Minibatch(
        action=action,
        log_prob=torch.tensor(old).log(),
        advantage=torch.tensor(advantage),
        returns=nothing,
        old_value=nothing,
        ppo_weight=normalised(torch.tensor(has_choice or [1.0] * rows)),
        reference=reference,
        label=action,
        imitation_weight=nothing,
    )
    return ppo_terms(Categorical(torch.log_softmax(logits, dim=1)), minibatch, 0.2), logits


@pytest.mark.parametrize(
    ("new", "advantage", "expected"),
    [
        (0.55, 1.0, -1.1),  # ratio 1.1, within 1 ± 0.2
        (0.75, 1.0, -1.2),  # ratio 1.5, clipped: no more to win
        (0.75, -1.0, 1.5),  # ratio 1.5, not clipped: the worse of the two counts
        (0.25, 1.0, -0.5),  # ratio 0.5, not clipped
        (0.25, -1.0, 0.8),  # ratio 0.5, clipped
    ],
)
def test_the_surrogate_is_clipped_on_the_side_that_would_flatter(new: float, advantage: float, expected: float) -> None:
    found, _ = terms([new], [0.5], [advantage])
    assert found["loss_policy"].item() == pytest.approx(expected)


def test_clipped_rows_have_no_gradient() -> None:
    found, logits = terms([0.75, 0.55], [0.5, 0.5], [1.0, 1.0])
    (gradient,) = torch.autograd.grad(found["loss_policy"], logits)
    assert gradient[0].tolist() == [0.0, 0.0]
    assert gradient[1, 0].item() == pytest.approx(-1.1 / 2 * (1 - 0.55))  # d log π(a) / d logit(a) = 1 − π(a)


def test_entropy_kl_and_clip_fraction_by_hand() -> None:
    found, _ = terms([0.75, 0.5], [0.5, 0.5], [1.0, 1.0])
    entropy = (-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)) + math.log(2)) / 2
    assert found["entropy"].item() == pytest.approx(entropy)
    assert found["kl_divergence"].item() == pytest.approx((1.5 - 1 - math.log(1.5)) / 2, rel=1e-5)
    assert found["clip_fraction"].item() == pytest.approx(0.5)
    assert found["loss_policy"].item() == pytest.approx((-1.2 - 1.0) / 2)


def test_the_kl_term_is_that_of_policy_to_reference() -> None:
    found, logits = terms([0.75], [0.75], [0.0], reference=Categorical(torch.tensor([[0.5, 0.5]]).log()))
    (gradient,) = torch.autograd.grad(2.0 * found["loss_kl"], logits)
    kl = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert found["loss_kl"].item() == pytest.approx(kl, rel=1e-5)
    assert gradient[0, 0].item() == pytest.approx(2 * 0.75 * (math.log(1.5) - kl), rel=1e-5)


def test_rows_without_a_choice_do_not_count() -> None:
    found, _ = terms([0.55, 0.99], [0.5, 0.5], [1.0, 100.0], has_choice=[1.0, 0.0])
    assert found["loss_policy"].item() == pytest.approx(-1.1)


def test_a_row_that_does_not_count_may_have_any_ratio() -> None:
    found, logits = terms([0.55, 1.0 - 1e-7], [0.5, 1e-44], [1.0, 1.0], has_choice=[1.0, 0.0])
    (gradient,) = torch.autograd.grad(found["loss_policy"], logits)
    assert found["kl_divergence"].isfinite()
    assert gradient[1].tolist() == [0.0, 0.0]


def two_rows(imitation_weight: list[float]) -> tuple[Categorical, Minibatch]:
    """A row of a rollout with ratio 1, advantage 2 and V 1 below its return, and a row of demonstrations; both have label 0."""
    policy = Categorical(torch.log_softmax(torch.tensor([[2.0, 0.0], [0.0, 1.0]]), dim=1))
    row, label = torch.zeros(1), torch.tensor([0, 0])
    reference = Categorical(torch.tensor([[0.5, 0.5]]).log())
    acting = policy.log_policy[:1, 0]
    weight = torch.ones(1)
    return policy, Minibatch(label[:1], acting, row + 2, row + 1, row, weight, reference, label, torch.tensor(imitation_weight))


def test_the_imitation_terms_by_hand() -> None:
    policy, rows = two_rows([0.5, 0.5])
    _, found = minibatch_loss(policy, torch.zeros(1), rows, Coefficients())
    first, second = 1 / (1 + np.exp(-2.0)), 1 / (1 + np.exp(1.0))
    assert found["loss_bc"].item() == pytest.approx(-(np.log(first) + np.log(second)) / 2, abs=1e-6)
    assert found["accuracy"].item() == 0.5


def test_the_whole_loss_is_the_weighted_sum_of_its_terms() -> None:
    policy, rows = two_rows([0.0, 1.0])
    coef = Coefficients(clip_range=0.2, entropy_coef=0.1, kl_weight=0.3, bc_weight=0.7, value_coef=0.5)
    total, found = minibatch_loss(policy, torch.zeros(1), rows, coef)
    p = 1 / (1 + np.exp(-2.0))
    entropy = -(p * np.log(p) + (1 - p) * np.log(1 - p))
    kl = np.log(2) - entropy
    expected = 0.5 * 1.0 - 2.0 - 0.1 * entropy + 0.3 * kl + 0.7 * np.log(1 + np.exp(1.0))
    assert total.item() == pytest.approx(expected, abs=1e-6)
    assert set(found) == {
        "loss_policy", "entropy", "kl_divergence", "clip_fraction", "loss_kl", "loss_bc", "accuracy", "loss_value"
    }  # fmt: skip


def test_without_a_policy_the_loss_is_that_of_the_critic() -> None:
    _, rows = two_rows([0.5, 0.5])
    total, found = minibatch_loss(None, torch.zeros(1), rows, Coefficients(value_coef=0.5))
    assert (total.item(), set(found)) == (0.5, {"loss_value"})


def test_advantages_are_normalised_over_decision_rows() -> None:
    found = standardised(torch.tensor([1.0, 3.0, 1000.0]), normalised(torch.tensor([1.0, 1.0, 0.0])))
    np.testing.assert_allclose(found[:2], [-1.0, 1.0], atol=1e-6)


def test_value_loss_with_and_without_clipping() -> None:
    value = torch.tensor([0.5, 2.0], requires_grad=True)
    returns, before = torch.tensor([1.0, 1.0]), torch.tensor([0.0, 0.0])
    plain = value_loss(value, returns, before, math.inf)
    assert plain.item() == pytest.approx((0.25 + 1.0) / 2)
    assert torch.autograd.grad(plain, value)[0].tolist() == [-0.5, 1.0]
    # near = 0.2 for both: errors max(0.25, 0.64), which the value cannot change, and max(1.0, 0.64)
    clipped = value_loss(value, returns, before, 0.2)
    assert clipped.item() == pytest.approx((0.64 + 1.0) / 2)
    assert torch.autograd.grad(clipped, value)[0].tolist() == [0.0, 1.0]
