"""PPO: losses by hand, invariants of an update, and probe environments that name the part that is broken."""

import math

import numpy as np
import pytest
import torch
from tests.learn.probes import Choice, Constant, Forever, Later, Reach, Signal
from torch import Tensor

from headstart.learn.demonstrations import Demonstrations
from headstart.learn.networks import ConflictAwarePolicyNetwork, Trace, tensors
from headstart.learn.optimizer import Adam
from headstart.learn.policies import Categorical
from headstart.learn.ppo import Batch, Metrics, Weights, estimate, lessons, policy_loss, update, value_loss
from headstart.learn.rollout import Player
from headstart.params import NetworkParams
from headstart.schedule import PPOParams
from headstart.worlds.api import World

PLAIN = PPOParams(advantage_normalization=False)
SURROGATE_ONLY = Weights(learning_rate=1e-3)
TORCH_SEED = 0


def batch(new: list[float], old: list[float], advantage: list[float], decides: list[float] | None = None) -> tuple[Trace, Batch]:
    """B rows of two actions, of which the first was taken with probability `old` and now has `new`."""
    probability, rows = torch.tensor(new), len(new)
    output = torch.stack([probability.log(), (1 - probability).log()], dim=1)
    return Trace(torch.zeros(rows, 0), [output], [torch.zeros(rows, 1)], None), Batch(
        seen={"mask": torch.ones(rows, 2, dtype=torch.uint8)},
        action=torch.zeros(rows, dtype=torch.int64),
        log_prob=torch.tensor(old).log(),
        advantage=torch.tensor(advantage),
        returns=torch.zeros(rows),
        value=torch.zeros(rows),
        decides=torch.tensor(decides or [1.0] * rows),
        reference=None,
    )


def loss(trace: Trace, rows: Batch, params: PPOParams = PLAIN, weights: Weights = SURROGATE_ONLY) -> tuple[Tensor, Metrics]:
    """Gradient by the logits [B, 2], and the parts."""
    gradient, parts = policy_loss(trace, rows.seen, rows, None, params, weights)
    return gradient.output, parts


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
    _, parts = loss(*batch([new], [0.5], [advantage]))
    assert parts["loss_policy"] == pytest.approx(expected)


def test_clipped_rows_have_no_gradient() -> None:
    gradient, _ = loss(*batch([0.75, 0.55], [0.5, 0.5], [1.0, 1.0]))
    assert gradient[0].tolist() == [0.0, 0.0]
    assert gradient[1, 0].item() == pytest.approx(-1.1 / 2 * (1 - 0.55))  # d log π(a) / d logit(a) = 1 − π(a)


def test_entropy_kl_and_clip_fraction_by_hand() -> None:
    _, parts = loss(*batch([0.75, 0.5], [0.5, 0.5], [1.0, 1.0]))
    entropy = (-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)) + math.log(2)) / 2
    assert parts["entropy"] == pytest.approx(entropy)
    assert parts["kl_divergence"] == pytest.approx((1.5 - 1 - math.log(1.5)) / 2, rel=1e-5)
    assert parts["clip_fraction"] == pytest.approx(0.5)
    assert parts["loss_policy"] == pytest.approx((-1.2 - 1.0) / 2)


def test_the_kl_term_is_that_of_policy_to_reference() -> None:
    trace, rows = batch([0.75], [0.75], [0.0])
    rows.reference = Categorical(torch.tensor([[0.5, 0.5]]).log())
    gradient, parts = loss(trace, rows, weights=Weights(1e-3, kl_weight=2.0))
    kl = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert parts["loss_kl"] == pytest.approx(kl, rel=1e-5)
    assert gradient[0, 0].item() == pytest.approx(2 * 0.75 * (math.log(1.5) - kl), rel=1e-5)


def test_rows_without_a_choice_do_not_count() -> None:
    _, parts = loss(*batch([0.55, 0.99], [0.5, 0.5], [1.0, 100.0], decides=[1.0, 0.0]))
    assert parts["loss_policy"] == pytest.approx(-1.1)


def test_advantages_are_normalised_over_decision_rows() -> None:
    gradient, _ = loss(*batch([0.5, 0.5, 0.5], [0.5, 0.5, 0.5], [1.0, 3.0, 1000.0], decides=[1.0, 1.0, 0.0]), PPOParams())
    np.testing.assert_allclose(gradient[:, 0], [0.25, -0.25, 0.0], atol=1e-6)


def test_what_is_imitated_is_the_teachers_choice_in_the_rollout_and_the_recorded_ones() -> None:
    _, rows = batch([0.5, 0.5], [0.5, 0.5], [0.0, 0.0])
    recorded = Demonstrations(rows.seen, torch.tensor([1, 1]), torch.zeros(2), torch.tensor([1.0, 0.0]))
    assert lessons(rows, None) == (rows.seen, None)

    seen, taught = lessons(rows, recorded)
    assert taught is not None
    assert (seen["mask"].shape, taught.label.tolist(), taught.share.tolist()) == ((4, 2), [0, 0, 1, 1], [0, 0, 1, 0])

    rows.label, rows.taught = torch.tensor([1, 0]), torch.tensor([1.0, 0.0])
    _, taught = lessons(rows, None)
    assert taught is not None
    assert (taught.label.tolist(), taught.share.tolist()) == ([1, 0], [1, 0])

    _, taught = lessons(rows, recorded)
    assert taught is not None
    assert (taught.label.tolist(), taught.share.tolist()) == ([1, 0, 1, 1], [0.5, 0, 0.5, 0])


def test_value_loss_with_and_without_clipping() -> None:
    _, rows = batch([0.5, 0.5], [0.5, 0.5], [0.0, 0.0])
    rows.returns, rows.value = torch.tensor([1.0, 1.0]), torch.tensor([0.0, 0.0])
    value = torch.tensor([0.5, 2.0])
    gradient, plain = value_loss(value, rows, PLAIN)
    assert (plain, gradient.tolist()) == (pytest.approx((0.25 + 1.0) / 2), [-0.5, 1.0])
    # near = 0.2 for both: errors max(0.25, 0.64), which the value cannot change, and max(1.0, 0.64)
    gradient, clipped = value_loss(value, rows, PPOParams(value_clip=0.2))
    assert (clipped, gradient.tolist()) == (pytest.approx((0.64 + 1.0) / 2), [0.0, 1.0])


def test_a_masked_action_has_no_probability_and_is_never_drawn() -> None:
    network = ConflictAwarePolicyNetwork(2, 3, None, NetworkParams(hidden=(8,)))
    seen = {"features": torch.randn(5000, 2), "mask": torch.tensor([[1, 0, 1]]).expand(5000, 3).to(torch.uint8)}
    policy = network.policy(seen)
    assert isinstance(policy, Categorical)
    assert policy.log_policy[:, 1].exp().max() < 1e-20
    drawn = policy.sample(torch.Generator().manual_seed(0))
    assert set(drawn.tolist()) == {0, 2}


def test_actions_are_drawn_with_their_probabilities() -> None:
    log_policy = torch.tensor([[0.1, 0.2, 0.7]]).log().expand(100_000, 3)
    counts = torch.bincount(Categorical(log_policy).sample(torch.Generator().manual_seed(1)), minlength=3) / 100_000
    np.testing.assert_allclose(counts, [0.1, 0.2, 0.7], atol=0.01)


# --- probe environments -----------------------------------------------------------------------------------------------


def learn(
    world: World, updates: int, gamma: float = 0.5, learning_rate: float = 1e-2, seed: int = TORCH_SEED
) -> ConflictAwarePolicyNetwork:
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    continuous = not world.names.actions
    network = ConflictAwarePolicyNetwork(2, 1 if continuous else 2, None, NetworkParams(hidden=(32,)), continuous)
    params = PPOParams(gamma=gamma, gae_lambda=0.9, num_epochs=4, mini_batch_size=64, max_grad_norm_value=10.0)
    generator, optimizer = torch.Generator().manual_seed(seed), Adam(network)
    player = Player(world, seed, generator)
    for _ in range(updates):
        update(network, optimizer, player.play(network, 8), params, Weights(learning_rate, 0.01), generator)
    return network


def values(network: ConflictAwarePolicyNetwork, *features: tuple[float, float]) -> list[float]:
    with torch.no_grad():
        found: list[float] = network.value({"features": torch.tensor(features)}).tolist()
    return found


def test_probe_constant_value() -> None:
    assert values(learn(Constant(), 60), (1.0, 0.0), (-1.0, 0.0)) == pytest.approx([1.0, 1.0], abs=0.05)


def test_probe_value_depends_on_the_observation() -> None:
    assert values(learn(Signal(), 80), (1.0, 0.0), (-1.0, 0.0)) == pytest.approx([1.0, -1.0], abs=0.1)


def test_probe_a_later_reward_is_discounted() -> None:
    found = values(learn(Later(), 100), (1.0, 0.0), (1.0, 0.5))
    assert found == pytest.approx([0.5, 1.0], abs=0.1)


def test_probe_the_policy_takes_the_action_that_pays() -> None:
    network = learn(Choice(), 60)
    mask = torch.ones(2, 2, dtype=torch.uint8)
    policy = network.policy({"features": torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), "mask": mask})
    assert isinstance(policy, Categorical)
    assert policy.probability[0, 1] > 0.9
    assert policy.probability[1, 0] > 0.9


def test_probe_a_continuous_action_moves_to_where_it_pays() -> None:
    network = learn(Reach(), 60)
    policy = network.policy({"features": torch.tensor([[1.0, 0.0], [-1.0, 0.0]])})
    torch.testing.assert_close(policy.mode(), torch.tensor([[0.5], [-0.5]]), atol=0.15, rtol=0)
    assert network.log_std is not None
    assert network.log_std.exp().item() < 0.4  # it began at 0.5


def test_probe_a_truncation_does_not_end_the_future() -> None:
    assert values(learn(Forever(), 150), (1.0, 0.0)) == pytest.approx([2.0], abs=0.15)


# --- an update --------------------------------------------------------------------------------------------------------


def test_the_first_minibatch_reproduces_the_log_probabilities_of_the_rollout() -> None:
    network = learn(Choice(), 3)
    generator = torch.Generator().manual_seed(5)
    rollout = Player(Choice(), 5, generator).play(network, 8)
    rows, _ = estimate(network, rollout, PLAIN, None)
    _, parts = loss(network.trace(rows.seen, len(rows.action)), rows)
    assert abs(parts["kl_divergence"]) < 1e-6
    assert parts["clip_fraction"] == 0.0


def test_counters_of_a_rollout_are_of_its_own_ticks_whatever_ended_meanwhile() -> None:
    generator = torch.Generator().manual_seed(0)
    world = Later()
    network = ConflictAwarePolicyNetwork(2, 2, None, NetworkParams(hidden=(8,)))
    player = Player(world, 5, generator)

    counted = [player.play(network, 3).counted.tolist() for _ in range(4)]

    assert counted == [[3 * world.num_envs]] * 4  # a visit a tick, in episodes of another length


def test_the_same_seed_gives_the_same_weights_and_another_rate_gives_others() -> None:
    first, again, other = (tensors(learn(Choice(), 5, learning_rate=lr)) for lr in (1e-2, 1e-2, 1e-3))
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    assert any((first[name] != other[name]).any() for name in first)


def test_a_frozen_actor_does_not_move_while_the_critic_learns() -> None:
    torch.manual_seed(0)
    network = ConflictAwarePolicyNetwork(2, 2, None, NetworkParams(hidden=(8,)))
    before = {name: value.copy() for name, value in tensors(network).items()}
    generator = torch.Generator().manual_seed(0)
    rollout = Player(Constant(), 0, generator).play(network, 8)
    metrics = update(network, Adam(network), rollout, PLAIN, Weights(1e-2, actor_frozen=True), generator)
    after = tensors(network)
    assert all((before[n] == after[n]).all() for n in before if n.startswith("actor"))
    assert any((before[n] != after[n]).any() for n in before if n.startswith("critic"))
    assert "loss_policy" not in metrics


def test_the_total_is_the_sum_of_its_parts() -> None:
    torch.manual_seed(0)
    network = ConflictAwarePolicyNetwork(2, 2, None, NetworkParams(hidden=(8,)))
    generator = torch.Generator().manual_seed(0)
    rollout = Player(Choice(), 0, generator).play(network, 8)
    reference = ConflictAwarePolicyNetwork(2, 2, None, NetworkParams(hidden=(8,)))
    params = PPOParams(num_epochs=1, mini_batch_size=256, value_loss_coef=0.5)
    weights = Weights(1e-3, entropy_coef=0.1, kl_weight=0.3)
    m = update(network, Adam(network), rollout, params, weights, generator, reference)
    total = m["loss_policy"] + 0.5 * m["loss_value"] - 0.1 * m["entropy"] + 0.3 * m["loss_kl"]
    assert m["loss_total"] == pytest.approx(total, abs=1e-5)
    assert (m["updates"], m["transitions"]) == (1, 256)
