"""PPO: invariants of an update, and probe environments that name the part that is broken."""

import numpy as np
import pytest
import torch
from tests.learn.probes import Choice, Constant, Forever, Later, Reach, Signal

from headstart.config.params import NetworkParams
from headstart.config.schedule import PPOParams
from headstart.learn.networks import ActorCritic, tensors
from headstart.learn.optimizer import Adam
from headstart.learn.policies import Categorical
from headstart.learn.ppo import Weights, estimate, update
from headstart.learn.rollout import Player
from headstart.worlds.api import World

PLAIN = PPOParams(advantage_normalization=False)
TORCH_SEED = 0


def test_a_masked_action_has_no_probability_and_is_never_drawn() -> None:
    network = ActorCritic(2, 3, None, NetworkParams(hidden=(8,)))
    obs = {"features": torch.randn(5000, 2), "mask": torch.tensor([[1, 0, 1]]).expand(5000, 3).to(torch.uint8)}
    policy = network.policy(obs)
    assert isinstance(policy, Categorical)
    assert policy.log_policy[:, 1].exp().max() < 1e-20
    drawn = policy.sample(torch.Generator().manual_seed(0))
    assert set(drawn.tolist()) == {0, 2}


def test_actions_are_drawn_with_their_probabilities() -> None:
    log_policy = torch.tensor([[0.1, 0.2, 0.7]]).log().expand(100_000, 3)
    counts = torch.bincount(Categorical(log_policy).sample(torch.Generator().manual_seed(1)), minlength=3) / 100_000
    np.testing.assert_allclose(counts, [0.1, 0.2, 0.7], atol=0.01)


# --- probe environments -----------------------------------------------------------------------------------------------


def learn(world: World, updates: int, gamma: float = 0.5, learning_rate: float = 1e-2, seed: int = TORCH_SEED) -> ActorCritic:
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    continuous = not world.names.actions
    network = ActorCritic(2, 1 if continuous else 2, None, NetworkParams(hidden=(32,)), continuous)
    params = PPOParams(gamma=gamma, gae_lambda=0.9, num_epochs=4, mini_batch_size=64, max_grad_norm_value=10.0)
    generator, optimizer = torch.Generator().manual_seed(seed), Adam(network)
    player = Player(world, seed, generator)
    for _ in range(updates):
        update(network, optimizer, player.play(network, 8), params, Weights(learning_rate, 0.01), generator)
    return network


def values(network: ActorCritic, *features: tuple[float, float]) -> list[float]:
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
    once = PPOParams(advantage_normalization=False, num_epochs=1, mini_batch_size=rollout.reward.size)
    rows, _ = estimate(network, rollout, once, None)
    torch.testing.assert_close(network.policy(rows.obs).log_prob(rows.action), rows.log_prob)
    metrics = update(network, Adam(network), rollout, once, Weights(1e-3), generator)
    assert abs(metrics["kl_divergence"]) < 1e-6
    assert metrics["clip_fraction"] == 0.0


def test_counters_of_a_rollout_are_of_its_own_ticks_whatever_ended_meanwhile() -> None:
    generator = torch.Generator().manual_seed(0)
    world = Later()
    network = ActorCritic(2, 2, None, NetworkParams(hidden=(8,)))
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
    network = ActorCritic(2, 2, None, NetworkParams(hidden=(8,)))
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
    network = ActorCritic(2, 2, None, NetworkParams(hidden=(8,)))
    generator = torch.Generator().manual_seed(0)
    rollout = Player(Choice(), 0, generator).play(network, 8)
    reference = ActorCritic(2, 2, None, NetworkParams(hidden=(8,)))
    params = PPOParams(num_epochs=1, mini_batch_size=256, value_loss_coef=0.5)
    weights = Weights(1e-3, entropy_coef=0.1, kl_weight=0.3)
    m = update(network, Adam(network), rollout, params, weights, generator, reference)
    total = m["loss_policy"] + 0.5 * m["loss_value"] - 0.1 * m["entropy"] + 0.3 * m["loss_kl"]
    assert m["loss_total"] == pytest.approx(total, abs=1e-5)
    assert (m["updates"], m["transitions"]) == (1, 256)
