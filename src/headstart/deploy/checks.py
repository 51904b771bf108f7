"""What a caller of the public functions passed, checked: whole numbers, seeds, paths and actions, each refused in one sentence."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import Space, spaces

from headstart.core.arrays import Array
from headstart.core.errors import InputError, UsageError, shown

LARGEST = (1 << 63) - 1


def whole(value: Any, name: str, least: int = 0, most: int = LARGEST) -> int:
    """`value` as an int; InputError unless it is a whole number of Python or NumPy from `least` to `most`, and no bool."""
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not is_whole or not least <= value <= most:
        expected = f"a whole number ≥ {least}" + (f" and ≤ {most}" if is_whole and value > most else "")
        raise InputError(f"{name}: expected {expected}, got {shown(value)}")
    return int(value)


def seed_of(seed: Any) -> int | None:
    """The seed of a reset; InputError unless it is None or a whole number ≥ 0."""
    return None if seed is None else whole(seed, "seed")


def path_of(value: Any, name: str, expected: str) -> Path:
    """InputError, which says what is `expected`, for what is no path."""
    if not isinstance(value, str | os.PathLike):
        raise InputError(f"{name}: expected {expected}, got {shown(value)}")
    try:
        os.stat(value)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        pass  # whoever opens it says so
    except (OSError, ValueError) as error:  # too long, or with a character that no path has
        raise InputError(f"{name}: expected {expected}, got {shown(value)}: {getattr(error, 'strerror', error)}") from None
    return Path(value)


def actions_of(actions: Any, space: Space[Any], n: int) -> Array:
    """[N] ids, or [N, D] finite numbers; UsageError for another shape or kind, NaN, and an id that there is not."""
    wanted = [n, *(space.shape or ())]
    kind = "whole numbers" if isinstance(space, spaces.Discrete) else "finite numbers"
    try:
        found = np.asarray(actions)
    except (ValueError, TypeError, RuntimeError) as error:  # rows of different lengths; a tensor with a gradient
        raise UsageError(f"actions: expected {wanted} {kind}: {error}") from None
    fits = found.dtype.kind in "iu" or (found.dtype.kind == "f" and kind == "finite numbers" and bool(np.isfinite(found).all()))
    if list(found.shape) != wanted or not fits:
        raise UsageError(f"actions: expected {wanted} {kind}, got {found.dtype} {list(found.shape)}: {shown(actions)}")
    if not isinstance(space, spaces.Discrete):
        return found if found.dtype.kind == "f" else found.astype(np.float32)
    first = int(space.start)
    if found.size and not first <= found.min() <= found.max() < first + space.n:
        raise UsageError(f"actions: expected ids from {first} to {first + int(space.n) - 1}, got {found.min()} … {found.max()}")
    return found
