"""Robot navigation as a vectorised environment. The docstring of `Nav` is its specification."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from headstart.core.arrays import Array
from headstart.core.errors import InputError, UsageError
from headstart.worlds.api import Task, WorldSpec
from headstart.worlds.nav.expert import EXPERTS, decide_rows
from headstart.worlds.nav.kernels import CHUNK, COUNT, Out, run_worlds
from headstart.worlds.nav.observe import feature_names, ray_directions
from headstart.worlds.nav.setup import NavSetup, RewardWeights, setup_record
from headstart.worlds.nav.state import MAX_PEDS, REWARD_TERMS, STATS, WORLD, scratch_dtype
from headstart.worlds.simulator import Simulator


class Nav(Simulator):
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

    record = WORLD
    feature_bound = 4.0
    render_modes = ("rgb_array",)

    def __init__(self, task: Task, num_worlds: int, first_world: int = 0, render_mode: str | None = None) -> None:
        """The task's script is a name in EXPERTS. `render_mode`: "rgb_array" for pictures [H, W, 3] u8."""
        setup = task.checked_setup(NavSetup)
        script = task.script or "gap_seeker"
        if script not in EXPERTS:
            raise UsageError(f"expert.script: expected one of {', '.join(EXPERTS)}, got {script!r}")
        names = WorldSpec(
            world="nav",
            features=feature_names(setup.rays),
            actions=(),
            action_low=(-1.0, -1.0),
            action_high=(1.0, 1.0),
            reward_terms=REWARD_TERMS,
            stats=STATS,
        )
        super().__init__(task, names, range(first_world, first_world + num_worlds), render_mode=render_mode)
        self._setup, self._expert = setup_record(setup, task.horizon), EXPERTS[script]
        self._scratches = np.zeros(-(-num_worlds // CHUNK), scratch_dtype(setup.rays))
        self._scratches["lanes"] = MAX_PEDS
        self._scratches["line_x"][:, : setup.rays], self._scratches["line_y"][:, : setup.rays] = ray_directions(setup.rays)
        running = np.zeros_like(self._rows["stats"])
        self._out = Out(**self._rows, running_stats=running, episode_end=self._episode_end)
        self._distances = np.zeros((num_worlds, 2 * setup.rays), np.float32)
        self._free = np.zeros((num_worlds, setup.rays), np.float32)
        self._actions, self._decisions = np.zeros((num_worlds, 2), np.float32), np.zeros((num_worlds, 2), np.float32)

    def expert_actions(self) -> Array:
        """Actions of the scripted expert in the present state: [N, 2] f32. It reads only the features."""
        decide_rows(self._out.features, self._expert, self._distances, self._free, self._decisions)
        return self._decisions

    def weigh(self, reward: Mapping[str, float]) -> None:
        if unknown := sorted(reward.keys() - RewardWeights.model_fields.keys()):
            raise InputError(f"reward: expected names among {', '.join(RewardWeights.model_fields)}, got {', '.join(unknown)}")
        for name, weight in reward.items():
            self._setup[name] = weight

    @property
    def running_stats(self) -> Array:
        self._run(COUNT)
        return self._out.running_stats[:, None].copy()

    def _take(self, actions: Array) -> None:
        if actions.shape != (self.num_envs, 2) or actions.dtype.kind != "f" or not np.isfinite(actions).all():
            raise UsageError(
                f"actions: expected [{self.num_envs}, 2] finite numbers, got {actions.dtype} {actions.shape} {actions[:2]}…"
            )
        np.clip(actions, -1.0, 1.0, out=self._actions, casting="same_kind")

    def _run(self, mode: int) -> None:
        run_worlds(self._worlds, self._setup, self._scratches, self._actions, mode, self._out)

    def _drawn(self, drawing: Any) -> Iterator[Any]:
        rays = self._free.shape[1]
        return (drawing.draw_world(world, seen, rays) for world, seen in zip(self._worlds, self._out.features, strict=True))
