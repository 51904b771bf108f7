"""A recording in which the observation stands beside the wrong action is found; aligned ones of several kinds pass."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.random import Generator

from headstart.core.arrays import Array
from headstart.dataset.episodes import Episodes, EpisodeTable
from headstart.dataset.lags import lag_agreement, lag_scores

EPISODES, STEPS = 40, 30
Policy = Callable[[Array, Generator], Array]  # observations [E, 2], → actions [E] 0 or 1


def attentive(seen: Array, random: Generator) -> Array:
    """Pushes against position and speed."""
    return (seen[:, 0] + seen[:, 1] < 0).astype(int)


def careless(seen: Array, random: Generator) -> Array:
    """The same in half of the steps, anything in the others: the action before, which the speed shows, is known better than the present one."""
    return np.where(random.random(len(seen)) < 0.5, attentive(seen, random), random.integers(2, size=len(seen)))


def anything(seen: Array, random: Generator) -> Array:
    return random.integers(2, size=len(seen))


def played(policy: Policy, delay: int = 0, speed_is_command: bool = False, seed: int = 0) -> Episodes:
    """A point on a line that is pushed left or right, `delay` steps late."""
    random = np.random.default_rng(seed)
    place, speed = random.normal(size=(2, EPISODES))
    commands = [random.integers(2, size=EPISODES) for _ in range(delay)]
    features, actions = [], []
    for _ in range(STEPS):
        seen = np.stack([place, speed], axis=1)
        features.append(seen)
        actions.append(policy(seen, random))
        commands.append(actions[-1])
        push = 2.0 * commands.pop(0) - 1
        speed = push if speed_is_command else 0.9 * speed + 0.2 * push
        place = place + 0.1 * speed + 0.01 * random.normal(size=EPISODES)
    columns = np.stack(features, axis=1).reshape(-1, 2).astype(np.float32)
    return episodes_of(columns, np.stack(actions, axis=1).ravel())


def episodes_of(features: Array, action: Array) -> Episodes:
    count = len(action) // STEPS
    start, nothing, no = np.arange(count) * STEPS, np.zeros(len(action), np.float32), np.zeros(len(action), bool)
    zero, flags = np.zeros(count, np.int64), np.zeros(count, bool)
    length = np.full(count, STEPS)
    table = EpisodeTable(zero.astype("S16"), start, length, zero, start, zero, zero, zero.astype(np.float32), flags, flags, {})
    observation = {"features": features}
    return Episodes(observation, action, action, None, nothing, nothing[:, None], no, no, observation, table)


def shifted(episodes: Episodes, by: int) -> Episodes:
    """Row t holds the observation of row t + `by`."""
    features = np.roll(episodes.observation["features"].reshape(-1, STEPS, 2), -by, axis=1).reshape(-1, 2)
    return replace(episodes, observation={"features": features})


@pytest.mark.parametrize("known", [True, False], ids=["with-environment", "without"])
@pytest.mark.parametrize("by", [-1, 1])
@pytest.mark.parametrize("policy", [attentive, careless])
def test_a_recording_that_is_shifted_by_one_is_found(policy: Policy, by: int, known: bool) -> None:
    episodes, random = played(policy), played(anything, seed=1) if known else None
    assert lag_agreement(episodes, 2, random).passed
    found = lag_agreement(shifted(episodes, by), 2, random)
    assert found.applies and not found.passed, found.text


def test_an_observation_that_shows_the_last_command_does_not_look_like_a_shift() -> None:
    episodes = played(careless, speed_is_command=True)
    scores = lag_scores(episodes, 2)
    assert scores is not None
    assert scores.behaviour[0] > scores.behaviour[1] + 0.1  # the trap: the action before is predicted better than the present one
    random = played(anything, speed_is_command=True, seed=1)
    assert lag_agreement(episodes, 2, random).passed
    assert not lag_agreement(shifted(episodes, 1), 2, random).passed


def test_an_environment_that_acts_late_does_not_look_like_a_shift() -> None:
    episodes, random = played(attentive, delay=1), played(anything, delay=1, seed=1)
    scores = lag_scores(episodes, 2)
    assert scores is not None
    assert scores.dynamics[0] > scores.dynamics[1] + 0.1  # the trap: the action before explains the change
    assert lag_agreement(episodes, 2, random).passed
    assert not lag_agreement(shifted(episodes, 1), 2, random).passed


def test_continuous_actions_are_held_to_the_same() -> None:
    discrete = played(attentive)
    random = played(anything, seed=1)

    def continuous(episodes: Episodes) -> Episodes:
        action = (2.0 * episodes.action - 1).astype(np.float32)[:, None]
        return replace(episodes, action=action, expert_action=action)

    assert lag_agreement(continuous(discrete), 0, continuous(random)).passed
    assert not lag_agreement(continuous(shifted(discrete, 1)), 0, continuous(random)).passed


def test_where_nothing_can_be_predicted_the_gate_does_not_apply() -> None:
    random = np.random.default_rng(0)
    noise = episodes_of(random.normal(size=(EPISODES * STEPS, 2)).astype(np.float32), random.integers(2, size=EPISODES * STEPS))
    found = lag_agreement(noise, 2)
    assert (found.applies, found.outcome) == (False, None)
    assert "not applicable" in found.text


def test_too_few_rows_are_no_evidence() -> None:
    few = played(attentive)
    one = episodes_of(few.observation["features"][: 2 * STEPS], few.action[: 2 * STEPS])
    assert not lag_agreement(one, 2).applies
