"""Gymnasium spaces as the contract of worlds has them: features and a picture, action ids or numbers in [−1, 1]; and back.

F features, K actions, D action dimensions, C channels of a picture of H × W cells, padded to a square of G × G, G = max(H, W).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from gymnasium import Space, spaces

from headstart.core.arrays import Array
from headstart.core.errors import InputError

MAX_FEATURES = 4096
MAX_ACTIONS = 1024  # joint actions of a MultiDiscrete or MultiBinary space
MAX_ACTION_DIMENSIONS = 256
Path = tuple[str | int, ...]  # keys of Dict and Tuple spaces, outermost first


@dataclass(frozen=True)
class Leaf:
    """A space within an observation that holds no other space."""

    path: Path
    space: Space[Any]

    @property
    def name(self) -> str:
        return ".".join(map(str, self.path)) or "observation"


class Observing:
    """An observation space: its rows as features [N, F] f32 and, where it has a picture, that as a map [N, C, G, G] u8.

    Boxes of any rank are flattened; Discrete and MultiDiscrete become one-hot, MultiBinary 0 or 1, Dict and Tuple their parts in order. A
    picture is a Box of uint8 and rank 3, channels last (the smaller end where they are first, as of stacked Atari frames).
    """

    def __init__(self, space: Space[Any], where: str) -> None:
        """InputError that begins with `where`: a space that is not made of numbers, too many features, or several pictures."""
        self.space = space
        leaves = list(_leaves(space, (), where))
        pictures = [leaf for leaf in leaves if is_picture(leaf.space)]
        if len(pictures) > 1:
            raise InputError(
                f"{where}: expected observations with one picture at most, got {', '.join(leaf.name for leaf in pictures)}; "
                "choose one with a wrapper (setup.wrappers)"
            )
        self.picture = pictures[0] if pictures else None
        self._leaves = [leaf for leaf in leaves if leaf is not self.picture]
        sizes = [_size(leaf.space) for leaf in self._leaves]
        if sum(sizes) > MAX_FEATURES:
            raise InputError(
                f"{where}: expected observations of at most {MAX_FEATURES} numbers, got {sum(sizes)} of {space}; "
                "pictures of uint8 and rank 3 are encoded, others need a wrapper (setup.wrappers)"
            )
        self.features = tuple(name for leaf in self._leaves for name in _names(leaf))
        bounds = [_bounds(leaf.space) for leaf in self._leaves]
        self.low = np.concatenate([low for low, _ in bounds] or [np.zeros(0)])  # [F] f64, −∞ where the space has no bound
        self.high = np.concatenate([high for _, high in bounds] or [np.zeros(0)])
        self._plain = not self.picture and len(leaves) == 1 and not leaves[0].path and isinstance(space, spaces.Box)

    @property
    def map_shape(self) -> tuple[int, int, int] | None:
        """(C, H, W) of the picture."""
        if self.picture is None:
            return None
        shape: Sequence[int] = self.picture.space.shape or ()
        return (shape[0], shape[1], shape[2]) if channels_first(shape) else (shape[2], shape[0], shape[1])

    def require(self, row: Any, where: str) -> None:
        """Raise InputError unless an observation has the parts and shapes that its space says."""
        for leaf in _leaves(self.space, (), where):
            try:
                got = np.shape(_at(row, leaf.path))
            except (KeyError, IndexError, TypeError, ValueError) as error:
                raise InputError(f"{where}: expected {leaf.name} as in {self.space}: {error!r}") from None
            if got != _shape(leaf.space):
                raise InputError(f"{where}: {leaf.name}: expected the shape {list(_shape(leaf.space))} of its space, got {list(got)}")

    def rows(self, seen: Sequence[Any] | Array) -> dict[str, Array]:
        """N observations of the environment: "features" [N, F] f32, and "map" [N, C, G, G] u8 where there is a picture."""
        if self._plain:
            return {"features": np.asarray(seen, np.float32).reshape(len(seen), -1)}
        columns = [_numbers(leaf.space, [_at(row, leaf.path) for row in seen]) for leaf in self._leaves]
        found = {"features": np.concatenate(columns, axis=1) if columns else np.zeros((len(seen), 0), np.float32)}
        if self.picture is not None:
            picture = np.array([_at(row, self.picture.path) for row in seen], np.uint8)
            picture = picture if channels_first(picture.shape[1:]) else picture.transpose(0, 3, 1, 2)
            channels, height, width = picture.shape[1:]
            found["map"] = np.zeros((len(seen), channels, *[max(height, width)] * 2), np.uint8)
            found["map"][:, :, :height, :width] = picture
        return found


class Acting:
    """An action space: K named actions, or D numbers in [−1, 1] that are stretched to its bounds.

    A Discrete keeps its actions; a MultiDiscrete or MultiBinary has one named action for every combination.
    """

    def __init__(self, space: Space[Any], where: str) -> None:
        """InputError that begins with `where` and names a cure: a space without bounds, with too many actions, or of another kind."""
        self.space, self.names, self.dimensions = space, (), 0
        self._starts: Array = np.zeros(0, np.int64)
        self._sizes: tuple[int, ...] = ()
        match space:
            case spaces.Discrete():
                self.names = tuple(f"action_{i}" for i in range(int(space.n)))
            case spaces.MultiDiscrete() | spaces.MultiBinary():
                self._sizes = _choices(space)
                starts = getattr(space, "start", np.zeros(space.shape, np.int64))
                self._starts = np.asarray(starts, np.int64).ravel()
                if (count := math.prod(self._sizes)) > MAX_ACTIONS:
                    raise InputError(
                        f"{where}: expected at most {MAX_ACTIONS} joint actions, got {count} of {space}; "
                        "reduce them with a wrapper (setup.wrappers)"
                    )
                self.names = tuple("_".join(("action", *map(str, one))) for one in product(*map(range, self._sizes)))
            case spaces.Box() if space.is_bounded("both") and math.prod(space.shape) <= MAX_ACTION_DIMENSIONS:
                self.dimensions = math.prod(space.shape)
            case spaces.Box() if not space.is_bounded("both"):
                raise InputError(
                    f"{where}: expected actions with bounds, got {space}; "
                    "gymnasium.wrappers:RescaleAction or a wrapper of your own (setup.wrappers) can set them"
                )
            case _:
                raise InputError(
                    f"{where}: expected actions from Discrete, MultiDiscrete, MultiBinary or a bounded Box of at most "
                    f"{MAX_ACTION_DIMENSIONS} numbers, got {space}; a wrapper (setup.wrappers) can offer one of these"
                )

    def own(self, actions: Array) -> Array:
        """Actions of the contract, [N] ids or [N, D] in [−1, 1], as the environment takes them: [N, *shape]."""
        space = self.space
        if isinstance(space, spaces.Discrete):
            return np.asarray(actions + int(space.start))
        if self.names:
            parts = np.stack(np.unravel_index(actions, self._sizes), axis=-1) + self._starts
            return np.asarray(parts.reshape(-1, *_shape(space)).astype(space.dtype))
        assert isinstance(space, spaces.Box)
        low, high = space.low.astype(np.float64), space.high.astype(np.float64)
        share = (actions.astype(np.float64).clip(-1.0, 1.0).reshape(-1, *space.shape) + 1.0) / 2
        stretched = low + share * (high - low)
        if space.dtype is not None and space.dtype.kind in "iu":
            stretched = np.rint(stretched)
        return np.asarray(stretched.clip(low, high).astype(space.dtype).clip(space.low, space.high))

    def mask(self, told: Any, where: str) -> Array:
        """[K] u8 from a mask of the environment: K values, or those of all parts of a MultiDiscrete in a row. InputError for any other."""
        if told is None:
            raise InputError(f"{where}: expected a mask in every step, since earlier ones or other copies have it; got none")
        mask = np.asarray(told).ravel()
        if len(self._sizes) and len(mask) == sum(self._sizes):
            parts = np.split(mask.astype(bool), np.cumsum(self._sizes)[:-1])
            mask = np.logical_and.reduce(np.meshgrid(*parts, indexing="ij")).ravel()
        if mask.shape != (len(self.names),):
            raise InputError(f"{where}: expected a mask over {len(self.names)} actions, got {list(np.shape(told))}")
        if not mask.any():
            raise InputError(f"{where}: expected an action that is allowed, the mask forbids all {len(mask)}")
        return np.asarray(mask != 0, np.uint8)

    def ids(self, own: Sequence[Any] | Array) -> Array:
        """The inverse of `own`: [N] i64 ids, or [N, D] f32 in [−1, 1]. InputError for an action outside the space, which names its row."""
        space = self.space
        acts = np.asarray(own)
        wanted = (len(acts), *_shape(space))
        if acts.shape != wanted:
            raise InputError(f"actions: expected the shape {list(wanted)} of {space}, got {list(acts.shape)}")
        if acts.dtype.kind not in "biuf" or not np.isfinite(acts).all():
            raise InputError(f"actions: expected finite numbers of {space}, got {acts.dtype}")
        if isinstance(space, spaces.Discrete):
            return _within(acts - int(space.start), (int(space.n),), space)
        if self.names:
            parts = _within(acts.reshape(len(acts), -1) - self._starts, self._sizes, space)
            return np.asarray(np.ravel_multi_index(tuple(parts.T), self._sizes), np.int64)
        assert isinstance(space, spaces.Box)
        low, high = space.low.astype(np.float64).ravel(), space.high.astype(np.float64).ravel()
        flat = acts.reshape(len(acts), -1).astype(np.float64)
        slack = 1e-6 * np.maximum(1.0, high - low)
        bad = ((flat < low - slack) | (flat > high + slack)).any(axis=1)
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise InputError(f"actions: {int(bad.sum())} of {len(flat)} lie outside {space}, first {flat[row].tolist()} in row {row}")
        span = np.where(high > low, high - low, 1.0)
        return np.asarray((2.0 * (flat - low) / span - 1.0).clip(-1.0, 1.0), np.float32)


# --- spaces ---------------------------------------------------------------------------------------------------------------


def is_picture(space: Space[Any]) -> bool:
    """Whether a space is a picture by Gymnasium's convention: a Box of uint8 and rank 3, and not a single cell."""
    return isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) == 3 and min(sorted(space.shape)[1:]) >= 3


def channels_first(shape: Sequence[int]) -> bool:
    """Whether a picture's shape has its channels first: its first number is smaller than the last."""
    return shape[0] < shape[-1]


def _leaves(space: Space[Any], path: Path, where: str) -> Iterator[Leaf]:
    match space:
        case spaces.Dict():
            for key, part in space.spaces.items():
                yield from _leaves(part, (*path, key), where)
        case spaces.Tuple():
            for index, part in enumerate(space.spaces):
                yield from _leaves(part, (*path, index), where)
        case spaces.Box() | spaces.Discrete() | spaces.MultiBinary() | spaces.MultiDiscrete():
            yield Leaf(path, space)
        case _:
            name = ".".join(map(str, path)) or "the observation"
            raise InputError(
                f"{where}: expected observations of numbers (Box, Discrete, MultiBinary, MultiDiscrete, Dict, Tuple), "
                f"{name} is {type(space).__name__}; leave it out with a wrapper (setup.wrappers)"
            )


def _choices(space: Space[Any]) -> tuple[int, ...]:
    """How many values each part of a discrete space has."""
    match space:
        case spaces.Discrete():
            return (int(space.n),)
        case spaces.MultiDiscrete():
            return tuple(int(n) for n in np.asarray(space.nvec).ravel())
        case _:
            return (2,) * math.prod(_shape(space))


def _size(space: Space[Any]) -> int:
    match space:
        case spaces.Discrete() | spaces.MultiDiscrete():
            return sum(_choices(space))
        case _:
            return math.prod(_shape(space))


def _names(leaf: Leaf) -> list[str]:
    match leaf.space:
        case spaces.Discrete():
            return [f"{leaf.name}_{i}" for i in range(int(leaf.space.n))]
        case spaces.MultiDiscrete():
            return [f"{leaf.name}_{part}_{i}" for part, n in enumerate(_choices(leaf.space)) for i in range(n)]
        case _ if not leaf.space.shape:
            return [leaf.name]
        case _:
            return ["_".join((leaf.name, *map(str, index))) for index in np.ndindex(*_shape(leaf.space))]


def _bounds(space: Space[Any]) -> tuple[Array, Array]:
    if isinstance(space, spaces.Box):
        return space.low.astype(np.float64).ravel(), space.high.astype(np.float64).ravel()
    return np.zeros(_size(space)), np.ones(_size(space))


def _numbers(space: Space[Any], values: list[Any]) -> Array:
    """[N, size] f32."""
    if isinstance(space, spaces.Discrete | spaces.MultiDiscrete):
        starts = np.asarray(space.start, np.int64).ravel()
        parts = np.asarray(values, np.int64).reshape(len(values), -1) - starts
        return np.concatenate([np.eye(n, dtype=np.float32)[part] for n, part in zip(_choices(space), parts.T, strict=True)], axis=1)
    return np.asarray(values, np.float32).reshape(len(values), -1)


def _at(row: Any, path: Path) -> Any:
    for key in path:
        row = row[key]
    return row


def _shape(space: Space[Any]) -> tuple[int, ...]:
    return tuple(space.shape or ())


def _within(ids: Array, sizes: tuple[int, ...], space: Space[Any]) -> Array:
    """[N] or [N, parts] i64 ids, each whole and below its size."""
    whole = np.rint(ids).astype(np.int64)
    bad = ((whole != ids) | (whole < 0) | (whole >= np.array(sizes if ids.ndim > 1 else sizes[0]))).reshape(len(ids), -1).any(axis=1)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(f"actions: {int(bad.sum())} of {len(ids)} are none of {space}, first in row {row}")
    return whole
