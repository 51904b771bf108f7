"""The copies that a `GymWorld` steps: one by one, or all at once if the package can step many and set the state of each."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from gymnasium.wrappers import OrderEnforcing

from headstart.core.arrays import Array

Row = Sequence[Any] | Array  # W observations
Step = tuple[Row, Row, Row, Row, Sequence[dict[str, Any]]]
UNWATCHED: dict[str, Any] = {"max_episode_steps": -1, "disable_env_checker": True}  # `GymWorld` limits the steps itself
ENDLESS = np.iinfo(np.int32).max  # where -1 is not supported


class Copies(Protocol):
    """W copies of one environment, each in its own episode."""

    def begin(self, w: int, seed: int, acts: Array) -> Any:
        """Reset copy w and take these actions (none for a new episode); returns its observation."""
        ...

    def step(self, acts: Array) -> Step:
        """One action in every copy: observations, reward, terminated, truncated, info."""
        ...


class OneByOne:
    """Any environment: W copies, stepped one after the other."""

    def __init__(self, envs: gym.vector.SyncVectorEnv) -> None:
        self._envs = [_without_watchers(env) for env in envs.envs]

    def begin(self, w: int, seed: int, acts: Array) -> Any:
        return _begun(self._envs[w], seed, acts)

    def step(self, acts: Array) -> Step:
        steps = [env.step(act) for env, act in zip(self._envs, _each(acts), strict=True)]
        seen, rewards, terminations, truncations, infos = zip(*steps, strict=True)
        return seen, rewards, terminations, truncations, infos


class CartPoles:
    """Gymnasium's vectorised CartPole: the same bits as W single environments in a tenth of the time.

    It begins new episodes itself and draws all of them from one stream. So each episode begins in a single environment, whose state is
    then copied into its row here.
    """

    def __init__(self, envs: CartPoleVectorEnv, one: gym.Env[Any, Any]) -> None:
        self._envs, self._one = envs, _without_watchers(one)
        self._infos: list[dict[str, Any]] = [{}] * envs.num_envs
        envs.reset(seed=0)

    def begin(self, w: int, seed: int, acts: Array) -> Any:
        seen = _begun(self._one, seed, acts)
        assert self._envs.state is not None
        self._envs.state[:, w] = np.asarray(vars(self._one.unwrapped)["state"])
        self._envs.steps[w], self._envs.prev_done[w] = 0, False
        return seen

    def step(self, acts: Array) -> Step:
        return (*self._envs.step(acts)[:4], self._infos)


def make_copies(one: gym.Env[Any, Any], name: str, kwargs: Mapping[str, Any], num: int) -> Copies:
    """W copies, in one process, of the environment `one`, which has the same name and arguments and is kept or closed.

    Raises what `gymnasium.make_vec` raises.
    """
    if one.spec and one.spec.vector_entry_point == f"{CartPoleVectorEnv.__module__}:{CartPoleVectorEnv.__name__}":
        poles = gym.make_vec(name, num, vectorization_mode="vector_entry_point", max_episode_steps=ENDLESS, **kwargs)
        assert isinstance(poles, CartPoleVectorEnv)
        return CartPoles(poles, one)
    one.close()
    envs = gym.make_vec(name, num, vectorization_mode="sync", **UNWATCHED, **kwargs)
    assert isinstance(envs, gym.vector.SyncVectorEnv)
    return OneByOne(envs)


def _each(acts: Array) -> Iterable[Any]:
    """Discrete actions as Python numbers, which Gymnasium checks faster; rows of continuous actions unchanged."""
    return acts if acts.ndim > 1 else acts.tolist()


def _begun(env: gym.Env[Any, Any], seed: int, acts: Array) -> Any:
    seen = env.reset(seed=seed)[0]
    for act in _each(acts):
        seen = env.step(act)[0]
    return seen


def _without_watchers(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    """The environment without its outermost wrappers that only check the order of calls, which this file respects."""
    while isinstance(env, OrderEnforcing):
        env = env.env
    return env
