"""docs/results.md: what the experiments of the full comparison found, from their records in git; no figure in it is typed by hand."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from headstart.compare.arm_runs import Score
from headstart.compare.comparison import Comparison
from headstart.compare.findings import ArmSummary
from headstart.compare.ratio import RatioEstimate
from headstart.core.verdict import Check
from headstart.runs.experiment import ExperimentRecord
from headstart.runs.tuning import tuning_text
from headstart.view.beyond import aggregate_text, areas_text, ceiling_text
from headstart.view.blocks import Block, Items, Table, as_markdown
from headstart.view.charts import can_draw, png
from headstart.view.charts_curves import both_curves
from headstart.view.clones import accuracy_text
from headstart.view.comparison import number, reason_items, shown_text, target_blocks
from headstart.view.ends import ends_tables

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


def page(records: Sequence[ExperimentRecord], current: Mapping[str, bool], root: Path = Path()) -> str:
    """The whole page; `current` says of each record whether it would run with the same code and settings today."""
    overview = Table(
        "experiment | verdict | candidate | ratio (bound) | all-in (bound) | success | harm | return | steps (median) | baseline | success "
        "| harm | return | steps | commit",
        [_row(record, current[record.name]) for record in records],
    )
    over = aggregate_text(_one_for_each_scenario(records))
    return "\n".join(
        [
            HEAD,
            as_markdown(overview),
            "",
            *([over, ""] if over else []),
            *(section(record, current[record.name], root) for record in records),
        ]
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
    """File name → PNG: the learning curves of every experiment's headline target; none where vl_convert is not installed."""
    if not can_draw():
        return {}
    return {picture(record): png(both_curves(record.comparisons[record.headline], record.expert.score)) for record in records}


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


def section(record: ExperimentRecord, current: bool, root: Path = Path()) -> str:
    """One experiment: how to repeat it, its expert and clones, every target, and the final policies once for all targets."""
    found = record.comparisons[record.headline]
    everywhere = [one for one in _reasons(found) if all(one in _reasons(other) for other in record.comparisons.values())]
    lines = [f"## {record.name}", "", f"**{found.verdict.outcome}**: {shown_text(found)}", ""]
    if everywhere and found.grid:
        lines += ["Not a PASS for any target, because of:", "", as_markdown(Items(reason_items(everywhere))), ""]
    lines += [_made(record, current, root), "", f"    {record.command}", "", _taught(record), ""]
    lines += [f"![Learning curves of {record.name}]({picture(record)})"]
    lines += [f"\n{text}" for text in (ceiling_text(found), areas_text(found)) if text]
    for name, comparison in record.comparisons.items():
        own = [reason for reason in _reasons(comparison) if reason not in everywhere]
        lines += ["", f"### {record.name}, {name}: {comparison.verdict.outcome}", ""]
        lines += [_blocks(target_blocks(comparison, own, steps=comparison is not found))]
    ends = _blocks(ends_tables(list(record.comparisons.values())))
    return "\n".join([*lines, "", f"### {record.name}, final policies", "", ends, ""])


def _blocks(blocks: Sequence[Block]) -> str:
    return "\n\n".join(map(as_markdown, blocks))


def _made(record: ExperimentRecord, current: bool, root: Path) -> str:
    """On which commit, machine and seeds, and after how much tuning."""
    found, machine = record.comparisons[record.headline], record.machine
    baselines = [one.baseline for one in found.grid]
    budgets = ", ".join(f"{arm.arm} {arm.budget:,}" for arm in (found.candidate, *baselines))
    return (
        f"Commit `{record.commit[:12]}`{'' if current else f', {CHANGED}'}; {record.finished_at[:10]}; {machine.processor}, "
        f"{machine.cores} cores, Python {machine.python}, torch {machine.torch}; seeds {_seeds(record.seeds)}; budgets: {budgets} env steps "
        f"a seed. {tuning_text(record.scenario, found.candidate.arm, [arm.arm for arm in baselines], root)}"
    )


def _taught(record: ExperimentRecord) -> str:
    """The expert, and its clones by themselves."""
    clones = list(record.clones.values())
    closed = [clone.closed_loop["sampled"] for clone in clones]
    success, harm, returns = (
        fmean(of) for of in zip(*((c.success_rate, c.harm_rate, c.return_mean) for c in closed), strict=True)
    )
    return (
        f"Expert ({record.expert.kind}): {_score(record.expert.score)}. {len(clones)} clones: {accuracy_text(clones)}; by themselves: "
        f"success {success:.3f}, harm {harm:.3f}, return {returns:.3f}."
    )


def _reasons(found: Comparison) -> Sequence[Check]:
    return found.verdict.reasons


def _score(score: Score | None) -> str:
    if score is None:
        return "success, harm and return are not all recorded"
    return (
        f"success {score.success_rate:.3f}, harm {score.harm_rate:.3f}, return {score.return_mean:.3f} (n = {score.episodes:,})"
    )


def _seeds(seeds: Sequence[int]) -> str:
    whole = list(range(seeds[0], seeds[-1] + 1))
    return f"{seeds[0]}–{seeds[-1]}" if list(seeds) == whole and len(seeds) > 2 else ", ".join(map(str, seeds))
