"""Is a clone worth starting from: its scores on held-out decisions, the gate, and the tables that DVC plots."""

import math
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np

from headstart.compare.arm_runs import Score
from headstart.config.params import BCParams
from headstart.core.arrays import Mode
from headstart.core.verdict import Check, Subject, Verdict, at_least, at_most, judge, not_applicable
from headstart.dataset.observation import ObservationSchema
from headstart.runs.clone_report import CloneReport, ComponentFit, EpochScore, least_explained, pooled

if TYPE_CHECKING:
    from headstart.learn.bc import ActionScores, Epoch, Fit, Judgement

MIN_ABOVE_MAJORITY = 0.10  # held-out accuracy above that of always choosing the most frequent action
MIN_RECALL = 0.50  # held-out, of every action that is frequent enough to tell
MIN_VALUE_STEPS = 1000  # held-out ones: the returns of fewer are those of a handful of episodes


def clone_report(
    judged: "Judgement",
    untrained: "Judgement",
    train_accuracy: float,
    schema: ObservationSchema,
    closed: Mapping[Mode, Score],
    expert: Score | None,
    recorded: bool = False,
) -> CloneReport:
    """The clone and the network before it learned, both on the held-out steps; `closed` and `expert` on the same worlds.

    `recorded`: `expert` is the score of recorded demonstrations, which nobody plays.
    """
    scores, components = judged.scores, tuple(component(fit) for fit in judged.fits)
    return CloneReport(
        accuracy=_or_none(judged.accuracy),
        macro_f1=scores.macro_f1 if scores else None,
        constant_accuracy=judged.constant_accuracy,
        least_recall=scores.least_recall() if scores else None,
        train_accuracy=train_accuracy,
        heldout_steps=judged.steps,
        value_error=_or_none(judged.value_mse),
        untrained_value_error=_or_none(untrained.value_mse),
        value_explained_variance=_or_none(judged.value_explained_variance),
        confusion=_confusion(scores, schema) if scores else {},
        closed_loop=dict(closed),
        expert=expert,
        recorded=recorded,
        components=components,
        explained_variance=least_explained(components),
    )


def component(fit: "Fit") -> ComponentFit:
    """What is kept of one component of a continuous action."""
    return ComponentFit(deviation=fit.deviation, rmse=_or_none(fit.rmse), within=fit.within, constant_within=fit.constant_within)


def clone_gate(report: CloneReport, settings: BCParams, subject: Subject) -> Verdict:
    """PASS if the clone predicts its expert on held-out episodes, clearly better than a constant action, and succeeds as often.

    The value head is judged on at least MIN_VALUE_STEPS steps.
    """
    checks, thresholds = _imitation(report, settings)
    thresholds["success_margin"] = settings.success_margin
    if report.least_recall is not None:
        checks.append(at_least("recall", report.least_recall, MIN_RECALL, "held-out recall of the worst frequent action"))
        thresholds["min_recall"] = MIN_RECALL
    if report.untrained_value_error is None and report.recorded:
        checks.append(
            not_applicable(
                "value-head", "<=", settings.max_value_error, "rewards are not recorded; a critic phase fits the critic"
            )
        )
    elif report.heldout_steps >= MIN_VALUE_STEPS and report.untrained_value_error is not None:
        share = report.value_error / report.untrained_value_error if report.value_error is not None else None
        text = f"squared error of the value head on held-out returns, as a share of the untrained network's {report.untrained_value_error}"
        checks.append(at_most("value-head", share, settings.max_value_error, text))
        thresholds["max_value_error"] = settings.max_value_error
    return judge(subject, checks + _closed_loop(report, settings.success_margin), thresholds)


def _imitation(report: CloneReport, settings: BCParams) -> tuple[list[Check], dict[str, float]]:
    """Single actions: how often the expert's is found. Continuous ones: which share of their variance, which no constant action explains."""
    if report.macro_f1 is None:
        found, least = report.explained_variance, settings.min_explained_variance
        text = "share of the variance of the expert's action that the clone explains, of its worst component"
        return [at_least("explained-variance", found, least, text)], {"min_explained_variance": least}
    margin = None if report.accuracy is None else round(report.accuracy - report.constant_accuracy, 12)  # 0.95 − 0.85 is 0.1
    text = f"held-out accuracy above that of the most frequent action, {report.constant_accuracy}"
    return [
        at_least("accuracy", report.accuracy, settings.min_accuracy, "held-out accuracy"),
        at_least("macro-f1", report.macro_f1, settings.min_macro_f1, "held-out macro-F1"),
        at_least("above-majority", margin, MIN_ABOVE_MAJORITY, text),
    ], {
        "min_accuracy": settings.min_accuracy,
        "min_macro_f1": settings.min_macro_f1,
        "min_above_majority": MIN_ABOVE_MAJORITY,
    }


def _closed_loop(report: CloneReport, margin: float) -> list[Check]:
    clone, expert = report.closed_loop["sampled"], report.expert
    text = f"the clone succeeds in {clone.success} of {clone.episodes} episodes"
    if expert is None:
        why = "the recording does not tell success and return"
        some = at_least("some-success", clone.success, 1, text, clone.episodes)
        return [some, not_applicable("closed-loop-success", ">=", None, why)]
    rate, theirs, whose = (
        clone.success_rate,
        expert.success_rate,
        "the recorded demonstrations" if report.recorded else "its expert",
    )
    text += f", {whose} in {expert.success} of {expert.episodes}"
    return [
        at_least("some-success", clone.success, 1, text, clone.episodes),
        at_least("closed-loop-success", rate, round(theirs - margin, 12), text, clone.episodes),
    ]


def _confusion(scores: "ActionScores", schema: ObservationSchema) -> dict[str, dict[str, int]]:
    """Expert's action → clone's action → decisions; what never happened is left out."""
    rows = zip(schema.actions, scores.confusion.tolist(), strict=True)
    return {actual: {name: n for name, n in zip(schema.actions, row, strict=True) if n} for actual, row in rows if any(row)}


def epoch_score(epoch: "Epoch") -> EpochScore:
    """What is kept of an epoch."""
    held = epoch.heldout
    return EpochScore(
        loss=_or_none(epoch.loss),
        accuracy=epoch.accuracy,
        heldout_loss=_or_none(held.loss),
        heldout_accuracy=held.accuracy,
    )


def losses_table(clones: Sequence[Sequence[EpochScore]]) -> str:
    """One line an epoch and side of the split, for a plot of DVC: means over the clones that trained so long."""
    lines = ["epoch\tside\tloss\taccuracy"]
    for number, epochs in enumerate(zip_longest(*clones), 1):
        of = [epoch for epoch in epochs if epoch is not None]
        sides = {"train": [(e.loss, e.accuracy) for e in of], "heldout": [(e.heldout_loss, e.heldout_accuracy) for e in of]}
        for side, pairs in sides.items():
            loss, accuracy = np.mean(np.array(pairs, float), axis=0)  # None becomes NaN
            lines.append(f"{number}\t{side}\t{loss:.6f}\t{accuracy:.6f}")
    return "\n".join(lines) + "\n"


def decisions_table(reports: Sequence[CloneReport], schema: ObservationSchema) -> str:
    """One line a decision, because DVC's confusion template counts lines: of each action at most 2,000, in proportion."""
    lines = ["actual,predicted"]
    confusion = pooled(reports)
    for actual in schema.actions:
        row = confusion.get(actual, {})
        share = min(1.0, 2000 / max(1, sum(row.values())))
        for predicted in schema.actions:
            lines += [f"{actual},{predicted}"] * round(share * row.get(predicted, 0))
    return "\n".join(lines) + "\n"


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
