"""The verdict of a comparison for somebody who reads nothing else: what the outcome means, and the five questions, answered in numbers."""

from collections.abc import Mapping, Sequence
from math import comb
from typing import NamedTuple

from headstart.compare.comparison import Comparison, all_in_text, steps_text
from headstart.compare.findings import Against
from headstart.compare.ratio import LEVEL
from headstart.compare.shift import ShiftFindings
from headstart.core.verdict import Check, Outcome
from headstart.view.blocks import Block, Command, Items, Lead, Note, Part, Section, Table, Text, section
from headstart.view.comparison import number
from headstart.view.ends import Means, difference_cell
from headstart.view.helped import clones_part, helped
from headstart.view.kept import capital, kept, lost_in, together, variants_reading, whose
from headstart.view.next_steps import Step

AS_GOOD = (
    "The first row: means over seeds of the last checkpoints at the exam, sampled policy, in worlds like those of "
    "training. Below: the other's mean; "
    "the difference of means, and in brackets its bound. yes: the bound is within the margin; may be worse (HOLD): only the difference is; "
    "worse (FAIL): the difference itself is beyond it; not shown (HOLD): too few runs for a bound. Every bound "
    "of this report (≥, ≤, at most) is one-sided, 95 %; every interval (from … to …) and band is two-sided, 95 %."
)
REASONS_NAMED = 3
QUANTITIES = ("success", "harm", "return")
SIGNS = {Outcome.PASS: "✓", Outcome.HOLD: "", Outcome.FAIL: "✗"}


class Asked(NamedTuple):
    """What the verdict says beside the comparison itself."""

    taught: str  # what the candidate learned from
    steps: Sequence[Step]  # to do next
    means: Means
    shift: ShiftFindings | None = None
    differs: Mapping[str, str] = {}  # held-out variant → how it differs from the scenario
    flagged: str = ""  # which guardrails are open or broken, in which runs, and on what they were measured


def verdict_section(found: Comparison, read: Asked) -> Section:
    """The verdict, what it rests on, and what to do next."""
    reasons = found.verdict.reasons if found.grid else ()
    blocks: list[Block] = [Lead(sentence(found, read.means))]
    blocks += [_as_good(found, read.means), Note(AS_GOOD), *_elsewhere(found, read)] if found.final else []
    parts = [Part("Why it is not a PASS", [Items([_reason(found, reason, read) for reason in reasons])])] if reasons else []
    todo: list[Block] = []
    for step in read.steps:
        todo += [Text(step.why), Command(step.command)] if step.command else [Text(step.why)]
    parts += [Part("What next", todo)] if todo else []
    answers = [("By how much?", how_much(found)), ("How sure is that?", how_sure(found)), ("What taught it?", read.taught)]
    parts += [Part("By how much, how sure, and taught by what", [Table("question | answer", [(q, a) for q, a in answers if a])])]
    return section("verdict", f"Verdict on the target {found.target.name}", *blocks, parts=parts)


def _reason(found: Comparison, reason: Check, read: Asked) -> str:
    """A check in words, with what it was measured on."""
    if (loss := lost_in(found, reason, read.shift)) is not None:
        return f"{reason.outcome}: {capital(loss.sentence)}: {loss.numbers}"
    return f"{reason.outcome}: {read.flagged if reason.name == 'guardrails' and read.flagged else reason.text}"


def _as_good(found: Comparison, means: Means) -> Table:
    """Success, harm and return of the last checkpoints against each other policy, with the bounds that are held to the margins."""
    names = [name for name in QUANTITIES if name in found.margins]
    others = [*(one.baseline.arm for one in found.grid), *(other for other in ("clone", "expert") if found.final.get(other))]
    rows = [(found.candidate.arm, "–", *(_mean(means, found.candidate.arm, name) for name in names))]
    for other in others:
        cells = (difference_cell(found.final.get(other, {}).get(name), name) for name in names)
        rows.append((whose(other), as_good(found, other), *map("{}; {}".format, (_mean(means, other, n) for n in names), cells)))
    margins = " | ".join(f"{name} (margin {found.margins[name]:.3g})" for name in names)
    return Table(f"as good and as safe as | answer | {margins}", rows)


def _mean(means: Means, who: str, quantity: str) -> str:
    return number(means.get(who, {}).get(quantity), ".3f", "not measured")


def _elsewhere(found: Comparison, read: Asked) -> list[Block]:
    """What the table above does not speak about: the held-out variants, where they were measured."""
    if read.shift is None or not read.shift.variants:
        return []
    rows = [(one.variant, read.differs.get(one.variant, "–"), kept(found, one, read.shift)) for one in read.shift.variants]
    table = Table("in other worlds: held-out variant | what differs | as good and as safe as its clones and the baselines", rows)
    return [table, Note(variants_reading(read.shift))]


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


def meaning(found: Comparison, shift: ShiftFindings | None = None) -> str:
    """What the outcome asks of whoever reads it."""
    if not found.grid:
        return "HOLD: nothing was compared, so there is nothing to decide yet."
    if found.verdict.outcome == Outcome.PASS:
        return f"PASS: use it. Every check of {found.candidate.arm} is met."
    known = {check.name: lost_in(found, check, shift) for check in found.verdict.reasons}
    plain = dict.fromkeys(_brief(check) for check in found.verdict.reasons if known[check.name] is None)
    named = [*together(filter(None, known.values())), *plain]
    because = "; ".join(named[:REASONS_NAMED]) + (
        f"; and {len(named) - REASONS_NAMED} more" if len(named) > REASONS_NAMED else ""
    )
    if found.verdict.outcome == Outcome.FAIL:
        return f"FAIL: do not use {found.candidate.arm}, because of: {because}."
    return f"HOLD: what was measured stands, but a person decides before {found.candidate.arm} is used, because of: {because}."


def _brief(check: Check) -> str:
    """Its text up to the numbers."""
    known = {
        "guardrails": "a guardrail that was open or broken at the end of a run",
        "ratio": "a ratio of steps that was not shown",
    }
    return known.get(check.name.split("-")[0], check.text.split(":")[0])


def sentence(found: Comparison, means: Means | None = None) -> str:
    """The verdict in one plain sentence; the return is a mean where `means` are known."""
    if found.strongest is None:
        return f"{found.candidate.arm} is described alone: there is nothing to compare it with, so whether a head start helps is not measured."
    theirs = found.strongest.baseline
    ours, other = (arm.exams["sampled"] for arm in (found.candidate, theirs))
    returns = [(means or {}).get(arm.arm, {}).get("return") for arm in (found.candidate, theirs)]
    shown = (
        f"return (IQM) {ours.return_iqm:.3f} against {other.return_iqm:.3f}"
        if None in returns
        else f"mean return {returns[0]:.3f} against {returns[1]:.3f}"
    )
    return (
        f"Did the head start help? {helped(found)} At the exam: success {ours.success_rate:.3f} against {other.success_rate:.3f} of "
        f"{theirs.arm}, harm {ours.harm_rate:.3f} against {other.harm_rate:.3f}, {shown}.{clones_part(found)}"
    )


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
    """What the bound is, and what it holds for."""
    if found.strongest is None:
        return ""
    least, ours, theirs = found.limits.min_replicates, len(found.candidate.passages), len(found.strongest.baseline.passages)
    enough = next((check for check in found.verdict.checks if check.name == "replicates"), None)
    clones = ours if enough is None or enough.measured is None else enough.measured
    few = "" if enough is None or enough.passed else f" Fewer than {least} cannot show a ratio."
    return (
        f"{_bound_text(found.strongest, found.candidate.arm, ours, theirs)} {clones} replicates of the candidate, "
        f"each with demonstrations and a clone of its own: the bounds hold for this "
        f"expert and these worlds, which all of them share.{few}"
    )


def _bound_text(against: Against, candidate: str, ours: int, theirs: int) -> str:
    """By which test of compare/ratio.py."""
    baseline, upper = against.baseline, against.online.upper
    if upper is None:
        return f"There is no bound of the ratio ({ours} runs of {candidate}, {theirs} of {baseline.arm})."
    if baseline.reached.censored == theirs and len({one.after for one in baseline.passages}) == 1:
        wins = next(k for k in range(ours + 1) if sum(comb(ours, i) for i in range(k, ours + 1)) <= LEVEL * 2**ours)
        test = (
            f"; no run of {baseline.arm} arrived, so it is the exact binomial test of the runs of {candidate}, which rejects a ratio where at "
            f"least {wins} of {ours} took less than that part of the budget of {baseline.arm}"
        )
    else:
        test = " (a rank test, Brunner–Munzel; exact where all runs of one arm fare alike)"
    return (
        f"The bound is the greatest ratio that a one-sided {100 * LEVEL:g} % test does not reject, {ours} runs of {candidate} against "
        f"{theirs} of {baseline.arm}{test}; docs/concepts.md."
    )


def as_good(found: Comparison, other: str) -> str:
    """Whether success, harm and return (and the target's measures) at the end are all within their margins of another's; which of those that
    are not are worse (a FAIL) or may be (a HOLD).
    """
    differences = found.final.get(other, {})
    if not differences:
        return "not measured"
    checks = [(name, check) for name in differences for check in found.verdict.checks if check.name == f"final-{name}-{other}"]
    missed = [(measure, check) for measure, check in checks if check.applies and not check.passed]
    if not missed:
        return "yes" if checks else "not judged"
    by = {"worse": Outcome.FAIL, "may be worse": Outcome.HOLD}
    said = {
        word: [m for m, check in missed if check.outcome == outcome and check.measured is not None]
        for word, outcome in by.items()
    }
    said["not shown"] = [measure for measure, check in missed if check.measured is None]
    return "; ".join(f"**{word}: {', '.join(dict.fromkeys(names))}**" for word, names in said.items() if names)
