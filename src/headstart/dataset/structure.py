"""Is a dataset put together as its format says: lengths, episode table, dtypes and shapes. Nothing here
reads a value.

These gates come first: where one fails, rows cannot be assigned to episodes and no later gate can measure
anything.
"""

from typing import NamedTuple

import numpy as np

from headstart.core.arrays import Array
from headstart.core.errors import InputError
from headstart.core.verdict import Check, at_most
from headstart.dataset.episodes import Episodes
from headstart.dataset.observation import ObservationSchema


class Expected(NamedTuple):
    """What one column must be; `shape` without its leading axis."""

    name: str
    column: Array
    dtype: str
    shape: tuple[int, ...]


def structure_gates(episodes: Episodes, schema: ObservationSchema) -> list[Check]:
    """The three structural checks, each listing all of its problems."""
    return [
        _listed("length-alignment", length_problems(episodes)),
        _listed("episode-table", table_problems(episodes)),
        _listed("dtype-shape", shape_problems(episodes, schema)),
    ]


def length_problems(episodes: Episodes) -> list[str]:
    """Every step column has N rows, every column of the episode table E."""
    steps, table = _step_columns(episodes), _table_columns(episodes)
    n, e = _rows(episodes.action), _rows(episodes.table.start)
    wrong = [f"{name} has {_rows(c)} rows, action {n}" for name, c in steps.items() if _rows(c) != n]
    return wrong + [f"{name} has {_rows(c)} rows, start {e}" for name, c in table.items() if _rows(c) != e]


def table_problems(episodes: Episodes) -> list[str]:
    """Episodes tile the steps in order: each begins where the last one ended, none is empty, the last ends
    at N.
    """
    start, length = episodes.table.start, episodes.table.length
    if start.ndim != 1 or start.shape != length.shape or len(start) == 0:
        return [f"expected start and length of E ≥ 1 rows, got {list(start.shape)} and {list(length.shape)}"]
    ends = np.concatenate([[0], start + length])
    begins = np.concatenate([start, [_rows(episodes.action)]])
    problems = [f"episode {e} has {length[e]} steps" for e in np.flatnonzero(length < 1)]
    for e in np.flatnonzero(begins != ends):
        kind = "gap" if begins[e] > ends[e] else "overlap"
        what = f"episode {e}" if e < len(start) else "the end of the steps"
        problems.append(f"{kind} before {what}: expected row {ends[e]}, got {begins[e]}")
    return problems


def shape_problems(episodes: Episodes, schema: ObservationSchema) -> list[str]:
    """Every column has the dtype and trailing shape of the format and of the observation schema."""
    problems = []
    known = {"features"} | ({"map"} if schema.map_channels else set())
    for place in ("observation", "final_observation"):
        keys = set(getattr(episodes, place))
        problems += [f"{place}/features is missing"] * ("features" not in keys)
        problems += [f"{place}/{key} is not in the observation schema" for key in sorted(keys - known)]
    if set(episodes.observation) != set(episodes.final_observation):
        problems.append("observation and final_observation have different keys")
    for want in _expected(episodes, schema):
        dtype, shape = str(want.column.dtype), want.column.shape[1:]
        if want.column.ndim == 0 or dtype != want.dtype or shape != want.shape:
            expected = f"{want.dtype} [·{''.join(f', {size}' for size in want.shape)}]"
            problems.append(f"{want.name}: expected {expected}, got {dtype} {list(want.column.shape)}")
    return problems


def rows_of(episodes: Episodes) -> Array:
    """[N] i64: the episode of each row. Raises InputError if the table does not tile the steps."""
    problems = table_problems(episodes)
    if problems:
        raise InputError(f"episode table: {'; '.join(problems[:3])}")
    return np.repeat(np.arange(len(episodes.table.length)), episodes.table.length)


def _listed(name: str, problems: list[str]) -> Check:
    return at_most(name, len(problems), 0, "; ".join(problems) or "as the format says")


def _rows(column: Array) -> int:
    return column.shape[0] if column.ndim else 0


def _step_columns(episodes: Episodes) -> dict[str, Array]:
    columns = {f"observation/{name}": column for name, column in episodes.observation.items()}
    for name in ("expert_action", "reward", "reward_terms", "terminated", "truncated"):
        columns[name] = getattr(episodes, name)
    if episodes.action_mask is not None:
        columns["action_mask"] = episodes.action_mask
    return columns


def _table_columns(episodes: Episodes) -> dict[str, Array]:
    table = episodes.table
    columns = {name: column for name, column in vars(table).items() if name != "behaviour"}
    columns |= {f"behaviour/{name}": column for name, column in table.behaviour.items()}
    return columns | {f"final_observation/{name}": c for name, c in episodes.final_observation.items()}


def _expected(episodes: Episodes, schema: ObservationSchema) -> list[Expected]:
    shapes: dict[str, tuple[str, tuple[int, ...]]] = {
        "features": ("float32", (len(schema.features),)),
        "map": ("uint8", (len(schema.map_channels), schema.map_size, schema.map_size)),
    }
    wanted = [
        Expected(f"{place}/{name}", column, *shapes[name])
        for place in ("observation", "final_observation")
        for name, column in getattr(episodes, place).items()
        if name in shapes
    ]
    discrete = bool(schema.actions)
    action = ("int64", ()) if discrete else ("float32", (len(schema.action_low),))
    wanted += [Expected(name, getattr(episodes, name), *action) for name in ("action", "expert_action")]
    if episodes.action_mask is not None:
        wanted.append(Expected("action_mask", episodes.action_mask, "bool", (len(schema.actions),)))
    wanted += [
        Expected("reward", episodes.reward, "float32", ()),
        Expected("reward_terms", episodes.reward_terms, "float32", (len(schema.reward_terms),)),
        Expected("terminated", episodes.terminated, "bool", ()),
        Expected("truncated", episodes.truncated, "bool", ()),
    ]
    table = episodes.table
    kinds = dict.fromkeys(("start", "length", "seed", "world", "episode", "agent"), "int64")
    kinds |= {"total_reward": "float32", "success": "bool", "harm": "bool", "episode_id": "|S16"}
    wanted += [Expected(name, getattr(table, name), dtype, ()) for name, dtype in kinds.items()]
    return wanted + [Expected(f"behaviour/{n}", c, "int32", ()) for n, c in table.behaviour.items()]
