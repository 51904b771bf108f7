"""The contract of every world: a gymnasium VectorEnv over W worlds × A agents, with action masks.

Shape letters: W worlds, A agents, N = W·A rows (row = w·A + a), F features, K actions, C map channels, R reward terms, S counters.

* Observations are a dict: "features" [N, F] f32, "mask" [N, K] u8 (discrete worlds), "map" [N, C, G, G] u8 (where asked for). They are read
  *before* the step; reward and flags that the step returns belong to the action passed to it.
* `terminated` and `truncated` are two arrays and are never merged. A row that ends is reset in the same step (AutoresetMode.SAME_STEP); its
  last observation is in info["final_obs"]: arrays of full size of which only rows with terminated | truncated are valid.
* A world's episode runs from reset to its horizon or, in worlds without respawn, to the end of its last agent; the next one
  begins in the same step. In the step that ends it, info["episode_end"] [W] bool marks the world,
  info["stats"] [W, A, S] holds the counters of its agents; `success(stats)` and `harm(stats)` are the scenario's predicates, [W] bool.
* An agent may leave before the episode of its world ends: its row ends, and is empty (`gone`) until the world's episode ends, when it
  terminates once more. An empty row shows zeros, allows action 0 only, is paid 0, and ignores its actions.
* The same seed and world id give the same episode, whatever W is: world w has the id `first_world + w`.
* After `restore(snapshot())`, the same actions give exactly the same future.
* The arrays that a world returns may be its own, which the next call overwrites: copy what is kept.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from pydantic import ValidationError

from headstart.core.arrays import Array
from headstart.core.errors import InputError, UsageError, nearest, shown
from headstart.core.memory import require_memory
from headstart.core.record import Record
from headstart.worlds.predicate import Predicate, all_hold, any_holds

PICTURE_SIZE = 36  # cells a side from which on a map is encoded as a picture
Setup = TypeVar("Setup", bound=Record)
Observations = dict[str, Array]
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

    world: str  # town, nav, gym or pettingzoo
    setup: Mapping[str, Any]  # the own section of that world in the scenario file
    horizon: int  # ticks
    success: Sequence[str]  # predicates over the counters of an episode
    harm: Sequence[str]
    script: str | None = None  # which scripted expert acts, where the world has several

    def checked_setup(self, model: type[Setup]) -> Setup:
        """The setup as a record of its world; InputError names every wrong key."""
        try:
            return model.model_validate(dict(self.setup))
        except ValidationError as error:
            raise InputError("; ".join(_problem(item, model) for item in error.errors())) from error


def _problem(item: Any, model: type[Record]) -> str:
    where = ".".join(("setup", *map(str, item["loc"])))
    if item["type"] == "extra_forbidden" and len(item["loc"]) == 1:
        keys = list(model.model_fields)
        return f"{where}: unknown key{nearest(str(item['loc'][0]), keys)}; there are {', '.join(keys)}"
    return f"{where}: {item['msg']}" + (f", got {shown(item['input'])}" if item["loc"] else "")


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
    ids: range  # of the W worlds
    num_worlds: int
    num_agents: int
    horizon: int
    success: Predicate
    harm: Predicate
    gone: Array  # [N] bool: rows without an agent until the episode of their world ends
    single_observation_space: gym.spaces.Dict
    feature_bound: float = np.inf  # every feature lies within −feature_bound … feature_bound
    render_modes: tuple[str, ...] = ()

    def __init__(self, task: Task, names: WorldSpec, ids: range, num_agents: int = 1, render_mode: str | None = None) -> None:
        """Predicates and spaces follow from the task and the names. InputError for a bad predicate, UsageError for an unknown render_mode."""
        if render_mode not in (None, *self.render_modes):
            raise UsageError(f"render_mode: expected {' or '.join(self.render_modes)}, got {render_mode!r}")
        self.names, self.horizon, self.render_mode = names, task.horizon, render_mode
        self.success, self.harm = all_hold(task.success, names.stats), any_holds(task.harm, names.stats)
        self.ids, self.num_worlds, self.num_agents, self.num_envs = ids, len(ids), num_agents, len(ids) * num_agents
        bound = self.feature_bound
        spaces: dict[str, gym.Space[Any]] = {"features": gym.spaces.Box(-bound, bound, (len(names.features),), np.float32)}
        if names.actions:
            spaces["mask"] = gym.spaces.Box(0, 1, (len(names.actions),), np.uint8)
            self.single_action_space = gym.spaces.Discrete(len(names.actions))
        else:
            low, high = np.array(names.action_low, np.float32), np.array(names.action_high, np.float32)
            self.single_action_space = gym.spaces.Box(low, high)
        if names.map_channels:
            shape = len(names.map_channels), names.map_size, names.map_size
            spaces["map"] = gym.spaces.Box(0, 255, shape, np.uint8)
        self.single_observation_space = gym.spaces.Dict(spaces)
        cells = 4 * len(names.features) + len(names.actions) + len(names.map_channels) * names.map_size**2
        # what a step returns, what the world keeps, and the bounds of the batch, low and high
        require_memory(
            4 * self.num_envs * cells, f"{self.num_worlds:,} worlds of {num_agents} agents with {len(names.features)} features"
        )
        self.gone = np.zeros(self.num_envs, bool)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_modes": list(self.render_modes)}

    @property
    def own_spaces(self) -> dict[str, gym.Space[Any]] | None:
        """Of an environment that a user brings: its spaces of one agent, "observation" and "action"; None: those of the contract."""
        return None

    @property
    def feature_bounds(self) -> Array:
        """[2, F] least and greatest value of each feature, infinite where it has none."""
        return np.stack([np.full(len(self.names.features), side * self.feature_bound) for side in (-1.0, 1.0)])

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
