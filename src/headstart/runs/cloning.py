"""What cloning reports: scores on held-out decisions, action by action, and the tables that DVC plots."""

import math
from collections.abc import Mapping, Sequence

from headstart.compare.arm_runs import Score
from headstart.core.arrays import Mode
from headstart.dataset.observation import ObservationSchema
from headstart.learn.bc import ActionScores, Epoch, Judgement
from headstart.runs.clone_report import ActionRow, CloneReport


def clone_report(
    judged: Judgement,
    untrained: Judgement,
    train_accuracy: float,
    schema: ObservationSchema,
    closed: Mapping[Mode, Score],
    expert: Score,
) -> CloneReport:
    """The clone and the network before it learned, both on the held-out steps; `closed` and `expert` on the same worlds."""
    scores = judged.scores
    return CloneReport(
        accuracy=_or_none(judged.accuracy),
        macro_f1=scores.macro_f1 if scores else None,
        constant_accuracy=judged.constant_accuracy,
        least_recall=scores.least_recall() if scores else None,
        train_accuracy=train_accuracy,
        heldout_steps=judged.steps,
        value_error=_or_none(judged.value_mse),
        untrained_value_error=untrained.value_mse,
        value_explained_variance=_or_none(judged.value_explained_variance),
        per_action=_per_action(scores, schema) if scores else {},
        confusion=_confusion(scores, schema) if scores else {},
        closed_loop=dict(closed),
        expert=expert,
    )


def _per_action(scores: ActionScores, schema: ObservationSchema) -> dict[str, ActionRow]:
    hits, chosen = scores.confusion.diagonal(), scores.confusion.sum(axis=0)
    return {
        name: ActionRow(
            n=int(scores.count[k]),
            recall=float(scores.recall[k]),
            precision=float(hits[k] / chosen[k]) if chosen[k] else None,
            f1=float(scores.f1[k]),
        )
        for k, name in enumerate(schema.actions)
        if scores.count[k]
    }


def _confusion(scores: ActionScores, schema: ObservationSchema) -> dict[str, dict[str, int]]:
    """Expert's action → clone's action → decisions; what never happened is left out."""
    rows = zip(schema.actions, scores.confusion.tolist(), strict=True)
    return {actual: {name: n for name, n in zip(schema.actions, row, strict=True) if n} for actual, row in rows if any(row)}


def losses_table(epochs: Sequence[Epoch]) -> str:
    """One line an epoch and side of the split, for a plot of DVC."""
    lines = ["epoch\tside\tloss\taccuracy"]
    for e in epochs:
        lines.append(f"{e.number}\ttrain\t{e.loss:.6f}\t{e.accuracy:.6f}")
        lines.append(f"{e.number}\theldout\t{e.heldout.loss:.6f}\t{e.heldout.accuracy:.6f}")
    return "\n".join(lines) + "\n"


def decisions_table(scores: ActionScores | None, schema: ObservationSchema) -> str:
    """One line a decision, because DVC's confusion template counts lines: of each action at most 2,000, in proportion."""
    lines = ["actual,predicted"]
    if scores is not None:
        for actual, row in zip(schema.actions, scores.confusion.tolist(), strict=True):
            share = min(1.0, 2000 / max(1, sum(row)))
            for predicted, n in zip(schema.actions, row, strict=True):
                lines += [f"{actual},{predicted}"] * round(share * n)
    return "\n".join(lines) + "\n"


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
