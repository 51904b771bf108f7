"""Rows of observations to a summary: the distribution of each feature, and the number of independent draws to which the rows amount.

Rows of one world resemble each other, so a thousand of them are not a thousand draws. The effective size is what is left if all rows of a world
were copies of each other: Kish's (Σ n)² / Σ n² (Kish, "Survey Sampling", 1965, §8.2). It is never too large, so tests with it keep their
false-alarm rate; to detect smaller differences they need more worlds, not longer episodes.
"""

from collections.abc import Sequence

import numpy as np

from headstart.compare.arm_runs import FeatureSummary, StateSummary
from headstart.core.arrays import Array
from headstart.core.errors import InputError

POINTS = 64


def summarise(features: Array, world: Array, names: Sequence[str], bounds: tuple[float, float]) -> StateSummary:
    """Summary of features [M, F] whose rows belong to worlds [M]; `bounds` is the scenario's feature_range, both ends included.

    Raises InputError for no rows, and for values that are not finite.
    """
    if features.ndim != 2 or features.shape != (len(world), len(names)) or len(world) == 0:
        raise InputError(f"expected rows [M ≥ 1, {len(names)}] with a world each, got {list(features.shape)} and {len(world)}")
    if not np.isfinite(features).all():
        wrong = [name for name, column in zip(names, features.T, strict=True) if not np.isfinite(column).all()]
        raise InputError(f"features: expected finite values, got others in {', '.join(wrong)}")
    counts = np.unique(world, return_counts=True)[1].astype(float)
    return StateSummary(
        rows=len(world),
        worlds=len(counts),
        effective=float(counts.sum() ** 2 / (counts**2).sum()),
        features={name: _summary_of(column, bounds) for name, column in zip(names, features.T, strict=True)},
    )


def _summary_of(column: Array, bounds: tuple[float, float]) -> FeatureSummary:
    values, counts = np.unique(column, return_counts=True)
    share = np.cumsum(counts) / len(column)
    if len(values) > POINTS:
        grid = np.linspace(0.0, 1.0, POINTS)
        at = np.unique(np.minimum(np.searchsorted(share, grid - 1e-12), len(values) - 1))
        values, share = values[at], share[at]
    rounded = np.array([float(f"{value:.6g}") for value in values])
    last = np.append(rounded[1:] > rounded[:-1], True)  # of values that the rounding made equal, with all their rows
    return FeatureSummary(
        value=tuple(rounded[last].tolist()),
        share=tuple(np.round(share[last], 6).tolist()),
        outside=float(np.mean((column < bounds[0]) | (column > bounds[1]))),
    )
