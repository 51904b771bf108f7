"""`headstart.make`, `headstart.parallel_env` and `headstart/Nav-v0`: worlds by the names of their scenarios, also outside a project."""

import copy
import shutil
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

import headstart
import headstart.envs
from headstart.core.errors import InputError, MissingExtra, UsageError
from headstart.worlds.nav.env import Nav
from headstart.worlds.town.env import Town

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Outside any project."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_scenario_of_the_package_is_found_without_a_project() -> None:
    town = headstart.make("queue_conflict", 3, first_world=7, observation="hybrid", render_mode="ansi")
    assert isinstance(town.unwrapped, Town) and town.ids == range(7, 10) and town.render_mode == "ansi"
    assert "map" in town.single_observation_space.spaces
    assert isinstance(headstart.make("nav_mixed").unwrapped, Nav)


def test_a_project_comes_first_from_any_folder_below_it_and_the_path_of_a_file_is_taken(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "scenarios", elsewhere / "scenarios")
    file = elsewhere / "scenarios/queue_conflict.yaml"
    mine = file.read_text().replace("horizon: 128", "horizon: 9")
    (elsewhere / "scenarios/mine.yaml").write_text(mine)
    assert headstart.make("scenarios/mine.yaml").horizon == 9
    with pytest.raises(InputError, match=r"no scenario 'mine'.*; there are cartpole, "):
        headstart.make("mine")
    (elsewhere / "params.yaml").write_text("scenarios: [mine]\n")
    file.write_text(mine)
    (elsewhere / "notebooks").mkdir()
    monkeypatch.chdir(elsewhere / "notebooks")
    assert headstart.make("mine").horizon == headstart.make("queue_conflict").horizon == 9


def test_an_environment_in_the_folder_of_a_project_is_found(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (elsewhere / "params.yaml").write_text("scenarios: [mine]\n")
    for folder in ("scenarios", "my_environments"):
        (elsewhere / folder).mkdir()
    shutil.copy(ROOT / "scenarios/cartpole.yaml", elsewhere / "scenarios/mine.yaml")
    text = (ROOT / "scenarios/cartpole.yaml").read_text()
    (elsewhere / "scenarios/mine.yaml").write_text(text.replace("CartPole-v1", "my_environments.pole:Mine-v0"))
    (elsewhere / "my_environments/pole.py").write_text(
        "import gymnasium as gym\ngym.register('Mine-v0', 'gymnasium.envs.classic_control:CartPoleEnv')\n"
    )
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert headstart.make("mine", 2).num_envs == 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: headstart.make("queue_conflikt"), r"no scenario 'queue_conflikt' \(did you mean 'queue_conflict'\?\)"),
        (lambda: headstart.make("none/here.yaml"), r"none/here\.yaml: expected the file of a scenario, found none"),
        (
            lambda: headstart.make("none/here"),
            "none/here: expected the path of a scenario's file, which ends in .yaml, or a name",
        ),
        (lambda: headstart.make("mine.yml"), r"mine\.yml: expected the path of a scenario's file, which ends in \.yaml"),
        (lambda: headstart.make(None), r"scenario: expected a name or the path of a \.yaml file, got None"),  # type: ignore[arg-type]
        *(
            (lambda n=n: headstart.make("queue_conflict", n), f"num_worlds: expected 1 or more, a whole number, got {n!r}")
            for n in (0, 2.5, "2", True, None)
        ),
        *(
            (lambda n=n: headstart.make("queue_conflict", first_world=n), f"first_world: expected a whole number ≥ 0, got {n}")
            for n in (-1, 1.5, 1 << 63)
        ),
        (lambda: headstart.parallel_env("queue_conflict", world=-1), "world: expected a whole number ≥ 0, got -1"),
        (lambda: headstart.parallel_env("queue_conflict", observation="hybird"), "expected compact or hybrid, got 'hybird'"),  # type: ignore[arg-type]
        (lambda: headstart.make("queue_conflict", observation="big"), "expected compact or hybrid, got 'big'"),  # type: ignore[arg-type]
        (lambda: headstart.parallel_env("nav_mixed"), "nav_mixed: expected a scenario of the world town, got nav"),
        (lambda: gym.make("headstart/Nav-v0", scenario="queue_conflict"), "expected a scenario of the world nav, got town"),
    ],
)
def test_what_is_wrong_is_said_in_words(call: object, message: str) -> None:
    assert callable(call)
    with pytest.raises(InputError, match=message):
        call()


def test_a_town_of_pettingzoo_is_the_town(monkeypatch: pytest.MonkeyPatch) -> None:
    test = pytest.importorskip("pettingzoo.test", reason="needs the extra `pettingzoo`")
    env = headstart.parallel_env("queue_conflict", world=5)
    test.parallel_api_test(env, num_cycles=50)
    seen, _ = env.reset(seed=3)
    obs, _ = headstart.make("queue_conflict", first_world=5).reset(seed=3)
    np.testing.assert_array_equal(np.stack([seen[agent]["features"] for agent in env.agents]), obs["features"])
    policy = headstart.load(ROOT / "policies/queue_conflict/pretrained")
    actions = {agent: policy.predict(seen[agent])[0] for agent in env.agents}
    assert list(actions.values()) == policy.predict(obs)[0].tolist()
    env.step(actions)

    monkeypatch.setitem(sys.modules, "pettingzoo", None)
    for module in ("headstart.deploy.parallel", "headstart.worlds.parallel"):
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(MissingExtra, match=r"pip install 'headstart\[pettingzoo\]'"):
        headstart.parallel_env("queue_conflict")


@pytest.mark.parametrize("scenario", ["queue_conflict", "nav_mixed", "cartpole"])
def test_what_a_world_returned_stays_as_it_was(scenario: str) -> None:
    world = headstart.make(scenario, 4)
    returned = [world.reset(seed=1)]
    kept = copy.deepcopy(returned)
    actions = np.zeros(world.action_space.shape, world.action_space.dtype)
    for _ in range(3):
        returned.append(world.step(actions))
        kept.append(copy.deepcopy(returned[-1]))
    if scenario != "cartpole":
        chosen = world.expert_actions()
        kept.append(chosen.copy())
        world.step(chosen)
        world.expert_actions()
        returned.append(chosen)
    state, counters, gone = world.snapshot(), world.running_stats, world.gone
    before = copy.deepcopy((state, counters, gone))
    seen = world.step(actions)
    assert_same((state, counters, gone), before)
    assert_same(returned, kept)
    world.restore(state)
    assert_same(world.step(actions), seen)
    for array in (*seen[0].values(), *seen[1:4]):
        array[...] = 1  # what a caller writes into an array is not of the world
    world.restore(state)
    again = copy.deepcopy(world.step(actions))
    world.restore(state)
    assert_same(world.step(actions), again)


def assert_same(found: Any, expected: Any) -> None:
    """Of nested dicts and sequences of arrays."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        found, expected = list(found.values()), list(expected.values())
    if isinstance(expected, list | tuple):
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    else:
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("scenario", ["queue_conflict", "nav_mixed", "cartpole"])
def test_a_world_that_has_not_begun_or_is_closed_refuses_to_go_on(scenario: str) -> None:
    world = headstart.make(scenario, 2)
    actions = np.zeros(world.action_space.shape, world.action_space.dtype)
    calls = {
        "step": lambda: world.step(actions),
        "expert_actions": world.expert_actions,
        "snapshot": world.snapshot,
        "running_stats": lambda: world.running_stats,
        "render": world.render,
    }
    for name, call in calls.items():
        with pytest.raises(UsageError, match=rf"^{name}: expected reset\(\) before it$"):
            call()
    other = headstart.make(scenario, 2)
    other.reset(seed=1)
    expected = other.step(actions)
    other.reset(seed=1)
    world.restore(other.snapshot())  # begins it
    assert_same(world.step(actions), expected)
    three = headstart.make(scenario, 3)
    three.reset(seed=1)
    for wrong in (three.snapshot(), {}, None):
        with pytest.raises(InputError, match="snapshot: expected one of 2 worlds of this scenario"):
            world.restore(wrong)  # type: ignore[arg-type]
    world.close()
    with pytest.raises(UsageError, match="step: expected worlds that are open, these were closed"):
        world.step(actions)


@pytest.mark.parametrize(
    ("scenario", "actions", "said"),
    [
        ("queue_conflict", np.zeros(7, int), r"expected \[8\] whole numbers, got int64 \[7\]"),
        ("queue_conflict", np.zeros(8), r"expected \[8\] whole numbers, got float64 \[8\]"),
        ("queue_conflict", np.zeros(8, bool), r"expected \[8\] whole numbers, got bool \[8\]"),
        ("queue_conflict", [15] * 8, r"expected ids from 0 to 14, got 15 … 15"),
        ("queue_conflict", [0] * 7 + [-1], r"expected ids from 0 to 14, got -1 … 0"),
        ("queue_conflict", None, r"expected \[8\] whole numbers, got object \[\]: None"),
        ("queue_conflict", [[0], [1, 2]], r"expected \[8\] whole numbers: "),
        ("cartpole", np.full(2, 0.5), r"expected \[2\] whole numbers, got float64 \[2\]"),
        ("cartpole", [2, 0], r"expected ids from 0 to 1, got 0 … 2"),
        ("nav_mixed", [[0.0, np.nan], [0.0, 0.0]], r"expected \[2, 2\] finite numbers, got float64 \[2, 2\]"),
        ("nav_mixed", np.zeros(2), r"expected \[2, 2\] finite numbers, got float64 \[2\]"),
        ("nav_mixed", torch.zeros((2, 2), requires_grad=True), r"expected \[2, 2\] finite numbers: .*requires grad"),
    ],
)
def test_actions_that_are_none_are_refused_and_change_nothing(scenario: str, actions: Any, said: str) -> None:
    world = headstart.make(scenario, 2)
    world.reset(seed=0)
    before = world.snapshot()
    with pytest.raises(UsageError, match=f"actions: {said}"):
        world.step(actions)
    assert_same(world.snapshot(), before)


def test_whole_numbers_drive_a_robot_and_lists_are_actions() -> None:
    world = headstart.make("nav_mixed", 2)
    world.reset(seed=0)
    expected = world.step(np.array([[1.0, 0.0], [0.0, 0.0]]))
    world.reset(seed=0)
    assert_same(world.step([[1, 0], [0, 0]]), expected)


@pytest.mark.parametrize("seed", [1.5, True, -1, [1, 2], "1", 1 << 64])
def test_a_seed_is_a_whole_number(seed: Any) -> None:
    robots = gym.make_vec("headstart/Nav-v0", num_envs=2, vectorization_mode="vector_entry_point")
    worlds = [headstart.make(name) for name in ("queue_conflict", "cartpole")]
    for one in (*worlds, robots, gym.make("headstart/Nav-v0").unwrapped):
        with pytest.raises(InputError, match="seed: expected a whole number ≥ 0, got "):
            one.reset(seed=seed)
    obs = [worlds[0].reset(seed=kind(3))[0]["features"] for kind in (int, np.int64, np.uint8)]
    assert (obs[0] == obs[1]).all() and (obs[0] == obs[2]).all()


def test_a_town_of_pettingzoo_refuses_seeds_actions_and_steps_that_are_none() -> None:
    pytest.importorskip("pettingzoo", reason="needs the extra `pettingzoo`")
    env = headstart.parallel_env("queue_conflict")
    for call in (lambda: env.step({}), env.expert_actions):
        with pytest.raises(UsageError, match=r": expected reset\(\) before it, since"):
            call()
    with pytest.raises(InputError, match=r"seed: expected a whole number ≥ 0, got 1\.5"):
        env.reset(seed=1.5)  # type: ignore[arg-type]
    env.reset(seed=1)
    for wrong, said in (
        (0.5, "agent_1: actions: expected"),
        (99, "agent_1: actions: expected ids from 0 to 14"),
        (None, "agent_1: "),
    ):
        with pytest.raises(UsageError, match=said):
            env.step(dict.fromkeys(env.agents, 0) | {"agent_1": wrong})
    with pytest.raises(UsageError, match="actions: expected a dict with one for each of"):
        env.step([0, 0, 0, 0])  # type: ignore[arg-type]
    env.step(dict.fromkeys(env.agents, np.int64(0)))


def test_gymnasium_has_no_objection_to_the_robot() -> None:
    check_env(gym.make("headstart.envs:headstart/Nav-v0").unwrapped)  # a warning is an error


def test_the_robot_of_gymnasium_lives_the_episode_of_the_compiled_world() -> None:
    env = gym.make("headstart/Nav-v0", scenario="nav_crossing", world=11)
    world = headstart.make("nav_crossing", first_world=11)
    seen, _ = env.reset(seed=4)
    obs, _ = world.reset(seed=4)
    np.testing.assert_array_equal(seen, obs["features"][0])
    for _ in range(world.horizon):
        action = np.array([1.0, 0.05], np.float32)
        seen, reward, terminated, truncated, info = env.step(action)
        obs, rewards, ends, cuts, told = world.step(action[None])
        assert (reward, terminated, truncated) == (rewards[0], ends[0], cuts[0])
        if terminated or truncated:
            break
        np.testing.assert_array_equal(seen, obs["features"][0])
    assert terminated or truncated
    np.testing.assert_array_equal(seen, told["final_obs"]["features"][0])
    assert info["success"] == world.success(told["stats"])[0] and info["harm"] == world.harm(told["stats"])[0]
    assert list(info["stats"].values()) == told["stats"][0, 0].tolist()
    with pytest.raises(UsageError, match=r"expected reset\(\) before it"):
        env.unwrapped.step(action)
    again, _ = env.reset()
    assert (again != env.reset()[0]).any()  # seeds are drawn


def test_many_robots_of_gymnasium_are_the_compiled_worlds() -> None:
    envs = gym.make_vec("headstart/Nav-v0", num_envs=5, vectorization_mode="vector_entry_point", world=2)
    world = headstart.make("nav_mixed", 5, first_world=2)
    seen, _ = envs.reset(seed=1)
    np.testing.assert_array_equal(seen, world.reset(seed=1)[0]["features"])
    assert envs.observation_space.contains(seen)
    ended = np.zeros(5, bool)
    for _ in range(200):
        actions = np.tile(np.array([1.0, 0.0], np.float32), (5, 1))
        seen, reward, terminated, truncated, info = envs.step(actions)
        obs, rewards, *_, told = world.step(actions)
        np.testing.assert_array_equal(seen, obs["features"])
        np.testing.assert_array_equal(reward, rewards)
        assert ("final_obs" in info) == (terminated | truncated).any()
        if "final_obs" in info:
            np.testing.assert_array_equal(info["_final_obs"], terminated | truncated)
            np.testing.assert_array_equal(info["final_obs"], told["final_obs"]["features"])
        ended |= terminated | truncated
    assert ended.any()
