"""A run by autograd, on the GPU where there is one, ends as a run in compiled code. Losses agree within 1e-3, weights within 2e-3."""

import numpy as np
import pytest
import torch
from tests.learn.probes import Reach
from tests.learn.test_anneal import ROLLOUT, arm_of, ppo, recorded, trainer
from tests.learn.test_bc import SETTINGS

from headstart.config.params import NetworkParams
from headstart.config.schedule import PPOParams
from headstart.learn.anneal import Cloned, Trainer, Updated, run
from headstart.learn.bc import fit, fitting_of
from headstart.learn.demonstrations import Demonstrations
from headstart.learn.networks import ActorCritic, tensors
from headstart.learn.optimizer import Adam
from headstart.learn.ppo import Weights, update
from headstart.learn.rollout import Player
from headstart.learn.state import restore, state_of, state_sha256

CPU = torch.device("cpu")
DEVICES = (None, torch.device("cuda") if torch.cuda.is_available() else CPU)  # compiled code, and autograd
ARM = arm_of(
    {"name": "clone", "kind": "bc", "epochs": 2},
    {"name": "warm", "kind": "critic", "env_steps": ROLLOUT},
    ppo(rollouts=3, kl_weight=0.3, bc_weight=0.5, expert_share=0.3),
)


def on(device: torch.device | None) -> Trainer:
    subject = trainer(ARM)
    subject.optimizer.device = device
    return subject


def assert_same_weights(one: ActorCritic, other: ActorCritic) -> None:
    for name, value in tensors(one).items():
        np.testing.assert_allclose(value, tensors(other)[name], atol=2e-3, err_msg=name)


def test_a_schedule_with_all_kinds_of_phases_logs_the_same_losses_and_ends_with_the_same_weights() -> None:
    compiled, readable = (on(device) for device in DEVICES)
    said: list[set[str]] = []
    for one, other in zip(run(compiled), run(readable), strict=True):
        if isinstance(one, Cloned) and isinstance(other, Cloned):
            assert one.epoch.loss == pytest.approx(other.epoch.loss, abs=1e-3)
            assert one.epoch.heldout.loss == pytest.approx(other.epoch.heldout.loss, abs=1e-3)
        if isinstance(one, Updated) and isinstance(other, Updated):
            assert one.metrics.keys() == other.metrics.keys()
            said.append(set(one.metrics))
            for name, value in one.metrics.items():
                assert value == pytest.approx(other.metrics[name], abs=1e-3, rel=1e-3, nan_ok=True), name
    assert len(said) == 4
    assert {"loss_kl", "loss_bc", "kl_to_reference"} <= said[-1]
    assert_same_weights(compiled.network, readable.network)


def test_a_continuous_policy_learns_the_same_by_ppo() -> None:
    networks = []
    for device in DEVICES:
        torch.manual_seed(0)
        network = ActorCritic(2, 1, None, NetworkParams(hidden=(16,), normalise=True), continuous=True)
        generator = torch.Generator().manual_seed(0)
        player, optimizer = Player(Reach(), 0, generator), Adam(network, device=device)
        for _ in range(3):
            rollout = player.play(network, 8)
            update(network, optimizer, rollout, PPOParams(num_epochs=2, mini_batch_size=64), Weights(0.01, 0.01), generator)
            network.observe(rollout.obs)
        networks.append(network)
    assert_same_weights(*networks)


@pytest.mark.parametrize("continuous", [False, True], ids=["categorical", "gaussian"])
def test_cloning_learns_the_same(continuous: bool) -> None:
    train, heldout = recorded(), recorded(64)
    if continuous:
        train, heldout = (Demonstrations(d.obs, d.obs["features"] * 0.5, d.returns, d.has_choice) for d in (train, heldout))
    losses, networks = [], []
    for device in DEVICES:
        torch.manual_seed(0)
        network = ActorCritic(2, 2, None, NetworkParams(hidden=(16,)), continuous)
        settings = SETTINGS.model_copy(update={"epochs": 3, "weight_decay": 0.01})
        epochs = fit(fitting_of(network, train, settings, device), train, heldout, settings)
        losses.append([(epoch.loss, epoch.heldout.loss) for epoch in epochs])
        networks.append(network)
    np.testing.assert_allclose(losses[0], losses[1], atol=1e-3)
    assert losses[0][-1] < losses[0][0]
    assert_same_weights(*networks)


def test_a_run_by_autograd_comes_back_bit_for_bit_and_its_state_fits_compiled_code() -> None:
    def after(updates: int, subject: Trainer) -> str:
        events = (event for event in run(subject) if isinstance(event, Updated))
        for _ in range(updates):
            next(events)
        return state_sha256(state_of(subject))

    first = on(CPU)
    after(2, first)
    kept = state_of(first)
    expected = after(2, first)
    again, elsewhere = on(CPU), on(None)
    for subject in (again, elsewhere):
        restore(subject, kept, charged=True)
        assert state_sha256(state_of(subject)) == state_sha256(kept)
    assert after(2, again) == expected
    after(2, elsewhere)
    assert_same_weights(elsewhere.network, first.network)
