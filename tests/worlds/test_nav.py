"""The navigation world: the contract of every world, bit-identity, golden hashes, and its rules on small situations."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from tests.goldens import same_as_golden

from headstart.config.scenario import load_scenario
from headstart.core.errors import InputError, UsageError
from headstart.core.statistics import wilson_lower, wilson_upper
from headstart.runs.worlds import schema_of
from headstart.worlds.api import FIRST_WORLD, Task
from headstart.worlds.make import make
from headstart.worlds.nav import state as s
from headstart.worlds.nav.angles import sine_table
from headstart.worlds.nav.env import Nav
from headstart.worlds.nav.observe import EGO

ROOT = Path(__file__).parents[2]
SCENARIO = load_scenario("nav_mixed", ROOT / "scenarios")
PLAIN = Task("nav", {}, 300, SCENARIO.success, SCENARIO.harm)
STEPS_OF_DIGEST = 400


def nav(num_worlds: int, first_world: int = 0, horizon: int = SCENARIO.horizon, **setup: Any) -> Nav:
    task = Task("nav", {"families": "all"} | setup, horizon, SCENARIO.success, SCENARIO.harm)
    world = make(task, num_worlds, first_world)
    assert isinstance(world, Nav)
    return world


def actions_of(world_ids: np.ndarray, step: int) -> np.ndarray:
    """Random actions that depend on the world's id and the step only: [W, 2], half of them with forward acceleration."""
    rng = np.random.default_rng(step)
    return rng.uniform(-0.7, 1.0, (2048, 2)).astype(np.float32)[world_ids]


def digest(world: Nav, first_world: int, steps: int = STEPS_OF_DIGEST, rows: slice = slice(0, 8)) -> str:
    """Observations and rewards of the chosen rows under random actions."""
    found = hashlib.sha256()
    ids = first_world + np.arange(world.num_worlds)
    seen, _ = world.reset(seed=3)
    for step in range(steps):
        found.update(seen["features"][rows].tobytes())
        seen, *columns, _ = world.step(actions_of(ids, step))
        for column in columns:
            found.update(column[rows].tobytes())
    return found.hexdigest()


def first_episodes(world: Nav, seed: int) -> np.ndarray:
    """Counters [W, S] of the first episode of every world with the expert's actions."""
    world.reset(seed=seed)
    stats, over = np.zeros((world.num_worlds, len(s.STATS)), int), np.zeros(world.num_worlds, bool)
    for _ in range(world.horizon):
        _, _, _, _, info = world.step(world.expert_actions())
        new = info["episode_end"] & ~over
        stats[new], over = info["stats"][new, 0], over | new
    assert over.all()
    return stats


# --- contract ---------------------------------------------------------------------------------------------------------


def test_spaces_contain_what_the_world_shows() -> None:
    world = nav(64)
    seen, _ = world.reset(seed=1)
    assert (world.num_envs, world.num_agents) == (64, 1)
    assert world.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    for _ in range(200):
        assert world.observation_space.contains(seen)
        assert np.abs(seen["features"]).max() <= 2.0
        actions = world.expert_actions()
        assert world.action_space.contains(actions)
        seen, *_ = world.step(actions)


def test_the_schema_names_features_and_bounds_actions() -> None:
    schema = schema_of(nav(1))
    assert (schema.actions, schema.action_low, schema.action_high) == ((), (-1.0, -1.0), (1.0, 1.0))
    assert len(schema.features) == len(set(schema.features)) == 60


def test_an_episode_ends_by_success_collision_or_timeout_and_the_next_begins_at_once() -> None:
    world = nav(64)
    world.reset(seed=1)
    ended = np.zeros(64, int)
    for _ in range(2 * world.horizon):
        _, _, terminated, truncated, info = world.step(world.expert_actions())
        assert not (terminated & truncated).any()
        np.testing.assert_array_equal(info["episode_end"], terminated | truncated)
        stats = info["stats"][info["episode_end"], 0]
        outcomes = stats[:, [s.STATS.index(name) for name in ("success", "collisions", "timeouts")]]
        np.testing.assert_array_equal(outcomes.sum(axis=1), 1)
        np.testing.assert_array_equal(outcomes[:, 2], truncated[info["episode_end"]])
        ended += info["episode_end"]
        np.testing.assert_array_equal(world._worlds["episode"], ended)
    assert ended.min() >= 2


def test_the_horizon_truncates_and_keeps_the_final_observation() -> None:
    world = nav(4, horizon=20, families=["head_on"])
    seen, _ = world.reset(seed=1)
    start = seen["features"].copy()
    for _ in range(20):
        seen, _, terminated, truncated, info = world.step(np.tile(np.float32([0.05, 0.0]), (4, 1)))
    assert truncated.all() and not terminated.any()
    final = info["final_obs"]["features"]
    np.testing.assert_allclose(final[:, 0], 20 * 0.05 * 0.2 / 2, rtol=1e-5)  # the speed at the end
    np.testing.assert_array_equal(seen["features"][:, 0], 0.0)  # the next episode stands still
    assert not np.array_equal(seen["features"], start)


def test_success_and_harm_are_predicates_over_the_counters() -> None:
    world = nav(2)
    stats = np.zeros((2, 1, len(s.STATS)), np.int32)
    stats[0, 0, s.STATS.index("success")] = 1
    stats[1, 0, s.STATS.index("collisions")] = 1
    assert world.success(stats).tolist() == [True, False]
    assert world.harm(stats).tolist() == [False, True]


def test_running_stats_are_what_the_episode_counts_when_it_ends() -> None:
    world = nav(32)
    world.reset(seed=4)
    for _ in range(150):
        before = world.running_stats[:, 0, s.STATS.index("steps")]
        _, _, _, _, info = world.step(world.expert_actions())
        ended = info["episode_end"]
        np.testing.assert_array_equal(info["stats"][ended, 0, s.STATS.index("steps")], before[ended] + 1)


def test_reward_is_the_sum_of_its_terms_and_the_counter_their_total() -> None:
    world = nav(16)
    world.reset(seed=2)
    total = np.zeros(16)
    for _ in range(100):
        _, reward, _, _, info = world.step(world.expert_actions())
        np.testing.assert_allclose(reward, info["reward_terms"].sum(axis=1), atol=1e-5)
        total += reward
        ended = info["episode_end"]
        np.testing.assert_allclose(info["stats"][ended, 0, s.STATS.index("total_reward")] / 1e4, total[ended], atol=2e-4)
        total[ended] = 0.0


@pytest.mark.parametrize("actions", [np.zeros((3, 2), np.float32), np.zeros((1, 2), int), np.full((1, 2), np.nan, np.float32)])
def test_actions_of_the_wrong_shape_or_kind_are_refused(actions: np.ndarray) -> None:
    world = nav(1)
    world.reset(seed=0)
    with pytest.raises(UsageError, match=r"expected \[1, 2\] finite numbers"):
        world.step(actions)


def test_a_snapshot_brings_back_the_same_future() -> None:
    world = nav(32)
    world.reset(seed=5)
    for step in range(50):
        world.step(actions_of(np.arange(32), step))
    kept = world.snapshot()

    def future() -> list[bytes]:
        return [world.step(world.expert_actions())[0]["features"].tobytes() for _ in range(200)]

    first, seen = future(), world.restore(kept)
    assert seen["features"].shape == (32, 60)
    assert future() == first


def test_staggered_worlds_have_different_times_left() -> None:
    world = nav(64)
    world.reset(seed=1, options={"stagger": True})
    assert len(np.unique(world._worlds["tick"])) > 40
    assert (world.running_stats[:, 0, s.STATS.index("steps")] == 0).all()


def test_every_world_is_drawn_and_an_unknown_mode_is_refused() -> None:
    world = Nav(PLAIN, num_worlds=2, render_mode="rgb_array")
    world.reset(seed=0)
    assert [picture.shape[2] for picture in world.render()] == [3, 3]
    with pytest.raises(UsageError, match="expected rgb_array, got 'ansi'"):
        Nav(PLAIN, num_worlds=1, render_mode="ansi")


def test_a_picture_shows_the_robot_and_every_pedestrian() -> None:
    world = Nav(replace(PLAIN, setup={"families": ["crossing"]}), num_worlds=1, render_mode="rgb_array")
    world.reset(seed=1)
    picture = world.render()[0]
    assert picture.dtype == np.uint8 and picture.shape == (400, 520, 3)  # 12 × 9 m and half a metre around, 40 pixels a metre
    blue = (picture == (30, 90, 200)).all(axis=2).sum() / 40**2
    assert blue == pytest.approx(np.pi * 0.3**2, rel=0.15)


# --- bit-identity -----------------------------------------------------------------------------------------------------


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = numba.get_num_threads()
    numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))
    yield
    numba.set_num_threads(before)


def test_the_sine_table_is_the_golden_one() -> None:
    table = sine_table()
    np.testing.assert_allclose(table, np.sin(2 * np.pi * np.arange(4096) / 4096), atol=1e-7)
    same_as_golden(hashlib.sha256(table.tobytes()).hexdigest(), "nav.json", "sine_table")


@pytest.mark.parametrize("num_worlds", [8, 64, 100, 1024])
def test_400_steps_of_eight_worlds_are_the_golden_ones_among_any_number(num_worlds: int, two_threads: None) -> None:
    same_as_golden(digest(nav(num_worlds), 0), "nav.json", "worlds_0_to_7")


def test_the_decisions_of_the_expert_are_the_golden_ones() -> None:
    world, found = nav(64), hashlib.sha256()
    world.reset(seed=3)
    for _ in range(100):
        actions = world.expert_actions()
        found.update(actions.tobytes())
        world.step(actions)
    same_as_golden(found.hexdigest(), "nav.json", "expert")


def test_with_one_thread_they_are_the_golden_ones_too(two_threads: None) -> None:
    numba.set_num_threads(1)
    same_as_golden(digest(nav(100), 0), "nav.json", "worlds_0_to_7")


def test_a_world_is_its_id_wherever_its_row_is() -> None:
    assert digest(nav(40), 0, 150, slice(21, 29)) == digest(nav(8, first_world=21), 21, 150)


# --- rules, on situations set up by hand ------------------------------------------------------------------------------


class Scene:
    """One robot at the origin of an endless plain, looking along x; the goal is 50 m ahead. Walls and pedestrians are added by hand."""

    def __init__(self) -> None:
        self.nav = nav(1, families=["head_on"])
        self.nav.reset(seed=0)
        w = self.world = self.nav._worlds[0]
        w["x"] = w["y"] = w["heading"] = w["n_walls"] = w["n_peds"] = w["waypoint"] = 0
        for name in ("ped_x", "ped_y", "ped_to_x", "ped_to_y", "wall_ax", "wall_ay", "wall_bx", "wall_by"):
            w[name] = s.PARKED
        for name in ("ped_vx", "ped_vy", "ped_speed", "ped_yield", "wall_scale"):
            w[name] = 0.0
        self.route((50.0, 0.0))

    def route(self, *places: tuple[float, float]) -> None:
        w = self.world
        w["n_waypoints"], legs = len(places), np.diff([(0.0, 0.0), *places], axis=0)
        for k, (x, y) in enumerate(places):
            w["waypoint_x"][k], w["waypoint_y"][k] = x, y
        lengths = np.hypot(legs[:, 0], legs[:, 1])
        w["route"] = w["remaining"] = lengths.sum()
        w["rest"] = lengths[1:].sum()

    def wall(self, ax: float, ay: float, bx: float, by: float) -> None:
        w, m = self.world, int(self.world["n_walls"])
        w["wall_ax"][m], w["wall_ay"][m], w["wall_bx"][m], w["wall_by"][m] = ax, ay, bx, by
        w["wall_scale"][m], w["n_walls"] = 1 / ((bx - ax) ** 2 + (by - ay) ** 2), m + 1

    def pedestrian(
        self, x: float, y: float, to: tuple[float, float] | None = None, speed: float = 0.0, gives: float = 1.0
    ) -> int:
        """A pedestrian who stands still, or walks to a far place."""
        w, i = self.world, int(self.world["n_peds"])
        w["ped_x"][i], w["ped_y"][i] = x, y
        w["ped_to_x"][i], w["ped_to_y"][i] = to or (x, y + 100)
        w["ped_speed"][i], w["ped_yield"][i], w["n_peds"] = speed, gives, i + 1
        return i

    def step(self, forward: float = 0.0, turn: float = 0.0) -> Any:
        return self.nav.step(np.float32([[forward, turn]]))

    def look(self) -> np.ndarray:
        return self.nav.restore(self.nav.snapshot())["features"][0]

    def ray(self, k: int) -> float:
        """Length of ray k, in metres."""
        return float(1 / self.look()[EGO + k] - 1 + 0.3)

    def place(self, i: int) -> tuple[float, float]:
        return float(self.world["ped_x"][i]), float(self.world["ped_y"][i])


def test_full_throttle_gains_two_tenths_a_step_up_to_two() -> None:
    scene = Scene()
    scene.step(1.0)
    assert scene.world["v"] == pytest.approx(0.2)
    assert scene.world["x"] == pytest.approx(0.02)
    for _ in range(12):
        scene.step(5.0)  # clipped to 1
    assert scene.world["v"] == 2.0
    scene.step(-1.0)
    assert scene.world["v"] == pytest.approx(1.8)


def test_there_is_no_reverse_gear() -> None:
    scene = Scene()
    scene.step(-1.0)
    assert (scene.world["v"], scene.world["x"]) == (0.0, 0.0)


def test_turning_moves_along_the_heading_half_way() -> None:
    scene = Scene()
    scene.world["v"] = 1.0
    scene.step(0.0, 1.0)  # w = 0.4 rad/s: 0.04 rad a step
    turn = int(0.4 * 0.1 * 65536 / (2 * np.pi) + 0.5)
    assert scene.world["heading"] == turn
    middle = (turn // 2 // 16) * 2 * np.pi / 4096  # an entry of the table
    assert scene.world["y"] == pytest.approx(0.1 * np.sin(middle), abs=1e-7)
    for _ in range(5):
        scene.step(0.0, 1.0)
    assert scene.world["w"] == 1.5


def test_the_lidar_meets_a_wall_and_nothing_beside_it() -> None:
    scene = Scene()
    scene.wall(3.0, -1.0, 3.0, 1.0)
    assert scene.ray(0) == pytest.approx(3.0, abs=1e-4)
    assert scene.ray(1) == pytest.approx(3.0 / np.cos(2 * np.pi / 32), abs=1e-4)
    assert scene.ray(2) == pytest.approx(8.0, abs=1e-4)  # 3·tan(22.5°) = 1.24 m to the side
    assert scene.ray(16) == pytest.approx(8.0, abs=1e-4)


def test_the_lidar_turns_with_the_robot() -> None:
    scene = Scene()
    scene.wall(-1.0, 2.0, 1.0, 2.0)  # to the left
    assert scene.ray(8) == pytest.approx(2.0, abs=1e-4)
    scene.world["heading"] = 16384
    assert scene.ray(0) == pytest.approx(2.0, abs=1e-4)


def test_no_ray_slips_through_the_corner_of_two_walls() -> None:
    scene = Scene()
    x, y = np.float32(2.3) * np.cos(np.pi / 4), np.float32(2.3) * np.sin(np.pi / 4)
    scene.wall(x, -5.0, x, y)
    scene.wall(x, y, -5.0, y)
    assert scene.ray(4) == pytest.approx(2.3, abs=1e-4)


def test_the_lidar_meets_a_disc_before_its_centre() -> None:
    scene = Scene()
    scene.pedestrian(2.0, 0.2)
    assert scene.ray(0) == pytest.approx(2.0 - np.sqrt(0.3**2 - 0.2**2), abs=1e-4)
    assert scene.ray(16) == pytest.approx(8.0, abs=1e-4)


def test_tracks_are_the_nearest_first_and_relative_to_the_robot() -> None:
    scene = Scene()
    scene.world["v"] = 1.0
    far, near = scene.pedestrian(5.0, 0.0), scene.pedestrian(0.0, 2.0)
    scene.world["ped_vx"][far], scene.world["ped_vx"][near] = -0.5, 0.6
    tracks = scene.look()[EGO + 32 :].reshape(4, 5)
    np.testing.assert_allclose(tracks[0], [1 / (1 + 1.4), 0.0, 0.25, (0.6 - 1.0) / 2, 0.0], atol=1e-6)
    np.testing.assert_allclose(tracks[1], [1 / (1 + 4.4), 0.625, 0.0, (-0.5 - 1.0) / 2, 0.0], atol=1e-6)
    np.testing.assert_array_equal(tracks[2:], 0.0)


def test_a_pedestrian_behind_a_wall_is_not_seen() -> None:
    scene = Scene()
    scene.pedestrian(3.0, 0.0)
    scene.wall(4.0, -1.0, 4.0, 1.0)  # behind it
    assert scene.look()[EGO + 32] > 0
    scene.wall(2.0, -1.0, 2.0, 1.0)
    assert scene.look()[EGO + 32] == 0


def test_bearings_and_distances_are_in_the_robots_frame() -> None:
    scene = Scene()
    scene.route((0.0, 4.0), (0.0, 12.0))
    np.testing.assert_allclose(scene.look()[2:8], [0.0, 1.0, 0.5, 0.0, 1.0, 0.75], atol=1e-6)


def test_a_pedestrian_is_pushed_by_the_robot_outward_and_to_the_left() -> None:
    scene = Scene()
    i = scene.pedestrian(1.2, 0.0, speed=1.0, gives=0.5)  # clearance 0.6
    scene.step()
    push, drive = 12 * 0.5 * (1 - 0.6 / 0.9) ** 2 * 0.1, 1.0 * 2.0 * 0.1  # m/s in a step; its goal is 100 m to the left
    assert scene.world["ped_vx"][i] == pytest.approx(push, abs=1e-6)
    assert scene.world["ped_vy"][i] == pytest.approx(drive + 0.3 * push, abs=1e-6)
    assert scene.place(i) == pytest.approx((1.2 + 0.1 * push, 0.1 * (drive + 0.3 * push)), abs=1e-6)


def test_pedestrians_push_each_other_and_walls_push_straight() -> None:
    scene = Scene()
    a = scene.pedestrian(5.0, 0.0, speed=1.0)
    b = scene.pedestrian(6.0, 0.0, speed=1.0)  # clearance 0.4
    c = scene.pedestrian(9.0, 0.0, speed=1.0)
    scene.wall(9.5, -50.0, 9.5, 50.0)  # clearance 0.2
    scene.step()
    push = 6 * (1 - 0.4 / 0.8) ** 2 * 0.1
    assert scene.world["ped_vx"][[a, b]].tolist() == pytest.approx([-push, push], abs=1e-6)
    assert scene.world["ped_vy"][[a, b]].tolist() == pytest.approx([0.2 - 0.3 * push, 0.2 + 0.3 * push], abs=1e-6)
    assert scene.world["ped_vx"][c] == pytest.approx(-6 * (1 - 0.2 / 0.35) ** 2 * 0.1, abs=1e-5)
    assert scene.world["ped_vy"][c] == pytest.approx(0.2, abs=1e-6)


def test_a_pedestrian_walks_its_path_back_and_forth() -> None:
    scene = Scene()
    i = scene.pedestrian(20.0, 0.0, to=(22.0, 0.0), speed=1.3)
    w = scene.world
    w["ped_path_x"][:, i], w["ped_path_y"][:, i], w["ped_goal"][i], w["ped_direction"][i] = (20.0, 22.0, 24.0), 0.0, 1, 1
    goals = []
    for _ in range(80):
        scene.step()
        goals.append(int(w["ped_goal"][i]))
    assert [g for n, g in enumerate(goals) if n == 0 or goals[n - 1] != g][:5] == [1, 2, 1, 0, 1]


def test_a_step_pays_for_progress_and_costs_time() -> None:
    scene = Scene()
    scene.world["v"] = 1.0
    _, reward, _, _, info = scene.step()
    assert info["reward_terms"][0].tolist() == pytest.approx([0.2 * 0.1, 0, 0, -0.002, 0], abs=1e-5)
    assert reward[0] == pytest.approx(0.018, abs=1e-5)


def test_being_nearer_than_forty_centimetres_costs() -> None:
    scene = Scene()
    scene.pedestrian(0.0, 0.9)  # clearance 0.3; its desired speed is 0, so it cannot be pushed
    _, _, terminated, _, info = scene.step()
    assert not terminated[0]
    assert info["reward_terms"][0, s.PROXIMITY] == pytest.approx(-0.02 * (1 - 0.3 / 0.4), abs=1e-6)


def test_passing_a_waypoint_pays_nothing() -> None:
    scene = Scene()
    scene.route((0.75, 0.0), (0.75, 5.0))
    scene.world["v"] = 1.0
    _, _, _, _, info = scene.step()  # to x = 0.1, within 0.7 m
    assert scene.world["waypoint"] == 1
    assert info["reward_terms"][0, s.PROGRESS] == pytest.approx(0.2 * 0.1, abs=1e-5)
    assert scene.world["remaining"] == pytest.approx(np.hypot(0.65, 5.0), abs=1e-5)
    _, _, _, _, info = scene.step()
    assert info["reward_terms"][0, s.PROGRESS] == pytest.approx(0.2 * (np.hypot(0.65, 5) - np.hypot(0.55, 5)), abs=1e-5)


@pytest.mark.parametrize(
    ("outcome", "reward"),
    [("success", 0.2 * 0.2 + 1.0), ("ped_collisions", 0.2 * 0.2 - 4.0), ("wall_collisions", 0.2 * 0.2 - 4.0)],
)
def test_an_end_pays_and_is_counted(outcome: str, reward: float) -> None:
    scene = Scene()
    scene.world["v"] = 2.0
    if outcome == "success":
        scene.route((0.65, 0.0))
    elif outcome == "ped_collisions":
        scene.pedestrian(0.75, 0.0)
    else:
        scene.wall(0.45, -1.0, 0.45, 1.0)
    _, _, terminated, _, info = scene.step()
    stats = dict(zip(s.STATS, info["stats"][0, 0].tolist(), strict=True))
    assert terminated[0] and stats[outcome] == 1
    assert stats["collisions"] == (outcome != "success")
    assert (stats["steps"], stats["path_mm"]) == (1, 200)
    assert info["reward_terms"][0, :3].sum() == pytest.approx(reward, abs=1e-4)


def test_a_collision_counts_before_an_arrival() -> None:
    scene = Scene()
    scene.route((0.4, 0.0))
    scene.pedestrian(0.5, 0.0)
    _, _, _, _, info = scene.step()
    assert info["stats"][0, 0, :2].tolist() == [0, 1]


def test_success_is_weighted_by_the_time_it_took() -> None:
    scene = Scene()
    scene.route((4.5, 0.0))  # 4 m to drive: 2 s at full speed
    for step in range(60):
        _, _, terminated, _, info = scene.step(1.0 if step < 5 else 0.0)  # 1 m/s
        if terminated[0]:
            break
    stats = dict(zip(s.STATS, info["stats"][0, 0].tolist(), strict=True))
    assert (stats["success"], stats["steps_to_goal"]) == (1, step + 1)
    assert stats["stl_bp"] == round(1e4 * 2.0 / ((step + 1) / 10))


# --- layouts ----------------------------------------------------------------------------------------------------------


def test_all_families_are_drawn_about_evenly_and_begin_without_contact() -> None:
    world = nav(4096)
    world.reset(seed=11)
    counts = np.bincount(world._worlds["family"], minlength=8)
    assert counts.min() > 0.8 * 512
    _, _, terminated, _, _ = world.step(np.zeros((4096, 2), np.float32))
    assert not terminated.any()


@pytest.mark.parametrize("family", s.FAMILIES)
def test_a_route_is_nine_to_fourteen_metres_and_one_to_eight_walk_it(family: str) -> None:
    world = nav(512, families=[family])
    world.reset(seed=1)
    assert ((world._worlds["route"] >= 9) & (world._worlds["route"] <= 14)).all()
    assert ((world._worlds["n_peds"] >= 1) & (world._worlds["n_peds"] <= 8)).all()
    assert (world._worlds["family"] == s.FAMILIES.index(family)).all()
    goal_y = world._worlds["waypoint_y"][np.arange(512), world._worlds["n_waypoints"] - 1]
    assert 0.4 < (goal_y > 0).mean() < 0.6  # half of them mirrored


def test_nobody_starts_within_a_metre_and_a_half_of_the_robot_if_the_far_end_is_free() -> None:
    world = nav(4096)
    world.reset(seed=1)
    w = world._worlds
    distance = np.hypot(w["ped_x"] - w["x"][:, None], w["ped_y"] - w["y"][:, None])
    assert (distance.min(axis=1) < 1.5).mean() < 0.01


def test_density_and_speed_can_be_scaled() -> None:
    plain, shifted = nav(512), nav(512, ped_count=1.5, ped_speed=1.3)
    plain.reset(seed=1)
    shifted.reset(seed=1)
    assert shifted._worlds["n_peds"].sum() > 1.3 * plain._worlds["n_peds"].sum()
    assert shifted._worlds["ped_speed"][0, 0] == pytest.approx(1.3 * plain._worlds["ped_speed"][0, 0])


# --- the expert -------------------------------------------------------------------------------------------------------


def test_the_expert_meets_its_gate() -> None:
    stats = first_episodes(nav(1000, first_world=FIRST_WORLD["expert"]), seed=100)
    success, harm = int(stats[:, 0].sum()), int(stats[:, 1].sum())
    assert wilson_lower(success, 1000) >= SCENARIO.expert.success_rate
    assert wilson_upper(harm, 1000) <= SCENARIO.expert.harm_rate


def test_driving_straight_collides_in_four_of_ten_episodes() -> None:
    """The floor of the specification: 0.60 success, 0.40 collision."""
    task = Task("nav", SCENARIO.setup, 300, SCENARIO.success, SCENARIO.harm, script="straight_line")
    world = Nav(task, num_worlds=1000)
    stats = first_episodes(world, seed=7)
    assert 0.5 <= stats[:, 0].mean() <= 0.65
    assert 0.35 <= stats[:, 1].mean() <= 0.5


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setup", "message"),
    [
        ({"families": ["crowd"]}, r"setup\.families: .*expected different names of open_crowd"),
        ({"difficulty": [0.5, 0.2]}, r"setup\.difficulty: .*low <= high"),
        ({"rays": 33}, r"setup\.rays: "),
        ({"speed": 1}, r"setup\.speed: "),
        ({"reward": {"bonus": 1}}, r"setup\.reward\.bonus: "),
    ],
)
def test_a_bad_setup_names_the_key(setup: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        nav(1, **setup)


def test_reward_weights_change_from_the_next_step_on_and_the_world_stays_the_same() -> None:
    cheap, dear = nav(256), nav(256)
    paid = []
    for world, weight in ((cheap, -0.5), (dear, -8.0)):
        world.reset(seed=3)
        world.weigh({"collision": weight})
        steps = [world.step(actions_of(np.arange(256), step)) for step in range(120)]
        paid.append(np.sum([info["reward_terms"][:, 2].sum() for *_, info in steps]))
        assert world.running_stats[:, 0, 5].sum() > 0
    assert paid[1] == pytest.approx(16 * paid[0])
    assert (cheap.snapshot()["worlds"]["x"] == dear.snapshot()["worlds"]["x"]).all()


def test_a_reward_that_the_world_does_not_have_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="got colision"):
        nav(1).weigh({"colision": -1.0})


def test_an_unknown_expert_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"expert\.script: expected one of gap_seeker, straight_line, got 'pilot'"):
        Nav(replace(PLAIN, script="pilot"), num_worlds=1)
