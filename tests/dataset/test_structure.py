"""A dataset that is put together wrongly is caught, with every problem named."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from headstart.dataset.episodes import Episodes
from headstart.dataset.observation import ObservationSchema
from headstart.dataset.structure import length_problems, shape_problems, structure_gates, table_problems


def spoil_table(episodes: Episodes, **columns: Any) -> Episodes:
    return replace(episodes, table=replace(episodes.table, **columns))


def test_a_sound_dataset_has_no_problem(walks: Episodes, walk_schema: ObservationSchema) -> None:
    assert [check.passed for check in structure_gates(walks, walk_schema)] == [True, True, True]


def test_every_column_of_another_length_is_named(walks: Episodes) -> None:
    short = replace(walks, reward=walks.reward[:-1], terminated=walks.terminated[:-2])
    short = spoil_table(short, success=walks.table.success[:-1], behaviour={"visits": np.zeros(3, np.int32)})

    problems = " | ".join(length_problems(short))

    for column in ("reward has 5759", "terminated has 5758", "success has 239", "behaviour/visits has 3"):
        assert column in problems


def test_a_final_observation_short_of_one_episode_is_named(walks: Episodes) -> None:
    final = {"features": walks.final_observation["features"][:-1]}

    assert length_problems(replace(walks, final_observation=final)) == ["final_observation/features has 239 rows, start 240"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda start, length: (start, length - (np.arange(240) == 3)), ["gap before episode 4"]),
        (lambda start, length: (start, length + (np.arange(240) == 3)), ["overlap before episode 4"]),
        (
            lambda start, length: (start, length - (np.arange(240) == 239)),
            ["gap before the end of the steps"],
        ),
        (lambda start, length: (start, length + (np.arange(240) == 239)), ["overlap before the end of"]),
        (lambda start, length: (start + (np.arange(240) == 0), length), ["gap before episode 0", "overlap"]),
        (lambda start, length: (start[::-1], length), ["gap before episode 0", "overlap before episode 1"]),
        (lambda start, length: (start, length * (np.arange(240) != 3)), ["episode 3 has 0 steps", "gap"]),
        (lambda start, length: (start[:0], length[:0]), ["expected start and length of E ≥ 1 rows"]),
        (lambda start, length: (start, length[:-1]), ["got [240] and [239]"]),
    ],
)
def test_gaps_overlaps_and_empty_episodes_are_named(
    change: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]],
    expected: list[str],
    walks: Episodes,
) -> None:
    start, length = change(walks.table.start, walks.table.length)

    problems = " | ".join(table_problems(spoil_table(walks, start=start, length=length)))

    for problem in expected:
        assert problem in problems


@pytest.mark.parametrize(
    ("column", "to", "problem"),
    [
        ("action", lambda a: a.astype(np.int32), "action: expected int64 [·], got int32 [5760]"),
        ("action_mask", lambda a: a[:, :4], "action_mask: expected bool [·, 5], got bool [5760, 4]"),
        ("reward", lambda a: a.astype(np.float64), "reward: expected float32 [·], got float64 [5760]"),
        ("reward_terms", lambda a: a[:, :1], "reward_terms: expected float32 [·, 2], got float32 [5760, 1]"),
        ("truncated", lambda a: a.astype(np.uint8), "truncated: expected bool [·], got uint8 [5760]"),
    ],
)
def test_a_column_of_another_dtype_or_shape_is_named(
    column: str,
    to: Callable[[np.ndarray], np.ndarray],
    problem: str,
    walks: Episodes,
    walk_schema: ObservationSchema,
) -> None:
    change: dict[str, Any] = {column: to(getattr(walks, column))}
    spoilt = replace(walks, **change)

    assert shape_problems(spoilt, walk_schema) == [problem]


def test_features_that_the_schema_does_not_describe_are_named(walks: Episodes, walk_schema: ObservationSchema) -> None:
    features = walks.observation["features"]
    extra = replace(walks, observation={"features": features[:, :5], "map": np.zeros((5760, 1, 3, 3), np.uint8)})

    assert shape_problems(extra, walk_schema) == [
        "observation/map is not in the observation schema",
        "observation and final_observation have different keys",
        "observation/features: expected float32 [·, 6], got float32 [5760, 5]",
        *["observation/map: expected uint8 [·, 0, 0, 0], got uint8 [5760, 1, 3, 3]"],
    ]


def test_a_dataset_without_features_is_named_not_crashed_on(walks: Episodes, walk_schema: ObservationSchema) -> None:
    bare = replace(walks, observation={}, final_observation={})

    assert shape_problems(bare, walk_schema) == [
        "observation/features is missing",
        "final_observation/features is missing",
    ]
