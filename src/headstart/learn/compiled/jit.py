"""How functions of this folder are compiled; whatever is edited here, all of them are compiled anew."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

from headstart.core.jit import cache_of, cached

# the matrices are small and every core has a process of its own; read once, by the BLAS that numba's products load
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

F = TypeVar("F", bound=Callable[..., Any])
_LEARNER = cache_of(Path(__file__).parent)


def part(function: F) -> F:
    """Compiled into whatever calls it here."""
    return cast(F, numba.njit(error_model="numpy", nogil=True)(function))


def entry(function: F) -> F:
    """Called from Python: kept on disk."""
    return cached(function, _LEARNER, f"the learner ({function.__name__})", nogil=True)
