"""The loss by hand, term by term."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from headstart.learn.loss import Acted, Imitated, Terms, normalised, policy_terms, standardised, value_loss
from headstart.learn.policies import Categorical


def terms(
    new: list[float],
    old: list[float],
    advantage: list[float],
    has_choice: list[float] | None = None,
    reference: Categorical | None = None,
) -> tuple[Terms, Tensor]:
    """B rows of two actions, of which the first was taken with probability `old` and now has `new`; and the logits."""
    probability, rows = torch.tensor(new), len(new)
    logits = torch.stack([probability.log(), (1 - probability).log()], dim=1).requires_grad_()
    policy = Categorical(torch.log_softmax(logits, dim=1))
    weight = normalised(torch.tensor(has_choice or [1.0] * rows))
    acted = Acted(torch.zeros(rows, dtype=torch.int64), torch.tensor(old).log(), torch.tensor(advantage), weight, reference)
    nobody = Imitated(torch.zeros(rows, dtype=torch.int64), torch.zeros(rows))
    return policy_terms(policy, acted, nobody, 0.2), logits


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
    assert found.surrogate.item() == pytest.approx(expected)


def test_clipped_rows_have_no_gradient() -> None:
    found, logits = terms([0.75, 0.55], [0.5, 0.5], [1.0, 1.0])
    (gradient,) = torch.autograd.grad(found.surrogate, logits)
    assert gradient[0].tolist() == [0.0, 0.0]
    assert gradient[1, 0].item() == pytest.approx(-1.1 / 2 * (1 - 0.55))  # d log π(a) / d logit(a) = 1 − π(a)


def test_entropy_kl_and_clip_fraction_by_hand() -> None:
    found, _ = terms([0.75, 0.5], [0.5, 0.5], [1.0, 1.0])
    entropy = (-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)) + math.log(2)) / 2
    assert found.entropy.item() == pytest.approx(entropy)
    assert found.divergence.item() == pytest.approx((1.5 - 1 - math.log(1.5)) / 2, rel=1e-5)
    assert found.clipped.item() == pytest.approx(0.5)
    assert found.surrogate.item() == pytest.approx((-1.2 - 1.0) / 2)


def test_the_kl_term_is_that_of_policy_to_reference() -> None:
    found, logits = terms([0.75], [0.75], [0.0], reference=Categorical(torch.tensor([[0.5, 0.5]]).log()))
    (gradient,) = torch.autograd.grad(2.0 * found.kl, logits)
    kl = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert found.kl.item() == pytest.approx(kl, rel=1e-5)
    assert gradient[0, 0].item() == pytest.approx(2 * 0.75 * (math.log(1.5) - kl), rel=1e-5)


def test_rows_without_a_choice_do_not_count() -> None:
    found, _ = terms([0.55, 0.99], [0.5, 0.5], [1.0, 100.0], has_choice=[1.0, 0.0])
    assert found.surrogate.item() == pytest.approx(-1.1)


def test_rows_that_are_only_imitated() -> None:
    policy = Categorical(torch.log_softmax(torch.tensor([[2.0, 0.0], [0.0, 1.0]]), dim=1))
    empty = torch.zeros(0)
    imitated = Imitated(torch.tensor([0, 0]), torch.tensor([0.5, 0.5]))
    found = policy_terms(policy, Acted(torch.zeros(0, dtype=torch.int64), empty, empty, empty), imitated, 0.2)
    first, second = 1 / (1 + np.exp(-2.0)), 1 / (1 + np.exp(1.0))
    assert found.imitation.item() == pytest.approx(-(np.log(first) + np.log(second)) / 2, abs=1e-6)
    assert found.right.item() == 0.5


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
