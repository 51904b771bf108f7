"""The contract of every world: a gymnasium VectorEnv over W worlds × A agents, with action masks.

Shape letters: W worlds, A agents, N = W·A rows (row = w·A + a), F features, K actions, C map channels, R reward terms, S counters.

* Observations are a dict: "features" [N, F] f32, "mask" [N, K] u8 (discrete worlds), "map" [N, C, G, G] u8 (where asked for). They are read
  *before* the step; reward and flags that the step returns belong to the action passed to it.
* `terminated` and `truncated` are two arrays and are never merged. A row that ends is reset in the same step (AutoresetMode.SAME_STEP); its
  last observation is in info["final_obs"]: arrays of full size of which only rows with terminated | truncated are valid.
* A world's episode runs from reset to its horizon or, in worlds without respawn, to the end of its last agent; the next one
  begins in the same step. In the step that ends it, info["episode_end"] [W] bool marks the world,
  info["stats"] [W, A, S] holds the counters of its agents; `success(stats)` and `harm(stats)` are the scenario's predicates, [W] bool.
* The same seed and world id give the same episode, whatever W is: world w has the id `first_world + w`.
* After `restore(snapshot())`, the same actions give exactly the same future.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import VectorEnv

from headstart.core.arrays import Array
from headstart.core.errors import InputError

Observations = dict[str, Array]
Predicate = Callable[[Array], npt.NDArray[np.bool_]]
Act = Callable[[Observations], Array]  # observations [N, …] → actions [N] i64 or [N, D] f32
Watcher = Callable[[Observations, Array], None]  # observations [N, …], worlds whose episode has not ended [W] bool

# Separate ranges of world ids, so that a policy is evaluated on worlds that it was not trained on.
FIRST_WORLD = {
    "training": 0,
    "capture": 1_000_000,
    "expert": 2_000_000,
    "clone": 3_000_000,
    "evaluation": 4_000_000,
    "exam": 5_000_000,
}


@dataclass(frozen=True)
class Task:
    """What is played: of a scenario, that which makes its episodes what they are."""

    world: str  # town, nav or gym
    setup: Mapping[str, Any]  # the own section of that world in the scenario file
    horizon: int  # ticks
    success: Sequence[str]  # predicates over the counters of an episode
    harm: Sequence[str]
    script: str | None = None  # which scripted expert acts, where the world has several


@dataclass(frozen=True)
class WorldSpec:
    """Names of features, actions, reward terms and counters of a world."""

    world: str
    features: tuple[str, ...]
    actions: tuple[str, ...]  # K names; empty if actions are D reals within action_low … action_high
    reward_terms: tuple[str, ...]
    stats: tuple[str, ...]  # S counters of an agent's episode, which predicates name
    map_channels: tuple[str, ...] = ()
    map_size: int = 0
    action_low: tuple[float, ...] = ()  # [D]
    action_high: tuple[float, ...] = ()  # [D]


class World(VectorEnv):
    """W worlds × A agents behind one VectorEnv; the module docstring is the contract."""

    names: WorldSpec
    num_worlds: int
    num_agents: int
    horizon: int
    success: Predicate
    harm: Predicate

    @abstractmethod
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observations, dict[str, Any]]:
        """Begin episode 0 of every world. options={"stagger": True} starts each world's first episode at a random tick."""

    @abstractmethod
    def step(self, actions: Array) -> tuple[Observations, Array, Array, Array, dict[str, Any]]:
        """actions [N] ids or [N, D] f32 → observations, reward [N] f32, terminated [N] bool, truncated [N] bool, info."""

    @abstractmethod
    def expert_actions(self) -> Array:
        """Actions of the scripted expert in the present state: [N] i64 or [N, D] f32."""

    def weigh(self, reward: Mapping[str, float]) -> None:
        """Set reward weights, by their names in the setup, from the next step on; InputError if the world or a name does not support it."""
        if reward:
            raise InputError(
                f"reward: the weights of world {self.names.world} cannot change while it runs, got {', '.join(reward)}"
            )

    @property
    @abstractmethod
    def running_stats(self) -> Array:
        """Counters of the current episodes so far: [W, A, S] i32, as info["stats"] would be if they ended now."""

    @abstractmethod
    def snapshot(self) -> dict[str, Array]:
        """The whole state, as arrays."""

    @abstractmethod
    def restore(self, snapshot: dict[str, Array]) -> Observations:
        """Restore a snapshot; returns its observations."""


@dataclass(frozen=True)
class Played:
    """Outcomes of W episodes."""

    success: Array  # [W] bool
    harm: Array  # [W] bool
    total_reward: Array  # [W] f64, mean over the agents of a world
    stats: Array  # [W, A, S]


def play(world: World, act: Act, seed: int, watch: Watcher | None = None) -> Played:
    """Play one whole episode in every world of `world`. `watch` is called with every observation after its action is chosen."""
    obs, _ = world.reset(seed=seed)
    total = np.zeros((world.num_worlds, world.num_agents))
    stats, playing = np.zeros(0), np.ones(world.num_worlds, bool)
    for _ in range(world.horizon):
        action = act(obs)
        if watch is not None:
            watch(obs, playing)
        obs, reward, _, _, info = world.step(action)
        total[playing] += reward.reshape(total.shape)[playing]
        ending = playing & info["episode_end"]
        if ending.any():
            stats = stats if len(stats) else np.zeros_like(info["stats"])
            stats[ending] = info["stats"][ending]
            playing &= ~ending
            if not playing.any():
                break
    return Played(world.success(stats), world.harm(stats), total.mean(axis=1), stats)
