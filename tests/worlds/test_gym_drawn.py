"""Environments draw themselves: what is played is the same with pictures and without, and the last moment of an episode is kept."""

import gymnasium as gym
import numpy as np
import pytest

from headstart.core.errors import InputError, UsageError
from headstart.worlds.api import Task
from headstart.worlds.gym import GymWorld
from headstart.worlds.gym_copies import drawn
from headstart.worlds.make import make

POLE = Task("gym", {"id": "CartPole-v1"}, 40, ("every steps >= 40",), ("any terminated > 0",))
TAG = Task("pettingzoo", {"id": "mpe2.simple_spread_v3"}, 6, ("every return > 0",), ("any return < -1000",))


def test_pictures_change_nothing_of_what_happens() -> None:
    """The undrawn copies are Gymnasium's vectorised CartPole, the drawn ones single environments."""
    shown, blind = (make(POLE, 2, 7, render_mode=mode) for mode in ("rgb_array", None))
    for world in (shown, blind):
        world.reset(seed=3)
    for t in range(60):
        acts = np.array([t % 2, 1])
        (obs, reward, ended, *_), (other, paid, over, *_) = shown.step(acts), blind.step(acts)
        np.testing.assert_array_equal(obs["features"], other["features"])
        np.testing.assert_array_equal((reward, ended), (paid, over))
        assert [picture.shape for picture in shown.render()] == [(400, 600, 3)] * 2
    shown.close()


def test_the_step_that_ends_an_episode_tells_its_last_picture() -> None:
    world = make(POLE, 1, render_mode="rgb_array")
    world.reset(seed=0)
    told = [world.step(np.array([1]))[-1] for _ in range(12)]
    (last,) = [info["final_render"] for info in told if info["episode_end"].any()]
    assert last[0].shape == (400, 600, 3) and last[0].dtype == np.uint8
    world.close()


def test_agents_of_pettingzoo_are_drawn_in_one_picture() -> None:
    world = make(TAG, 1, render_mode="rgb_array")
    world.reset(seed=0)
    (picture,) = world.render()
    assert picture.ndim == 3 and picture.dtype == np.uint8 and len(np.unique(picture)) > 2
    world.close()


def test_what_cannot_be_drawn_is_said_in_words() -> None:
    with pytest.raises(UsageError, match="draws pictures, expected rgb_array, got 'ansi'"):
        make(POLE, 1, render_mode="ansi")
    with pytest.raises(UsageError, match="render: expected a gym world made with render_mode rgb_array, got None"):
        GymWorld(POLE, 1).render()

    class Texts(gym.Env):  # type: ignore[type-arg]
        def render(self) -> str:  # type: ignore[override]
            return "no picture"

    with pytest.raises(InputError, match="render: expected a picture"):
        drawn(Texts())
