"""What a drill of guardrails injects, and what has to follow: good readings, one fault for each guardrail, the expected decision.

Readings are compared with `traces.REFERENCE`. A fault has a size of its own, whatever the limits are, so that a guardrail that was loosened
too far misses it.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

from headstart.config.schedule import Arm, Limits, Phase
from headstart.guard.control import Action
from headstart.guard.guardrails import FALLS, GUARDRAILS, SWING, Guardrail, Kind, Reading, Values, limits, measure, swing
from headstart.guard.traces import REFERENCE, Moment, steady

# guardrail → the fault in words, and the values of a faulty reading that differ from a good one; of an oscillation, every second one is good
FAULTS: Mapping[str, tuple[str, Values]] = {
    "nonfinite": ("a NaN gradient", {"nonfinite": 1.0, "loss_total": math.nan, "grad_norm": math.nan}),
    "policy_kl": ("one burst of KL with a steep gradient", {"kl_divergence": 0.15, "grad_norm": 2.8}),
    "policy_kl_burst": ("two updates far too large", {"kl_divergence": 0.4, "grad_norm": 1.0}),
    "reference_kl": ("the policy leaves the clone", {"kl_to_reference": 2.0}),
    "grad_norm": ("gradients explode", {"grad_norm": 50.0}),
    "entropy": ("exploration half lost", {"entropy": REFERENCE["entropy"] - 0.3}),
    "entropy_floor": ("the policy collapses to one action", {"entropy": 0.0}),
    "loss_drift": ("the loss explodes", {"loss_total": 10 * REFERENCE["loss_total"] + 1}),
    "return_drop": ("the reward's sign is flipped", {"return_normalised": -REFERENCE["return_normalised"]}),
    "kpi_drop": ("half of the KPI is lost", {"kpi": REFERENCE["kpi"] / 2}),
    "success_drop": ("the task is forgotten", {"success_rate": 0.0}),
    "harm_rise": ("the policy turns reckless", {"harm_rate": REFERENCE["harm_rate"] + 0.3}),
    "queue_events": ("agents press one another all the time", {"queue_conflict_rate": 20.0}),
    "queue_intensity": ("conflicts turn fierce", {"queue_intensity_rate": 40.0}),
    "oscillation": ("the return swings", {"return_normalised": 0.75 * REFERENCE["return_normalised"]}),
    "bc_accuracy": ("the clone forgets its demonstrations", {"bc_accuracy": 0.5}),
}


def accepts(arm: Arm, phase: Phase, name: str) -> bool:
    """Whether a phase lets the fault of a guardrail pass, and the arm gives a reason: there is nothing to catch then."""
    if not arm.accept_loosened:
        return False
    own, default = limits(arm, phase).get(name), GUARDRAILS[name]
    if own is None or own.hits > default.hits:
        return True
    return measure(own, fault_values(own), REFERENCE).level != "breach"


def expected_of(rule: Guardrail, phase: Phase) -> Action:
    """What has to follow a breach: a rollback is a stop where no retry may follow it."""
    return "stop" if rule.decision == "rollback" and not retries(phase) else rule.decision


def retries(phase: Phase) -> int:
    """Rollbacks after which the phase is tried again."""
    return phase.on_breach.max_retries if phase.on_breach.next == "retry" else 0


def good_reading(kind: Kind, env_steps: int) -> Reading:
    """A reading in which every metric is where the reference is."""
    return Reading(kind, env_steps, steady(Moment(kind, share=0.0, count=1, cloned="before"), REFERENCE))


def faulty_reading(rule: Guardrail, env_steps: int, number: int = 0) -> Reading:
    """Reading `number`, from 0, of the fault of a guardrail: a good reading but for the fault."""
    good, (_, fault) = good_reading(rule.on, env_steps), FAULTS[rule.name]
    return good if rule.metric == SWING and number % 2 else replace(good, values={**good.values, **fault})


def fault_length(rule: Guardrail) -> int:
    """Readings in a row that make the fault of a guardrail."""
    return 2 * FALLS - 1 if rule.metric == SWING else rule.hits


def fault_values(rule: Guardrail) -> Values:
    """What a guardrail sees with the last reading of its fault."""
    readings = [good_reading(rule.on, 0), *(faulty_reading(rule, 0, number) for number in range(fault_length(rule)))]
    shown = (reading.values["return_normalised"] for reading in readings if rule.metric == SWING)
    return {**readings[-1].values, SWING: swing([value for value in shown if value is not None])}


def switched_off(arm: Arm, guardrail: str) -> Arm:
    """The arm without one of its guardrails."""
    off = {guardrail: Limits(enabled=False)}
    phases = tuple(phase.model_copy(update={"guardrails": phase.guardrails | off}) for phase in arm.phases)
    return arm.model_copy(update={"phases": phases})
