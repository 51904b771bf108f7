"""What the simulators share: their state is one array of records, which a compiled kernel steps, and step returns the arrays that it writes."""

from abc import abstractmethod
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np
from gymnasium.vector.utils import create_empty_array

from headstart.core.arrays import Array
from headstart.core.errors import UsageError
from headstart.worlds.api import Observations, Task, World, WorldSpec
from headstart.worlds.jit import LOOK, RESET, STAGGER, STEP

DRAWING = {"ansi": "text", "rgb_array": "picture"}  # render mode → module in the folder `draw` of a world


class Simulator(World):
    """A world with its own rules. A subclass names the record of a world, checks actions, calls its kernel and its expert."""

    record: np.dtype[np.void]  # of one world: at least seed, id and episode

    def __init__(self, task: Task, names: WorldSpec, ids: range, num_agents: int = 1, render_mode: str | None = None) -> None:
        super().__init__(task, names, ids, num_agents, render_mode)
        self._worlds = np.zeros(len(ids), self.record)
        self._worlds["id"] = self.ids
        n, spaces = self.num_envs, self.single_observation_space.spaces
        names_seen = [name for name in ("features", "mask", "map") if name in spaces]
        self._seen: Observations = {name: np.asarray(create_empty_array(spaces[name], n)) for name in names_seen}
        self._final = {name: np.zeros_like(rows) for name, rows in self._seen.items() if name != "mask"}
        # what the kernel writes: [N, …], by the name that it has there
        self._rows: dict[str, Array] = {
            **self._seen,
            **{f"final_{name}": rows for name, rows in self._final.items()},
            "reward": np.zeros(n, np.float32),
            "reward_terms": np.zeros((n, len(names.reward_terms)), np.float32),
            "terminated": np.zeros(n, np.bool_),
            "truncated": np.zeros(n, np.bool_),
            "stats": np.zeros((n, len(names.stats)), np.int32),
        }
        self._stats = self._rows["stats"].reshape(len(ids), num_agents, len(names.stats))
        self._episode_end = np.zeros(len(ids), np.bool_)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observations, dict[str, Any]]:
        if seed is not None:
            self._worlds["seed"] = seed
        self._worlds["episode"] = 0
        self._run(STAGGER if (options or {}).get("stagger", False) else RESET)
        return dict(self._seen), {}

    def step(self, actions: Array) -> tuple[Observations, Array, Array, Array, dict[str, Any]]:
        self._take(np.asarray(actions))
        self._run(STEP)
        rows = self._rows
        info = {
            "reward_terms": rows["reward_terms"],
            "final_obs": dict(self._final),
            "episode_end": self._episode_end,
            "stats": self._stats,
        }
        return dict(self._seen), rows["reward"], rows["terminated"], rows["truncated"], info

    def snapshot(self) -> dict[str, Array]:
        return {"worlds": self._worlds.copy()}

    def restore(self, snapshot: dict[str, Array]) -> Observations:
        self._worlds[:] = snapshot["worlds"]
        self._run(LOOK)
        return dict(self._seen)

    def render(self) -> tuple[Any, ...]:
        """One text or picture for each of the W worlds, as `render_mode` says."""
        world = self.names.world
        if self.render_mode is None:
            raise UsageError(f"render: expected a {world} made with render_mode {' or '.join(self.render_modes)}, got None")
        # import_module, so that no stage depends on drawing
        return tuple(self._drawn(import_module(f"headstart.worlds.{world}.draw.{DRAWING[self.render_mode]}")))

    @abstractmethod
    def _take(self, actions: Array) -> None:
        """Check the actions of the next step and keep them; UsageError if they are not of the action space."""

    @abstractmethod
    def _run(self, mode: int) -> None:
        """Call the kernel in this mode."""

    @abstractmethod
    def _drawn(self, drawing: Any) -> Iterator[Any]:
        """Every world, drawn by this module."""
