"""Any Gymnasium environment as a world of one agent. The docstring of `GymWorld` is its specification."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from gymnasium.error import Error as GymnasiumError
from pydantic import Field, field_validator

from headstart.core.arrays import Array
from headstart.core.errors import InputError, MissingExtra, UsageError, nearest
from headstart.core.record import Record
from headstart.worlds.api import Observations, Task, World, WorldSpec
from headstart.worlds.gym_copies import MASK, Copies, Env, Recipe, Start, make_copies
from headstart.worlds.gym_spaces import Acting, Observing

OWN_STATS = ("return", "steps", "terminated")
SILENT_EPISODES = 20  # after so many, a key of info that no step told is taken for a misspelling
Gather = Literal["last", "any", "sum", "max", "min"]


class Told(Record):
    """How a number of info becomes a counter of the episode."""

    gather: Gather
    absent: float | None = None  # what a step without the key counts as; None: such a key must be told at least now and then


class GymSetup(Record):
    """The `setup` section of a Gymnasium scenario."""

    id: str
    kwargs: dict[str, Any] = Field(default_factory=dict)
    wrappers: tuple[str | dict[str, dict[str, Any]], ...] = ()  # "module:Class", or that with its arguments; innermost first
    info: dict[str, Told] = Field(default_factory=dict)  # numbers of info that predicates may name
    vectorization: Literal["sync", "async"] = "sync"  # async: every copy in a process of its own

    @field_validator("info", mode="before")
    @classmethod
    def _short_forms(cls, info: Any) -> Any:
        """`[cost]` gathers the last value, `{cost: sum}` as it says."""
        if isinstance(info, list | tuple):
            info = dict.fromkeys(info, "last")
        if not isinstance(info, dict):
            return info
        return {key: {"gather": how} if isinstance(how, str) else how for key, how in info.items()}

    @property
    def recipe(self) -> Recipe:
        """What every copy is made from."""
        wrappers = [({one: {}} if isinstance(one, str) else one) for one in self.wrappers]
        return Recipe(self.id, self.kwargs, tuple(pair for one in wrappers for pair in one.items()))


class GymWorld(World):
    """W copies of a Gymnasium environment, each a separate world of one agent.

    Observation: "features" [N, F] f32 and, where the space has a picture, "map" [N, C, G, G] u8, padded with 0 to a square
    (`gym_spaces.Observing`); for named actions "mask" [N, K] u8: info["action_mask"], or the environment's `action_masks()`, else all ones.
    Actions: ids 0 … K − 1, or D numbers in [−1, 1], stretched to the bounds of the space (`gym_spaces.Acting`). Reward: the environment's own, one
    term. Start: every episode is the environment's `reset(seed)` with a hash of the seed, the world id and the number of the episode, so it
    does not depend on W or on earlier episodes. End: as the environment says, and truncation at the scenario's horizon, which replaces the
    environment's own limit. Counters: return, steps, terminated, and the keys of `setup.info`, gathered over the episode as it says.

    There is no scripted expert. Episodes cannot start in the middle (`stagger` is ignored). Gymnasium cannot save a
    state, so a snapshot holds the episode's seed and actions, and `restore` plays them again: this is exact if seed and actions determine the
    environment.

    InputError from `reset` and `step`: an observation of another shape than its space, a number that is not finite, flags that are no single
    values, a mask that allows nothing, and a key of `setup.info` that no step of SILENT_EPISODES episodes told.
    """

    seen: Sequence[Any] | Array  # [W] observations as the environment gives them
    infos: list[dict[str, Any]]  # [W] infos of the last step or reset

    def __init__(self, task: Task, num_worlds: int, first_world: int = 0) -> None:
        """Raises InputError for an unknown id or a space that is not supported, MissingExtra where the environment's package is missing."""
        setup = task.checked_setup(GymSetup)
        one, self.observing, self.acting, self._copies = _made(setup, num_worlds)
        self.classes = _classes(one)
        self._gathered = setup.info
        picture = self.observing.map_shape
        names = WorldSpec(
            world="gym",
            features=self.observing.features,
            actions=self.acting.names,
            reward_terms=("reward",),
            stats=(*OWN_STATS, *setup.info),
            map_channels=tuple(f"channel_{i}" for i in range(picture[0])) if picture else (),
            map_size=max(picture[1:]) if picture else 0,
            action_low=(-1.0,) * self.acting.dimensions,
            action_high=(1.0,) * self.acting.dimensions,
        )
        super().__init__(task, names, range(first_world, first_world + num_worlds))
        self._seed, self._episodes_over, self._keys_told = 0, 0, set[str]()
        self._episode, self._tick = np.zeros(num_worlds, np.int64), np.zeros(num_worlds, np.int64)
        acts = self.acting.own(np.zeros((1, *(self.single_action_space.shape or ())), np.int64))
        # what every copy did in its episode, for snapshots
        self._taken = np.zeros((num_worlds, task.horizon, *acts.shape[1:]), acts.dtype)
        self._stats = np.zeros((num_worlds, 1, len(names.stats)))
        self._told = np.zeros((num_worlds, len(setup.info)), bool)  # which keys the episode has told
        self._checked = 0  # resets and steps whose observations were held to their space
        self._masked = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observations, dict[str, Any]]:
        self._seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
        self._episode[:], self._tick[:], self._stats[:], self._told[:] = 0, 0, 0, False
        return self._begin_all(), {}

    def step(self, actions: Array) -> tuple[Observations, Array, Array, Array, dict[str, Any]]:
        acts = self._own(np.asarray(actions))
        self._taken[np.arange(self.num_worlds), self._tick] = acts
        seen, rewards, terminations, truncations, infos = self._copies.step(acts)
        reward, terminated, late = (
            self._single(name, values) for name, values in zip(FLAGS, (rewards, terminations, truncations), strict=True)
        )
        terminated = terminated.astype(bool)
        self._tick += 1
        self._look(seen, list(infos))
        truncated = (late.astype(bool) | (self._tick == self.horizon)) & ~terminated
        ended = terminated | truncated
        own = self._stats[:, 0]
        own[:, 0] += reward
        own[:, 1], own[:, 2] = self._tick, terminated
        self._gather()
        stats, final = self._stats, self._rows
        if ended.any():
            stats, final = self._end(np.flatnonzero(ended))
        info = {
            "reward_terms": reward[:, None].astype(np.float32),
            "final_obs": {name: rows.copy() for name, rows in final.items()},
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
        arrays = {"episode": self._episode, "tick": self._tick, "taken": self._taken, "stats": self._stats, "told": self._told}
        return {"seed": np.array(self._seed), **{name: array.copy() for name, array in arrays.items()}}

    def restore(self, snapshot: dict[str, Array]) -> Observations:
        self._seed = int(snapshot["seed"])
        self._episode[:], self._tick[:] = snapshot["episode"], snapshot["tick"]
        self._taken[:], self._stats[:], self._told[:] = snapshot["taken"], snapshot["stats"], snapshot["told"]
        return self._begin_all()

    # --- episodes ---------------------------------------------------------------------------------------------------------

    def _begin_all(self) -> Observations:
        begun = self._begun(range(self.num_worlds))
        self._look([seen for seen, _ in begun], [info for _, info in begun])
        return self._observations()

    def _begun(self, worlds: Iterable[int]) -> list[tuple[Any, dict[str, Any]]]:
        """Reset these copies to their current episodes and repeat their actions; returns their observations and infos."""
        found = self._copies.begin({w: Start(self._episode_seed(w), self._taken[w, : self._tick[w]]) for w in worlds})
        return list(found.values())

    def _episode_seed(self, w: int) -> int:
        """Seed of the current episode of copy w."""
        source = np.random.SeedSequence([self._seed, self.ids[w], int(self._episode[w])])
        return int(source.generate_state(1)[0])

    def _end(self, ended: Array) -> tuple[Array, dict[str, Array]]:
        """Begin new episodes in the worlds `ended`; returns counters and observations as they were at the end of the old ones."""
        self._episodes_over += len(ended)
        self._require_told()
        stats, final = self._stats.copy(), self._rows
        self._episode[ended] += 1
        self._tick[ended] = self._stats[ended] = self._told[ended] = 0
        begun = self._begun(ended)
        seen, infos = list(self.seen), list(self.infos)
        for w, (first, info) in zip(ended, begun, strict=True):
            seen[w], infos[w] = first, info
        self._look(seen, infos)
        return stats, final

    # --- what the environment says ----------------------------------------------------------------------------------------

    def _look(self, seen: Sequence[Any] | Array, infos: list[dict[str, Any]]) -> None:
        """Keep what the copies show now, as features, picture and mask."""
        if self._checked < 2:
            self._checked += 1
            for w, row in enumerate(seen):
                self.observing.require(row, f"{self._place(w)}: observation")
        self.seen, self.infos, self._rows = seen, infos, self.observing.rows(seen)
        if not np.isfinite(self._rows["features"]).all():
            w, f = np.argwhere(~np.isfinite(self._rows["features"]))[0]
            raise InputError(
                f"{self._place(w)}: expected finite observations, {self.names.features[f]} is {self._rows['features'][w, f]}"
            )
        self._mask = self._masks()

    def _masks(self) -> Array:
        """[W, K] u8; all ones where the environment tells none."""
        k = len(self.names.actions)
        if not k or not any(MASK in info for info in self.infos):
            if k and self._masked:
                raise InputError(f"{self._place(0)}: expected info[{MASK!r}] in every step, since earlier ones have it")
            return np.ones((self.num_worlds, k), np.uint8)
        self._masked = True
        masks = np.zeros((self.num_worlds, k), np.uint8)
        for w, info in enumerate(self.infos):
            masks[w] = self.acting.mask(info.get(MASK), f"{self._place(w)}: info[{MASK!r}]")
        return masks

    def _gather(self) -> None:
        """Add what the infos tell to the counters of the episodes."""
        for number, (key, how) in enumerate(self._gathered.items()):
            column = self._stats[:, 0, len(OWN_STATS) + number]
            for w, info in enumerate(self.infos):
                if key in info:
                    self._keys_told.add(key)
                    value = self._number(w, key, info[key])
                elif how.absent is not None:
                    value = how.absent
                else:
                    continue
                before = column[w] if self._told[w, number] else FIRST.get(how.gather, value)
                column[w] = GATHER[how.gather](before, value)
                self._told[w, number] = True

    def _number(self, w: int, key: str, value: Any) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise InputError(f"{self._place(w)}: info[{key!r}]: expected a number, got {value!r:.60}") from None
        if not np.isfinite(number):
            raise InputError(f"{self._place(w)}: info[{key!r}]: expected a finite number, got {number}")
        return number

    def _require_told(self) -> None:
        """A key of `setup.info` that no step tells would leave its counter at 0, and every predicate over it without meaning."""
        if self._episodes_over < SILENT_EPISODES or not self._gathered:
            return
        silent = [key for key, how in self._gathered.items() if how.absent is None and key not in self._keys_told]
        if silent:
            there = sorted({str(key) for info in self.infos for key in info})
            raise InputError(
                f"setup.info: no step of {self._episodes_over} episodes told {silent[0]!r}{nearest(silent[0], there)}; "
                f"the last steps told {', '.join(there) or 'nothing'}; a key that is told only at times needs "
                f"`{silent[0]}: {{gather: {self._gathered[silent[0]].gather}, absent: 0}}`"
            )

    def _single(self, name: str, values: Any) -> Array:
        """[W] f64 from one number of each copy."""
        try:
            array = np.array(values, np.float64)
        except (TypeError, ValueError):
            raise InputError(f"{self._place(0)}: {name}: expected a number, got {values[0]!r:.60}") from None
        if array.shape != (self.num_worlds,):
            raise InputError(f"{self._place(0)}: {name}: expected one value, got the shape {list(array.shape[1:])}")
        if not np.isfinite(array).all():
            w = int(np.flatnonzero(~np.isfinite(array))[0])
            raise InputError(f"{self._place(w)}: {name}: expected a finite number, got {array[w]}")
        return array

    def _place(self, w: int) -> str:
        return f"world {self.ids[w]}, episode {self._episode[w]}, step {self._tick[w]}"

    def _own(self, actions: Array) -> Array:
        """Actions of the contract as the environment takes them."""
        wanted = (self.num_envs, *(self.single_action_space.shape or ()))
        if actions.shape != wanted:
            raise UsageError(f"actions: expected {list(wanted)}, got {list(actions.shape)}")
        return self.acting.own(actions)

    def _observations(self) -> Observations:
        seen = {name: rows.copy() for name, rows in self._rows.items()}
        return seen | {"mask": self._mask.copy()} if self.names.actions else seen


FLAGS = ("reward", "terminated", "truncated")
GATHER = {
    "last": lambda so_far, value: value,
    "any": lambda so_far, value: float(bool(so_far) or bool(value)),
    "sum": lambda so_far, value: so_far + value,
    "max": max,
    "min": min,
}
FIRST = {"any": 0.0, "sum": 0.0}  # what stands before the first value; of the others that value itself


def _made(setup: GymSetup, num_worlds: int) -> tuple[Env, Observing, Acting, Copies]:
    """One environment, its spaces, and W copies."""
    try:
        one = setup.recipe.make()
        observing, acting = (part(space, f"setup.id: {setup.id}") for part, space in ((Observing, one.observation_space), (Acting, one.action_space)))
        return one, observing, acting, make_copies(one, setup.recipe, num_worlds, setup.vectorization)
    except (gym.error.DependencyNotInstalled, ModuleNotFoundError) as error:
        extra = "; run `pip install --editable .[box2d]`" if "box2d" in str(error).lower() else ""
        raise MissingExtra(f"setup.id: {setup.id} needs a package that is not installed{extra} ({error})") from error
    except (GymnasiumError, TypeError) as error:
        raise InputError(f"setup: gymnasium cannot make {setup.id!r} with {setup.kwargs}: {error}") from error


def _classes(env: Env) -> tuple[type, ...]:
    """The classes of an environment and of its wrappers, outermost first."""
    own = (type(env),)
    return (*own, *_classes(env.env)) if isinstance(env, gym.Wrapper) else own
