"""Did the head start help, by how much, is it safe, how sure are we: two arms on matched seeds
(`comparison/1`).
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from headstart.compare.arm_runs import ArmRuns, SeedRun
from headstart.compare.comparability import require_comparable
from headstart.compare.curves import area_under, curve_bands, rate, watched_steps
from headstart.compare.findings import (
    ArmSummary,
    ComparisonLimits,
    ExamSummary,
    FinalDifference,
    Findings,
    SeedPair,
)
from headstart.compare.head_start import head_start_verdict
from headstart.compare.ratio import RatioEstimate, estimate_ratio, log_ratios, power_table
from headstart.compare.shift_findings import ShiftFindings
from headstart.compare.survival import kaplan_meier, logrank_p
from headstart.compare.target import charge, meets, steps_to_target
from headstart.config.scenario import Target
from headstart.core.arrays import MODES, Array, Mode
from headstart.core.statistics import (
    interquartile_mean,
    iqm_of,
    paired_difference,
    probability_of_improvement,
    wilson_lower,
    wilson_upper,
)
from headstart.core.verdict import Evidence, Verdict


class Comparison(Findings):
    """The findings, and the verdict that follows from them."""

    schema_id: Literal["comparison/1"] = "comparison/1"
    verdict: Verdict


class Charges(NamedTuple):
    """Charged env steps of one arm's n runs, in the order of their seeds."""

    steps: Array  # [n] i64
    censored: Array  # [n] bool


def compare(
    candidate: ArmRuns,
    scratch: ArmRuns,
    target: Target,
    limits: ComparisonLimits,
    evidence: Sequence[Evidence] = (),
    shift: ShiftFindings | None = None,
) -> Comparison:
    """Compare two arms on matched seeds. Raises InputError naming what makes them incomparable.

    The verdict includes `shift` where it is given. Given scratch as the candidate too, it describes the
    baseline alone: no pairs, no ratio, HOLD.
    """
    require_comparable(candidate, scratch)
    found = _find(_in_seed_order(candidate), _in_seed_order(scratch), target, limits)
    return Comparison(**dict(found), verdict=head_start_verdict(found, candidate, scratch, evidence, shift))


def _find(candidate: ArmRuns, scratch: ArmRuns, target: Target, limits: ComparisonLimits) -> Findings:
    ours, theirs = _charges(candidate, target), _charges(scratch, target)
    end = watched_steps(candidate.runs + scratch.runs)
    paired = candidate != scratch
    demonstrations = (candidate.demonstration_steps, scratch.demonstration_steps)
    online = _ratio(ours, theirs, (0, 0), limits) if paired else None
    spread = online.sd_log if online else None
    return Findings(
        scenario=candidate.scenario,
        target=target,
        limits=limits,
        candidate=_summarise(candidate, ours, target, limits, end),
        scratch=_summarise(scratch, theirs, target, limits, end),
        pairs=_pairs(candidate, scratch, target) if paired else (),
        online=online,
        all_in=_ratio(ours, theirs, demonstrations, limits) if paired else None,
        ratio_is_bound=paired and bool(theirs.censored.any()),
        power=None if spread is None else power_table(spread, true_ratio=limits.power_at_ratio, limit=limits.ratio_max),
        probability_of_improvement=_improvement(ours, theirs) if paired else None,
        logrank_p=logrank_p(*ours, *theirs) if paired else None,
        final=_final_difference(candidate, scratch, target.mode, limits) if paired else None,
    )


def _in_seed_order(arm: ArmRuns) -> ArmRuns:
    return arm.model_copy(update={"runs": tuple(sorted(arm.runs, key=lambda run: run.seed))})


def _charges(arm: ArmRuns, target: Target) -> Charges:
    charged = [charge(run, target, arm.design.every) for run in arm.runs]
    return Charges(np.array([c.steps for c in charged]), np.array([c.censored for c in charged]))


def _pairs(candidate: ArmRuns, scratch: ArmRuns, target: Target) -> tuple[SeedPair, ...]:
    pairs = []
    for ours, theirs in zip(candidate.runs, scratch.runs, strict=True):
        mine, other = (charge(run, target, candidate.design.every) for run in (ours, theirs))
        pair = SeedPair(
            seed=ours.seed,
            candidate_reached=steps_to_target(ours.curve, target),
            scratch_reached=steps_to_target(theirs.curve, target),
            candidate_steps=mine.steps,
            scratch_steps=other.steps,
            candidate_censored=mine.censored,
            scratch_censored=other.censored,
            ratio=None if mine.censored else mine.steps / other.steps,
            ratio_is_bound=other.censored,
        )
        pairs.append(pair)
    return tuple(pairs)


def _ratio(ours: Charges, theirs: Charges, added: tuple[int, int], limits: ComparisonLimits) -> RatioEstimate | None:
    """Geometric-mean ratio with `added` steps charged to each run of either arm.

    None if a candidate run is censored: dropping it would flatter, and its budget is no measurement of its
    steps.
    """
    if ours.censored.any():
        return None
    return estimate_ratio(
        log_ratios(ours.steps + added[0], theirs.steps + added[1]),
        limit=limits.ratio_max,
        is_bound=bool(theirs.censored.any()),
        interval_min=limits.pairs_for_interval,
        resamples=limits.resamples,
        seed=limits.seed,
    )


def _improvement(ours: Charges, theirs: Charges) -> float:
    arrivals = (np.where(arm.censored, np.inf, arm.steps) for arm in (ours, theirs))
    return probability_of_improvement(*arrivals)


def _summarise(arm: ArmRuns, charges: Charges, target: Target, limits: ComparisonLimits, end: int) -> ArmSummary:
    areas = [area_under(run, target.mode, end) for run in arm.runs]
    known = [area for area in areas if area is not None]
    return ArmSummary(
        arm=arm.arm,
        demonstration_steps=arm.demonstration_steps,
        exams={mode: _examine(arm.runs, mode) for mode in MODES},
        reached=kaplan_meier(*charges),
        met_before_training=sum(meets(run.curve[0].score(target.mode), target) for run in arm.runs),
        success_area=sum(known) / len(known) if known else None,
        curves=curve_bands(arm, target.mode, limits.resamples, limits.seed),
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


def _final_difference(candidate: ArmRuns, scratch: ArmRuns, mode: Mode, limits: ComparisonLimits) -> FinalDifference:
    def final(measure: str) -> tuple[Array, Array]:
        ours, theirs = (np.array([rate(run.exam[mode], measure) for run in arm.runs]) for arm in (candidate, scratch))
        return ours, theirs

    ours, theirs = final("return")
    enough = len(ours) >= limits.pairs_for_interval
    return FinalDifference(
        success=paired_difference(*final("success"), n_min=limits.pairs_for_interval),
        harm=paired_difference(*final("harm"), n_min=limits.pairs_for_interval),
        return_iqm=iqm_of(ours - theirs, limits.resamples, limits.seed) if enough else None,
    )
