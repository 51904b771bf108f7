"""The drill of guardrails: break a good run on purpose, once for each of them, and see that it is caught, at once and rightly.

A fault has a size of its own, whatever the limits are, so that a guardrail that was loosened too far misses it. Each drill is run again with
the guardrail switched off, and then it has to fail: a drill that succeeds without its guardrail proves nothing.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from headstart.govern.control import Action, Control, Decision, begin, checkpointed, judge, phase_began, rolled_back
from headstart.govern.guardrails import GUARDRAILS, Guardrail, Kind, Reading, Values, limits, measure
from headstart.govern.traces import REFERENCE
from headstart.schedule import Arm, Limits, Phase

STEP = 1000  # env steps between two readings of a drill
START = "start"  # the checkpoint of its phase

Changes = Callable[[Values], Values]  # reference → values of a faulty reading that differ from a good one


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and what has to follow."""

    guardrail: str
    text: str
    before: tuple[Reading, ...]  # good: nothing may be found
    faulty: tuple[Reading, ...]  # with the last of these, at the latest, the guardrail has to break
    expected: Action


@dataclass(frozen=True)
class Row:
    """How one drill went."""

    guardrail: str
    text: str
    expected: Action
    decided: Action
    checks: int | None  # faulty readings until the guardrail broke; None: it did not
    quiet_before: bool  # nothing was found in the good readings
    fails_without: bool  # the negative control: switched off, the same drill fails

    @property
    def passed(self) -> bool:
        return self.quiet_before and self.fails_without and self.checks is not None and self.decided == self.expected


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
    "reward_saturation": ("nearly every reward is clipped", _is(reward_clipped_fraction=0.95)),
    "loss_drift": ("the loss explodes", lambda reference: {"loss_total": 10 * abs(reference.get("loss_total") or 0.0) + 1.0}),
    "return_drop": ("the reward's sign is flipped", _times("return_normalised", -1.0)),
    "kpi_drop": ("half of the KPI is lost", _times("kpi", 0.5)),
    "success_drop": ("the task is forgotten", _is(success_rate=0.0)),
    "harm_rise": ("the policy turns reckless", _plus("harm_rate", 0.3)),
    "queue_events": ("agents press one another all the time", _is(queue_conflict_rate=20.0)),
    "queue_intensity": ("conflicts turn fierce", _is(queue_intensity_rate=40.0)),
    "late_help": ("nobody helps any more", _is(late_help_rate=0.0)),
    "bc_accuracy": ("the clone forgets its demonstrations", _is(bc_accuracy=0.5)),
}


def faults(guardrails: Iterable[Guardrail], reference: Values) -> list[Fault]:
    """A drill for each guardrail that can break and whose reference is there."""
    return [
        _fault(rule, reference)
        for rule in guardrails
        if rule.breach is not None and (rule.measure == "absolute" or reference.get(rule.metric) is not None)
    ]


def run_decision_drill(arm: Arm, reference: Values, names: Sequence[str] = ()) -> list[Row]:
    """Drill the guardrails of the arm's last phase, or those of them that are named, and the rollback of a rollback."""
    phase = arm.phases[-1]
    rules = limits(arm, phase)
    found = (fault for fault in faults(rules.values(), reference) if not names or fault.guardrail in names)
    drills = [replace(fault, expected=expected_of(rules[fault.guardrail], phase)) for fault in found]
    rows = [_row(arm, fault, reference) for fault in drills]
    again = next((fault for fault in drills if fault.expected == "rollback"), None)
    return rows if again is None else [*rows, _again(arm, phase, again, reference)]


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
    known = {r.metric: reference.get(r.metric) for r in GUARDRAILS.values() if r.on == kind}
    calm = {"kl_divergence": 0.01, "grad_norm": 1.0, "kl_to_reference": 0.05, "nonfinite": 0.0} | {
        "reward_clipped_fraction": 0.0,
        "telemetry_dropped": 0.0,
        "bc_accuracy": 1.0,
    }
    return Reading(kind, env_steps, known | {name: value for name, value in calm.items() if name in known})


def faulty_reading(rule: Guardrail, reference: Values, env_steps: int) -> Reading:
    """A good reading but for the fault of a guardrail."""
    good, (_, changes) = good_reading(rule.on, reference, env_steps), FAULTS[rule.name]
    return replace(good, values={**good.values, **changes(reference)})


def _fault(rule: Guardrail, reference: Values) -> Fault:
    text, _ = FAULTS[rule.name]
    before = tuple(good_reading(rule.on, reference, n * STEP) for n in (1, 2))
    faulty = tuple(faulty_reading(rule, reference, (3 + n) * STEP) for n in range(GUARDRAILS[rule.name].hits))
    return Fault(rule.name, text, before, faulty, rule.decision)


def _row(arm: Arm, fault: Fault, reference: Values) -> Row:
    quiet, decision, checks = _drilled(arm, fault, reference)
    _, _, without = _drilled(switched_off(arm, fault.guardrail), fault, reference)
    return Row(fault.guardrail, fault.text, fault.expected, _its(decision, fault.guardrail), checks, quiet, without is None)


def _drilled(arm: Arm, fault: Fault, reference: Values) -> tuple[bool, Decision, int | None]:
    """Whether the good readings were quiet, the last decision, and after how many faulty readings the guardrail broke."""
    control, quiet = _begun(arm), True
    for reading in fault.before:
        control, decision = judge(control, arm, reading, reference)
        quiet &= all(finding.decision == "continue" for finding in decision.findings)
        if control.status != "running":
            return False, decision, None
        control = checkpointed(control, f"good@{reading.env_steps}")
    for n, reading in enumerate(fault.faulty, start=1):
        control, decision = judge(control, arm, reading, reference)
        if _its(decision, fault.guardrail) != "continue":
            return quiet, decision, n
        if decision.action == "rollback":  # another guardrail was quicker; the fault goes on
            control = rolled_back(control, arm, decision.targets[0])
        elif decision.action != "continue":
            break
    return quiet, decision, None


def _again(arm: Arm, phase: Phase, fault: Fault, reference: Values) -> Row:
    """The same fault in every attempt: a rollback each time, and a stop when the retries are used."""
    control, attempts, decision = _begun(arm), 0, Decision("continue")
    while control.status == "running" and attempts <= phase.on_breach.max_retries + 1:
        for reading in fault.faulty:
            control, decision = judge(control, arm, reading, reference)
            if decision.action != "continue":
                break
        if decision.action != "rollback":
            break
        attempts += 1
        control = rolled_back(control, arm, decision.targets[0])
    rightly = attempts == phase.on_breach.max_retries and decision.targets[-1:] == (START,)
    text = f"{fault.text}, in every attempt"
    off = _drilled(switched_off(arm, fault.guardrail), fault, reference)[2] is None
    return Row(fault.guardrail, text, "stop", decision.action, attempts + 1 if rightly else None, True, off)


def _its(decision: Decision, guardrail: str) -> Action:
    """What the guardrail itself asked for."""
    for finding in decision.findings:
        if finding.guardrail == guardrail and finding.severity == "breach" and finding.decision != "hold":
            return finding.decision
    return "continue"


def _begun(arm: Arm) -> Control:
    return phase_began(begin(), len(arm.phases) - 1, START)


def switched_off(arm: Arm, guardrail: str) -> Arm:
    """The arm without one of its guardrails."""
    off = {guardrail: Limits(enabled=False)}
    phases = tuple(phase.model_copy(update={"guardrails": phase.guardrails | off}) for phase in arm.phases)
    return arm.model_copy(update={"phases": phases})
