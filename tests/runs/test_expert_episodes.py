"""What is kept of the episodes of an expert's gate, against numbers counted by hand."""

from pathlib import Path

import numpy as np
import pytest
from tests.stages.test_expert import POLE

from headstart.config.params import load_params
from headstart.config.scenario import Scenario
from headstart.runs.expert_episodes import episodes_of, judged_on
from headstart.runs.expert_record import Failure
from headstart.runs.worlds import worlds_of
from headstart.worlds.api import FIRST_WORLD, Act, Played, World, play

ROOT = Path(__file__).parents[2]
SCENARIO = Scenario.model_validate(POLE | {"name": "pole", "success": ["every return >= 40", "every steps >= 10"]})


def test_percentiles_and_failures_are_those_of_the_episodes() -> None:
    world = worlds_of(SCENARIO, "expert", 21)
    stats = np.zeros((21, 1, len(world.names.stats)), np.int32)
    column = {name: i for i, name in enumerate(world.names.stats)}
    stats[..., column["return"]], stats[..., column["steps"]] = 50, 50
    stats[3, :, column["return"]] = stats[7, :, column["return"]] = 39
    stats[7, :, column["terminated"]] = 1
    total = np.arange(21.0)[::-1]  # of 0 … 20 in equal steps the percentiles are 1, 10 and 19
    played = Played(world.success(stats), world.harm(stats), total, stats)

    found = episodes_of(played, world, SCENARIO, np.array([5, 0]))

    assert (found.return_p5, found.return_median, found.return_p95) == (1.0, 10.0, 19.0)
    first = FIRST_WORLD["expert"]
    assert found.failures == (
        Failure(condition="every return >= 40", of="success", episodes=2, world=first + 3),
        Failure(condition="any terminated > 0", of="harm", episodes=1, world=first + 7),
    )
    assert list(found.decisions.values()) == [5]  # an action that was never chosen is not listed


def test_decisions_are_counted_while_an_episode_lasts_and_a_failure_can_be_played_again() -> None:
    def always_left(world: World) -> Act:
        return lambda obs: np.zeros(world.num_envs, np.int64)

    params = load_params(ROOT / "params.yaml")
    score, found = judged_on(params, SCENARIO, 8, always_left)

    assert sum(found.decisions.values()) == pytest.approx(8 * score.return_mean)  # one of reward for every step
    (fell,) = (failure for failure in found.failures if failure.of == "harm")
    alone = worlds_of(SCENARIO, "expert", 1, skip=fell.world - FIRST_WORLD["expert"])
    assert play(alone, always_left(alone), params.expert.seed).harm.all()
