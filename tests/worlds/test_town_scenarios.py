"""Every scenario: its expert's gate, the results of untrained policies, and properties of the reward."""

from functools import cache
from pathlib import Path
from shutil import copy

import numpy as np
import pytest
from tests.worlds.scene import ROOT, SCENARIOS, scenario, town

from headstart.config.scenario import load_scenario
from headstart.core.arrays import Array
from headstart.core.statistics import wilson_lower, wilson_upper
from headstart.runs.worlds import worlds_of
from headstart.worlds.api import FIRST_WORLD
from headstart.worlds.town.state import STATS

every_scenario = pytest.mark.parametrize("name", SCENARIOS)


@cache
def played(name: str, policy: str, worlds: int) -> tuple[int, int, Array, Array]:
    """Successes, episodes with harm, stats [W, A, S] and rewards [T, N] of one episode in each world."""
    world = town(worlds, first_world=FIRST_WORLD["expert"], name=name)
    rng = np.random.default_rng(0)
    seen, _ = world.reset(seed=100)
    rewards = []
    for _ in range(world.horizon):
        if policy == "expert":
            actions = world.expert_actions()
        elif policy == "idle":
            actions = np.zeros(world.num_envs, int)
        else:
            actions = np.where(seen["mask"] > 0, rng.random(seen["mask"].shape), -1.0).argmax(axis=1)
        seen, reward, _, _, info = world.step(actions)
        rewards.append(reward.copy())
    stats = info["stats"].copy()
    return int(world.success(stats).sum()), int(world.harm(stats).sum()), stats, np.array(rewards)


@every_scenario
def test_the_expert_meets_its_gate(name: str) -> None:
    success, harm, *_ = played(name, "expert", 1000)
    assert wilson_lower(success, 1000) >= scenario(name).expert.success_rate
    assert wilson_upper(harm, 1000) <= scenario(name).expert.harm_rate


@every_scenario
@pytest.mark.parametrize("policy", ["idle", "random"])
def test_a_policy_that_knows_nothing_fails(name: str, policy: str) -> None:
    success, *_ = played(name, policy, 200)
    assert success <= 0.05 * 200


@every_scenario
@pytest.mark.parametrize("policy", ["expert", "idle", "random"])
def test_no_reward_is_more_than_a_twentieth_of_all(name: str, policy: str) -> None:
    *_, rewards = played(name, policy, 1000 if policy == "expert" else 200)
    values, counts = np.unique(rewards, return_counts=True)
    assert len(values) > 100
    assert counts.max() / counts.sum() < 0.05


@every_scenario
def test_no_agents_reward_is_constant(name: str) -> None:
    *_, rewards = played(name, "expert", 1000)
    assert rewards.std(axis=0).min() > 0.01


@every_scenario
def test_rewards_are_not_clipped(name: str) -> None:
    """The sum of an agent's rewards is the integer sum of the rules, and large rewards are not clipped."""
    for policy, worlds in (("expert", 1000), ("idle", 200)):
        *_, stats, rewards = played(name, policy, worlds)
        kept = stats[:, :, STATS.index("total_reward")].reshape(-1)
        np.testing.assert_allclose(rewards.sum(axis=0, dtype=np.float64), kept * 1e-4, atol=1e-4)
    assert abs(played(name, "expert", 1000)[3]).max() > 1.0


@every_scenario
def test_features_stay_within_two(name: str) -> None:
    world = town(64, name=name)
    seen, _ = world.reset(seed=1)
    rng = np.random.default_rng(0)
    for _ in range(world.horizon):
        assert abs(seen["features"]).max() <= 2.0
        seen, *_ = world.step(rng.integers(0, 15, world.num_envs))


def test_a_sixth_scenario_is_one_yaml_file(tmp_path: Path) -> None:
    text = (ROOT / "scenarios" / "kitchen_breakfast.yaml").read_text()
    copy(ROOT / "scenarios" / "queue_conflict.yaml", tmp_path)
    (tmp_path / "late_supper.yaml").write_text(text.replace("horizon: 96", "horizon: 40").replace("agents: 3", "agents: 5"))
    world = worlds_of(load_scenario("late_supper", tmp_path), "training", 2)
    world.reset(seed=0)
    for _ in range(40):
        _, _, _, truncated, info = world.step(world.expert_actions())
    assert (world.num_envs, bool(truncated.all()), info["stats"].shape) == (10, True, (2, 5, len(STATS)))


@pytest.mark.parametrize("hidden", ["trust", "familiarity", "wallet", "counters"])
@every_scenario
def test_the_expert_does_not_act_on_what_features_hide(name: str, hidden: str) -> None:
    """Hidden: trust, familiarity, other agents' wallets, own counters, and the key of future random numbers."""
    world = town(64, name=name)
    world.reset(seed=4)
    for _ in range(40):
        world.step(world.expert_actions())
        before = world.expert_actions().copy()
        kept, changed = world.snapshot(), world.snapshot()
        worlds = changed["worlds"]
        worlds["seed"] += 1
        if hidden in ("trust", "familiarity"):
            worlds[hidden] = 7777
        elif hidden == "wallet":
            other = np.arange(64) % world.num_agents  # the agent whose decision is compared; all other wallets are empty
            mine = worlds["agent"]["wallet"][np.arange(64), other].copy()
            worlds["agent"]["wallet"] = 0
            worlds["agent"]["wallet"][np.arange(64), other] = mine
        else:
            for counter in ("eats", "showers", "waited", "life", "total_reward", "lowest_need"):
                worlds["agent"][counter] = 99
        world.restore(changed)
        after = world.expert_actions().copy()
        if hidden == "wallet":
            rows = np.arange(64) * world.num_agents + other
            np.testing.assert_array_equal(before[rows], after[rows])
        else:
            np.testing.assert_array_equal(before, after)
        world.restore(kept)
