"""The verdict of a comparison for somebody who reads nothing else: what the outcome means, and the five questions, answered in numbers."""

from collections.abc import Iterable, Sequence

from headstart.compare.comparison import Comparison, all_in_text, arrivals, steps_text
from headstart.compare.findings import ArmSummary
from headstart.compare.shift import ShiftFindings
from headstart.compare.variants import LOSS, check_name
from headstart.core.verdict import Check, Outcome
from headstart.view.blocks import Block, Command, Items, Lead, Note, Part, Section, Table, Text, section
from headstart.view.comparison import number, reason_items, there
from headstart.view.ends import difference_cell
from headstart.view.next_steps import Step

AS_GOOD = (
    "At the exam, in worlds like those of training: the candidate less the other, difference of means over seeds; in brackets the one-sided "
    "95 % bound that is held to the margin."
)
REASONS_NAMED = 3
QUANTITIES = ("success", "harm", "return")
SIGNS = {Outcome.PASS: "✓", Outcome.HOLD: "!", Outcome.FAIL: "✗"}
STEPS_CHECKS = ("ratio-upper", "baseline-not-slower", "candidate-censored")


def verdict_section(found: Comparison, taught: str, steps: Sequence[Step], shift: ShiftFindings | None) -> Section:
    """`taught` says what the candidate learned from, `steps` what to do next."""
    reasons = found.verdict.reasons if found.grid else ()
    blocks: list[Block] = [Lead(sentence(found))]
    blocks += [_as_good(found), Note(AS_GOOD), *_elsewhere(found, shift)] if found.final else []
    parts = [Part("Why it is not a PASS", [Items(reason_items(reasons))])] if reasons else []
    todo: list[Block] = []
    for step in steps:
        todo += [Text(step.why), Command(step.command)] if step.command else [Text(step.why)]
    parts += [Part("What next", todo)] if todo else []
    answers = [("By how much?", how_much(found)), ("How sure is that?", how_sure(found)), ("What taught it?", taught)]
    parts += [Part("By how much, how sure, and taught by what", [Table("question | answer", [(q, a) for q, a in answers if a])])]
    return section("verdict", f"Verdict on the target {found.target.name}", *blocks, parts=parts)


def _as_good(found: Comparison) -> Table:
    """Success, harm and return of the last checkpoints against each other policy, with the bounds that are held to the margins."""
    names = [name for name in QUANTITIES if name in found.margins]
    others = [*(one.baseline.arm for one in found.grid), *(other for other in ("clone", "expert") if found.final.get(other))]
    rows = [
        (whose(other), as_good(found, other), *(difference_cell(found.final.get(other, {}).get(name), name) for name in names))
        for other in others
    ]
    margins = " | ".join(f"{name} (margin {found.margins[name]:.3g})" for name in names)
    return Table(f"as good and as safe as | answer | {margins}", rows)


def _elsewhere(found: Comparison, shift: ShiftFindings | None) -> list[Block]:
    """What the table above does not speak about: the held-out variants, where they were measured."""
    if shift is None or not shift.variants:
        return []
    rows = [
        (
            one.variant,
            _kept(found, one.variant),
            *(f"{rates.candidate:.3f} against {rates.clone:.3f}" for rates in (one.success, one.harm)),
        )
        for one in shift.variants
    ]
    columns = "in other worlds: held-out variant | as good and as safe | success, against its clones | harm, against its clones"
    return [Table(columns, rows)]


def _kept(found: Comparison, variant: str) -> str:
    """Against every baseline and the clones, by the checks of the variant."""
    others = (*(one.baseline.arm for one in found.grid), "clone")
    names = {check_name(variant, measure, other): measure for measure in LOSS for other in others}
    return _answer([(names[check.name], check) for check in found.verdict.checks if check.name in names])


def numbers(found: Comparison) -> dict[str, object]:
    """The verdict for a program: null where nothing was measured."""
    exam, strongest = found.candidate.exams["sampled"], found.strongest
    return {
        "scenario": found.scenario,
        "target": found.target.name,
        "verdict": found.verdict.outcome.value,
        "reasons": [reason.text for reason in found.verdict.reasons],
        "candidate": found.candidate.arm,
        "baseline": strongest.baseline.arm if strongest else None,
        "ratio": strongest.online.median if strongest else None,
        "ratio_upper": strongest.online.upper if strongest else None,
        "all_in_upper": strongest.all_in.upper if strongest else None,
        "success_rate": exam.success_rate,
        "harm_rate": exam.harm_rate,
        "return_iqm": exam.return_iqm,
        "margins": found.margins,
        "differences": {other: {name: of.model_dump() for name, of in final.items()} for other, final in found.final.items()},
    }


def meaning(found: Comparison) -> str:
    """What the outcome asks of whoever reads it."""
    if not found.grid:
        return "HOLD: nothing was compared, so there is nothing to decide yet."
    if found.verdict.outcome == Outcome.PASS:
        return f"PASS: use it. Every check of {found.candidate.arm} is met."
    named = [*dict.fromkeys(_brief(check) for check in found.verdict.reasons if check.about is None), *_lost(found)]
    because = "; ".join(named[:REASONS_NAMED]) + (
        f"; and {len(named) - REASONS_NAMED} more" if len(named) > REASONS_NAMED else ""
    )
    if found.verdict.outcome == Outcome.FAIL:
        return f"FAIL: do not use {found.candidate.arm}, because of: {because}."
    return f"HOLD: what was measured stands, but a person decides before {found.candidate.arm} is used, because of: {because}."


def _lost(found: Comparison) -> list[str]:
    """Where the candidate may be worse than another: variant by variant."""
    by: dict[tuple[str, str], list[str]] = {}
    for about in filter(None, (check.about for check in found.verdict.reasons)):
        by.setdefault((about.variant, whose(about.other)), []).append(about.measure)
    return [f"{' and '.join(what)} in the held-out variant {variant}, against {other}" for (variant, other), what in by.items()]


def _brief(check: Check) -> str:
    """Its text up to the numbers."""
    known = {
        "guardrails": "a guardrail that was open or broken at the end of a run",
        "ratio": "a ratio of steps that was not shown",
    }
    return known.get(check.name.split("-")[0], check.text.split(":")[0])


def sentence(found: Comparison) -> str:
    """The verdict in one plain sentence."""
    if found.strongest is None:
        return f"{found.candidate.arm} is described alone: there is nothing to compare it with, so whether a head start helps is not measured."
    theirs = found.strongest.baseline
    ours, other = (arm.exams["sampled"] for arm in (found.candidate, theirs))
    return (
        f"Did the head start help? {helped(found)} At the exam: success {ours.success_rate:.3f} against {other.success_rate:.3f} of "
        f"{theirs.arm}, harm {ours.harm_rate:.3f} against {other.harm_rate:.3f}, return (IQM) {ours.return_iqm:.3f} against "
        f"{other.return_iqm:.3f}."
    )


def helped(found: Comparison) -> str:
    """Whether the candidate reached the target in fewer steps, from the checks that say so."""
    if found.strongest is None:
        return "Not measured: there is no baseline to compare with."
    name, other = found.candidate.arm, found.strongest.baseline.arm
    limit = f"{found.limits.max_ratio:g}"
    checks = _checks(found, STEPS_CHECKS)
    if checks and all(check.passed for check in checks):
        return (
            f"Yes: {name} needed {_ratio(found)} of the env steps of {other}, the strongest baseline, to reach {found.target.name} "
            f"(limit {limit}); {_all(found.candidate)} got there.{_bounded(found)}"
        )
    if any(check.outcome == Outcome.FAIL for check in checks):
        return f"No: {arrivals(found.candidate)}; {arrivals(found.strongest.baseline)} (limit of the ratio {limit})."
    return f"Not shown: {arrivals(found.candidate)}; {arrivals(found.strongest.baseline)} (limit of the ratio {limit})."


def _ratio(found: Comparison) -> str:
    assert found.strongest is not None
    ratio = found.strongest.online
    if found.candidate.reached.median_steps == 0:
        return "no env steps of its own (its clones were there before training), against all"
    if ratio.median is None:
        return f"at most {number(ratio.upper, '.3f')} (95 % upper bound)"
    return f"{ratio.median:.3f} (95 % upper bound {number(ratio.upper, '.3f', 'not estimable')})"


def _bounded(found: Comparison) -> str:
    """Where the baseline was not seen to arrive: why there is a bound and no ratio, and what it is made of."""
    assert found.strongest is not None
    ratio, theirs = found.strongest.online, found.strongest.baseline
    if ratio.median is not None or ratio.upper is None or found.candidate.reached.median_steps == 0:
        return ""
    arrived, median = theirs.reached.runs - theirs.reached.censored, found.candidate.reached.median_steps
    never = (
        f"{theirs.arm} never arrived ({there(theirs)} seeds within its budget of {theirs.budget:,} env steps)"
        if arrived == 0
        else f"Of {theirs.arm} only {there(theirs)} seeds arrived within its budget of {theirs.budget:,} env steps"
    )
    of = (
        f": the {median:,.0f} env steps of {found.candidate.arm} (median) over that budget"
        if median is not None and abs(ratio.upper * theirs.budget - median) < 1
        else ", from the steps up to which it was watched"
    )
    return f" {never}, so the ratio is not known, only bounded{of}."


def _all(arm: ArmSummary) -> str:
    return f"{there(arm)} seeds"


def how_much(found: Comparison) -> str:
    """Ratio, all-in ratio and area."""
    if found.strongest is None:
        return ""
    area = found.beyond.areas.get("return") if found.beyond else None
    between = (
        ""
        if area is None
        else f" Mean return over training, {found.candidate.arm} − {found.strongest.baseline.arm}: {area.mean:+.3f} (95 % interval "
        f"{area.low:+.3f} to {area.high:+.3f})."
    )
    text = f"{steps_text(found)}. {all_in_text(found)}{between}"
    return text


def how_sure(found: Comparison) -> str:
    """Replicates, bounds, power."""
    if found.strongest is None:
        return ""
    least, runs = found.limits.min_replicates, len(found.candidate.passages)
    enough = next((check for check in found.verdict.checks if check.name == "replicates"), None)
    clones = runs if enough is None or enough.measured is None else enough.measured
    few = "" if enough is None or enough.passed else f" Fewer than {least} cannot show a ratio."
    planned = found.beyond.planned_power if found.beyond else None
    power = (
        ""
        if planned is None
        else f" If the true ratio were {found.limits.planned_ratio:g}, {100 * planned.share:.0f} % of experiments of this size would show "
        f"one of at most {found.limits.max_ratio:g}."
    )
    return f"{runs} seeds of each arm, {clones} independent replicates of the candidate; bounds are one-sided, 95 %.{few}{power}"


def as_good(found: Comparison, other: str) -> str:
    """Whether success, harm and return (and the target's measures) at the end are all within their margins of another's."""
    differences = found.final.get(other, {})
    if not differences:
        return "not measured"
    checks = [(name, check) for name in differences for check in found.verdict.checks if check.name == f"final-{name}-{other}"]
    return _answer(checks)


def _answer(checks: Sequence[tuple[str, Check]]) -> str:
    """Whether all of them hold, and what those measure that do not."""
    missed = [(measure, check) for measure, check in checks if check.applies and not check.passed]
    if not missed:
        return "yes" if checks else "not judged"
    failed = any(check.outcome == Outcome.FAIL for _, check in missed)
    return f"{'no' if failed else 'not shown'}: {', '.join(dict.fromkeys(measure for measure, _ in missed))}"


def whose(other: str) -> str:
    return {"clone": "its clones", "expert": "the expert"}.get(other, other)


def _checks(found: Comparison, names: Iterable[str]) -> list[Check]:
    return [check for check in found.verdict.checks if check.name in names]
