"""Distribution shift between the data, fine-tuning and evaluation, and its cost (`shift/2`): which findings hold a verdict, which warn.

Not every difference is a fault. Successful fine-tuning leaves the states of the demonstrations: a faster robot meets people at other
distances than its expert. So a difference holds the verdict if no policy has acted yet, if the policy is fixed, or if it is in success;
it only warns if the cause may be the changed candidate.

HOLD, by the thresholds of `ShiftLimits`
* at reset, features of the exam differ from the data's, by KS or by PSI. No policy has acted yet, so the worlds differ.
* too many of the candidate's rows lie outside the scenario's feature_range, for which data are validated.
* the mix of situations differs, or the exam asks for a situation that the data hardly show.
* the clone agrees with the expert less often in its own states than in held-out episodes: the policy is the same, so the states differ.
* success in a held-out variant, candidate − scratch or candidate − clone, may be lower by more than a margin; FAIL at a larger margin.
* any of it was not measured.

Warning
* at reset, a smaller PSI; a mix that differs a little.
* the candidate's rows differ from the data's.
* the candidate agrees with the expert less often than the clone did in held-out episodes: it may have found something better.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from headstart.compare.arm_runs import ArmRuns, CloneShift, ShiftFacts
from headstart.compare.curves import rate
from headstart.compare.drift import FeatureDrift, MixDrift, VariantDifference, differences, drift, mix_drift, pooled
from headstart.compare.ratio import PAIRS_FOR_INTERVAL
from headstart.core.arrays import Array
from headstart.core.errors import InputError
from headstart.core.record import Record
from headstart.core.verdict import Check, Outcome, at_least, at_most, hold_or_fail, unmeasured

Policy = Literal["candidate", "scratch", "clone"]


class ShiftLimits(Record):
    """The rules, fixed before a run starts."""

    false_discoveries: float = 0.01  # of KS and of PSI, over the features
    min_distance: float = 0.1  # KS distance from which a feature has moved
    psi_warn: float = 0.10
    psi_hold: float = 0.25
    max_outside: float = 0.01  # share of rows
    mix_warn: float = 0.10
    mix_hold: float = 0.25
    min_mix_share: float = 0.05  # of the data, for every situation of the exam
    max_agreement_drop: float = 0.10
    success_hold: float = 0.05
    success_fail: float = 0.15
    pairs_for_interval: int = PAIRS_FOR_INTERVAL


class VariantFinding(Record):
    """One held-out variant: successes of all seeds' episodes, and the differences."""

    variant: str
    success: dict[Policy, float]  # rates; of the candidate and of scratch the means over seeds
    harm: dict[Policy, float]
    episodes: int  # of one seed
    minus_scratch: VariantDifference
    minus_clone: VariantDifference


class ShiftFindings(Record):
    """All findings on shift between the data and one arm; `missing` lists what was not measured."""

    schema_id: Literal["shift/2"] = "shift/2"
    candidate: str
    limits: ShiftLimits
    missing: tuple[str, ...]  # if not empty, everything below is empty
    starts: tuple[FeatureDrift, ...] = ()  # exam against data, at reset; the farthest first
    visited: tuple[FeatureDrift, ...] = ()  # the candidate's rows, pooled over seeds, against the data's
    outside: dict[str, float] = Field(default_factory=dict)  # feature → share of rows beyond feature_range, if any
    mix: MixDrift | None = None  # None: the world has one kind of situation only
    heldout_accuracy: float | None = None  # of the clone
    clone_agreement: float | None = None  # in its own states; None: no expert was available
    candidate_agreement: float | None = None  # mean over seeds
    variants: tuple[VariantFinding, ...] = ()
    warnings: tuple[str, ...] = ()


def find_shift(candidate: ArmRuns, scratch: ArmRuns, clone: CloneShift | None) -> ShiftFindings:
    """The findings on shift from the records of two arms and the clone. Raises InputError if they were measured in different worlds."""
    missing = tuple(_missing(candidate, scratch, clone))
    found = ShiftFindings(candidate=candidate.arm, limits=ShiftLimits(), missing=missing)
    if clone is None or missing:
        return found
    ours, theirs = _facts(candidate), _facts(scratch)
    _require_same_worlds([*ours, *theirs, clone.clone], candidate.scenario)
    if clone.data.scenario_sha256 != candidate.design.scenario_sha256:
        raise InputError(
            f"{candidate.scenario}: the clone's data and {candidate.arm} are of different scenarios; run `dvc repro`"
        )
    states = pooled([facts.visited for facts in ours])
    measured = {
        "starts": drift(clone.data.starts, ours[0].starts),
        "visited": drift(clone.data.visited, states),
        "outside": {name: feature.outside for name, feature in states.features.items() if feature.outside > 0},
        "mix": mix_drift(clone.data.mix, ours[0].mix),
        "heldout_accuracy": clone.heldout_accuracy,
        "clone_agreement": _agreement([clone.clone]),
        "candidate_agreement": _agreement(ours),
        "variants": tuple(_variants(ours, theirs, clone.clone, found.limits)),
    }
    found = found.model_copy(update=measured)
    return found.model_copy(update={"warnings": tuple(_warnings(found))})


def _missing(candidate: ArmRuns, scratch: ArmRuns, clone: CloneShift | None) -> Iterator[str]:
    for arm in (candidate, scratch):
        without = [run.seed for run in arm.runs if run.shift is None]
        if without:
            yield f"{arm.arm} recorded no facts with seeds {without}"
    if clone is None:
        yield "the clone recorded no facts"
    elif not clone.data.mix and any(facts.mix for facts in _facts(candidate)):
        yield "the data do not contain the situations of the episodes"


def _facts(arm: ArmRuns) -> list[ShiftFacts]:
    return [run.shift for run in sorted(arm.runs, key=lambda run: run.seed) if run.shift is not None]


def _require_same_worlds(all_facts: Sequence[ShiftFacts], scenario: str) -> None:
    designs = [(facts.worlds, {name: one.scenario_sha256 for name, one in facts.variants.items()}) for facts in all_facts]
    if other := next((design for design in designs if design != designs[0]), None):
        raise InputError(f"{scenario}: expected one set of held-out variants, got {designs[0]} and {other}; run `dvc repro`")


def _agreement(all_facts: Sequence[ShiftFacts]) -> float | None:
    shares = [one.agreement.agreed / max(1, one.agreement.decisions) for one in all_facts if one.agreement is not None]
    return float(np.mean(shares)) if len(shares) == len(all_facts) else None


def _variants(
    ours: Sequence[ShiftFacts], theirs: Sequence[ShiftFacts], clone: ShiftFacts, limits: ShiftLimits
) -> Iterator[VariantFinding]:
    policies: dict[Policy, Sequence[ShiftFacts]] = {"candidate": ours, "scratch": theirs, "clone": [clone]}
    success = {policy: _rates(facts, "success") for policy, facts in policies.items()}
    harm = {policy: _rates(facts, "harm") for policy, facts in policies.items()}
    rules = limits.success_hold, limits.success_fail, limits.pairs_for_interval
    minus_scratch, minus_clone = (
        differences({name: success["candidate"][name] - success[other][name] for name in clone.variants}, *rules)
        for other in ("scratch", "clone")
    )
    for name, variant in clone.variants.items():
        yield VariantFinding(
            variant=name,
            success={policy: float(rates[name].mean()) for policy, rates in success.items()},
            harm={policy: float(rates[name].mean()) for policy, rates in harm.items()},
            episodes=variant.score.episodes,
            minus_scratch=minus_scratch[name],
            minus_clone=minus_clone[name],
        )


def _rates(all_facts: Sequence[ShiftFacts], count: Literal["success", "harm"]) -> dict[str, Array]:
    """Variant → share of episodes with success or harm, [seeds]."""
    return {name: np.array([rate(facts.variants[name].score, count) for facts in all_facts]) for name in all_facts[0].variants}


def shift_checks(found: ShiftFindings) -> Iterator[Check]:
    """The checks that the findings add to a verdict; warnings add none."""
    if found.missing:
        yield unmeasured("shift", "==", "measured", f"distribution shift not measured: {'; '.join(found.missing)}")
        return
    yield _same_starts(found)
    name, worst = max(found.outside.items(), key=lambda item: item[1], default=("no feature", 0.0))
    text = f"{name} lies beyond the scenario's feature_range in {worst:.2%} of the candidate's rows"
    yield at_most("shift-outside", worst, found.limits.max_outside, text, on_miss=Outcome.HOLD)
    if found.mix is not None:
        yield from _mix_checks(found.mix, found.limits)
    yield _agreement_check(found)
    for variant in found.variants:
        yield _kept(found, variant, "scratch", variant.minus_scratch)
        yield _kept(found, variant, "clone", variant.minus_clone)


def _same_starts(found: ShiftFindings) -> Check:
    moved = _moved(found.starts, found.limits)
    worst = ", ".join(f"{one.feature} (D {one.distance:.2f}, PSI {one.psi:.2f})" for one in moved[:3])
    text = f"of {len(found.starts)} features at reset, {len(moved)} differ between data and exam{': ' if moved else ''}{worst}"
    return at_most("shift-starts", len(moved), 0, text, on_miss=Outcome.HOLD)


def _mix_checks(mix: MixDrift, limits: ShiftLimits) -> Iterator[Check]:
    text = f"mix of situations in data and exam: total variation {mix.distance:.3f}"
    yield at_most("shift-mix", mix.distance, limits.mix_hold, text, on_miss=Outcome.HOLD)
    asked = {kind: mix.data[kind] for kind, share in mix.exam.items() if share > 0}
    rarest = min(asked, key=lambda kind: asked[kind])
    text = f"situation {rarest} of the exam has {asked[rarest]:.1%} of the data"
    yield at_least("shift-mix-share", asked[rarest], limits.min_mix_share, text, on_miss=Outcome.HOLD)


def _agreement_check(found: ShiftFindings) -> Check:
    limit = found.limits.max_agreement_drop
    if found.clone_agreement is None or found.heldout_accuracy is None:
        text = "the clone's agreement with the expert on its own states was not measured"
        return unmeasured("shift-agreement", "<=", limit, text)
    drop = found.heldout_accuracy - found.clone_agreement
    text = f"the clone agrees with the expert in {found.heldout_accuracy:.3f} of held-out decisions, in {found.clone_agreement:.3f} of its own"
    return at_most("shift-agreement", drop, limit, text, on_miss=Outcome.HOLD)


def _kept(found: ShiftFindings, variant: VariantFinding, other: str, difference: VariantDifference) -> Check:
    bound = "too few seeds for a bound" if difference.low is None else f"bound {difference.low:+.3f}"
    text = f"success on {variant.variant}, {found.candidate} − {other}: {difference.mean:+.3f} over {difference.n} seeds; {bound}"
    on_miss = hold_or_fail(difference.low_fail is None or difference.low_fail >= -found.limits.success_fail)
    name, threshold = f"shift-{variant.variant}-{other}", -found.limits.success_hold
    return at_least(name, difference.low, threshold, text, difference.n, on_miss)


def _warnings(found: ShiftFindings) -> Iterator[str]:
    limits = found.limits
    unstable = [one.feature for one in found.starts if _unstable(one, limits.psi_warn, limits) and one.psi <= limits.psi_hold]
    if unstable:
        yield f"at reset, PSI exceeds {limits.psi_warn} in {', '.join(unstable)}"
    moved = _moved(found.visited, limits)
    if moved:
        yield f"{found.candidate} sees other values than the data in {len(moved)} of {len(found.visited)} features, most in {moved[0].feature}"
    mix = found.mix
    if mix is not None and limits.mix_warn < mix.distance <= limits.mix_hold and mix.p <= limits.false_discoveries:
        yield f"the mix of situations differs by a total variation of {mix.distance:.3f}"
    if found.candidate_agreement is not None and found.heldout_accuracy is not None:
        if found.heldout_accuracy - found.candidate_agreement > limits.max_agreement_drop:
            yield f"{found.candidate} agrees with the expert in {found.candidate_agreement:.3f} of its own decisions"
    if not found.variants:
        yield "the scenario describes no held-out variants, so no consequence was measured"


def _moved(features: Sequence[FeatureDrift], limits: ShiftLimits) -> list[FeatureDrift]:
    """The features that differ by more than chance and by more than the limits, by KS or by PSI."""
    far = (one.q <= limits.false_discoveries and one.distance >= limits.min_distance for one in features)
    return [one for one, moved in zip(features, far, strict=True) if moved or _unstable(one, limits.psi_hold, limits)]


def _unstable(one: FeatureDrift, max_psi: float, limits: ShiftLimits) -> bool:
    """Whether the PSI exceeds a limit, and by more than chance."""
    return one.psi_q <= limits.false_discoveries and one.psi > max_psi
