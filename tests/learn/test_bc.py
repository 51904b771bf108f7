"""Behaviour cloning: returns, scores by hand, a toy that must be learned, and data that cannot pass."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from headstart.compare.arm_runs import Score
from headstart.config.params import BCParams, NetworkParams
from headstart.config.schedule import Ramp
from headstart.core.verdict import Outcome, Subject
from headstart.dataset.observation import ObservationSchema
from headstart.learn.bc import ActionScores, Epoch, Judgement, clone_epoch, fit, fits_of, fitting_of, judge
from headstart.learn.demonstrations import Demonstrations, demonstrations, discounted_returns
from headstart.learn.networks import ActorCritic
from headstart.learn.optimizer import Adam
from headstart.runs.cloning import MIN_VALUE_STEPS, clone_gate, clone_report

SETTINGS = BCParams(
    seed=0,
    epochs=30,
    batch_size=64,
    learning_rate=0.02,
    weight_decay=0.0,
    value_coef=0.5,
    gamma=0.5,
    patience=30,
    min_accuracy=0.9,
    min_macro_f1=0.8,
    success_margin=0.05,
    closed_loop_worlds=1,
)

SCHEMA = ObservationSchema(world="toy", features=("x",), actions=("left", "right"), reward_terms=("reward",))
PERFECT_SCORES = ActionScores(np.diag([100, 100]))
PERFECT = Score(episodes=100, success=100, harm=0, return_mean=1.0, return_sd=0.0)


def toy(rows: int, seed: int, constant: bool = False) -> Demonstrations:
    """Action 1 where the feature is positive; or always 0."""
    rng = np.random.default_rng(seed)
    features = rng.uniform(-1, 1, (rows, 1)).astype(np.float32)
    label = np.zeros(rows, np.int64) if constant else (features[:, 0] > 0).astype(np.int64)
    obs = {"features": features, "mask": np.ones((rows, 2), np.uint8)}
    return demonstrations(obs, label, features[:, 0], np.ones(rows, np.int64), 0.5)


def network() -> ActorCritic:
    torch.manual_seed(0)
    return ActorCritic(1, 2, None, NetworkParams(hidden=(16,)))


def fitted(clone: ActorCritic, train: Demonstrations, heldout: Demonstrations, **changes: Any) -> list[Epoch]:
    settings = SETTINGS.model_copy(update=changes)
    return list(fit(fitting_of(clone, train, settings), train, heldout, settings))


def test_returns_are_discounted_within_each_episode() -> None:
    found = discounted_returns(np.array([1.0, 2.0, 4.0, 8.0, 1.0]), np.array([3, 2]), 0.5)
    np.testing.assert_allclose(found, [1 + 1 + 1, 2 + 2, 4, 8.5, 1])


def test_a_toy_is_learned_and_its_value_too() -> None:
    clone = network()
    epochs = fitted(clone, toy(512, 1), toy(256, 2))
    judged = judge(clone, toy(256, 2))
    assert judged.accuracy > 0.97
    assert judged.value_explained_variance > 0.95
    assert judged.loss == pytest.approx(min(e.heldout.loss for e in epochs))


def test_the_learning_rate_is_really_used() -> None:
    losses = [fitted(network(), toy(256, 1), toy(64, 2), epochs=1, learning_rate=rate)[0].loss for rate in (1e-7, 1e-2)]
    assert losses[1] < losses[0] - 0.01


def test_it_stops_when_the_heldout_loss_no_longer_falls() -> None:
    wrong = toy(256, 2)
    wrong = Demonstrations(wrong.obs, 1 - wrong.label, wrong.returns, wrong.has_choice)  # what is learned only hurts here
    epochs = fitted(network(), toy(256, 1), wrong, patience=2)
    assert len(epochs) == 3
    assert epochs[-1].stops


def test_scores_by_hand() -> None:
    judged = ActionScores(np.array([[6, 2, 0], [0, 2, 0], [0, 0, 0]]))
    np.testing.assert_allclose(judged.recall[:2], [0.75, 1.0])
    np.testing.assert_allclose(judged.f1[:2], [12 / 14, 4 / 6])
    assert judged.macro_f1 == pytest.approx((12 / 14 + 4 / 6) / 2)  # the action that never occurs does not count


def test_steps_without_a_choice_are_not_scored() -> None:
    data = toy(100, 1)
    forced = Demonstrations(data.obs, data.label, data.returns, torch.zeros(100))
    mixed = Demonstrations(data.obs, data.label, data.returns, torch.cat([torch.ones(10), torch.zeros(90)]))
    for data, decisions in ((forced, 0), (mixed, 10)):
        scores = judge(network(), data).scores
        assert scores is not None
        assert scores.confusion.sum() == decisions


def test_a_constant_action_dataset_cannot_pass_however_accurate_its_clone_is() -> None:
    clone = network()
    fitted(clone, toy(256, 1, constant=True), toy(128, 2, constant=True))
    judged = judge(clone, toy(128, 2, constant=True))
    report = clone_report(judged, judge(network(), toy(128, 2, constant=True)), 1.0, SCHEMA, {"sampled": PERFECT}, PERFECT)
    verdict = clone_gate(report, SETTINGS, Subject(type="bc", id="toy", sha256="0"))
    assert judged.accuracy == 1.0
    assert verdict.outcome is Outcome.FAIL
    assert [reason.code for reason in verdict.reasons] == ["above-majority"]


HALF = np.array([[0.4, 0.5], [-0.4, -0.5]] * 200, np.float32)  # the expert's actions: deviations 0.4 and 0.5
APART = np.array([[1.0, 1.0], [1.0, 1.0], [-1.0, -1.0], [-1.0, -1.0]] * 100, np.float32)  # uncorrelated with them


@pytest.mark.parametrize(
    ("action", "explained", "outcome"),
    [
        (np.full_like(HALF, 0.4), -1.0, Outcome.FAIL),  # constant: its square is added to the variance
        (np.zeros_like(HALF), 0.0, Outcome.FAIL),  # the mean
        (HALF + 0.25 * APART, 1 - (0.25 / 0.4) ** 2, Outcome.FAIL),
        (HALF + 0.1 * APART, 1 - (0.1 / 0.4) ** 2, Outcome.PASS),
        (HALF, 1.0, Outcome.PASS),
        (np.stack([HALF[:, 0], np.zeros(400)], axis=1), 0.0, Outcome.FAIL),  # one component alone
    ],
    ids=["constant", "mean", "noisy", "good", "perfect", "one component"],
)
def test_only_a_clone_that_follows_its_expert_passes_with_continuous_actions(
    action: np.ndarray, explained: float, outcome: Outcome
) -> None:
    fits = fits_of(torch.from_numpy(action.astype(np.float32)), torch.from_numpy(HALF))
    judged = Judgement(400, 0.1, 1.0, 1.0, 0.1, 0.9, None, fits)

    report = clone_report(judged, judged, 1.0, SCHEMA, {"sampled": PERFECT}, PERFECT)

    assert report.explained_variance == pytest.approx(explained, abs=1e-6)
    assert clone_gate(report, SETTINGS, Subject(type="bc", id="toy", sha256="0")).outcome is outcome


def test_what_the_world_clips_is_no_error_and_a_judgement_has_the_fit_of_each_component() -> None:
    label = torch.tensor([[1.0, 0.0], [-1.0, 0.2]])
    beyond, near = fits_of(torch.tensor([[3.0, 0.1], [-2.0, 0.5]]), label)

    assert (beyond.rmse, beyond.deviation, beyond.within, beyond.constant_within) == (0.0, 1.0, 1.0, 0.5)
    assert (near.rmse, near.within) == (pytest.approx((0.01 / 2 + 0.09 / 2) ** 0.5), 0.5)
    torch.manual_seed(0)
    clone = ActorCritic(1, 2, None, NetworkParams(hidden=(4,)), continuous=True)
    data = Demonstrations({"features": torch.ones(2, 1)}, label, torch.zeros(2), torch.ones(2))
    assert judge(clone, data).fits == fits_of(clone.policy(data.obs).mode(), label)


def test_a_critic_that_learned_nothing_fails_and_a_fitted_one_passes() -> None:
    untrained, trained, heldout = network(), network(), toy(256, 2)
    fitted(trained, toy(512, 1), heldout)
    before = replace(judge(untrained, heldout), steps=MIN_VALUE_STEPS)
    for critic, expected in ((untrained, Outcome.FAIL), (trained, Outcome.PASS)):
        judged = replace(before, accuracy=1.0, scores=PERFECT_SCORES, value_mse=judge(critic, heldout).value_mse)
        report = clone_report(judged, before, 1.0, SCHEMA, {"sampled": PERFECT}, PERFECT)
        assert clone_gate(report, SETTINGS, Subject(type="bc", id="toy", sha256="0")).outcome is expected


def test_recall_is_asked_of_actions_that_were_chosen_often() -> None:
    scores = ActionScores(np.array([[150, 50], [9, 1]]))
    assert (scores.least_recall(often=200), scores.least_recall(often=10), scores.least_recall(often=201)) == (0.75, 0.1, None)


def test_a_step_that_is_not_finite_is_not_taken() -> None:
    clone, data = network(), toy(64, 1)
    before = {name: value.clone() for name, value in clone.state_dict().items()}
    spoilt = replace(data, returns=torch.full_like(data.returns, math.nan))
    loss, _ = clone_epoch(clone, Adam(clone), spoilt, 64, Ramp.model_validate(0.1), 0.5, torch.Generator())
    assert math.isnan(loss)
    assert all(torch.equal(value, before[name]) for name, value in clone.state_dict().items())
