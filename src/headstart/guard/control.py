"""The decision after each check of a training run: continue, freeze, roll back or stop. `Control` holds the state for these decisions.

    phase_began ─▶ judge (every update, every evaluation) ─▶ checkpointed (after each evaluation) ─▶ … ─▶ completed
                     │ rollback: restore the first target whose hash holds, then rolled_back, and retry the phase
                     └ freeze, stop: the run is over; `outcome` gives its outcome

A checkpoint is *safe* when all guardrails were quiet at the evaluation that it was taken after and at the next one. The position of the
run in its schedule is kept in `config.position`.
"""

import math
from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from headstart.config.position import Position
from headstart.config.schedule import Arm, OnBreach, Phase
from headstart.core.verdict import Outcome
from headstart.guard.guardrails import (
    RECENT,
    SWING,
    SWINGING,
    Guardrail,
    Measured,
    Reading,
    Values,
    finding_of,
    limits,
    loosened,
    measure,
    swing,
)
from headstart.telemetry.kinds import Finding

Action = Literal["continue", "freeze", "rollback", "stop"]
Status = Literal["running", "frozen", "stopped", "completed"]
GRAVEST_FIRST: tuple[Action, ...] = ("stop", "rollback", "freeze")  # of several decisions, the first in this order is taken
KEPT = 3  # safe checkpoints
QUIET_FOR_SAFE = 2  # evaluations in a row
OF_PHASE = "loss_total"  # phases have different losses, so each begins without a loss in the reference
OF_UPDATES = ("entropy", OF_PHASE)  # what the reference takes from updates


@dataclass(frozen=True)
class Control:
    """The state between checks. Every function below takes one and returns the next. Its values are plain, so that it can be stored as JSON."""

    status: Status = "running"
    hits: Mapping[str, int] = field(default_factory=dict)  # guardrail → checks in a row at breach level
    open: tuple[str, ...] = ()  # guardrails whose last check was not quiet
    quiet: int = 0  # evaluations in a row
    phase_start: str | None = None  # id of the checkpoint with which the phase began
    candidates: tuple[str, ...] = ()  # checkpoints that one more quiet evaluation makes safe
    safe: tuple[str, ...] = ()  # of this phase, newest last
    sums: Mapping[str, tuple[float, int]] = field(default_factory=dict)  # metric of the updates since an evaluation → sum, n
    recent: Mapping[str, tuple[float, ...]] = field(
        default_factory=dict
    )  # metric → its last values, from which the swing is derived
    applied: tuple[str, ...] = ()  # guardrails that could be checked at least once, sorted, as are the next two
    not_applicable: tuple[str, ...] = ()  # guardrails that could not be checked, and were reported
    loosened: tuple[str, ...] = ()  # guardrails that are loosened without a reason
    reasons: tuple[str, ...] = ()  # why the run was frozen or stopped


@dataclass(frozen=True)
class Decision:
    """The decision on a reading. `targets`: checkpoints; the first whose hash matches is restored. The phase's start is last."""

    action: Action
    findings: tuple[Finding, ...] = ()
    targets: tuple[str, ...] = ()


def phase_began(control: Control, checkpoint_id: str) -> Control:
    """A phase begins from `checkpoint_id`. Open guardrails stay open until a check is quiet; all else is reset."""
    return replace(control, hits={}, quiet=0, phase_start=checkpoint_id, candidates=(), safe=(), sums={})


def first_shown(reference: Container[str], shown: Values) -> dict[str, float]:
    """The metrics that an update adds to the reference: those that evaluations do not have, from the first update.

    An update with a number that is not finite adds none.
    """
    if shown.get("nonfinite"):
        return {}
    new = {name: shown.get(name) for name in OF_UPDATES if name not in reference}
    return {name: value for name, value in new.items() if value is not None and math.isfinite(value)}


def judge(control: Control, at: Position, arm: Arm, reading: Reading, reference: Values) -> tuple[Control, Decision]:
    """Check a reading against the guardrails of the current phase.

    A guardrail of evaluations whose metric only updates have uses the mean of the metric since the last evaluation. The swing is derived from
    the evaluations since the run began, a bc phase cloned anew, or a rollback undid evaluations. A finding is made whenever the state of a
    guardrail changes: it opens, is hit again, is quiet again, or cannot be checked at all.
    """
    if control.status != "running" or not at.begun:
        raise ValueError(f"expected a run inside a phase, got one that is {control.status}, phase {at.phase} begun: {at.begun}")
    phase = arm.phases[at.phase]
    if not arm.accept_loosened:
        control = replace(control, loosened=_with(control.loosened, *loosened(arm, phase)))
    rules = limits(arm, phase)
    values, control = checked_values(control, phase, rules, reading, reference)
    findings: list[Finding] = []
    for rule in rules.values():
        if rule.on == reading.kind:
            control, finding = _checked(control, rule, measure(rule, values, reference), phase, at.attempt)
            findings += [] if finding is None else [finding]
    if reading.kind == "evaluation":
        control = _counted(control)
    return _decided(control, tuple(findings))


def checkpointed(control: Control, checkpoint_id: str) -> Control:
    """A checkpoint was taken after an evaluation: after a quiet one it becomes safe if the next evaluation is quiet too."""
    return replace(control, candidates=(*control.candidates, checkpoint_id)) if control.quiet else control


def rolled_back(control: Control, checkpoint_id: str) -> Control:
    """The state of `checkpoint_id` is restored. Later checkpoints are discarded; open guardrails stay open until a check is quiet."""
    reachable = targets(control)
    if checkpoint_id not in reachable:
        raise ValueError(f"expected one of {', '.join(reachable) or 'no checkpoint'}, got {checkpoint_id!r}")
    kept = control.safe.index(checkpoint_id) + 1 if checkpoint_id in control.safe else 0
    return replace(control, hits={}, quiet=0, candidates=(), safe=control.safe[:kept], sums={}, recent={})


def completed(control: Control) -> Control:
    """The last phase has ended."""
    return replace(control, status="completed") if control.status == "running" else control


def targets(control: Control) -> tuple[str, ...]:
    """Checkpoints that can be restored: the newest safe one first, the one of the phase's start last."""
    start = () if control.phase_start is None else (control.phase_start,)
    return tuple(dict.fromkeys((*reversed(control.safe), *start)))


def phase_outcome(control: Control) -> Literal["completed", "held", "frozen", "stopped"]:
    """How the phase ended, in the terms of telemetry."""
    if control.status == "frozen" or control.status == "stopped":
        return control.status
    return "held" if control.open else "completed"


def outcome(control: Control) -> tuple[Outcome, tuple[str, ...]]:
    """The outcome of the run, and the reasons if it is not a PASS. Anything missing or open makes it a HOLD."""
    if control.status == "stopped":
        return Outcome.FAIL, control.reasons
    reasons = list(control.reasons)
    if control.status == "running":
        reasons.append("the run has not ended")
    reasons += [f"{name}: still open at the end" for name in control.open] if control.status == "completed" else []
    reasons += [f"{name}: looser than the default, and accept_loosened gives no reason" for name in control.loosened]
    if not control.applied:
        reasons.append("no guardrail could be checked")
    return (Outcome.HOLD if reasons else Outcome.PASS), tuple(reasons)


def checked_values(
    control: Control, phase: Phase, rules: Mapping[str, Guardrail], reading: Reading, reference: Values
) -> tuple[Values, Control]:
    """What guardrails are held to: the values of a reading, and at an evaluation also the means of the updates before it and the swing."""
    values, control = _with_means(control, rules, reading)
    return _with_swing(control, phase, values, reference) if reading.kind == "evaluation" else (values, control)


def _with_means(control: Control, rules: Mapping[str, Guardrail], reading: Reading) -> tuple[Values, Control]:
    """The values to check, and the state with the sums of update metrics for the next evaluation."""
    wanted = {rule.metric for rule in rules.values() if rule.on == "evaluation"}
    if reading.kind == "evaluation":
        means = {name: total / n for name, (total, n) in control.sums.items()}
        return means | {name: value for name, value in reading.values.items() if value is not None}, replace(control, sums={})
    sums = dict(control.sums)
    for name in wanted:
        if (value := reading.values.get(name)) is not None:
            total, n = sums.get(name, (0.0, 0))
            sums[name] = (total + value, n + 1)
    return reading.values, replace(control, sums=sums)


def _with_swing(control: Control, phase: Phase, values: Values, reference: Values) -> tuple[Values, Control]:
    """The values of an evaluation with the swing of the metric that swings most, and the state that remembers them.

    The reference is the first value: the evaluation with which a run begins is not checked.
    """
    if phase.kind == "bc":
        return values, replace(control, recent={})
    begun, now = _finite(reference), _finite(values)
    recent = {name: (*control.recent.get(name, begun.get(name, ())), *value)[-RECENT:] for name, value in now.items()}
    swings = [swing([SWINGING[name] * value for value in series]) for name, series in recent.items()]
    return {**values, SWING: max(swings, default=None)}, replace(control, recent={**control.recent, **recent})


def _finite(values: Values) -> dict[str, tuple[float]]:
    """The finite values of the metrics whose swings are watched."""
    return {name: (value,) for name in SWINGING if (value := values.get(name)) is not None and math.isfinite(value)}


def _checked(control: Control, rule: Guardrail, measured: Measured, phase: Phase, attempt: int) -> tuple[Control, Finding | None]:
    """The state of one guardrail after a check, and a finding if it changed."""
    name = rule.name
    if measured.level == "not applicable":
        if phase.kind == "bc" or name in control.applied + control.not_applicable:
            return control, None
        control = replace(control, not_applicable=_with(control.not_applicable, name))
        return control, finding_of(rule, measured, 0, "continue", f"not applicable: {measured.text}")
    was_open, before = name in control.open, control.hits.get(name, 0)
    hits = before + 1 if measured.level == "breach" else 0
    others = tuple(other for other in control.open if other != name)
    control = replace(
        control,
        applied=_with(control.applied, name),
        hits={**control.hits, name: hits},
        open=others if measured.level == "quiet" else (*others, name),
    )
    if measured.level == "quiet":
        return control, finding_of(rule, measured, 0, "continue", f"quiet again: {measured.text}") if was_open else None
    if measured.level == "flag":
        return control, None if was_open and not before else finding_of(rule, measured, 0, "hold", measured.text)
    if hits < rule.hits and measured.is_finite:
        return control, finding_of(rule, measured, hits, "hold", f"{measured.text}, {hits} of {rule.hits} in a row")
    decision, why = _after_retries(rule, attempt, phase.on_breach)
    return control, finding_of(rule, measured, hits, decision, f"{measured.text}{why}")


def _after_retries(rule: Guardrail, attempt: int, then: OnBreach) -> tuple[Literal["freeze", "rollback", "stop"], str]:
    """The decision on a breach: a rollback becomes a stop if the phase may not be retried."""
    if rule.decision != "rollback":
        return rule.decision, ""
    if then.next == "stop":
        return "stop", ", the phase is not retried"
    if attempt >= then.max_retries:
        return "stop", f", all {then.max_retries} retries are used"
    return "rollback", ""


def _counted(control: Control) -> Control:
    """The state after an evaluation: two quiet evaluations in a row make a candidate safe; one that is not quiet discards the candidates."""
    if control.open:
        return replace(control, quiet=0, candidates=())
    quiet = control.quiet + 1
    if quiet < QUIET_FOR_SAFE:
        return replace(control, quiet=quiet)
    return replace(control, quiet=quiet, safe=(*control.safe, *control.candidates)[-KEPT:], candidates=())


def _decided(control: Control, findings: tuple[Finding, ...]) -> tuple[Control, Decision]:
    """Take the gravest decision among the findings."""
    action: Action = next((one for one in GRAVEST_FIRST if any(finding.decision == one for finding in findings)), "continue")
    if action in ("freeze", "stop"):
        why = tuple(f"{finding.guardrail}: {finding.reason}" for finding in findings if finding.decision == action)
        control = replace(control, status="frozen" if action == "freeze" else "stopped", reasons=why)
    return control, Decision(action, findings, targets(control) if action != "continue" else ())


def _with(names: tuple[str, ...], *more: str) -> tuple[str, ...]:
    return tuple(sorted({*names, *more}))
