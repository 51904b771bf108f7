"""One robot as an ordinary gymnasium.Env: no vectors, no automatic reset, features as a flat box."""

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np

from headstart.core.arrays import Array
from headstart.worlds.api import Task
from headstart.worlds.nav.env import Nav
from headstart.worlds.nav.state import STATS


class NavSingle(gym.Env[Array, Array]):
    """World 0 of `Nav`, whose docstring specifies observation, action and reward. After an end the caller resets, as usual in Gymnasium.

    `reset(seed=s)` begins the same episode for the same s; `reset()` begins a new one. At an end info["stats"] holds
    the episode's counters by name.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012, Gymnasium's own declaration

    def __init__(self, setup: Mapping[str, Any] | None = None, horizon: int = 300, render_mode: str | None = None) -> None:
        task = Task("nav", setup or {}, horizon, success=["every success >= 1"], harm=["sum collisions > 0"])
        self._nav = Nav(task, num_worlds=1, copy=True, render_mode=render_mode)
        self.render_mode = render_mode
        self.observation_space = self._nav.features_space
        self.action_space = self._nav.single_action_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        super().reset(seed=seed)
        seen, _ = self._nav.reset(seed=int(self.np_random.integers(1 << 31)))
        return seen["features"][0], {}

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        seen, reward, terminated, truncated, info = self._nav.step(np.asarray(action, np.float32)[None])
        over = bool(info["episode_end"][0])
        told = {"stats": dict(zip(STATS, info["stats"][0, 0].tolist(), strict=True))} if over else {}
        features = (info["final_obs"] if over else seen)["features"][0]
        return features, float(reward[0]), bool(terminated[0]), bool(truncated[0]), told

    def render(self) -> Any:
        """[H, W, 3] u8 with render_mode="rgb_array", else None; the moment after an end is already that of the next episode."""
        return self._nav.render()[0] if self.render_mode else None
