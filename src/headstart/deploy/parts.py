"""The parts of what a user shows a policy, each checked: nested as the space, of its shape, kind and values, and of equally many rows."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import Space, spaces

from headstart.core.arrays import Array
from headstart.core.errors import InputError, shown
from headstart.worlds.gym_parts import Leaf, Path


def parts_of(space: Space[Any], obs: Any, path: Path = ()) -> Iterator[Any]:
    """The values of the leaves, in their order. InputError where `obs` is not nested as the space: a batch is so too, of arrays."""
    name = ".".join(map(str, path)) or "observation"
    match space:
        case spaces.Dict():
            if not isinstance(obs, Mapping) or (missing := space.spaces.keys() - obs.keys()):
                got = f"one without {', '.join(map(str, sorted(missing)))}" if isinstance(obs, Mapping) else kind_of(obs)
                raise InputError(
                    f"{name}: expected a dict with {', '.join(map(str, space.spaces))}, of a batch a dict of arrays with N rows "
                    f"each, as of {space}, got {got}"
                )
            for key, part in space.spaces.items():
                yield from parts_of(part, obs[key], (*path, key))
        case spaces.Tuple():
            if not isinstance(obs, tuple) or len(obs) != len(space.spaces):
                raise InputError(
                    f"{name}: expected a tuple of {len(space.spaces)} parts, of a batch a tuple of {len(space.spaces)} arrays with "
                    f"N rows each, as of {space}, got {kind_of(obs)}"
                )
            for nth, part in enumerate(space.spaces):
                yield from parts_of(part, obs[nth], (*path, nth))
        case _:
            if isinstance(obs, tuple) and any(isinstance(key, int) for key in path):  # a part, or an observation of a batch?
                raise InputError(f"{name}: expected an array of {space}, of a batch with N rows, got {kind_of(obs)}")
            yield obs


def kind_of(obs: Any) -> str:
    """What an observation is, for an error."""
    if isinstance(obs, list | tuple):
        return f"a {type(obs).__name__} of {len(obs)}"
    return f"an array of the shape {list(obs.shape)}" if isinstance(obs, np.ndarray) else shown(obs)


def require_alike(counts: Mapping[str, tuple[bool, int]]) -> tuple[bool, int]:
    """Whether the parts are of one observation, and their rows; InputError unless all parts agree. `counts`: the same of every part."""
    (first, alike), *others = counts.items()
    for name, (single, n) in others:
        if (single, n) != alike:
            said = [f"{part} of {'one' if one else rows}" for part, (one, rows) in ((first, alike), (name, (single, n)))]
            raise InputError(f"observation: expected parts of one observation or of equally many, got {' and '.join(said)}")
    return alike


def require_values(leaf: Leaf, values: Array) -> None:
    """InputError, which names the row, for a value that a Discrete, MultiDiscrete or MultiBinary part does not have."""
    match leaf.space:
        case spaces.Discrete() | spaces.MultiDiscrete():
            sizes, first, _ = leaf.one_hot
            parts = values.reshape(len(values), -1)
            bad = ((parts < first) | (parts >= first + sizes)).any(axis=1)
        case spaces.MultiBinary():
            bad = ((values != 0) & (values != 1)).reshape(len(values), -1).any(axis=1)
        case _:
            return
    if bad.any():
        row = int(np.argmax(bad))
        raise InputError(f"{leaf.name}: expected a value of {leaf.space}, got {shown(values[row].tolist())} in row {row}")


def column(value: Any, shape: tuple[int, ...], dtype: Any, name: str) -> tuple[Array, bool]:
    """[N, *shape] of one value [*shape], N = 1, or of a batch, and whether it was one. InputError for another shape or kind of numbers."""
    try:
        found = np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:  # rows of different lengths; a tensor with a gradient, or of bfloat16
        raise InputError(f"{name}: expected numbers of the shape {list(shape)} or {['N', *shape]}: {error}") from None
    single = found.shape == shape
    if not single and (found.shape[1:] != shape or len(found) == 0 or found.ndim != len(shape) + 1):
        got = shown(value) if found.dtype == object else list(found.shape)
        raise InputError(f"{name}: expected the shape {list(shape)} or {['N', *shape]}, got {got}")
    if found.dtype != dtype and (found.dtype.kind not in "biuf" or not np.can_cast(found.dtype, dtype, "same_kind")):
        if found.dtype.kind not in "iu" or np.dtype(dtype).kind not in "iu":
            raise InputError(f"{name}: expected numbers of {dtype}, got {found.dtype}")
        found = as_integers(found, np.dtype(dtype), name)
    return found[None] if single else found, single


def require_mask(mask: Array, name: str) -> None:
    """InputError unless a mask [K] or masks [N, K] have 1 and 0 alone."""
    if mask.dtype == np.uint8 and mask.max(initial=0) <= 1:  # as a town has them
        return
    if mask.dtype != bool and (mask.dtype.kind not in "iuf" or ((mask != 0) & (mask != 1)).any()):
        wrong = mask[(mask != 0) & (mask != 1)] if mask.dtype.kind in "iuf" else mask.ravel()
        raise InputError(
            f"{name}: expected 1 for an action that is allowed and 0 for others, got {shown(wrong[:1].tolist())[1:-1]}"
        )


def as_integers(found: Array, dtype: np.dtype[Any], name: str) -> Array:
    """Whole numbers of another kind, such as those of a list, as `dtype`; InputError for one that it does not have."""
    least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
    if found.size and (found.min() < least or found.max() > most):
        raise InputError(f"{name}: expected numbers of {dtype}, {least} … {most}, got {found.min()} … {found.max()}")
    return found.astype(dtype)


def finite(rows: Array, names: Sequence[str]) -> Array:
    """The same rows [N, F] f32, writable and contiguous; InputError names the first feature that is NaN or infinite."""
    if not np.isfinite(rows).all():
        row, f = np.argwhere(~np.isfinite(rows))[0]
        raise InputError(f"observation: expected finite numbers, {names[f]} is {rows[row, f]} in row {row}")
    return rows if rows.flags.writeable and rows.flags.c_contiguous else np.array(rows, order="C")
