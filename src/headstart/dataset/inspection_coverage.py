"""What the accepted episodes show and what they never show: actions, behaviours, and the ranges of features, in BINS cells each."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from headstart.core.arrays import Array
from headstart.dataset.episodes import Episodes
from headstart.dataset.observation import ObservationSchema

BINS = 10  # of the range of a feature
FEW = 20  # values: a feature with no more takes them only, and has no gaps
SAMPLE = 20_000  # rows that tell how many values a feature takes
SHORT = 0.001  # share of decisions: an action below has hardly been shown


class ActionUse(NamedTuple):
    """How often one of K actions was chosen."""

    name: str
    executed: int  # steps
    labelled: int  # steps of which it is the label
    allowed: int | None  # steps in which the mask allows it; None: without masks
    train: float | None  # share of the labels on each side of the split; None: that side is empty
    heldout: float | None


class Behaviour(NamedTuple):
    """A counter of episodes."""

    name: str
    total: int
    episodes: int  # in which it is not 0
    most: int  # of one episode


class Range(NamedTuple):
    """The values of a feature, or of a dimension of the action."""

    name: str
    least: float
    mean: float
    most: float
    sd: float
    bins: tuple[int, ...]  # steps in each of BINS cells from least to most; empty where it is constant
    gaps: tuple[tuple[float, float], ...]  # cells without a step, those side by side as one
    untrained: tuple[tuple[float, float], ...]  # cells with held-out steps and no step to train on
    bad: int  # values that are not finite

    @property
    def constant(self) -> bool:
        return self.least == self.most


def actions_of(episodes: Episodes, schema: ObservationSchema, heldout: Array | None) -> tuple[ActionUse, ...]:
    """Of a choice between K actions; `heldout` [S] bool, None: not split."""
    k = len(schema.actions)

    def counted(column: Array) -> Array:
        return np.bincount(column[(column >= 0) & (column < k)], minlength=k)

    executed, labelled = counted(episodes.action), counted(episodes.expert_action)
    allowed = None if episodes.action_mask is None else episodes.action_mask.sum(axis=0)
    sides = [None, None]
    if heldout is not None:
        rows = np.repeat(heldout, episodes.table.length)
        sides = [counted(episodes.expert_action[mine]) / mine.sum() if mine.any() else None for mine in (~rows, rows)]
    return tuple(
        ActionUse(
            name,
            int(executed[i]),
            int(labelled[i]),
            None if allowed is None else int(allowed[i]),
            *(None if side is None else float(side[i]) for side in sides),
        )
        for i, name in enumerate(schema.actions)
    )


def behaviours_of(episodes: Episodes) -> tuple[Behaviour, ...]:
    """The counters that the world keeps of each episode."""
    return tuple(
        Behaviour(name, int(counts.sum(dtype=np.int64)), int((counts != 0).sum()), int(counts.max(initial=0)))
        for name, counts in sorted(episodes.table.behaviour.items())
    )


def ranges_of(columns: Array, names: Sequence[str], heldout_rows: Array | None) -> tuple[Range, ...]:
    """Of columns [N, F]; `heldout_rows` [N] bool, None: not split."""
    return tuple(_range(np.ascontiguousarray(columns[:, f], np.float32), name, heldout_rows) for f, name in enumerate(names))


def _range(column: Array, name: str, heldout: Array | None) -> Range:
    finite = np.isfinite(column)
    bad = int((~finite).sum())
    if bad:
        column, heldout = column[finite], None if heldout is None else heldout[finite]
    if not len(column):
        return Range(name, 0.0, 0.0, 0.0, 0.0, (), (), (), bad)
    least, most, mean = float(column.min()), float(column.max()), float(column.mean(dtype=np.float64))
    if least == most:
        return Range(name, least, mean, most, 0.0, (), (), (), bad)
    cell = np.minimum((column - np.float32(least)) * np.float32(BINS / (most - least)), BINS - 1).astype(np.int64)
    counts = np.bincount(cell, minlength=BINS)
    many = len(np.unique(column[:: len(column) // SAMPLE + 1])) > FEW
    lacking = np.zeros(BINS, bool)
    if heldout is not None and heldout.any() and not heldout.all():
        held = np.bincount(cell[heldout], minlength=BINS)
        lacking = (held > 0) & (counts == held)
    return Range(
        name,
        least,
        mean,
        most,
        float(column.std(dtype=np.float64)),
        tuple(counts.tolist()),
        _cells(counts == 0, least, most) if many else (),
        _cells(lacking, least, most),
        bad,
    )


def _cells(hits: Array, least: float, most: float) -> tuple[tuple[float, float], ...]:
    """The ranges that hit cells cover, those side by side as one."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], hits, [False]])))
    width = (most - least) / BINS
    return tuple((least + float(a) * width, least + float(b) * width) for a, b in zip(edges[::2], edges[1::2], strict=True))
