"""How the rules of worlds are compiled; an edit anywhere below this folder recompiles all of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

from headstart.core.jit import cache_of, cached

STEP, RESET, STAGGER, LOOK = 0, 1, 2, 3  # what the kernel of a simulator does with each world before it writes the observations

F = TypeVar("F", bound=Callable[..., Any])
_WORLDS = cache_of(Path(__file__).parent)


def rule(function: F) -> F:
    """A rule of one world, compiled into whichever kernel calls it."""
    return cast(F, numba.njit(error_model="numpy", nogil=True)(function))


def kernel(function: F) -> F:
    """A loop over W worlds (numba.prange), compiled once and kept on disk."""
    world = function.__module__.split(".")[-2]
    return cached(function, _WORLDS, f"the rules of {world} ({function.__name__})", parallel=True)
