"""Episodes on disk (`episodes/1`): an HDF5 file of the columns below, the root attributes `schema_id`, `header` (JSON of `Header`)
and `observation_sha256`, and nothing else.

Codec: deflate level 1 over strips of 4 columns, and a fletcher32 checksum of every chunk. Measured with h5py 3.16 on 2 cores,
on 500,000 rows of 180 f32 features (360 MB; half of the columns constant, the others of 2 to 300 values, as a town's are):

    chunks of 1 MB    codec           write    read     file
    180 columns       none            0.5 s    0.3 s    361 MB
    180 columns       lzf             2.9 s    1.7 s    128 MB   (with shuffle 203 MB)
    180 columns       deflate 1       4.6 s    1.5 s    107 MB   (with shuffle 146 MB)
      4 columns       lzf             2.5 s    1.5 s     74 MB   (with shuffle 136 MB)
      4 columns       deflate 1       2.7 s    1.2 s     43 MB   (with shuffle  82 MB)   ← chosen
      1 column        deflate 1       3.3 s    2.2 s     10 MB

DVC keeps a file twice, in cache and workspace, so size counts; shuffle separates the bytes of equal floats. lzf was also dropped because
its compressor starts from uninitialised memory. The bytes of a deflate stream depend on the zlib that h5py finds: zlib itself
has written the same for years, zlib-ng writes others for the same data.
"""

import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from headstart.core.arrays import Array
from headstart.core.contents import blamed_on_bytes
from headstart.core.errors import InputError, IntegrityError
from headstart.core.files import fresh_file, parse_record
from headstart.core.strict_json import canonical_json
from headstart.dataset.episodes import Episodes, Header, columns_of, episodes_from, require_tiled
from headstart.dataset.hdf5_guard import Allowed, Column, dtype_name, open_guarded, read_column
from headstart.dataset.observation import ObservationSchema

SHARD = "shard-{:04d}.h5"  # of a recording
CHUNK_BYTES = 1 << 20
CHUNK_COLUMNS = 4
MEMORY_BYTES = 16 << 20  # by which a file grows until it is written
ATTRIBUTES = {"schema_id", "header", "observation_sha256"}

# path → dtype and shape: N steps, E episodes, F features, C channels of a map of G × G cells, K actions or D action dimensions, R reward terms
EVERY_WORLD = {
    "/steps/observation/features": ("<f4", "NF"),
    "/final_observation/features": ("<f4", "EF"),
    "/steps/reward": ("<f4", "N"),
    "/steps/reward_terms": ("<f4", "NR"),
    "/steps/terminated": ("bool", "N"),
    "/steps/truncated": ("bool", "N"),
    "/episodes/episode_id": ("|S16", "E"),
    "/episodes/start": ("<i8", "E"),
    "/episodes/length": ("<i8", "E"),
    "/episodes/seed": ("<i8", "E"),
    "/episodes/world": ("<i8", "E"),
    "/episodes/episode": ("<i8", "E"),
    "/episodes/agent": ("<i8", "E"),
    "/episodes/total_reward": ("<f4", "E"),
    "/episodes/success": ("bool", "E"),
    "/episodes/harm": ("bool", "E"),
}
DISCRETE = {"/steps/action": ("<i8", "N"), "/steps/expert_action": ("<i8", "N"), "/steps/action_mask": ("bool", "NK")}
CONTINUOUS = {"/steps/action": ("<f4", "ND"), "/steps/expert_action": ("<f4", "ND")}
WITH_MAP = {"/steps/observation/map": ("|u1", "NCGG"), "/final_observation/map": ("|u1", "ECGG")}
BEHAVIOUR, BEHAVIOUR_DTYPE = r"/episodes/behaviour/[a-z][a-z0-9_]{0,63}", "<i4"  # [E], any number of them

GROUPS = {"/steps", "/steps/observation", "/final_observation", "/episodes", "/episodes/behaviour"}


def write_episodes(path: Path, episodes: Episodes, header: Header) -> None:
    """Write `episodes` atomically; the same episodes and header give the same bytes in every process.

    Raises InputError if a column has another dtype or shape than the header's observation schema asks for.
    """
    columns = columns_of(episodes)
    shapes = {name: Column(dtype_name(column.dtype), column.shape) for name, column in columns.items()}
    _check_columns(shapes, header, f"episodes for {path}")
    attributes = {
        "schema_id": header.schema_id.encode(),
        "header": canonical_json(header.model_dump(mode="json")),
        "observation_sha256": header.observation.sha256().encode(),
    }
    with fresh_file(path) as temporary, _new_file(temporary) as file:
        for name in sorted(attributes):
            file.attrs[name] = np.bytes_(attributes[name])
        for group in sorted(GROUPS):
            file.create_group(group)
        for name, column in sorted(columns.items()):
            _write_column(file, name, column)


def read_episodes(path: Path, expect: ObservationSchema | None = None) -> tuple[Episodes, Header]:
    """Read an untrusted file.

    Raises InputError for anything that `episodes/1` does not have (before any data is read) and for episodes that do not tile the
    steps, SchemaMismatch if its observation schema is not `expect`, IntegrityError if stored bytes and their checksums disagree, or are not
    those that contents.json lists.
    """
    with blamed_on_bytes(path), open_guarded(path, GROUPS, _allowed(), ATTRIBUTES) as guarded:
        header = _read_header(guarded.attributes, path)
        if expect is not None:
            expect.require_same(header.observation, str(path))
        _check_columns(guarded.columns, header, str(path))
        episodes = episodes_from({name: read_column(guarded, name) for name in guarded.columns})
    require_tiled(episodes, str(path))
    return episodes, header


def _allowed() -> dict[str, Allowed]:
    """The columns that a file may contain before its header is known: a pattern of paths → dtypes and ranks, of whatever world."""
    allowed = {BEHAVIOUR: Allowed({BEHAVIOUR_DTYPE}, {1})}
    for columns in (EVERY_WORLD, DISCRETE, CONTINUOUS, WITH_MAP):
        for path, (dtype, shape) in columns.items():
            known = allowed.get(path, Allowed(set(), set()))
            allowed[path] = Allowed(known.dtypes | {dtype}, known.ranks | {len(shape)})
    return allowed


def _check_columns(columns: Mapping[str, Column], header: Header, where: str) -> None:
    """Raise InputError naming the first column that is missing, not foreseen, or of another dtype or shape than expected.

    The number of steps is the length of the rewards, the number of episodes that of the episode starts.
    """
    for path in ("/steps/reward", "/episodes/start"):
        if path not in columns or len(columns[path].shape) != 1:
            raise InputError(f"{where}: expected the column {path} with one dimension, got none")
    expected = _expected(header.observation, columns["/steps/reward"].shape[0], columns["/episodes/start"].shape[0])
    expected |= {
        path: Column(BEHAVIOUR_DTYPE, columns["/episodes/start"].shape) for path in columns if re.fullmatch(BEHAVIOUR, path)
    }
    for path in sorted(expected.keys() | columns.keys()):
        if path not in columns:
            raise InputError(f"{where}: expected the column {path}, got none")
        if path not in expected:
            raise InputError(f"{where}: column {path} is not part of the format for this observation schema")
        if columns[path] != expected[path]:
            raise InputError(f"{where}: {path}: expected {expected[path]}, got {columns[path]}")


def _expected(schema: ObservationSchema, steps: int, episodes: int) -> dict[str, Column]:
    """Every column that a file of so many steps and episodes has, but for its behaviours, by path."""
    layout = EVERY_WORLD | (DISCRETE if schema.actions else CONTINUOUS) | (WITH_MAP if schema.map_channels else {})
    sizes = {"N": steps, "E": episodes, "F": len(schema.features), "C": len(schema.map_channels), "G": schema.map_size}
    sizes |= {"K": len(schema.actions), "D": len(schema.action_low), "R": len(schema.reward_terms)}
    return {path: Column(dtype, tuple(sizes[letter] for letter in shape)) for path, (dtype, shape) in layout.items()}


def chunk_shape(shape: tuple[int, ...], item_bytes: int) -> tuple[int, ...] | None:
    """Chunks of about 1 MB: tables in strips of 4 columns, images in complete rows; None for no data.

    Neighbours in a strip are the same feature a step apart, which deflate finds; across 180 columns it does not.
    """
    if 0 in shape:
        return None
    rest = (min(CHUNK_COLUMNS, shape[1]),) if len(shape) == 2 else shape[1:]
    return (max(1, min(shape[0], CHUNK_BYTES // (item_bytes * math.prod(rest)))), *rest)


@contextmanager
def _new_file(path: Path) -> Iterator[h5py.File]:
    """A file that grows in memory and is written when it is closed: where a disk is full before, HDF5 crashes the process."""
    try:
        # v110 and not "latest", whose bytes would move with the HDF5 version
        with h5py.File(path, "w", libver=("v110", "v110"), driver="core", block_size=MEMORY_BYTES) as file:
            yield file
    except (OSError, RuntimeError) as error:  # as which h5py raises an error of the system, with its number in a long text
        if (found := re.search(r"errno = (\d+)", str(error))) is None:
            raise
        raise OSError(int(found[1]), os.strerror(int(found[1])), str(path)) from None


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
