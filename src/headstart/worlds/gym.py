"""Any Gymnasium environment as a world of one agent. The docstring of `GymWorld` is its specification."""

from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from typing import Any

import gymnasium as gym
import numpy as np

from headstart.core.arrays import Array
from headstart.core.errors import HeadstartError, InputError, MissingExtra, UsageError
from headstart.core.user_code import called, said
from headstart.worlds.api import Observations, Task, World, WorldSpec
from headstart.worlds.gym_copies import MASK, Copies, Start, make_copies
from headstart.worlds.gym_info import Counters, mappings, one_each
from headstart.worlds.gym_setup import Env, GymSetup
from headstart.worlds.gym_spaces import Acting, Observing

OWN_STATS = ("return", "steps", "terminated")
OWN = len(OWN_STATS)


class GymWorld(World):
    """W copies of a Gymnasium environment, each a separate world of one agent.

    Observation: "features" [N, F] f32 and, where the space has a picture, "map" [N, C, G, G] u8, padded with 0 to a square
    (`gym_spaces.Observing`); for named actions "mask" [N, K] u8: info["action_mask"], or the environment's `action_masks()`, else all ones.
    Actions: ids 0 … K − 1, or D numbers in [−1, 1], stretched to the bounds of the space (`gym_spaces.Acting`). Reward: the environment's
    own, one term. Start: every episode is the environment's `reset(seed)` with a hash of the seed, the world id and the number of the
    episode, so it does not depend on W or on earlier episodes. End: as the environment says, and truncation at the scenario's horizon, which
    replaces the environment's own limit. Counters: return, steps, terminated, and the keys of `setup.info`, gathered as it says.

    There is no scripted expert. Episodes cannot start in the middle (`stagger` is ignored). Gymnasium cannot save a state, so a snapshot
    holds the episode's seed and actions, and `restore` plays them again: exact if seed and actions determine the environment.

    InputError from `reset` and `step`: an error in the environment's code, with its file and line; an observation of another shape than its
    space, a number that is not finite, flags that are no single values, a mask that allows nothing, and a key of `setup.info` that no step of
    SILENT_EPISODES episodes told.
    """

    seen: Sequence[Any] | Array  # [W] observations as the environment gives them
    infos: Sequence[dict[str, Any]]  # [W] infos of the last step or reset

    def __init__(self, task: Task, num_worlds: int, first_world: int = 0) -> None:
        """Raises InputError for an unknown id or a space that is not supported, MissingExtra where the environment's package is missing."""
        setup = task.checked_setup(GymSetup)
        self._where = f"setup.id: {setup.id}"
        one, self.observing, self.acting, self._copies = _made(setup, num_worlds)
        self.classes = _classes(one)
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
        self._seed, self._all = 0, np.arange(num_worlds)
        self._episode, self._tick = np.zeros(num_worlds, np.int64), np.zeros(num_worlds, np.int64)
        acts = self.acting.own(np.zeros((1, *(self.single_action_space.shape or ())), np.int64))
        # what every copy did in its episode, for snapshots
        self._taken = np.zeros((num_worlds, task.horizon, *acts.shape[1:]), acts.dtype)
        self._own = np.zeros((num_worlds, OWN))
        self._counters = Counters(setup.info, num_worlds)
        self._checked = 0  # resets and steps whose observations were held to their space
        self._masked = False  # whether the environment tells masks

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observations, dict[str, Any]]:
        self._seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
        self._episode[:], self._tick[:], self._own[:] = 0, 0, 0
        self._counters.clear()
        return self._begin_all(), {}

    def step(self, actions: Array) -> tuple[Observations, Array, Array, Array, dict[str, Any]]:
        acts = self._acts(np.asarray(actions))
        self._taken[self._all, self._tick] = acts
        self.seen, *told, infos = called(self._where, self._copies.step, acts)
        self._tick += 1
        self.infos = mappings(infos, self._place)
        reward, ends, cuts = (one_each(*of, self.num_worlds, self._place) for of in zip(FLAGS, told, strict=True))
        terminated = ends != 0
        truncated = ((cuts != 0) | (self._tick == self.horizon)) & ~terminated
        ended = terminated | truncated
        self._own[:, 0] += reward
        self._own[:, 1], self._own[:, 2] = self._tick, terminated
        if self._counters.values.shape[1]:
            self._counters.add(self.infos, self._place)
        stats, final = self.running_stats, self._look(self.seen, self._all)
        self._rows = final
        if ended.any():
            self._end(np.flatnonzero(ended))
        info = {
            "reward_terms": reward[:, None].astype(np.float32),
            "final_obs": final,
            "episode_end": ended,
            "stats": stats,
        }
        return self._observations(), reward.astype(np.float32), terminated, truncated, info

    @property
    def feature_bounds(self) -> Array:
        return np.stack([self.observing.low, self.observing.high])

    def expert_actions(self) -> Array:
        raise UsageError(
            "a Gymnasium environment has no scripted expert; say `policy: ppo` under `expert` in the scenario, or callable, onnx or sb3 with an "
            "expert of your own"
        )

    @property
    def running_stats(self) -> Array:
        return np.concatenate([self._own, self._counters.values], axis=1)[:, None]

    def snapshot(self) -> dict[str, Array]:
        arrays = {"episode": self._episode, "tick": self._tick, "taken": self._taken, "own": self._own}
        arrays |= {"values": self._counters.values, "told": self._counters.told}
        return {"seed": np.array(self._seed), **{name: array.copy() for name, array in arrays.items()}}

    def restore(self, snapshot: dict[str, Array]) -> Observations:
        self._seed = int(snapshot["seed"])
        self._episode[:], self._tick[:] = snapshot["episode"], snapshot["tick"]
        self._taken[:], self._own[:] = snapshot["taken"], snapshot["own"]
        self._counters.values[:], self._counters.told[:] = snapshot["values"], snapshot["told"]
        return self._begin_all()

    def close_extras(self) -> None:
        """Close the environments, and end their processes."""
        called(self._where, self._copies.close)

    def require_told(self) -> None:
        """InputError that names a key of `setup.info` which no step has told yet."""
        self._counters.require_told(self.infos)

    # --- episodes ---------------------------------------------------------------------------------------------------------

    def _begin_all(self) -> Observations:
        begun = self._begun(range(self.num_worlds))
        self.seen, self.infos = [seen for seen, _ in begun], [info for _, info in begun]
        self._rows = self._look(self.seen, self._all)
        return self._observations()

    def _begun(self, worlds: Iterable[int]) -> list[tuple[Any, dict[str, Any]]]:
        """Reset these copies to their current episodes and repeat their actions; returns their observations and infos."""
        starts = {w: Start(self._episode_seed(w), self._taken[w, : self._tick[w]]) for w in worlds}
        found = called(self._where, self._copies.begin, starts)
        mappings([info for _, info in found.values()], lambda nth: self._place(list(found)[nth]))
        return list(found.values())

    def _episode_seed(self, w: int) -> int:
        """Seed of the current episode of copy w."""
        source = np.random.SeedSequence([self._seed, self.ids[w], int(self._episode[w])])
        return int(source.generate_state(1)[0])

    def _end(self, ended: Array) -> None:
        """Begin new episodes in the worlds `ended`, and show their first observations."""
        self._counters.ended(len(ended), self.infos)
        self._counters.clear(ended)
        self._episode[ended] += 1
        self._tick[ended] = self._own[ended] = 0
        seen, infos = list(self.seen), list(self.infos)
        for w, (first, info) in zip(ended, self._begun(ended), strict=True):
            seen[w], infos[w] = first, info
        self.seen, self.infos = seen, infos
        first_rows = self._look([seen[w] for w in ended], ended)
        self._rows = {name: rows.copy() for name, rows in self._rows.items()}
        for name, rows in first_rows.items():
            self._rows[name][ended] = rows

    # --- what the environment says ----------------------------------------------------------------------------------------

    def _look(self, seen: Sequence[Any] | Array, worlds: Array) -> Observations:
        """What these copies show, as features and picture."""
        if self._checked < 2:
            self._checked += 1
            self._require(seen, worlds)
        try:
            rows = self.observing.rows(seen)
        except (ValueError, TypeError, KeyError, IndexError):
            self._require(seen, worlds)
            raise
        if not np.isfinite(rows["features"]).all():
            row, f = np.argwhere(~np.isfinite(rows["features"]))[0]
            place = self._place(worlds[row])
            raise InputError(f"{place}: expected finite observations, {self.names.features[f]} is {rows['features'][row, f]}")
        return rows

    def _require(self, seen: Sequence[Any] | Array, worlds: Array) -> None:
        for w, row in zip(worlds, seen, strict=True):
            self.observing.require(row, f"{self._place(w)}: observation")

    def _masks(self) -> Array:
        """[W, K] u8; all ones where the environment tells none."""
        if not self._masked and MASK not in self.infos[0]:
            return np.ones((self.num_worlds, len(self.names.actions)), np.uint8)
        self._masked = True
        return np.stack([self.acting.mask(of.get(MASK), f"{self._place(w)}: info[{MASK!r}]") for w, of in enumerate(self.infos)])

    def _observations(self) -> Observations:
        return self._rows | {"mask": self._masks()} if self.names.actions else self._rows

    def _place(self, w: int) -> str:
        return f"world {self.ids[w]}, episode {self._episode[w]}, step {self._tick[w]}"

    def _acts(self, actions: Array) -> Array:
        """Actions of the contract as the environment takes them."""
        wanted = (self.num_envs, *(self.single_action_space.shape or ()))
        if actions.shape != wanted:
            raise UsageError(f"actions: expected {list(wanted)}, got {list(actions.shape)}")
        return self.acting.own(actions)


FLAGS = ("reward", "terminated", "truncated")


def _made(setup: GymSetup, num_worlds: int) -> tuple[Env, Observing, Acting, Copies]:
    """One environment, its spaces, and W copies."""
    where = f"setup.id: {setup.id}"
    try:
        one = setup.recipe.make()
        observing, acting = Observing(one.observation_space, where), Acting(one.action_space, where)
        return one, observing, acting, make_copies(one, setup.recipe, num_worlds, setup.vectorization)
    except (gym.error.DependencyNotInstalled, ModuleNotFoundError) as error:
        package = setup.id.partition(":")[0].partition(".")[0]
        cure = "; run `pip install --editable .[box2d]`" if "box2d" in str(error).lower() else ""
        if ":" in setup.id and find_spec(package) is None:
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
