"""PPO on recorded rows: both objectives by hand, compiled and in torch, alone and beside a rollout; and what comes of it."""

import math
from copy import deepcopy
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import torch
from tests.learn.probes import Choice, Forever, Later, Probe, Reach
from tests.replayed import records_from

from headstart.config.params import NetworkParams
from headstart.config.schedule import PPOParams
from headstart.core.arrays import Array
from headstart.core.errors import UsageError
from headstart.learn.networks import ActorCritic, tensors
from headstart.learn.optimizer import Adam
from headstart.learn.ppo import Metrics, Weights, estimate, update
from headstart.learn.replay import MAX_WEIGHT, Records, estimate_records, recorded_advantage
from headstart.learn.rollout import Player, Rollout

WHOLE = PPOParams(advantage_normalization=False, num_epochs=1, mini_batch_size=4096)
OBJECTIVES = ("clipped", "advantage_weighted")
DEVICE = torch.device("cpu")  # of autograd


def network_of(world: Probe, seed: int = 0) -> ActorCritic:
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    continuous = not world.names.actions
    return ActorCritic(2, 1 if continuous else 2, None, NetworkParams(hidden=(16,)), continuous)


def played(world: Probe, network: ActorCritic, seed: int = 0) -> Rollout:
    return Player(world, seed, torch.Generator().manual_seed(seed)).play(network, 8)


def replayed(
    network: ActorCritic, records: Records, params: PPOParams = WHOLE, weights: Weights | None = None
) -> tuple[Metrics, dict[str, Array]]:
    log: dict[str, Array] = {}
    generator = torch.Generator().manual_seed(0)
    return update(network, Adam(network), None, params, weights or Weights(1e-3), generator, None, records, log), log


# --- by hand ----------------------------------------------------------------------------------------------------------


def two_rows(log_prob: torch.Tensor | None) -> Records:
    """Two episodes of one step: the second action pays 1, the first costs 1."""
    obs = {"features": torch.zeros(2, 2), "mask": torch.ones(2, 2, dtype=torch.uint8)}
    ends = np.ones(2, bool)
    reward = np.array([1.0, -1.0], np.float32)
    return Records(obs, torch.tensor([1, 0]), log_prob, reward, ends, ~ends, np.array([1, 1]), {"features": torch.zeros(2, 2)})


def three_to_one() -> ActorCritic:
    """π = (1/4, 3/4) and V = 0 everywhere."""
    network = network_of(Choice())
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.actor[-1].bias[1] = math.log(3)
    return network


def test_the_clipped_objective_takes_the_ratio_to_the_recorded_probability() -> None:
    metrics, _ = replayed(three_to_one(), two_rows(torch.tensor([0.5, 0.2]).log()))
    # ratios 0.75 / 0.5 = 1.5 and 0.25 / 0.2 = 1.25, advantages 1 and −1: min(1.5, 1.2) and min(−1.25, −1.2)
    assert metrics["loss_policy"] == pytest.approx(-(1.2 - 1.25) / 2, abs=1e-6)
    assert metrics["kl_divergence"] == pytest.approx((0.5 - math.log(1.5) + 0.25 - math.log(1.25)) / 2, abs=1e-6)
    assert metrics["clip_fraction"] == 1.0
    assert metrics["loss_value"] == pytest.approx(1.0)
    assert metrics["entropy"] == pytest.approx(-0.25 * math.log(0.25) - 0.75 * math.log(0.75), abs=1e-6)
    assert "loss_bc" not in metrics


@pytest.mark.parametrize(("temperature", "weights"), [(1.0, (math.e, 1 / math.e)), (0.1, (MAX_WEIGHT, math.exp(-10)))])
def test_a_row_without_a_probability_is_imitated_by_its_advantage(temperature: float, weights: tuple[float, float]) -> None:
    subject = three_to_one()
    batch, _ = estimate_records(subject, two_rows(None), WHOLE, temperature, None)
    assert batch.imitated.tolist() == pytest.approx(weights, rel=1e-5)

    metrics, log = replayed(subject, two_rows(None), weights=Weights(1e-3, temperature=temperature))

    a, b = weights
    expected = (a * -math.log(0.75) + b * -math.log(0.25)) / (a + b)
    assert metrics["loss_policy"] == pytest.approx(expected, abs=1e-5)
    assert log["loss_policy"].tolist() == pytest.approx([expected], abs=1e-5)
    assert metrics["loss_total"] == pytest.approx(expected + 1.0, abs=1e-5)  # and that of the critic
    assert (metrics["kl_divergence"], metrics["clip_fraction"]) == (pytest.approx(0, abs=1e-6), 0)  # from the policy itself
    assert (metrics["adv_std"], metrics["adv_min_std"], metrics["adv_zero_std_batches"]) == (1.0, 1.0, 0)
    assert "loss_bc" not in metrics


def test_a_row_without_a_choice_is_not_imitated() -> None:
    forced = two_rows(None)
    forced.obs["mask"][1] = torch.tensor([1, 0])
    assert estimate_records(three_to_one(), forced, WHOLE, 1.0, None)[0].imitated[1] == 0


def test_advantages_end_with_their_episode_and_a_cut_one_goes_on_from_its_last_observation() -> None:
    none = np.zeros(3, bool)
    records = replace(
        two_rows(None),
        reward=np.array([1.0, 2.0, 4.0], np.float32),
        terminated=np.array([False, True, False]),
        truncated=none,  # as in a recording that was cut off
        length=np.array([2, 1]),
    )
    value, final = np.array([1.0, 2.0, 3.0], np.float32), np.array([100.0, 8.0], np.float32)
    found = recorded_advantage(records, value, final, PPOParams(gamma=0.5, gae_lambda=0.5))
    # δ1 = 2 − 2 = 0; δ0 = 1 + 0.5·2 − 1 = 1; δ2 = 4 + 0.5·8 − 3 = 5
    assert found.tolist() == [1.0 + 0.25 * 0.0, 0.0, 5.0]


@pytest.mark.parametrize("world", [Later, Forever])
def test_a_recorded_rollout_has_the_advantages_that_it_had_when_it_was_played(world: type[Probe]) -> None:
    subject = network_of(world())
    rollout = played(world(), subject)
    expected = estimate(subject, rollout, WHOLE, None)[0]
    found = estimate_records(subject, records_from(rollout), WHOLE, 1.0, None)[0]
    for name in ("advantage", "returns", "value", "log_prob"):
        rows = getattr(expected, name).reshape(rollout.reward.shape).T.flatten()
        torch.testing.assert_close(getattr(found, name), rows, msg=name)


def test_more_rows_than_networks_are_asked_for_at_a_time_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    subject, other = network_of(Reach()), network_of(Reach(), 1)
    records = records_from(played(Reach(), subject), known=False)
    whole, facts = estimate_records(subject, records, WHOLE, 1.0, other)
    monkeypatch.setattr("headstart.learn.replay.ROWS", 100)
    parts, again = estimate_records(subject, records, WHOLE, 1.0, other)
    for name in ("advantage", "returns", "value", "log_prob", "imitated"):
        torch.testing.assert_close(getattr(parts, name), getattr(whole, name), msg=name)
    assert parts.reference is not None and whole.reference is not None
    torch.testing.assert_close(parts.reference.output, whole.reference.output)
    assert again == pytest.approx(facts)


def test_a_policy_that_replays_itself_begins_without_kl_and_clipping() -> None:
    subject = network_of(Choice())
    records = records_from(played(Choice(), subject))
    metrics, log = replayed(subject, records, WHOLE.model_copy(update={"mini_batch_size": 64}), Weights(0.05))
    assert log["kl_divergence"][0] == pytest.approx(0, abs=1e-6) and log["clip_fraction"][0] == 0
    assert log["kl_divergence"][-1] > 1e-4
    assert metrics["kl_step"] > 1e-4  # of the whole update
    assert (metrics["recorded_steps"], metrics["transitions"]) == (256, 256)  # one pass


# --- what comes of it -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_replay_improves_on_the_policy_that_was_recorded(objective: str) -> None:
    subject = network_of(Choice())
    records = records_from(played(Choice(), subject), objective == "clipped")
    assert records.objective == objective
    assert abs(records.reward.mean()) < 0.3  # it acts at random
    params, generator, optimizer = PPOParams(mini_batch_size=64), torch.Generator().manual_seed(0), Adam(subject)
    for _ in range(30):
        update(subject, optimizer, None, params, Weights(1e-2, temperature=0.3), generator, None, records)
    rewards = played(Choice(), subject, seed=9).reward
    # the clipped one stays where the ratio to the recorded policy is clipped, by 20 %
    assert rewards.mean() > (0.9 if objective == "advantage_weighted" else 0.15)


def test_continuous_actions_move_to_those_that_paid() -> None:
    subject = network_of(Reach())
    records = records_from(played(Reach(), subject), known=False)
    generator, optimizer = torch.Generator().manual_seed(0), Adam(subject)
    before = played(Reach(), subject, seed=9).reward.mean()
    for _ in range(30):
        update(subject, optimizer, None, PPOParams(mini_batch_size=64), Weights(1e-2, temperature=0.3), generator, None, records)
    assert played(Reach(), subject, seed=9).reward.mean() > before + 0.05


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("world", [Choice, Reach])
@pytest.mark.parametrize("mode", ["replay", "mixed"])
def test_compiled_code_and_torch_end_with_the_same_weights(
    mode: Literal["replay", "mixed"], world: type[Probe], objective: str
) -> None:
    start, behaviour = network_of(world()), network_of(world(), seed=1)
    records = records_from(played(world(), behaviour), objective == "clipped")
    rollout = played(world(), start, seed=2) if mode == "mixed" else None
    weights = Weights(0.01, 0.01, kl_weight=0.1, replay_share=0.4 if mode == "mixed" else 0.0)
    params = PPOParams(num_epochs=2, mini_batch_size=50)
    ends, logs = [], []
    for device in (None, DEVICE):
        subject = deepcopy(start)
        log: dict[str, Array] = {}
        generator = torch.Generator().manual_seed(0)
        update(subject, Adam(subject, device=device), rollout, params, weights, generator, behaviour, records, log)
        ends.append(tensors(subject))
        logs.append(log)
    assert len(logs[0]["rows"]) == (2 * 9 if mode == "mixed" else 6)  # 256 rows and 171 recorded ones, or 256
    for name, values in logs[1].items():
        np.testing.assert_allclose(logs[0][name], values, atol=2e-3, rtol=2e-3, err_msg=name)
    for name, value in ends[1].items():
        np.testing.assert_allclose(ends[0][name], value, atol=2e-4, err_msg=name)


# --- beside a rollout -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_mixed_step_has_both_losses_in_their_shares(objective: str) -> None:
    subject = network_of(Choice())
    rollout, records = (
        played(Choice(), subject, seed=2),
        records_from(played(Choice(), network_of(Choice(), 1)), objective == "clipped"),
    )
    share, rows = 0.25, 256 // 3  # of the 341 rows of the only minibatch
    generator = torch.Generator().manual_seed(0)
    drawn = records.drawn(rows, torch.Generator().manual_seed(0))

    def of(of_rollout: bool, recorded: Records | None, share: float = 0.0) -> Metrics:
        copy = deepcopy(subject)
        weights = Weights(1e-3, replay_share=share)
        return update(copy, Adam(copy), rollout if of_rollout else None, WHOLE, weights, generator, None, recorded)

    both = of(True, records, share)
    alone, other = of(True, None), of(False, drawn)
    assert (both["updates"], both["transitions"], both["recorded_steps"]) == (1, 341, rows)
    for name in ("loss_policy", "loss_value", "entropy"):
        assert both[name] == pytest.approx((1 - share) * alone[name] + share * other[name], abs=2e-3), name


def test_a_share_of_nothing_is_the_update_on_the_rollout_alone() -> None:
    first, second = network_of(Choice()), network_of(Choice())
    rollout, records = played(Choice(), first), records_from(played(Choice(), first))
    for subject, recorded in ((first, None), (second, records)):
        generator = torch.Generator().manual_seed(0)
        update(subject, Adam(subject), rollout, PPOParams(), Weights(0.01), generator, None, recorded)
    assert all((value == tensors(second)[name]).all() for name, value in tensors(first).items())


def test_whole_episodes_are_drawn_until_there_are_enough_rows() -> None:
    subject = network_of(Later())
    records = records_from(played(Later(), subject))  # episodes of two steps
    drawn = records.drawn(7, torch.Generator().manual_seed(3))
    assert drawn.length.tolist() == [2] * 4 and len(drawn.action) == len(drawn.reward) == 8
    known = {
        (tuple(f), int(a), float(r))
        for f, a, r in zip(records.obs["features"].tolist(), records.action, records.reward, strict=True)
    }
    assert {
        (tuple(f), int(a), float(r)) for f, a, r in zip(drawn.obs["features"].tolist(), drawn.action, drawn.reward, strict=True)
    } <= known
    assert drawn.obs["features"][:, 1].tolist() == [0.0, 0.5] * 4  # their ticks
    assert drawn.terminated.tolist() == [False, True] * 4


def test_rows_that_are_not_finite_are_not_learned_from() -> None:
    subject = network_of(Choice())
    records = records_from(played(Choice(), subject))
    records.reward[3] = np.nan
    before = {name: value.copy() for name, value in tensors(subject).items()}
    metrics, log = replayed(subject, records)
    assert metrics["nonfinite"] > 0 and metrics["updates"] == 0 and not log
    assert all((value == before[name]).all() for name, value in tensors(subject).items())


def test_an_update_on_nothing_is_an_error() -> None:
    subject = network_of(Choice())
    with pytest.raises(UsageError, match="expected a rollout or recorded rows"):
        update(subject, Adam(subject), None, WHOLE, Weights(1e-3), torch.Generator())
