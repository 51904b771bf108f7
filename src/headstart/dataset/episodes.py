"""Episodes in memory: flat columns over all steps plus a table of episodes. `episodes_file` keeps them on disk."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from hashlib import sha256
from typing import Literal

import numpy as np
from pydantic import Field

from headstart.core.arrays import Array
from headstart.core.errors import InputError
from headstart.core.record import Name, Record, Sha256
from headstart.core.strict_json import canonical_json
from headstart.dataset.observation import ObservationSchema

# What a recording of another program may lack. The column then holds a filling: rewards 0, ends truncated, the last observation again, success
# without harm.
Absent = Literal["rewards", "ends", "final_observations", "seeds", "success", "harm"]


class Header(Record):
    """What all episodes of a file have in common."""

    schema_id: Literal["episodes/1"] = "episodes/1"
    scenario: Name
    scenario_sha256: Sha256
    policy_sha256: Sha256
    seed: int
    observation: ObservationSchema
    writer_version: str
    # of a recording of another program; left out where nothing is absent, so that the bytes of other files do not depend on it
    absent: tuple[Absent, ...] = Field(default=(), exclude_if=lambda absent: not absent)
    # ε of `expert_log_prob`, of named actions and where it is there: the share of actions that a random allowed one replaced
    slip: float | None = Field(default=None, ge=0, lt=1, exclude_if=lambda slip: slip is None)


@dataclass(frozen=True)
class EpisodeTable:
    """One row an episode: one agent from its spawn to its end. E rows."""

    episode_id: Array  # [E] S16, the name that `episode_ids` gives
    start: Array  # [E] i64, first row in the step columns
    length: Array  # [E] i64, steps
    seed: Array  # [E] i64
    world: Array  # [E] i64, global world id
    episode: Array  # [E] i64, index of the agent's life in the recorded episode of its world
    agent: Array  # [E] i64
    total_reward: Array  # [E] f32
    success: Array  # [E] bool, the scenario's predicate over the world's episode
    harm: Array  # [E] bool
    behaviour: dict[str, Array]  # name → [E] i32, counts of named behaviours, e.g. "showers"


@dataclass(frozen=True)
class Episodes:
    """N steps of E episodes, which tile the steps. Row t holds o_t, a_t chosen from o_t, and the reward and flags that followed a_t."""

    observation: dict[str, Array]  # "features" [N, F] f32; "map" [N, C, G, G] u8 where recorded
    action: Array  # [N] i64 ids, or [N, D] f32: what was executed
    expert_action: Array  # as `action`: the expert's choice in o_t; the label of behaviour cloning
    action_mask: Array | None  # [N, K] bool, discrete worlds only
    reward: Array  # [N] f32
    reward_terms: Array  # [N, R] f32
    terminated: Array  # [N] bool
    truncated: Array  # [N] bool
    final_observation: dict[str, Array]  # as `observation`, [E, …]: o_T, for the bootstrap value
    table: EpisodeTable
    # of an expert that has them; None: this one has none
    expert_log_prob: Array | None = None  # [N] f32 nats: log μ(a_t | o_t) of `action`, as docs/data.md defines it
    expert_value: Array | None = None  # [N] f32: the expert's V(o_t)
    final_value: Array | None = None  # [E] f32: its V(o_T)


_TABLE = tuple(field.name for field in fields(EpisodeTable) if field.name != "behaviour")
_STEPS = ("action", "expert_action", "reward", "reward_terms", "terminated", "truncated")
_OPTIONAL = {
    "/steps/action_mask": "action_mask",
    "/steps/expert_log_prob": "expert_log_prob",
    "/steps/expert_value": "expert_value",
    "/final_value": "final_value",
}


def select(episodes: Episodes, keep: Array) -> Episodes:
    """The episodes where `keep` [E] bool holds, in their order, with rows and starts renumbered. Data are copied."""
    rows = np.repeat(keep, episodes.table.length)
    columns = {
        name: column[rows] if name.startswith("/steps/") else column[keep] for name, column in columns_of(episodes).items()
    }
    length = columns["/episodes/length"]
    columns["/episodes/start"] = np.cumsum(length) - length
    return episodes_from(columns)


def concatenate(parts: Sequence[Episodes]) -> Episodes:
    """All episodes of all parts, in order, with starts renumbered.

    Raises InputError if two of the parts, at least one, differ in their columns, dtypes or widths.
    """
    all_columns = [columns_of(part) for part in parts]
    kinds = [{name: f"{c.dtype} {list(c.shape[1:])}" for name, c in columns.items()} for columns in all_columns]
    first = kinds[0]
    for index, this in enumerate(kinds):
        for name in sorted(first.keys() | this.keys()):
            if first.get(name) != this.get(name):
                raise InputError(f"part {index}: {name} is {this.get(name)}, expected {first.get(name)} as in part 0")
    offset = 0
    for columns, part in zip(all_columns, parts, strict=True):
        columns["/episodes/start"] = columns["/episodes/start"] + offset
        offset += len(part.reward)
    return episodes_from({name: np.concatenate([columns[name] for columns in all_columns]) for name in first})


def is_whole(table: EpisodeTable, mine: Array, agents: int, leave: bool) -> bool:
    """Whether the episodes `mine`, a mask or indices, of a world have no gap: of every agent all lives from the first on, over the same ticks.

    Agents that `leave` have one life, which may end before those of others.
    """
    agent, episode, length = table.agent[mine], table.episode[mine], table.length[mine]
    lives = [np.sort(episode[agent == a]) for a in range(agents)]
    ticks = {int(length[agent == a].sum()) for a in range(agents)}
    return (
        len(agent) == sum(map(len, lives))
        and (leave or len(ticks) == 1)
        and all(len(of) > 0 and (of == np.arange(len(of))).all() for of in lives)
    )


def episode_ids(scenario_sha256: str, policy_sha256: str, seed: Array, world: Array, episode: Array, agent: Array) -> Array:
    """Names [E] S16 of episodes: the first 16 hex digits of SHA-256 over scenario, seed, world, episode, agent and policy.

    The four arrays are [E] i64. The name follows an episode through curation, training and reports.
    """
    rows = np.stack([seed, world, episode, agent], axis=1).tolist()
    keys = (canonical_json([scenario_sha256, *row, policy_sha256]) for row in rows)
    return np.array([sha256(key).hexdigest()[:16].encode() for key in keys], dtype="S16")


def require_tiled(episodes: Episodes, where: str) -> None:
    """Raise InputError, naming the first problems, unless the episodes tile the steps.

    They do if each begins where the last one ended, none is empty, and the last ends at N.
    """
    start, length, steps = episodes.table.start, episodes.table.length, len(episodes.reward)
    impossible = (length < 1) | (length > steps)  # without these the sums below cannot overflow
    problems = [f"episode {e} has {length[e]} steps" for e in np.flatnonzero(impossible)[:3]]
    ends, begins = np.concatenate([[0], start + length]), np.concatenate([start, [steps]])
    for e in np.flatnonzero(begins != ends)[:3]:
        kind = "gap" if begins[e] > ends[e] else "overlap"
        what = f"episode {e}" if e < len(start) else "the end of the steps"
        problems.append(f"{kind} before {what}: expected row {ends[e]}, got {begins[e]}")
    if problems:
        raise InputError(f"{where}: episode table: {'; '.join(problems)}")


def columns_of(episodes: Episodes) -> dict[str, Array]:
    """All columns by their path in the file."""
    columns = {f"/steps/{name}": getattr(episodes, name) for name in _STEPS}
    columns |= {f"/episodes/{name}": getattr(episodes.table, name) for name in _TABLE}
    columns |= {path: column for path, name in _OPTIONAL.items() if (column := getattr(episodes, name)) is not None}
    for group, arrays in (
        ("/steps/observation/", episodes.observation),
        ("/final_observation/", episodes.final_observation),
        ("/episodes/behaviour/", episodes.table.behaviour),
    ):
        columns |= {group + name: array for name, array in arrays.items()}
    return columns


def episodes_from(columns: dict[str, Array]) -> Episodes:
    """The inverse of `columns_of`."""

    def below(group: str) -> dict[str, Array]:
        return {name.removeprefix(group): array for name, array in columns.items() if name.startswith(group)}

    table = EpisodeTable(**{name: columns[f"/episodes/{name}"] for name in _TABLE}, behaviour=below("/episodes/behaviour/"))
    return Episodes(
        **{name: columns[f"/steps/{name}"] for name in _STEPS},
        action_mask=columns.get("/steps/action_mask"),
        expert_log_prob=columns.get("/steps/expert_log_prob"),
        expert_value=columns.get("/steps/expert_value"),
        final_value=columns.get("/final_value"),
        observation=below("/steps/observation/"),
        final_observation=below("/final_observation/"),
        table=table,
    )
