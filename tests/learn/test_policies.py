"""What policies say of actions, against torch.distributions and by hand."""

import torch
from torch.distributions import Independent, Normal, kl_divergence

from headstart.learn.policies import Categorical, Gaussian


def gaussians() -> tuple[Gaussian, Gaussian]:
    generator = torch.Generator().manual_seed(0)
    return (
        Gaussian(torch.randn(6, 2, generator=generator), torch.tensor([-0.7, 0.2])),
        Gaussian(torch.randn(6, 2, generator=generator), torch.tensor([-1.2, 0.4])),
    )


def independent(policy: Gaussian) -> Independent:
    return Independent(Normal(policy.mean, policy.log_std.exp().expand_as(policy.mean)), 1)


def test_a_gaussian_has_the_density_entropy_and_divergence_of_torch() -> None:
    policy, reference = gaussians()
    action = torch.linspace(-1, 1, 12).reshape(6, 2)
    torch.testing.assert_close(policy.log_prob(action), independent(policy).log_prob(action))
    torch.testing.assert_close(policy.entropy(), independent(policy).entropy())
    torch.testing.assert_close(policy.kl(reference), kl_divergence(independent(policy), independent(reference)))


def test_a_gaussian_is_drawn_with_its_mean_and_deviation() -> None:
    policy = Gaussian(torch.tensor([[1.0, -2.0]]).expand(100_000, 2), torch.tensor([0.5, 2.0]).log())
    drawn = policy.sample(torch.Generator().manual_seed(1))
    torch.testing.assert_close(drawn.mean(dim=0), torch.tensor([1.0, -2.0]), atol=0.03, rtol=0)
    torch.testing.assert_close(drawn.std(dim=0), torch.tensor([0.5, 2.0]), atol=0.03, rtol=0)


def test_a_gaussian_agrees_where_every_component_is_near() -> None:
    policy = Gaussian(torch.tensor([[0.0, 0.0], [0.0, 0.2], [3.0, 0.0]]), torch.zeros(2))
    label = torch.tensor([[0.1, -0.1], [0.0, 0.0], [1.0, 0.0]])
    assert policy.agrees(label).tolist() == [True, False, True]  # the world clips 3 to 1
    torch.testing.assert_close(policy.imitation_loss(label), torch.tensor([0.01, 0.02, 2.0]))


def test_rows_of_a_policy_are_those_of_its_minibatch() -> None:
    policy, _ = gaussians()
    index = torch.tensor([4, 1])
    torch.testing.assert_close(policy.rows(index).mean, policy.mean[index])
    named = Categorical(torch.log_softmax(torch.randn(6, 3), dim=-1))
    torch.testing.assert_close(named.rows(index).log_policy, named.log_policy[index])
