"""What an environment tells beside its observation: reward and flags, and numbers of info that become counters of the episode."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from headstart.core.arrays import Array
from headstart.core.errors import InputError, nearest
from headstart.core.record import Record

OWN_STATS = ("return", "steps", "terminated")  # counters of every environment
FLAGS = ("terminated", "truncated")
SILENT_EPISODES = 20  # after so many, a key of info that no step told is taken for a misspelling
Gather = Literal["last", "any", "sum", "max", "min"]
Place = Callable[[int], str]  # row → where it is, for errors
GATHER: dict[Gather, Callable[[float, float], float]] = {
    "last": lambda so_far, value: value,
    "any": lambda so_far, value: float(bool(so_far) or bool(value)),
    "sum": lambda so_far, value: so_far + value,
    "max": max,
    "min": min,
}
FIRST: dict[Gather, float] = {"any": 0.0, "sum": 0.0}  # what stands before the first value; of the others that value itself


class Told(Record):
    """How a number of info becomes a counter of the episode."""

    gather: Gather
    # what a step without the key counts as; None: such a step does not count, and some step must have the key
    absent: float | None = None


class Counters:
    """The gathered numbers of N rows' episodes: `values` [N, keys] f64, and `told` [N, keys] bool, which of them a step of the episode told."""

    def __init__(self, keys: Mapping[str, Told], num: int) -> None:
        self._keys = keys
        self.values, self.told = np.zeros((num, len(keys))), np.zeros((num, len(keys)), bool)
        self._episodes, self._ever = 0, set[str]()

    def clear(self, rows: Any = slice(None)) -> None:
        """New episodes begin in these rows."""
        self.values[rows], self.told[rows] = 0.0, False

    def add(self, infos: Sequence[Mapping[str, Any]], place: Place, rows: Sequence[int]) -> None:
        """The infos of one step in these rows. InputError, which begins with the place, for a value that is not one finite number."""
        for column, (key, how) in enumerate(self._keys.items()):
            for w in rows:
                info = infos[w]
                if key in info:
                    self._ever.add(key)
                    value = _number(info[key], key, w, place)
                elif how.absent is not None:
                    value = how.absent
                else:
                    continue
                before = self.values[w, column] if self.told[w, column] else FIRST.get(how.gather, value)
                self.values[w, column] = GATHER[how.gather](before, value)
                self.told[w, column] = True

    def ended(self, episodes: int, infos: Sequence[Mapping[str, Any]]) -> None:
        """So many episodes are over. InputError for a key that no step of SILENT_EPISODES told: its counter would be 0 for ever."""
        self._episodes += episodes
        if self._keys and self._episodes >= SILENT_EPISODES:
            self.require_told(infos)

    def require_told(self, infos: Sequence[Mapping[str, Any]]) -> None:
        """InputError that names a key which no step told, and the keys that there are."""
        silent = [key for key, how in self._keys.items() if how.absent is None and key not in self._ever]
        if silent:
            there = sorted({str(key) for info in infos for key in info})
            raise InputError(
                f"setup.info: no step of {self._episodes} episodes told {silent[0]!r}{nearest(silent[0], there)}; "
                f"the last steps told {', '.join(there) or 'nothing'}; a key that is told only at times needs "
                f"`{silent[0]}: {{gather: {self._keys[silent[0]].gather}, absent: 0}}`"
            )


def one_each(name: str, values: Any, num: int, place: Place) -> Array:
    """[N] f64 from a reward or a flag of each of N rows. InputError unless each is one finite number."""
    try:
        array = np.asarray(values)
    except ValueError:  # of several shapes
        array = np.zeros(0, object)
    if array.dtype.kind not in "biuf":
        w = next((w for w, value in enumerate(values) if np.asarray(value).dtype.kind not in "biuf"), 0)
        raise InputError(f"{place(w)}: {name}: expected a number, got {values[w]!r:.60}")
    if array.shape != (num,):
        raise InputError(f"{place(0)}: {name}: expected one value, got the shape {list(array.shape[1:])}")
    with np.errstate(over="ignore"):
        kept = array.astype(np.float32)  # as which it is learned from
    if not np.isfinite(kept).all():
        w = int(np.flatnonzero(~np.isfinite(kept))[0])
        raise InputError(f"{place(w)}: {name}: expected a finite number, got {array[w]}")
    if name in FLAGS and array.dtype != bool and (bad := (array != 0) & (array != 1)).any():
        w = int(np.flatnonzero(bad)[0])
        raise InputError(f"{place(w)}: {name}: expected true or false, got {array[w]}")
    return array.astype(np.float64)


def mappings(infos: Sequence[Any], place: Place) -> Sequence[dict[str, Any]]:
    """The infos of W copies. InputError for one that is no dict."""
    if bad := [w for w, info in enumerate(infos) if not isinstance(info, dict)]:
        raise InputError(f"{place(bad[0])}: info: expected a dict, got {infos[bad[0]]!r:.60}")
    return infos


def _number(value: Any, key: str, w: int, place: Place) -> float:
    try:
        number = float(value) if np.ndim(value) == 0 and not isinstance(value, str) else None
    except (TypeError, ValueError):
        number = None
    if number is None or not np.isfinite(number):
        raise InputError(f"{place(w)}: info[{key!r}]: expected one finite number, got {value!r:.60}")
    return number
