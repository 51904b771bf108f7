"""What `headstart.make` gives: worlds whose arrays the caller may keep, and which refuse what they cannot answer."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np
from gymnasium.vector import VectorWrapper
from numpy.typing import ArrayLike

from headstart.core.arrays import Array
from headstart.core.errors import InputError, UsageError, shown
from headstart.deploy.checks import actions_of, seed_of
from headstart.worlds.api import Observations, World


class Worlds(VectorWrapper):
    """W worlds × A agents, N = W·A rows; `headstart.worlds.api` is the contract, and says what the attributes are.

    All arrays are the caller's own: the next call does not overwrite them. UsageError for a call before the first `reset` or after `close`,
    and for actions of another shape or kind than [N] ids or [N, D] finite numbers; InputError for a seed that is no whole number ≥ 0.
    """

    env: World

    def __init__(self, env: World) -> None:
        super().__init__(env)
        self.names, self.ids, self.horizon = env.names, env.ids, env.horizon
        self.num_worlds, self.num_agents = env.num_worlds, env.num_agents
        self.success, self.harm = env.success, env.harm
        self._begun = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observations, dict[str, Any]]:
        """Begin episode 0 of every world. options={"stagger": True} starts each world's first episode at a random tick."""
        self._require_open("reset")
        if not isinstance(options, Mapping | None):
            raise UsageError(f"options: expected a dict or None, got {shown(options)}")
        found = deepcopy(self.env.reset(seed=seed_of(seed), options=options))
        self._begun = True
        return found

    def step(self, actions: ArrayLike) -> tuple[Observations, Array, Array, Array, dict[str, Any]]:
        """Actions [N] ids or [N, D] → observations, reward [N] f32, terminated [N] bool, truncated [N] bool, info."""
        self._require_begun("step")
        return deepcopy(self.env.step(actions_of(actions, self.single_action_space, self.num_envs)))

    def expert_actions(self) -> Array:
        """Actions of the scripted expert in the present state: [N] i64 or [N, D] f32."""
        self._require_begun("expert_actions")
        return self.env.expert_actions().copy()

    @property
    def running_stats(self) -> Array:
        """Counters of the current episodes so far: [W, A, S]."""
        self._require_begun("running_stats")
        return self.env.running_stats.copy()

    @property
    def gone(self) -> Array:
        """[N] bool: rows without an agent until the episode of their world ends."""
        return self.env.gone.copy()

    def snapshot(self) -> dict[str, Array]:
        """The whole state, as arrays."""
        self._require_begun("snapshot")
        return self.env.snapshot()

    def restore(self, snapshot: dict[str, Array]) -> Observations:
        """The observations of a state that `snapshot` gave, which goes on from here; InputError for that of other worlds."""
        self._require_open("restore")
        if not isinstance(snapshot, Mapping) or _layout(snapshot) != _layout(self.env.snapshot()):
            raise InputError(f"snapshot: expected one of {self.num_worlds} worlds of this scenario, got that of others")
        found = deepcopy(self.env.restore(snapshot))
        self._begun = True
        return found

    def render(self) -> tuple[Any, ...] | None:
        """One text or picture for each of the W worlds, as `render_mode` says."""
        self._require_begun("render")
        return self.env.render()

    def _require_open(self, name: str) -> None:
        if self.env.closed:
            raise UsageError(f"{name}: expected worlds that are open, these were closed")

    def _require_begun(self, name: str) -> None:
        self._require_open(name)
        if not self._begun:
            raise UsageError(f"{name}: expected reset() before it")


def _layout(snapshot: Mapping[str, Any]) -> dict[str, Any]:
    """Kind and shape of every array."""
    return {name: (np.asarray(part).dtype, np.shape(part)) for name, part in snapshot.items()}
