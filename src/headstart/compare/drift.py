"""Distances between two sets of rows, feature by feature, and between two mixes of situations; and the loss of success in held-out variants.

KS: two-sample Kolmogorov–Smirnov with the effective sizes of `states`, p-values corrected over the features by Benjamini and Hochberg (1995);
its distance D is the effect size, since with many rows the smallest difference is significant. PSI: population stability index over the
deciles of the first set; n·m/(n + m) · PSI is about χ² with bins − 1 degrees of freedom if both sets are alike (Yurdakul 2018), so an index
that chance explains is not reported as a shift. Total variation of two mixes: half the sum of the differences of their shares.

Success in held-out variants: the candidate minus another policy, paired by training seed, one-sided t bounds. The bounds of several variants
hold together, by Holm's step-down (1979): the smallest p is compared with α/m, the next with α/(m − 1), and so on; from the first that cannot
be shown, all are bounded at its level. Every policy plays the same worlds of a variant, so a bound is about training seeds, given these worlds
and, against the clone, given that one clone.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from headstart.compare.arm_runs import FeatureSummary, StateSummary
from headstart.core.arrays import Array
from headstart.core.record import Record

ALPHA = 0.05  # of the bounds of all variants together
DECILES = np.linspace(0.1, 0.9, 9)
LEAST_SHARE = 1e-4  # of a bin, because log 0 is not finite


class FeatureDrift(Record):
    """One feature in a second set of rows against a first."""

    feature: str
    distance: float  # sup |F − G|
    q: float  # of the distance: p-value after Benjamini and Hochberg
    psi: float
    psi_q: float
    unseen: float  # share of the second set's rows outside of the first's least and greatest


class MixDrift(Record):
    """Situations, such as the families of a robot's world, in the data and in the exam."""

    data: dict[str, float]  # situation → share
    exam: dict[str, float]
    distance: float  # total variation
    p: float  # χ² test that both are draws from one mix


class VariantDifference(Record):
    """Success of the candidate minus that of another policy on one variant; n seeds."""

    n: int
    mean: float
    low: float | None  # Holm's bound against the margin of a HOLD; None: too few seeds
    low_fail: float | None  # against the margin of a FAIL


def drift(first: StateSummary, second: StateSummary) -> tuple[FeatureDrift, ...]:
    """All features of `first` against `second`, the farthest first."""
    size = first.effective * second.effective / (first.effective + second.effective)
    names = list(first.features)
    pairs = [(first.features[name], second.features[name]) for name in names]
    distances = np.array([ks_distance(*pair) for pair in pairs])
    indices = [stability_index(*pair) for pair in pairs]
    psi, bins = np.array([index for index, _ in indices]), np.array([n for _, n in indices])
    p = stats.kstwo.sf(distances, max(1, round(size)))  # as scipy.stats.ks_2samp(method="asymp")
    psi_p = np.where(bins > 1, stats.chi2.sf(size * psi, np.maximum(bins - 1, 1)), 1.0)
    q, psi_q = (stats.false_discovery_control(np.clip(values, 0.0, 1.0)) for values in (p, psi_p))
    found = [
        FeatureDrift(feature=name, distance=d, q=chance, psi=index, psi_q=psi_chance, unseen=_unseen(*pair))
        for name, d, chance, index, psi_chance, pair in zip(
            names, distances.tolist(), q.tolist(), psi.tolist(), psi_q.tolist(), pairs, strict=True
        )
    ]
    return tuple(sorted(found, key=lambda one: (-one.distance, one.feature)))


def ks_distance(first: FeatureSummary, second: FeatureSummary) -> float:
    """sup |F − G| over the points of both; within 1/63 of that of the rows."""
    at = np.union1d(first.value, second.value)
    return float(np.abs(share_up_to(first, at) - share_up_to(second, at)).max())


def stability_index(first: FeatureSummary, second: FeatureSummary) -> tuple[float, int]:
    """Σ (b − a)·ln(b / a) over bins between the deciles of `first`, and how many bins there are."""
    cuts = np.unique(quantile(first, DECILES))
    a, b = (_bins(feature, cuts) for feature in (first, second))
    return float(np.sum((b - a) * np.log(b / a))), len(a)


def _bins(feature: FeatureSummary, cuts: Array) -> Array:
    return np.maximum(np.diff(share_up_to(feature, cuts), prepend=0.0, append=1.0), LEAST_SHARE)


def _unseen(first: FeatureSummary, second: FeatureSummary) -> float:
    above = 1.0 - share_up_to(second, np.array([first.value[-1]]))
    below = share_up_to(second, np.array([np.nextafter(first.value[0], -np.inf)]))
    return float(above[0] + below[0])


def mix_drift(data: Mapping[str, int], exam: Mapping[str, int]) -> MixDrift | None:
    """Total variation of two mixes of worlds; None where fewer than two situations occur in them."""
    kinds = sorted(data.keys() | exam.keys())
    if len(kinds) < 2:
        return None
    counts = np.array([[side.get(kind, 0) for kind in kinds] for side in (data, exam)])
    shares = counts / counts.sum(axis=1, keepdims=True)
    return MixDrift(
        data=dict(zip(kinds, shares[0].tolist(), strict=True)),
        exam=dict(zip(kinds, shares[1].tolist(), strict=True)),
        distance=float(np.abs(shares[0] - shares[1]).sum() / 2),
        p=float(stats.chi2_contingency(counts, correction=False).pvalue),
    )


def differences(
    per_variant: Mapping[str, Array], hold: float, fail: float, pairs_for_interval: int
) -> dict[str, VariantDifference]:
    """Variant → difference from paired values [n]; the margins `hold` and `fail` are positive."""
    enough = {name: values for name, values in per_variant.items() if len(values) >= max(pairs_for_interval, 2)}
    low, low_fail = (holm_bounds(enough, margin) for margin in (hold, fail))
    return {
        name: VariantDifference(n=len(values), mean=float(np.mean(values)), low=low.get(name), low_fail=low_fail.get(name))
        for name, values in per_variant.items()
    }


def holm_bounds(per_variant: Mapping[str, Array], margin: float) -> dict[str, float]:
    """Variant → lower bound of the mean of its values [n ≥ 2]: at least −margin exactly where Holm shows it at ALPHA."""
    chances = {name: _p_value(values, margin) for name, values in per_variant.items()}
    bounds, stopped = {}, None
    for rank, name in enumerate(sorted(chances, key=lambda name: chances[name])):
        level = ALPHA / (len(chances) - rank) if stopped is None else stopped
        if chances[name] > level:
            stopped = level
        values = per_variant[name]
        bounds[name] = float(np.mean(values)) - float(stats.t.isf(level, len(values) - 1)) * _standard_error(values)
    return bounds


def _p_value(values: Array, margin: float) -> float:
    """One-sided p of: the mean lies at −margin or below."""
    above, error = float(np.mean(values)) + margin, _standard_error(values)
    if error == 0:
        return 0.0 if above >= 0 else 1.0
    return float(stats.t.sf(above / error, len(values) - 1))


def _standard_error(values: Array) -> float:
    return float(np.std(values, ddof=1)) / float(np.sqrt(len(values)))


def pooled(summaries: Sequence[StateSummary]) -> StateSummary:
    """The even mixture of several policies' rows in the same worlds; together they amount to the independent draws of one of them."""
    first = summaries[0]
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


def share_up_to(feature: FeatureSummary, x: Array) -> Array:
    """F(x) [n], a step function: exact at the summary's own points, elsewhere too small by less than 1/63."""
    return np.concatenate([[0.0], feature.share])[np.searchsorted(feature.value, x, side="right")]


def quantile(feature: FeatureSummary, p: Array) -> Array:
    """The least of the summary's points at which F ≥ p: [n]."""
    return np.asarray(feature.value)[np.searchsorted(feature.share, np.asarray(p) - 1e-12)]
