"""A recording that another program made, in memory: what every format is read into and written from.

N steps of E episodes, which follow each other. Row t of an episode holds o_t, the action a_t that was chosen from it, and the reward that
followed.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from headstart.core.arrays import Array
from headstart.core.errors import InputError

EXPERT_ACTION, ACTION_MASK = "expert_action", "action_mask"  # of infos: the label where it is not what was executed; [N, K]
EXPERT_LOG_PROB, EXPERT_VALUE = "expert_log_prob", "expert_value"  # of infos: [N], where the expert has them
Tree = Any  # an array, or a dict or tuple of trees: nested as the observation space is


@dataclass(frozen=True)
class Recording:
    """None stands for what a format or a file does not have."""

    observations: Tree  # [N, …], o_t as the environment's space has it
    actions: Array  # [N, …], a_t in the environment's own action space: what was executed
    length: Array  # [E] i64, steps
    rewards: Array | None = None  # [N]
    terminated: Array | None = None  # [E] bool, of the last step; None: how the episodes ended is not known
    truncated: Array | None = None  # [E] bool
    final_observations: Tree | None = None  # [E, …], o_T
    seeds: Array | None = None  # [E] i64, of `reset`; −1: not known
    infos: dict[str, Array] = field(default_factory=dict)  # [N, …], what the environment's info told after the step
    success: Array | None = None  # [E] bool, where the file says so itself
    harm: Array | None = None  # [E] bool

    @property
    def steps(self) -> int:
        return int(self.length.sum())

    @property
    def start(self) -> Array:
        """[E] i64, first row of each episode."""
        return np.asarray(np.cumsum(self.length) - self.length)

    def place(self, row: int) -> str:
        """Where a row lies, for a person."""
        episode = int(np.searchsorted(self.start, row, side="right")) - 1
        return f"episode {episode}, row {row - int(self.start[episode])}"


def leaves(tree: Tree, name: str = "") -> Iterator[tuple[str, Array]]:
    """The arrays of a tree, each with its keys, joined by dots."""
    if isinstance(tree, dict | tuple):
        for key, part in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from leaves(part, f"{name}.{key}".lstrip("."))
    else:
        yield name, tree


def mapped(function: Callable[..., Array], *trees: Tree) -> Tree:
    """A tree of what `function` makes of the arrays at each place of `trees`, which are nested alike."""
    first = trees[0]
    if isinstance(first, dict):
        return {key: mapped(function, *(tree[key] for tree in trees)) for key in first}
    if isinstance(first, tuple):
        return tuple(mapped(function, *parts) for parts in zip(*trees, strict=True))
    return function(*trees)


def nested(flat: dict[str, Array]) -> Tree:
    """The inverse of `leaves`: keys that are all numbers make a tuple. InputError for a key that is both an array and a group."""
    if set(flat) == {""}:
        return flat[""]
    groups: dict[str, dict[str, Array]] = {}
    for name, array in flat.items():
        key, _, rest = name.partition(".")
        groups.setdefault(key, {})[rest] = array
    if bad := [key for key, group in groups.items() if ("" in group and len(group) > 1) or not key]:
        raise InputError(f"expected {bad[0] or 'each key'} as an array or as a group of arrays, got both")
    parts = {key: nested(group) for key, group in groups.items()}
    if all(key.isdecimal() for key in parts):
        return tuple(parts[key] for key in sorted(parts, key=int))
    return parts


def require_sound(recording: Recording, where: str) -> None:
    """InputError that begins with `where` and names episode and row: columns of other lengths, numbers that are not finite, and wrong ends."""
    length = recording.length
    if length.ndim != 1 or not len(length):
        raise InputError(f"{where}: expected at least one episode, got lengths of shape {list(length.shape)}")
    if (length < 1).any():
        raise InputError(f"{where}: expected episodes of at least one step, episode {int(np.argmax(length < 1))} has none")
    per_step = {"actions": recording.actions} | {f"infos.{name}": column for name, column in recording.infos.items()}
    per_step |= {f"observations.{name}".rstrip("."): column for name, column in leaves(recording.observations)}
    per_step |= {} if recording.rewards is None else {"rewards": recording.rewards}
    per_episode = {name: getattr(recording, name) for name in ("terminated", "truncated", "seeds", "success", "harm")}
    per_episode = {name: column for name, column in per_episode.items() if column is not None}
    if recording.final_observations is not None:
        finals = leaves(recording.final_observations)
        per_episode |= {f"final_observations.{name}".rstrip("."): column for name, column in finals}
    for columns, count, what in (
        (per_step, recording.steps, "rows, one a step"),
        (per_episode, len(length), "rows, one an episode"),
    ):
        for name, column in columns.items():
            if column.ndim < 1 or len(column) != count:
                raise InputError(f"{where}: {name}: expected {count} {what}, got the shape {list(column.shape)}")
    for name, column in per_step.items():
        _require_finite(column, where, name, recording.place)
    for name, column in per_episode.items():
        _require_finite(column, where, name, lambda row: f"episode {row}")
    _require_ends(recording, where)


def _require_finite(column: Array, where: str, name: str, place: Callable[[int], str]) -> None:
    if column.dtype.kind not in "biuf":
        raise InputError(f"{where}: {name}: expected numbers, got {column.dtype}")
    if column.dtype.kind != "f" or np.isfinite(column).all():
        return
    row = int(np.flatnonzero(~np.isfinite(column.reshape(len(column), -1)).all(axis=1))[0])
    values = np.atleast_1d(column[row]).ravel()
    raise InputError(f"{where}: {name}: expected finite numbers, got {values[~np.isfinite(values)][0]} in {place(row)}")


def _require_ends(recording: Recording, where: str) -> None:
    terminated, truncated = recording.terminated, recording.truncated
    if terminated is None or truncated is None:
        return
    last = recording.length - 1
    if (wrong := ~terminated & ~truncated).any():
        episode = int(np.argmax(wrong))
        raise InputError(
            f"{where}: expected episodes that end terminated or truncated, episode {episode} has neither flag in its last row "
            f"({int(last[episode])})"
        )


def ends_of(flags: Mapping[str, Array], length: Array, where: str) -> tuple[Array | None, Array | None]:
    """terminated and truncated [E] bool from columns of one value an episode, or one a step; one of the two decides the other.

    Of an episode that has both, terminated counts. InputError for a flag before the last row of its episode.
    """
    steps, found = int(length.sum()), {}
    for name, flag in flags.items():
        if flag.dtype.kind not in "biuf" or not np.isin(flag, (0, 1)).all():
            got = flag[~np.isin(flag, (0, 1))].ravel()[0] if flag.dtype.kind in "biuf" else flag.dtype
            raise InputError(f"{where}: {name}: expected true or false, got {got}")
        flag = flag.astype(bool)
        if flag.shape not in ((len(length),), (steps,)):
            raise InputError(
                f"{where}: {name}: expected {len(length)} values, one an episode, or {steps}, one a step, got the shape {list(flag.shape)}"
            )
        if flag.shape == (steps,) and steps != len(length):
            last = np.zeros(steps, bool)
            last[np.cumsum(length) - 1] = True
            if early := np.flatnonzero(flag & ~last).tolist():
                place = Recording(flag, flag, length).place(early[0])
                raise InputError(f"{where}: {name}: expected no end before the last row of an episode, got one in {place}")
            flag = flag[last]
        found[name] = flag
    terminated, truncated = found.get("terminated"), found.get("truncated")
    if terminated is None and truncated is not None:
        return ~truncated, truncated
    if truncated is None and terminated is not None:
        return terminated, ~terminated
    if terminated is not None and truncated is not None:  # an episode that ends by itself in its last allowed step has both
        truncated = truncated & ~terminated
    return terminated, truncated
