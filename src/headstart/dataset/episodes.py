"""Episodes in memory and on disk: flat columns over all steps plus a table of episodes (schema `episodes/1`).

Codec: deflate level 1 over strips of 4 columns, and a fletcher32 checksum of every chunk. Measured with h5py 3.16 on 2 cores,
on 500,000 rows of 180 f32 features (360 MB; half of the columns constant, the others of 2 to 300 values, as a town's are):

    chunks of 1 MB    codec           write    read     file
    180 columns       none            0.5 s    0.3 s    361 MB
    180 columns       lzf             2.9 s    1.7 s    128 MB   (with shuffle 203 MB)
    180 columns       deflate 1       4.6 s    1.5 s    107 MB   (with shuffle 146 MB)
      4 columns       lzf             2.5 s    1.5 s     74 MB   (with shuffle 136 MB)
      4 columns       deflate 1       2.7 s    1.2 s     43 MB   (with shuffle  82 MB)   ← chosen
      1 column        deflate 1       3.3 s    2.2 s     10 MB

DVC keeps a file twice, in cache and workspace, so size counts; shuffle tears equal floats apart. lzf was also dropped because
its compressor starts from uninitialised memory. The bytes of a deflate stream depend on the zlib that h5py finds: zlib itself
has written the same for years, zlib-ng writes others for the same data.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from hashlib import sha256
from pathlib import Path

import h5py
import numpy as np

from headstart.core.arrays import Array
from headstart.core.errors import InputError, IntegrityError
from headstart.core.files import fresh_file, parse_record
from headstart.core.strict_json import canonical_json
from headstart.dataset.episodes_layout import ALLOWED, ATTRIBUTES, GROUPS, Header, check_columns, chunk_shape
from headstart.dataset.hdf5_guard import Column, dtype_name, open_guarded, read_column
from headstart.dataset.observation import ObservationSchema

__all__ = [
    "Array", "EpisodeTable", "Episodes", "Header", "concatenate", "episode_ids", "read_episodes", "require_tiled",
    "select", "write_episodes",
]  # fmt: skip


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
    """N steps of E episodes. Row t holds o_t, a_t chosen from o_t, and the reward and flags that a_t brought."""

    observation: dict[str, Array]  # "features" [N, F] f32; "map" [N, C, G, G] u8 where recorded
    action: Array  # [N] i64 ids, or [N, D] f32: what was executed
    expert_action: Array  # as `action`: what the expert would do in o_t; the label of behaviour cloning
    action_mask: Array | None  # [N, K] bool, discrete worlds only
    reward: Array  # [N] f32
    reward_terms: Array  # [N, R] f32
    terminated: Array  # [N] bool
    truncated: Array  # [N] bool
    final_observation: dict[str, Array]  # as `observation`, [E, …]: o_T, for the bootstrap value
    table: EpisodeTable


_TABLE = tuple(field.name for field in fields(EpisodeTable) if field.name != "behaviour")
_STEPS = ("action", "expert_action", "reward", "reward_terms", "terminated", "truncated")


def write_episodes(path: Path, episodes: Episodes, header: Header) -> None:
    """Write `episodes` atomically; the same episodes and header give the same bytes in every process.

    Raises InputError if a column has another dtype or shape than the header's observation schema asks for.
    """
    columns = _columns_of(episodes)
    shapes = {name: Column(dtype_name(column.dtype), column.shape) for name, column in columns.items()}
    check_columns(shapes, header, f"episodes for {path}")
    attributes = {
        "schema_id": header.schema_id.encode(),
        "header": canonical_json(header.model_dump(mode="json")),
        "observation_sha256": header.observation.sha256().encode(),
    }
    # v110 and not "latest", whose bytes would move with the HDF5 version
    with fresh_file(path) as temporary, h5py.File(temporary, "w", libver=("v110", "v110")) as file:
        for name in sorted(attributes):
            file.attrs[name] = np.bytes_(attributes[name])
        for group in sorted(GROUPS):
            file.create_group(group)
        for name, column in sorted(columns.items()):
            _write_column(file, name, column)


def read_episodes(path: Path, expect: ObservationSchema | None = None) -> tuple[Episodes, Header]:
    """Read a whole file that nobody vouches for.

    Raises InputError for anything that `episodes/1` does not have (before any data is read), SchemaMismatch if its observation
    schema is not `expect`, and IntegrityError if stored bytes and their checksums disagree.
    """
    with open_guarded(path, GROUPS, ALLOWED, ATTRIBUTES) as guarded:
        header = _read_header(guarded.attributes, path)
        if expect is not None:
            expect.require_same(header.observation, str(path))
        check_columns(guarded.columns, header, str(path))
        return _episodes_from({name: read_column(guarded, name) for name in guarded.columns}), header


def select(episodes: Episodes, keep: Array) -> Episodes:
    """The episodes where `keep` [E] bool holds, in their order, with rows and starts renumbered. Data are copied.

    Raises InputError if `keep` has another shape or dtype, or if an episode's rows lie outside of the step columns.
    """
    table, steps = episodes.table, len(episodes.reward)
    if keep.dtype != np.bool_ or keep.shape != table.start.shape:
        raise InputError(f"keep: expected bool {table.start.shape}, got {keep.dtype} {keep.shape}")
    start, length = table.start[keep], table.length[keep]
    outside = (start < 0) | (length < 0) | (start > steps) | (length > steps - start)
    if outside.any():
        at = int(np.flatnonzero(keep)[np.argmax(outside)])
        raise InputError(f"episode {at}: rows {table.start[at]}+{table.length[at]} are not among the {steps} steps")
    new_start = np.cumsum(length) - length
    rows = np.repeat(start - new_start, length) + np.arange(length.sum())
    columns = {}
    for name, column in _columns_of(episodes).items():
        columns[name] = column[rows] if name.startswith("/steps/") else column[keep]
    columns["/episodes/start"] = new_start
    return _episodes_from(columns)


def concatenate(parts: Sequence[Episodes]) -> Episodes:
    """All episodes of all parts, in order, with starts renumbered.

    Raises InputError if there is no part, or if two parts differ in their columns, dtypes or widths.
    """
    if not parts:
        raise InputError("concatenate: expected at least one part, got none")
    all_columns = [_columns_of(part) for part in parts]
    first = {name: (dtype_name(column.dtype), column.shape[1:]) for name, column in all_columns[0].items()}
    for index, columns in enumerate(all_columns):
        this = {name: (dtype_name(column.dtype), column.shape[1:]) for name, column in columns.items()}
        for name in sorted(first.keys() | this.keys()):
            if first.get(name) != this.get(name):
                raise InputError(f"part {index}: {name} is {this.get(name)}, expected {first.get(name)} as in part 0")
    offset = 0
    for columns, part in zip(all_columns, parts, strict=True):
        columns["/episodes/start"] = columns["/episodes/start"] + offset
        offset += len(part.reward)
    return _episodes_from({name: np.concatenate([columns[name] for columns in all_columns]) for name in first})


def episode_ids(scenario_sha256: str, policy_sha256: str, seed: Array, world: Array, episode: Array, agent: Array) -> Array:
    """Names [E] S16 of episodes: the first 16 hex digits of SHA-256 over scenario, seed, world, episode, agent and policy.

    The four arrays are [E] i64. The name follows an episode through curation, training and reports.
    """
    rows = np.stack([seed, world, episode, agent], axis=1).tolist()
    keys = (canonical_json([scenario_sha256, *row, policy_sha256]) for row in rows)
    return np.array([sha256(key).hexdigest()[:16].encode() for key in keys], dtype="S16")


def require_tiled(episodes: Episodes) -> None:
    """Raise InputError, naming the first problems, unless the episodes tile the steps.

    They do if each begins where the last one ended, none is empty, and the last ends at N.
    """
    start, length = episodes.table.start, episodes.table.length
    if len(start) == 0:
        raise InputError("episode table: expected E ≥ 1 episodes, got none")
    problems = [f"episode {e} has {length[e]} steps" for e in np.flatnonzero(length < 1)]
    ends, begins = np.concatenate([[0], start + length]), np.concatenate([start, [len(episodes.reward)]])
    for e in np.flatnonzero(begins != ends):
        kind = "gap" if begins[e] > ends[e] else "overlap"
        what = f"episode {e}" if e < len(start) else "the end of the steps"
        problems.append(f"{kind} before {what}: expected row {ends[e]}, got {begins[e]}")
    if problems:
        raise InputError(f"episode table: {'; '.join(problems[:3])}")


def _columns_of(episodes: Episodes) -> dict[str, Array]:
    """All columns by their path in the file."""
    columns: dict[str, Array] = {}
    for name in _STEPS:
        columns[f"/steps/{name}"] = getattr(episodes, name)
    if episodes.action_mask is not None:
        columns["/steps/action_mask"] = episodes.action_mask
    for name in _TABLE:
        columns[f"/episodes/{name}"] = getattr(episodes.table, name)
    for group, arrays in (
        ("/steps/observation/", episodes.observation),
        ("/final_observation/", episodes.final_observation),
        ("/episodes/behaviour/", episodes.table.behaviour),
    ):
        columns |= {group + name: array for name, array in arrays.items()}
    return columns


def _episodes_from(columns: dict[str, Array]) -> Episodes:
    def below(group: str) -> dict[str, Array]:
        return {name.removeprefix(group): array for name, array in columns.items() if name.startswith(group)}

    table = EpisodeTable(**{name: columns[f"/episodes/{name}"] for name in _TABLE}, behaviour=below("/episodes/behaviour/"))
    return Episodes(
        **{name: columns[f"/steps/{name}"] for name in _STEPS},
        action_mask=columns.get("/steps/action_mask"),
        observation=below("/steps/observation/"),
        final_observation=below("/final_observation/"),
        table=table,
    )


def _write_column(file: h5py.File, name: str, column: Array) -> None:
    chunks = chunk_shape(column.shape, column.dtype.itemsize)
    codec = {} if chunks is None else {"compression": "gzip", "compression_opts": 1, "fletcher32": True}
    file.create_dataset(name, data=column, chunks=chunks, track_times=False, **codec)


def _read_header(attributes: dict[str, bytes], path: Path) -> Header:
    schema_id = attributes["schema_id"]
    if schema_id != b"episodes/1":
        raise InputError(f"{path}: expected schema episodes/1, got {schema_id[:40].decode('utf-8', 'replace')!r}")
    header = parse_record(attributes["header"], Header, f"{path}: header")
    stored = attributes["observation_sha256"].decode("utf-8", "replace")
    if stored != header.observation.sha256():
        raise IntegrityError(f"{path}: observation schema has hash {header.observation.sha256()}, recorded as {stored[:64]}")
    return header
