"""What is known of a run after each record of its log. The page shows this, and nothing that the log does not say."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import ValidationError

from headstart.config.schedule import Arm
from headstart.guard.control import OF_PHASE, Control, checked_values, first_shown
from headstart.guard.guardrails import Guardrail, Measured, Reading, limits, measure
from headstart.telemetry.follow import Unreadable
from headstart.telemetry.kinds import (
    AnyLine,
    BcEpoch,
    Evaluation,
    GuardrailLine,
    PhaseEnded,
    PhaseStarted,
    ReadingLine,
    RollbackLine,
    RunEnded,
    RunStarted,
    Update,
)
from headstart.telemetry.summary import NOT_APPLICABLE

MAX_ALERTS = 50
SPARK = 40  # values of a guardrail that are drawn
PACE = 20  # updates over which the rate is taken
QUIET = "quiet again"


@dataclass
class PhaseSeen:
    """One phase of the schedule, as far as it has come."""

    outcome: str = "waiting"
    begun_at: int = 0  # env steps
    used: int = 0  # env steps, or epochs of a phase in epochs
    attempt: int = 0
    open: tuple[str, ...] = ()


@dataclass
class Alert:
    """Something that a person should know."""

    about: str
    level: str  # warn, bad
    text: str
    since: AnyLine | None  # the record that raised it first
    times: int = 1
    cleared: bool = False


@dataclass
class Guarded:
    """The last check of a guardrail."""

    rule: Guardrail
    measured: Measured
    hits: int = 0
    values: deque[float] = field(default_factory=lambda: deque(maxlen=SPARK))


@dataclass
class Seen:
    """A run, as far as its log was read."""

    started: RunStarted | None = None
    arm: Arm | None = None
    last: AnyLine | None = None
    phase: PhaseStarted | None = None
    phases: list[PhaseSeen] = field(default_factory=list)
    update: Update | None = None
    evaluations: dict[str, Evaluation] = field(default_factory=dict)  # the last, by how actions are chosen
    epoch: BcEpoch | None = None
    ended: RunEnded | None = None
    reference: dict[str, float | None] = field(default_factory=dict)
    control: Control = field(default_factory=Control)  # for the means and the swing only
    guardrails: dict[str, Guarded] = field(default_factory=dict)
    alerts: dict[str, Alert] = field(default_factory=dict)  # by what they are about, the one that was raised last at the end
    pace: deque[tuple[datetime, int]] = field(default_factory=lambda: deque(maxlen=PACE))  # time, env steps


def take(seen: Seen, record: AnyLine | Unreadable) -> None:
    """One more record."""
    if isinstance(record, Unreadable):
        _alert(seen, "log", "bad", f"line {record.number} is no record: {record.why[:200]}")
        return
    seen.last = record
    if record.nonfinite:
        _alert(seen, "nonfinite", "bad", f"not finite: {', '.join(record.nonfinite)}"[:300])
    match record:
        case RunStarted():
            _run_started(seen, record)
        case PhaseStarted():
            _phase_started(seen, record)
        case BcEpoch():
            seen.epoch = record
            if (phase := _now(seen)) is not None:
                phase.used += 1
        case Update():
            seen.update = record
            seen.pace.append((datetime.fromisoformat(record.wall.time_utc), record.env_steps))
            if (phase := _now(seen)) is not None:
                phase.used = phase.used + 1 if record.data_mode == "replay" else record.env_steps - phase.begun_at
        case Evaluation():
            seen.evaluations[record.policy_mode] = record
        case ReadingLine():
            _check(seen, record)
        case GuardrailLine():
            _finding(seen, record)
        case RollbackLine():
            _rolled_back(seen, record)
        case PhaseEnded() if (phase := _now(seen)) is not None:
            phase.outcome, phase.open = record.outcome, record.open_guardrails
        case RunEnded():
            _run_ended(seen, record)


def _run_started(seen: Seen, record: RunStarted) -> None:
    seen.started = record
    try:
        seen.arm = Arm.model_validate(record.params)
    except ValidationError as error:
        _alert(seen, "log", "warn", f"the arm of run_started is not of this version: {error.error_count()} problems")
        return
    seen.phases = [PhaseSeen() for _ in seen.arm.phases]


def _phase_started(seen: Seen, record: PhaseStarted) -> None:
    seen.phase, seen.reference, seen.control = record, dict(record.baselines), Control(recent=seen.control.recent)
    seen.reference.pop(OF_PHASE, None)
    if (phase := _now(seen)) is not None:
        phase.outcome, phase.begun_at = "running", record.env_steps


def _now(seen: Seen) -> PhaseSeen | None:
    """The phase that runs."""
    index = seen.phase.phase_index if seen.phase else len(seen.phases)
    return seen.phases[index] if index < len(seen.phases) else None


def _check(seen: Seen, record: ReadingLine) -> None:
    """Hold a reading to the guardrails of its phase, as the run did."""
    if seen.arm is None or seen.phase is None or seen.phase.phase_index >= len(seen.arm.phases):
        return
    phase = seen.arm.phases[seen.phase.phase_index]
    values = {name: float(value) if isinstance(value, str) else value for name, value in record.values.items()}
    if record.check == "update":
        known = {name for name, value in seen.reference.items() if value is not None}
        seen.reference |= first_shown(known, values)
    rules, reading = limits(seen.arm, phase), Reading(record.check, record.env_steps, values)
    shown, seen.control = checked_values(seen.control, phase, rules, reading, seen.reference)
    for name, rule in rules.items():
        if rule.on == record.check and (rule.metric == "nonfinite" or seen.arm.start == "bc"):
            _measured(seen, name, rule, measure(rule, shown, seen.reference))


def _measured(seen: Seen, name: str, rule: Guardrail, measured: Measured) -> None:
    before = seen.guardrails.get(name)
    if before is None:
        before = seen.guardrails[name] = Guarded(rule, measured)
    elif measured.level == "not applicable" and before.measured.level != "not applicable":
        return  # keep what was measured last
    before.rule, before.measured = rule, measured
    before.hits = before.hits + 1 if measured.level == "breach" else 0
    if measured.value is not None and measured.level != "not applicable" and measured.is_finite:
        before.values.append(measured.value)


def _finding(seen: Seen, record: GuardrailLine) -> None:
    if record.reason.startswith(NOT_APPLICABLE):
        return
    if record.decision == "continue":
        if (alert := seen.alerts.get(record.guardrail)) is not None:
            alert.cleared = True
        return
    _alert(seen, record.guardrail, "bad" if record.severity == "breach" else "warn", f"{record.decision}: {record.reason}")


def _rolled_back(seen: Seen, record: RollbackLine) -> None:
    seen.control = Control()
    skipped = "".join(f"; {one.id} could not be restored: {one.reason[:100]}" for one in record.skipped_checkpoints)
    discarded = f"{record.env_steps_discarded:,} env steps discarded"
    _alert(seen, "rollback", "bad", f"back to {record.to_checkpoint_id}, {discarded}; next: {record.next}{skipped}")
    if (phase := _now(seen)) is not None:
        phase.attempt = record.attempt
        in_epochs = seen.arm and seen.phase and seen.arm.phases[seen.phase.phase_index].in_epochs
        phase.used = 0 if in_epochs else phase.used


def _run_ended(seen: Seen, record: RunEnded) -> None:
    seen.ended = record
    if record.status != "completed":
        why = f" by {record.error_type}" if record.error_type else ""
        _alert(seen, "run", "bad", f"the run ended {record.status}{why}")
    elif record.verdict in ("HOLD", "FAIL"):
        level = "bad" if record.verdict == "FAIL" else "warn"
        _alert(seen, "run", level, f"{record.verdict}: {'; '.join(record.reasons) or 'no reason given'}"[:500])


def _alert(seen: Seen, about: str, level: str, text: str) -> None:
    """Raise an alert; one that is raised already is counted."""
    before = seen.alerts.pop(about, None)
    if before is None or before.cleared:
        seen.alerts[about] = Alert(about, level, text, seen.last, 1 if before is None else before.times + 1)
    else:
        before.level, before.text, before.times = level, text, before.times + 1
        seen.alerts[about] = before
    while len(seen.alerts) > MAX_ALERTS:
        seen.alerts.pop(next(iter(seen.alerts)))


def row_of(record: AnyLine | Unreadable) -> dict[str, float] | None:
    """What curves draw of a record: series → value; None where it has none."""
    match record:
        case Update():
            return _numbers({name: getattr(record, name) for name in UPDATE_SERIES})
        case Evaluation():
            mode, n = record.policy_mode, record.success.n or 1
            return _numbers({f"return {mode}": record.return_mean, f"success {mode}": record.success.k / n,
                             f"harm {mode}": record.harm.k / n})  # fmt: skip
        case BcEpoch():
            return _numbers({name: getattr(record, name) for name in EPOCH_SERIES})
    return None


UPDATE_SERIES = (
    *("entropy", "kl_divergence", "kl_to_reference", "loss_total", "loss_value", "loss_policy", "explained_variance"),
    *("bc_weight", "kl_weight", "expert_share", "learning_rate", "clip_fraction"),
)
EPOCH_SERIES = ("accuracy", "accuracy_heldout", "majority_baseline", "macro_f1", "loss", "loss_heldout")


def _numbers(values: Mapping[str, float | None]) -> dict[str, float]:
    """Those that were measured, in six significant digits: eyes need no more."""
    return {name: float(f"{value:.6g}") for name, value in values.items() if value is not None}
