"""Robot navigation as a vectorised environment. The docstring of `Nav` is its specification."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from headstart.core.arrays import Array
from headstart.core.errors import InputError, UsageError
from headstart.worlds.api import Observations, Task, World, WorldSpec
from headstart.worlds.nav.expert import EXPERTS, decide_rows
from headstart.worlds.nav.kernels import CHUNK, COUNT, LOOK, RESET, STAGGER, STEP, Out, run_worlds
from headstart.worlds.nav.observe import feature_names, ray_directions
from headstart.worlds.nav.setup import NavSetup, RewardWeights, setup_record
from headstart.worlds.nav.state import MAX_PEDS, REWARD_TERMS, STATS, WORLD, scratch_dtype
from headstart.worlds.predicate import all_hold, any_holds
from headstart.worlds.setup import read_setup

BOUND = 4.0  # of every feature
RENDER_MODE = "rgb_array"


class Nav(World):
    """A round robot drives to a goal among pedestrians, in eight families of situations; one robot a world, steps of 0.1 s.

    Actions [N, 2] f32 in [−1, 1], clipped: acceleration as a share of 2 m/s², angular acceleration as a share of 4 rad/s² (left is
    positive). Speeds stay within 0…2 m/s and ±1.5 rad/s. Robot and pedestrians are discs with a radius of 0.3 m.

    Observation: "features" [N, 8 + R + 20] f32, names in `observe.feature_names`, all in the robot's frame (x ahead, y left):
      v/2, w/1.5 · cos and sin of the bearing to the current waypoint, min(distance, 8)/8 · the same to the goal, min(distance, 16)/16 ·
      R lidar rays, one turn to the left from the heading: 1/(1 + max(d − 0.3, 0)), d ≤ 8 m · the 4 nearest pedestrians not hidden by a wall,
      nearest first: 1/(1 + clearance), x/8, y/8, velocity relative to the robot (vx − v)/2, vy/2; zeros where there is none.

    Reward (weights from the setup): progress 0.2 per metre of remaining route, none for passing a waypoint; success +1; collision −4;
    −0.002 a step; −0.02·(1 − clearance/0.4) where a pedestrian is nearer than 0.4 m.

    Start: a family and a difficulty are drawn, a layout from them, half of them mirrored; the heading is within 45° of straight ahead.
    End: success (goal within 0.5 m on the last leg) and collision (with a pedestrian, else a wall; it counts before success) terminate;
    the horizon truncates. The next episode begins in the same step.
    """

    def __init__(
        self,
        task: Task,
        num_worlds: int,
        first_world: int = 0,
        *,
        copy: bool = False,
        render_mode: str | None = None,
    ) -> None:
        """The task's script is a name in EXPERTS. `copy`: return fresh arrays from step (by default they are the environment's own).

        `render_mode`: "rgb_array" for pictures [H, W, 3] u8.
        """
        if render_mode not in (None, RENDER_MODE):
            raise UsageError(
                f"render_mode: a robot's world is drawn as a picture only, expected {RENDER_MODE}, got {render_mode!r}"
            )
        checked = read_setup(NavSetup, task.setup)
        script = task.script or "gap_seeker"
        if script not in EXPERTS:
            raise UsageError(f"expert.script: expected one of {', '.join(EXPERTS)}, got {script!r}")
        features = feature_names(checked.rays)
        self.names = WorldSpec(
            world="nav",
            features=features,
            actions=(),
            action_low=(-1.0, -1.0),
            action_high=(1.0, 1.0),
            reward_terms=REWARD_TERMS,
            stats=STATS,
        )
        self.success, self.harm = all_hold(task.success, STATS), any_holds(task.harm, STATS)
        self.num_worlds, self.num_agents, self.horizon = num_worlds, 1, task.horizon
        self.num_envs = num_worlds
        self._setup, self._expert, self._copy = setup_record(checked, task.horizon), EXPERTS[script], copy
        self._worlds = np.zeros(num_worlds, WORLD)
        self._worlds["id"] = first_world + np.arange(num_worlds)
        self._scratches = np.zeros(-(-num_worlds // CHUNK), scratch_dtype(checked.rays))
        self._scratches["lanes"] = MAX_PEDS
        self._scratches["line_x"][:, : checked.rays], self._scratches["line_y"][:, : checked.rays] = ray_directions(checked.rays)
        self._out = _allocate(num_worlds, len(features))
        self._distances = np.zeros((num_worlds, 2 * checked.rays), np.float32)
        self._free = np.zeros((num_worlds, checked.rays), np.float32)
        self._actions, self._decisions = np.zeros((num_worlds, 2), np.float32), np.zeros((num_worlds, 2), np.float32)
        self.features_space = gym.spaces.Box(-BOUND, BOUND, (len(features),), np.float32)
        self.single_observation_space = gym.spaces.Dict({"features": self.features_space})
        self.single_action_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, num_worlds)
        self.action_space = batch_space(self.single_action_space, num_worlds)
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_modes": [RENDER_MODE], "render_fps": 10}
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observations, dict[str, Any]]:
        if seed is not None:
            self._worlds["seed"] = seed
        self._worlds["episode"] = 0
        self._run(STAGGER if (options or {}).get("stagger", False) else RESET)
        return self._observations(), {}

    def step(self, actions: Array) -> tuple[Observations, Array, Array, Array, dict[str, Any]]:
        acts = np.asarray(actions)
        if acts.shape != (self.num_envs, 2) or acts.dtype.kind != "f" or not np.isfinite(acts).all():
            raise UsageError(f"actions: expected [{self.num_envs}, 2] finite reals, got {acts.dtype} {acts.shape} {acts[:2]}…")
        np.clip(acts, -1.0, 1.0, out=self._actions, casting="same_kind")
        self._run(STEP)
        out = self._out
        info = {
            "reward_terms": self._own(out.reward_terms),
            "final_obs": {"features": self._own(out.final_features)},
            "episode_end": self._own(out.episode_end),
            "stats": self._own(out.stats[:, None]),
        }
        return self._observations(), self._own(out.reward), self._own(out.terminated), self._own(out.truncated), info

    def expert_actions(self) -> Array:
        """Actions of the scripted expert in the present state: [N, 2] f32. It reads only the features."""
        decide_rows(self._out.features, self._expert, self._distances, self._free, self._decisions)
        return self._own(self._decisions)

    def weigh(self, reward: Mapping[str, float]) -> None:
        if unknown := sorted(reward.keys() - RewardWeights.model_fields.keys()):
            raise InputError(f"reward: expected names among {', '.join(RewardWeights.model_fields)}, got {', '.join(unknown)}")
        for name, weight in reward.items():
            self._setup[name] = weight

    @property
    def running_stats(self) -> Array:
        self._run(COUNT)
        return self._out.running_stats[:, None].copy()

    def snapshot(self) -> dict[str, Array]:
        return {"worlds": self._worlds.copy()}

    def restore(self, snapshot: dict[str, Array]) -> Observations:
        self._worlds[:] = snapshot["worlds"]
        self._run(LOOK)
        return self._observations()

    def render(self) -> tuple[Array, ...]:
        """Each of the W worlds from above."""
        if self.render_mode is None:
            raise UsageError(f"render: expected a world made with render_mode {RENDER_MODE}, got None")
        drawing = import_module("headstart.worlds.nav.draw.picture")  # so that no stage depends on drawing
        rays = self._free.shape[1]
        return tuple(drawing.draw_world(world, seen, rays) for world, seen in zip(self._worlds, self._out.features, strict=True))

    @property
    def episode(self) -> Array:
        """Index of the episode that each world is in: [W] i32."""
        return self._worlds["episode"]

    def _run(self, mode: int) -> None:
        run_worlds(self._worlds, self._setup, self._scratches, self._actions, mode, self._out)

    def _observations(self) -> Observations:
        return {"features": self._own(self._out.features)}

    def _own(self, array: Array) -> Array:
        return array.copy() if self._copy else array


def _allocate(num_worlds: int, features: int) -> Out:
    return Out(
        features=np.zeros((num_worlds, features), np.float32),
        reward=np.zeros(num_worlds, np.float32),
        reward_terms=np.zeros((num_worlds, len(REWARD_TERMS)), np.float32),
        terminated=np.zeros(num_worlds, np.bool_),
        truncated=np.zeros(num_worlds, np.bool_),
        final_features=np.zeros((num_worlds, features), np.float32),
        stats=np.zeros((num_worlds, len(STATS)), np.int32),
        running_stats=np.zeros((num_worlds, len(STATS)), np.int32),
        episode_end=np.zeros(num_worlds, np.bool_),
    )
