"""Any Gymnasium environment as a world of one agent. The docstring of `GymWorld` is its specification."""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.error import Error as GymnasiumError
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from gymnasium.wrappers import FlattenObservation, RescaleAction
from pydantic import BaseModel, ConfigDict

from headstart.errors import InputError, MissingExtra, UsageError
from headstart.worlds.api import Array, Observations, World, WorldSpec
from headstart.worlds.predicate import all_hold, any_holds
from headstart.worlds.setup import read_setup

MAX_FEATURES = 4096  # more is a picture, which the policy network does not read
OWN_STATS = ("return", "steps", "terminated")


class GymSetup(BaseModel):
    """The `setup` section of a Gymnasium scenario."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    id: str
    kwargs: dict[str, Any] = {}
    info: tuple[str, ...] = ()  # numbers of the last step's info that predicates may name


class GymWorld(World):
    """W copies of a Gymnasium environment, through `gymnasium.make_vec`, each an own world of one agent.

    Observation: "features" [N, F] f32, the environment's observation flattened (`gymnasium.spaces.flatten`); for named actions "mask"
    [N, K] u8, all ones. Actions: a Discrete(K) space gives ids 0 … K − 1; a bounded Box gives D reals in [−1, 1], stretched to its bounds.
    Reward: the environment's own, one term. Start: `reset(seed)` seeds every copy from the seed and its world id, so a world is the same
    whatever W is; later episodes go on with the copy's own stream. End: as the environment says, and truncation at the scenario's horizon.
    Counters: return, steps, terminated, and the keys of `setup.info` from the last step's info.

    There is no scripted expert; a scenario trains one. Episodes cannot start in their middle (`stagger` is ignored), and a state cannot be
    saved, because Gymnasium has no such interface.
    """

    def __init__(
        self,
        setup: Mapping[str, Any],
        *,
        horizon: int,
        success: Sequence[str],
        harm: Sequence[str],
        num_worlds: int,
        first_world: int = 0,
    ) -> None:
        """Raises InputError for an unknown id or a space that is not supported, MissingExtra where the environment's package is missing."""
        checked = read_setup(GymSetup, setup)
        self._envs = _make(checked, num_worlds, horizon)
        observed, acting = self._envs.single_observation_space, self._envs.single_action_space
        assert isinstance(observed, gym.spaces.Box)
        self._keys = checked.info
        stats = (*OWN_STATS, *checked.info)
        discrete = isinstance(acting, gym.spaces.Discrete)
        self.names = WorldSpec(
            world="gym",
            features=tuple(f"observation_{i}" for i in range(observed.shape[0])),
            actions=tuple(f"action_{i}" for i in range(int(acting.n))) if isinstance(acting, gym.spaces.Discrete) else (),
            reward_terms=("reward",),
            stats=stats,
            action_low=() if discrete else (-1.0,) * (acting.shape or (0,))[0],
            action_high=() if discrete else (1.0,) * (acting.shape or (0,))[0],
        )
        self.success, self.harm = all_hold(success, stats), any_holds(harm, stats)
        self.num_worlds = self.num_envs = num_worlds
        self.num_agents, self.horizon = 1, horizon
        self._ids = first_world + np.arange(num_worlds)
        self._first_action = int(acting.start) if isinstance(acting, gym.spaces.Discrete) else 0
        self._stats = np.zeros((num_worlds, 1, len(stats)))
        spaces: dict[str, gym.Space[Any]] = {"features": gym.spaces.Box(-np.inf, np.inf, observed.shape, np.float32)}
        if discrete:
            spaces["mask"] = gym.spaces.Box(0, 1, (len(self.names.actions),), np.uint8)
        self.single_observation_space, self.single_action_space = gym.spaces.Dict(spaces), acting
        self.observation_space = batch_space(self.single_observation_space, num_worlds)
        self.action_space = batch_space(acting, num_worlds)
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_modes": []}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observations, dict[str, Any]]:
        seeds = None if seed is None else [int(np.random.SeedSequence([seed, int(w)]).generate_state(1)[0]) for w in self._ids]
        observation, _ = self._envs.reset(seed=seeds)  # type: ignore[arg-type]  # SyncVectorEnv takes one for each copy
        self._stats[:] = 0
        return self._observations(observation), {}

    def step(self, actions: Array) -> tuple[Observations, Array, Array, Array, dict[str, Any]]:
        acts = np.asarray(actions)
        wanted = (self.num_envs,) if self.names.actions else (self.num_envs, len(self.names.action_low))
        if acts.shape != wanted:
            raise UsageError(f"actions: expected {list(wanted)}, got {list(acts.shape)}")
        acts = acts + self._first_action if self.names.actions else acts.clip(self.names.action_low, self.names.action_high)
        observation, reward, terminated, truncated, info = self._envs.step(acts)
        ended = terminated | truncated
        self._count(reward, terminated, ended, info)
        stats = self._stats.copy()
        self._stats[ended] = 0
        final = observation.copy()
        for w in np.flatnonzero(ended):
            final[w] = info["final_obs"][w]
        told = {
            "reward_terms": reward[:, None].astype(np.float32),
            "final_obs": {"features": final.astype(np.float32)},
            "episode_end": ended,
            "stats": stats,
        }
        return self._observations(observation), reward.astype(np.float32), terminated, truncated & ~terminated, told

    def expert_actions(self) -> Array:
        raise UsageError("a Gymnasium environment has no scripted expert; say `expert: {policy: ppo}` in the scenario")

    @property
    def running_stats(self) -> Array:
        return self._stats.copy()

    def snapshot(self) -> dict[str, Array]:
        raise UsageError("the state of a Gymnasium environment cannot be saved")

    def restore(self, snapshot: dict[str, Array]) -> Observations:
        raise UsageError("the state of a Gymnasium environment cannot be restored")

    def _count(self, reward: Array, terminated: Array, ended: Array, info: dict[str, Any]) -> None:
        own = self._stats[:, 0]
        own[:, 0] += reward
        own[:, 1] += 1
        own[:, 2] = terminated
        last = info.get("final_info", {})
        for k, key in enumerate(self._keys, start=len(OWN_STATS)):
            own[ended, k] = np.asarray(last.get(key, np.zeros(self.num_worlds)), float)[ended]

    def _observations(self, features: Array) -> Observations:
        seen = {"features": features.astype(np.float32)}
        return seen | {"mask": np.ones((self.num_worlds, len(self.names.actions)), np.uint8)} if self.names.actions else seen


def _make(setup: GymSetup, num_worlds: int, horizon: int) -> gym.vector.VectorEnv[Any, Any, Any]:
    try:
        probe = gym.make(setup.id, max_episode_steps=horizon, **setup.kwargs)
        _require_supported(setup.id, probe)
        wrappers: list[Any] = [FlattenObservation]
        if isinstance(probe.action_space, gym.spaces.Box):
            wrappers.append(lambda env: RescaleAction(env, np.float32(-1.0), np.float32(1.0)))
        probe.close()
        return gym.make_vec(
            setup.id,
            num_worlds,
            vectorization_mode="sync",
            vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
            wrappers=wrappers,
            max_episode_steps=horizon,
            **setup.kwargs,
        )
    except gym.error.DependencyNotInstalled as error:
        raise MissingExtra(f"setup.id: {setup.id} needs a package that is not installed: {error}") from error
    except (GymnasiumError, TypeError) as error:
        raise InputError(f"setup: gymnasium cannot make {setup.id!r} with {setup.kwargs}: {error}") from error


def _require_supported(name: str, env: gym.Env[Any, Any]) -> None:
    """Named or bounded real actions, and an observation that flattens to a row of numbers."""
    acting, observed = env.action_space, env.observation_space
    bounded = isinstance(acting, gym.spaces.Box) and len(acting.shape) == 1 and acting.is_bounded("both")
    if not (bounded or isinstance(acting, gym.spaces.Discrete)):
        raise InputError(f"setup.id: {name}: expected actions from Discrete or a bounded one-dimensional Box, got {acting}")
    if not observed.is_np_flattenable or (size := gym.spaces.flatdim(observed)) > MAX_FEATURES:
        got = observed if not observed.is_np_flattenable else f"{size} of {observed}"
        raise InputError(f"setup.id: {name}: expected observations that flatten to at most {MAX_FEATURES} numbers, got {got}")
