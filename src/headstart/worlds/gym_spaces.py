"""Gymnasium spaces as the contract of worlds has them: features and a picture, action ids or numbers in [−1, 1]; and back.

F features, K actions, D action dimensions, C channels of a picture of H × W cells, padded to a square of G × G, G = max(H, W).
"""

import math
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from gymnasium import Space, spaces

from headstart.core.arrays import Array
from headstart.core.errors import InputError, shown
from headstart.worlds.gym_parts import (
    bounds_of,
    channels_first,
    choices,
    in_shape,
    is_picture,
    leaves_of,
    names_of,
    numbers_of,
    part_at,
    shape_of,
    size_of,
    within,
)

MAX_FEATURES = 4096
MAX_ACTIONS = 1024  # joint actions of a MultiDiscrete or MultiBinary space
MAX_CHOICES = 65_536  # of a Discrete space
MAX_ACTION_DIMENSIONS = 256


class Observing:
    """An observation space: its rows as features [N, F] f32 and, where it has a picture, that as a map [N, C, G, G] u8.

    Boxes of any rank are flattened; Discrete and MultiDiscrete become one-hot, MultiBinary 0 or 1, Dict and Tuple their parts in order. A
    picture (`is_picture`) has its channels last (the smaller end where they are first, as of stacked Atari frames).
    """

    def __init__(self, space: Space[Any], where: str) -> None:
        """InputError that begins with `where`: a space that is not made of numbers, too many features, or several pictures."""
        self.space = space
        leaves = list(leaves_of(space, (), where))
        pictures = [leaf for leaf in leaves if is_picture(leaf.space)]
        if len(pictures) > 1:
            raise InputError(
                f"{where}: expected observations with one picture at most, got {', '.join(leaf.name for leaf in pictures)}; "
                "choose one with a wrapper (setup.wrappers)"
            )
        self.picture = pictures[0] if pictures else None
        self._leaves = [leaf for leaf in leaves if leaf is not self.picture]
        sizes = [size_of(leaf.space) for leaf in self._leaves]
        if sum(sizes) > MAX_FEATURES:
            raise InputError(
                f"{where}: expected observations of at most {MAX_FEATURES} numbers, got {sum(sizes)} of {space}; "
                "pictures of uint8 and rank 3 are encoded, others need a wrapper (setup.wrappers)"
            )
        if not sum(sizes) and not pictures:
            raise InputError(f"{where}: expected observations of one number at least, got {space}")
        self.features = tuple(name for leaf in self._leaves for name in names_of(leaf))
        bounds = [bounds_of(leaf.space) for leaf in self._leaves]
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
        for leaf in leaves_of(self.space, (), where):
            try:
                value = np.asarray(part_at(row, leaf.path))
                got = value.shape
            except (KeyError, IndexError, TypeError, ValueError) as error:
                raise InputError(f"{where}: expected {leaf.name} as in {self.space}: {error!r}") from None
            if got != shape_of(leaf.space):
                raise InputError(
                    f"{where}: {leaf.name}: expected the shape {list(shape_of(leaf.space))} of its space, got {list(got)}"
                )
            if not np.can_cast(value.dtype, leaf.space.dtype or np.float64, "same_kind"):
                raise InputError(f"{where}: {leaf.name}: expected {leaf.space.dtype} as of its space, got {value.dtype}")

    def rows(self, seen: Sequence[Any] | Array) -> dict[str, Array]:
        """N observations of the environment: "features" [N, F] f32, and "map" [N, C, G, G] u8 where there is a picture.

        InputError: a value that its Discrete space does not have. ValueError, TypeError, KeyError: no observation of the space; `require` says
        what is wrong.
        """
        if self._plain:
            return {"features": in_shape(np.ascontiguousarray(seen, np.float32), self.space)}
        columns = [numbers_of(leaf, leaf.of(seen)) for leaf in self._leaves]
        joined = columns[0] if len(columns) == 1 else np.concatenate(columns or [np.zeros((len(seen), 0), np.float32)], axis=1)
        found = {"features": joined}
        if self.picture is not None:
            picture = np.asarray(self.picture.of(seen))
            if picture.dtype != np.uint8 and (picture.dtype.kind not in "iu" or picture.min() < 0 or picture.max() > 255):
                low, high = picture.min(), picture.max()
                raise InputError(
                    f"{self.picture.name}: expected whole numbers from 0 to 255, got {picture.dtype} from {low:g} to {high:g}"
                )
            picture = picture.astype(np.uint8)
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
        self.space, self.dimensions = space, 0
        self.names: tuple[str, ...] = ()
        self._starts: Array = np.zeros(0, np.int64)
        self._sizes: tuple[int, ...] = ()
        match space:
            case spaces.Discrete() if space.n > MAX_CHOICES:
                raise InputError(f"{where}: expected at most {MAX_CHOICES} actions, got {space}")
            case spaces.Discrete():
                self.names = tuple(f"action_{i}" for i in range(int(space.n)))
            case spaces.MultiDiscrete() | spaces.MultiBinary():
                self._sizes = choices(space)
                starts = getattr(space, "start", np.zeros(space.shape, np.int64))
                self._starts = np.asarray(starts, np.int64).ravel()
                # of many parts the product alone would take minutes
                if sum(n > 1 for n in self._sizes) > MAX_ACTIONS.bit_length() or math.prod(self._sizes) > MAX_ACTIONS:
                    raise InputError(
                        f"{where}: expected at most {MAX_ACTIONS} joint actions, got more of {space!s:.200}; "
                        "reduce them with a wrapper (setup.wrappers)"
                    )
                self.names = tuple("_".join(("action", *map(str, one))) for one in product(*map(range, self._sizes)))
            case spaces.Box() if space.is_bounded("both") and (space.low == space.high).all():
                raise InputError(f"{where}: expected actions among which to choose, got {space}")
            case spaces.Box() if space.is_bounded("both") and math.prod(space.shape) <= MAX_ACTION_DIMENSIONS:
                self.dimensions = math.prod(space.shape)
            case spaces.Box() if not space.is_bounded("both"):
                raise InputError(
                    f"{where}: expected actions with bounds, got {space}; "
                    "a gymnasium.ActionWrapper of your own (setup.wrappers) can set action_space to the range that is of use"
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
            return np.asarray(parts.reshape(-1, *shape_of(space)).astype(space.dtype))
        assert isinstance(space, spaces.Box)
        share = (actions.astype(np.float64).clip(-1.0, 1.0).reshape(-1, *space.shape) + 1.0) / 2
        stretched = space.low * (1.0 - share) + space.high * share  # high − low may be more than a float can hold
        if space.dtype is not None and space.dtype.kind in "iu":
            top = float(np.iinfo(space.dtype).max)  # may be rounded up, to a number that the type does not have
            stretched = np.rint(stretched).clip(None, top if int(top) <= np.iinfo(space.dtype).max else np.nextafter(top, 0.0))
        return np.asarray(stretched.astype(space.dtype).clip(space.low, space.high))

    def mask(self, told: Any, where: str) -> Array:
        """[K] u8 from a mask of the environment: K values, or those of all parts of a MultiDiscrete or MultiBinary in a row or a tuple.

        The second is sb3-contrib's form, and counts where both are of one length. InputError for any other, and for one that allows nothing.
        """
        if told is None:
            raise InputError(f"{where}: expected a mask in every step, since earlier ones or other copies have it; got none")
        mask = np.concatenate([np.ravel(part) for part in told]) if isinstance(told, tuple) else np.ravel(told)
        if self._sizes and len(mask) == sum(self._sizes):
            parts = np.split(mask.astype(bool), np.cumsum(self._sizes)[:-1])
            mask = np.logical_and.reduce(np.meshgrid(*parts, indexing="ij")).ravel()
        if len(mask) != len(self.names):
            raise InputError(f"{where}: expected a mask over {len(self.names)} actions, got {len(mask)} values")
        if mask.dtype.kind not in "biuf" or (mask.dtype != bool and ((mask != 0) & (mask != 1)).any()):
            raise InputError(f"{where}: expected 1 for an action that is allowed and 0 for others, got {shown(mask.tolist())}")
        if not mask.any():
            raise InputError(f"{where}: expected an action that is allowed, the mask forbids all {len(mask)}")
        return np.asarray(mask != 0, np.uint8)

    def ids(self, own: Sequence[Any] | Array) -> Array:
        """The inverse of `own`: [N] i64 ids, or [N, D] f32 in [−1, 1]. InputError for an action outside the space, which names its row."""
        space = self.space
        acts = np.asarray(own)
        wanted = (len(acts), *shape_of(space))
        if acts.shape != wanted:
            raise InputError(f"actions: expected the shape {list(wanted)} of {space}, got {list(acts.shape)}")
        if acts.dtype.kind not in "biuf" or not np.isfinite(acts).all():
            raise InputError(f"actions: expected finite numbers of {space}, got {acts.dtype}")
        if isinstance(space, spaces.Discrete):
            return within(acts if acts.dtype.kind == "f" else acts.astype(np.int64), int(space.start), (int(space.n),), space)
        if self.names:
            parts = within(acts.reshape(len(acts), -1), self._starts, self._sizes, space)
            return np.asarray(np.ravel_multi_index(tuple(parts.T), self._sizes), np.int64)
        assert isinstance(space, spaces.Box)
        low, high = space.low.astype(np.float64).ravel(), space.high.astype(np.float64).ravel()
        flat = acts.reshape(len(acts), -1).astype(np.float64)
        slack = 1e-6 * np.maximum(1.0, high - low)
        bad = ((flat < low - slack) | (flat > high + slack)).any(axis=1)
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise InputError(
                f"actions: {int(bad.sum())} of {len(flat)} lie outside {space}, first {flat[row].tolist()} in row {row}"
            )
        span = np.where(high > low, high - low, 1.0)
        return np.asarray((2.0 * (flat - low) / span - 1.0).clip(-1.0, 1.0), np.float32)
