"""Success and harm as predicates over the counters of an episode: "every showers >= 1", "sum presses > 0", "max late == 0"."""

import operator
import re
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from headstart.core.arrays import Array
from headstart.core.errors import InputError

Predicate = Callable[[Array], npt.NDArray[np.bool_]]  # counters [W, A, S] → [W]
_OPERATORS: dict[str, Callable[[Array, float], Array]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_OVER_AGENTS: dict[str, Callable[[Array, Callable[[Array], Array]], Array]] = {
    "every": lambda counts, holds: np.all(holds(counts), axis=1),
    "any": lambda counts, holds: np.any(holds(counts), axis=1),
    "sum": lambda counts, holds: holds(counts.sum(axis=1)),
    "max": lambda counts, holds: holds(counts.max(axis=1)),
    "min": lambda counts, holds: holds(counts.min(axis=1)),
}
_SENTENCE = re.compile(r"(\w+) ([\w.-]+) (>=|<=|==|!=|>|<) (-?\d+(?:\.\d+)?)")


def compile_predicate(sentence: str, stats: Sequence[str]) -> Predicate:
    """A function from counters [W, A, S] to [W] bool.

    `sentence` is "<every|any|sum|max|min> <counter> <operator> <number>"; InputError says which word is wrong.
    """
    match = _SENTENCE.fullmatch(sentence.strip())
    if not match:
        raise InputError(f"predicate {sentence!r}: expected '<{'|'.join(_OVER_AGENTS)}> <counter> <operator> <number>'")
    over, counter, sign, number = match.groups()
    if over not in _OVER_AGENTS:
        raise InputError(f"predicate {sentence!r}: expected one of {', '.join(_OVER_AGENTS)}, got {over!r}")
    if counter not in stats:
        raise InputError(f"predicate {sentence!r}: no counter {counter!r}; there are {', '.join(stats)}")
    column, compare, bound = list(stats).index(counter), _OPERATORS[sign], float(number)
    return lambda counts: _OVER_AGENTS[over](counts[:, :, column], lambda values: compare(values, bound))


def all_hold(sentences: Sequence[str], stats: Sequence[str]) -> Predicate:
    """[W, A, S] → [W]: every sentence holds."""
    parts = [compile_predicate(sentence, stats) for sentence in sentences]
    return lambda counts: np.logical_and.reduce([part(counts) for part in parts])


def any_holds(sentences: Sequence[str], stats: Sequence[str]) -> Predicate:
    """[W, A, S] → [W]: at least one sentence holds."""
    parts = [compile_predicate(sentence, stats) for sentence in sentences]
    return lambda counts: np.logical_or.reduce([part(counts) for part in parts])
