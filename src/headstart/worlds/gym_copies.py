"""The copies that a `GymWorld` steps: one by one, or, where the package steps many at once and lets each be set, all at once."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from gymnasium.wrappers import OrderEnforcing

from headstart.core.arrays import Array

Row = Sequence[Any] | Array  # W of something
Step = tuple[Row, Row, Row, Row, Sequence[dict[str, Any]]]
UNWATCHED: dict[str, Any] = {"max_episode_steps": -1, "disable_env_checker": True}  # the world has a limit on steps of its own
ENDLESS = np.iinfo(np.int32).max  # of a form that knows no -1


class Copies(Protocol):
    """W copies of one environment, each at its own place of its own episode."""

    def begin(self, w: int, seed: int, acts: Array) -> Any:
        """Reset copy w and take these actions, in a new episode none; returns what it shows then."""
        ...

    def step(self, acts: Array) -> Step:
        """One action in every copy: what each shows, reward, terminated, truncated, info."""
        ...


class OneByOne:
    """Any environment: W of it in a row."""

    def __init__(self, envs: gym.vector.SyncVectorEnv) -> None:
        self._envs = [_without_watchers(env) for env in envs.envs]

    def begin(self, w: int, seed: int, acts: Array) -> Any:
        return _begun(self._envs[w], seed, acts)

    def step(self, acts: Array) -> Step:
        steps = [env.step(act) for env, act in zip(self._envs, _each(acts), strict=True)]
        seen, rewards, terminations, truncations, infos = zip(*steps, strict=True)
        return seen, rewards, terminations, truncations, infos


class CartPoles:
    """Gymnasium's own vector form of CartPole, a tenth of the time, with the bits of W single ones.

    It would begin new episodes by itself and draw them all from one stream. So an episode begins in a single environment, whose state is
    then put in its place here.
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


def make_one(name: str, kwargs: Mapping[str, Any]) -> gym.Env[Any, Any]:
    """A single environment. Raises what `gymnasium.make` raises."""
    return gym.make(name, **UNWATCHED, **kwargs)


def make_copies(one: gym.Env[Any, Any], name: str, kwargs: Mapping[str, Any], num: int) -> Copies:
    """W copies, in one process, of what `make_one` made of the same name and arguments: `one` is kept or closed.

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
    """Numbers as plain numbers, which are checked quicker; rows of reals as they are."""
    return acts if acts.ndim > 1 else acts.tolist()


def _begun(env: gym.Env[Any, Any], seed: int, acts: Array) -> Any:
    seen = env.reset(seed=seed)[0]
    for act in _each(acts):
        seen = env.step(act)[0]
    return seen


def _without_watchers(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    """The environment below the outermost wrappers that only watch the order of calls: this file keeps to it."""
    while isinstance(env, OrderEnforcing):
        env = env.env
    return env
