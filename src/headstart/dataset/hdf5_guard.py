"""The checks of an untrusted HDF5 file before any of its data are read.

HDF5 is a file system in a file: a dataset may lie in another file, be computed from others, hold pointers, or declare petabytes
in a kilobyte. What the project writes needs none of that, so everything outside a short allow-list is rejected.
"""

import math
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from headstart.core.arrays import Array
from headstart.core.errors import InputError, IntegrityError
from headstart.core.files import require_plain

MAX_BYTES = 8 << 30  # declared, all columns together
MAX_CHUNK_BYTES = 16 << 20
MAX_ATTRIBUTE_BYTES = 1 << 20
# deflate turns one byte into at most 1032; HDF5 inflates a complete chunk, whatever its declared size
INFLATES_TO = 1032
UNPACKS_TO = 200  # bytes of columns that a byte of a file may become, beyond SAFE_TO_UNPACK; recordings stay below 50
SAFE_TO_UNPACK = 256 << 20
MAX_COLUMNS = 1024
MAX_CHUNKS = 100_000  # of a column
MAX_OBJECTS, MAX_DEPTH = 1_000_000, 16  # of another program's file, which has groups for every episode
SAFE_SMALL = 1 << 16  # bytes that a column may declare without storing any
SAFE_TO_INFLATE = 128 << 20

_FILTERS = {h5py.h5z.FILTER_DEFLATE: "deflate", h5py.h5z.FILTER_FLETCHER32: "fletcher32"}
_TYPES = {h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.ENUM, h5py.h5t.STRING}
_LAYOUTS = {h5py.h5d.COMPACT, h5py.h5d.CONTIGUOUS, h5py.h5d.CHUNKED}
# The exceptions as which h5py raises all errors of the C library.
_HDF5_ERRORS = (OSError, RuntimeError, ValueError, KeyError, TypeError, NotImplementedError, MemoryError)


class Allowed(NamedTuple):
    """What is allowed at a path: dtypes as `dtype_name` spells them, and the number of dimensions."""

    dtypes: set[str]
    ranks: set[int]


class Column(NamedTuple):
    """The dtype and shape of a column."""

    dtype: str  # as `dtype_name` spells it
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.dtype} of shape {self.shape}"


class Guarded(NamedTuple):
    """An open file that contains only allowed columns."""

    file: h5py.File
    columns: dict[str, Column]  # by path
    attributes: dict[str, bytes]  # of the root


def dtype_name(dtype: np.dtype[Any]) -> str:
    """A dtype with its byte order, such as "<f4"; "bool" for booleans."""
    return "bool" if dtype == np.bool_ else str(dtype.str)


@contextmanager
def open_guarded(path: Path, groups: set[str], allowed: Mapping[str, Allowed], attributes: set[str]) -> Iterator[Guarded]:
    """Open an HDF5 file for reading after its complete structure has been checked.

    `groups` are the allowed group paths, `allowed` maps regular expressions of column paths to what is allowed there, `attributes`
    are the fixed-length strings that the root carries, all of them. Raises InputError naming file and path for anything else.
    """
    try:
        require_plain(path)
        file = h5py.File(path, "r", locking=False)
    except FileNotFoundError:
        raise InputError(f"{path}: expected an HDF5 file, found none") from None
    except _HDF5_ERRORS as error:
        raise InputError(f"{path}: expected an HDF5 file: {error}") from None
    with file:
        columns: dict[str, Column] = {}
        try:
            texts = {name: _read_attribute(file, name) for name in sorted(attributes)}
            if h5py.h5a.get_num_attrs(file.id) > len(texts):
                raise InputError(f"expected the root attributes {sorted(texts)}, got more")
            _walk(file.id, "/", groups, allowed, columns)
        except _HDF5_ERRORS as error:
            raise InputError(f"{path}: expected a sound HDF5 structure: {error}") from None
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        declared = sum(math.prod(column.shape) * np.dtype(column.dtype).itemsize for column in columns.values())
        require_unpacked(path, declared)
        yield Guarded(file, columns, texts)


def require_unpacked(path: Path, declared: int) -> None:
    """InputError for a file whose arrays take more memory than a file of its size, or any, may ask for."""
    limit = min(MAX_BYTES, max(SAFE_TO_UNPACK, UNPACKS_TO * path.stat().st_size))
    if declared > limit:
        raise InputError(
            f"{path}: expected at most {limit} bytes of columns, it declares {declared} in a file of {path.stat().st_size} bytes"
        )


def require_harmless(path: Path) -> tuple[int, int]:
    """How many groups and columns the root of another program's file has, and the bytes that all columns declare; no data are read.

    InputError, which names the path, for what may point outside of the file, is computed by unknown filters, or declares more than it stores.
    """
    declared = opened = 0

    def look(group: h5py.Group, where: str, depth: int) -> None:
        nonlocal declared, opened
        names: list[bytes] = []
        group.id.links.iterate(names.append)  # in one pass: by number it would be one for each
        for name in names:
            inner = f"{where}/{name.decode('utf-8', 'replace')}"[:200]
            opened += 1
            if group.id.links.get_info(name).type != h5py.h5l.TYPE_HARD or depth > MAX_DEPTH or opened > MAX_OBJECTS:
                raise InputError(f"{inner}: expected at most {MAX_OBJECTS} data and groups, {MAX_DEPTH} deep, and no links")
            thing = group[name]
            if isinstance(thing, h5py.Group):
                look(thing, inner, depth + 1)
            elif isinstance(thing, h5py.Dataset):
                _check_storage(thing.id.get_create_plist(), inner)
                here = math.prod(thing.shape or ()) * thing.dtype.itemsize
                if here > max(thing.id.get_storage_size() * INFLATES_TO, SAFE_SMALL):
                    raise InputError(f"{inner}: declares {here} bytes but stores {thing.id.get_storage_size()}")
                declared += here
            else:
                raise InputError(f"{inner}: expected a group or numbers, got something else")

    try:
        require_plain(path)
        with h5py.File(path, "r", locking=False) as file:
            look(file, "", 0)
            return len(file), declared
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except _HDF5_ERRORS as error:
        raise InputError(f"{path}: expected a sound HDF5 file: {error!s:.200}") from None


def read_column(guarded: Guarded, path: str) -> Array:
    """Read one complete column. Raises IntegrityError if its stored bytes are damaged: a checksum does not match."""
    try:
        data: Array = guarded.file[path][()]
    except _HDF5_ERRORS as error:
        raise IntegrityError(f"{guarded.file.filename}: {path} cannot be read as it was written: {error}") from None
    if data.dtype == np.bool_ and data.size and data.view(np.uint8).max() > 1:
        raise IntegrityError(f"{guarded.file.filename}: {path} holds a boolean that is neither 0 nor 1")
    return data


def _read_attribute(file: h5py.File, name: str) -> bytes:
    if not h5py.h5a.exists(file.id, name.encode()):
        raise InputError(f"expected the root attribute {name!r}, got none")
    attribute = h5py.h5a.open(file.id, name.encode())
    kind = attribute.get_type()
    fixed_string = kind.get_class() == h5py.h5t.STRING and not kind.is_variable_str()
    if not fixed_string or attribute.get_space().get_simple_extent_ndims() != 0:
        raise InputError(f"root attribute {name!r}: expected one fixed-length string")
    if attribute.get_storage_size() > MAX_ATTRIBUTE_BYTES:
        raise InputError(f"root attribute {name!r}: expected at most {MAX_ATTRIBUTE_BYTES} bytes")
    return bytes(file.attrs[name])


def _walk(
    group: h5py.h5g.GroupID, prefix: str, groups: set[str], allowed: Mapping[str, Allowed], columns: dict[str, Column]
) -> None:
    """Note every column below a group. Only hard links to allowed paths are followed; these end, so cycles end."""
    if group.get_num_objs() > MAX_COLUMNS:  # before names are asked for by number, which takes longer the more there are
        raise InputError(f"{prefix}: expected at most {MAX_COLUMNS} columns, got {group.get_num_objs()}")
    for index in range(group.get_num_objs()):
        name = group.get_objname_by_idx(index)
        path = prefix + name.decode("utf-8", "replace")
        if group.links.get_info(name).type != h5py.h5l.TYPE_HARD:
            raise InputError(f"{path}: expected data, got a soft or external link")
        rule = next((rule for pattern, rule in allowed.items() if re.fullmatch(pattern, path)), None)
        if rule is None and path not in groups:
            raise InputError(f"{path[:200]}: this path is not part of the format")
        thing = h5py.h5o.open(group, name)
        if rule is None and isinstance(thing, h5py.h5g.GroupID):
            _walk(thing, path + "/", groups, allowed, columns)
        elif rule is not None and isinstance(thing, h5py.h5d.DatasetID):
            columns[path] = _checked(thing, path, rule)
        else:
            raise InputError(f"{path}: expected a {'group' if rule is None else 'dataset'}, got something else")


def _checked(dataset: h5py.h5d.DatasetID, path: str, rule: Allowed) -> Column:
    # first of all: to tell the shape of a virtual dataset, HDF5 opens its sources
    _check_storage(dataset.get_create_plist(), path)
    if dataset.get_type().get_class() not in _TYPES:
        raise InputError(f"{path}: expected numbers, booleans or fixed-length strings, got another type")
    column = Column(dtype_name(dataset.dtype), dataset.shape)
    if column.dtype not in rule.dtypes:
        raise InputError(f"{path}: expected dtype {' or '.join(sorted(rule.dtypes))}, got {column.dtype}")
    if len(column.shape) not in rule.ranks:
        raise InputError(f"{path}: expected {' or '.join(map(str, sorted(rule.ranks)))} dimensions, got {len(column.shape)}")
    declared = math.prod(column.shape) * dataset.dtype.itemsize
    stored = dataset.get_storage_size()
    if declared > stored * INFLATES_TO:
        raise InputError(f"{path}: declares {declared} bytes but stores {stored}")
    if stored > (file_bytes := h5py.h5i.get_file_id(dataset).get_filesize()):
        raise InputError(f"{path}: expected its stored bytes within the file's {file_bytes}, got {stored}")
    if dataset.get_create_plist().get_layout() == h5py.h5d.CHUNKED:
        _check_chunks(dataset, path)
    return column


def _check_storage(plan: h5py.h5p.PropDCID, path: str) -> None:
    if plan.get_layout() not in _LAYOUTS:
        raise InputError(f"{path}: expected its data in this file, got a virtual dataset")
    if plan.get_external_count() > 0:
        raise InputError(f"{path}: expected its data in this file, got external storage")
    filters = [plan.get_filter(index)[0] for index in range(plan.get_nfilters())]
    # once each: deflate twice would inflate 1032 * 1032 times
    if not set(filters) <= set(_FILTERS) or len(set(filters)) < len(filters):
        raise InputError(f"{path}: expected each of {sorted(_FILTERS.values())} once at most, got filters {filters}")


def _check_chunks(dataset: h5py.h5d.DatasetID, path: str) -> None:
    """No chunk may be stored larger than it is, or inflate to more than it is."""
    plan = dataset.get_create_plist()
    chunk_bytes = math.prod(plan.get_chunk()) * dataset.dtype.itemsize
    if chunk_bytes > MAX_CHUNK_BYTES:
        raise InputError(f"{path}: expected chunks of at most {MAX_CHUNK_BYTES} bytes, got {chunk_bytes}")
    if dataset.get_num_chunks() > MAX_CHUNKS:
        raise InputError(f"{path}: expected at most {MAX_CHUNKS} chunks, got {dataset.get_num_chunks()}")
    slack = 1024  # a checksum, and the frame of a stream that did not shrink
    chunks: list[Any] = []
    dataset.chunk_iter(chunks.append)
    for chunk in chunks:
        if chunk.size > chunk_bytes + slack:
            raise InputError(f"{path}: a chunk of {chunk_bytes} bytes is stored in {chunk.size}")
        if plan.get_nfilters() == 0 or chunk.size * INFLATES_TO <= SAFE_TO_INFLATE:
            continue
        _, raw = dataset.read_direct_chunk(chunk.chunk_offset)
        try:
            inflated = len(zlib.decompressobj().decompress(raw, chunk_bytes + 1))
        except zlib.error:
            continue  # stored without deflate, or torn: reading it finds out
        if inflated > chunk_bytes:
            raise InputError(f"{path}: a chunk of {chunk_bytes} bytes inflates to more")
