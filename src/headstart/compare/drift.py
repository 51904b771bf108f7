"""Distances between two sets of rows, feature by feature, and between two mixes of situations; and several sets of rows taken together.

KS: two-sample Kolmogorov–Smirnov with the effective sizes of `states`, p-values corrected over the features by Benjamini and Hochberg (1995);
its distance D is the effect size, since with many rows the smallest difference is significant. PSI: population stability index over the
deciles of the first set; n·m/(n + m) · PSI is about χ² with bins − 1 degrees of freedom if both sets are alike (Yurdakul 2018), so an index
that chance explains is not reported as a shift. Total variation of two mixes: half the sum of the differences of their shares.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from headstart.compare.arm_runs import FeatureSummary, StateSummary
from headstart.core.arrays import Array
from headstart.core.record import Record

DECILES = np.linspace(0.1, 0.9, 9)
LEAST_COUNT = 0.5  # independent draws in a bin that has none, because log 0 is not finite


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


def drift(first: StateSummary, second: StateSummary) -> tuple[FeatureDrift, ...]:
    """All features of `first` against `second`, the farthest first."""
    from scipy import stats  # half a second, which commands that only read comparisons need not wait

    size = first.effective * second.effective / (first.effective + second.effective)
    names = list(first.features)
    pairs = [(first.features[name], second.features[name]) for name in names]
    distances = np.array([ks_distance(*pair) for pair in pairs])
    indices = [stability_index(*pair, (first.effective, second.effective)) for pair in pairs]
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


def stability_index(first: FeatureSummary, second: FeatureSummary, effective: tuple[float, float]) -> tuple[float, int]:
    """Σ (b − a)·ln(b / a) over bins between the deciles of `first`, and how many bins there are. An empty bin counts as half a draw: with a
    fixed small share, one empty bin of a few dozen draws would be a shift."""
    cuts = np.unique(quantile(first, DECILES))
    a, b = (_bins(feature, cuts, size) for feature, size in zip((first, second), effective, strict=True))
    return float(np.sum((b - a) * np.log(b / a))), len(a)


def _bins(feature: FeatureSummary, cuts: Array, effective: float) -> Array:
    return np.maximum(np.diff(share_up_to(feature, cuts), prepend=0.0, append=1.0), LEAST_COUNT / effective)


def _unseen(first: FeatureSummary, second: FeatureSummary) -> float:
    above = 1.0 - share_up_to(second, np.array([first.value[-1]]))
    below = share_up_to(second, np.array([np.nextafter(first.value[0], -np.inf)]))
    return float(above[0] + below[0])


def mix_drift(data: Mapping[str, int], exam: Mapping[str, int]) -> MixDrift | None:
    """Total variation of two mixes of worlds; None where fewer than two situations occur in them."""
    from scipy import stats

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


def pooled(summaries: Sequence[StateSummary]) -> StateSummary:
    """The even mixture of several policies' rows in the same worlds; together they amount to the independent draws of one of them."""
    return StateSummary(
        rows=sum(one.rows for one in summaries),
        worlds=summaries[0].worlds,
        effective=min(one.effective for one in summaries),
        features=_mixtures(summaries, np.ones(len(summaries))),
    )


def joined(summaries: Sequence[StateSummary]) -> StateSummary:
    """All rows of several sets that share no world, such as the blocks of a recording: their independent draws add up.

    Kish's size of all worlds together follows from the sizes of the parts, whose Σ n² is rows² / effective; equal parts give the sum of them.
    """
    rows = np.array([one.rows for one in summaries], float)
    return StateSummary(
        rows=sum(one.rows for one in summaries),
        worlds=sum(one.worlds for one in summaries),
        effective=float(rows.sum() ** 2 / np.sum(rows**2 / [one.effective for one in summaries])),
        features=_mixtures(summaries, rows),
    )


def _mixtures(summaries: Sequence[StateSummary], weights: Array) -> dict[str, FeatureSummary]:
    return {name: _mixture([one.features[name] for one in summaries], weights) for name in summaries[0].features}


def _mixture(parts: Sequence[FeatureSummary], weights: Array) -> FeatureSummary:
    """The mixture of P distributions by weights [P]."""
    value = np.unique(np.concatenate([part.value for part in parts]))
    share = np.average([share_up_to(part, value) for part in parts], axis=0, weights=weights)
    outside = float(np.average([part.outside for part in parts], weights=weights))
    return FeatureSummary(value=tuple(value.tolist()), share=tuple(share.tolist()), outside=outside)


def share_up_to(feature: FeatureSummary, x: Array) -> Array:
    """F(x) [n], a step function: exact at the summary's own points, elsewhere too small by less than 1/63."""
    return np.concatenate([[0.0], feature.share])[np.searchsorted(feature.value, x, side="right")]


def quantile(feature: FeatureSummary, p: Array) -> Array:
    """The least of the summary's points at which F ≥ p: [n]."""
    return np.asarray(feature.value)[np.searchsorted(feature.share, np.asarray(p) - 1e-12)]
