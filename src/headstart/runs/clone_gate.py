"""The gate of a clone: is it worth starting from."""

from headstart.compare.target import require_score
from headstart.config.params import BCParams
from headstart.core.verdict import Check, Subject, Verdict, at_least, at_most, judge
from headstart.runs.clone_report import CloneReport

MIN_ABOVE_MAJORITY = 0.10  # held-out accuracy above that of always choosing the most frequent action
MIN_RECALL = 0.50  # held-out, of every action that is frequent enough to tell
MAX_VALUE_ERROR = 0.75  # squared error of the value head on held-out returns, as a share of the untrained network's
MIN_VALUE_STEPS = 1000  # held-out ones: the returns of fewer are those of a handful of episodes


def clone_gate(report: CloneReport, settings: BCParams, subject: Subject) -> Verdict:
    """PASS if the clone predicts its expert on held-out episodes, clearly better than the most frequent action, and succeeds as often.

    Continuous actions have no F1, no recall and no most frequent one; the value head is judged on at least MIN_VALUE_STEPS steps.
    """
    checks = [at_least("accuracy", report.accuracy, settings.min_accuracy, "held-out accuracy")]
    thresholds: dict[str, float] = {"min_accuracy": settings.min_accuracy, "success_margin": settings.success_margin}
    if report.macro_f1 is not None:
        margin = None if report.accuracy is None else round(report.accuracy - report.constant_accuracy, 12)  # 0.95 − 0.85 is 0.1
        text = f"held-out accuracy above that of the most frequent action, {report.constant_accuracy}"
        checks.append(at_least("macro-f1", report.macro_f1, settings.min_macro_f1, "held-out macro-F1"))
        checks.append(at_least("above-majority", margin, MIN_ABOVE_MAJORITY, text))
        thresholds |= {"min_macro_f1": settings.min_macro_f1, "min_above_majority": MIN_ABOVE_MAJORITY}
    if report.least_recall is not None:
        checks.append(at_least("recall", report.least_recall, MIN_RECALL, "held-out recall of the worst frequent action"))
        thresholds["min_recall"] = MIN_RECALL
    if report.heldout_steps >= MIN_VALUE_STEPS:
        share = report.value_error / report.untrained_value_error if report.value_error is not None else None
        text = f"squared error of the value head on held-out returns, as a share of the untrained network's {report.untrained_value_error}"
        checks.append(at_most("value-head", share, MAX_VALUE_ERROR, text))
        thresholds["max_value_error"] = MAX_VALUE_ERROR
    return judge(subject, checks + _closed_loop(report, settings.success_margin), thresholds)


def _closed_loop(report: CloneReport, margin: float) -> list[Check]:
    clone, expert = report.closed_loop["sampled"], report.expert
    require_score(clone, "closed loop of the clone")
    require_score(expert, "closed loop of the expert")
    rate, theirs = clone.success / clone.episodes, expert.success / expert.episodes
    text = (
        f"the clone succeeds in {clone.success} of {clone.episodes} episodes, its expert in {expert.success} of {expert.episodes}"
    )
    return [
        at_least("some-success", clone.success, 1, text, clone.episodes),
        at_least("closed-loop-success", rate, round(theirs - margin, 12), text, clone.episodes),
    ]
