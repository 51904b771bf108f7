"""Distribution shift between the data, fine-tuning and evaluation, and what it costs: what of it stops a verdict, and what only warns.

Not every difference is a fault. Fine-tuning that learns anything leaves the states of the demonstrations: a faster robot meets people at other
distances than its teacher did. So where no policy has acted, where the policy is fixed, and where success is counted, a difference holds the
verdict; where the candidate itself is what changed, it warns.

HOLD
* at reset, features of the exam differ from the data's: KS (q ≤ 0.01 and D ≥ 0.1) or PSI > 0.25. Nobody has acted yet: the worlds are others.
* more than 1 % of the candidate's rows lie beyond the scenario's feature_range, the vocabulary that data are validated for.
* the mix of situations has a total variation > 0.25, or the exam asks for a situation that under 5 % of the data show.
* the clone agrees with the expert in its own states by > 0.10 less than in held-out episodes: one policy, one yardstick, other states.
* success in a held-out variant, candidate less scratch or less clone: bound < −0.05; FAIL where it is < −0.15. The consequence is what counts.
* any of it was not measured.

Warning
* at reset, PSI > 0.10; a mix with a total variation > 0.10.
* the candidate's rows differ from the data's.
* the candidate agrees with the expert by > 0.10 less than the clone did in held-out episodes: it may have found something better.
"""

from collections.abc import Iterator

from headstart.compare.arm_runs import ArmRuns, CloneShift
from headstart.compare.consequence import VariantDifference
from headstart.compare.drift import FeatureDrift, MixDrift
from headstart.compare.shift_findings import ShiftFindings, ShiftLimits, VariantFinding, measure
from headstart.core.verdict import Check, Outcome, at_least, at_most, unmeasured


def find_shift(candidate: ArmRuns, scratch: ArmRuns, clone: CloneShift | None, limits: ShiftLimits) -> ShiftFindings:
    """The findings with their warnings. Raises InputError where the records were measured in different worlds."""
    found = measure(candidate, scratch, clone, limits)
    return found.model_copy(update={"warnings": () if found.missing else tuple(_warnings(found))})


def shift_checks(found: ShiftFindings) -> Iterator[Check]:
    """The lines that the findings add to a verdict; warnings add none."""
    if found.missing:
        yield unmeasured("shift", "==", "measured", f"distribution shift not measured: {'; '.join(found.missing)}")
        return
    yield _same_starts(found)
    name, worst = max(found.outside.items(), key=lambda item: item[1], default=("no feature", 0.0))
    text = f"{name} lies beyond the scenario's feature_range in {worst:.2%} of the candidate's rows"
    yield at_most("shift-outside", worst, found.limits.outside_max, text, on_miss=Outcome.HOLD)
    if found.mix is not None:
        yield from _mix_checks(found.mix, found.limits)
    yield _agreement_check(found)
    for variant in found.variants:
        yield _kept(found, variant, "scratch", variant.less_scratch)
        yield _kept(found, variant, "clone", variant.less_clone)


def _same_starts(found: ShiftFindings) -> Check:
    limits = found.limits
    moved = [one for one in found.starts if _moved(one, limits) or _unstable(one, limits.psi_hold, limits)]
    worst = ", ".join(f"{one.feature} (D {one.distance:.2f}, PSI {one.psi:.2f})" for one in moved[:3])
    text = f"of {len(found.starts)} features at reset, {len(moved)} differ between data and exam{': ' if moved else ''}{worst}"
    return at_most("shift-starts", len(moved), 0, text, on_miss=Outcome.HOLD)


def _mix_checks(mix: MixDrift, limits: ShiftLimits) -> Iterator[Check]:
    text = f"mix of situations in data and exam: total variation {mix.distance:.3f}"
    yield at_most("shift-mix", mix.distance, limits.mix_hold, text, on_miss=Outcome.HOLD)
    asked = {kind: mix.data[kind] for kind, share in mix.exam.items() if share > 0}
    rarest = min(asked, key=lambda kind: asked[kind])
    text = f"situation {rarest} of the exam has {asked[rarest]:.1%} of the data"
    yield at_least("shift-mix-share", asked[rarest], limits.mix_share_min, text, on_miss=Outcome.HOLD)


def _agreement_check(found: ShiftFindings) -> Check:
    limit = found.limits.agreement_drop_max
    if found.clone_agreement is None or found.heldout_accuracy is None:
        return unmeasured(
            "shift-agreement", "<=", limit, "the clone's agreement with the expert on its own states was not measured"
        )
    drop = found.heldout_accuracy - found.clone_agreement
    text = f"the clone agrees with the expert in {found.heldout_accuracy:.3f} of held-out decisions, in {found.clone_agreement:.3f} of its own"
    return at_most("shift-agreement", drop, limit, text, on_miss=Outcome.HOLD)


def _kept(found: ShiftFindings, variant: VariantFinding, other: str, difference: VariantDifference) -> Check:
    bound = "too few seeds for a bound" if difference.low is None else f"bound {difference.low:+.3f}"
    text = (
        f"success on {variant.variant}, {found.candidate} less {other}: {difference.mean:+.3f} over {difference.n} seeds; {bound}"
    )
    lost = difference.low_fail is not None and difference.low_fail < -found.limits.success_fail
    return at_least(
        f"shift-{variant.variant}-{other}",
        difference.low,
        -found.limits.success_hold,
        text,
        difference.n,
        Outcome.FAIL if lost else Outcome.HOLD,
    )


def _warnings(found: ShiftFindings) -> Iterator[str]:
    limits = found.limits
    unstable = [one.feature for one in found.starts if _unstable(one, limits.psi_warn, limits) and one.psi <= limits.psi_hold]
    if unstable:
        yield f"at reset, PSI exceeds {limits.psi_warn} in {', '.join(unstable)}"
    moved = [one for one in found.visited if _moved(one, limits) or _unstable(one, limits.psi_hold, limits)]
    if moved:
        yield f"{found.candidate} sees other values than the data in {len(moved)} of {len(found.visited)} features, most in {moved[0].feature}"
    mix = found.mix
    if mix is not None and limits.mix_warn < mix.distance <= limits.mix_hold and mix.p <= limits.false_discoveries:
        yield f"the mix of situations differs by a total variation of {mix.distance:.3f}"
    if found.candidate_agreement is not None and found.heldout_accuracy is not None:
        if found.heldout_accuracy - found.candidate_agreement > limits.agreement_drop_max:
            yield f"{found.candidate} agrees with the expert in {found.candidate_agreement:.3f} of its own decisions"
    if not found.variants:
        yield "the scenario describes no held-out variants, so no consequence was measured"


def _moved(one: FeatureDrift, limits: ShiftLimits) -> bool:
    """Certainly, and far enough to matter."""
    return one.q <= limits.false_discoveries and one.distance >= limits.distance_min


def _unstable(one: FeatureDrift, psi_max: float, limits: ShiftLimits) -> bool:
    """The index exceeds a limit, and by more than chance."""
    return one.psi_q <= limits.false_discoveries and one.psi > psi_max
