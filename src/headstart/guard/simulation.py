"""Rehearsal of a schedule on a trace of metrics, with the decision code of real runs.

Nothing is trained. A rollback restores only a name, but env steps stay charged as in a real run.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from headstart.config.position import Position
from headstart.config.schedule import Arm, Phase
from headstart.core.errors import InputError
from headstart.core.verdict import Outcome
from headstart.guard import control
from headstart.guard.control import OF_PHASE, Control, Decision
from headstart.guard.guardrails import Reading, Values
from headstart.guard.traces import Moment, Trace
from headstart.telemetry.kinds import Finding

EventKind = Literal[
    "phase_began", "update", "evaluation", "finding", "rollback", "retry", "freeze", "stop", "phase_ended", "run_ended"
]
Source = Generator[Reading | None, Position, None]  # position → the next reading, None at the end of a phase


@dataclass(frozen=True)
class Event:
    """One line of the timeline."""

    kind: EventKind
    at: Position
    phase: str
    text: str = ""
    reading: Reading | None = None  # of updates and evaluations
    finding: Finding | None = None
    checkpoint: str | None = None  # that a rollback restored, or with which a stop ends

    @property
    def env_steps(self) -> int:
        return self.at.env_steps


@dataclass(frozen=True)
class Simulation:
    """The events in order, and the end of the run."""

    events: tuple[Event, ...]
    control: Control
    at: Position
    outcome: Outcome
    reasons: tuple[str, ...]  # why it is not a PASS

    @property
    def readings(self) -> tuple[Reading, ...]:
        """The trace of this run: simulated again it gives the same events."""
        return tuple(event.reading for event in self.events if event.reading is not None)


@dataclass
class _Run:
    """The state of a rehearsal."""

    arm: Arm
    reference: Values
    own_reference: bool
    phase: Phase
    control: Control = field(default_factory=Control)
    at: Position = field(default_factory=Position)
    events: list[Event] = field(default_factory=list)

    def tell(self, kind: EventKind, text: str = "", **more: Any) -> None:
        """Append an event; `more`: its reading, finding or checkpoint."""
        self.events.append(Event(kind, self.at, self.phase.name, text, **more))


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

    `own_reference`: the trace is of a real run, whose first updates complete the reference.
    A recorded trace that ends before the schedule leaves the run unfinished; one that continues after it is an InputError.
    """
    source = _invented(arm, trace, evaluation_every, reference, update_steps) if callable(trace) else _recorded(arm, trace)
    next(source)
    run = _Run(arm, reference, own_reference, arm.phases[0])
    for phase in arm.phases:
        run.phase, run.at = phase, run.at.begin_phase()
        run.control = control.phase_began(run.control, f"{phase.name}@{run.at.env_steps}")
        if own_reference:
            run.reference = {name: value for name, value in run.reference.items() if name != OF_PHASE}
        run.tell("phase_began", f"{phase.kind}, {phase.length:,} {phase.unit}")
        if not _play(run, source):
            break
        run.tell("phase_ended", control.phase_outcome(run.control))
        if run.control.status != "running":
            break
        run.at = run.at.end_phase()
    else:
        next(source, None)  # a recorded trace raises if readings are left
        run.control = control.completed(run.control)
    found, reasons = control.outcome(run.control)
    run.tell("run_ended", found)
    return Simulation(tuple(run.events), run.control, run.at, found, reasons)


def _play(run: _Run, source: Source) -> bool:
    """Run one phase to its end; False if the trace has ended."""
    while run.control.status == "running":
        try:
            reading = source.send(run.at)
        except StopIteration:
            return False
        if reading is None:
            return True
        epochs = run.at.epochs + (run.phase.in_epochs and reading.kind == "update")
        run.at = replace(run.at, env_steps=max(run.at.env_steps, reading.env_steps), epochs=epochs)
        if run.own_reference and reading.kind == "update":
            run.reference = {**run.reference, **control.first_shown(run.reference, reading.values)}
        run.control, decision = control.judge(run.control, run.at, run.arm, reading, run.reference)
        run.tell(reading.kind, reading=reading)
        for finding in decision.findings:
            run.tell("finding", f"{finding.guardrail}: {finding.reason}", finding=finding)
        _act(run, decision)
        if reading.kind == "evaluation" and decision.action == "continue":
            run.control = control.checkpointed(run.control, f"{run.phase.name}@{reading.env_steps}")
    return True


def _act(run: _Run, decision: Decision) -> None:
    """The effect of a decision on the run."""
    match decision.action:
        case "rollback":
            target = decision.targets[0]
            run.tell("rollback", f"to {target}", checkpoint=target)
            run.control, run.at = control.rolled_back(run.control, target), replace(run.at.begin_retry(), epochs=0)
            factors = f"learning rate × {run.at.learning_rate_factor(run.phase):g}, KL × {run.at.kl_factor(run.phase):g}"
            run.tell("retry", f"attempt {run.at.attempt}, {factors}")
        case "freeze":
            run.tell("freeze", "training ends, a user must decide")
        case "stop":
            run.tell("stop", f"with the weights of {decision.targets[0]}", checkpoint=decision.targets[0])


def _invented(arm: Arm, trace: Trace, every: int, reference: Values, update_steps: int) -> Source:
    """Readings at the times of a real run: an update after each rollout; an evaluation at or after each multiple of `every`, and at the end.

    An arm that starts from a clone has a reading before its first update, as in `bc_train`'s gate.
    """
    at = yield None
    counts = {"update": 0, "evaluation": 0}
    evaluated = 0

    def read(kind: Literal["update", "evaluation"], env_steps: int, cloned: Literal["", "now", "before"] = "") -> Reading:
        counts[kind] += 1
        share = env_steps / arm.budget if arm.budget else 1.0
        return Reading(kind, env_steps, trace(Moment(kind, share, counts[kind], cloned), reference))

    for index, phase in enumerate(arm.phases):
        if phase.kind == "bc":
            at = yield read("evaluation", at.env_steps, "now")
        elif index == 0 and arm.start == "bc":
            at = yield read("evaluation", 0, "before")
        while phase.data == "replay" and at.epochs < phase.length:
            at = yield read("update", at.env_steps)
        while left := at.steps_left(phase):
            attempt, now = at.attempt, at.env_steps + min(update_steps, left)
            at = yield read("update", now)
            if at.attempt == attempt and (now // every > evaluated // every or now == arm.budget):
                evaluated = now
                at = yield read("evaluation", now)
        at = yield None


def _recorded(arm: Arm, rows: Sequence[Reading]) -> Source:
    """Rows in their order, each in the phase to which it belongs.

    A phase lasts until its env steps are used, one of data: replay for an update an epoch. It takes the evaluation that follows its last update,
    but for one that names bc_accuracy where a bc phase is next. A bc phase uses no env steps, and takes rows up to the one that names
    bc_accuracy, or none where actions are continuous, since updates follow at once.
    """
    at = yield None
    taken = 0
    for phase, after in zip(arm.phases, (*arm.phases[1:], None), strict=True):
        done = False
        while not done:
            used = at.epochs >= phase.length if phase.data == "replay" else at.steps_left(phase) == 0
            if taken == len(rows):
                if not used or phase.kind == "bc":
                    return
                break
            row = rows[taken]
            names_clone = row.values.get("bc_accuracy") is not None
            begins_next = names_clone and phase.kind != "bc" and after is not None and after.kind == "bc"
            if row.kind == "update" if phase.kind == "bc" else used and (row.kind == "update" or begins_next):
                break
            taken += 1
            at = yield row
            done = phase.kind == "bc" and names_clone
        at = yield None
    if taken < len(rows):
        raise InputError(f"trace: the schedule ends after {taken} readings, and {len(rows) - taken} more follow")
