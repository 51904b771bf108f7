"""The compiled town equals its plain reference (`reference/`) at every tick in every scenario."""

from collections.abc import Iterator
from typing import Any

import numba
import pytest
from tests.worlds.reference.compare import plan_differences, state_differences
from tests.worlds.reference.observe import features, view
from tests.worlds.reference.pair import COUNTED, Pair, Policy
from tests.worlds.reference.policies import expert, mischief, random_allowed, slips
from tests.worlds.reference.towns import CROWD, SCENARIOS, TOWNS, WORKDAY

from headstart.worlds.town.state import AGENT, OBJECT, WORLD


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """One thread: for few worlds, starting a second thread takes longer than the step."""
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    yield
    numba.set_num_threads(before)


def play(pair: Pair, policy: Policy, ticks: int, tampering: bool = False) -> set[str]:
    """Step and compare; the kinds of events that happened in episodes that ended. Tampering: before every fifth tick."""
    happened = set()
    for tick in range(ticks):
        if tampering and tick % 5 == 4:
            pair.hook()
        happened |= {event.kind for outcome in pair.step(policy) for event in outcome.events}
    return happened


# --- scenarios --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [random_allowed, expert, slips])
@pytest.mark.parametrize("name", SCENARIOS)
def test_both_agree_for_an_episode_and_past_the_reset(name: str, policy: Policy) -> None:
    pair = Pair(SCENARIOS[name], worlds=1 if policy is slips else 3)
    pair.reset()
    play(pair, policy, SCENARIOS[name]["horizon"] + 10)


@pytest.mark.parametrize("policy", [random_allowed, mischief])
@pytest.mark.parametrize("town", [WORKDAY, CROWD], ids=["workday", "crowd"])
def test_both_agree_where_everything_happens_at_once(town: dict[str, Any], policy: Policy) -> None:
    pair = Pair(town, worlds=1)
    pair.reset()
    play(pair, policy, town["horizon"] + 10)


@pytest.mark.parametrize("town", [WORKDAY, CROWD], ids=["workday", "crowd"])
def test_both_agree_on_what_play_seldom_brings_about(town: dict[str, Any]) -> None:
    pair = Pair(town, worlds=1)
    pair.reset()
    play(pair, mischief, town["horizon"] + 10, tampering=True)


def test_both_agree_where_a_life_that_ends_is_gone() -> None:
    pair = Pair(WORKDAY, worlds=1, respawn=False)
    pair.reset()
    play(pair, random_allowed, WORKDAY["horizon"] + 10)


@pytest.mark.parametrize("name", TOWNS)
def test_both_agree_on_a_staggered_start(name: str) -> None:
    pair = Pair(TOWNS[name], worlds=40)
    pair.reset(stagger=True)
    play(pair, expert, 2)


@pytest.mark.slow
@pytest.mark.parametrize("policy", [random_allowed, expert, slips, mischief])
@pytest.mark.parametrize("name", TOWNS)
def test_both_agree_for_many_worlds_and_two_episodes(name: str, policy: Policy) -> None:
    pair = Pair(TOWNS[name], worlds=8)
    pair.reset(stagger=True)
    play(pair, policy, 2 * TOWNS[name]["horizon"] + 10)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["workday", "crowd"])
def test_both_agree_in_many_worlds_on_what_play_seldom_brings_about(name: str) -> None:
    pair = Pair(TOWNS[name], worlds=8)
    pair.reset()
    play(pair, mischief, 2 * TOWNS[name]["horizon"] + 10, tampering=True)


@pytest.mark.slow
@pytest.mark.parametrize("policy", [random_allowed, mischief])
@pytest.mark.parametrize("name", ["workday", "crowd"])
def test_both_agree_for_many_worlds_where_lives_that_end_are_gone(name: str, policy: Policy) -> None:
    pair = Pair(TOWNS[name], worlds=8, respawn=False)
    pair.reset()
    play(pair, policy, 2 * TOWNS[name]["horizon"] + 10)


@pytest.mark.slow
def test_every_rule_takes_part_in_the_comparison() -> None:
    """Otherwise equality would prove little."""
    happened = set()
    for town, policy, tampering in (
        (WORKDAY, random_allowed, False),
        (WORKDAY, mischief, False),
        (CROWD, mischief, False),
        (CROWD, mischief, True),
    ):
        pair = Pair(town, worlds=6)
        pair.reset()
        happened |= play(pair, policy, town["horizon"], tampering)
    rare = {"price_spike", "blackout", "outage", "meet", "meeting", "edge_dropped"}
    assert (set(COUNTED) | rare) - happened == set()


# --- maps, and the comparison itself ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TOWNS)
def test_all_eight_turns_of_a_map_are_read_alike(name: str) -> None:
    pair = Pair(TOWNS[name], worlds=1)
    for turn, plan in enumerate(pair.references[0].town.plans):
        first = next(plan_differences(plan, pair.compiled._plans[turn]), None)
        assert first is None, f"turn {turn}: {first}"


def test_features_and_channels_of_both_have_the_same_names_in_the_same_order() -> None:
    pair = Pair(WORKDAY, worlds=1)
    pair.reset()
    town = pair.references[0].town
    assert tuple(features(town, town.agents[0])) == pair.compiled.names.features
    assert tuple(view(town, town.agents[0])) == pair.compiled.names.map_channels


FIELDS = [("agent", name) for name in AGENT.names] + [("object", name) for name in OBJECT.names]
FIELDS += [(name,) for name in WORLD.names if name not in ("agent", "object")]
NOT_STATE = {("seed",), ("id",), ("agent", "reward")}  # two keys; and the reward of the last tick, which is compared as `reward`


def test_the_comparison_notices_every_number_that_is_off_by_one() -> None:
    pair = Pair(CROWD, worlds=4)
    pair.reset()
    w = lively(pair)
    town = pair.references[w].town
    eater = next(agent.id for agent in town.agents if agent.ate_at is not None)
    waited_for = next(o for o, thing in enumerate(town.things) if thing.queue)
    unnoticed = []
    for path in FIELDS:
        worlds = pair.compiled._worlds[w : w + 1].copy()
        column = worlds
        for name in path:
            column = column[name]
        where = {"agent": (0, eater), "queue": (0, waited_for)}.get(path[0], (0,))
        column[where + (0,) * (column.ndim - len(where))] += 1
        if next(state_differences(town, worlds[0]), None) is None:
            unnoticed.append(path)
    assert set(unnoticed) == NOT_STATE


def lively(pair: Pair) -> int:
    """Play until there is a world in which an agent queues, an agent has eaten, and two agents shall meet."""
    for _ in range(150):
        pair.step(mischief)
        for w, reference in enumerate(pair.references):
            town = reference.town
            eaten = any(agent.ate_at is not None for agent in town.agents)
            if town.meeting and eaten and any(thing.queue for thing in town.things):
                return w
    raise AssertionError("expected such a moment within 150 ticks")
