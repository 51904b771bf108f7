"""Any Gymnasium environment behind the world contract."""

import gymnasium as gym
import numpy as np
import pytest

from headstart.errors import InputError, UsageError
from headstart.worlds import World, make

SUCCESS, HARM = ("every return >= 20",), ("any terminated > 0",)


def cartpole(num_worlds: int, first_world: int = 0, horizon: int = 30) -> World:
    return make(
        "gym",
        {"id": "CartPole-v1"},
        horizon=horizon,
        success=SUCCESS,
        harm=HARM,
        num_worlds=num_worlds,
        first_world=first_world,
    )


def pendulum(num_worlds: int) -> World:
    return make("gym", {"id": "Pendulum-v1"}, horizon=10, success=SUCCESS, harm=HARM, num_worlds=num_worlds)


def test_a_world_is_the_same_whatever_runs_beside_it() -> None:
    together, alone = cartpole(5), cartpole(1, first_world=3)
    seen, one = together.reset(seed=7)[0], alone.reset(seed=7)[0]
    for t in range(60):
        np.testing.assert_array_equal(seen["features"][3], one["features"][0])
        if t >= 8:  # past the first end the copies' own streams go on
            break
        seen, one = together.step(np.zeros(5, np.int64))[0], alone.step(np.zeros(1, np.int64))[0]


def test_what_ended_is_kept_and_truncation_is_no_termination() -> None:
    world = cartpole(2, horizon=5)
    world.reset(seed=0)
    plain = gym.make("CartPole-v1", max_episode_steps=5)
    plain.reset(seed=int(np.random.SeedSequence([0, 1]).generate_state(1)[0]))
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
    plain.reset(seed=int(np.random.SeedSequence([0, 0]).generate_state(1)[0]))
    for action, torque in ((0.5, 1.0), (3.0, 2.0)):
        seen = world.step(np.array([[action]], np.float32))[0]
        np.testing.assert_allclose(seen["features"][0], plain.step(np.array([torque], np.float32))[0], rtol=1e-6)
    assert world.names.actions == ()
    assert (world.names.action_low, world.names.action_high) == ((-1.0,), (1.0,))


def test_a_discrete_observation_becomes_one_hot() -> None:
    world = make("gym", {"id": "FrozenLake-v1"}, horizon=10, success=SUCCESS, harm=HARM, num_worlds=2)
    assert world.reset(seed=0)[0]["features"].tolist() == [[1.0] + [0.0] * 15] * 2


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
        make("gym", setup, horizon=10, success=SUCCESS, harm=HARM, num_worlds=1)


def test_spaces_that_are_not_supported_are_refused_by_name() -> None:
    class Odd(gym.Env):  # type: ignore[type-arg]
        observation_space = gym.spaces.Box(0, 255, (96, 96, 3), np.uint8)
        action_space = gym.spaces.MultiDiscrete([2, 3])

    gym.register("Odd-v0", Odd)
    try:
        with pytest.raises(InputError, match="MultiDiscrete"):
            make("gym", {"id": "Odd-v0"}, horizon=10, success=SUCCESS, harm=HARM, num_worlds=1)
        Odd.action_space = gym.spaces.Discrete(2)  # type: ignore[assignment]
        with pytest.raises(InputError, match="27648 of Box"):
            make("gym", {"id": "Odd-v0"}, horizon=10, success=SUCCESS, harm=HARM, num_worlds=1)
    finally:
        gym.registry.pop("Odd-v0")


def test_there_is_no_script_to_follow() -> None:
    with pytest.raises(UsageError, match="policy: ppo"):
        cartpole(1).expert_actions()
