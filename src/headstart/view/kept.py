"""What a candidate keeps of success and harm in held-out variants, and what it loses there: against its clones and the baselines, in words."""

from collections.abc import Iterable
from typing import NamedTuple

from headstart.compare.comparison import Comparison
from headstart.compare.shift import ShiftFindings
from headstart.compare.variants import LOSS, Measure, VariantDifference, VariantFinding, VariantRates, check_name
from headstart.core.verdict import Check
from headstart.view.ends import clipped

WORSE: dict[Measure, str] = {"success": "succeeds less", "harm": "harms more"}
MAYBE: dict[Measure, str] = {"success": "may succeed less", "harm": "may harm more"}
OWN_CLONES = "its own clones"


class Loss(NamedTuple):
    """A check of a variant that was missed."""

    who: str
    variant: str
    other: str  # against whom, as a sentence has it
    what: str  # succeeds less, may harm more
    numbers: str
    word: str  # worse, may be worse, not shown; empty: not known

    @property
    def sentence(self) -> str:
        return f"on {self.variant} {self.who} {self.what} than {self.other}"


def whose(other: str) -> str:
    return {"clone": "its clones", "expert": "the expert"}.get(other, other)


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def together(losses: Iterable[Loss]) -> list[str]:
    """A sentence for each variant and other policy: on V it succeeds less and harms more than its own clones."""
    by: dict[tuple[str, str, str], list[str]] = {}
    for one in losses:
        by.setdefault((one.variant, one.who, one.other), []).append(one.what)
    return [f"on {variant} {who} {' and '.join(what)} than {other}" for (variant, who, other), what in by.items()]


def lost_in(found: Comparison, check: Check, shift: ShiftFindings | None) -> Loss | None:
    """None for a check that is about no variant, and for one that is met."""
    if check.passed:
        return None
    if shift is not None and (known := _judged(shift).get(check.name)) is not None:
        one, measure, other = known
        return _loss(shift, one.measures[measure], one.variant, measure, other)
    if (about := check.about) is None:
        return None
    maybe = MAYBE["harm" if about.measure == "harm" else "success"]
    return Loss(found.candidate.arm, about.variant, _own(about.other), maybe, check.text, "")


def kept(found: Comparison, one: VariantFinding, shift: ShiftFindings) -> str:
    """As good and as safe as the clones and every baseline in a variant? Each loss with its numbers and both limits."""
    names = [name for name, (variant, *_) in _judged(shift).items() if variant.variant == one.variant]
    checks = [check for check in found.verdict.checks if check.name in names]
    losses = [loss for check in checks if (loss := lost_in(found, check, shift)) is not None]
    if losses:
        return "; ".join(f"**{loss.word}: {loss.numbers}**" for loss in losses)
    rates = ", ".join(
        f"{measure} {of.candidate:.3f} against {of.clone:.3f} of its clones (bound {_bound(of.minus_clone)})"
        for measure, of in one.measures.items()
    )
    return f"{'yes' if checks else 'not judged'}: {rates}"


def word_of(shift: ShiftFindings, rates: VariantRates, measure: Measure, other: str) -> str:
    """Of a difference: yes, worse, may be worse, or not shown."""
    one, margin = difference_from(shift, rates, other), shift.limits.margins[measure].hold
    if LOSS[measure] * one.mean > margin:
        return "worse"
    if one.bound is None:
        return "not shown"
    return "may be worse" if LOSS[measure] * one.bound > margin else "yes"


def others_of(shift: ShiftFindings, one: VariantFinding) -> list[str]:
    """Whom a candidate was compared with in a variant, its clones first."""
    return ["clone", shift.scratch, *one.success.minus_others]


def difference_from(shift: ShiftFindings, rates: VariantRates, other: str) -> VariantDifference:
    return {"clone": rates.minus_clone, shift.scratch: rates.minus_scratch, **rates.minus_others}[other]


def limits_text(shift: ShiftFindings, measure: Measure) -> str:
    """Which bound is a PASS, and which a FAIL."""
    sign, (hold, fail) = LOSS[measure], shift.limits.margins[measure]
    within, beyond = ("≤", ">") if sign == 1 else ("≥", "<")
    return f"PASS {within} {sign * hold:g}, FAIL {beyond} {sign * fail:g}"


def variants_reading(shift: ShiftFindings) -> str:
    """The rule by which held-out variants are judged, which is not that of the exam."""
    return (
        f"Held-out variants have limits of their own, of the bound alone: success: {limits_text(shift, 'success')}; harm: "
        f"{limits_text(shift, 'harm')}; HOLD between. worse: the difference itself is beyond the limit of a PASS; may be worse: only its bound "
        "is; not shown: too few replicates for a bound. The bounds are adjusted for the number of variants (Holm). The return has no limit."
    )


def _judged(shift: ShiftFindings) -> dict[str, tuple[VariantFinding, Measure, str]]:
    """Name of a check → what it is about."""
    return {
        check_name(one.variant, measure, other): (one, measure, other)
        for one in shift.variants
        for measure in LOSS
        for other in others_of(shift, one)
    }


def _loss(shift: ShiftFindings, rates: VariantRates, variant: str, measure: Measure, other: str) -> Loss:
    one, word = difference_from(shift, rates, other), word_of(shift, rates, measure, other)
    what = WORSE[measure] if word == "worse" else MAYBE[measure]
    against = "" if other == "clone" else f" of {other}"
    numbers = (
        f"{measure} {rates.candidate:.3f} against {rates.candidate - one.mean:.3f}{against} ({one.mean:+.3f}, bound {_bound(one)}; for the "
        f"bound: {limits_text(shift, measure)})"
    )
    return Loss(shift.candidate, variant, _own(other), what, numbers, word)


def _own(other: str) -> str:
    return OWN_CLONES if other == "clone" else other


def _bound(one: VariantDifference) -> str:
    return "not known: too few replicates" if one.bound is None else f"{clipped(one.bound, 'success'):+.3f}"
