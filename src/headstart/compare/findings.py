"""The findings of a comparison of two arms, before the verdict: exams, learning curves, steps to target, and differences over matched seeds."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from pydantic import Field

from headstart.compare.arm_runs import ArmRuns, Outcomes, SeedRun
from headstart.compare.curves import CurveBand, curve_bands, rate, success_area, watched_steps
from headstart.compare.ratio import (
    PAIRS_FOR_INTERVAL,
    PairedDifference,
    RatioEstimate,
    Reached,
    estimate_ratio,
    kaplan_meier,
    paired_difference,
    probability_of_improvement,
)
from headstart.compare.target import charge
from headstart.config.scenario import Target
from headstart.core.arrays import MODES, Array, Mode
from headstart.core.record import Record
from headstart.core.statistics import interquartile_mean, wilson_lower, wilson_upper


class ComparisonLimits(Record):
    """The rules of a comparison, fixed before its runs start."""

    max_ratio: float = 0.70  # of the upper bound of the ratio
    min_pairs: int = 10  # fewer cannot PASS
    pairs_for_interval: int = PAIRS_FOR_INTERVAL
    max_success_loss: float = 0.05  # the lower bound of the final success difference is at least −this
    max_harm_rise: float = 0.02  # of the upper bound of the final harm difference
    max_both_censored: float = 0.20  # share of pairs in which neither arm reached the target
    resamples: int = 10_000  # of the bootstrap


class SeedPair(Record):
    """Env steps charged to both runs of one seed; of a censored run, those up to its last evaluation."""

    seed: int
    candidate_steps: int
    scratch_steps: int
    candidate_censored: bool
    scratch_censored: bool  # the true ratio is at most `ratio`
    ratio: float | None  # None where the candidate is censored


class ExamSummary(Outcomes):
    """The last checkpoints of one arm on the exam worlds, pooled over seeds; one-sided 95 % Wilson bounds.

    Pooling takes episodes as independent; whether the arms differ is judged over seeds, by the paired differences.
    """

    success_low: float
    success_high: float
    harm_low: float
    harm_high: float
    return_iqm: float  # over seeds


class ArmSummary(Record):
    """The findings on one arm alone."""

    arm: str
    exams: dict[Mode, ExamSummary]
    reached: Reached  # by charged steps
    success_area: float | None  # mean success rate over the steps for which all runs of both arms were evaluated
    curves: dict[str, CurveBand]  # success, harm, return


class Findings(Record):
    """All numbers of a comparison. Of the baseline compared with itself, those after `scratch` are empty."""

    scenario: str
    target: Target
    limits: ComparisonLimits
    candidate: ArmSummary
    scratch: ArmSummary
    pairs: tuple[SeedPair, ...] = ()
    online: RatioEstimate | None = None  # None: no pairs, or a candidate run is censored
    all_in: RatioEstimate | None = None  # as `online`, with the demonstration steps charged to every run
    probability_of_improvement: float | None = None  # that a run of the candidate needs fewer steps than a run of scratch
    final: dict[str, PairedDifference] = Field(default_factory=dict)  # success, harm → candidate − scratch in the final exams


class Charges(NamedTuple):
    """Charged env steps of one arm's n runs, in the order of their seeds."""

    steps: Array  # [n] i64
    censored: Array  # [n] bool


def find(candidate: ArmRuns, scratch: ArmRuns, target: Target, limits: ComparisonLimits) -> Findings:
    """Compare two comparable arms; if scratch is also the candidate, describe the baseline alone."""
    candidate, scratch = _in_seed_order(candidate), _in_seed_order(scratch)
    ours, theirs = _charges(candidate, target), _charges(scratch, target)
    end = watched_steps(candidate.runs + scratch.runs)
    found = Findings(
        scenario=candidate.scenario,
        target=target,
        limits=limits,
        candidate=_summarise(candidate, ours, target.mode, limits, end),
        scratch=_summarise(scratch, theirs, target.mode, limits, end),
    )
    if candidate == scratch:
        return found
    arrivals = (np.where(arm.censored, np.inf, arm.steps) for arm in (ours, theirs))
    paired = {
        "pairs": _pairs([run.seed for run in candidate.runs], ours, theirs),
        "online": _ratio(ours, theirs, (0, 0), limits),
        "all_in": _ratio(ours, theirs, (candidate.demonstration_steps, scratch.demonstration_steps), limits),
        "probability_of_improvement": probability_of_improvement(*arrivals),
        "final": {measure: _final_difference(candidate, scratch, measure, found) for measure in ("success", "harm")},
    }
    return found.model_copy(update=paired)


def _in_seed_order(arm: ArmRuns) -> ArmRuns:
    return arm.model_copy(update={"runs": tuple(sorted(arm.runs, key=lambda run: run.seed))})


def _charges(arm: ArmRuns, target: Target) -> Charges:
    charged = [charge(run, target, arm.design.every) for run in arm.runs]
    return Charges(np.array([c.steps for c in charged]), np.array([c.censored for c in charged]))


def _pairs(seeds: Sequence[int], ours: Charges, theirs: Charges) -> tuple[SeedPair, ...]:
    columns = (column.tolist() for column in (*ours, *theirs))
    return tuple(
        SeedPair(
            seed=seed,
            candidate_steps=mine,
            scratch_steps=other,
            candidate_censored=mine_censored,
            scratch_censored=other_censored,
            ratio=None if mine_censored else mine / other,
        )
        for seed, mine, mine_censored, other, other_censored in zip(seeds, *columns, strict=True)
    )


def _ratio(ours: Charges, theirs: Charges, added: tuple[int, int], limits: ComparisonLimits) -> RatioEstimate | None:
    """Ratio with `added` steps charged to each run of either arm.

    None if a candidate run is censored: dropping it would favour the candidate, and its budget is not a measurement of its steps.
    """
    if ours.censored.any():
        return None
    is_bound = bool(theirs.censored.any())
    return estimate_ratio(ours.steps + added[0], theirs.steps + added[1], is_bound, limits.pairs_for_interval)


def _summarise(arm: ArmRuns, charges: Charges, mode: Mode, limits: ComparisonLimits, end: int) -> ArmSummary:
    return ArmSummary(
        arm=arm.arm,
        exams={mode: _examine(arm.runs, mode) for mode in MODES},
        reached=kaplan_meier(*charges),
        success_area=success_area(arm.runs, mode, end),
        curves=curve_bands(arm, mode, limits.resamples),
    )


def _examine(runs: Sequence[SeedRun], mode: Mode) -> ExamSummary:
    scores = [run.exam[mode] for run in runs]
    episodes, success, harm = (sum(getattr(score, count) for score in scores) for count in ("episodes", "success", "harm"))
    return ExamSummary(
        episodes=episodes,
        success=success,
        harm=harm,
        success_low=wilson_lower(success, episodes),
        success_high=wilson_upper(success, episodes),
        harm_low=wilson_lower(harm, episodes),
        harm_high=wilson_upper(harm, episodes),
        return_iqm=float(interquartile_mean(np.array([score.return_mean for score in scores]))),
    )


def _final_difference(candidate: ArmRuns, scratch: ArmRuns, measure: str, found: Findings) -> PairedDifference:
    """Of the last checkpoints' exams, paired by seed."""
    mode = found.target.mode
    ours, theirs = (np.array([rate(run.exam[mode], measure) for run in arm.runs]) for arm in (candidate, scratch))
    return paired_difference(ours, theirs, found.limits.pairs_for_interval)
