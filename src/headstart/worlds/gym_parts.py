"""Parts of Gymnasium spaces: the spaces of numbers that make up an observation or an action, and their values as arrays."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from gymnasium import Space, spaces

from headstart.core.arrays import Array
from headstart.core.errors import InputError
from headstart.worlds.api import PICTURE_SIZE

Path = tuple[str | int, ...]  # keys of Dict and Tuple spaces, outermost first


@dataclass(frozen=True)
class Leaf:
    """A space within an observation that holds no other space."""

    path: Path
    space: Space[Any]

    @property
    def name(self) -> str:
        return ".".join(map(str, self.path)) or "observation"

    def of(self, rows: Sequence[Any] | Array) -> Sequence[Any] | Array:
        """Its values in N observations."""
        return [part_at(row, self.path) for row in rows] if self.path else rows

    @cached_property
    def one_hot(self) -> tuple[Array, Array, Array]:
        """Of a Discrete or MultiDiscrete, by part: values, the first of them, and the column of the first."""
        sizes = np.array(choices(self.space))
        return sizes, np.asarray(getattr(self.space, "start", 0), np.int64).ravel(), np.cumsum(sizes) - sizes


def is_picture(space: Space[Any]) -> bool:
    """Whether a space is a picture: a Box of uint8 and rank 3 with a side of PICTURE_SIZE or more; smaller ones hold codes, as MiniGrid's."""
    if not isinstance(space, spaces.Box) or space.dtype != np.uint8 or len(space.shape) != 3:
        return False
    _, shorter, longer = sorted(space.shape)
    return longer >= PICTURE_SIZE and shorter >= 3


def channels_first(shape: Sequence[int]) -> bool:
    """Whether a picture's shape has its channels first: its first number is smaller than the last."""
    return shape[0] < shape[-1]


def leaves_of(space: Space[Any], path: Path, where: str) -> Iterator[Leaf]:
    """The parts of an observation space in order. InputError that begins with `where`: a part that is not made of numbers."""
    match space:
        case spaces.Dict():
            for key, part in space.spaces.items():
                yield from leaves_of(part, (*path, key), where)
        case spaces.Tuple():
            for index, part in enumerate(space.spaces):
                yield from leaves_of(part, (*path, index), where)
        case spaces.Box() | spaces.Discrete() | spaces.MultiBinary() | spaces.MultiDiscrete():
            yield Leaf(path, space)
        case _:
            name = ".".join(map(str, path)) or "the observation"
            cure = "setup.wrappers: [minigrid.wrappers:ImgObsWrapper]" if "minigrid" in where.lower() else "setup.wrappers"
            raise InputError(
                f"{where}: expected observations of numbers (Box, Discrete, MultiBinary, MultiDiscrete, Dict, Tuple), "
                f"{name} is {type(space).__name__}; leave it out with a wrapper ({cure})"
            )


def choices(space: Space[Any]) -> tuple[int, ...]:
    """How many values each part of a discrete space has."""
    match space:
        case spaces.Discrete():
            return (int(space.n),)
        case spaces.MultiDiscrete():
            return tuple(int(n) for n in np.asarray(space.nvec).ravel())
        case _:
            return (2,) * math.prod(shape_of(space))


def size_of(space: Space[Any]) -> int:
    """Features of a space."""
    match space:
        case spaces.Discrete() | spaces.MultiDiscrete():
            return sum(choices(space))
        case _:
            return math.prod(shape_of(space))


def names_of(leaf: Leaf) -> list[str]:
    """Of its features."""
    match leaf.space:
        case spaces.Discrete():
            return [f"{leaf.name}_{i}" for i in range(int(leaf.space.n))]
        case spaces.MultiDiscrete():
            return [f"{leaf.name}_{part}_{i}" for part, n in enumerate(choices(leaf.space)) for i in range(n)]
        case _ if not leaf.space.shape:
            return [leaf.name]
        case _:
            return ["_".join((leaf.name, *map(str, index))) for index in np.ndindex(*shape_of(leaf.space))]


def bounds_of(space: Space[Any]) -> tuple[Array, Array]:
    """Least and greatest value of every feature [size] f64; infinite where the space has no bound."""
    if isinstance(space, spaces.Box):
        return space.low.astype(np.float64).ravel(), space.high.astype(np.float64).ravel()
    return np.zeros(size_of(space)), np.ones(size_of(space))


def numbers_of(leaf: Leaf, values: Sequence[Any] | Array) -> Array:
    """[N, size] f32, one-hot for a Discrete and for every part of a MultiDiscrete. InputError for a value that is none of these."""
    if not isinstance(leaf.space, spaces.Discrete | spaces.MultiDiscrete):
        return in_shape(np.asarray(values, np.float32), leaf.space)
    sizes, first, columns = leaf.one_hot
    parts = np.array(values, np.int64).reshape(len(values), -1) - first
    bad = (parts < 0) | (parts >= sizes)
    if bad.any():
        row = int(np.argwhere(bad)[0, 0])
        raise InputError(f"{leaf.name}: expected a value of {leaf.space}, copy {row} shows {values[row]}")
    rows = np.zeros((len(values), int(sizes.sum())), np.float32)
    rows[np.arange(len(values))[:, None], parts + columns] = 1.0
    return rows


def in_shape(values: Array, space: Space[Any]) -> Array:
    """[N, *shape] → [N, size]; ValueError for another shape than that of the space."""
    if values.shape[1:] != shape_of(space):
        raise ValueError(f"expected the shape {list(shape_of(space))}, got {list(values.shape[1:])}")
    return values.reshape(len(values), -1)


def part_at(row: Any, path: Path) -> Any:
    """The value of a part within an observation."""
    for key in path:
        row = row[key]
    return row


def shape_of(space: Space[Any]) -> tuple[int, ...]:
    """() where a space has none."""
    return tuple(space.shape or ())


def within(acts: Array, starts: int | Array, sizes: tuple[int, ...], space: Space[Any]) -> Array:
    """[N] or [N, parts] actions that begin at `starts` → i64 ids from 0 on. InputError names the first that is not whole or has no id."""
    ids = acts - starts
    whole = np.rint(ids).astype(np.int64)
    below = whole < np.array(sizes if ids.ndim > 1 else sizes[0])
    bad = ((whole != ids) | (whole < 0) | ~below).reshape(len(ids), -1).any(axis=1)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(f"actions: {int(bad.sum())} of {len(ids)} are none of {space}, first {acts[row].tolist()} in row {row}")
    return whole
