"""Numbers of single episodes, for rankings: how long nothing changes, how actions go back and forth, how far an episode is from the others.

Robust z: distance from the median in units of 1.4826 times the median distance from it (Iglewicz and Hoaglin 1993).
"""

from typing import NamedTuple

import numpy as np

from headstart.core.arrays import Array
from headstart.dataset.episodes import Episodes
from headstart.dataset.observation import ObservationSchema

FAR = 6.0  # robust z beyond which a value is an outlier
RARE = 0.01  # share of episodes; where most values are equal, others are outliers if they are as rare
ROWS = 100_000  # compared at once
JUMP = 0.01  # of the range: a smaller change of a continuous action is none


class Column(NamedTuple):
    """One number of every episode."""

    label: str
    unit: str
    values: Array  # [E] f64; NaN: not measured


def still_steps(episodes: Episodes, has_final: bool) -> Array:
    """[N] bool: no number of the observation changes in the step. Without final observations the last step of an episode is left out."""
    last = episodes.table.start + episodes.table.length - 1
    still = np.ones(len(episodes.reward), bool)
    for name, column in episodes.observation.items():
        still &= _stays(column.reshape(len(column), -1), episodes.final_observation[name], last)
    still[last] &= has_final
    return still


def _stays(column: Array, final: Array, last: Array) -> Array:
    """[N] bool: row t of [N, F] is equal to the row after it, of the `last` ones to the final row."""
    same = np.zeros(len(column), bool)
    for begin in range(0, len(column) - 1, ROWS):
        end = min(begin + ROWS, len(column) - 1)
        same[begin:end] = (column[begin:end] == column[begin + 1 : end + 1]).all(axis=1)
    same[last] = (column[last] == final.reshape(len(last), -1)).all(axis=1)
    return same


def longest_runs(hits: Array, start: Array) -> Array:
    """[E] i64: the most hits [N] bool in a row within an episode."""
    row = np.arange(len(hits))
    missed = np.where(hits, -1, row)
    missed[start] = np.where(hits[start], start - 1, start)  # a run does not begin before its episode
    return np.asarray(np.maximum.reduceat(row - np.maximum.accumulate(missed), start))


def back_and_forth(episodes: Episodes, schema: ObservationSchema) -> tuple[Array, Array]:
    """[E] twice: how much the action changes in a step, and the share of steps in which a change is taken back.

    Of a choice: the share of steps with another action than before, and of those that return to the one before that (A, B, A). Of numbers: the
    mean change in shares of their range, and the share of steps in which a change turns round.
    """
    start, length = episodes.table.start, episodes.table.length
    n, action = len(episodes.reward), episodes.action
    second, third = _inner(n, start, 1), _inner(n, start, 2)
    change, turned = np.zeros(n), np.zeros(n, bool)
    if schema.actions:
        change[1:] = action[1:] != action[:-1]
        turned[2:] = (action[2:] == action[:-2]) & (action[1:-1] != action[:-2])
    else:
        low, high = np.array(schema.action_low), np.array(schema.action_high)
        span = np.where(np.isfinite(high - low) & (high > low), high - low, 1.0)
        moved = np.diff(action, axis=0, prepend=action[:1]) / span
        change = np.abs(moved).mean(axis=1)
        turned[1:] = ((moved[1:] * moved[:-1] < 0) & (np.minimum(np.abs(moved[1:]), np.abs(moved[:-1])) > JUMP)).any(axis=1)
    return _share(change * second, start, length - 1), _share(turned & third, start, length - 2)


def _inner(n: int, start: Array, skipped: int) -> Array:
    """[N] bool: not among the first steps of an episode."""
    inner = np.ones(n, bool)
    for shift in range(skipped):
        inner[np.minimum(start + shift, n - 1)] = False
    return inner


def _share(hits: Array, start: Array, of: Array) -> Array:
    """[E]: hits of an episode by `of` [E]; NaN for none."""
    total = np.add.reduceat(np.asarray(hits, np.float64), start)
    return np.where(of > 0, total / np.maximum(of, 1), np.nan)


def commonest(episodes: Episodes, actions: int) -> Array:
    """[E]: share of the most frequent of K actions."""
    table = episodes.table
    episode = np.repeat(np.arange(len(table.length)), table.length)
    inside = np.clip(episodes.action, 0, actions - 1)
    counts = np.bincount(episode * actions + inside, minlength=len(table.length) * actions).reshape(-1, actions)
    return np.asarray(counts.max(axis=1) / table.length)


def slips(episodes: Episodes) -> Array:
    """[E]: share of steps in which another action was executed than the label says."""
    differs = (episodes.action != episodes.expert_action).reshape(len(episodes.reward), -1).any(axis=1)
    return _share(differs, episodes.table.start, episodes.table.length)


def robust_z(values: Array) -> Array:
    """[E]: distance of each value from the median, in robust deviations; 0 where there is no spread, NaN where the value is missing.

    Where most values are equal, the mean distance takes the place of the median one, and only rare values have a distance.
    """
    z, known = np.full(len(values), np.nan), np.isfinite(values)
    if not known.any():
        return z
    off = values[known] - np.median(values[known])
    scale = 1.4826 * np.median(np.abs(off))
    if scale == 0:
        rare = 0 < np.mean(off != 0) <= RARE
        scale = 1.2533 * np.mean(np.abs(off)) if rare else np.inf
    z[known] = off / scale
    return z


def strangest(episodes: Episodes) -> tuple[Array, Array]:
    """[E] f64, [E] i64: the greatest robust z of an episode's mean of any feature, and which feature; of features that vary between most."""
    features, table = episodes.observation["features"], episodes.table
    worst, which = np.zeros(len(table.length)), np.zeros(len(table.length), np.int64)
    for f in range(features.shape[1]):
        means = np.add.reduceat(features[:, f], table.start, dtype=np.float64) / table.length
        middle = np.median(means)
        scale = 1.4826 * np.median(np.abs(means - middle))
        if not scale > 0:
            continue
        z = np.abs(means - middle) / scale
        which = np.where(z > worst, f, which)
        worst = np.maximum(worst, np.nan_to_num(z))
    return worst, which
