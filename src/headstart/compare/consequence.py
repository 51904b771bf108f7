"""What a shift costs: success in held-out variants, the candidate less another policy, paired by training seed, one-sided t bounds.

The bounds of several variants hold together, by Holm's step-down (1979): the surest variant is bounded at α/m, the next at α/(m − 1), and
so on; from the first that cannot be shown, all are bounded at its level. Every policy plays the same worlds of a variant, so a bound is about
training seeds, given these worlds and, against the clone, given that one clone.
"""

from collections.abc import Mapping

import numpy as np
from scipy import stats

from headstart.core.arrays import Array
from headstart.core.record import Record

ALPHA = 0.05


class VariantDifference(Record):
    """Success of the candidate less that of another policy on one variant; n seeds."""

    n: int
    mean: float
    low: float | None  # Holm's bound against the margin of a HOLD; None: too few seeds
    low_fail: float | None  # against the margin of a FAIL


def differences(per_variant: Mapping[str, Array], hold: float, fail: float, n_min: int) -> dict[str, VariantDifference]:
    """Variant → difference from paired values [n]; the margins `hold` and `fail` are positive."""
    enough = {name: values for name, values in per_variant.items() if len(values) >= max(n_min, 2)}
    low, low_fail = (holm_bounds(enough, margin) for margin in (hold, fail))
    return {
        name: VariantDifference(n=len(values), mean=float(np.mean(values)), low=low.get(name), low_fail=low_fail.get(name))
        for name, values in per_variant.items()
    }


def holm_bounds(per_variant: Mapping[str, Array], margin: float) -> dict[str, float]:
    """Variant → lower bound of the mean of its values [n ≥ 2]: at least −margin exactly where Holm shows it at ALPHA."""
    chances = {name: _chance(values, margin) for name, values in per_variant.items()}
    bounds, stopped = {}, None
    for rank, name in enumerate(sorted(chances, key=lambda name: chances[name])):
        level = ALPHA / (len(chances) - rank) if stopped is None else stopped
        if chances[name] > level:
            stopped = level
        bounds[name] = float(np.mean(per_variant[name])) - float(stats.t.isf(level, len(per_variant[name]) - 1)) * _error(
            per_variant[name]
        )
    return bounds


def _chance(values: Array, margin: float) -> float:
    """One-sided p of: the mean lies at −margin or below."""
    above, error = float(np.mean(values)) + margin, _error(values)
    if error == 0:
        return 0.0 if above >= 0 else 1.0
    return float(stats.t.sf(above / error, len(values) - 1))


def _error(values: Array) -> float:
    return float(np.std(values, ddof=1)) / float(np.sqrt(len(values)))
