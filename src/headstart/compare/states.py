"""Rows of observations to a summary, and the questions that a summary answers: F(x), quantiles, the pool of several.

Rows of one world resemble each other, so a thousand of them are not a thousand draws. The effective size is what is left if all rows of a world
were copies of each other: Kish's (Σ n)² / Σ n² (Kish, "Survey Sampling", 1965, §8.2). It never counts too much, so tests with it are on the
safe side of their false-alarm rate and need more worlds, not longer ones, to see more.
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


def share_up_to(feature: FeatureSummary, x: Array) -> Array:
    """F(x) [n], a step function: exact at the summary's own points, elsewhere too small by less than 1/63."""
    return np.concatenate([[0.0], feature.share])[np.searchsorted(feature.value, x, side="right")]


def quantile(feature: FeatureSummary, p: Array) -> Array:
    """The least of the summary's points at which F ≥ p: [n]."""
    return np.asarray(feature.value)[np.searchsorted(feature.share, np.asarray(p) - 1e-12)]


def pooled(summaries: Sequence[StateSummary]) -> StateSummary:
    """The even mixture of several policies' rows in the same worlds; together they are worth the draws of one of them."""
    first = summaries[0]
    if any(other.features.keys() != first.features.keys() for other in summaries):
        raise InputError("expected summaries of the same features")
    return StateSummary(
        rows=sum(one.rows for one in summaries),
        worlds=first.worlds,
        effective=min(one.effective for one in summaries),
        features={name: _mixture([one.features[name] for one in summaries]) for name in first.features},
    )


def _mixture(parts: Sequence[FeatureSummary]) -> FeatureSummary:
    value = np.unique(np.concatenate([part.value for part in parts]))
    share = np.mean([share_up_to(part, value) for part in parts], axis=0)
    return FeatureSummary(
        value=tuple(value.tolist()), share=tuple(share.tolist()), outside=float(np.mean([part.outside for part in parts]))
    )
