"""The comparison of a candidate with the baselines (`comparison/3`): the checks that decide PASS, HOLD or FAIL.

PASS: fewer online steps than the strongest baseline by a proven margin, on enough replicates that all reach the target, and final policies that
are not worse than the target, the baselines, their clones and the expert. An estimate that misses its limit is a FAIL; one that meets its
limit while its bound does not is a HOLD.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from headstart.compare.arm_runs import ArmRuns, CloneRuns
from headstart.compare.comparability import require_comparable
from headstart.compare.findings import OTHERS, Against, ArmSummary, ComparisonLimits, Findings, find, replicates
from headstart.compare.ratio import Difference
from headstart.compare.shift import ShiftFindings, shift_checks
from headstart.config.scenario import Target
from headstart.core.errors import InputError, IntegrityError, shown
from headstart.core.verdict import (
    CURE,
    Check,
    Evidence,
    Outcome,
    Subject,
    Value,
    Verdict,
    at_least,
    at_most,
    hold_or_fail,
    judge,
    not_applicable,
    unmeasured,
)

DECISIVE = ("measured", "direction", "threshold", "passed", "on_miss", "applies")  # fields of a check that decide its outcome


class Comparison(Findings):
    """The findings, and the verdict that follows from them."""

    schema_id: Literal["comparison/3"] = "comparison/3"
    verdict: Verdict

    @model_validator(mode="after")
    def _verdict_follows(self) -> Self:
        """Of the checks that rest on the findings alone, all are there, and nothing that decides differs."""
        for wrong in _differing(self.verdict, _of_findings(self), "the findings"):
            raise ValueError(wrong)
        return self


def require_follows(found: Comparison, arms: Sequence[ArmRuns], shift: ShiftFindings | None, where: Path) -> None:
    """IntegrityError unless the checks that rest on the runs, and on the findings on shift that were judged, are those that these give."""
    runs, again = {arm.arm: arm for arm in arms}, list[Check]()
    if found.strongest is not None:
        again += _of_runs(found, runs[found.candidate.arm], [runs[one.baseline.arm] for one in found.grid])
    if shift is not None and judged_for_shift(found):
        again += shift_checks(shift)
    for wrong in _differing(found.verdict, again, "the runs"):
        raise IntegrityError(f"{where}: {wrong}")


def judged_for_shift(found: Comparison) -> bool:
    """Whether distribution shift was part of the verdict."""
    return any(name.startswith("shift_") for name in found.verdict.thresholds)


def _differing(verdict: Verdict, again: Iterable[Check], what: str) -> Iterator[str]:
    """A sentence for each check that is not there as it was found again."""
    known = {check.name: check for check in verdict.checks}
    for check in again:
        got = known.get(check.name)
        if got is None or any(getattr(got, part) != getattr(check, part) for part in DECISIVE):
            yield f"check {check.name}: expected {_decisive(check)}, as {what} give it, got {_decisive(got)}; {CURE}"


def _decisive(check: Check | None) -> str:
    """What decides of a check, in words."""
    if check is None:
        return "none"
    outcome = "not applicable" if check.outcome is None else f"{check.outcome}, a miss is a {check.on_miss}"
    return f"{shown(check.measured)} {check.direction} {shown(check.threshold)} ({outcome})"


def compare(
    candidate: ArmRuns,
    baselines: Sequence[ArmRuns],
    clones: CloneRuns | None,
    target: Target,
    limits: ComparisonLimits,
    evidence: Sequence[Evidence] = (),
    shift: ShiftFindings | None = None,
) -> Comparison:
    """Compare a candidate with every baseline. Raises InputError naming what makes them incomparable.

    The verdict includes `shift` where it is given. A baseline by itself has no ratio, and a HOLD.
    """
    for baseline in baselines:
        if baseline.arm in OTHERS:
            raise InputError(
                f"baselines: expected a name other than {', '.join(OTHERS)}, got {baseline.arm}; rename it under arms"
            )
    require_comparable(candidate, baselines)
    found = find(candidate, baselines, clones, target, limits)
    checks = list(_checks(found, candidate, baselines))
    thresholds: dict[str, Value] = limits.model_dump()
    wanted = target.model_dump(exclude={"measures"}) | target.measures
    thresholds |= {f"target_{name}": value for name, value in wanted.items()}
    thresholds |= {f"margin_{name}": margin for name, margin in found.margins.items()}
    if shift is not None:
        checks += shift_checks(shift)
        thresholds |= {f"shift_{name}": value for name, value in shift.limits.model_dump().items()}
    content = "".join(arm.model_dump_json() for arm in (candidate, *baselines))
    subject = Subject(
        type="comparison",
        id="/".join([found.scenario, candidate.arm, *(arm.arm for arm in baselines)]),
        sha256=hashlib.sha256(content.encode()).hexdigest(),
    )
    return Comparison(**dict(found), verdict=judge(subject, checks, thresholds, evidence))


def _checks(found: Findings, candidate: ArmRuns, baselines: Sequence[ArmRuns]) -> Iterator[Check]:
    if found.strongest is None:
        yield unmeasured("replicates", ">=", found.limits.min_replicates, f"{candidate.arm} alone: nothing to compare it with")
        return
    yield from _of_runs(found, candidate, baselines)
    yield from _of_findings(found)


def _of_runs(found: Findings, candidate: ArmRuns, baselines: Sequence[ArmRuns]) -> Iterator[Check]:
    """The checks for which the runs themselves are needed."""
    yield from _replicates(candidate, found.limits.min_replicates)
    yield _fair_baseline(candidate, baselines)
    yield _runs_complete(found, (candidate, *baselines))
    yield _guardrails_quiet(candidate)
    yield _baselines_quiet(baselines)


def _of_findings(found: Findings) -> Iterator[Check]:
    """The checks for which nothing but the findings is needed."""
    if found.strongest is not None:
        yield _all_arrive(found)
        yield _ratio_shown(found, found.strongest)
        yield from _final_policies(found)


def _replicates(candidate: ArmRuns, least: int) -> Iterator[Check]:
    """The unit is the whole treatment: runs from one clone are one replicate, and their bounds would be too narrow."""
    runs = len(candidate.runs)
    clones = replicates(candidate)
    text = f"{runs} runs from {clones} clones; fewer than {least} replicates cannot show a ratio"
    yield at_least("replicates", clones, least, text, runs, Outcome.HOLD)
    yield at_most(
        "shared-clones", runs - clones, 0, f"{runs} runs from {clones} clones; bounds need a clone a run", runs, Outcome.HOLD
    )


def _fair_baseline(candidate: ArmRuns, baselines: Sequence[ArmRuns]) -> Check:
    """One of the baselines has the candidate's own PPO settings, so that these are not what makes the difference."""
    same = [arm.arm for arm in baselines if arm.recipe.ppo == candidate.recipe.ppo]
    text = (
        f"baselines with the PPO settings of {candidate.arm}: {', '.join(same) or 'none; give one of `baselines` the same `ppo`'}"
    )
    return at_least("matched-baseline", len(same), 1, text, len(baselines), Outcome.HOLD)


def _runs_complete(found: Findings, arms: Sequence[ArmRuns]) -> Check:
    """A run that stopped early without its target is no evidence about the steps that it did not take."""
    summaries = {arm.arm: arm for arm in (found.candidate, *(one.baseline for one in found.grid))}
    arrived = {(name, one.seed) for name, summary in summaries.items() for one in summary.passages if one.by is not None}
    stopped = [
        f"{arm.arm} seed {run.seed} at {run.curve[-1].env_steps} of {run.budget}"
        for arm in arms
        for run in arm.runs
        if (arm.arm, run.seed) not in arrived and run.budget - run.curve[-1].env_steps > arm.design.every
    ]
    text = f"runs that stopped before budget and target: {', '.join(stopped) or 'none'}"
    return at_most("runs-stopped-early", len(stopped), 0, text, on_miss=Outcome.HOLD)


def _guardrails_quiet(candidate: ArmRuns) -> Check:
    """A run that a guardrail stopped is a FAIL; one that a guardrail froze, or that ended with an open guardrail, is a HOLD."""
    open_runs = [run for run in candidate.runs if run.outcome != "PASS"]
    names = "; ".join(f"seed {run.seed} {run.status}: {', '.join(run.reasons)}" for run in open_runs)
    text = f"runs with a guardrail open or broken: {names or 'none'}"
    on_miss = Outcome.FAIL if any(run.outcome == "FAIL" for run in open_runs) else Outcome.HOLD
    return at_most("guardrails", len(open_runs), 0, text, len(candidate.runs), on_miss)


def _baselines_quiet(baselines: Sequence[ArmRuns]) -> Check:
    """A baseline that a guardrail ended might have arrived later."""
    ended = [f"{arm.arm} seed {run.seed}" for arm in baselines for run in arm.runs if run.status != "completed"]
    text = f"runs of baselines that a guardrail ended: {', '.join(ended) or 'none'}"
    return at_most("baseline-guardrails", len(ended), 0, text, sum(len(arm.runs) for arm in baselines), Outcome.HOLD)


def _all_arrive(found: Findings) -> Check:
    lost = [one.seed for one in found.candidate.passages if one.by is None]
    text = f"seeds of {found.candidate.arm} that never reached {found.target.name}: {', '.join(map(str, lost)) or 'none'}"
    runs = len(found.candidate.passages)
    return at_most("candidate-censored", len(lost), 0, text, runs, hold_or_fail(2 * len(lost) <= runs))


def _ratio_shown(found: Findings, strongest: Against) -> Check:
    """Of online steps; the all-in ratio is reported beside it."""
    ratio, limit = strongest.online, found.limits.max_ratio
    text = f"online steps, {steps_text(found)}"
    ours, theirs = (arm.reached.median_steps for arm in (found.candidate, strongest.baseline))
    if ratio.upper is None and theirs is not None and (ours is None or theirs <= ours):
        return at_most("baseline-not-slower", 1, 0, f"{text}: half of {strongest.baseline.arm} is there first")
    on_miss = hold_or_fail(ratio.median is None or ratio.median <= limit)
    return at_most("ratio-upper", ratio.upper, limit, text, len(found.candidate.passages), on_miss)


def _final_policies(found: Findings) -> Iterator[Check]:
    """The last checkpoints, not the best ones: each quantity against the target, the baselines, the clones and the expert."""
    if not found.final:
        yield unmeasured(
            "final", "==", "measured", "the clones' record is missing, so the final policies were not compared with them"
        )
        return
    exam = found.candidate.exams[found.target.mode]
    seen = f"{exam.success} of {exam.episodes} final {found.target.mode} exam episodes succeed"
    yield at_least("final-success", exam.success, 1, seen, exam.episodes)
    for other, differences in found.final.items():
        if not differences and other == "expert" and found.final["clone"]:
            yield not_applicable(
                "final-expert", ">=", None, "demonstrations are recorded, and no expert plays on the exam worlds"
            )
        if not differences and other == "clone":
            yield unmeasured("final-clone", "==", "measured", "a run starts from a clone of which there is no record")
        for quantity, of in differences.items():
            yield _not_worse(found, other, quantity, of)


def _not_worse(found: Findings, other: str, quantity: str, of: Difference) -> Check:
    margin = (found.target_margins if other == "target" else found.margins)[quantity]
    name, n = f"final-{quantity}-{other}", len(found.candidate.passages)
    bound = of.high if quantity == "harm" else of.low
    bound = None if bound is None else round(bound, 12)  # 0.85 − 0.9 is −0.05
    shown = "too few runs for a bound" if bound is None else f"one-sided 95 % bound {bound:+.4g}"
    whose = f"the {other}" if other in OTHERS else other
    text = f"final {quantity}, {found.candidate.arm} − {whose}: {of.mean:+.4g} over {n} seeds; {shown}"
    if quantity == "harm":
        return at_most(name, bound, margin, text, n, hold_or_fail(of.mean <= margin))
    return at_least(name, bound, -margin, text, n, hold_or_fail(of.mean >= -margin))


# --- in words -----------------------------------------------------------------------------------------------------------


def steps_text(found: Findings) -> str:
    """What was shown about the online steps to the target, censoring said as what it is."""
    strongest = found.strongest
    if strongest is None:
        return "no ratio: the baseline is not compared with itself"
    ours, theirs = arrivals(found.candidate), arrivals(strongest.baseline)
    given = " given the one learned expert" if found.learned_experts == 1 else ""
    return f"{ours}; {theirs}; {_bound_text(found, strongest)}{given}"


def all_in_text(found: Findings) -> str:
    """The ratio to the strongest baseline in which every run of the candidate is charged its demonstrations; "" without a baseline."""
    if found.strongest is None:
        return ""
    ratio = found.strongest.all_in
    shown = "no bound" if ratio.upper is None else f"at most {ratio.upper:.2f}"
    if ratio.median is not None:
        shown = f"{ratio.median:.2f} ({'no bound' if ratio.upper is None else f'≤ {ratio.upper:.2f}'})"
    return f"All-in, with the steps that the demonstrations cost: {shown}."


def arrivals(arm: ArmSummary) -> str:
    """How many runs of an arm reached the target, and by when."""
    by, runs = [one.by for one in arm.passages if one.by is not None], len(arm.passages)
    if len(by) == runs and max(by) == 0:
        return f"{arm.arm}: met before training (0 steps)"
    if len(by) == runs:
        return f"{arm.arm}: all {runs} within {max(by):,} steps"
    return f"{arm.arm}: {len(by)} of {runs} within {max(one.after for one in arm.passages if one.by is None):,} steps"


def _bound_text(found: Findings, against: Against) -> str:
    """The ratio with its bound, or what takes its place where it cannot be estimated."""
    ratio = against.online
    met = sum(one.by == 0 for one in found.candidate.passages)
    if 2 * met >= len(found.candidate.passages):  # steps before training are no steps, and an interval is no estimate of them
        clones = (
            "the clones meet" if met == len(found.candidate.passages) else f"{met} of {len(found.candidate.passages)} clones meet"
        )
        return f"no ratio: {clones} {found.target.name} before training"
    if ratio.median is None:
        return "no ratio can be shown" if ratio.upper is None else f"the ratio is at most {ratio.upper:.3f}"
    return f"ratio {ratio.median:.3f} ({'no bound' if ratio.upper is None else f'≤ {ratio.upper:.3f}'})"
