"""The gates of an expert, which must be worth recording, and of a clone, which must be worth starting with."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field

from headstart.compare.arm_runs import Score
from headstart.core.record import Record
from headstart.core.statistics import wilson_lower, wilson_upper
from headstart.core.verdict import Check, Evidence, Outcome, Subject, Verdict, at_least, at_most, hold_or_fail, judge, unmeasured


@dataclass(frozen=True)
class BcMetrics:
    """What behaviour cloning measured on held-out episodes and in closed loop. NaN and None are no
    measurement.
    """

    accuracy: float | None
    macro_f1: float | None  # None for continuous actions
    majority_share: float | None  # accuracy of always choosing the most frequent action; None for continuous
    least_recall: float | None  # of an action that was chosen often enough to tell; None for continuous, or where there is none
    value_error: float | None  # mean squared, of the value head on held-out returns
    untrained_value_error: float | None  # of the same network before it learned
    closed_loop: Score | None  # of the cloned policy
    expert: Score | None  # of its expert on the same worlds


class BcLimits(Record):
    """Thresholds of a clone; None switches a gate off that continuous actions do not have."""

    accuracy_min: float = 0.90
    macro_f1_min: float | None = None
    majority_margin_min: float | None = 0.10
    recall_min: float | None = 0.50
    value_error_max: float | None = 0.75  # as a share of the untrained network's
    success_margin: float = Field(ge=0, le=1)  # the clone may succeed this much less often than its expert


def expert_gate(
    score: Score,
    success_min: float,
    harm_max: float,
    episodes_min: int,
    subject: Subject,
    evidence: Sequence[Evidence] = (),
) -> Verdict:
    """PASS if the one-sided 95 % Wilson bounds of success and harm keep the scenario's thresholds, over
    enough episodes.

    A rate that misses its threshold is a FAIL; one that meets it while its bound does not is a HOLD: run
    more episodes.
    """
    n, k, harm = score.episodes, score.success, score.harm
    checks = [
        at_least("episodes", n, episodes_min, f"{n} episodes", n, Outcome.HOLD),
        at_least("some-success", k, 1, f"{k} of {n} episodes succeed", n),
        at_least(
            "success",
            wilson_lower(k, n),
            success_min,
            f"{k} of {n} episodes succeed; one-sided 95 % lower bound",
            n,
            hold_or_fail(k / n >= success_min),
        ),
        at_most(
            "harm",
            wilson_upper(harm, n),
            harm_max,
            f"{harm} of {n} episodes with harm; one-sided 95 % upper bound",
            n,
            hold_or_fail(harm / n <= harm_max),
        ),
    ]
    thresholds = {"success_min": success_min, "harm_max": harm_max, "episodes_min": episodes_min}
    return judge(subject, checks, thresholds, evidence)


def bc_gate(metrics: BcMetrics, limits: BcLimits, subject: Subject, evidence: Sequence[Evidence] = ()) -> Verdict:
    """PASS if the clone predicts its expert on held-out episodes, clearly better than the majority class,
    and acts as well.
    """
    checks = [at_least("accuracy", metrics.accuracy, limits.accuracy_min, "held-out accuracy")]
    if limits.macro_f1_min is not None:
        checks.append(at_least("macro-f1", metrics.macro_f1, limits.macro_f1_min, "held-out macro-F1"))
    if limits.majority_margin_min is not None:
        margin = None
        if metrics.accuracy is not None and metrics.majority_share is not None:
            margin = round(metrics.accuracy - metrics.majority_share, 12)  # 0.95 − 0.85 is 0.1
        text = f"accuracy above that of the majority class, {metrics.majority_share}"
        checks.append(at_least("above-majority", margin, limits.majority_margin_min, text))
    if limits.recall_min is not None and metrics.least_recall is not None:
        checks.append(at_least("recall", metrics.least_recall, limits.recall_min, "held-out recall of the worst frequent action"))
    if limits.value_error_max is not None:
        checks.append(_value_head(metrics, limits.value_error_max))
    checks += _closed_loop(metrics, limits)
    return judge(subject, checks, limits.model_dump(), evidence)


def _value_head(metrics: BcMetrics, limit: float) -> Check:
    own, untrained = metrics.value_error, metrics.untrained_value_error
    share = own / untrained if own is not None and untrained else None
    text = f"squared error of the value head on held-out returns, as a share of the untrained network's {untrained}"
    return at_most("value-head", share, limit, text)


def _closed_loop(metrics: BcMetrics, limits: BcLimits) -> list[Check]:
    clone, expert = metrics.closed_loop, metrics.expert
    if clone is None or expert is None:
        return [unmeasured("closed-loop-success", ">=", None, "the clone or its expert was not run in closed loop")]
    rate, theirs = clone.success / clone.episodes, expert.success / expert.episodes
    text = (
        f"the clone succeeds in {clone.success} of {clone.episodes} episodes, its expert in {expert.success} of {expert.episodes}"
    )
    return [
        at_least("some-success", clone.success, 1, text, clone.episodes),
        at_least("closed-loop-success", rate, round(theirs - limits.success_margin, 12), text, clone.episodes),
    ]
