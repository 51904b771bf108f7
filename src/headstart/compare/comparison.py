"""The comparison of two arms on matched seeds (`comparison/2`): the checks that decide PASS, HOLD or FAIL.

PASS: fewer steps by a proven margin on enough matched seeds, every candidate run reaches the target, no worse final policies. An estimate that
misses its limit is a FAIL; one that meets its limit while its bound does not is a HOLD.
"""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal

from headstart.compare.arm_runs import ArmRuns
from headstart.compare.comparability import require_comparable
from headstart.compare.findings import ComparisonLimits, Findings, find
from headstart.compare.ratio import PairedDifference
from headstart.compare.shift import ShiftFindings, shift_checks
from headstart.compare.target import charge
from headstart.config.scenario import Target
from headstart.core.verdict import (
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
    unmeasured,
)


class Comparison(Findings):
    """The findings, and the verdict that follows from them."""

    schema_id: Literal["comparison/2"] = "comparison/2"
    verdict: Verdict


def compare(
    candidate: ArmRuns,
    scratch: ArmRuns,
    target: Target,
    limits: ComparisonLimits,
    evidence: Sequence[Evidence] = (),
    shift: ShiftFindings | None = None,
) -> Comparison:
    """Compare two arms on matched seeds. Raises InputError naming what makes them incomparable.

    The verdict includes `shift` where it is given. Scratch compared with itself gives the baseline alone: no pairs, no ratio, HOLD.
    """
    require_comparable(candidate, scratch)
    found = find(candidate, scratch, target, limits)
    checks = list(_checks(found, candidate, scratch))
    thresholds: dict[str, Value] = limits.model_dump()
    wanted = target.model_dump(exclude={"measures"}) | target.measures
    thresholds |= {f"target_{name}": value for name, value in wanted.items()}
    if shift is not None:
        checks += shift_checks(shift)
        thresholds |= {f"shift_{name}": value for name, value in shift.limits.model_dump().items()}
    content = candidate.model_dump_json() + scratch.model_dump_json()
    subject = Subject(
        type="comparison",
        id=f"{found.scenario}/{candidate.arm}/{scratch.arm}",
        sha256=hashlib.sha256(content.encode()).hexdigest(),
    )
    return Comparison(**dict(found), verdict=judge(subject, checks, thresholds, evidence))


def _checks(found: Findings, candidate: ArmRuns, scratch: ArmRuns) -> Iterator[Check]:
    if not found.pairs:
        yield unmeasured("pairs", ">=", found.limits.min_pairs, f"{candidate.arm} alone: nothing to compare it with")
        return
    yield _enough_pairs(found)
    yield _runs_complete(candidate, scratch, found)
    yield _guardrails_quiet(candidate)
    yield _evenly_evaluated(candidate, scratch)
    yield _none_lost(found)
    yield _informative_pairs(found)
    yield _ratio_shown(found)
    yield from _final_quality(found)
    yield from _target_kept(found)


def _enough_pairs(found: Findings) -> Check:
    n = len(found.pairs)
    text = f"{n} matched seeds; fewer than {found.limits.min_pairs} cannot show a ratio"
    return at_least("pairs", n, found.limits.min_pairs, text, n, Outcome.HOLD)


def _runs_complete(candidate: ArmRuns, scratch: ArmRuns, found: Findings) -> Check:
    """A run that stopped early without its target is no evidence about the steps that it did not take."""
    every = candidate.design.every
    stopped = [
        f"{arm.arm} seed {run.seed} at {run.curve[-1].env_steps} of {run.budget}"
        for arm in (candidate, scratch)
        for run in arm.runs
        if charge(run, found.target, every).censored and run.budget - run.curve[-1].env_steps > every
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


def _evenly_evaluated(candidate: ArmRuns, scratch: ArmRuns) -> Check:
    """More evaluations than in the design raise the chance of reaching the target by luck; the last one may fall on the budget."""
    dense = [
        f"{arm.arm} seed {run.seed}"
        for arm in (candidate, scratch)
        for run in arm.runs
        if any(2 * (after.env_steps - before.env_steps) < arm.design.every for before, after in pairwise(run.curve[:-1]))
    ]
    text = f"evaluated more often than every {candidate.design.every} env steps: {', '.join(dense) or 'none'}"
    return at_most("extra-evaluations", len(dense), 0, text, on_miss=Outcome.HOLD)


def _none_lost(found: Findings) -> Check:
    lost = [pair.seed for pair in found.pairs if pair.candidate_censored]
    beaten = [pair.seed for pair in found.pairs if pair.candidate_censored and not pair.scratch_censored]
    text = f"{found.candidate.arm} reached {found.target.name} with every seed"
    if lost:
        text = f"{found.candidate.arm} never reached {found.target.name} with seeds {lost}"
        text += f", where {found.scratch.arm} did with {beaten}" if beaten else ""
    on_miss = Outcome.FAIL if beaten else Outcome.HOLD
    return at_most("candidate-censored", len(lost), 0, text, len(found.pairs), on_miss)


def _informative_pairs(found: Findings) -> Check:
    both = sum(pair.candidate_censored and pair.scratch_censored for pair in found.pairs)
    n = len(found.pairs)
    text = f"{both} of {n} pairs in which neither arm reached {found.target.name}"
    return at_most("both-censored", both / n, found.limits.max_both_censored, text, n, Outcome.HOLD)


def _ratio_shown(found: Findings) -> Check:
    ratio, limit = found.online, found.limits.max_ratio
    if ratio is None:
        return unmeasured("ratio-upper", "<=", limit, "no ratio, since a candidate run is censored")
    most = "at most " if ratio.is_bound else ""
    text = f"{most}{ratio.geometric_mean:.3f} of scratch's steps over {ratio.n} seeds"
    if ratio.upper is None:
        text += f"; fewer than {found.limits.pairs_for_interval} seeds carry no bound"
    # A mean that is only an upper bound may exceed the limit although the true ratio does not.
    meets = ratio.is_bound or ratio.geometric_mean <= limit
    if not meets and ratio.upper is None:
        return at_most("ratio", ratio.geometric_mean, limit, text, ratio.n)
    return at_most("ratio-upper", ratio.upper, limit, text, ratio.n, hold_or_fail(meets))


def _final_quality(found: Findings) -> Iterator[Check]:
    success, harm = found.final["success"], found.final["harm"]
    least, most = -found.limits.max_success_loss, found.limits.max_harm_rise
    on_miss = hold_or_fail(success.mean >= least)
    yield at_least("final-success-difference", success.low, least, _in_words("success", success), success.n, on_miss)
    on_miss = hold_or_fail(harm.mean <= most)
    yield at_most("final-harm-difference", harm.high, most, _in_words("harm", harm), harm.n, on_miss)


def _in_words(measure: str, difference: PairedDifference) -> str:
    bounds = "too few seeds for a bound"
    if difference.low is not None and difference.high is not None:
        bounds = f"one-sided 95 % bounds {difference.low:+.3f} and {difference.high:+.3f}"
    return f"final {measure}, candidate − scratch: {difference.mean:+.3f} over {difference.n} seeds; {bounds}"


def _target_kept(found: Findings) -> Iterator[Check]:
    """The last checkpoints, not the best ones, must succeed at least once, and must not provably miss the target."""
    exam, target = found.candidate.exams[found.target.mode], found.target
    seen = f"{exam.success} of {exam.episodes} final {target.mode} exam episodes succeed, {exam.harm} harm"
    yield at_least("final-success", exam.success, 1, seen, exam.episodes)
    n, hold = exam.episodes, Outcome.HOLD
    yield at_least("target-success-kept", exam.success_high, target.success_rate, f"{seen}; upper bound", n, hold)
    if target.harm_rate is not None:
        yield at_most("target-harm-kept", exam.harm_low, target.harm_rate, f"{seen}; lower bound", n, hold)


def ratio_text(found: Comparison, digits: int) -> str:
    """The ratio with its bound and its limit, or the reason why there is none."""
    ratio = found.online
    if ratio is None:
        return "no ratio: " + ("a candidate run is censored" if found.pairs else "the baseline is not compared with itself")
    most = "at most " if ratio.is_bound else ""
    upper = "no bound" if ratio.upper is None else f"95 % upper bound {ratio.upper:.{digits}f}"
    return (
        f"{found.candidate.arm} needed {most}{ratio.geometric_mean:.{digits}f} of scratch's steps to reach {found.target.name} "
        f"({upper}, limit {found.limits.max_ratio:.2f}, {ratio.n} matched seeds)"
    )
