"""What a drill of guardrails injects, and what has to follow: good readings, one fault for each guardrail, the expected decision.

A fault has a size of its own, whatever the limits are, so that a guardrail that was loosened too far misses it.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from headstart.config.schedule import Arm, Limits, Phase
from headstart.guard.control import Action
from headstart.guard.guardrails import GUARDRAILS, Guardrail, Kind, Reading, Values, limits, measure
from headstart.guard.traces import REFERENCE, Moment, steady

Changes = Callable[[Values], Values]  # reference → values of a faulty reading that differ from a good one


def _times(metric: str, factor: float) -> Changes:
    """The reference value times a factor; not applicable where the reference does not have it."""
    return lambda reference: {metric: None if (value := reference.get(metric)) is None else value * factor}


def _plus(metric: str, difference: float) -> Changes:
    return lambda reference: {metric: None if (value := reference.get(metric)) is None else value + difference}


def _is(**values: float) -> Changes:
    return lambda reference: values


FAULTS: Mapping[str, tuple[str, Changes]] = {
    "nonfinite": ("a NaN gradient", _is(nonfinite=1.0, loss_total=math.nan, grad_norm=math.nan)),
    "policy_kl": ("one burst of KL with a steep gradient", _is(kl_divergence=0.15, grad_norm=2.8)),
    "policy_kl_burst": ("two updates far too large", _is(kl_divergence=0.4, grad_norm=1.0)),
    "reference_kl": ("the policy leaves the clone", _is(kl_to_reference=2.0)),
    "grad_norm": ("gradients explode", _is(grad_norm=50.0)),
    "entropy": ("exploration half lost", _plus("entropy", -0.3)),
    "entropy_floor": ("the policy collapses to one action", _is(entropy=0.0)),
    "loss_drift": ("the loss explodes", lambda reference: {"loss_total": 10 * abs(reference.get("loss_total") or 0.0) + 1.0}),
    "return_drop": ("the reward's sign is flipped", _times("return_normalised", -1.0)),
    "kpi_drop": ("half of the KPI is lost", _times("kpi", 0.5)),
    "success_drop": ("the task is forgotten", _is(success_rate=0.0)),
    "harm_rise": ("the policy turns reckless", _plus("harm_rate", 0.3)),
    "queue_events": ("agents press one another all the time", _is(queue_conflict_rate=20.0)),
    "queue_intensity": ("conflicts turn fierce", _is(queue_intensity_rate=40.0)),
    "bc_accuracy": ("the clone forgets its demonstrations", _is(bc_accuracy=0.5)),
}


def accepts(arm: Arm, phase: Phase, name: str) -> bool:
    """Whether a phase lets the fault of a guardrail pass, and the arm gives a reason: there is nothing to catch then."""
    if not arm.accept_loosened:
        return False
    own, default = limits(arm, phase).get(name), GUARDRAILS[name]
    if own is None or own.hits > default.hits:
        return True
    return measure(own, faulty_reading(own, REFERENCE, 0).values, REFERENCE).level != "breach"


def expected_of(rule: Guardrail, phase: Phase) -> Action:
    """What has to follow a breach: a rollback is a stop where no retry may follow it."""
    return "stop" if rule.decision == "rollback" and not retries(phase) else rule.decision


def retries(phase: Phase) -> int:
    """Rollbacks after which the phase is tried again."""
    return phase.on_breach.max_retries if phase.on_breach.next == "retry" else 0


def good_reading(kind: Kind, reference: Values, env_steps: int) -> Reading:
    """A reading in which every metric is where the reference is."""
    return Reading(kind, env_steps, steady(Moment(kind, share=0.0, count=1, cloned="before"), reference))


def faulty_reading(rule: Guardrail, reference: Values, env_steps: int) -> Reading:
    """A good reading but for the fault of a guardrail."""
    good, (_, changes) = good_reading(rule.on, reference, env_steps), FAULTS[rule.name]
    return replace(good, values={**good.values, **changes(reference)})


def switched_off(arm: Arm, guardrail: str) -> Arm:
    """The arm without one of its guardrails."""
    off = {guardrail: Limits(enabled=False)}
    phases = tuple(phase.model_copy(update={"guardrails": phase.guardrails | off}) for phase in arm.phases)
    return arm.model_copy(update={"phases": phases})
