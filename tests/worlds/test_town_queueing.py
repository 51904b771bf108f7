"""Moves, queues and needs, on situations set up by hand."""

import numpy as np
from tests.worlds.scene import Scene

from headstart.worlds.town import state as s
from headstart.worlds.town.observe import FEATURES

WAIT, USE, LEAVE, YIELD, PRESS = s.WAIT, s.USE, s.LEAVE, s.YIELD, s.PRESS
REQUEST_SHOWER = s.ACTIONS.index("request_shower")
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
    """Agent 0 holds the claim, 1 and 2 wait; no agent moves."""
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
