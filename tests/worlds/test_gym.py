"""Any Gymnasium environment behind the world contract."""

import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from headstart.core.errors import InputError, MissingExtra, UsageError
from headstart.worlds.api import Task, World
from headstart.worlds.make import make

SUCCESS, HARM = ("every return >= 20",), ("any terminated > 0",)


def cartpole(num_worlds: int, first_world: int = 0, horizon: int = 30) -> World:
    return make(Task("gym", {"id": "CartPole-v1"}, horizon, SUCCESS, HARM), num_worlds, first_world)


def seed_of(seed: int, world: int, episode: int = 0) -> int:
    return int(np.random.SeedSequence([seed, world, episode]).generate_state(1)[0])


def pendulum(num_worlds: int) -> World:
    return make(Task("gym", {"id": "Pendulum-v1"}, 10, SUCCESS, HARM), num_worlds=num_worlds)


def test_a_world_is_the_same_whatever_runs_beside_it() -> None:
    together, alone = cartpole(5), cartpole(1, first_world=3)
    seen, one = together.reset(seed=7)[0], alone.reset(seed=7)[0]
    ends = 0
    for _ in range(60):
        np.testing.assert_array_equal(seen["features"][3], one["features"][0])
        seen = together.step(np.zeros(5, np.int64))[0]
        one, _, terminated, *_ = alone.step(np.zeros(1, np.int64))
        ends += int(terminated[0])
    assert ends > 3  # later episodes too


@pytest.mark.parametrize("num_worlds", [3, 7, 64])
def test_cart_poles_at_once_have_the_bits_of_single_ones(num_worlds: int) -> None:
    setup = {"id": "CartPole-v1", "kwargs": {"sutton_barto_reward": True}}
    world = make(Task("gym", setup, 30, SUCCESS, HARM), num_worlds=num_worlds)
    singles = [gym.make("CartPole-v1", sutton_barto_reward=True, max_episode_steps=30) for _ in range(num_worlds)]
    episode, draw, ends = [0] * num_worlds, np.random.default_rng(num_worlds), {"fell": 0, "truncated": 0}
    seen = world.reset(seed=3)[0]["features"]
    for w, single in enumerate(singles):
        np.testing.assert_array_equal(seen[w], single.reset(seed=seed_of(3, w))[0])
    for _ in range(150):
        leans = seen[:, 2] + seen[:, 3] > 0  # mostly towards the side of the lean, so that some poles stay up and some fall
        acts = np.where(draw.random(num_worlds) < 0.5, leans, draw.integers(0, 2, num_worlds)).astype(np.int64)
        observed, reward, terminated, truncated, info = world.step(acts)
        seen = observed["features"]
        for w, single in enumerate(singles):
            features, gained, fell, late, _ = single.step(int(acts[w]))
            np.testing.assert_array_equal(info["final_obs"]["features"][w] if fell or late else seen[w], features)
            assert (reward[w], terminated[w], truncated[w]) == (gained, fell, late and not fell)
            if fell or late:
                ends["fell" if fell else "truncated"] += 1
                episode[w] += 1
                np.testing.assert_array_equal(seen[w], single.reset(seed=seed_of(3, w, episode[w]))[0])
    assert ends["fell"] > 0
    assert ends["truncated"] > 0


def test_an_episode_does_not_depend_on_those_before_it() -> None:
    short, long = cartpole(1), cartpole(1)
    for world, actions in ((short, [0]), (long, [0, 1])):  # a pole that falls at once, and one that stays up for a while
        seen, t = world.reset(seed=4)[0], 0
        while world.running_stats[0, 0, 1] > 0 or t == 0:
            seen, t = world.step(np.array([actions[t % len(actions)]]))[0], t + 1
        plain = gym.make("CartPole-v1").reset(seed=seed_of(4, 0, episode=1))[0]
        np.testing.assert_array_equal(seen["features"][0], plain)


@pytest.mark.parametrize("name", ["CartPole-v1", "Pendulum-v1"])
def test_a_snapshot_brings_back_the_same_future(name: str) -> None:
    world = make(Task("gym", {"id": name}, 25, SUCCESS, HARM), num_worlds=3)
    draw = np.random.default_rng(0)
    acts = [draw.integers(0, 2, 3) if world.names.actions else draw.uniform(-1, 1, (3, 1)) for _ in range(80)]
    world.reset(seed=2)
    for act in acts[:40]:
        world.step(act)
    kept = world.snapshot()
    future = [world.step(act) for act in acts[40:]]
    seen = world.restore(kept)
    assert "features" in seen
    for act, (features, reward, terminated, truncated, info) in zip(acts[40:], future, strict=True):
        again = world.step(act)
        np.testing.assert_array_equal(again[0]["features"], features["features"])
        np.testing.assert_array_equal(again[1:4], (reward, terminated, truncated))
        np.testing.assert_array_equal(again[4]["stats"], info["stats"])


def test_what_ended_is_kept_and_truncation_is_no_termination() -> None:
    world = cartpole(2, horizon=5)
    world.reset(seed=0)
    plain = gym.make("CartPole-v1", max_episode_steps=5)
    plain.reset(seed=seed_of(0, 1))
    for t in range(5):
        action = t % 2
        last = plain.step(action)[0]
        seen, reward, terminated, truncated, info = world.step(np.array([action, action]))
    assert truncated.all()
    assert not terminated.any()
    assert info["episode_end"].all()
    np.testing.assert_array_equal(info["final_obs"]["features"][1], last)
    assert (seen["features"][1] != last).any()  # a new episode has begun
    assert info["stats"][:, 0].tolist() == [[5.0, 5.0, 0.0]] * 2
    assert (world.running_stats == 0).all()
    assert reward.dtype == np.float32


def test_predicates_read_the_counters() -> None:
    world = cartpole(3)
    stats = np.array([[[20.0, 20.0, 0.0]], [[19.0, 19.0, 0.0]], [[25.0, 25.0, 1.0]]])
    assert world.success(stats).tolist() == [True, False, True]
    assert world.harm(stats).tolist() == [False, False, True]


def test_real_actions_are_stretched_to_the_bounds_and_clipped() -> None:
    world, plain = pendulum(1), gym.make("Pendulum-v1")
    world.reset(seed=0)
    plain.reset(seed=seed_of(0, 0))
    for action, torque in ((0.5, 1.0), (3.0, 2.0)):
        seen = world.step(np.array([[action]], np.float32))[0]
        np.testing.assert_allclose(seen["features"][0], plain.step(np.array([torque], np.float32))[0], rtol=1e-6)
    assert world.names.actions == ()
    assert (world.names.action_low, world.names.action_high) == ((-1.0,), (1.0,))


def test_a_discrete_observation_becomes_one_hot() -> None:
    world = make(Task("gym", {"id": "FrozenLake-v1"}, 10, SUCCESS, HARM), num_worlds=2)
    assert world.reset(seed=0)[0]["features"].tolist() == [[1.0] + [0.0] * 15] * 2


def test_what_was_made_to_read_its_spaces_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[object] = []
    monkeypatch.setattr("gymnasium.envs.classic_control.PendulumEnv.close", lambda env: closed.append(env))
    pendulum(2)
    assert len(closed) == 1


def test_an_id_may_name_the_module_that_registers_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_worlds.py").write_text(
        "import gymnasium\ngymnasium.register('Own-v0', 'gymnasium.envs.classic_control:PendulumEnv')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    world = make(Task("gym", {"id": "own_worlds:Own-v0"}, 10, SUCCESS, HARM), num_worlds=2)
    assert world.reset(seed=0)[0]["features"].shape == (2, 3)


@pytest.mark.parametrize(
    ("setup", "message"),
    [
        ({"id": "CartPole-v99"}, "CartPole-v99"),
        ({"id": "NoSuchThing-v0"}, "NoSuchThing"),
        ({"id": "CartPole-v1", "kwargs": {"colour": 1}}, "colour"),
        ({"id": "CartPole-v1", "seed": 1}, "setup.seed"),
        ({}, "setup.id"),
    ],
)
def test_a_bad_setup_is_named(setup: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make(Task("gym", setup, 10, SUCCESS, HARM), num_worlds=1)


def test_the_numbers_of_the_last_info_are_counters() -> None:
    class Told(gym.Env):  # type: ignore[type-arg]
        observation_space, action_space = gym.spaces.Box(-1, 1, (1,)), gym.spaces.Discrete(3, start=5)

        def reset(self, *, seed=None, options=None):  # type: ignore[no-untyped-def]
            return np.zeros(1, np.float32), {}

        def step(self, action):  # type: ignore[no-untyped-def]
            return np.zeros(1, np.float32), 0.5, False, False, {"chosen": action}

    gym.register("Told-v0", Told)
    try:
        setup = {"id": "Told-v0", "info": ["chosen"]}
        world = make(Task("gym", setup, 2, ["every chosen >= 7"], HARM), num_worlds=2)
        world.reset(seed=0)
        world.step(np.array([0, 0]))
        info = world.step(np.array([2, 1]))[4]
    finally:
        gym.registry.pop("Told-v0")
    assert info["stats"][:, 0].tolist() == [[1.0, 2.0, 0.0, 7.0], [1.0, 2.0, 0.0, 6.0]]
    assert world.success(info["stats"]).tolist() == [True, False]


ROW, CHOICE = gym.spaces.Box(-1, 1, (3,)), gym.spaces.Discrete(2)


@pytest.mark.parametrize(
    ("observed", "acting", "message"),
    [
        (ROW, gym.spaces.MultiDiscrete([2, 3]), "actions from Discrete or a bounded .* Box, got MultiDiscrete"),
        (ROW, gym.spaces.Tuple([CHOICE, CHOICE]), "actions from Discrete or a bounded .* Box, got Tuple"),
        (ROW, gym.spaces.Box(-np.inf, np.inf, (1,)), "actions from Discrete or a bounded .* Box, got Box"),
        (gym.spaces.Tuple([ROW, CHOICE]), CHOICE, "observations from Discrete or a one-dimensional Box, got Tuple"),
        (gym.spaces.Dict(place=ROW), CHOICE, "observations from Discrete or a one-dimensional Box, got Dict"),
        (gym.spaces.Box(0, 255, (96, 96, 3), np.uint8), CHOICE, r"observations from .*, got Box\(0, 255, \(96, 96, 3\)"),
        (gym.spaces.Box(-1, 1, (5000,)), CHOICE, "observations of at most 4096 numbers, got 5000"),
    ],
)
def test_spaces_that_are_not_supported_are_refused_by_name(
    observed: gym.Space[object], acting: gym.Space[object], message: str
) -> None:
    class Odd(gym.Env):  # type: ignore[type-arg]
        observation_space, action_space = observed, acting

    gym.register("Odd-v0", Odd)
    try:
        with pytest.raises(InputError, match=f"setup.id: Odd-v0: expected {message}"):
            make(Task("gym", {"id": "Odd-v0"}, 10, SUCCESS, HARM), num_worlds=1)
    finally:
        gym.registry.pop("Odd-v0")


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.startswith(("gymnasium.envs.box2d", "Box2D"))]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "Box2D", None)  # as where it is not installed
    with pytest.raises(MissingExtra, match=r"LunarLander-v3 .*pip install --editable .\[box2d\]") as caught:
        make(Task("gym", {"id": "LunarLander-v3"}, 10, SUCCESS, HARM), num_worlds=1)
    assert caught.value.exit_code == 9


def test_there_is_no_script_to_follow() -> None:
    with pytest.raises(UsageError, match="policy: ppo"):
        cartpole(1).expert_actions()
