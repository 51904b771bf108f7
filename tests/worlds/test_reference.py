"""The compiled town beside its plain reference (`reference/`): everything equal, at every tick, in every scenario."""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
import yaml
from tests.worlds.reference.compare import named_differences, plan_differences, reward_differences, state_differences
from tests.worlds.reference.layout import apart, beside
from tests.worlds.reference.observe import features, view
from tests.worlds.reference.town import Event
from tests.worlds.reference.world import Outcome, make_world

from headstart.worlds.town.env import Town
from headstart.worlds.town.state import (
    ACTIONS,
    AGENT,
    CHAT,
    LEAVE,
    N_ACTIONS,
    NONE,
    NORTH,
    OBJECT,
    PRESS,
    STATS,
    WAIT,
    WEST,
    WORLD,
    YIELD,
)

SCENARIOS = {
    path.stem: yaml.safe_load(path.read_text()) for path in sorted((Path(__file__).parents[2] / "scenarios").glob("*.yaml"))
}

# Two towns in which everything that the rules know happens often. One works: three jobs at two workplaces, short days, no peace.
WORKDAY: dict[str, Any] = {
    "horizon": 200,
    "success": ["sum faints == 0"],
    "harm": ["sum late > 0"],
    "setup": {
        "agents": 8,
        "layout": """
            ################
            ##S#.......#..K#
            ##.#.......#...#
            ##.............#
            #..........#...#
            #..........##.##
            #..............#
            #..............#
            #..............#
            #..............#
            #..............#
            ###.####.......#
            #......#.......#
            #F..FT.#..C...B#
            ################
        """,
        "need": {"hunger": [2000, 6000], "hygiene": [1000, 6000], "energy": [3000, 8000]},
        "decay": {"hunger": 30, "energy": 20},
        "wallet": [30, 200],
        "fridge_stock": 2,
        "restock_every": 25,
        "day": 40,
        "rivalry": [0, 9000],
        "jobs": 3,
        "shift": {"first": 3, "spacing": 3, "jitter": 4, "length": 22},
        "perturbations": {"price_spike": 15000, "blackout": 15000, "outage": 15000, "meet": 30000},
    },
}
# The other stays at home and queues: two fridges side by side, four meals, and what is cooked.
CROWD: dict[str, Any] = WORKDAY | {
    "setup": WORKDAY["setup"]
    | {"jobs": 0, "wallet": [100, 300], "fridge_stock": 4, "restock_every": 0, "rivalry": [0, 5500], "rivalry_decay": 60}
}
TOWNS = SCENARIOS | {"workday": WORKDAY, "crowd": CROWD}
SEED, FIRST_WORLD = 17, 41
Policy = Callable[["Pair"], np.ndarray]  # → actions [N]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """A few worlds are stepped here; waking a second thread for them takes longer than the step."""
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    yield
    numba.set_num_threads(before)


class Pair:
    """W compiled worlds and their references, stepped together. `step` fails at the first difference."""

    def __init__(self, scenario: dict[str, Any], worlds: int, respawn: bool = True) -> None:
        rules: dict[str, Any] = {name: scenario[name] for name in ("setup", "horizon")}
        predicates = {name: scenario[name] for name in ("success", "harm")}
        ids = range(FIRST_WORLD, FIRST_WORLD + worlds)
        self.compiled = Town(**rules, **predicates, num_worlds=worlds, first_world=FIRST_WORLD, hybrid=True, respawn=respawn)
        self.references = [make_world(**rules, seed=SEED, world=id, respawn=respawn) for id in ids]
        self.rng = np.random.default_rng(SEED)

    def reset(self, stagger: bool = False) -> None:
        self.seen, _ = self.compiled.reset(seed=SEED, options={"stagger": stagger})
        for w, reference in enumerate(self.references):
            reference.reset(stagger)
            self.require_equal(w, "after the reset", self.view_differences(w))

    def step(self, policy: Policy) -> list[Outcome]:
        actions = policy(self)
        tick = [f"{r.town.episode}, tick {r.town.tick}" for r in self.references]
        before = actions.reshape(len(self.references), -1)
        self.seen, reward, terminated, truncated, info = self.compiled.step(actions)
        outcomes = [reference.step(before[w].tolist()) for w, reference in enumerate(self.references)]
        ended = terminated, truncated, info["episode_end"]
        for w, outcome in enumerate(outcomes):
            found = chain(
                reward_differences(outcome.reward, self.rows(info["reward_terms"], w), self.rows(reward, w)),
                self.end_differences(w, outcome, *ended),
                self.final_differences(w, outcome, info),
                self.view_differences(w),
            )
            self.require_equal(w, f"in episode {tick[w]}, actions {before[w]}", found)
        return outcomes

    def require_equal(self, w: int, when: str, differences: Iterator[str]) -> None:
        first = next(differences, None)
        assert first is None, f"world {FIRST_WORLD + w} {when}: {first}"

    def rows(self, array: np.ndarray, w: int) -> np.ndarray:
        """[N, …] → [A, …] of world w."""
        return array.reshape(len(self.references), -1, *array.shape[1:])[w]

    def view_differences(self, w: int) -> Iterator[str]:
        """The state, and what everybody sees of it."""
        reference = self.references[w]
        yield from state_differences(reference.town, self.compiled._worlds[w])
        for agent in reference.town.agents:
            mask = dict(zip(self.compiled.names.actions, reference.mask(agent.id), strict=True))
            yield from named_differences(agent.id, "mask", mask, self.rows(self.seen["mask"], w)[agent.id])
            yield from named_differences(
                agent.id, "feature", features(reference.town, agent), self.rows(self.seen["features"], w)[agent.id]
            )
            yield from named_differences(agent.id, "map", view(reference.town, agent), self.rows(self.seen["map"], w)[agent.id])

    def end_differences(self, w: int, outcome: Outcome, *flags: np.ndarray) -> Iterator[str]:
        terminated, truncated, over = flags
        for name, expected, got in (("terminated", outcome.terminated, terminated), ("truncated", outcome.truncated, truncated)):
            if expected != self.rows(got, w).tolist():
                yield f"{name}: reference {expected}, compiled {self.rows(got, w).tolist()}"
        if outcome.over != over[w]:
            yield f"episode end: reference {outcome.over}, compiled {over[w]}"

    def final_differences(self, w: int, outcome: Outcome, info: dict[str, Any]) -> Iterator[str]:
        """What rows saw last, and the statistics of an episode that is over."""
        for what, last in (("features", outcome.final_features), ("map", outcome.final_map)):
            for a, expected in last.items():
                yield from named_differences(a, f"last {what}", expected, self.rows(info["final_obs"][what], w)[a])
        for a, stats in enumerate(outcome.stats):
            yield from named_differences(a, "statistics", stats, info["stats"][w, a])
            yield from named_differences(a, "ledger of", ledger(outcome.events, a), info["stats"][w, a, : len(COUNTED)])


def expert(pair: Pair) -> np.ndarray:
    return pair.compiled.expert_actions().copy()


def random_allowed(pair: Pair) -> np.ndarray:
    mask = pair.seen["mask"]
    return np.where(mask > 0, pair.rng.random(mask.shape), -1.0).argmax(axis=1)


def slips(pair: Pair) -> np.ndarray:
    """The expert, but three actions in ten are any at all, allowed or not."""
    actions = expert(pair)
    any_action = pair.rng.integers(0, N_ACTIONS, len(actions))
    return np.where(pair.rng.random(len(actions)) < 0.3, any_action, actions)


def mischief(pair: Pair) -> np.ndarray:
    """The expert, but it goes where it is invited, and now and then it dawdles, presses, yields, chats or gives up."""
    actions = expert(pair)
    for row, (town, agent) in enumerate(
        (reference.town, agent) for reference in pair.references for agent in reference.town.agents
    ):
        mask = pair.seen["mask"][row]
        if town.meeting and agent.id in town.meeting and agent.status == NONE:
            ways = [side for side in range(NORTH, WEST + 1) if mask[side]]
            actions[row] = min(ways, default=WAIT, key=lambda s: apart(beside(agent.cell, ACTIONS[s]), town.meeting_cell))
        elif pair.rng.random() < 0.3:
            actions[row] = pair.rng.choice([action for action in (WAIT, YIELD, PRESS, CHAT) if mask[action]])
        elif pair.rng.random() < 0.01 and mask[LEAVE]:
            actions[row] = LEAVE
    return actions


COUNTED = STATS[: STATS.index("lowest_need")]  # the others are measures


def ledger(events: list[Event], a: int) -> dict[str, int]:
    """What the list of events says that agent `a` did in its episode."""
    found: Counter[str] = Counter()
    for event in events:
        if event.agent == a:
            found[event.kind] += event.amount
    return {name: found[name] for name in COUNTED}


def play(pair: Pair, policy: Policy, ticks: int) -> set[str]:
    """Step and compare; the kinds of events that happened in episodes that ended."""
    return {event.kind for _ in range(ticks) for outcome in pair.step(policy) for event in outcome.events}


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


def test_both_agree_where_a_life_that_ends_is_gone() -> None:
    pair = Pair(WORKDAY, worlds=1, respawn=False)
    pair.reset()
    play(pair, random_allowed, WORKDAY["horizon"] + 10)


@pytest.mark.parametrize("name", TOWNS)
def test_both_agree_on_a_staggered_start(name: str) -> None:
    pair = Pair(TOWNS[name], worlds=4)
    pair.reset(stagger=True)
    play(pair, expert, 10)


@pytest.mark.slow
@pytest.mark.parametrize("policy", [random_allowed, expert, slips, mischief])
@pytest.mark.parametrize("name", TOWNS)
def test_both_agree_for_many_worlds_and_two_episodes(name: str, policy: Policy) -> None:
    pair = Pair(TOWNS[name], worlds=16)
    pair.reset(stagger=True)
    play(pair, policy, 2 * TOWNS[name]["horizon"] + 10)


@pytest.mark.slow
@pytest.mark.parametrize("policy", [random_allowed, mischief])
@pytest.mark.parametrize("name", ["workday", "crowd"])
def test_both_agree_for_many_worlds_where_lives_that_end_are_gone(name: str, policy: Policy) -> None:
    pair = Pair(TOWNS[name], worlds=16, respawn=False)
    pair.reset()
    play(pair, policy, 2 * TOWNS[name]["horizon"] + 10)


@pytest.mark.slow
def test_every_rule_takes_part_in_the_comparison() -> None:
    """Else equality would say little."""
    happened = set()
    for town, policy in ((WORKDAY, random_allowed), (WORKDAY, mischief), (CROWD, mischief)):
        pair = Pair(town, worlds=6)
        pair.reset()
        happened |= play(pair, policy, town["horizon"])
    rare = {"price_spike", "blackout", "outage", "meet", "meeting", "shared_meal", "edge_dropped", "chat_failed"}
    assert (set(COUNTED) | rare) - happened == set()


# --- maps, and the comparison itself ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TOWNS)
def test_all_eight_turns_of_a_map_are_read_alike(name: str) -> None:
    pair = Pair(TOWNS[name], worlds=1)
    for turn, plan in enumerate(pair.references[0].town.plans):
        first = next(plan_differences(plan, pair.compiled._plans[turn]), None)
        assert first is None, f"turn {turn}: {first}"


FIELDS = [("agent", name) for name in AGENT.names] + [("object", name) for name in OBJECT.names]
FIELDS += [(name,) for name in WORLD.names if name not in ("agent", "object")]
NOT_STATE = {("seed",), ("id",), ("agent", "reward")}  # two keys; and the pay of the last tick, which is compared as `reward`


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
    """Play until there is a world in which somebody queues, somebody has eaten, and two shall meet."""
    for _ in range(150):
        pair.step(mischief)
        for w, reference in enumerate(pair.references):
            town = reference.town
            eaten = any(agent.ate_at is not None for agent in town.agents)
            if town.meeting and eaten and any(thing.queue for thing in town.things):
                return w
    raise AssertionError("expected such a moment within 150 ticks")
