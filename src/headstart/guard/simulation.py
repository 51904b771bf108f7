"""A rehearsal: a schedule meets a trace of metrics, and the code that governs real runs decides what happens.

Nothing is trained. What a rollback restores is a name here; what it costs, the env steps already spent, is the same.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from headstart.config.schedule import Arm, Phase
from headstart.core.errors import InputError
from headstart.core.verdict import Outcome
from headstart.guard.control import (
    Control,
    Decision,
    begin,
    checkpointed,
    completed,
    judge,
    outcome,
    phase_began,
    phase_outcome,
    rolled_back,
    steps_left,
)
from headstart.guard.guardrails import Reading, Values
from headstart.guard.reference import OF_PHASE, first_shown
from headstart.guard.traces import Moment, Trace
from headstart.telemetry.kinds import Finding

EventKind = Literal[
    "phase_began",
    "update",
    "evaluation",
    "finding",
    "rollback",
    "retry",
    "freeze",
    "stop",
    "phase_ended",
    "run_ended",
]
Source = Generator[Reading | None, Control, None]  # control → the next reading, None at the end of a phase


@dataclass(frozen=True)
class Event:
    """One line of the timeline."""

    kind: EventKind
    env_steps: int
    phase: str
    attempt: int
    text: str = ""
    reading: Reading | None = None  # of updates and evaluations
    finding: Finding | None = None
    checkpoint: str | None = None  # that a rollback restored, or that a stop leaves


@dataclass
class Timeline:
    """What happened so far, in order."""

    arm: Arm
    events: list[Event] = field(default_factory=list)

    def add(
        self,
        kind: EventKind,
        control: Control,
        text: str = "",
        reading: Reading | None = None,
        finding: Finding | None = None,
        checkpoint: str | None = None,
    ) -> None:
        phase = self.arm.phases[control.phase].name
        self.events.append(Event(kind, control.env_steps, phase, control.attempt, text, reading, finding, checkpoint))


@dataclass(frozen=True)
class Simulation:
    """A rehearsal and what it was worth."""

    events: tuple[Event, ...]
    control: Control
    outcome: Outcome
    reasons: tuple[str, ...]

    @property
    def readings(self) -> tuple[Reading, ...]:
        """What was read, in order: as a trace it gives the same events again."""
        return tuple(event.reading for event in self.events if event.reading is not None)


def simulate(
    arm: Arm,
    trace: Trace | Sequence[Reading],
    evaluation_every: int,
    reference: Values,
    *,
    update_steps: int = 4096,
    own_reference: bool = False,
) -> Simulation:
    """Run the schedule on a trace. `evaluation_every` and `update_steps` (one rollout): env steps; a recorded trace brings its own.

    `own_reference`: the trace is of a real run, whose first updates also show what later ones are compared with.
    A recorded trace that ends before the schedule leaves the run unfinished; one that goes on after it is an InputError.
    """
    source = _invented(arm, trace, evaluation_every, reference, update_steps) if callable(trace) else _recorded(arm, trace)
    next(source)
    timeline, control = Timeline(arm), begin()
    for index, phase in enumerate(arm.phases):
        control = phase_began(control, index, f"{phase.name}@{control.env_steps}")
        if own_reference:
            reference = {name: value for name, value in reference.items() if name != OF_PHASE}
        timeline.add("phase_began", control, f"{phase.kind}, {phase.length:,} {'epochs' if phase.kind == 'bc' else 'env steps'}")
        control, reference, over = _play(control, phase, source, timeline, reference, own_reference)
        if not over:
            break
        timeline.add("phase_ended", control, phase_outcome(control))
        if control.status != "running":
            break
    else:
        next(source, None)  # a recorded trace says whether something is left of it
        control = completed(control)
    found, reasons = outcome(control)
    timeline.add("run_ended", control, found)
    return Simulation(tuple(timeline.events), control, found, reasons)


def _play(
    control: Control, phase: Phase, source: Source, timeline: Timeline, reference: Values, own_reference: bool
) -> tuple[Control, Values, bool]:
    """One phase to its end, and the reference then; False where the trace has no more to say."""
    while control.status == "running":
        try:
            reading = source.send(control)
        except StopIteration:
            return control, reference, False
        if reading is None:
            return control, reference, True
        if own_reference and reading.kind == "update":
            reference = {**reference, **first_shown(reference, reading.values)}
        control, decision = judge(control, timeline.arm, reading, reference)
        timeline.add(reading.kind, control, reading=reading)
        for finding in decision.findings:
            timeline.add("finding", control, f"{finding.guardrail}: {finding.reason}", finding=finding)
        control = _acted(control, decision, timeline)
        if reading.kind == "evaluation" and decision.action == "continue":
            control = checkpointed(control, f"{phase.name}@{reading.env_steps}")
    return control, reference, True


def _acted(control: Control, decision: Decision, timeline: Timeline) -> Control:
    """What a trainer does about a decision."""
    if decision.action == "rollback":
        target = decision.targets[0]
        timeline.add("rollback", control, f"to {target}", checkpoint=target)
        control = rolled_back(control, timeline.arm, target)
        factors = f"learning rate × {control.learning_rate_factor:g}, KL × {control.kl_factor:g}"
        timeline.add("retry", control, f"attempt {control.attempt}, {factors}")
    elif decision.action == "freeze":
        timeline.add("freeze", control, "learning stops, a person looks")
    elif decision.action == "stop":
        timeline.add("stop", control, f"with the weights of {decision.targets[0]}", checkpoint=decision.targets[0])
    return control


def _invented(arm: Arm, trace: Trace, every: int, reference: Values, update_steps: int) -> Source:
    """Readings when a trainer takes them: after each rollout, and at the first one at or after each multiple of `every`, and at the end.

    An arm that starts from a clone is looked at before its first update, as `bc_train`'s gate does.
    """
    control = yield None
    counts = {"update": 0, "evaluation": 0}
    evaluated = 0

    def read(kind: Literal["update", "evaluation"], env_steps: int, cloned: Literal["", "now", "before"] = "") -> Reading:
        counts[kind] += 1
        share = env_steps / arm.budget if arm.budget else 1.0
        return Reading(kind, env_steps, trace(Moment(kind, share, counts[kind], cloned), reference))

    for index, phase in enumerate(arm.phases):
        if phase.kind == "bc":
            control = yield read("evaluation", control.env_steps, "now")
        elif index == 0 and arm.start == "bc":
            control = yield read("evaluation", 0, "before")
        while left := steps_left(control, phase):
            attempt, now = control.attempt, control.env_steps + min(update_steps, left)
            control = yield read("update", now)
            if control.attempt == attempt and (now // every > evaluated // every or now == arm.budget):
                evaluated = now
                control = yield read("evaluation", now)
        control = yield None


def _recorded(arm: Arm, rows: Sequence[Reading]) -> Source:
    """Rows in their order, each in the phase to which it belongs.

    A phase goes on until its env steps are used, and takes the evaluation that follows its last update, but for one that names bc_accuracy where
    a bc phase is next. A bc phase uses no env steps, and takes rows up to the one that names bc_accuracy, or none
    where actions are reals, since updates follow at once.
    """
    control = yield None
    at = 0
    for phase, after in zip(arm.phases, (*arm.phases[1:], None), strict=True):
        done = False
        while not done:
            used = steps_left(control, phase) == 0
            if at == len(rows):
                if not used or phase.kind == "bc":
                    return
                break
            row = rows[at]
            names_clone = row.values.get("bc_accuracy") is not None
            begins_next = names_clone and phase.kind != "bc" and after is not None and after.kind == "bc"
            if row.kind == "update" if phase.kind == "bc" else used and (row.kind == "update" or begins_next):
                break
            at += 1
            control = yield row
            done = phase.kind == "bc" and names_clone
        control = yield None
    if at < len(rows):
        raise InputError(f"trace: the schedule ends after {at} readings, and {len(rows) - at} more follow")
