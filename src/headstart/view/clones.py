"""The clones of a report: how often they do what the expert does, and how they do by themselves."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from headstart.core.verdict import Verdict
from headstart.runs.clone_report import CloneReport, pooled
from headstart.view.blocks import Block, Figure, Note, Table, Text
from headstart.view.charts import can_draw
from headstart.view.charts_training import confusion
from headstart.view.comparison import number

LEAST_DECISIONS = 30  # of an action that is called the one repeated least
READING = "Held-out accuracy: share of held-out decisions that are the expert's."
READING_CONTINUOUS = (
    "Explained variance: 1 − squared error ÷ variance of the expert's action on held-out steps, of the worst component; the gate asks for it. "
    "0 is the expert's mean action, 1 the expert. Within 0.15: share of held-out steps with every component that near, of −1 to 1."
)


def clone_blocks(clones: Mapping[int, CloneReport], gates: Mapping[int, Verdict]) -> list[Block]:
    """Their means, what they do where the expert acts, and a row for each; both by seed."""
    first = next(iter(clones.values()))
    theirs = "The recording does not tell success, harm and return."
    if (expert := first.expert) is not None:
        whose = (
            "Recorded demonstrations"
            if first.recorded
            else f"Expert in the same {first.closed_loop['sampled'].episodes:,} worlds"
        )
        theirs = f"{whose}: success {expert.success_rate:.3f}, harm {expert.harm_rate:.3f}, return {expert.return_mean:.3f}."
    text = f"{len(clones)} clones, each of its own block of the recording. Imitation, means: {accuracy_text(list(clones.values()))}. {theirs}"
    rows = [(str(seed), gates[seed].outcome.value, *_cells(clone)) for seed, clone in clones.items()]
    predicts = "explained variance | within 0.15" if first.components else "held-out accuracy | macro-F1"
    table = Table(f"seed | gate | {predicts} | value fit | success | harm | return", rows)
    reading = (
        f"{READING_CONTINUOUS if first.components else READING} Value fit: share of the variance of held-out returns that "
        f"the clone's value function explains. Success, harm and return: the clone acting by itself in closed loop, sampled actions, "
        f"{first.closed_loop['sampled'].episodes:,} worlds of this check. The expert's own test above and the exam (under Safety and "
        f"quality) are "
        "other worlds, so their figures differ."
    )
    decisions = pooled(clones.values())
    figures: list[Block] = [_matrix(decisions)] if decisions else []
    if first.components:
        figures = [_components(list(clones.values()))]
    return [Text(text), *figures, table, Note(reading)]


def _cells(clone: CloneReport) -> Sequence[str]:
    score = clone.closed_loop["sampled"]
    predicts = (clone.explained_variance, clone.accuracy) if clone.components else (clone.accuracy, clone.macro_f1)
    shown = (
        *predicts,
        clone.value_explained_variance,
        score.success_rate,
        score.harm_rate,
        score.return_mean,
    )
    return [number(value, ".3f") for value in shown]


def accuracy_text(clones: Sequence[CloneReport]) -> str:
    """How well the clones' most likely action predicts the expert's, in episodes that they did not learn from: means over the clones."""
    f1 = [clone.macro_f1 for clone in clones if clone.macro_f1 is not None]
    accuracy, constant = (
        fmean(of) for of in zip(*((clone.accuracy or 0.0, clone.constant_accuracy) for clone in clones), strict=True)
    )
    if explained := [clone.explained_variance for clone in clones if clone.explained_variance is not None]:
        within = f"all within 0.15 in {accuracy:.3f} of held-out steps (best constant action {constant:.3f})"
        return f"{fmean(explained):.3f} of the variance of the expert's action explained (a constant action: 0), {within}"
    return f"held-out accuracy {accuracy:.3f} (best constant action {constant:.3f})" + (
        f", macro-F1 {fmean(f1):.3f}" if f1 else ""
    )


def _components(clones: Sequence[CloneReport]) -> Table:
    """Means over the clones, a row for each component of the action."""
    rows = []
    for index, fits in enumerate(zip(*(clone.components for clone in clones), strict=True), 1):
        explained = [fit.explained_variance for fit in fits if fit.explained_variance is not None]
        errors = [fit.rmse for fit in fits if fit.rmse is not None]
        spread, within, constant = (
            fmean(of) for of in zip(*((fit.deviation, fit.within, fit.constant_within) for fit in fits), strict=True)
        )
        error = number(fmean(errors) if errors else None, ".3f", "not a number")
        share = number(fmean(explained) if explained else None, ".3f", "the expert never varies it" if errors else "not a number")
        rows.append((str(index), f"{spread:.3f}", error, share, f"{within:.3f}", f"{constant:.3f}"))
    return Table(
        "component of the action | expert's deviation | error (RMSE) | explained variance | within 0.15 | constant action within 0.15",
        rows,
    )


def _matrix(decisions: Mapping[str, Mapping[str, int]]) -> Figure:
    """What the clones do where the expert acts."""
    counts = {name: (row.get(name, 0), sum(row.values())) for name, row in decisions.items()}
    right, total = map(sum, zip(*counts.values(), strict=True))
    common = {name: hits / n for name, (hits, n) in counts.items() if n >= LEAST_DECISIONS}
    worst = min(common, key=lambda name: common[name], default="")
    weakest = (
        f" Of the actions with at least {LEAST_DECISIONS} decisions they repeat {worst} least: {common[worst]:.1%} of {counts[worst][1]:,}."
        if worst
        else ""
    )
    finding = (
        f"Of {total:,} held-out decisions of the expert the clones repeat {right / total:.1%} (always the commonest action: "
        f"{max(n for _, n in counts.values()) / total:.1%}).{weakest}"
    )
    rows = [
        (name, f"{n:,}", f"{hits:,}", f"{hits / n:.1%}") for name, (hits, n) in sorted(counts.items(), key=lambda of: -of[1][1])
    ]
    numbers = Table("the expert's action | decisions | repeated | share", rows)
    spec = confusion(decisions) if can_draw() else None
    return Figure("confusion", spec, "What the clones do where the expert acts, in % of its decisions", finding, numbers)
