"""Any Gymnasium environment as a world of one agent. The docstring of `GymWorld` is its specification."""

from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.error import Error as GymnasiumError
from gymnasium.spaces import flatdim, flatten
from pydantic import Field

from headstart.core.arrays import Array
from headstart.core.errors import InputError, MissingExtra, UsageError
from headstart.core.record import Record
from headstart.worlds.api import Observations, Task, World, WorldSpec
from headstart.worlds.gym_copies import UNWATCHED, Copies, Row, make_copies

MAX_FEATURES = 4096  # more features are taken for an image, which the policy network does not support
OWN_STATS = ("return", "steps", "terminated")


class GymSetup(Record):
    """The `setup` section of a Gymnasium scenario."""

    id: str
    kwargs: dict[str, Any] = Field(default_factory=dict)
    info: tuple[str, ...] = ()  # numbers of the last step's info that predicates may name


class GymWorld(World):
    """W copies of a Gymnasium environment, through `gymnasium.make_vec`, each a separate world of one agent.

    Observation: "features" [N, F] f32, a one-dimensional Box as it is or a Discrete(F) as one-hot; for named actions "mask" [N, K] u8, all
    ones. Actions: a Discrete(K) space gives ids 0 … K − 1; a bounded Box gives D numbers in [−1, 1], stretched to its bounds. Reward: the
    environment's own, one term. Start: every episode is the environment's `reset(seed)` with a hash of the seed, the world id and the number
    of the episode, so it does not depend on W or on earlier episodes. End: as the environment says, and truncation at the
    scenario's horizon, which replaces the environment's own limit. Counters: return, steps, terminated, and the keys of `setup.info` from
    the last step's info.

    There is no scripted expert; a scenario trains one. Episodes cannot start in the middle (`stagger` is ignored). Gymnasium cannot save a
    state, so a snapshot holds the episode's seed and actions, and `restore` plays them again: this is exact if seed and actions determine the
    environment.
    """

    def __init__(self, task: Task, num_worlds: int, first_world: int = 0) -> None:
        """Raises InputError for an unknown id or a space that is not supported, MissingExtra where the environment's package is missing."""
        setup = task.checked_setup(GymSetup)
        one, self._copies = _made(setup, num_worlds)
        self.classes = _classes(one)
        self._observed, self._acting, self._keys = one.observation_space, one.action_space, setup.info
        ids = int(self._acting.n) if isinstance(self._acting, gym.spaces.Discrete) else 0
        continuous = 0 if ids else flatdim(self._acting)
        names = WorldSpec(
            world="gym",
            features=tuple(f"observation_{i}" for i in range(flatdim(self._observed))),
            actions=tuple(f"action_{i}" for i in range(ids)),
            reward_terms=("reward",),
            stats=(*OWN_STATS, *setup.info),
            action_low=(-1.0,) * continuous,
            action_high=(1.0,) * continuous,
        )
        super().__init__(task, names, range(first_world, first_world + num_worlds))
        self._seed = 0
        self._episode, self._tick = np.zeros(num_worlds, np.int64), np.zeros(num_worlds, np.int64)
        done = (num_worlds, task.horizon, *(self._acting.shape or ()))
        self._taken = np.zeros(done, self._acting.dtype)  # what every copy did in its episode, for snapshots
        self._stats = np.zeros((num_worlds, 1, len(names.stats)))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observations, dict[str, Any]]:
        self._seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
        self._episode[:], self._tick[:], self._stats[:] = 0, 0, 0
        self._features = self._begun(range(self.num_worlds))
        return self._observations(), {}

    def step(self, actions: Array) -> tuple[Observations, Array, Array, Array, dict[str, Any]]:
        acts = self._own(np.asarray(actions))
        self._taken[np.arange(self.num_worlds), self._tick] = acts
        seen, rewards, terminations, truncations, infos = self._copies.step(acts)
        self._features = self._rows(seen)
        reward, terminated = np.array(rewards, np.float64), np.array(terminations, bool)
        self._tick += 1
        truncated = (np.array(truncations, bool) | (self._tick == self.horizon)) & ~terminated
        ended = terminated | truncated
        own = self._stats[:, 0]
        own[:, 0] += reward
        own[:, 1], own[:, 2] = self._tick, terminated
        stats, final = self._stats, self._features
        if ended.any():
            stats, final = self._end(np.flatnonzero(ended), infos)
        info = {
            "reward_terms": reward[:, None].astype(np.float32),
            "final_obs": {"features": final.copy()},
            "episode_end": ended,
            "stats": stats.copy(),
        }
        return self._observations(), reward.astype(np.float32), terminated, truncated, info

    def expert_actions(self) -> Array:
        raise UsageError("a Gymnasium environment has no scripted expert; say `expert: {policy: ppo}` in the scenario")

    @property
    def running_stats(self) -> Array:
        return self._stats.copy()

    def snapshot(self) -> dict[str, Array]:
        arrays = {"episode": self._episode, "tick": self._tick, "taken": self._taken, "stats": self._stats}
        return {"seed": np.array(self._seed), **{name: array.copy() for name, array in arrays.items()}}

    def restore(self, snapshot: dict[str, Array]) -> Observations:
        self._seed = int(snapshot["seed"])
        self._episode[:], self._tick[:] = snapshot["episode"], snapshot["tick"]
        self._taken[:], self._stats[:] = snapshot["taken"], snapshot["stats"]
        self._features = self._begun(range(self.num_worlds))
        return self._observations()

    def _own(self, actions: Array) -> Array:
        """Actions of the contract as the environment takes them: [N], or [N, D] within its bounds."""
        space, wanted = self._acting, (self.num_envs, *(self.single_action_space.shape or ()))
        if actions.shape != wanted:
            raise UsageError(f"actions: expected {list(wanted)}, got {list(actions.shape)}")
        if isinstance(space, gym.spaces.Discrete):
            return actions + int(space.start)
        assert isinstance(space, gym.spaces.Box)
        share = (actions.clip(-1.0, 1.0) + 1.0) / 2
        stretched: Array = (space.low + share * (space.high - space.low)).clip(space.low, space.high)
        return stretched.astype(space.dtype)

    def _begun(self, worlds: Iterable[int]) -> Array:
        """Reset these copies to their current episodes and repeat their actions; returns their observations."""
        return self._rows([self._copies.begin(w, self._episode_seed(w), self._taken[w, : self._tick[w]]) for w in worlds])

    def _episode_seed(self, w: int) -> int:
        """Seed of the current episode of copy w."""
        source = np.random.SeedSequence([self._seed, self.ids[w], int(self._episode[w])])
        return int(source.generate_state(1)[0])

    def _end(self, ended: Array, infos: Sequence[dict[str, Any]]) -> tuple[Array, Array]:
        """Begin new episodes in the worlds `ended`; returns counters and features as they were at the end of the old ones."""
        for w in ended:
            self._stats[w, 0, len(OWN_STATS) :] = [float(infos[w].get(key, 0.0)) for key in self._keys]
        stats, final = self._stats.copy(), self._features.copy()
        self._episode[ended] += 1
        self._tick[ended] = self._stats[ended] = 0
        self._features[ended] = self._begun(ended)
        return stats, final

    def _rows(self, seen: Row) -> Array:
        """Observations of the environment as features [len(seen), F] f32."""
        if isinstance(self._observed, gym.spaces.Discrete):
            seen = [flatten(self._observed, one) for one in seen]
        return np.array(seen, np.float32)

    def _observations(self) -> Observations:
        seen = {"features": self._features.copy()}
        return seen | {"mask": np.ones((self.num_worlds, len(self.names.actions)), np.uint8)} if self.names.actions else seen


def _made(setup: GymSetup, num_worlds: int) -> tuple[gym.Env[Any, Any], Copies]:
    """One environment, to read its spaces, and W copies."""
    try:
        one = gym.make(setup.id, **UNWATCHED, **setup.kwargs)
        _require_supported(setup.id, one)
        return one, make_copies(one, setup.id, setup.kwargs, num_worlds)
    except (gym.error.DependencyNotInstalled, ModuleNotFoundError) as error:
        extra = "; run `pip install --editable .[box2d]`" if "box2d" in str(error).lower() else ""
        raise MissingExtra(f"setup.id: {setup.id} needs a package that is not installed{extra} ({error})") from error
    except (GymnasiumError, TypeError) as error:
        raise InputError(f"setup: gymnasium cannot make {setup.id!r} with {setup.kwargs}: {error}") from error


def _classes(env: gym.Env[Any, Any]) -> tuple[type, ...]:
    """The classes of an environment and of its wrappers, outermost first."""
    own = (type(env),)
    return (*own, *_classes(env.env)) if isinstance(env, gym.Wrapper) else own


def _require_supported(name: str, env: gym.Env[Any, Any]) -> None:
    """Named or bounded real actions, and an observation that is one row of numbers."""
    acting, observed = env.action_space, env.observation_space
    bounded = isinstance(acting, gym.spaces.Box) and len(acting.shape) == 1 and acting.is_bounded("both")
    if not (bounded or isinstance(acting, gym.spaces.Discrete)):
        raise InputError(f"setup.id: {name}: expected actions from Discrete or a bounded one-dimensional Box, got {acting}")
    row = isinstance(observed, gym.spaces.Box) and len(observed.shape) == 1
    if not (row or isinstance(observed, gym.spaces.Discrete)):
        raise InputError(f"setup.id: {name}: expected observations from Discrete or a one-dimensional Box, got {observed}")
    if (size := flatdim(observed)) > MAX_FEATURES:
        raise InputError(f"setup.id: {name}: expected observations of at most {MAX_FEATURES} numbers, got {size} of {observed}")
