"""The cost of a shift: success that is lost and harm that is added in held-out variants of a scenario, against every baseline and the clone.

The unit is the replicate. Candidate and clone are paired by it, with Student's t. Candidate and baseline are two independent groups, since a
shared seed is no more than a shared number: Welch's t (1947). Runs that started from one clone are not independent of each other, so they
count as one replicate, with their mean.

The one-sided bounds of several variants hold together, by Holm's step-down (1979): the smallest p is compared with α/m, the next with
α/(m − 1), and so on; from the first that cannot be shown, all are bounded at its level. Every policy plays the same worlds of a variant, so
a bound is about replicates, given these worlds.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field
from scipy import special

from headstart.compare.arm_runs import ShiftFacts
from headstart.compare.curves import score_value
from headstart.compare.ratio import LEVEL, Estimate, paired, unpaired
from headstart.core.arrays import Array
from headstart.core.record import Record
from headstart.core.verdict import About, Check, at_least, at_most, hold_or_fail

Measure = Literal["success", "harm"]
LOSS: dict[Measure, Literal[-1, 1]] = {"success": -1, "harm": 1}  # sign of a difference that is a loss


class Margins(NamedTuple):
    """The loss, in rates of episodes, beyond which a verdict holds or fails."""

    hold: float
    fail: float


class VariantDifference(Record):
    """Candidate minus another policy; of success the bounds are lower ones, of harm upper ones."""

    n: int  # replicates; of two groups, of the smaller
    mean: float
    bound: float | None  # Holm's, against the margin of a HOLD; None: too few replicates
    bound_fail: float | None  # against the margin of a FAIL


class VariantRates(Record):
    """Shares of episodes with success, or with harm: means over replicates, and the differences."""

    candidate: float
    scratch: float
    clone: float
    minus_scratch: VariantDifference
    minus_clone: VariantDifference
    minus_others: dict[str, VariantDifference] = Field(default={})  # the baselines beside scratch


class VariantFinding(Record):
    """One held-out variant."""

    variant: str
    episodes: int  # of one policy
    success: VariantRates
    harm: VariantRates

    @property
    def measures(self) -> dict[Measure, VariantRates]:
        return {"success": self.success, "harm": self.harm}


class Group(NamedTuple):
    """A clone, and the runs of the candidate that started from it."""

    clone: ShiftFacts
    runs: Sequence[ShiftFacts]


def find_variants(
    groups: Sequence[Group],
    baselines: Mapping[str, Sequence[ShiftFacts]],
    margins: Mapping[Measure, Margins],
    runs_for_bound: int,
) -> tuple[VariantFinding, ...]:
    """The findings on every variant; with fewer than `runs_for_bound` replicates on a side there are no bounds.

    `baselines`: arm → facts of its runs; the first takes the fields that are named after scratch.
    """
    success, harm = (_rates(groups, baselines, measure, margins[measure], runs_for_bound) for measure in LOSS)
    return tuple(
        VariantFinding(variant=name, episodes=played.score.episodes, success=success[name], harm=harm[name])
        for name, played in groups[0].clone.variants.items()
    )


def _rates(
    groups: Sequence[Group],
    baselines: Mapping[str, Sequence[ShiftFacts]],
    measure: Measure,
    margins: Margins,
    runs_for_bound: int,
) -> dict[str, VariantRates]:
    def of(policies: Sequence[ShiftFacts], name: str) -> Array:
        return np.array([score_value(facts.variants[name].score, measure) for facts in policies])

    names = list(groups[0].clone.variants)
    ours = {name: np.array([of(group.runs, name).mean() for group in groups]) for name in names}  # [replicates]
    clone = {name: of([group.clone for group in groups], name) for name in names}  # [replicates]
    own = bounds({name: paired(ours[name] - clone[name]) for name in names}, LOSS[measure], margins, runs_for_bound)
    minus = {
        arm: bounds({name: unpaired(ours[name], of(runs, name)) for name in names}, LOSS[measure], margins, runs_for_bound)
        for arm, runs in baselines.items()
    }
    scratch, *others = baselines
    return {
        name: VariantRates(
            candidate=float(ours[name].mean()),
            scratch=float(of(baselines[scratch], name).mean()),
            clone=float(clone[name].mean()),
            minus_scratch=minus[scratch][name],
            minus_clone=own[name],
            minus_others={arm: minus[arm][name] for arm in others},
        )
        for name in names
    }


def variant_checks(one: VariantFinding, candidate: str, scratch: str, margins: Mapping[Measure, Margins]) -> Iterator[Check]:
    """What was kept, for each measure and each baseline and the clone: HOLD beyond the first margin, FAIL beyond the second."""
    for measure, found in one.measures.items():
        for other, difference in {scratch: found.minus_scratch, **found.minus_others, "clone": found.minus_clone}.items():
            name = check_name(one.variant, measure, other)
            text = f"{measure} on {one.variant}, {candidate} − {other}: {difference.mean:+.3f} over {difference.n} replicates; "
            text += "too few for a bound" if difference.bound is None else f"bound {difference.bound:+.3f}"
            check = _kept(name, difference, LOSS[measure], margins[measure], text)
            yield check.model_copy(update={"about": About(variant=one.variant, measure=measure, other=other)})


def check_name(variant: str, measure: Measure, other: str) -> str:
    """Of the check that nothing of a measure is lost in a variant, against another policy."""
    return f"shift-{variant}-{'harm-' if measure == 'harm' else ''}{other}"


def _kept(name: str, difference: VariantDifference, sign: Literal[-1, 1], margins: Margins, text: str) -> Check:
    on_miss = hold_or_fail(difference.bound_fail is None or sign * difference.bound_fail <= margins.fail)
    compare = at_most if sign == 1 else at_least
    return compare(name, difference.bound, sign * margins.hold, text, difference.n, on_miss)


def bounds(
    differences: Mapping[str, Estimate], sign: Literal[-1, 1], margins: Margins, runs_for_bound: int
) -> dict[str, VariantDifference]:
    """Variant → its difference, bounded on the side of a loss: above for `sign` 1, below for −1."""
    losses = {name: one._replace(mean=sign * one.mean) for name, one in differences.items() if one.n >= max(runs_for_bound, 2)}
    hold, fail = (holm_bounds(losses, margin) for margin in margins)
    return {
        name: VariantDifference(
            n=one.n,
            mean=one.mean,
            bound=sign * hold[name] if name in hold else None,
            bound_fail=sign * fail[name] if name in fail else None,
        )
        for name, one in differences.items()
    }


def holm_bounds(losses: Mapping[str, Estimate], margin: float) -> dict[str, float]:
    """Variant → upper bound of its loss: at most `margin` exactly where Holm shows it at LEVEL."""
    chances = {name: _p_value(loss, margin) for name, loss in losses.items()}
    found, stopped = {}, None
    for rank, name in enumerate(sorted(chances, key=lambda name: chances[name])):
        level = LEVEL / (len(chances) - rank) if stopped is None else stopped
        if chances[name] > level:
            stopped = level
        loss = losses[name]
        found[name] = loss.mean - float(special.stdtrit(loss.freedom, level)) * loss.error
    return found


def _p_value(loss: Estimate, margin: float) -> float:
    """One-sided p of: the loss is `margin` or more."""
    if loss.error == 0:
        return 0.0 if loss.mean <= margin else 1.0
    return float(special.stdtr(loss.freedom, (loss.mean - margin) / loss.error))
