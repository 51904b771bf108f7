"""`headstart.make`, `headstart.parallel_env` and `headstart/Nav-v0`: worlds by the names of their scenarios, also outside a project."""

import shutil
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
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
            (lambda n=n: headstart.make("queue_conflict", n), f"num_worlds: expected a whole number ≥ 1, got {n!r}")
            for n in (0, 2.5, "2", True, None)
        ),
        *(
            (lambda n=n: headstart.make("queue_conflict", first_world=n), f"first_world: expected a whole number ≥ 0.*, got {n}")
            for n in (-1, 1.5, 1 << 63)
        ),
        (
            lambda: headstart.make("queue_conflict", 1 << 62),
            "num_worlds: expected a whole number ≥ 1 and ≤ 2147483648, got 4611686018427387904",
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


def test_more_worlds_than_the_memory_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise MemoryError("Unable to allocate 3 TiB")

    monkeypatch.setattr("headstart.deploy.worlds.make_world", full)
    with pytest.raises(InputError, match="num_worlds: expected as many as the memory holds, got 9: Unable to allocate 3 TiB"):
        headstart.make("queue_conflict", 9)


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
