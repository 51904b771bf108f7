"""The town as a vectorised environment. The docstring of `Town` is its specification."""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from headstart.errors import InputError, UsageError
from headstart.worlds.api import Array, Observations, World, WorldSpec
from headstart.worlds.predicate import all_hold, any_holds
from headstart.worlds.town.draw.picture import picture
from headstart.worlds.town.draw.text import frame
from headstart.worlds.town.expert import decide_worlds
from headstart.worlds.town.kernels import LOOK, RESET, STAGGER, STEP, Out, run_worlds
from headstart.worlds.town.layout import read_layout
from headstart.worlds.town.observe import FEATURES, N_FEATURES
from headstart.worlds.town.setup import read_setup, setup_record
from headstart.worlds.town.sight import MAP_CHANNELS, MAP_SIZE
from headstart.worlds.town.state import ACTIONS, N_ACTIONS, REWARD_TERMS, STATS, WORLD

RENDER_MODES = "ansi", "rgb_array"


class Town(World):
    """A small grid town: agents with needs share objects that serve one at a time.

    Actions (id: name): 0 wait · 1 north · 2 south · 3 east · 4 west · 5 request_fridge · 6 request_stove · 7 request_shower ·
    8 request_bed · 9 use · 10 leave · 11 yield · 12 press · 13 chat · 14 work (nobody has a job yet). obs["mask"] says which are
    allowed; one that is not becomes wait and counts as refused.

    Observation: "features" [N, 180] f32, names and order in `observe.FEATURES`, values about [−1, 2] (needs, rivalry, trust as a share of
    10,000 bp; distances over 32, 16 or 8 cells; timers over their longest value); "map" [N, 6, 11, 11] u8 with `hybrid`: wall,
    object type, own workplace, agents, own rivalry toward them, their queue status, centred on the agent.

    Reward (sum of, per tick): comfort −Φ/10⁶ with Φ = (100·dh² + 60·dy² + 80·de²)/10⁶ over what is missing of hunger, hygiene, energy;
    potential ½·(Φ before − Φ after)/10⁴; first meal, shower, sleep of the episode +1, first cooking +½; a conflict costs its actor 0.1
    (press) or 0.05 (ghost step) and a pressed rival 0.03, times intensity; 0.01 per avoided agent within two cells; chat +0.01 and
    familiarity (both) or −0.005; a move 0.0005; fainting −2.

    Start: layout is one of its eight rotations and mirrors, agents stand on spawn cells with drawn needs, wallets and personalities.
    End: hunger ≤ 3 % or energy ≤ 1 % terminates an agent (it respawns in its slot); the horizon truncates the world.
    """

    def __init__(
        self,
        setup: Mapping[str, Any],
        *,
        horizon: int,
        success: Sequence[str],
        harm: Sequence[str],
        num_worlds: int,
        first_world: int = 0,
        hybrid: bool = False,
        copy: bool = False,
        respawn: bool = True,
        render_mode: str | None = None,
    ) -> None:
        """`copy`: return fresh arrays from step (by default they are the environment's own, valid until the next step).

        `respawn`: put an agent whose life ended back into its slot; otherwise it is gone until the world is reset: its features are
        zero and it may only wait. `render_mode`: "ansi" for text, "rgb_array" for pictures [512, 512, 3] u8.
        """
        if render_mode not in (None, *RENDER_MODES):
            raise UsageError(f"render_mode: expected {' or '.join(RENDER_MODES)}, got {render_mode!r}")
        checked = read_setup(setup)
        self.names = WorldSpec(
            world="town",
            features=FEATURES,
            actions=ACTIONS,
            reward_terms=REWARD_TERMS,
            stats=STATS,
            map_channels=MAP_CHANNELS if hybrid else (),
            map_size=MAP_SIZE if hybrid else 0,
        )
        self.success, self.harm = all_hold(success, STATS), any_holds(harm, STATS)
        self.num_worlds, self.num_agents, self.horizon = num_worlds, checked.agents, horizon
        self.num_envs = num_worlds * checked.agents
        self._plans, self._setup = read_layout(checked.layout), setup_record(checked, horizon, respawn)
        if checked.jobs > 0 and self._plans[0]["n_workplaces"] == 0:
            raise InputError(f"setup.jobs: expected a workplace (C or K) in the layout for {checked.jobs} jobs, got none")
        self._worlds = np.zeros(num_worlds, WORLD)
        self._worlds["id"] = first_world + np.arange(num_worlds)
        self._out = _allocate(num_worlds, checked.agents, hybrid)
        self._copy, self._hybrid = copy, hybrid
        self._actions = np.zeros((num_worlds, checked.agents), np.int64)
        self._decisions = np.zeros_like(self._actions)
        spaces: dict[str, gym.Space[Any]] = {
            "features": gym.spaces.Box(-10.0, 10.0, (N_FEATURES,), np.float32),
            "mask": gym.spaces.Box(0, 1, (N_ACTIONS,), np.uint8),
        }
        if hybrid:
            spaces["map"] = gym.spaces.Box(0, 255, self._out.map.shape[2:], np.uint8)
        self.single_observation_space = gym.spaces.Dict(spaces)
        self.single_action_space = gym.spaces.Discrete(N_ACTIONS)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_modes": list(RENDER_MODES)}
        self.render_mode = render_mode
        self._before = self._worlds.copy() if render_mode else self._worlds  # a tick ago, to tell what happened

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observations, dict[str, Any]]:
        if seed is not None:
            self._worlds["seed"] = seed
        self._worlds["episode"] = 0
        self._run(STAGGER if (options or {}).get("stagger", False) else RESET)
        return self._observations(), {}

    def step(self, actions: Array) -> tuple[Observations, Array, Array, Array, dict[str, Any]]:
        acts = np.asarray(actions)
        if acts.shape != (self.num_envs,) or (acts.size and not 0 <= acts.min() <= acts.max() < N_ACTIONS):
            raise UsageError(f"actions: expected [{self.num_envs}] ids in 0…{N_ACTIONS - 1}, got {acts.shape} {acts[:5]}…")
        self._actions[:] = acts.reshape(self._actions.shape)
        self._run(STEP)
        out = self._out
        info = {
            "reward_terms": self._rows(out.reward_terms),
            "final_obs": self._final_observations(),
            "episode_end": self._own(out.episode_end),
            "stats": self._own(out.stats),
        }
        return (
            self._observations(),
            self._rows(out.reward),
            self._rows(out.terminated),
            self._rows(out.truncated),
            info,
        )

    def expert_actions(self) -> Array:
        decide_worlds(self._worlds, self._plans, self._setup, self._decisions)
        return self._rows(self._decisions)

    @property
    def running_stats(self) -> Array:
        agents = self._worlds["agent"][:, : self.num_agents]
        return np.stack([agents[name] for name in STATS], axis=-1)

    def render(self) -> tuple[Any, ...]:
        """One text or picture for each of the W worlds, as `render_mode` says."""
        if self.render_mode is None:
            raise UsageError(f"render: expected a town made with render_mode {' or '.join(RENDER_MODES)}, got None")
        now = zip(self._worlds, self._plans[self._worlds["layout"]], self._before, strict=True)
        if self.render_mode == "ansi":
            return tuple(frame(world, plan, self._setup[0], before) for world, plan, before in now)
        return tuple(picture(world, plan) for world, plan, _ in now)

    def snapshot(self) -> dict[str, Array]:
        return {"worlds": self._worlds.copy()}

    def restore(self, snapshot: dict[str, Array]) -> Observations:
        self._worlds[:] = snapshot["worlds"]
        self._run(LOOK)
        return self._observations()

    @property
    def episode(self) -> Array:
        """Index of the episode that each world is in: [W] i32."""
        return self._worlds["episode"]

    def _run(self, mode: int) -> None:
        if self.render_mode:
            self._before[:] = self._worlds
        run_worlds(self._worlds, self._plans, self._setup, self._actions, mode, self._out)

    def _observations(self) -> Observations:
        out = self._out
        seen = {"features": self._rows(out.features), "mask": self._rows(out.mask)}
        return seen | {"map": self._rows(out.map)} if self._hybrid else seen

    def _final_observations(self) -> Observations:
        seen = {"features": self._rows(self._out.final_features)}
        return seen | {"map": self._rows(self._out.final_map)} if self._hybrid else seen

    def _rows(self, array: Array) -> Array:
        """[W, A, …] → [N, …]"""
        return self._own(array.reshape(self.num_envs, *array.shape[2:]))

    def _own(self, array: Array) -> Array:
        return array.copy() if self._copy else array


def _allocate(num_worlds: int, agents: int, hybrid: bool) -> Out:
    rows = (num_worlds, agents)
    maps = (num_worlds if hybrid else 0, agents, len(MAP_CHANNELS), MAP_SIZE, MAP_SIZE)
    return Out(
        features=np.zeros((*rows, N_FEATURES), np.float32),
        mask=np.zeros((*rows, N_ACTIONS), np.uint8),
        map=np.zeros(maps, np.uint8),
        reward=np.zeros(rows, np.float32),
        reward_terms=np.zeros((*rows, len(REWARD_TERMS)), np.float32),
        terminated=np.zeros(rows, np.bool_),
        truncated=np.zeros(rows, np.bool_),
        final_features=np.zeros((*rows, N_FEATURES), np.float32),
        final_map=np.zeros(maps, np.uint8),
        stats=np.zeros((*rows, len(STATS)), np.int32),
        episode_end=np.zeros(num_worlds, np.bool_),
    )
