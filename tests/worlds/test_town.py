"""The town: the contract of every world, determinism, golden hash, and its rules on small situations."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from headstart.errors import InputError, UsageError
from headstart.govern.statistics import wilson_lower, wilson_upper
from headstart.params import Scenario, load_scenario
from headstart.worlds import FIRST_WORLD, make
from headstart.worlds.town import state as s
from headstart.worlds.town.env import Town
from headstart.worlds.town.layout import read_layout
from headstart.worlds.town.observe import FEATURES

ROOT = Path(__file__).parents[2]
GOLDEN = json.loads((ROOT / "tests/golden/town.json").read_text()) if (ROOT / "tests/golden/town.json").exists() else {}
SCENARIO: Scenario = load_scenario("queue_conflict", ROOT / "scenarios")


def town(num_worlds: int, first_world: int = 0, hybrid: bool = False, **setup: Any) -> Town:
    world = make(
        "town",
        SCENARIO.setup | setup,
        horizon=SCENARIO.horizon,
        success=SCENARIO.success,
        harm=SCENARIO.harm,
        num_worlds=num_worlds,
        first_world=first_world,
        hybrid=hybrid,
    )
    assert isinstance(world, Town)
    return world


def digest(world: Town, ticks: int, agents: slice, seed: int = 3) -> str:
    """Everything that the chosen rows see and earn while the expert acts."""
    found = hashlib.sha256()
    seen, _ = world.reset(seed=seed)
    for _ in range(ticks):
        for name in sorted(seen):
            found.update(np.ascontiguousarray(seen[name][agents]).tobytes())
        seen, reward, terminated, truncated, _ = world.step(world.expert_actions())
        for column in (reward, terminated, truncated):
            found.update(np.ascontiguousarray(column[agents]).tobytes())
    return found.hexdigest()


# --- contract ---------------------------------------------------------------------------------------------------------


def test_spaces_contain_what_the_world_shows() -> None:
    world = town(3, hybrid=True)
    seen, _ = world.reset(seed=1)
    assert world.num_envs == 12
    assert world.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    for _ in range(20):
        assert world.observation_space.contains(seen)
        seen, *_ = world.step(world.expert_actions())


def test_terminated_and_truncated_are_never_both_and_the_horizon_truncates() -> None:
    world = town(4)
    world.reset(seed=1)
    for tick in range(1, 2 * SCENARIO.horizon + 1):
        _, _, terminated, truncated, info = world.step(world.expert_actions())
        assert not (terminated & truncated).any()
        assert truncated.all() == (tick % SCENARIO.horizon == 0)
        assert info["episode_end"].all() == truncated.all()


def test_the_final_observation_is_from_before_the_reset() -> None:
    world = town(2)
    world.reset(seed=1)
    for _ in range(SCENARIO.horizon):
        seen, _, _, truncated, info = world.step(world.expert_actions())
    assert truncated.all()
    progress = FEATURES.index("progress")
    np.testing.assert_array_equal(info["final_obs"]["features"][:, progress], 1.0)
    np.testing.assert_array_equal(seen["features"][:, progress], 0.0)


def test_an_allowed_action_is_refused_only_where_another_agent_came_first() -> None:
    world = town(64, agents=1)  # alone, nobody comes first
    rng = np.random.default_rng(0)
    seen, _ = world.reset(seed=2)
    for _ in range(SCENARIO.horizon):
        preference = np.where(seen["mask"] > 0, rng.random(seen["mask"].shape), -1.0)
        seen, _, _, _, info = world.step(preference.argmax(axis=1))
    assert info["stats"][:, :, s.STATS.index("refused")].sum() == 0


def test_reward_is_the_sum_of_its_terms() -> None:
    world = town(16)
    rng = np.random.default_rng(0)
    world.reset(seed=2)
    for _ in range(60):
        _, reward, _, _, info = world.step(rng.integers(0, s.N_ACTIONS, world.num_envs))
        np.testing.assert_allclose(reward, info["reward_terms"].sum(axis=1), atol=1e-6)


def test_actions_of_the_wrong_shape_or_range_are_refused() -> None:
    world = town(1)
    world.reset(seed=0)
    with pytest.raises(UsageError, match=r"expected \[4\] ids in 0…14"):
        world.step(np.zeros(3, int))
    with pytest.raises(UsageError, match="expected"):
        world.step(np.full(4, 15))


# --- determinism ------------------------------------------------------------------------------------------------------


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = numba.get_num_threads()
    numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))
    yield
    numba.set_num_threads(before)


def test_world_0_is_the_same_among_1000_across_resets(two_threads: None) -> None:
    assert digest(town(1, hybrid=True), 300, slice(0, 4)) == digest(town(1000, hybrid=True), 300, slice(0, 4))


def test_a_world_is_its_id_wherever_its_row_is() -> None:
    assert digest(town(8), 200, slice(20, 24)) == digest(town(3, first_world=5), 200, slice(0, 4))


def test_threads_do_not_matter(two_threads: None) -> None:
    many = digest(town(64), 150, slice(None))
    numba.set_num_threads(1)
    assert digest(town(64), 150, slice(None)) == many


def test_a_snapshot_brings_back_the_same_future() -> None:
    world = town(4)
    world.reset(seed=5)
    for _ in range(50):
        world.step(world.expert_actions())
    kept = world.snapshot()
    first = [world.step(world.expert_actions())[1].copy() for _ in range(150)]
    world.restore(kept)
    np.testing.assert_array_equal(first, [world.step(world.expert_actions())[1].copy() for _ in range(150)])


@pytest.mark.parametrize("hybrid", [False, True], ids=["compact", "hybrid"])
def test_an_expert_driven_run_has_its_golden_hash(hybrid: bool) -> None:
    assert digest(town(4, hybrid=hybrid), 300, slice(None)) == GOLDEN["hybrid" if hybrid else "compact"]


def test_staggered_worlds_begin_at_different_ticks() -> None:
    world = town(64)
    world.reset(seed=1, options={"stagger": True})
    assert len(np.unique(world._worlds["tick"])) > 30


def test_feature_names_are_180_and_unique() -> None:
    assert len(FEATURES) == len(set(FEATURES)) == 180


# --- the expert, and policies that know nothing -----------------------------------------------------------------------


def outcome(policy: str, worlds: int = 1000) -> tuple[int, int]:
    world = town(worlds, first_world=FIRST_WORLD["expert"])
    rng = np.random.default_rng(0)
    seen, _ = world.reset(seed=100)
    for _ in range(SCENARIO.horizon):
        if policy == "expert":
            actions = world.expert_actions()
        elif policy == "idle":
            actions = np.zeros(world.num_envs, int)
        else:
            actions = np.where(seen["mask"] > 0, rng.random(seen["mask"].shape), -1.0).argmax(axis=1)
        seen, _, _, _, info = world.step(actions)
    return int(world.success(info["stats"]).sum()), int(world.harm(info["stats"]).sum())


def test_the_expert_meets_its_gate() -> None:
    success, harm = outcome("expert")
    assert wilson_lower(success, 1000) >= SCENARIO.expert.success_rate
    assert wilson_upper(harm, 1000) <= SCENARIO.expert.harm_rate


@pytest.mark.parametrize("policy", ["idle", "random"])
def test_a_policy_that_knows_nothing_fails(policy: str) -> None:
    success, _ = outcome(policy, 200)
    assert success <= 0.05 * 200


# --- rules, on situations set up by hand ------------------------------------------------------------------------------

WAIT, USE, LEAVE, YIELD, PRESS = s.WAIT, s.USE, s.LEAVE, s.YIELD, s.PRESS
REQUEST_SHOWER = s.ACTIONS.index("request_shower")


class Scene:
    """One world in the unturned layout, agents placed by hand, personalities balanced."""

    def __init__(self, places: list[tuple[int, int]]) -> None:
        self.town = town(1, agents=len(places))
        self.town.reset(seed=0)
        self.world = self.town._worlds[0]
        self.world["layout"] = 0
        self.world["occupant"][:] = -1
        self.shower = int(np.flatnonzero(self.town._plans[0]["object_type"] == s.SHOWER)[0])
        for a, (y, x) in enumerate(places):
            agent = self.agent(a)
            agent["y"], agent["x"], agent["forgiveness"] = y, x, 0
            agent["decay"][:] = 100
            agent["need"][:] = 5000
            self.world["occupant"][y, x] = a

    def agent(self, a: int) -> Any:
        return self.world["agent"][a]

    @property
    def queue(self) -> list[int]:
        return self.world["queue"][self.shower, : self.world["object"][self.shower]["length"]].tolist()

    @property
    def active(self) -> int:
        return int(self.world["object"][self.shower]["active"])

    def step(self, *actions: int) -> Any:
        return self.town.step(np.array(actions))


SERVICE, BEFORE, ROOM, CORNER = (2, 5), (3, 5), (4, 5), (4, 6)


def test_a_move_goes_one_cell_and_not_through_walls_or_agents() -> None:
    scene = Scene([ROOM, CORNER])
    scene.step(s.EAST, WAIT)
    assert (scene.agent(0)["y"], scene.agent(0)["x"], scene.agent(0)["refused"]) == (4, 5, 1)
    scene.step(s.NORTH, s.NORTH)  # the alcove is open, beside it is wall
    assert (scene.agent(0)["y"], scene.agent(1)["y"]) == (3, 4)


def test_a_shower_takes_eight_ticks_pays_once_and_rests_twenty() -> None:
    scene = Scene([SERVICE])
    scene.step(REQUEST_SHOWER)
    assert scene.active == 0
    before = int(scene.agent(0)["wallet"])
    for tick in range(8):
        scene.step(USE if tick == 0 else WAIT)
    assert scene.agent(0)["showers"] == 1
    assert scene.agent(0)["status"] == s.NONE
    assert before - scene.agent(0)["wallet"] == 10
    assert scene.agent(0)["need"][s.HYGIENE] == 10000 - 15  # full, less the decay of the same tick
    assert scene.world["cooldown"][scene.shower, 0] - (scene.world["tick"] - 1) == 20
    assert scene.agent(0)["reward"][s.SERVICE] == 10000


def test_leaving_halves_the_cooldown_and_frees_the_object() -> None:
    scene = Scene([SERVICE])
    scene.step(REQUEST_SHOWER)
    scene.step(LEAVE)
    assert scene.active == -1
    assert scene.world["cooldown"][scene.shower, 0] - (scene.world["tick"] - 1) == 10


def test_a_claim_lapses_after_sixteen_ticks() -> None:
    scene = Scene([ROOM])
    scene.step(REQUEST_SHOWER)
    for _ in range(15):
        scene.step(WAIT)
        assert scene.active == 0
    scene.step(WAIT)
    assert (scene.active, scene.agent(0)["status"]) == (-1, s.NONE)


def test_the_queue_is_first_come_unless_somebody_has_waited_twenty_five_ticks_longer() -> None:
    for extra, first in ((25, 1), (26, 2)):
        scene = Scene([ROOM, CORNER, (4, 4)])
        thing = scene.world["object"][scene.shower]
        scene.world["tick"] = 60
        for index, a in enumerate((1, 2)):
            scene.world["queue"][scene.shower, index] = a
            scene.agent(a)["queue"], scene.agent(a)["status"], scene.agent(a)["joined"] = scene.shower, s.WAITING, 40
        scene.agent(2)["joined"] = 40 - extra
        thing["length"] = 2
        scene.step(WAIT, WAIT, WAIT)
        assert scene.active == first


def queue_of_three() -> Scene:
    """Agent 0 holds the claim, 1 and 2 wait; nobody moves."""
    scene = Scene([ROOM, CORNER, (4, 4)])
    scene.step(REQUEST_SHOWER, WAIT, WAIT)
    scene.step(WAIT, REQUEST_SHOWER, WAIT)
    scene.step(WAIT, WAIT, REQUEST_SHOWER)
    assert (scene.active, scene.queue) == (0, [1, 2])
    return scene


def test_twelve_ticks_of_stalling_end_in_a_ghost_step() -> None:
    scene = queue_of_three()
    while scene.agent(0)["ghost_steps"] == 0:
        stalled = int(scene.world["object"][scene.shower]["stall"])
        scene.step(WAIT, WAIT, WAIT)
    assert stalled == 11
    assert (scene.active, scene.queue) == (1, [2, 0])
    intensity = 150 + 25 * (2 - 1)
    assert scene.agent(0)["intensity"] == intensity
    assert scene.agent(0)["reward"][s.CONFLICT] == -500 * intensity // 100
    assert scene.world["rivalry"][1, 0] == 1500 * intensity // 100 - 30  # one tick of decay
    assert scene.world["rivalry"][0, 1] == 1500 * intensity // 100 // 2 - 30


def test_pressing_is_a_conflict_that_costs_both() -> None:
    scene = queue_of_three()
    stall = int(scene.world["object"][scene.shower]["stall"])
    scene.step(WAIT, PRESS, WAIT)
    assert scene.world["object"][scene.shower]["stall"] == stall + 3  # two for the press, one for the tick
    assert scene.agent(1)["presses"] == 1
    assert scene.agent(1)["reward"][s.CONFLICT] == -1000 * 125 // 100
    assert scene.agent(0)["reward"][s.CONFLICT] == -300 * 125 // 100


def test_useful_use_is_no_stalling() -> None:
    scene = Scene([SERVICE, ROOM])
    scene.step(REQUEST_SHOWER, WAIT)
    scene.step(USE, REQUEST_SHOWER)
    for _ in range(6):
        scene.step(WAIT, WAIT)
        assert scene.world["object"][scene.shower]["stall"] == 0


def test_yielding_hands_the_claim_on_and_earns_trust_but_no_reward() -> None:
    scene = queue_of_three()
    _, _, _, _, info = scene.step(YIELD, WAIT, WAIT)
    assert (scene.active, scene.queue) == (1, [0, 2])
    assert scene.world["trust"][1, 0] == 500
    assert info["reward_terms"][0, s.CHATTING] == 0


def test_needs_decay_and_hunger_at_three_per_cent_faints_and_respawns() -> None:
    scene = Scene([ROOM])
    scene.agent(0)["need"][s.HUNGER] = 320
    _, reward, terminated, truncated, info = scene.step(WAIT)
    assert (terminated[0], truncated[0]) == (True, False)
    assert info["final_obs"]["features"][0, FEATURES.index("need_hunger")] == np.float32(0.03)
    assert reward[0] < -2.0
    assert scene.agent(0)["need"].tolist() == [5000, 5000, 5000]
    assert (scene.agent(0)["faints"], scene.agent(0)["wallet"], scene.agent(0)["life"]) == (1, 0, 0)


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("################\n" * 17, "expected 1 to 16 rows, got 17"),
        ("####", "layout row 1: expected 16 of .* got 4 characters"),
        ("#####X##########", "unknown characters"),
        ("#" * 16, "expected 1 to 8 objects, got 0"),
        ("#####S##########\n#####.##########", "expected at least 8 cells to start from, got 0"),
    ],
)
def test_a_bad_layout_is_refused_by_row(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_layout(text)


def test_a_bad_setup_names_the_key() -> None:
    with pytest.raises(InputError, match=r"setup\.agents: .* got 9"):
        town(1, agents=9)
    with pytest.raises(InputError, match=r"setup\.wallet: .* low <= high"):
        town(1, wallet=[5, 3])
    with pytest.raises(InputError, match=r"setup\.shower: "):
        town(1, shower=1)
