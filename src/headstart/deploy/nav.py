"""The robot of `headstart/Nav-v0` for programs that know Gymnasium only: observations are a Box, the features of `worlds.nav.env.Nav`."""

from typing import Any

import gymnasium as gym
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from headstart.core.arrays import Array
from headstart.core.errors import InputError, UsageError
from headstart.deploy.checks import seed_of
from headstart.deploy.vector import Worlds
from headstart.deploy.worlds import make

FRAMES_PER_SECOND = 10  # a step is 0.1 s


def _made(scenario: str, num_worlds: int, first_world: int, render_mode: str | None) -> Worlds:
    world = make(scenario, num_worlds, first_world=first_world, render_mode=render_mode)
    if world.names.world != "nav":
        raise InputError(f"{scenario}: expected a scenario of the world nav, got {world.names.world}")
    return world


class NavEnv(gym.Env[Array, Array]):
    """One robot among pedestrians; `worlds.nav.env.Nav` says what its actions, observations and reward are.

    `reset(seed=s)` begins the first episode of the world with the id `world` and the seed s, as `headstart.make(scenario,
    first_world=world)` does; a later reset without a seed draws the next seed from `np_random`. The horizon of the scenario truncates.
    info: "reward_terms" by name; in the last step of an episode "success", "harm" and "stats" by name.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": FRAMES_PER_SECOND}  # noqa: RUF012

    def __init__(self, scenario: str = "nav_mixed", world: int = 0, render_mode: str | None = None) -> None:
        """InputError for a scenario that is no robot's."""
        self.render_mode = render_mode
        self._world = _made(scenario, 1, world, render_mode)
        self.observation_space = self._world.env.single_observation_space["features"]
        self.action_space = self._world.single_action_space
        self._playing = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        seed = seed_of(seed)
        super().reset(seed=seed)
        obs, _ = self._world.reset(seed=int(self.np_random.integers(1 << 31)) if seed is None else seed)
        self._playing = True
        return obs["features"][0], {}

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        if not self._playing:
            raise UsageError("step: expected reset() before it, since the episode has ended or none has begun")
        obs, reward, terminated, truncated, told = self._world.step([action])
        names = self._world.names
        info: dict[str, Any] = {"reward_terms": _by_name(names.reward_terms, told["reward_terms"][0])}
        ended = bool(told["episode_end"][0])
        if ended:
            stats = told["stats"]
            info |= {"success": bool(self._world.success(stats)[0]), "harm": bool(self._world.harm(stats)[0])}
            info["stats"] = _by_name(names.stats, stats[0, 0])
        self._playing = not ended
        seen = told["final_obs"] if ended else obs
        return seen["features"][0], float(reward[0]), bool(terminated[0]), bool(truncated[0]), info

    def render(self) -> Any:
        """[H, W, 3] u8; of the next episode's beginning once an episode has ended."""
        pictures = self._world.render()
        return None if pictures is None else pictures[0]

    def close(self) -> None:
        self._world.close()


def _by_name(names: tuple[str, ...], values: Array) -> dict[str, float]:
    return dict(zip(names, values.tolist(), strict=True))


class NavVector(VectorEnv[Array, Array, Array]):
    """The compiled worlds of `headstart.make` with features alone as observations, [N, F]; episodes begin again in the step that ends them.

    info of a step that ends one: "final_obs" [N, F], of which the rows of "_final_obs" [N] bool count; "stats" [N, S] of these rows.
    """

    def __init__(self, num_envs: int = 1, scenario: str = "nav_mixed", world: int = 0, render_mode: str | None = None) -> None:
        """Copy n is the world with the id `world` + n."""
        self._world = _made(scenario, num_envs, world, render_mode)
        self.num_envs, self.render_mode = num_envs, render_mode
        self.metadata = {
            "render_modes": ["rgb_array"],
            "render_fps": FRAMES_PER_SECOND,
            "autoreset_mode": AutoresetMode.SAME_STEP,
        }
        self.single_observation_space = self._world.env.single_observation_space["features"]
        self.single_action_space = self._world.single_action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        seed = seed_of(seed)
        super().reset(seed=seed)
        obs, info = self._world.reset(seed=int(self.np_random.integers(1 << 31)) if seed is None else seed)
        return obs["features"], info

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        obs, reward, terminated, truncated, told = self._world.step(actions)
        ended = terminated | truncated
        info: dict[str, Any] = {}
        if ended.any():
            info = {"final_obs": told["final_obs"]["features"], "_final_obs": ended, "stats": told["stats"][:, 0]}
        return obs["features"], reward, terminated, truncated, info

    def render(self) -> tuple[Any, ...] | None:
        """A picture [H, W, 3] u8 for each copy."""
        return self._world.render()

    def close_extras(self, **kwargs: Any) -> None:
        self._world.close()
