"""A schedule as it runs: its events, who is learned from, and what is never learned from."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.learn.probes import Choice, Probe

from headstart.config.params import EvaluationParams, NetworkParams
from headstart.config.schedule import Arm
from headstart.core.arrays import Array
from headstart.core.errors import InputError, UsageError
from headstart.learn.anneal import Cloned, Event, PhaseEnded, Trainer, Updated, run, trainer_of
from headstart.learn.demonstrations import Demonstrations, demonstrations
from headstart.learn.minibatches import Batch, learn
from headstart.learn.networks import ActorCritic, tensors

ROLLOUT = 32 * 8  # env steps
PPO = {"worlds": 32, "rollout_ticks": 8, "num_epochs": 2, "mini_batch_size": 64}
DESIGN = EvaluationParams(seed=1, worlds=8, every=ROLLOUT, exam_seed=2, exam_worlds=8)


class Judged(Choice):
    """A probe whose episodes can succeed, as evaluations ask."""

    def __init__(self, num_worlds: int = 32) -> None:
        super().__init__(num_worlds)
        self.success = self.harm = lambda stats: np.zeros(len(stats), bool)


class Broken(Judged):
    """Pays a number that is none."""

    def reward(self, actions: Array) -> Array:
        return np.full(self.num_worlds, np.nan)


def right(obs: dict[str, Array]) -> Array:
    """The expert of Choice."""
    return (obs["features"][:, 0] > 0).astype(np.int64)


def recorded(rows: int = 256) -> Demonstrations:
    """What that expert did."""
    features = np.random.default_rng(0).choice([-1.0, 1.0], (rows, 2)).astype(np.float32)
    obs = {"features": features, "mask": np.ones((rows, 2), np.uint8)}
    return demonstrations(obs, right(obs), np.ones(rows, np.float32), np.ones(rows, np.int64), 0.9)


def arm_of(*phases: dict[str, Any], start: str = "bc") -> Arm:
    return Arm.model_validate({"start": start, "ppo": PPO, "phases": [{"learning_rate": 0.01} | phase for phase in phases]})


def trainer(arm: Arm, world: Probe | None = None, seed: int = 0) -> Trainer:
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    network = ActorCritic(2, 2, None, NetworkParams(hidden=(16,)))
    both = (recorded(), recorded(64))
    return trainer_of(network, arm, world or Judged(), Judged(8), DESIGN, seed, both, right, 1)


def ppo(name: str = "tune", rollouts: int = 2, **more: Any) -> dict[str, Any]:
    return {"name": name, "kind": "ppo", "env_steps": rollouts * ROLLOUT} | more


def accuracy(trainer: Trainer) -> float:
    """How often the likeliest action is the right one."""
    obs = recorded().obs
    with torch.no_grad():
        return float((trainer.network.policy(obs).mode() == recorded().label).float().mean())


def test_events_come_in_the_order_of_the_schedule() -> None:
    arm = arm_of({"name": "clone", "kind": "bc", "epochs": 2}, {"name": "warm", "kind": "critic", "env_steps": ROLLOUT}, ppo())
    names = [type(event).__name__ for event in run(trainer(arm))]
    bc = ["Evaluated", "PhaseBegan", "Cloned", "Cloned", "PhaseEnded"]
    assert names == [
        *bc,
        "PhaseBegan",
        "Updated",
        "Evaluated",
        "PhaseEnded",
        "PhaseBegan",
        *["Updated", "Evaluated"] * 2,
        "PhaseEnded",
    ]


def test_a_phase_begins_with_the_weights_that_the_one_before_ended_with() -> None:
    subject = trainer(arm_of(ppo("one"), ppo("two")))
    events, kept = run(subject), {}
    for event in events:
        if isinstance(event, PhaseEnded):
            kept = {name: value.copy() for name, value in tensors(subject.network).items()}
        if type(event).__name__ == "PhaseBegan" and event.index == 1:
            assert all((value == kept[name]).all() for name, value in tensors(subject.network).items())
    assert kept


def test_every_env_step_is_charged_once() -> None:
    subject = trainer(arm_of({"name": "warm", "kind": "critic", "env_steps": ROLLOUT}, ppo(rollouts=3)))
    used = [event.env_steps_used for event in run(subject) if isinstance(event, PhaseEnded)]
    assert used == [ROLLOUT, 3 * ROLLOUT]
    assert subject.at.env_steps == subject.arm.budget == 4 * ROLLOUT


def test_a_bc_phase_learns_the_expert_and_becomes_the_reference() -> None:
    subject = trainer(
        arm_of({"name": "clone", "kind": "bc", "epochs": 6, "learning_rate": 0.01}, ppo(kl_weight=0.1, entropy_coef=0.1))
    )
    events: list[Event] = list(run(subject))
    assert [e.epoch.heldout.accuracy for e in events if isinstance(e, Cloned)][-1] == 1.0
    assert subject.reference is not None
    first, second = (e.metrics for e in events if isinstance(e, Updated))
    assert first["kl_to_reference"] == pytest.approx(0.0, abs=1e-6)
    assert second["kl_to_reference"] > 0


def test_rows_of_the_expert_are_masked_out_of_the_surrogate() -> None:
    subject = trainer(arm_of(ppo(expert_share=1.0, blend="step", entropy_coef=0.0)))
    actor, critic = (
        {name: value.copy() for name, value in tensors(subject.network).items() if name.startswith(part)}
        for part in ("actor", "critic")
    )
    updates = [event for event in run(subject) if isinstance(event, Updated)]
    now = tensors(subject.network)
    assert all(event.metrics["expert_steps"] == ROLLOUT for event in updates)
    assert all((now[name] == value).all() for name, value in actor.items())
    assert any((now[name] != value).any() for name, value in critic.items())


def test_rows_of_the_expert_are_imitated_where_they_have_a_weight() -> None:
    subject = trainer(arm_of(ppo(rollouts=10, expert_share=1.0, blend="step", bc_weight=1.0, entropy_coef=0.0)))
    subject.demonstrations = None
    list(run(subject))
    assert accuracy(subject) == 1.0


def test_with_all_labels_the_expert_is_imitated_in_steps_that_the_learner_drives() -> None:
    subject = trainer(arm_of(ppo(rollouts=10, bc_weight=1.0, labels="all")), Broken())
    subject.player.world.reward = lambda actions: np.zeros(len(actions))  # type: ignore[attr-defined]  # nothing to win
    subject.demonstrations = None
    updates = [event for event in run(subject) if isinstance(event, Updated)]
    assert all(event.metrics["expert_steps"] == 0 for event in updates)
    assert all(event.rollout.label.equal(wanted(event)) for event in updates if event.rollout.label is not None)
    assert accuracy(subject) == 1.0


def test_an_expert_whose_labels_have_no_weight_is_not_asked() -> None:
    silent = {"from": 0.5, "to": 0.0, "over": 0.5}
    subject = trainer(arm_of(ppo(rollouts=4, bc_weight=silent, labels="all")), Broken())
    updates = [event for event in run(subject) if isinstance(event, Updated)]
    assert [event.rollout.label is not None for event in updates] == [True, True, False, False]


def wanted(event: Updated) -> torch.Tensor:
    """What the expert would do in every step of the rollout."""
    return (event.rollout.obs["features"][..., 0] > 0).long()


def test_labels_change_nothing_of_the_surrogate_of_the_learner_s_own_steps() -> None:
    def first_loss(**more: Any) -> float:
        arm = arm_of(ppo(rollouts=1, expert_share=0.5, blend="step", bc_weight=0.5, **more))
        at_once = arm.ppo.model_copy(update={"num_epochs": 1, "mini_batch_size": ROLLOUT})  # the loss before anything is learned
        events = run(trainer(arm.model_copy(update={"ppo": at_once})))
        return next(event.metrics["loss_policy"] for event in events if isinstance(event, Updated))

    assert first_loss() == first_loss(labels="all")


def test_recorded_actions_teach_in_the_same_step_as_the_rollout() -> None:
    subject = trainer(arm_of(ppo(rollouts=10, bc_weight=1.0)), Broken())
    subject.player.world.reward = lambda actions: np.zeros(len(actions))  # type: ignore[attr-defined]  # nothing to win
    updates = [event for event in run(subject) if isinstance(event, Updated)]
    assert accuracy(subject) == 1.0
    assert updates[-1].metrics["loss_bc"] < updates[0].metrics["loss_bc"]


def test_the_loss_is_the_sum_of_its_parts_with_every_term() -> None:
    subject = trainer(arm_of(ppo(rollouts=3, bc_weight=0.5, kl_weight=0.3, expert_share=0.5, blend="step", entropy_coef=0.02)))
    for event in run(subject):
        if isinstance(event, Updated):
            m = event.metrics
            parts = m["loss_policy"] + m["loss_value"] - 0.02 * m["entropy"] + 0.3 * m["loss_kl"] + 0.5 * m["loss_bc"]
            assert m["loss_total"] == pytest.approx(parts, abs=1e-5)


def test_a_reward_that_is_no_number_is_counted_and_not_learned_from() -> None:
    subject = trainer(arm_of(ppo()), Broken())
    before = {name: value.copy() for name, value in tensors(subject.network).items()}
    updates = [event for event in run(subject) if isinstance(event, Updated)]
    assert all(event.metrics["nonfinite"] > 0 and event.metrics["updates"] == 0 for event in updates)
    assert all((value == before[name]).all() for name, value in tensors(subject.network).items())


def test_a_gradient_that_is_no_number_is_not_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = trainer(arm_of(ppo(rollouts=1)))

    def spoilt(network: Any, optimizer: Any, batch: Batch, *rest: Any) -> Any:
        return learn(network, optimizer, replace(batch, returns=batch.returns * math.nan), *rest)

    monkeypatch.setattr("headstart.learn.ppo.learn", spoilt)
    before = {name: value.copy() for name, value in tensors(subject.network).items()}
    (update,) = (event for event in run(subject) if isinstance(event, Updated))
    assert update.metrics["nonfinite"] == update.metrics["updates"] > 0
    assert all((value == before[name]).all() for name, value in tensors(subject.network).items())


def test_ramps_move_with_the_steps_of_the_phase() -> None:
    subject = trainer(arm_of(ppo(rollouts=4, kl_weight={"from": 1.0, "to": 0.0})))
    weights = [event.weights.kl_weight for event in run(subject) if isinstance(event, Updated)]
    assert weights == [1.0, 0.75, 0.5, 0.25]


def test_a_world_that_cannot_change_its_reward_says_so() -> None:
    with pytest.raises(InputError, match="the weights of world probe cannot change"):
        list(run(trainer(arm_of(ppo(reward={"collision": -1.0})))))


@pytest.mark.parametrize("asked", [{"expert_share": 0.5}, {"bc_weight": 0.5, "labels": "all"}])
def test_a_share_or_labels_without_an_expert_are_refused(asked: dict[str, Any]) -> None:
    subject = trainer(arm_of(ppo(**asked)))
    subject.player.expert = None
    with pytest.raises(UsageError, match="expected an expert"):
        list(run(subject))
