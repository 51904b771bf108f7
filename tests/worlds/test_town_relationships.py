"""Rivalry and its limits, chat, shared meals, stress; and what objects give, on situations set up by hand."""

import numba
import numpy as np
import pytest
from tests.worlds.scene import Scene, town

from headstart.worlds.town import state as s
from headstart.worlds.town.relationships import add_rivalry

WAIT, USE, CHAT = s.WAIT, s.USE, s.CHAT
HERE, THERE = (8, 8), (8, 9)
EIGHT = [(12, x) for x in range(1, 9)]


def edges(before: list[int], other: int, amount: int) -> list[int]:
    """Rivalries of agent 0 of eight, after `amount` toward `other` is added."""
    world = town(1, agents=8)._worlds
    world["rivalry"][0, 0] = before
    _add(world, other, amount)
    return world["rivalry"][0, 0].tolist()


@numba.njit  # rules run on records as numba sees them
def _add(worlds, other, amount):  # type: ignore[no-untyped-def]
    add_rivalry(worlds[0], 0, other, amount)


def test_a_seventh_rivalry_displaces_the_weakest() -> None:
    before = [0, 4000, 900, 3000, 2000, 5000, 6000, 0]
    assert edges(before, 7, 1000) == [0, 4000, 0, 3000, 2000, 5000, 6000, 1000]
    assert edges(before, 7, 800) == before


def test_faint_rivalries_make_room_for_a_new_one() -> None:
    before = [0, 4000, 499, 3000, 300, 5000, 6000, 0]
    assert edges(before, 7, 100) == [0, 4000, 0, 3000, 0, 5000, 6000, 100]


def test_six_rivalries_are_all_kept() -> None:
    assert edges([0, 100, 200, 300, 400, 500, 0, 0], 6, 50) == [0, 100, 200, 300, 400, 500, 50, 0]


def test_a_known_rival_needs_no_room() -> None:
    assert edges([0, 100, 200, 300, 400, 500, 600, 0], 1, 50) == [0, 150, 200, 300, 400, 500, 600, 0]


def test_the_cap_holds_from_the_start_in_a_full_town() -> None:
    world = town(20, agents=8, rivalry=[1000, 9000])
    world.reset(seed=1)
    assert ((world._worlds["rivalry"] > 0).sum(axis=2) == 6).all()


def test_an_avoided_neighbour_costs_strength_and_reward() -> None:
    scene = Scene([HERE, THERE])
    scene.world["rivalry"][0, 1] = 5030
    _, _, _, _, info = scene.step(WAIT, WAIT)
    assert (scene.agent(0)["stress"], scene.agent(1)["stress"]) == (1, 0)
    assert scene.agent(0)["need"][s.ENERGY] == 5000 - 12 - 10
    assert info["reward_terms"][0, s.STRESS] == np.float32(-0.01)
    scene.step(WAIT, WAIT)  # 4970 now
    assert scene.agent(0)["stress"] == 1


def test_one_does_not_chat_with_whom_one_avoids_or_who_is_busy() -> None:
    scene = Scene([HERE, THERE])
    assert scene.allowed(0, CHAT)
    scene.world["rivalry"][0, 1] = 5000
    assert not scene.allowed(0, CHAT)
    assert scene.allowed(1, CHAT)
    scene.world["rivalry"][0, 1] = 0
    scene.agent(1)["status"] = s.USING
    assert not scene.allowed(0, CHAT)


def chat(trust: int) -> Scene:
    scene = Scene([HERE, THERE])
    scene.world["trust"][1, 0] = trust
    scene.world["rivalry"][0, 1] = scene.world["rivalry"][1, 0] = 1000
    scene.step(CHAT, WAIT)
    return scene


def test_a_good_chat_warms_both() -> None:
    scene = chat(10000)  # 70 + 45 per cent: certain
    assert (scene.agent(0)["chats"], scene.agent(0)["chat_quality"], scene.agent(0)["chat_failures"]) == (1, 5000, 0)
    assert (scene.agent(1)["chats"], scene.agent(1)["chat_quality"]) == (0, 0)
    assert scene.world["trust"][0, 1] == 5000 // 20
    assert scene.world["familiarity"].tolist()[0][1] == scene.world["familiarity"].tolist()[1][0] == 500
    assert scene.world["rivalry"][0, 1] == scene.world["rivalry"][1, 0] == 1000 - 300 - 30
    assert scene.agent(0)["reward"][s.CHATTING] == scene.agent(1)["reward"][s.CHATTING] == 100 + 500 // 100
    assert scene.agent(0)["chat_cooldown"] == 29


def test_a_bad_chat_annoys_the_listener() -> None:
    scene = Scene([HERE, THERE])
    scene.agent(0)["extroversion"] = -100
    scene.world["trust"][1, 0] = -10000  # 70 − 20 − 50 per cent: never
    scene.step(CHAT, WAIT)
    assert (scene.agent(0)["chats"], scene.world["familiarity"][1, 0], scene.world["rivalry"][1, 0]) == (0, -500, 500 - 30)
    assert scene.agent(0)["reward"][s.CHATTING] == -50
    assert (scene.agent(0)["chat_failures"], scene.agent(0)["chat_quality"], scene.agent(1)["chat_failures"]) == (1, 0, 0)


@pytest.mark.parametrize(("ticks", "cells", "together"), [(6, 3, True), (7, 3, False), (6, 4, False)])
def test_meals_that_end_close_in_time_and_place_are_shared(ticks: int, cells: int, together: bool) -> None:
    scene = Scene([(9, 10), (9, 10 - cells)])  # beside the fridge, and `cells` to the west
    scene.world["tick"] = 20
    scene.agent(1)["ate_at"] = 23 - ticks
    scene.step(s.ACTIONS.index("request_fridge"), WAIT)
    fridge = scene.find(s.FRIDGE)
    assert scene.agent(0)["status"] == s.CLAIM
    scene.world["tick"] = 20
    for tick in range(4):
        scene.step(USE if tick == 0 else WAIT, WAIT)
    assert (scene.agent(0)["eats"], scene.agent(0)["ate_at"], scene.world["object"][fridge]["stock"]) == (1, 23, 7)
    assert (scene.agent(0)["shared_meals"], scene.agent(1)["shared_meals"]) == (int(together), 0)
    expected = [1000, 2500] if together else [0, 0]
    for holder, other in ((0, 1), (1, 0)):
        assert [scene.world["trust"][holder, other], scene.world["familiarity"][holder, other]] == expected


def use(scene: Scene, action: str, ticks: int) -> None:
    scene.step(s.ACTIONS.index(action))
    for tick in range(ticks):
        assert scene.agent(0)["queue"] >= 0
        scene.step(USE if tick == 0 else WAIT)
    assert scene.agent(0)["queue"] == -1


def test_cooking_puts_two_meals_into_the_fridge() -> None:
    scene = Scene([(3, 4)], "kitchen_breakfast")
    stove, fridge, before = scene.find(s.STOVE), scene.find(s.FRIDGE), int(scene.agent(0)["wallet"])
    use(scene, "request_stove", 10)
    assert (scene.world["object"][stove]["stock"], scene.world["object"][fridge]["stock"]) == (3, 2)
    assert before - scene.agent(0)["wallet"] == 15
    assert scene.agent(0)["cooks"] == 1
    assert scene.agent(0)["reward"][s.SERVICE] == 5000


def test_sleep_takes_sixteen_ticks_and_is_free() -> None:
    scene = Scene([(11, 3)], "observation_baseline")
    before = int(scene.agent(0)["wallet"])
    use(scene, "request_bed", 16)
    assert (scene.agent(0)["sleeps"], before - scene.agent(0)["wallet"]) == (1, 0)
    assert scene.agent(0)["need"][s.ENERGY] == 10000 - 12
    assert scene.agent(0)["need"][s.HUNGER] == 5000 - 17 * 20 - 200


def test_a_scenario_may_pay_no_first_service() -> None:
    scene = Scene([(9, 10)], pay_first_service=False)
    use(scene, "request_fridge", 4)
    assert (scene.agent(0)["eats"], scene.agent(0)["reward"][s.SERVICE]) == (1, 0)


def test_meals_and_ingredients_come_every_sixty_ticks_up_to_what_fits() -> None:
    scene = Scene([(3, 4)], "kitchen_breakfast", restock_every=60)
    stove, fridge = scene.find(s.STOVE), scene.find(s.FRIDGE)
    scene.world["tick"], scene.world["object"]["stock"][stove] = 58, 6
    scene.step(WAIT)
    assert scene.world["object"][fridge]["stock"] == 0
    scene.step(WAIT)
    assert (scene.world["object"][fridge]["stock"], scene.world["object"][stove]["stock"]) == (3, 6)


def test_personalities_are_drawn_from_four() -> None:
    world = town(100)
    world.reset(seed=1)
    agents = world._worlds["agent"][:, :4].reshape(-1)
    found = {
        (*map(int, agent["decay"]), int(agent["extroversion"]), int(agent["forgiveness"]), int(agent["ambition"]))
        for agent in agents
    }
    assert found == {
        (100, 100, 100, 0, 0, 0),
        (100, 110, 100, 60, 10, -10),
        (100, 100, 90, -20, -10, 50),
        (95, 100, 100, -30, 50, -20),
    }
