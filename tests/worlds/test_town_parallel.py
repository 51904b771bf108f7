"""The PettingZoo form of one town: the same episodes as the vectorised one, and no respawn."""

import warnings

import numpy as np
import pytest
from pettingzoo.test import parallel_api_test, parallel_seed_test
from tests.worlds.scene import SCENARIOS, scenario, town

from headstart.core.errors import UsageError
from headstart.runs.worlds import task_of
from headstart.worlds.parallel import ParallelTown
from headstart.worlds.town import state as s


def parallel(name: str = "queue_conflict", hybrid: bool = False, world: int = 0) -> ParallelTown:
    return ParallelTown(task_of(scenario(name)), world, hybrid)


@pytest.mark.parametrize("hybrid", [False, True], ids=["compact", "hybrid"])
def test_pettingzoo_accepts_it(hybrid: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parallel_api_test(parallel(hybrid=hybrid), num_cycles=300)


def test_the_same_seed_gives_the_same_episode() -> None:
    parallel_seed_test(parallel, num_cycles=60)


@pytest.mark.parametrize("name", SCENARIOS)
def test_it_tells_the_story_of_the_vectorised_town(name: str) -> None:
    rows, alone = town(1, first_world=3, name=name), parallel(name, world=3)
    seen, _ = rows.reset(seed=11)
    mine, _ = alone.reset(seed=11)
    for tick in range(rows.horizon):
        actions = rows.expert_actions().copy()
        assert alone.expert_actions() == {f"agent_{a}": actions[a] for a in range(rows.num_agents)}
        seen, reward, terminated, truncated, info = rows.step(actions)
        mine, earned, ended, cut, _ = alone.step({f"agent_{a}": int(action) for a, action in enumerate(actions)})
        last = tick == rows.horizon - 1
        for a in range(rows.num_agents):
            agent = f"agent_{a}"
            features = info["final_obs"]["features"] if last else seen["features"]
            np.testing.assert_array_equal(mine[agent]["features"], features[a])
            assert (earned[agent], ended[agent], cut[agent]) == (reward[a], terminated[a], truncated[a])
            if not last:
                np.testing.assert_array_equal(mine[agent]["mask"], seen["mask"][a])
    assert alone.agents == []


def test_an_agent_that_faints_leaves_the_town_and_the_others_go_on() -> None:
    alone = parallel()
    alone.reset(seed=1)
    world = alone._town._worlds[0]
    world["agent"][1]["need"][s.HUNGER] = 310
    place = int(world["agent"][1]["y"]), int(world["agent"][1]["x"])
    seen, reward, terminated, truncated, _ = alone.step(dict.fromkeys(alone.agents, s.WAIT))
    assert (terminated["agent_1"], truncated["agent_1"]) == (True, False)
    assert reward["agent_1"] < -2.0
    assert seen["agent_1"]["mask"].sum() == 1
    assert alone.agents == ["agent_0", "agent_2", "agent_3"]
    assert world["occupant"][place] == -1
    seen, *_ = alone.step(dict.fromkeys(alone.agents, s.WAIT))
    assert set(seen) == {"agent_0", "agent_2", "agent_3"}
    others = [alone._town.names.features.index(f"other{i}_exists") for i in range(3)]
    assert seen["agent_0"]["features"][others].tolist() == [1.0, 1.0, 0.0]
    with pytest.raises(UsageError, match="expected one for each of"):
        alone.step({"agent_1": s.WAIT})


def test_reset_without_a_seed_begins_another_episode() -> None:
    alone = parallel()
    first, _ = alone.reset(seed=5)
    second, _ = alone.reset()
    assert not np.array_equal(first["agent_0"]["features"], second["agent_0"]["features"])
    again, _ = alone.reset(seed=5)
    np.testing.assert_array_equal(first["agent_0"]["features"], again["agent_0"]["features"])
