"""Decorators that compile the functions of this folder; an edit in the folder recompiles all of them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

from headstart.core.jit import cache_of, cached

# the matrices are small, and each process has one core; BLAS reads this once, when numba loads it
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

F = TypeVar("F", bound=Callable[..., Any])
_LEARNER = cache_of(Path(__file__).parent)


def part(function: F) -> F:
    """Compiled into each of its callers."""
    return cast(F, numba.njit(error_model="numpy", nogil=True)(function))


def entry(function: F) -> F:
    """Called from Python; compiled once and cached on disk."""
    return cached(function, _LEARNER, f"the learner ({function.__name__})", nogil=True)
