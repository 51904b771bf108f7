"""Gymnasium spaces as JSON, so that a checkpoint says what its policy takes and gives where the environment is not at hand."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import Space, spaces

from headstart.core.arrays import Array
from headstart.core.errors import InputError

MAX_CELLS = 1 << 24  # numbers of one observation or action


def space_record(space: Space[Any]) -> dict[str, Any]:
    """A space made of Box, Discrete, MultiDiscrete, MultiBinary, Tuple and Dict; `space_from` makes an equal one of it.

    Bounds of a Box that are all alike stand as one number; infinite ones are the texts "inf" and "-inf", which JSON has no numbers for.
    """
    match space:
        case spaces.Box():
            bounds = {"low": _bound(space.low), "high": _bound(space.high)}
            return {"type": "Box", **bounds, "shape": list(space.shape), "dtype": str(space.dtype)}
        case spaces.Discrete():
            return {"type": "Discrete", "n": int(space.n), "start": int(space.start)}
        case spaces.MultiDiscrete():
            return {
                "type": "MultiDiscrete",
                "nvec": space.nvec.tolist(),
                "start": space.start.tolist(),
                "dtype": str(space.dtype),
            }
        case spaces.MultiBinary():
            return {"type": "MultiBinary", "n": space.n if isinstance(space.n, int) else list(space.shape)}
        case spaces.Tuple():
            return {"type": "Tuple", "parts": [space_record(part) for part in space.spaces]}
        case spaces.Dict():  # pairs: the order of its parts is that of the features, and JSON keeps none
            return {"type": "Dict", "parts": [[name, space_record(part)] for name, part in space.spaces.items()]}
    raise InputError(f"expected a space of Box, Discrete, MultiDiscrete, MultiBinary, Tuple and Dict, got {space}")


def space_from(record: Any) -> Space[Any]:
    """The space of a record. InputError for one that `space_record` did not write."""
    try:
        if _declared(record) > MAX_CELLS:  # before arrays of this size are made
            raise ValueError(f"expected at most {MAX_CELLS} numbers")
        with np.errstate(all="raise"):
            return MADE[record["type"]](record)
    except (ArithmeticError, AttributeError, AssertionError, LookupError, TypeError, ValueError) as error:
        raise InputError(f"expected the record of a space, got {record!r:.80}: {error}") from None


def _declared(record: Any) -> int:
    """Numbers of a space that is no Tuple and no Dict."""
    shape = record.get("shape", record["n"] if record["type"] == "MultiBinary" else 1)
    sizes = shape if isinstance(shape, list) else [shape]
    if not all(isinstance(size, int) and size >= 0 for size in sizes):
        raise ValueError("expected whole numbers ≥ 0 as shape")
    return math.prod(sizes)


def _box(record: Any) -> spaces.Box:
    shape, dtype = tuple(record["shape"]), np.dtype(record["dtype"])
    low, high = (np.broadcast_to(np.asarray(record[side], dtype), shape) for side in ("low", "high"))
    return spaces.Box(low.copy(), high.copy(), shape, dtype.type)


def _bound(bound: Array) -> Any:
    """One number where all are alike, else nested lists."""
    flat = bound.ravel()
    if flat.size and (flat == flat[0]).all():
        return _number(flat[0].item())
    return np.array([_number(value) for value in flat.tolist()], object).reshape(bound.shape).tolist()


def _number(value: float) -> float | str:
    return str(value) if value in (np.inf, -np.inf) else value


MADE: dict[str, Callable[[Any], Space[Any]]] = {
    "Box": _box,
    "Discrete": lambda one: spaces.Discrete(one["n"], start=one["start"]),
    "MultiDiscrete": lambda one: spaces.MultiDiscrete(
        np.array(one["nvec"]), np.dtype(one["dtype"]).type, start=np.array(one["start"])
    ),
    "MultiBinary": lambda one: spaces.MultiBinary(one["n"]),
    "Tuple": lambda one: spaces.Tuple([space_from(part) for part in one["parts"]]),
    "Dict": lambda one: spaces.Dict([(name, space_from(part)) for name, part in one["parts"]]),
}
