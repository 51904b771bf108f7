"""The same seed and world id give the same bytes: for any number of worlds, rows, threads, and on any machine."""

import hashlib
from collections.abc import Iterator

import numba
import numpy as np
import pytest
from tests.goldens import same_as_golden
from tests.worlds.scene import SCENARIOS, town

from headstart.worlds.town.env import Town

pytestmark = pytest.mark.parametrize("name", SCENARIOS)


def digest(world: Town, ticks: int, rows: slice, seed: int = 3) -> str:
    """Observations and rewards of the chosen rows with the expert's actions."""
    found = hashlib.sha256()
    seen, _ = world.reset(seed=seed)
    for _ in range(ticks):
        for name in sorted(seen):
            found.update(np.ascontiguousarray(seen[name][rows]).tobytes())
        seen, reward, terminated, truncated, _ = world.step(world.expert_actions())
        for column in (reward, terminated, truncated):
            found.update(np.ascontiguousarray(column[rows]).tobytes())
    return found.hexdigest()


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = numba.get_num_threads()
    numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))
    yield
    numba.set_num_threads(before)


def test_world_0_is_the_same_among_1000_across_resets(name: str, two_threads: None) -> None:
    alone, among = town(1, hybrid=True, name=name), town(1000, hybrid=True, name=name)
    assert digest(alone, 300, slice(0, alone.num_agents)) == digest(among, 300, slice(0, alone.num_agents))


def test_a_world_is_its_id_wherever_its_row_is(name: str) -> None:
    near, far = town(8, name=name), town(3, first_world=5, name=name)
    agents = near.num_agents
    assert digest(near, 200, slice(5 * agents, 6 * agents)) == digest(far, 200, slice(0, agents))


def test_threads_do_not_matter(name: str, two_threads: None) -> None:
    many = digest(town(64, name=name), 150, slice(None))
    numba.set_num_threads(1)
    assert digest(town(64, name=name), 150, slice(None)) == many


def test_a_snapshot_brings_back_the_same_future(name: str) -> None:
    world = town(4, name=name)
    world.reset(seed=5)
    for _ in range(50):
        world.step(world.expert_actions())
    kept = world.snapshot()
    first = [world.step(world.expert_actions())[1].copy() for _ in range(250)]
    world.restore(kept)
    np.testing.assert_array_equal(first, [world.step(world.expert_actions())[1].copy() for _ in range(250)])


@pytest.mark.parametrize("hybrid", [False, True], ids=["compact", "hybrid"])
def test_an_expert_driven_run_has_its_golden_hash(name: str, hybrid: bool) -> None:
    found = digest(town(4, hybrid=hybrid, name=name), 300, slice(None))
    same_as_golden(found, "town.json", name, "hybrid" if hybrid else "compact")
