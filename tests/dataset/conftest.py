"""A recording of 3 episodes (2, 3 and 1 steps, every column with values of its own), and a toy world whose recorder can be broken on purpose."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from headstart.config.params import ValidateParams
from headstart.config.scenario import Scenario
from headstart.core.verdict import Check
from headstart.dataset.episodes import Episodes, EpisodeTable, episode_ids
from headstart.dataset.gates import Dataset, Provenance, dataset_gates
from headstart.dataset.manifest import Block, Tally
from headstart.dataset.observation import ObservationSchema

LENGTHS = np.array([2, 3, 1], np.int64)
ACTIONS = ("wait", "north", "south", "east", "west")
MOVES = np.array([[0, 0], [-1, 0], [1, 0], [0, 1], [0, -1]])
SIZE, HORIZON = 9, 24


class Walk:
    """An agent on a 9 × 9 grid visits two corners of its own; features: y, x, goal y, goal x, progress, a
    beacon.
    """

    def __init__(self, seed: int, world: int) -> None:
        self.draw = np.random.default_rng([seed, world])
        self.place = self.draw.integers(0, SIZE, 2)
        self.goals = [self.draw.integers(0, SIZE, 2) for _ in range(2)]
        self.beacon, self.tick = self.draw.random(), 0

    def features(self) -> np.ndarray:
        goal = self.goals[0] if self.goals else self.place
        values = [*self.place / SIZE, *goal / SIZE, self.tick / HORIZON, self.beacon]
        return np.array(values, np.float32)

    def mask(self) -> np.ndarray:
        target = self.place + MOVES
        return np.asarray(np.all((target >= 0) & (target < SIZE), axis=1))

    def expert(self) -> int:
        if not self.goals:
            return 0
        dy, dx = self.goals[0] - self.place
        if abs(dy) >= abs(dx) and dy:
            return 2 if dy > 0 else 1
        return 0 if dx == 0 else 3 if dx > 0 else 4

    def step(self, action: int) -> tuple[float, float]:
        self.place = self.place + MOVES[action]
        self.tick += 1
        self.beacon = (self.beacon * 0.9 + 0.1 * self.draw.random()) % 1
        arrived = bool(self.goals) and bool(np.all(self.place == self.goals[0]))
        if arrived:
            self.goals.pop(0)
        return -0.01, float(arrived)


def record_walks(worlds: Sequence[int] = range(240), seed: int = 7, fault: str = "") -> Episodes:
    """One episode a world. `fault`: next, reset, stale or previous: the ways in which a recorder can be a
    step off.
    """
    rows: list[tuple[Any, ...]] = []
    paths, lengths, done = [], [], []
    for world in worlds:
        walk, path = Walk(seed, world), []
        while walk.tick < HORIZON:
            path.append(walk.features())
            mask, action = walk.mask(), walk.expert()
            rows.append((mask, action, *walk.step(action)))
        paths.append(np.array([*path, walk.features()]))
        lengths.append(walk.tick)
        done.append(not walk.goals)
    masks, actions, *terms = (np.array(column) for column in zip(*rows, strict=True))
    length = np.array(lengths)
    start = np.cumsum(length) - length
    reward_terms = np.stack(terms, axis=1).astype(np.float32)
    reward = reward_terms.sum(axis=1)
    truncated = np.zeros(len(actions), bool)
    truncated[start + length - 1] = True
    e = len(length)
    table = EpisodeTable(
        episode_id=np.array([hashlib.sha256(f"{seed}/{w}".encode()).hexdigest()[:16] for w in worlds], "S16"),
        start=start,
        length=length,
        seed=np.full(e, seed),
        world=np.array(worlds),
        episode=np.zeros(e, int),
        agent=np.zeros(e, int),
        total_reward=np.add.reduceat(reward, start).astype(np.float32),
        success=np.array(done),
        harm=np.zeros(e, bool),
        behaviour={"visits": np.full(e, 2, np.int32)},
    )
    return Episodes(
        observation={"features": _stored(paths, fault)},
        action=actions,
        expert_action=actions.copy(),
        action_mask=masks,
        reward=reward,
        reward_terms=reward_terms,
        terminated=np.zeros(len(actions), bool),
        truncated=truncated,
        final_observation={"features": np.array([path[-1] for path in paths])},
        table=table,
    )


def _stored(paths: list[np.ndarray], fault: str) -> np.ndarray:
    aligned = np.concatenate([path[:-1] for path in paths])
    if fault == "next":
        return np.concatenate([path[1:] for path in paths])
    if fault == "stale":
        return np.concatenate([np.concatenate([path[:1], path[:-2]]) for path in paths])
    return np.roll(aligned, {"": 0, "reset": -1, "previous": 1}[fault], axis=0)


def replay_walks(episodes: Episodes, sample: int = 20) -> tuple[int, int]:
    """Simulate the first `sample` episodes again: (replayed, how many differ in any observation)."""
    table, differ = episodes.table, 0
    for e in range(sample):
        walk = Walk(int(table.seed[e]), int(table.world[e]))
        same = True
        for row in range(table.start[e], table.start[e] + table.length[e]):
            same &= np.array_equal(walk.features(), episodes.observation["features"][row])
            walk.step(int(episodes.action[row]))
        differ += not same
    return sample, differ


WALK = Scenario.model_validate(
    {
        "name": "walk",
        "world": "walk",
        "horizon": HORIZON,
        "setup": {},
        "success": ("arrived >= 2",),
        "harm": ("harmed >= 1",),
        "expert": {"policy": "scripted", "success_rate": 0.9, "harm_rate": 0.1},
        "targets": {"walks": {"success_rate": 0.9}},
        "feature_range": (0.0, 1.0),
        "min_action_share": {"north": 0.01, "west": 0.01},
    }
)
LIMITS = ValidateParams(min_episodes=200, min_success_rate=0.9, max_majority_share=0.9, replay_worlds=20)
SOUND = Provenance(seed=7, expert_sha256="e" * 64, recorded_sha256="e" * 64, replayed=20, differing=0)
SCHEMA = ObservationSchema(
    world="walk",
    features=("y", "x", "goal_y", "goal_x", "progress", "beacon"),
    actions=ACTIONS,
    reward_terms=("step", "visit"),
)


def gates_of(
    episodes: Episodes,
    heldout: np.ndarray | None = None,
    schema: ObservationSchema = SCHEMA,
    scenario: Any = None,
    first_worlds: Sequence[int] = (0,),
    bounds: Any = None,
    slip: float = 0.0,
    **provenance: Any,
) -> list[Check]:
    """The gates of `episodes`; `scenario` and `provenance` are what differs from WALK and SOUND. `first_worlds`: where each block begins."""
    sides = episodes.table.world % 5 == 0 if heldout is None else heldout
    blocks = tuple(
        block_of_worlds(episodes, first, last) for first, last in zip(first_worlds, (*first_worlds[1:], 10**6), strict=True)
    )
    data = Dataset(episodes, sides, schema, WALK.model_copy(update=scenario), LIMITS, blocks, bounds, slip=slip)
    return dataset_gates(data, SOUND._replace(**provenance))


def block_of_worlds(episodes: Episodes, first: int, behind: int) -> Block:
    """The block of the worlds from `first` to before `behind`, of which no episode was rejected."""
    inside = (episodes.table.world >= first) & (episodes.table.world < behind)
    steps = int(episodes.table.length[inside].sum())
    tally = Tally(worlds=len(np.unique(episodes.table.world[inside])), episodes=int(inside.sum()), steps=steps)
    return Block(first_world=first, last_world=behind - 1, recorded=tally, accepted=tally)


@pytest.fixture(scope="session")
def walks() -> Episodes:
    return record_walks()


@pytest.fixture(scope="session")
def record() -> Callable[..., Episodes]:
    return record_walks


@pytest.fixture(scope="session")
def replay() -> Callable[[Episodes], tuple[int, int]]:
    return replay_walks


@pytest.fixture
def gates() -> Callable[..., list[Check]]:
    return gates_of


@pytest.fixture
def episodes() -> Episodes:
    steps, count = int(LENGTHS.sum()), len(LENGTHS)
    number = np.arange(count, dtype=np.int64)
    seed, world, zero = np.full(count, 7, np.int64), 100 + number, np.zeros(count, np.int64)
    reward = (np.arange(steps) / 8).astype(np.float32)
    return Episodes(
        observation={
            "features": (np.arange(steps * 5) / 4).reshape(steps, 5).astype(np.float32),
            "map": (np.arange(steps * 18) % 2).reshape(steps, 2, 3, 3).astype(np.uint8),
        },
        action=np.arange(steps, dtype=np.int64) % 4,
        expert_action=(np.arange(steps, dtype=np.int64) + 1) % 4,
        action_mask=np.ones((steps, 4), bool),
        reward=reward,
        reward_terms=np.stack([reward, -reward], axis=1),
        terminated=np.array([0, 0, 0, 0, 1, 0], bool),
        truncated=np.array([0, 1, 0, 0, 0, 1], bool),
        final_observation={
            "features": np.full((count, 5), 9, np.float32),
            "map": np.ones((count, 2, 3, 3), np.uint8),
        },
        table=EpisodeTable(
            episode_id=episode_ids("a" * 64, "b" * 64, seed, world, zero, zero),
            start=np.array([0, 2, 5], np.int64),
            length=LENGTHS,
            seed=seed,
            world=world,
            episode=zero,
            agent=zero,
            total_reward=np.array([0.125, 1.125, 0.625], np.float32),
            success=np.array([True, False, True]),
            harm=np.array([False, True, False]),
            behaviour={"showers": np.array([1, 0, 2], np.int32)},
        ),
    )
