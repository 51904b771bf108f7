"""Price spikes, blackouts, outages and arranged meetings."""

import numpy as np
import pytest
from tests.worlds.scene import Scene, town

from headstart.worlds.town import state as s

WAIT, USE = s.WAIT, s.USE
ALWAYS = 1_000_000
SHOWER_SERVICE, ROOM = (2, 5), (4, 5)


def often(name: str, worlds: int = 200) -> np.ndarray:
    """Worlds in which one perturbation begins in the first tick, after that tick."""
    town_ = town(worlds, perturbations={name: ALWAYS})
    town_.reset(seed=2)
    town_.step(np.zeros(town_.num_envs, int))
    return town_._worlds


def test_a_price_spike_is_120_to_180_per_cent_for_30_to_60_ticks() -> None:
    worlds = often("price_spike")
    assert (worlds["price"].min(), worlds["price"].max()) == (120, 180)
    assert (worlds["spike_end"].min(), worlds["spike_end"].max()) == (30, 60)


@pytest.mark.parametrize("name", ["blackout", "outage"])
def test_supplies_fail_for_10_to_30_ticks(name: str) -> None:
    worlds = often(name)
    assert (worlds[f"{name}_end"].min(), worlds[f"{name}_end"].max()) == (10, 30)
    counted = {other: worlds["agent"][f"{other}s"][:, :4] for other in ("blackout", "outage")}
    assert {other: (of.min(), of.max()) for other, of in counted.items()} == {"blackout": (0, 0), "outage": (0, 0)} | {
        name: (1, 1)
    }


def test_a_spike_ends_and_the_next_thing_begins_sixty_ticks_after_the_last() -> None:
    scene = Scene([ROOM], perturbations={"price_spike": ALWAYS})
    scene.step(WAIT)
    first = int(scene.world["spike_end"])
    while scene.world["tick"] < 60:
        assert (scene.world["price"] > 100) == (scene.world["tick"] - 1 < first)
        scene.step(WAIT)
    assert scene.world["spike_end"] == first
    scene.step(WAIT)
    assert scene.world["spike_end"] >= 60 + 30


def test_prices_follow_the_spike() -> None:
    scene = Scene([SHOWER_SERVICE])
    scene.world["price"], scene.world["spike_end"] = 150, 50
    scene.step(s.ACTIONS.index("request_shower"))
    before = int(scene.agent(0)["wallet"])
    scene.step(USE)
    assert before - scene.agent(0)["wallet"] == 15
    assert scene.features(0, "price_excess") == [0.5]


def test_no_shower_without_water_and_no_cooking_without_power() -> None:
    scene = Scene([SHOWER_SERVICE])
    ask = s.ACTIONS.index("request_shower")
    scene.world["outage_end"] = 1
    assert not scene.allowed(0, ask)
    assert scene.features(0, "outage", "shower_usable") == [1, 0]
    scene.step(WAIT)
    assert scene.allowed(0, ask)
    kitchen = Scene([(3, 4)], "kitchen_breakfast")
    kitchen.world["blackout_end"] = 1
    assert not kitchen.allowed(0, s.ACTIONS.index("request_stove"))
    kitchen.step(WAIT)
    assert kitchen.allowed(0, s.ACTIONS.index("request_stove"))


def test_nothing_happens_where_the_scenario_asks_for_nothing() -> None:
    world = town(200)
    world.reset(seed=2)
    for _ in range(world.horizon - 1):
        world.step(np.zeros(world.num_envs, int))
    for field in ("spike_end", "blackout_end", "outage_end", "meet_end"):
        assert not world._worlds[field].any()


def test_the_two_with_the_highest_mutual_rivalry_shall_meet() -> None:
    scene = Scene([ROOM, (8, 8), (12, 12)], perturbations={"meet": ALWAYS})
    scene.world["rivalry"][0, 1] = scene.world["rivalry"][1, 0] = 3000
    scene.world["rivalry"][1, 2], scene.world["rivalry"][2, 1] = 6001, 0
    scene.step(WAIT, WAIT, WAIT)
    assert (scene.world["meet_a"], scene.world["meet_b"], scene.world["meet_end"]) == (1, 2, 40)
    assert scene.features(0, "meet_active", "meet_dy") == [0, 0]
    dy = int(scene.world["meet_y"]) - 8
    assert scene.features(1, "meet_active", "meet_dy") == [1, np.float32(dy / 8)]


def test_nobody_is_sent_to_meet_a_friend() -> None:
    scene = Scene([ROOM, (8, 8)], perturbations={"meet": ALWAYS})
    scene.step(WAIT, WAIT)
    assert (scene.world["meet_a"], scene.world["perturbation_cooldown"]) == (-1, 0)


def meeting(places: list[tuple[int, int]]) -> Scene:
    scene = Scene(places)
    world = scene.world
    world["meet_a"], world["meet_b"], world["meet_y"], world["meet_x"], world["meet_end"] = 0, 1, 8, 8, 40
    world["rivalry"][0, 1], world["rivalry"][1, 0] = 4000, 2000
    return scene


def test_meeting_makes_up_pays_both_and_ends() -> None:
    scene = meeting([(8, 8), (8, 9)])
    _, _, _, _, info = scene.step(WAIT, WAIT)
    assert info["reward_terms"][:, s.MEETING].tolist() == [np.float32(0.05)] * 2
    assert (scene.world["rivalry"][0, 1], scene.world["rivalry"][1, 0]) == (4000 - 1500 - 30, 2000 - 1500 - 30)
    assert (scene.world["trust"][0, 1], scene.world["trust"][1, 0]) == (1000, 1000)
    assert scene.world["meet_a"] == -1
    _, _, _, _, info = scene.step(WAIT, WAIT)
    assert not info["reward_terms"][:, s.MEETING].any()


def test_one_of_two_is_no_meeting() -> None:
    scene = meeting([(8, 8), (8, 10)])
    _, _, _, _, info = scene.step(WAIT, WAIT)
    assert not info["reward_terms"][:, s.MEETING].any()
    assert scene.world["meet_a"] == 0


def test_a_meeting_lapses_after_forty_ticks() -> None:
    scene = meeting([(8, 8), (8, 10)])
    scene.world["tick"] = 40
    scene.step(WAIT, WAIT)
    assert scene.world["meet_a"] == -1
