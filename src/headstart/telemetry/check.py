"""What the records of a log must say together: each by itself is held to the model of its kind when it is read (`logs.py`)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from headstart.telemetry.kinds import (
    CheckpointLine,
    Evaluation,
    GuardrailLine,
    Line,
    PhaseEnded,
    PhaseStarted,
    RollbackLine,
    RunEnded,
    RunStarted,
    Update,
)
from headstart.telemetry.logs import AnyRecord, Log
from headstart.telemetry.problems import CODES, Level, Place, Problem

MAX_PROBLEMS = 100
NO_HEADER = {"bc_train"}  # stages whose log is a clone's epochs, without `run_started`


@dataclass
class Seen:
    """What the records before this one said."""

    seq: int | None = None
    env_steps: int = 0
    phase: str | None = None
    started: RunStarted | None = None
    ended: bool = False
    iteration: int = 0
    states: dict[str, str] = field(default_factory=dict)  # checkpoint → its hash
    met: set[int] = field(default_factory=set)  # env steps of evaluations that met the target


Rule = Callable[[AnyRecord, Seen, Place], Iterator[Problem]]


def check(log: Log, strict: bool = False) -> tuple[Problem, ...]:
    """All problems of a log, in the order of its lines. `strict`: an unknown field and a torn end are none to be lived with."""
    found, seen = list(log.problems), Seen()
    for record, place in zip(log.records, log.places, strict=True):
        for rule in RULES:
            found += rule(record, seen, place)
        _remember(record, seen)
    last = log.places[-1] if log.places else Place(log.name, 1)
    if not log.records and not found:
        found.append(last.problem("invalid", "", "at least one complete record", "none"))
    if log.torn_bytes:
        expected = "a line that was written to its end"
        level: Level = "integrity" if strict else "warning"
        found.append(
            Problem(level, last.file, last.line + bool(log.records), None, "", expected, f"{log.torn_bytes} bytes of one")
        )
    if isinstance(log.records[-1] if log.records else None, Line) and not seen.ended and not log.torn_bytes:
        found.append(last.problem("warning", "", "run_ended at the end", "none: the run goes on, or was killed"))
    if strict:
        found = [one._replace(level="invalid") if one.level == "warning" and one.field else one for one in found]
    order = {str(file): number for number, file in enumerate(log.files)}
    return tuple(sorted(found, key=lambda one: (order.get(one.file, 0), one.line)))


def exit_code(problems: tuple[Problem, ...]) -> int:
    """4 where bytes are not those that were written, else 3 where a record is invalid, else 0."""
    return max((CODES.get(problem.level, 0) for problem in problems), default=0)


def _order(record: AnyRecord, seen: Seen, place: Place) -> Iterator[Problem]:
    if seen.ended:
        yield place.problem("invalid", "kind", "nothing after run_ended", record.kind)
    if seen.seq is None and record.seq == 1 and record.kind != "run_started" and record.stage not in NO_HEADER:
        yield place.problem("invalid", "kind", "run_started as the first record", record.kind)
    if seen.seq is not None and record.kind == "run_started":
        yield place.problem("invalid", "kind", "run_started once, as the first record", record.kind)
    if isinstance(record, Line) and record.env_steps < seen.env_steps:
        yield place.problem("invalid", "env_steps", f"at least {seen.env_steps}, since steps stay charged", record.env_steps)


def _phases(record: AnyRecord, seen: Seen, place: Place) -> Iterator[Problem]:
    if not isinstance(record, Line) or (seen.seq is not None and record.seq != seen.seq + 1):
        return  # after a gap nothing is known of the phase
    if isinstance(record, PhaseStarted):
        if seen.phase is not None:
            yield place.problem("invalid", "kind", f"phase_ended of {seen.phase!r} first", "phase_started")
        phases = seen.started.params.get("phases") if seen.started else None
        if isinstance(phases, list):
            named = [phase.get("name") for phase in phases if isinstance(phase, dict)]
            if named[record.phase_index : record.phase_index + 1] != [record.phase]:
                yield place.problem(
                    "invalid", "phase_index", f"a phase of run_started: {named}", f"{record.phase_index}, {record.phase!r}"
                )
    elif isinstance(record, PhaseEnded) and seen.phase is None and seen.seq is not None:
        yield place.problem("invalid", "kind", "phase_started first", "phase_ended")
    elif record.phase != seen.phase and seen.seq is not None:
        yield place.problem("invalid", "phase", repr(seen.phase), repr(record.phase))


def _decisions(record: AnyRecord, seen: Seen, place: Place) -> Iterator[Problem]:
    if isinstance(record, RollbackLine):
        if record.to_checkpoint_id not in seen.states:
            if seen.states or seen.started:
                yield place.problem("invalid", "to_checkpoint_id", "a checkpoint before it", repr(record.to_checkpoint_id))
        elif seen.states[record.to_checkpoint_id] != record.to_state_sha256:
            yield place.problem("integrity", "to_state_sha256", seen.states[record.to_checkpoint_id], record.to_state_sha256)
        if record.restored_state_sha256 != record.to_state_sha256:
            yield place.problem("integrity", "restored_state_sha256", record.to_state_sha256, record.restored_state_sha256)
    if isinstance(record, GuardrailLine) and (record.severity == "breach") != (record.decision in ("freeze", "rollback", "stop")):
        wanted = "freeze, rollback or stop for a breach, and for nothing else"
        yield place.problem("invalid", "decision", wanted, f"{record.decision} for {record.severity}")


def _counts(record: AnyRecord, seen: Seen, place: Place) -> Iterator[Problem]:
    if isinstance(record, Update) and record.iteration <= seen.iteration:
        yield place.problem("invalid", "iteration", f"more than {seen.iteration}", record.iteration)
    if isinstance(record, RunEnded):
        if record.records_written != record.seq:
            yield place.problem("integrity", "records_written", str(record.seq), record.records_written)
        if record.stage in NO_HEADER or record.status != "completed":
            return
        if record.censored != (record.steps_to_target is None):
            yield place.problem(
                "invalid", "censored", f"{record.steps_to_target is None}, as steps_to_target says", record.censored
            )
        if record.steps_to_target is not None and seen.started and record.steps_to_target not in seen.met:
            yield place.problem("invalid", "steps_to_target", "an evaluation that met the target there", record.steps_to_target)


RULES: tuple[Rule, ...] = (_order, _phases, _decisions, _counts)


def _remember(record: AnyRecord, seen: Seen) -> None:
    seen.seq = record.seq
    if not isinstance(record, Line):
        return
    seen.env_steps = max(seen.env_steps, record.env_steps)
    seen.phase = None if isinstance(record, PhaseEnded) else record.phase
    match record:
        case RunStarted():
            seen.started = record
        case CheckpointLine():
            seen.states[record.checkpoint_id] = record.state_sha256
        case Update():
            seen.iteration = record.iteration
        case Evaluation() if record.target_met:
            seen.met.add(record.env_steps)
        case RunEnded():
            seen.ended = True
