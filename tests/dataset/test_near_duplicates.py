"""Held-out episodes among those that are trained on, with noise; and what only looks like it."""

from dataclasses import replace

import numpy as np
import pytest
from tests.dataset.conftest import record_walks

from headstart.dataset.episodes import Episodes, EpisodeTable, concatenate, select
from headstart.dataset.near_duplicates import near_duplicates

HELD = np.arange(240) >= 200


def copies(walks: Episodes, which: np.ndarray, noise: float) -> Episodes:
    """The walks, and behind them copies of some under new ids."""
    random = np.random.default_rng(0)
    copy = select(walks, np.isin(np.arange(240), which))
    features = copy.observation["features"]
    noisy = (features + noise * random.standard_normal(features.shape)).astype(np.float32)
    table = replace(copy.table, world=1000 + np.arange(len(which)), episode_id=copy.table.episode_id[::-1].copy())
    return concatenate([walks, replace(copy, observation={"features": noisy}, table=table)])


@pytest.fixture(scope="module")
def walks() -> Episodes:
    return record_walks()


def test_different_episodes_are_none(walks: Episodes) -> None:
    check = near_duplicates(walks, HELD)
    assert (check.passed, check.measured, check.n) == (True, 0, 40)


@pytest.mark.parametrize("noise", [0.0, 1e-7, 1e-6, 5e-6])
@pytest.mark.parametrize("which", [[239], [200, 210], list(range(200, 240))], ids=len)
def test_held_out_episodes_that_stand_in_train_are_found_all(walks: Episodes, noise: float, which: list[int]) -> None:
    both = copies(walks, np.array(which), noise)
    check = near_duplicates(both, np.concatenate([HELD, np.zeros(len(which), bool)]))
    assert (check.passed, check.measured) == (False, len(which))
    assert f"{which[0]} as 240" in check.text


def test_train_episodes_that_stand_in_the_held_out_side_are_found(walks: Episodes) -> None:
    both = copies(walks, np.array([3, 4]), 1e-6)
    assert near_duplicates(both, np.concatenate([HELD, np.ones(2, bool)])).measured == 2


def test_a_copy_on_its_own_side_and_one_of_other_actions_is_none(walks: Episodes) -> None:
    both = copies(walks, np.array([3]), 1e-6)
    assert near_duplicates(both, np.concatenate([HELD, np.zeros(1, bool)])).passed
    both.action[-1] ^= 1
    assert near_duplicates(both, np.concatenate([HELD, np.ones(1, bool)])).passed


def test_episodes_that_lie_near_each_other_by_chance_are_none() -> None:
    """An environment with one random number: among 2,000 starts some are within 1e-6 of each other, as they must be."""
    start = np.sort(np.random.default_rng(1).uniform(-0.6, -0.4, 2000))
    assert np.diff(start).min() < 1e-6
    length = np.full(2000, 5)
    features = np.repeat(start, 5)[:, None].astype(np.float32) + np.tile(np.arange(5, dtype=np.float32), 2000)[:, None]
    column = np.zeros(10_000, np.float32)
    table = EpisodeTable(
        episode_id=np.array([b"%016d" % e for e in range(2000)], "S16"),
        start=np.arange(2000) * 5,
        length=length,
        seed=length,
        world=np.arange(2000),
        episode=length,
        agent=length,
        total_reward=np.zeros(2000, np.float32),
        success=np.ones(2000, bool),
        harm=np.zeros(2000, bool),
        behaviour={},
    )
    episodes = Episodes(
        observation={"features": features},
        action=np.zeros(10_000, np.int64),
        expert_action=np.zeros(10_000, np.int64),
        action_mask=None,
        reward=column,
        reward_terms=column[:, None],
        terminated=np.zeros(10_000, bool),
        truncated=np.zeros(10_000, bool),
        final_observation={"features": features[4::5]},
        table=table,
    )
    assert near_duplicates(episodes, np.random.default_rng(2).random(2000) < 0.1).passed
