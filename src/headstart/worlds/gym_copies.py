"""The copies that a `GymWorld` steps: one by one, in processes, or all at once if the package can step many and set the state of each."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Any, Literal, NamedTuple, Protocol

import gymnasium as gym
import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from gymnasium.vector.utils import iterate
from gymnasium.wrappers import OrderEnforcing

from headstart.core.arrays import Array
from headstart.core.errors import InputError

Env = gym.Env[Any, Any]
Row = Sequence[Any] | Array  # W observations
Step = tuple[Row, Row, Row, Row, Sequence[dict[str, Any]]]
UNWATCHED: dict[str, Any] = {"max_episode_steps": -1, "disable_env_checker": True}  # `GymWorld` limits the steps itself
ENDLESS = np.iinfo(np.int32).max  # where -1 is not supported
MASK = "action_mask"  # in info: the actions that are allowed, as Gymnasium's own environments tell it


class Start(NamedTuple):
    """How a copy's episode begins."""

    seed: int
    acts: Array  # taken at once, of an episode that goes on: [t, …]


class Recipe(NamedTuple):
    """What every copy is made from."""

    id: str
    kwargs: Mapping[str, Any]
    wrappers: tuple[tuple[str, Mapping[str, Any]], ...]  # "module:Class" and its arguments, innermost first

    def make(self) -> Env:
        """One environment, which has no time limit of its own. Raises what `gymnasium.make` raises, and InputError for a bad wrapper."""
        env = gym.make(self.id, **UNWATCHED, **self.kwargs)
        for name, kwargs in self.wrappers:
            env = _wrapped(env, name, kwargs)
        return env


class Copies(Protocol):
    """W copies of one environment, each in its own episode."""

    def begin(self, starts: Mapping[int, Start]) -> dict[int, tuple[Any, dict[str, Any]]]:
        """Reset these copies and take their actions; returns the observation and the info of each."""
        ...

    def step(self, acts: Array) -> Step:
        """One action in every copy: observations, reward, terminated, truncated, info."""
        ...


class OneByOne:
    """Any environment: W copies, stepped one after the other."""

    def __init__(self, envs: Sequence[Env]) -> None:
        self._envs = [_without_watchers(env) for env in envs]
        self._masks = [_masks_of(env) for env in self._envs]

    def begin(self, starts: Mapping[int, Start]) -> dict[int, tuple[Any, dict[str, Any]]]:
        return {w: begun(self._envs[w], start, self._masks[w]) for w, start in starts.items()}

    def step(self, acts: Array) -> Step:
        steps = [env.step(act) for env, act in zip(self._envs, _each(acts), strict=True)]
        seen, rewards, terminations, truncations, infos = zip(*steps, strict=True)
        if self._masks[0] is not None:
            infos = tuple(info | {MASK: mask()} for info, mask in zip(infos, self._masks, strict=True) if mask is not None)
        return seen, rewards, terminations, truncations, infos


class Beginning(gym.Wrapper[Any, Any, Any, Any]):
    """A copy in a process of its own: it begins when its number is called, and tells its mask in info."""

    def __init__(self, env: Env, number: int) -> None:
        super().__init__(env)
        self._number, self._masks = number, _masks_of(env)

    def begin(self, starts: Mapping[int, Start]) -> tuple[Any, dict[str, Any]] | None:
        """The first observation and info if this copy is among those that begin."""
        return begun(self.env, starts[self._number], self._masks) if self._number in starts else None

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        seen, reward, terminated, truncated, info = self.env.step(action)
        return seen, reward, terminated, truncated, info if self._masks is None else info | {MASK: self._masks()}


class InProcesses:
    """W copies in W processes (`gymnasium.vector.AsyncVectorEnv`): for environments whose step takes a millisecond or more."""

    def __init__(self, recipe: Recipe, num: int) -> None:
        makers = [partial(_numbered, recipe, w) for w in range(num)]
        self._envs = AsyncVectorEnv(makers, autoreset_mode=AutoresetMode.DISABLED, context="spawn")
        self._envs.reset(seed=0)

    def begin(self, starts: Mapping[int, Start]) -> dict[int, tuple[Any, dict[str, Any]]]:
        told = self._envs.call("begin", dict(starts))
        return {w: told[w] for w in starts}

    def step(self, acts: Array) -> Step:
        seen, rewards, terminations, truncations, infos = self._envs.step(acts)
        rows = list(iterate(self._envs.observation_space, seen))
        each = [{key: infos[key][w] for key in infos if _told(infos, key, w)} for w in range(len(rows))]
        return rows, rewards, terminations, truncations, each


class CartPoles:
    """Gymnasium's vectorised CartPole: the same bits as W single environments in a tenth of the time.

    It begins new episodes itself and draws all of them from one stream. So each episode begins in a single environment, whose state is
    then copied into its row here.
    """

    def __init__(self, envs: CartPoleVectorEnv, one: Env) -> None:
        self._envs, self._one = envs, _without_watchers(one)
        self._infos: list[dict[str, Any]] = [{}] * envs.num_envs
        envs.reset(seed=0)

    def begin(self, starts: Mapping[int, Start]) -> dict[int, tuple[Any, dict[str, Any]]]:
        found = {}
        for w, start in starts.items():
            found[w] = begun(self._one, start, None)
            assert self._envs.state is not None
            self._envs.state[:, w] = np.asarray(vars(self._one.unwrapped)["state"])
            self._envs.steps[w], self._envs.prev_done[w] = 0, False
        return found

    def step(self, acts: Array) -> Step:
        return (*self._envs.step(acts)[:4], self._infos)


def make_copies(one: Env, recipe: Recipe, num: int, vectorization: Literal["sync", "async"]) -> Copies:
    """W copies of the environment `one`, which was made from the same recipe and is kept or closed. Raises what `Recipe.make` raises."""
    poles = f"{CartPoleVectorEnv.__module__}:{CartPoleVectorEnv.__name__}"
    if one.spec and one.spec.vector_entry_point == poles and not recipe.wrappers:
        at_once = gym.make_vec(
            recipe.id, num, vectorization_mode="vector_entry_point", max_episode_steps=ENDLESS, **recipe.kwargs
        )
        assert isinstance(at_once, CartPoleVectorEnv)
        return CartPoles(at_once, one)
    if vectorization == "async":
        one.close()
        return InProcesses(recipe, num)
    return OneByOne([one, *(recipe.make() for _ in range(num - 1))])


def begun(env: Env, start: Start, masks: Callable[[], Array] | None) -> tuple[Any, dict[str, Any]]:
    """The observation and info of an environment after `reset(seed)` and the actions that follow."""
    seen, info = env.reset(seed=start.seed)
    for act in _each(start.acts):
        seen, _, _, _, info = env.step(act)
    return seen, info if masks is None else info | {MASK: masks()}


def _numbered(recipe: Recipe, number: int) -> Env:
    return Beginning(_without_watchers(recipe.make()), number)


def _told(infos: Mapping[str, Any], key: str, w: int) -> bool:
    """Whether copy w has told this key; `_key` says so in Gymnasium's dict of arrays."""
    return not key.startswith("_") and bool(infos[f"_{key}"][w])


def _masks_of(env: Env) -> Callable[[], Array] | None:
    """The method `action_masks` of an environment or its wrappers (sb3-contrib's convention)."""
    if not env.has_wrapper_attr("action_masks"):
        return None
    found: Callable[[], Array] = env.get_wrapper_attr("action_masks")
    return found


def _wrapped(env: Env, name: str, kwargs: Mapping[str, Any]) -> Env:
    module, _, attribute = name.partition(":")
    where = f"setup.wrappers: {name}"
    if not attribute:
        raise InputError(f"{where}: expected module:Class, as gymnasium.wrappers:FlattenObservation")
    try:
        wrapper = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise InputError(f"{where}: expected a class that can be imported from the repository's root: {error}") from error
    try:
        made = wrapper(env, **kwargs)
    except (TypeError, ValueError, AssertionError, gym.error.Error) as error:
        raise InputError(f"{where}: cannot wrap {env} with {dict(kwargs)}: {error}") from error
    if not isinstance(made, gym.Env):
        raise InputError(f"{where}: expected a wrapper that returns an environment, got {type(made).__name__}")
    return made


def _each(acts: Array) -> Sequence[Any] | Array:
    """Discrete actions as Python numbers, which Gymnasium checks faster; rows of other actions unchanged."""
    return acts if acts.ndim > 1 else acts.tolist()


def _without_watchers(env: Env) -> Env:
    """The environment without its outermost wrappers that only check the order of calls, which this file respects."""
    while isinstance(env, OrderEnforcing):
        env = env.env
    return env
