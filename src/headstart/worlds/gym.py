"""Gymnasium environments as worlds of one agent, PettingZoo's as worlds of several. The docstring of `GymWorld` is the specification."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from gymnasium import Space

from headstart.core.arrays import Array
from headstart.core.errors import InputError, UsageError
from headstart.core.user_code import called
from headstart.worlds.api import Observations, Task, World, WorldSpec
from headstart.worlds.gym_agents import made_groups
from headstart.worlds.gym_copies import MASK, Start, made_copies
from headstart.worlds.gym_info import FLAGS, OWN_STATS, Counters, mappings, one_each
from headstart.worlds.gym_setup import EnvironmentSetup, GymSetup

OWN = len(OWN_STATS)


class GymWorld(World):
    """W copies of an environment: of Gymnasium's, each a separate world of one agent, or of PettingZoo's parallel ones with A agents.

    Observation: "features" [N, F] f32 and, where the space has a picture, "map" [N, C, G, G] u8, padded with 0 to a square
    (`gym_spaces.Observing`); for named actions "mask" [N, K] u8: info["action_mask"], or the environment's `action_masks()`, else all ones.
    Actions: ids 0 … K − 1, or D numbers in [−1, 1], stretched to the bounds of the space (`gym_spaces.Acting`). Reward: the environment's
    own, one term. Start: every episode is the environment's `reset(seed)` with a hash of the seed, the world id and the number of the
    episode, so it does not depend on W or on earlier episodes. End: as the environment says, and truncation at the scenario's horizon, which
    replaces Gymnasium's own limit. Counters: return, steps, terminated, and the keys of `setup.info`, gathered as it says.

    Agents of one world (`world: pettingzoo`) have equal spaces, and all are there at the start. The episode ends with its last agent. The row
    of an agent that leaves before the others is empty until then: features and picture of zeros, reward 0, and a mask that allows action 0
    only, so that PPO learns nothing from the choice. Its flags are false until the last step of the world, where it is terminated. Continuous
    actions have no masks: PPO sees empty rows, whose returns are 0. Nothing records them, so no clone learns from them. Counters of an agent
    stop when it leaves.

    There is no scripted expert. Episodes cannot start in the middle (`stagger` is ignored). Gymnasium cannot save a state, so a snapshot
    holds the episode's seed and actions, and `restore` plays them again: exact if seed and actions determine the environment.

    InputError from `reset` and `step`: an error in the environment's code, with its file and line; an observation of another shape than its
    space, a number that is not finite, flags that are no single values, a mask that allows nothing, and a key of `setup.info` that no step of
    SILENT_EPISODES episodes told.

    Made with render_mode "rgb_array", `render` gives the pictures of the environment's own `render`; the step that ends an episode tells them
    in info["final_render"], since the next episode begins in it.
    """

    render_modes = ("rgb_array",)
    seen: Sequence[Any] | Array  # [N] observations as the environment gives them, the last one of an agent that left
    infos: Sequence[dict[str, Any]]  # [N] infos of the last step or reset

    def __init__(self, task: Task, num_worlds: int, first_world: int = 0, render_mode: str | None = None) -> None:
        """Raises InputError for an unknown id or a space that is not supported, MissingExtra where the environment's package is missing."""
        setup = task.checked_setup(EnvironmentSetup if task.world == "pettingzoo" else GymSetup)
        self._where = f"setup.id: {setup.id}"
        if render_mode not in (None, *self.render_modes):
            raise UsageError(f"render_mode: an environment of your own draws pictures, expected rgb_array, got {render_mode!r}")
        made = (
            made_copies(setup, num_worlds, render_mode)
            if isinstance(setup, GymSetup)
            else made_groups(setup, num_worlds, render_mode)
        )
        self.classes, self.observing, self.acting, self._copies, self._agents = made
        picture = self.observing.map_shape
        names = WorldSpec(
            world=task.world,
            features=self.observing.features,
            actions=self.acting.names,
            reward_terms=("reward",),
            stats=(*OWN_STATS, *setup.info),
            map_channels=tuple(f"channel_{i}" for i in range(picture[0])) if picture else (),
            map_size=max(picture[1:]) if picture else 0,
            action_low=(-1.0,) * self.acting.dimensions,
            action_high=(1.0,) * self.acting.dimensions,
        )
        super().__init__(task, names, range(first_world, first_world + num_worlds), len(self._agents) or 1, render_mode)
        self._seed, self._all = 0, np.arange(num_worlds)
        self._every = np.arange(self.num_envs)
        self._episode, self._tick = np.zeros(num_worlds, np.int64), np.zeros(num_worlds, np.int64)
        (self.idle,) = self.acting.own(
            np.zeros((1, *(self.single_action_space.shape or ())), np.int64)
        )  # of a row without an agent
        self._shape = (*([self.num_agents] if self._agents else []), *self.idle.shape)  # of the actions of one copy
        # what every copy did in its episode, for snapshots
        self._taken = np.zeros((num_worlds, task.horizon, *self._shape), self.idle.dtype)
        self._own = np.zeros((self.num_envs, OWN))
        self._counters = Counters(setup.info, self.num_envs)
        self._checked = 0  # resets and steps whose observations were held to their space
        self._masked = False  # whether the environment tells masks

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observations, dict[str, Any]]:
        self._seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
        self._episode[:], self._tick[:], self._own[:], self.gone[:] = 0, 0, 0, False
        self._counters.clear()
        return self._begin_all(), {}

    def step(self, actions: Array) -> tuple[Observations, Array, Array, Array, dict[str, Any]]:
        acts = self._acts(np.asarray(actions)).reshape(self.num_worlds, *self._shape)
        self._taken[self._all, self._tick] = acts
        self.seen, *told, infos = called(self._where, self._copies.step, acts)
        self._tick += 1
        self.infos = mappings(infos, self._place)
        reward, ends, cuts = (one_each(*of, self.num_envs, self._place) for of in zip(("reward", *FLAGS), told, strict=True))
        left = (ends != 0) | (cuts != 0)  # also of agents that left in earlier steps
        over = left.reshape(self.num_worlds, -1).all(axis=1) | (self._tick == self.horizon)  # [W]
        ended = over.repeat(self.num_agents)
        terminated = np.where(self.gone, ended, ends != 0)
        truncated = (left | ended) & ~terminated & ~self.gone
        self._own[:, 0] += reward
        self._own[:, 1] += ~self.gone
        self._own[:, 2] = ends != 0
        if self._counters.values.shape[1]:
            self._counters.add(self.infos, self._place, np.flatnonzero(~self.gone).tolist())
        stats, final = self.running_stats, self._emptied(self._look(self.seen, self._every))
        self.gone = left & ~ended
        self._rows = self._emptied(final)
        info: dict[str, Any] = {
            "reward_terms": reward[:, None].astype(np.float32),
            "final_obs": final,
            "episode_end": over,
            "stats": stats,
        }
        if over.any():
            if self.render_mode is not None:
                info["final_render"] = self.render()
            self._end(np.flatnonzero(over), np.flatnonzero(ended))
        return self._observations(), reward.astype(np.float32), terminated, truncated, info

    def render(self) -> tuple[Any, ...]:
        """One picture [H, W, 3] u8 for each of the W worlds. InputError for anything else, MissingExtra where a package is missing."""
        if self.render_mode is None:
            raise UsageError(f"render: expected a {self.names.world} world made with render_mode rgb_array, got None")
        return called(self._where, self._copies.render)

    @property
    def own_spaces(self) -> dict[str, Space[Any]]:
        return {"observation": self.observing.space, "action": self.acting.space}

    @property
    def feature_bounds(self) -> Array:
        low, high = self.observing.low, self.observing.high
        return np.stack(
            [np.minimum(low, 0.0), np.maximum(high, 0.0)] if self._agents else [low, high]
        )  # 0: of an agent that is gone

    def expert_actions(self) -> Array:
        raise UsageError(
            "an environment of your own has no scripted expert; say `policy: ppo` under `expert` in the scenario, or callable, onnx "
            "or sb3 with an expert of your own"
        )

    @property
    def running_stats(self) -> Array:
        return np.concatenate([self._own, self._counters.values], axis=1).reshape(self.num_worlds, self.num_agents, -1)

    def snapshot(self) -> dict[str, Array]:
        arrays = {"episode": self._episode, "tick": self._tick, "taken": self._taken, "own": self._own, "gone": self.gone}
        arrays |= {"values": self._counters.values, "told": self._counters.told}
        return {"seed": np.array(self._seed), **{name: array.copy() for name, array in arrays.items()}}

    def restore(self, snapshot: dict[str, Array]) -> Observations:
        self._seed = int(snapshot["seed"])
        self._episode[:], self._tick[:] = snapshot["episode"], snapshot["tick"]
        self._taken[:], self._own[:], self.gone[:] = snapshot["taken"], snapshot["own"], snapshot["gone"]
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
        self._rows = self._emptied(self._look(self.seen, self._every))
        return self._observations()

    def _begun(self, worlds: Iterable[int]) -> list[tuple[Any, dict[str, Any]]]:
        """Reset these copies to their current episodes and repeat their actions; returns observations and infos of their rows."""
        starts = {w: Start(self._episode_seed(w), self._taken[w, : self._tick[w]]) for w in worlds}
        found = called(self._where, self._copies.begin, starts)
        mappings([info for _, info in found.values()], lambda nth: self._place(list(found)[nth]))
        return list(found.values())

    def _episode_seed(self, w: int) -> int:
        """Seed of the current episode of copy w."""
        source = np.random.SeedSequence([self._seed, self.ids[w], int(self._episode[w])])
        return int(source.generate_state(1)[0])

    def _end(self, worlds: Array, rows: Array) -> None:
        """Begin new episodes in these worlds, and show the first observations of their rows."""
        self._counters.ended(len(worlds), self.infos)
        self._counters.clear(rows)
        self._episode[worlds] += 1
        self._tick[worlds] = 0
        self._own[rows] = 0
        seen, infos = list(self.seen), list(self.infos)
        for n, (first, info) in zip(rows, self._begun(worlds), strict=True):
            seen[n], infos[n] = first, info
        self.seen, self.infos = seen, infos
        first_rows = self._look([seen[n] for n in rows], rows)
        self._rows = {name: column.copy() for name, column in self._rows.items()}
        for name, column in first_rows.items():
            self._rows[name][rows] = column

    # --- what the environment says ----------------------------------------------------------------------------------------

    def _look(self, seen: Sequence[Any] | Array, rows: Array) -> Observations:
        """What these rows show, as features and picture."""
        if self._checked < 2:
            self._checked += 1
            self._require(seen, rows)
        try:
            shown = self.observing.rows(seen)
        except (ValueError, TypeError, KeyError, IndexError) as error:
            self._require(seen, rows)
            raise InputError(f"{self._place(rows[0])}: expected an observation of {self.observing.space}: {error}") from None
        if not np.isfinite(shown["features"]).all():
            row, f = np.argwhere(~np.isfinite(shown["features"]))[0]
            place = self._place(rows[row])
            raise InputError(f"{place}: expected finite observations, {self.names.features[f]} is {shown['features'][row, f]}")
        return shown

    def _require(self, seen: Sequence[Any] | Array, rows: Array) -> None:
        for n, row in zip(rows, seen, strict=True):
            self.observing.require(row, self._place(n))

    def _emptied(self, shown: Observations) -> Observations:
        """Zeros in the rows of agents that are gone."""
        if not self._agents or not self.gone.any():
            return shown
        return {name: np.where(self.gone.reshape(-1, *[1] * (column.ndim - 1)), 0, column) for name, column in shown.items()}

    def _masks(self) -> Array:
        """[N, K] u8; all ones where the environment tells none, and action 0 alone in the row of an agent that is gone."""
        masks = np.ones((self.num_envs, len(self.names.actions)), np.uint8)
        self._masked = self._masked or any(MASK in info for info in self.infos)
        if self._masked:
            for n in np.flatnonzero(~self.gone).tolist():
                masks[n] = self.acting.mask(self.infos[n].get(MASK), f"{self._place(n)}: info[{MASK!r}]")
        masks[self.gone, 1:] = 0
        return masks

    def _observations(self) -> Observations:
        return self._rows | {"mask": self._masks()} if self.names.actions else self._rows

    def _place(self, n: int) -> str:
        w, a = divmod(n, self.num_agents)
        agent = f", agent {self._agents[a]}" if self._agents else ""
        return f"world {self.ids[w]}{agent}, episode {self._episode[w]}, step {self._tick[w]}"

    def _acts(self, actions: Array) -> Array:
        """Actions of the contract as the environment takes them."""
        wanted = (self.num_envs, *(self.single_action_space.shape or ()))
        if actions.shape != wanted:
            raise UsageError(f"actions: expected {list(wanted)}, got {list(actions.shape)}")
        return self.acting.own(actions)
