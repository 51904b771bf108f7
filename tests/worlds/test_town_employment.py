"""Jobs: shifts, wages, punctuality, colleagues and eviction, on situations set up by hand."""

import numpy as np
import pytest
from tests.worlds.scene import Scene, scenario, town

from headstart.worlds.api import Task
from headstart.worlds.make import make
from headstart.worlds.town import state as s

WAIT, WORK = s.WAIT, s.WORK
AT_C, NEAR_C, FAR_FROM_C = (9, 9), (9, 8), (6, 1)  # steps to workplace C at (10, 9): 0, 1 and many
START, LENGTH = 30, 30


def shift(places: list[tuple[int, int]], today: int, **setup: object) -> Scene:
    """All agents have the one job at C; the shift is [30, 60) and the tick of the day is `today`."""
    hours = {"first": START, "spacing": 0, "jitter": 0, "length": LENGTH}
    scene = Scene(places, "employment_punctuality", jobs=1, shift=hours, perturbations={}, **setup)
    scene.world["tick"] = today
    for a in range(len(places)):
        scene.agent(a)["job_state"] = s.OFF if today < START - 20 else s.PRE
    return scene


def state(scene: Scene, a: int = 0) -> int:
    return int(scene.agent(a)["job_state"])


def test_jobs_are_spread_evenly_and_start_within_their_window() -> None:
    world = town(50, name="employment_punctuality")
    world.reset(seed=1)
    agents = world._worlds["agent"][:, :4]
    np.testing.assert_array_equal(np.sort(agents["job"], axis=1), np.tile([0, 0, 1, 1], (50, 1)))
    later = agents["shift_start"] - 30 - 10 * agents["job"]
    assert (later.min(), later.max()) == (0, 10)
    assert {tuple(row) for row in agents["job"]} == {(0, 1, 0, 1), (1, 0, 1, 0)}
    assert (agents["shift_end"] - agents["shift_start"] == 30).all()


def test_the_shift_is_announced_twenty_ticks_before() -> None:
    scene = shift([AT_C], START - 22)
    scene.step(WAIT)
    assert state(scene) == s.OFF
    scene.step(WAIT)
    assert (int(scene.world["tick"]), state(scene)) == (START - 20, s.PRE)


@pytest.mark.parametrize(
    ("place", "today", "expected"),
    [
        (AT_C, START - 1, False),
        (AT_C, START, True),
        (NEAR_C, START, True),
        (FAR_FROM_C, START, False),
        (AT_C, START + LENGTH - 1, True),
        (AT_C, START + LENGTH, False),
    ],
)
def test_work_is_allowed_near_the_workplace_during_the_shift(place: tuple[int, int], today: int, expected: bool) -> None:
    scene = shift([place], today)
    scene.agent(0)["job_state"] = s.PRE
    assert scene.allowed(0, WORK) == expected


def test_four_ticks_after_the_start_is_on_time_and_pays() -> None:
    scene = shift([AT_C], START + 4)
    scene.agent(0)["wallet"] = 10
    _, _, _, _, info = scene.step(WORK)
    assert (state(scene), scene.agent(0)["on_time"], scene.agent(0)["wallet"]) == (s.ON_TIME, 1, 13)
    assert scene.agent(0)["reward"][s.PUNCTUALITY] == 10000
    assert info["reward_terms"][0, s.WAGE] == np.float32(0.03)


def test_five_ticks_after_the_start_is_late_and_fined() -> None:
    scene = shift([AT_C], START + 5)
    scene.agent(0)["wallet"] = 50
    scene.step(WORK)
    assert (state(scene), scene.agent(0)["late"], scene.agent(0)["wallet"]) == (s.LATE, 1, 50 - 20 + 3)
    assert (scene.agent(0)["late_ticks"], scene.agent(0)["late_help"]) == (5, 0)
    assert scene.agent(0)["reward"][s.PUNCTUALITY] == -10000


def test_a_fine_leaves_no_debt() -> None:
    scene = shift([AT_C], START + 5)
    scene.agent(0)["wallet"] = 5
    scene.step(WORK)
    assert scene.agent(0)["wallet"] == 3


def test_twenty_ticks_without_work_are_an_absence_that_bars_from_work() -> None:
    scene = shift([AT_C], START + 18)
    scene.step(WAIT)
    assert state(scene) == s.PRE
    scene.step(WAIT)
    assert (int(scene.world["tick"]), state(scene)) == (START + 20, s.ABSENT)
    assert (scene.agent(0)["absent"], scene.agent(0)["strikes"]) == (1, 1)
    assert scene.agent(0)["reward"][s.PUNCTUALITY] == -20000
    assert not scene.allowed(0, WORK)


@pytest.mark.parametrize(("worked", "full"), [(23, 0), (24, 1)])
def test_four_fifths_of_the_window_are_a_full_shift(worked: int, full: int) -> None:
    scene = shift([AT_C], START + LENGTH - 1)
    scene.agent(0)["job_state"], scene.agent(0)["worked"] = s.ON_TIME, worked
    scene.step(WAIT)
    assert (state(scene), scene.agent(0)["shifts"], scene.agent(0)["full_shifts"]) == (s.DONE, 1, full)
    assert scene.agent(0)["reward"][s.PUNCTUALITY] == 5000 * full


def test_the_shift_comes_back_the_next_day() -> None:
    scene = shift([AT_C], 119)
    scene.agent(0)["job_state"], scene.agent(0)["worked"] = s.DONE, 30
    scene.step(WAIT)
    assert (state(scene), scene.agent(0)["worked"]) == (s.OFF, 0)
    scene.world["tick"] = 120 + START
    scene.agent(0)["job_state"] = s.PRE
    assert scene.allowed(0, WORK)


def test_a_third_absence_evicts() -> None:
    scene = shift([AT_C], START + 19)
    scene.agent(0)["strikes"] = 2
    _, reward, terminated, truncated, _ = scene.step(WAIT)
    assert (terminated[0], truncated[0]) == (True, False)
    assert reward[0] < -5.0  # absent and evicted
    assert (scene.agent(0)["evictions"], scene.agent(0)["strikes"], scene.agent(0)["faints"]) == (1, 0, 0)
    assert (scene.agent(0)["wallet"], scene.agent(0)["job"], state(scene)) == (0, 0, s.ABSENT)


def test_three_days_of_staying_away_end_in_eviction() -> None:
    chosen = scenario("employment_punctuality")
    hours = {"first": START, "spacing": 0, "jitter": 0, "length": LENGTH}
    setup = chosen.setup | {"agents": 1, "jobs": 1, "shift": hours, "decay": {"hunger": 0, "energy": 0}}
    idle = make(Task("town", setup, 480, chosen.success, chosen.harm), num_worlds=1)
    idle.reset(seed=0)
    ends = [tick for tick in range(1, 481) if idle.step(np.array([WAIT]))[2][0]]
    assert ends == [2 * 120 + START + 20]


def test_a_late_agent_is_grateful_to_who_held_the_fort() -> None:
    scene = shift([AT_C, NEAR_C], START + 6)
    scene.agent(1)["job_state"] = s.ON_TIME
    scene.world["rivalry"][0, 1] = 3000
    scene.step(WORK, WAIT)
    assert (scene.world["trust"][0, 1], scene.world["familiarity"][0, 1]) == (2000, 1000)
    assert scene.world["rivalry"][0, 1] == 3000 - 1000 - 30
    assert scene.world["trust"][1, 0] == 0
    assert (scene.agent(0)["late_help"], scene.agent(0)["late_ticks"], scene.agent(1)["late_help"]) == (1, 6, 0)


def test_absence_breeds_bad_blood_half_of_it_in_return() -> None:
    scene = shift([FAR_FROM_C, NEAR_C, AT_C], START + 19)
    scene.agent(1)["job_state"] = s.ON_TIME
    scene.agent(2)["job_state"] = s.PRE  # at the workplace, but has not worked, so it is absent too
    scene.step(WAIT, WORK, WAIT)
    assert (scene.world["rivalry"][0, 1], scene.world["trust"][0, 1]) == (3000, -1000)
    assert (scene.world["rivalry"][1, 0], scene.world["trust"][1, 0]) == (1500 - 30, -500)
    assert scene.world["rivalry"][0, 2] == 0
    assert [int(scene.agent(a)["shift_takeovers"]) for a in range(3)] == [1, 0, 1]


def test_the_job_block_says_how_long_is_left() -> None:
    scene = shift([NEAR_C], 20)
    scene.agent(0)["strikes"], scene.agent(0)["worked"] = 1, 15
    names = ("job_pre", "has_job", "to_start", "slack_to_start", "to_end", "worked_share", "strikes", "workplace_distance")
    assert scene.features(0, *names) == [np.float32(x) for x in (1, 1, 10 / 40, 9 / 10, 40 / 40, 0.5, 0.25, 1 / 32)]


def test_staggered_worlds_do_not_owe_a_shift_that_has_begun() -> None:
    world = town(64, name="employment_punctuality")
    world.reset(seed=1, options={"stagger": True})
    agents = world._worlds["agent"][:, :4]
    today = (world._worlds["tick"] % 120)[:, None]
    np.testing.assert_array_equal(agents["job_state"] == s.DONE, today > agents["shift_start"])
