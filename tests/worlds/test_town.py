"""The town: the contract of every world and bad input."""

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from tests.worlds.scene import scenario, town

from headstart.core.errors import InputError, UsageError
from headstart.worlds.town import state as s
from headstart.worlds.town.layout import read_layout
from headstart.worlds.town.observe import FEATURES

SCENARIO = scenario("queue_conflict")


# --- contract ---------------------------------------------------------------------------------------------------------


def test_spaces_contain_what_the_world_shows() -> None:
    world = town(3, hybrid=True)
    seen, _ = world.reset(seed=1)
    assert world.num_envs == 12
    assert world.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    for _ in range(20):
        assert world.observation_space.contains(seen)
        seen, *_ = world.step(world.expert_actions())


def test_terminated_and_truncated_are_never_both_and_the_horizon_truncates() -> None:
    world = town(4)
    world.reset(seed=1)
    for tick in range(1, 2 * SCENARIO.horizon + 1):
        _, _, terminated, truncated, info = world.step(world.expert_actions())
        assert not (terminated & truncated).any()
        assert truncated.all() == (tick % SCENARIO.horizon == 0)
        assert info["episode_end"].all() == truncated.all()


def test_the_final_observation_is_from_before_the_reset() -> None:
    world = town(2)
    world.reset(seed=1)
    for _ in range(SCENARIO.horizon):
        seen, _, _, truncated, info = world.step(world.expert_actions())
    assert truncated.all()
    progress = FEATURES.index("progress")
    np.testing.assert_array_equal(info["final_obs"]["features"][:, progress], 1.0)
    np.testing.assert_array_equal(seen["features"][:, progress], 0.0)


def test_an_allowed_action_is_refused_only_where_another_agent_came_first() -> None:
    world = town(64, agents=1)  # one agent, so none acts before it
    rng = np.random.default_rng(0)
    seen, _ = world.reset(seed=2)
    for _ in range(SCENARIO.horizon):
        preference = np.where(seen["mask"] > 0, rng.random(seen["mask"].shape), -1.0)
        seen, _, _, _, info = world.step(preference.argmax(axis=1))
    assert info["stats"][:, :, s.STATS.index("refused")].sum() == 0


def test_reward_is_the_sum_of_its_terms() -> None:
    world = town(16)
    rng = np.random.default_rng(0)
    world.reset(seed=2)
    for _ in range(60):
        _, reward, _, _, info = world.step(rng.integers(0, s.N_ACTIONS, world.num_envs))
        np.testing.assert_allclose(reward, info["reward_terms"].sum(axis=1), atol=1e-6)


def test_actions_of_the_wrong_shape_or_range_are_refused() -> None:
    world = town(1)
    world.reset(seed=0)
    with pytest.raises(UsageError, match=r"expected \[4\] ids in 0…14"):
        world.step(np.zeros(3, int))
    with pytest.raises(UsageError, match="expected"):
        world.step(np.full(4, 15))


def test_staggered_worlds_begin_at_different_ticks() -> None:
    world = town(64)
    world.reset(seed=1, options={"stagger": True})
    assert len(np.unique(world._worlds["tick"])) > 30


def test_feature_names_are_180_and_unique() -> None:
    assert len(FEATURES) == len(set(FEATURES)) == 180


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("################\n" * 17, "expected 1 to 16 rows, got 17"),
        ("####", "layout row 1: expected 16 of .* got 4 characters"),
        ("#####X##########", "unknown characters"),
        ("#" * 16, "expected 1 to 8 objects, got 0"),
        ("#####S##########\n#####.##########", "expected at least 8 cells to start from, got 0"),
    ],
)
def test_a_bad_layout_is_refused_by_row(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_layout(text)


def test_a_bad_setup_names_the_key() -> None:
    with pytest.raises(InputError, match=r"setup\.agents: .* got 9"):
        town(1, agents=9)
    with pytest.raises(InputError, match=r"setup\.wallet: .* low <= high"):
        town(1, wallet=[5, 3])
    with pytest.raises(InputError, match=r"setup\.need\.energy: .* low <= high"):
        town(1, need={"energy": [0, 10001]})
    with pytest.raises(InputError, match=r"setup\.shower: "):
        town(1, shower=1)
