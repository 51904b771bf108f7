"""The verdict of a comparison for somebody who reads nothing else: the five questions, each with its answer in numbers, and what to do next."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from headstart.compare.arm_runs import ArmRuns
from headstart.compare.comparison import Comparison, all_in_text, arrivals, steps_text
from headstart.compare.curves import watched_steps
from headstart.compare.findings import ArmSummary
from headstart.compare.levels import mean_area
from headstart.compare.ratio import Difference
from headstart.core.verdict import Check, Outcome
from headstart.runs.wall_clock import WallClock
from headstart.view.blocks import Block, Items, Lead, Note, Section, Table, Text, section
from headstart.view.comparison import arms_of, number, reason_items, there
from headstart.view.ends import difference_cell, signed

QUANTITIES = ("success", "harm", "return")
SIGNS = {Outcome.PASS: "✓", Outcome.HOLD: "!", Outcome.FAIL: "✗"}
STEPS_CHECKS = ("ratio-upper", "baseline-not-slower", "candidate-censored")


class Step(NamedTuple):
    """What to do next."""

    why: str
    command: str


# --- the first screen ---------------------------------------------------------------------------------------------------


def verdict_section(found: Comparison, taught: str, watch: str | None) -> Section:
    """`taught` says what the candidate learned from; `watch` is the command that plays it, None where its world cannot be drawn."""
    reasons = found.verdict.reasons if found.grid else ()
    blocks: list[Block] = [Lead(sentence(found)), *([_as_good(found)] if found.final else [])]
    blocks += [Text("Not a PASS because of:"), Items(reason_items(reasons))] if reasons else []
    blocks += [Table("what next | command", [(step.why, f"`{step.command}`") for step in next_steps(found, watch)])]
    answers = [("By how much?", how_much(found)), ("How sure is that?", how_sure(found)), ("What taught it?", taught)]
    blocks += [Table("question | answer", [(q, a) for q, a in answers if a])]
    return section("verdict", f"Verdict on the target {found.target.name}", *blocks)


def _as_good(found: Comparison) -> Table:
    """Success, harm and return of the last checkpoints against each other policy, with the bounds that are held to the margins."""
    names = [name for name in QUANTITIES if name in found.margins]
    others = [*(one.baseline.arm for one in found.grid), *(other for other in ("clone", "expert") if found.final.get(other))]
    rows = [
        (_whose(other), as_good(found, other), *(difference_cell(found.final.get(other, {}).get(name), name) for name in names))
        for other in others
    ]
    margins = " | ".join(f"{name} (margin {found.margins[name]:.3g})" for name in names)
    return Table(f"as good and as safe as | answer | {margins}", rows)


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


def sentence(found: Comparison) -> str:
    """The verdict in one plain sentence."""
    if found.strongest is None:
        return f"{found.candidate.arm} is described alone: there is nothing to compare it with, so whether a head start helps is not measured."
    theirs = found.strongest.baseline
    ours, other = (arm.exams["sampled"] for arm in (found.candidate, theirs))
    return (
        f"Did the head start help? {helped(found)} At the exam: success {ours.success_rate:.3f} against {other.success_rate:.3f} of "
        f"{theirs.arm}, harm {ours.harm_rate:.3f} against {other.harm_rate:.3f}, return {ours.return_iqm:.3f} against {other.return_iqm:.3f}."
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
            f"(limit {limit}); {_all(found.candidate)} got there."
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
    checks = {name: check for name in differences for check in found.verdict.checks if check.name == f"final-{name}-{other}"}
    missed = [name for name, check in checks.items() if not check.passed]
    if not missed:
        return "yes"
    failed = any(checks[name].outcome == Outcome.FAIL for name in missed)
    return f"{'no' if failed else 'not shown'}: {', '.join(missed)}"


def _whose(other: str) -> str:
    return {"clone": "its clones", "expert": "the expert"}.get(other, other)


def _checks(found: Comparison, names: Iterable[str]) -> list[Check]:
    return [check for check in found.verdict.checks if check.name in names]


# --- what next ----------------------------------------------------------------------------------------------------------


def next_steps(found: Comparison, watch: str | None) -> list[Step]:
    """A step for the first reason against a PASS, and one to see for oneself; after a PASS, what records it."""
    scenario, arm = found.scenario, found.candidate.arm
    seen = [Step("See what it does:", watch)] if watch else []
    if not found.grid:
        return [
            Step(
                "Compare an arm that has a head start with it:",
                f"dvc exp run -S candidate=pretrained -S 'scenarios=[{scenario}]'",
            ),
            *seen,
        ]
    if found.verdict.outcome == Outcome.PASS:
        step = Step(
            "Record the verdict; two of them by different people or seeds allow a release:",
            f"headstart release record {scenario} --by NAME",
        )
        return [step, *seen]
    return [_cure(found, found.verdict.reasons[0].name, scenario, arm), *seen]


def _cure(found: Comparison, reason: str, scenario: str, arm: str) -> Step:
    """For the check that was missed, by the first part of its name."""
    other = found.grid[0].baseline.arm
    only = f"-S 'scenarios=[{scenario}]'"
    cures: Mapping[str, Step] = {
        "replicates": Step(
            "Run it on more seeds, each with a clone of its own:",
            f"dvc exp run -S 'seeds=[40,41,42,43,44,45,46,47,48,49]' -S capture.blocks=10 {only}",
        ),
        "shared": Step("Give every seed a clone of its own:", f"dvc exp run -S bc_train.clones=null {only}"),
        "matched": Step(
            "Give one baseline the PPO settings of the candidate; this shows both:", f"headstart schedule check {arm}"
        ),
        "guardrails": Step("Look at the limits of its guardrails, and whether they fit:", f"headstart schedule check {arm}"),
        "baseline": Step(
            f"{other} was there first, or was ended early; look at its schedule:", f"headstart schedule check {other}"
        ),
        "ratio": Step(
            "Search better settings of the candidate, on seeds of their own:", f"headstart tune {scenario} {arm} --trials 20"
        ),
        "candidate": Step("Search settings with which every seed arrives:", f"headstart tune {scenario} {arm} --trials 20"),
        "final": Step(
            "Search settings that end higher, or give the arm more env steps:", f"headstart tune {scenario} {arm} --trials 20"
        ),
        "shift": Step(
            "What it learned does not carry over to a world that nobody trained on; look at the schedule that let it drift:",
            f"headstart schedule check {arm}",
        ),
    }
    return cures.get(reason.split("-")[0], Step("Run again what changed, and judge it anew:", "dvc repro"))


# --- at a glance --------------------------------------------------------------------------------------------------------


def glance_section(
    found: Comparison, arms: Mapping[str, ArmRuns], seconds: Mapping[str, float], clock: WallClock | None
) -> Section:
    """A row for each arm, then one for each difference. `seconds`: arm → of its whole stage, as the record of its run has them."""
    end = watched_steps([run for arm in arms_of(found) for run in arms[arm.arm].runs])
    rows = [_row(found, arm, arms[arm.arm], end, seconds) for arm in arms_of(found)]
    columns = (
        f"arm | seeds at {found.target.name} | median env steps to it | success | harm | return (IQM) | mean return over training"
    )
    columns += " | wall clock, all seeds"
    blocks: list[Block] = [Table(columns, rows)]
    if found.grid and found.final:
        names = [name for name in QUANTITIES if name in found.margins]
        others = [other for other in (*(one.baseline.arm for one in found.grid), "clone", "expert") if found.final.get(other)]
        apart = [
            (f"{found.candidate.arm} − {_whose(other)}", *(_interval(found.final[other].get(name)) for name in names))
            for other in others
        ]
        blocks += [Table(f"difference at the exam | {' | '.join(names)}", apart)]
    blocks += [
        Note(
            f"Success, harm and return: the last checkpoint of every seed on {arms[found.candidate.arm].design.exam_worlds:,} exam worlds, "
            f"sampled policy, n = {found.candidate.exams['sampled'].episodes:,} episodes an arm. Mean return over training: area under the "
            f"curve from 0 to {end:,} env steps, divided by them. Each end of an interval is a one-sided 95 % bound. {_wall(clock)}"
        )
    ]
    return section("glance", "At a glance", *blocks)


def _row(found: Comparison, arm: ArmSummary, runs: ArmRuns, end: int, seconds: Mapping[str, float]) -> tuple[str, ...]:
    exam = arm.exams["sampled"]
    area = mean_area(runs, "return", found.target.mode, end)
    wall = seconds.get(arm.arm)
    return (
        arm.arm,
        there(arm),
        number(arm.reached.median_steps, ",.0f", "not reached by half"),
        f"{exam.success_rate:.3f}",
        f"{exam.harm_rate:.3f}",
        f"{exam.return_iqm:.3f}",
        number(area, ".3f", "not measured"),
        number(wall, ",.0f", "not known") + (" s" if wall is not None else ""),
    )


def _interval(of: Difference | None) -> str:
    if of is None:
        return "not measured"
    if of.low is None or of.high is None:
        return f"{signed(of.mean)} (no bound)"
    return f"{signed(of.mean)} ({signed(of.low)} to {signed(of.high)})"


def _wall(clock: WallClock | None) -> str:
    if clock is None:
        return (
            "Wall clock: of the stage, with its evaluations; seconds to target are not known, since the logs are not here (`dvc pull` brings "
            "them)."
        )
    return "Wall clock: of the stage, with its evaluations; the seeds share the cores of one machine."
