"""The `setup` sections of Gymnasium and PettingZoo scenarios, and one Gymnasium environment made from its own."""

from collections.abc import Mapping
from importlib import import_module
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

import gymnasium as gym
from gymnasium.wrappers import OrderEnforcing
from pydantic import Field, field_validator

from headstart.core.errors import InputError
from headstart.core.record import Record
from headstart.core.user_code import said
from headstart.worlds.gym_info import OWN_STATS, Told

Env = gym.Env[Any, Any]
Wrapping: TypeAlias = str | Annotated[dict[str, dict[str, Any]], Field(min_length=1, max_length=1)]  # "module:Class"
UNWATCHED: dict[str, Any] = {"max_episode_steps": -1, "disable_env_checker": True}  # `GymWorld` limits the steps itself


class Recipe(NamedTuple):
    """What every copy is made from."""

    id: str
    kwargs: Mapping[str, Any]
    wrappers: tuple[tuple[str, Mapping[str, Any]], ...]  # "module:Class" and its arguments, innermost first

    def make(self) -> Env:
        """One environment, which has no time limit of its own. Raises what `gymnasium.make` raises, and InputError for a bad wrapper."""
        env = _without_watchers(gym.make(self.id, **UNWATCHED, **self.kwargs))
        for name, kwargs in self.wrappers:
            env = _wrapped(env, name, kwargs)
        return env


class EnvironmentSetup(Record):
    """The `setup` section of a PettingZoo scenario, and what a Gymnasium scenario has of it."""

    id: str
    kwargs: dict[str, Any] = Field(default_factory=dict)
    info: dict[str, Told] = Field(default_factory=dict)  # numbers of info that predicates may name

    @field_validator("info", mode="before")
    @classmethod
    def _short_forms(cls, info: Any) -> Any:
        """`[cost]` gathers the last value, `{cost: sum}` as it says."""
        if isinstance(info, list | tuple):
            info = dict.fromkeys(info, "last")
        if not isinstance(info, dict):
            return info
        if taken := [key for key in info if key in OWN_STATS]:
            raise ValueError(
                f"{', '.join(OWN_STATS)} are counted anyway, got {taken[0]!r}; tell it under another name, by a wrapper"
            )
        return {key: {"gather": how} if isinstance(how, str) else how for key, how in info.items()}


class GymSetup(EnvironmentSetup):
    """The `setup` section of a Gymnasium scenario."""

    wrappers: tuple[Wrapping, ...] = ()  # innermost first
    vectorization: Literal["sync", "async"] = "sync"  # async: every copy in a process of its own

    @field_validator("kwargs")
    @classmethod
    def _without_a_limit(cls, kwargs: dict[str, Any]) -> dict[str, Any]:
        if wrong := sorted(kwargs.keys() & UNWATCHED.keys()):
            raise ValueError(f"{wrong[0]} is set already: the scenario's `horizon` limits episodes")
        return kwargs

    @property
    def recipe(self) -> Recipe:
        """What every copy is made from."""
        pairs = [(one, {}) if isinstance(one, str) else next(iter(one.items())) for one in self.wrappers]
        return Recipe(self.id, self.kwargs, tuple(pairs))


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
        made = _made_of(wrapper, env, kwargs)
    except Exception as error:
        raise InputError(f"{where}: cannot wrap {env} with {dict(kwargs)}: {said(error, installed=False)}") from error
    if not isinstance(made, gym.Env):
        raise InputError(f"{where}: expected a wrapper that returns an environment, got {type(made).__name__}")
    return made


def _made_of(wrapper: Any, env: Env, kwargs: Mapping[str, Any]) -> Any:
    """The wrapped environment. YAML has no tuples: a wrapper that refuses lists gets tuples in their place."""
    try:
        return wrapper(env, **kwargs)
    except (TypeError, ValueError, AssertionError):
        tuples = {name: _as_tuples(value) for name, value in kwargs.items()}
        if tuples == kwargs:
            raise
        return wrapper(env, **tuples)


def _as_tuples(value: Any) -> Any:
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value


def _without_watchers(env: Env) -> Env:
    """The environment without its outermost wrappers that only check the order of calls, which this file respects."""
    while isinstance(env, OrderEnforcing):
        env = env.env
    return env
