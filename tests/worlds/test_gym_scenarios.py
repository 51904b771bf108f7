"""The scenarios of the repository on Gymnasium environments: their files, and the experts that are written by hand."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from experts import doorkey

from headstart.config.params import Params, for_scenario, load_params
from headstart.config.scenario import Scenario, load_scenario
from headstart.core.arrays import Array
from headstart.runs.expert_episodes import judged_on
from headstart.runs.own_expert import own_act
from headstart.runs.worlds import worlds_of

ROOT = Path(__file__).parents[2]
PACKAGES = {"cartpole": "gymnasium", "hopper": "mujoco", "lunarlander": "Box2D", "minigrid_doorkey": "minigrid"}  # that they need
UNSEEN, EMPTY, WALL, DOOR, KEY, GOAL = 0, 1, 2, 4, 5, 8
LOCKED = 2


def of(name: str) -> tuple[Params, Scenario]:
    scenario = load_scenario(name, ROOT / "scenarios")
    return for_scenario(load_params(ROOT / "params.yaml"), scenario), scenario


def view(**cells: tuple[int, int, int]) -> Array:
    """What the agent sees: walls, an empty cell where it stands, and what `cells` add as column, row and kind. A door is locked."""
    picture = np.zeros((7, 7, 3), np.uint8)
    picture[..., 0] = WALL
    picture[3, 6, 0] = EMPTY
    for column, row, kind in cells.values():
        picture[column, row] = kind, 0, LOCKED if kind == DOOR else 0
    return picture.ravel()


@pytest.mark.parametrize("name", PACKAGES)
def test_the_baseline_of_a_scenario_has_the_ppo_settings_of_its_candidate(name: str) -> None:
    params, _ = of(name)
    assert params.arms["matched"].ppo == params.arms["pretrained"].ppo
    assert name == "lunarlander" or params.evidence[name] == {"scenarios": [name]}  # its recipe was not tuned


@pytest.mark.parametrize("name", PACKAGES)
def test_the_world_of_a_scenario_can_be_made_and_tells_what_its_predicates_ask(name: str) -> None:
    package = PACKAGES[name]
    pytest.importorskip(package, reason=f"{package} is not installed: pip install 'headstart[{package.lower()}]'")
    _, scenario = of(name)
    world = worlds_of(scenario, "training", 2)
    assert {sentence.split()[1] for sentence in (*scenario.success, *scenario.harm)} <= set(world.names.stats)


def test_the_rule_balances_to_the_end() -> None:
    params, scenario = of("cartpole")
    score, _ = judged_on(params, scenario, 64, partial(own_act, scenario))
    assert (score.success, score.harm) == (64, 0)
    assert score.return_mean == 500  # the horizon


def test_the_planner_opens_the_door_in_every_world() -> None:
    pytest.importorskip("minigrid", reason="MiniGrid is not installed: pip install 'headstart[minigrid]'")
    params, scenario = of("minigrid_doorkey")
    score, _ = judged_on(params, scenario, 128, partial(own_act, scenario))
    assert (score.success, score.harm) == (128, 0)
    assert score.return_mean > 0.95  # 13 steps of 250


@pytest.mark.parametrize(
    ("seen", "action"),
    [
        (view(goal=(3, 5, GOAL)), doorkey.FORWARD),
        (view(way=(3, 5, EMPTY), goal=(4, 5, GOAL)), doorkey.FORWARD),  # around a corner
        (view(goal=(4, 6, GOAL)), doorkey.RIGHT),
        (view(goal=(2, 6, GOAL)), doorkey.LEFT),
        (view(key=(3, 5, KEY)), doorkey.PICK_UP),
        (view(key=(4, 6, KEY)), doorkey.RIGHT),
        (view(way=(3, 5, EMPTY), key=(3, 4, KEY)), doorkey.FORWARD),
        (view(door=(3, 5, DOOR), key=(4, 6, KEY)), doorkey.RIGHT),  # the key first
        (view(door=(3, 5, DOOR), carried=(3, 6, KEY)), doorkey.TOGGLE),
        (view(door=(4, 6, DOOR), carried=(3, 6, KEY)), doorkey.RIGHT),
        (view(goal=(3, 5, GOAL), door=(4, 6, DOOR), carried=(3, 6, KEY)), doorkey.FORWARD),  # the goal before the door
        (view(), doorkey.LEFT),  # nothing is seen: look around
        (view(goal=(0, 0, GOAL)), doorkey.LEFT),  # behind walls
    ],
)
def test_the_planner_begins_a_shortest_way(seen: Array, action: int) -> None:
    assert doorkey.act(seen, {}) == action
