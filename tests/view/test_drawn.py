"""Which worlds can be drawn, and the command that plays a policy in each."""

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
from tests.own_experts import POLE as OWN

from headstart.config.scenario import Scenario
from headstart.core.errors import MissingExtra
from headstart.view import drawn
from headstart.view.drawn import watch_command

POLE = OWN | {"expert": {"policy": "ppo", "success_rate": 0.9, "harm_rate": 0.1}}
TOWN: dict[str, Any] = POLE | {"world": "town", "setup": {}, "success": ["every eats >= 1"], "harm": ["sum faints > 0"]}
SPREAD = {"world": "pettingzoo", "setup": {"id": "mpe2.simple_spread_v3"}}
BLIND = {"setup": {"id": "tests.view.test_drawn:Blind-v0"}}


class Blind(gym.Env[Any, Any]):
    """An environment that nothing can draw."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["human"]}
    observation_space, action_space = gym.spaces.Box(-1, 1, (2,), np.float32), gym.spaces.Discrete(2)


gym.register("Blind-v0", entry_point=Blind)


def command_in(described: dict[str, Any]) -> str | None:
    return watch_command(Scenario.model_validate(described), "models/pole")


def test_the_town_plays_in_the_terminal_and_every_world_that_has_pictures_as_a_page() -> None:
    assert command_in(TOWN) == "headstart play pole --policy models/pole"
    page = "headstart play pole --policy models/pole --html pole.html"
    assert [command_in(POLE | more) for more in ({}, SPREAD, {"world": "nav"})] == [page] * 3


def test_no_command_is_named_where_an_environment_has_no_pictures_or_is_not_there() -> None:
    assert command_in(POLE | BLIND) is None
    assert command_in(POLE | {"setup": {"id": "Nowhere-v7"}}) is None


def test_a_package_that_is_missing_here_changes_no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(*_: object, **__: object) -> None:
        raise MissingExtra("mujoco")

    monkeypatch.setattr(drawn, "make", lacking)

    assert command_in(POLE) == "headstart play pole --policy models/pole --html pole.html"
