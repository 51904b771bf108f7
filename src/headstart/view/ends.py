"""The final policies of a comparison: the exam of each arm, and the candidate less the target, the clones and the other arms.

Targets of one scenario are judged on the same runs, so what two of them share is shown once.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean

import numpy as np

from headstart.compare.arm_runs import ArmRuns, CloneRuns, Score
from headstart.compare.comparison import Comparison
from headstart.compare.curves import score_value
from headstart.compare.findings import OTHERS, ArmSummary
from headstart.compare.ratio import Difference
from headstart.core.arrays import Mode
from headstart.core.statistics import interquartile_mean, wilson_lower, wilson_upper
from headstart.view.blocks import Table
from headstart.view.comparison import arms_of

FIRST = ("success", "harm", "return")  # of the quantities, before measures
SHARES = ("success", "harm")
Means = Mapping[str, Mapping[str, float]]  # an arm, clone or expert → quantity → mean over seeds at the exam


def exam_means(arms: Sequence[ArmRuns], clones: CloneRuns | None, mode: Mode) -> Means:
    """Of the last checkpoints, of their clones, and of the expert."""
    scores: dict[str, list[Score]] = {arm.arm: [run.exam[mode] for run in arm.runs] for arm in arms}
    if clones is not None:
        scores |= {"clone": [one.exam[mode] for one in clones.clones]}
        scores |= {"expert": [one.expert for one in clones.clones if one.expert is not None]}
    return {who: {name: fmean(score_value(of, name) for of in known) for name in FIRST} for who, known in scores.items() if known}


def ends_tables(comparisons: Sequence[Comparison], clones: CloneRuns | None = None) -> list[Table]:
    """The final policies, once for all targets that give the same: the exam of each arm, and the candidate less the others."""
    same = _with_same_ends([found for found in comparisons if found.final])
    return [_exam_table(comparisons[0], clones), *map(_final_table, same)]


def _with_same_ends(comparisons: Sequence[Comparison]) -> list[list[Comparison]]:
    """Groups in which the differences and margins that two targets share are equal. A target may judge another mode, or more measures."""
    groups: list[list[Comparison]] = []
    for found in comparisons:
        group = next((group for group in groups if all(_ends_agree(one, found) for one in group)), None)
        if group is None:
            groups.append([found])
        else:
            group.append(found)
    return groups


def _ends_agree(one: Comparison, other: Comparison) -> bool:
    margins = one.margins.keys() & other.margins.keys()
    cells = [
        (one.final[whose], other.final[whose], quantity)
        for whose in one.final.keys() & other.final.keys() - {"target"}
        for quantity in margins
    ]
    return all(one.margins[name] == other.margins[name] for name in margins) and all(
        ours.get(name) == theirs.get(name) for ours, theirs, name in cells
    )


def _final_table(same: Sequence[Comparison]) -> Table:
    """The final policies: the candidate less another, with the bound that is held to the margin. A row for each of the targets."""
    margins = {name: margin for found in same for name, margin in found.margins.items()}
    quantities = [*FIRST, *sorted(margins.keys() - set(FIRST))]  # a file's keys are in the order of the alphabet
    rows = [(_target_cell(found), found.final["target"]) for found in same if "target" in found.final]
    others = dict.fromkeys((*OTHERS, *(one.baseline.arm for one in same[0].grid)))
    there = [name for name in others if name in same[0].final and name != "target"]
    for other in [name for name in there if same[0].final[name] or name != "expert"]:  # recorded demonstrations have no expert
        rows.append((other, {name: of for found in same for name, of in found.final[other].items()}))
    columns = " | ".join(f"{name} (margin {margins[name]:.3g})" for name in quantities)
    return Table(
        f"final policies, {same[0].candidate.arm} − | {columns}",
        [(whose, *(difference_cell(of.get(name), name) for name in quantities)) for whose, of in rows],
    )


def _target_cell(found: Comparison) -> str:
    """A target has margins of its own."""
    margins = ", ".join(f"{name} {margin:.3g}" for name, margin in found.target_margins.items())
    return f"target {found.target.name} (margins {margins})"


def difference_cell(of: Difference | None, quantity: str) -> str:
    if of is None:
        return "–"
    sign, bound = ("≤", of.high) if quantity == "harm" else ("≥", of.low)
    return f"{signed(of.mean)} ({'no bound' if bound is None else f'{sign} {signed(clipped(bound, quantity))}'})"


def clipped(bound: float, quantity: str) -> float:
    """A difference of two shares lies within −1 … 1, whatever Student's t says."""
    return min(max(bound, -1.0), 1.0) if quantity in SHARES else bound


def signed(value: float) -> str:
    """With three digits behind the point; what rounds to zero is +0.000."""
    return f"{round(value, 3) + 0.0:+,.3f}"


def _exam_table(found: Comparison, clones: CloneRuns | None) -> Table:
    """The final policies of each arm in the exam, and who taught the candidate."""
    columns = "exam | success, sampled | success, likeliest actions | harm, sampled | return (IQM)"
    return Table(columns, [*(_exam(arm) for arm in arms_of(found)), *_teachers(clones)])


def _exam(arm: ArmSummary) -> Sequence[str]:
    sampled, greedy = arm.exams["sampled"], arm.exams["deterministic"]
    success = f"{sampled.success_rate:.3f} (≥ {sampled.success_low:.3f}; n = {sampled.episodes:,})"
    harm = f"{sampled.harm_rate:.3f} (≤ {sampled.harm_high:.3f})"
    return arm.arm, success, f"{greedy.success_rate:.3f}", harm, f"{sampled.return_iqm:.3f}"


def _teachers(clones: CloneRuns | None) -> list[Sequence[str]]:
    """The clones and their expert on the same worlds. One expert plays them once, however many clones it has."""
    if clones is None:
        return []
    greedy = [one.exam["deterministic"] for one in clones.clones]
    rows = [_pooled("the clones", [one.exam["sampled"] for one in clones.clones], f"{_rate(greedy, 'success'):.3f}")]
    experts = [one.expert for one in clones.clones if one.expert is not None]
    one_expert = all(score == experts[0] for score in experts)
    return rows + ([_pooled("the expert", experts[:1] if one_expert else experts, "–")] if experts else [])


def _pooled(who: str, scores: Sequence[Score], greedy: str) -> Sequence[str]:
    n, success, harm = (sum(getattr(score, name) for score in scores) for name in ("episodes", "success", "harm"))
    iqm = float(interquartile_mean(np.array([score.return_mean for score in scores])))
    shown = f"{success / n:.3f} (≥ {wilson_lower(success, n):.3f}; n = {n:,})"
    return who, shown, greedy, f"{harm / n:.3f} (≤ {wilson_upper(harm, n):.3f})", f"{iqm:.3f}"


def _rate(scores: Sequence[Score], name: str) -> float:
    return float(sum(getattr(score, name) for score in scores) / sum(score.episodes for score in scores))
