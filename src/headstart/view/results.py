"""docs/results.md: what the experiments of the full comparison found, from their records in git; no figure in it is typed by hand."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from headstart.compare.arm_runs import Score
from headstart.compare.comparison import Comparison
from headstart.compare.findings import ArmSummary
from headstart.compare.ratio import RatioEstimate
from headstart.runs.experiment import ExperimentRecord
from headstart.view.beyond import aggregate_text, areas_text, ceiling_text
from headstart.view.comparison import number, table, target_lines, verdict_sentence
from headstart.view.report import accuracy_text, can_draw

HEAD = """# Results

For whoever wants to know what was measured, on which commit and machine, and how to repeat it.

`headstart results` writes this page from the records in `reports/evidence/`; `headstart evidence` makes a record by running the command
that stands with each experiment. [Concepts](concepts.md) says how arms are compared. The ratio is the candidate's median online steps to
the target divided by those of the strongest baseline, with its one-sided 95 % upper bound; *at most* where fewer than half of the
baseline's seeds got there within its budget; *met before training* where the clones did. All-in: with the steps that the demonstrations
cost. Exam: the last checkpoint of every seed, sampled policy, on worlds that nothing else uses.
"""
OVER_SCENARIOS = "pretrained"  # the candidate whose ratio over scenarios is shown
CHANGED = "its code or settings have changed since"


def page(records: Sequence[ExperimentRecord], current: Mapping[str, bool]) -> str:
    """The whole page; `current` says of each record whether it would run with the same code and settings today."""
    overview = table(
        "experiment | verdict | candidate | ratio (bound) | all-in (bound) | success | harm | return | steps (median) | baseline | success "
        "| harm | return | steps | commit",
        (_row(record, current[record.name]) for record in records),
    )
    over = aggregate_text(_one_for_each_scenario(records))
    return "\n".join(
        [HEAD, *overview, "", *([over, ""] if over else []), *(section(record, current[record.name]) for record in records)]
    )


def _one_for_each_scenario(records: Sequence[ExperimentRecord]) -> dict[str, Comparison]:
    """Scenario → headline comparison of the arm `pretrained`: of the experiment named like the scenario, or else of the first by name."""
    found: dict[str, Comparison] = {}
    for record in sorted(records, key=lambda one: (one.name != one.scenario, one.name)):
        headline = record.comparisons[record.headline]
        if headline.candidate.arm == OVER_SCENARIOS:
            found.setdefault(record.scenario, headline)
    return dict(sorted(found.items()))


def figures(records: Sequence[ExperimentRecord]) -> dict[str, bytes]:
    """File name → PNG: the learning curves of every experiment's headline target; none where matplotlib is not installed."""
    if not can_draw():
        return {}
    from headstart.view.figures import learning_curves, png

    return {picture(record): png(learning_curves(record.comparisons[record.headline], record.expert.score)) for record in records}


def picture(record: ExperimentRecord) -> str:
    """Beside the page."""
    return f"pictures/{record.name}.png"


def _row(record: ExperimentRecord, current: bool) -> Sequence[str]:
    found = record.comparisons[record.headline]
    commit = f"`{record.commit[:7]}`{'' if current else ' (changed since)'}"
    against = found.strongest
    ratios = (_ratio(against.online), _ratio(against.all_in)) if against else ("–", "–")
    theirs = (f"`{against.baseline.arm}`", *_cells(against.baseline)) if against else ("–",) * 5
    return (
        f"[{record.name}](#{record.name})",
        found.verdict.outcome,
        f"`{found.candidate.arm}`",
        *ratios,
        *_cells(found.candidate),
        *theirs,
        commit,
    )


def _cells(arm: ArmSummary) -> Sequence[str]:
    """Success, harm and return of the exam, and the median steps to the target."""
    exam, steps = arm.exams["sampled"], number(arm.reached.median_steps, ",.0f")
    return f"{exam.success_rate:.3f}", f"{exam.harm_rate:.3f}", f"{exam.return_iqm:.2f}", steps


def _ratio(ratio: RatioEstimate) -> str:
    """With its upper bound."""
    if ratio.median == 0:
        return "met before training"
    if ratio.median is None:
        return "–" if ratio.upper is None else f"at most {ratio.upper:.3f}"
    return f"{ratio.median:.3f} ({'no bound' if ratio.upper is None else f'≤ {ratio.upper:.3f}'})"


def section(record: ExperimentRecord, current: bool) -> str:
    """One experiment: how to repeat it, its expert and clones, every target."""
    found = record.comparisons[record.headline]
    expert, clones = record.expert.score, list(record.clones.values())
    closed = [clone.closed_loop["sampled"] for clone in clones]
    success, harm, returns = (
        fmean(of) for of in zip(*((c.success_rate, c.harm_rate, c.return_mean) for c in closed), strict=True)
    )
    budgets = ", ".join(f"{arm.arm} {arm.budget:,}" for arm in (found.candidate, *(one.baseline for one in found.grid)))
    machine = (
        f"{record.machine.processor}, {record.machine.cores} cores, Python {record.machine.python}, torch {record.machine.torch}"
    )
    lines = [
        f"## {record.name}",
        "",
        f"**{found.verdict.outcome}**: {verdict_sentence(found)}",
        "",
        f"    {record.command}",
        "",
        f"Commit `{record.commit[:12]}`{'' if current else f', {CHANGED}'}; {record.finished_at[:10]}; {machine}; "
        f"seeds {_seeds(record.seeds)}; budgets: {budgets} env steps a seed.",
        "",
        f"Expert ({record.expert.kind}): {_score(expert)}. {len(clones)} clones: {accuracy_text(clones)}; by themselves: success {success:.3f}, "
        f"harm {harm:.3f}, return {returns:.3f}.",
        "",
        f"![Learning curves of {record.name}]({picture(record)})",
    ]
    lines += [f"\n{text}" for text in (ceiling_text(found), areas_text(found)) if text]
    for name, comparison in record.comparisons.items():
        lines += ["", f"### {record.name}, {name}: {comparison.verdict.outcome}", "", *target_lines(comparison)]
    return "\n".join([*lines, ""])


def _score(score: Score) -> str:
    return (
        f"success {score.success_rate:.3f}, harm {score.harm_rate:.3f}, return {score.return_mean:.3f} (n = {score.episodes:,})"
    )


def _seeds(seeds: Sequence[int]) -> str:
    whole = list(range(seeds[0], seeds[-1] + 1))
    return f"{seeds[0]}–{seeds[-1]}" if list(seeds) == whole and len(seeds) > 2 else ", ".join(map(str, seeds))
