"""The copies that a `GymWorld` steps: one by one, in processes, or all at once if the package can step many and set the state of each."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple, Protocol

import gymnasium as gym
import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from gymnasium.vector.async_vector_env import AsyncState
from gymnasium.vector.utils import iterate

from headstart.core.arrays import Array
from headstart.core.errors import HeadstartError, InputError, MissingExtra, UsageError
from headstart.core.user_code import called, said
from headstart.worlds.gym_setup import Env, GymSetup, Recipe
from headstart.worlds.gym_spaces import Acting, Observing

Row = Sequence[Any] | Array  # W observations
Step = tuple[Row, Row, Row, Row, Sequence[dict[str, Any]]]
ENDLESS = np.iinfo(np.int32).max  # where -1 is not supported
WHOLE = "whole"  # the info of a copy in another process
MASK = "action_mask"  # in info: the actions that are allowed, as Gymnasium's own environments tell it
EXTRAS = ("box2d", "mujoco", "minigrid")  # of this package, by what an error of a missing package says


class Start(NamedTuple):
    """How a copy's episode begins."""

    seed: int
    acts: Array  # taken at once, of an episode that goes on: [t, …]


class Copies(Protocol):
    """W copies of one environment, each in its own episode, with N = W rows, or N = W·A where it has A agents."""

    def begin(self, starts: Mapping[int, Start]) -> dict[int, tuple[Any, dict[str, Any]]]:
        """Reset these copies and take their actions; returns the observation and the info of each of their rows."""
        ...

    def step(self, acts: Array) -> Step:
        """Actions [W, …], or [W, A, …]: observations, reward, terminated, truncated, info of N rows."""
        ...

    def render(self) -> tuple[Array, ...]:
        """A picture [H, W, 3] u8 of each copy, of those that were made to be drawn."""
        ...

    def close(self) -> None:
        """Close the environments."""
        ...


class Made(NamedTuple):
    """What a `GymWorld` is made of."""

    classes: tuple[type, ...]  # of the environment and of its wrappers, outermost first
    observing: Observing
    acting: Acting
    copies: Copies
    agents: tuple[str, ...] = ()  # A names; empty: the environment has one agent, and knows nothing of others


class OneByOne:
    """Any environment: W copies, stepped one after the other."""

    def __init__(self, envs: Sequence[Env]) -> None:
        self._envs = envs
        self._masks = [_masks_of(env) for env in self._envs]

    def begin(self, starts: Mapping[int, Start]) -> dict[int, tuple[Any, dict[str, Any]]]:
        return {w: begun(self._envs[w], start, self._masks[w]) for w, start in starts.items()}

    def step(self, acts: Array) -> Step:
        steps = [env.step(act) for env, act in zip(self._envs, each_of(acts), strict=True)]
        seen, rewards, terminations, truncations, infos = zip(*steps, strict=True)
        if self._masks[0] is not None:
            infos = tuple(info | {MASK: mask()} for info, mask in zip(infos, self._masks, strict=True) if mask is not None)
        return seen, rewards, terminations, truncations, infos

    def render(self) -> tuple[Array, ...]:
        return tuple(drawn(env) for env in self._envs)

    def close(self) -> None:
        for env in self._envs:
            env.close()


class Beginning(gym.Wrapper[Any, Any, Any, Any]):
    """A copy in a process of its own: it begins when its number is called, and tells its mask in info. It says where its code fails."""

    def __init__(self, env: Env, number: int, where: str) -> None:
        super().__init__(env)
        self._number, self._masks, self._where = number, _masks_of(env), where

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        return called(self._where, partial(self.env.reset, seed=seed, options=options))

    def begin(self, starts: Mapping[int, Start]) -> tuple[Any, dict[str, Any]] | None:
        """The first observation and info if this copy is among those that begin."""
        return called(self._where, begun, self.env, starts[self._number], self._masks) if self._number in starts else None

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        return called(self._where, self._step, action)

    def _step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        seen, reward, terminated, truncated, info = self.env.step(action)
        told = info if self._masks is None else info | {MASK: self._masks()}
        return seen, reward, terminated, truncated, {WHOLE: (told,)}  # in a tuple, which Gymnasium does not take apart


class InProcesses:
    """W copies in W processes (`gymnasium.vector.AsyncVectorEnv`): for environments whose step takes a millisecond or more."""

    def __init__(self, recipe: Recipe, num: int) -> None:
        makers = [partial(_numbered, recipe, w) for w in range(num)]
        self._where = f"setup.id: {recipe.id}"
        self._envs = AsyncVectorEnv(makers, autoreset_mode=AutoresetMode.DISABLED, context="spawn")
        self._ask(partial(self._envs.reset, seed=0))

    def begin(self, starts: Mapping[int, Start]) -> dict[int, tuple[Any, dict[str, Any]]]:
        told = self._ask(self._envs.call, "begin", dict(starts))
        return {w: told[w] for w in starts}

    def step(self, acts: Array) -> Step:
        seen, rewards, terminations, truncations, infos = self._ask(self._envs.step, acts)
        rows = list(iterate(self._envs.observation_space, seen))
        return rows, rewards, terminations, truncations, [info for (info,) in infos[WHOLE]]

    def render(self) -> tuple[Array, ...]:
        raise UsageError(f"{self._where}: expected copies that are drawn, which are stepped one by one, got processes")

    def close(self) -> None:
        self._envs.close()

    def _ask(self, function: Callable[..., Any], *args: Any) -> Any:
        try:
            return _quietly(function, *args)
        except (EOFError, ConnectionError):
            self._envs._state = AsyncState.DEFAULT  # else closing waits for the answer
            self._envs.close(terminate=True)
            raise InputError(f"{self._where}: the process of a copy ended before it answered") from None


class CartPoles:
    """Gymnasium's vectorised CartPole: the same bits as W single environments in a tenth of the time.

    It begins new episodes itself and draws all of them from one stream. So each episode begins in a single environment, whose state is
    then copied into its row here.
    """

    def __init__(self, envs: CartPoleVectorEnv, one: Env) -> None:
        self._envs, self._one = envs, one
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

    def render(self) -> tuple[Array, ...]:
        raise UsageError("CartPole: expected copies that are drawn, which are stepped one by one, got all at once")

    def close(self) -> None:
        self._one.close()
        self._envs.close()


def _copies_of(one: Env, recipe: Recipe, num: int, how: Literal["sync", "async", "drawn"]) -> Copies:
    """W copies of the environment `one`, which was made from the same recipe and is kept or closed. Raises what `Recipe.make` raises."""
    poles = f"{CartPoleVectorEnv.__module__}:{CartPoleVectorEnv.__name__}"
    if how != "drawn" and not recipe.wrappers and one.spec and one.spec.vector_entry_point == poles:
        at_once = gym.make_vec(
            recipe.id, num, vectorization_mode="vector_entry_point", max_episode_steps=ENDLESS, **recipe.kwargs
        )
        assert isinstance(at_once, CartPoleVectorEnv)
        return CartPoles(at_once, one)
    if how == "async":
        one.close()
        return InProcesses(recipe, num)
    return OneByOne([one, *(recipe.make() for _ in range(num - 1))])


def begun(env: Any, start: Start, masks: Callable[[], Array] | None) -> tuple[Any, Any]:
    """The observation and info of an environment after `reset(seed)` and the actions that follow."""
    seen, info = env.reset(seed=start.seed)
    for act in each_of(start.acts):
        seen, _, _, _, info = env.step(act)
    return seen, info if masks is None else info | {MASK: masks()}


def _numbered(recipe: Recipe, number: int) -> Env:
    return Beginning(recipe.make(), number, f"setup.id: {recipe.id}")


def _quietly(function: Callable[..., Any], *args: Any) -> Any:
    """`function(*args)` without the traceback that Gymnasium prints for an error in another process, which is raised here as well."""
    level, gym.logger.min_level = gym.logger.min_level, gym.logger.ERROR + 1
    try:
        return function(*args)
    finally:
        gym.logger.min_level = level


def _masks_of(env: Env) -> Callable[[], Array] | None:
    """The method `action_masks` of an environment or its wrappers (sb3-contrib's convention)."""
    if not env.has_wrapper_attr("action_masks"):
        return None
    found: Callable[[], Array] = env.get_wrapper_attr("action_masks")
    return found


def each_of(acts: Array) -> Sequence[Any] | Array:
    """Discrete actions as Python numbers, which Gymnasium checks faster; rows of other actions unchanged."""
    return acts.tolist() if acts.dtype == np.int64 and acts.ndim == 1 else acts


def drawn(env: Any) -> Array:
    """What an environment draws of itself, as a picture [H, W, 3] u8."""
    try:
        picture = np.asarray(env.render())
    except (gym.error.DependencyNotInstalled, ModuleNotFoundError) as error:
        raise MissingExtra(
            f"{env}: drawing it needs a package that is not installed ({error}); `pip install pygame-ce`?"
        ) from error
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] < 3:
        raise InputError(f"render: expected a picture [H, W, 3] of uint8, got {picture.dtype} {list(picture.shape)}")
    return picture[:, :, :3].copy()


def require_drawn(metadata: Any, where: str) -> None:
    """UsageError unless an environment says that it can draw pictures."""
    modes = list((metadata or {}).get("render_modes") or ())
    if "rgb_array" not in modes:
        raise UsageError(
            f"{where}: expected an environment that can be drawn, with rgb_array among its render_modes, it has {modes}"
        )


def made_copies(setup: GymSetup, num_worlds: int, render_mode: str | None = None) -> Made:
    """W copies of a Gymnasium environment. InputError for one that cannot be made, MissingExtra without its package."""
    where, recipe = f"setup.id: {setup.id}", setup.recipe
    try:
        one = recipe.make()
        if render_mode is not None:
            one.close()
            require_drawn(one.metadata, where)
            recipe = recipe._replace(kwargs={**recipe.kwargs, "render_mode": render_mode})
            one = recipe.make()
        observing, acting = Observing(one.observation_space, where), Acting(one.action_space, where)
        classes, how = _classes(one), "drawn" if render_mode is not None else setup.vectorization
        return Made(classes, observing, acting, _copies_of(one, recipe, num_worlds, how))
    except (gym.error.DependencyNotInstalled, ModuleNotFoundError) as error:
        module = setup.id.partition(":")[0]
        package = module.partition(".")[0]
        missing = getattr(error.__cause__ or error, "name", None)  # gymnasium raises its own from that of the import
        if missing and missing != package and f"{module}.".startswith(f"{missing}."):
            raise InputError(f"{where}: no module {missing!r}: expected one that registers the environment") from None
        extra = next((name for name in EXTRAS if name in f"{setup.id} {error}".lower()), None)
        cure = f"; run `pip install --editable '.[{extra}]'`" if extra else ""
        if not extra and ":" in setup.id and find_spec(package) is None:
            cure = f": no module {package!r} in the repository's root or among the installed packages"
        raise MissingExtra(f"{where} needs a package that is not installed{cure} ({error})") from error
    except gym.error.NameNotFound as error:
        cure = "" if ":" in setup.id else "; the id of a package's environment names its module: minigrid:MiniGrid-Empty-5x5-v0"
        raise InputError(f"setup: gymnasium cannot make {setup.id!r}: {error}{cure}") from error
    except HeadstartError:
        raise
    except Exception as error:
        raise InputError(
            f"setup: gymnasium cannot make {setup.id!r} with {setup.kwargs}: {said(error, installed=False)}"
        ) from error


def _classes(env: Env) -> tuple[type, ...]:
    """The classes of an environment and of its wrappers, outermost first."""
    own = (type(env),)
    return (*own, *_classes(env.env)) if isinstance(env, gym.Wrapper) else own
