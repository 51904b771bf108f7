"""What a log says, in numbers: where the run stands, the last and the farthest values, its phases, its alerts, and how fast it went.

Text, Markdown and JSON (`view/telemetry.py`) show these numbers, and no others. A value that was not measured is null, and is not shown.
"""

from collections.abc import Sequence
from statistics import median
from typing import Any, NamedTuple

from headstart.telemetry.drift import Comparison
from headstart.telemetry.fields import numbers, updates_of
from headstart.telemetry.imported import ImportedUpdate
from headstart.telemetry.kinds import (
    BcEpoch,
    Evaluation,
    GuardrailLine,
    Line,
    PhaseEnded,
    PhaseStarted,
    ReadingLine,
    RollbackLine,
    RunEnded,
    RunStarted,
    Update,
)
from headstart.telemetry.logs import AnyRecord, Log
from headstart.telemetry.social import Counted, social_of

EXTREMES = (
    *("loss_total", "kl_divergence", "grad_norm", "entropy", "return_mean", "reward_advantage_corr", "kl_to_reference"),
    *("queue_conflict_rate", "queue_intensity_rate", "queue_conflict_events", "queue_conflict_intensity_sum"),
    *("chat_quality_mean", "shared_meal_events", "showers", "sleeps"),
)
OF_EVALUATION = ("return_mean", "success_rate", "harm_rate")
NOT_APPLICABLE = "not applicable"  # how the reason of a guardrail begins that had nothing to look at

Value = float | int | str | None


class Phase(NamedTuple):
    """A phase of the schedule; of an imported log, a stage of its annealing."""

    name: str
    kind: str
    env_steps: int | None  # at its start
    env_steps_used: int | None
    updates: int
    rollbacks: int
    outcome: str  # `running` where the log ends within it
    bc_accuracy: float | None
    bc_threshold: float | None
    open_guardrails: tuple[str, ...]


class Alert(NamedTuple):
    """What a guardrail said, once or again and again."""

    guardrail: str
    severity: str
    decision: str
    times: int
    first: int  # env steps
    last: int
    reason: str  # the last one


class Extreme(NamedTuple):
    field: str
    least: float
    least_at: int  # iteration
    most: float
    most_at: int


class Summary(NamedTuple):
    log: str
    about: dict[str, Value]
    latest: dict[str, float]  # of the last update that has a value
    dataset: dict[str, Value]  # that the run learned from
    evaluations: dict[str, dict[str, float]]  # field → first, best, last
    social: tuple[Counted, ...]  # of a town
    extremes: tuple[Extreme, ...]
    phases: tuple[Phase, ...]
    alerts: tuple[Alert, ...]
    rollbacks: tuple[dict[str, Value], ...]
    drift: Comparison | None
    wall: dict[str, float]  # clock and host: what two equal runs do not share


def summarised(log: Log, last: int | None = None, drift: Comparison | None = None) -> Summary:
    """`last`: how many updates count for the latest values and the extremes; None: all."""
    updates = updates_of(log.records)
    recent = updates if last is None else updates[-last:]
    return Summary(
        log=log.name,
        about=_about(log, updates),
        latest=_latest(recent),
        dataset=_dataset(log.records),
        evaluations=_evaluations(log.records),
        social=social_of(log.records),
        extremes=tuple(_extremes(recent)),
        phases=tuple(_phases(log.records)),
        alerts=_alerts(log.records),
        rollbacks=tuple(_rollback(record) for record in log.records if isinstance(record, RollbackLine)),
        drift=drift,
        wall=_wall(log.records, updates),
    )


def as_json(summary: Summary, wall: bool = True) -> dict[str, Any]:
    """A summary as JSON has it."""
    found = summary._asdict() | {
        "social": [one._asdict() for one in summary.social],
        "extremes": [one._asdict() for one in summary.extremes],
        "phases": [one._asdict() for one in summary.phases],
        "alerts": [one._asdict() for one in summary.alerts],
        "drift": None if summary.drift is None else drift_json(summary.drift),
    }
    return found if wall else {name: value for name, value in found.items() if name != "wall"}


def drift_json(comparison: Comparison) -> dict[str, Any]:
    """A comparison with a baseline as JSON has it, with the difference of every update."""
    fields = [
        one._asdict() | {"limit": one.limit and one.limit._asdict(), "delta": one.delta, "relative": one.relative}
        for one in comparison.drifts
    ]
    return comparison._asdict() | {"drifts": fields, "is_beyond": comparison.is_beyond}


def _about(log: Log, updates: Sequence[Update | ImportedUpdate]) -> dict[str, Value]:
    first, last = log.records[0], log.records[-1]
    own = [record for record in log.records if isinstance(record, Line)]
    ended = last if isinstance(last, RunEnded) else None
    iterations = updates[-1].iteration if updates else 0
    started = next((record for record in own if isinstance(record, RunStarted)), None)
    found: dict[str, Value] = {name: getattr(first, name) for name in ("run_id", "arm", "world", "scenario", "seed", "stage")}
    found |= {
        "status": ended.status if ended else ("imported" if not own else "not ended"),
        "verdict": ended.verdict if ended else None,
        "reasons": "; ".join(ended.reasons) or None if ended else None,
        "env_steps": own[-1].env_steps if own else None,
        "steps_to_target": ended.steps_to_target if ended else None,
        "reached_target": ("no" if ended.censored else "yes") if ended and started else None,
        "updates": iterations,
        "updates_written": len(updates),
        "bc_epochs": sum(isinstance(record, BcEpoch) for record in own),
        "evaluations": len({record.env_steps for record in own if isinstance(record, Evaluation)}),
        "records": len(log.records),
        "first_seq": first.seq,
        "last_seq": last.seq,
        "segments": len(log.files),
        "torn_bytes": log.torn_bytes,
    }
    modes = sorted({one.data_mode for one in updates if isinstance(one, ImportedUpdate) and one.data_mode})
    versions = sorted({one.upgraded_from for one in updates if isinstance(one, ImportedUpdate)})
    return found | ({"upgraded_from": ", ".join(versions), "data_modes": ", ".join(modes) or None} if versions else {})


def _latest(updates: Sequence[Update | ImportedUpdate]) -> dict[str, float]:
    found: dict[str, float] = {}
    for update in updates:
        found |= {
            name: value
            for name, value in numbers(update).items()
            if value is not None and not name.startswith(("wall.", "social."))
        }
    return found


def _dataset(records: Sequence[AnyRecord]) -> dict[str, Value]:
    found = next((record.dataset for record in records if isinstance(record, RunStarted)), None)
    return found.model_dump() if found else {}


def _evaluations(records: Sequence[AnyRecord]) -> dict[str, dict[str, float]]:
    series: dict[str, list[float]] = {}
    for record in records:
        if isinstance(record, Evaluation):
            for name, value in numbers(record).items():
                if value is not None and name.partition(".")[2] in OF_EVALUATION:
                    series.setdefault(name, []).append(value)
    best = {name: min if name.endswith("harm_rate") else max for name in series}
    return {name: {"first": of[0], "best": best[name](of), "last": of[-1]} for name, of in series.items()}


def _extremes(updates: Sequence[Update | ImportedUpdate]) -> list[Extreme]:
    series: dict[str, list[tuple[float, int]]] = {}
    for update in updates:
        for name, value in numbers(update).items():
            if value is not None and name in EXTREMES:
                series.setdefault(name, []).append((value, update.iteration))
    found = {name: (min(of, key=lambda one: one[0]), max(of, key=lambda one: one[0])) for name, of in series.items()}
    return [Extreme(name, *found[name][0], *found[name][1]) for name in EXTREMES if name in found]


def _phases(records: Sequence[AnyRecord]) -> list[Phase]:
    found: list[Phase] = []
    for record in records:
        if isinstance(record, ImportedUpdate):
            _imported_phase(found, record)
        elif isinstance(record, PhaseStarted):
            name = record.phase or "?"
            found.append(Phase(name, record.phase_kind, record.env_steps, None, 0, 0, "running", None, None, ()))
        elif not found or not isinstance(record, Line) or record.phase is None:
            continue
        elif isinstance(record, Update):
            found[-1] = found[-1]._replace(updates=found[-1].updates + 1)
        elif isinstance(record, RollbackLine):
            found[-1] = found[-1]._replace(rollbacks=found[-1].rollbacks + 1)
        elif isinstance(record, BcEpoch):
            found[-1] = found[-1]._replace(bc_accuracy=record.accuracy_heldout)
        elif isinstance(record, ReadingLine | GuardrailLine):
            found[-1] = _judged(found[-1], record)
        elif isinstance(record, PhaseEnded):
            found[-1] = found[-1]._replace(
                outcome=record.outcome, env_steps_used=record.env_steps_used, open_guardrails=record.open_guardrails
            )
    return found


def _judged(phase: Phase, record: ReadingLine | GuardrailLine) -> Phase:
    """What a bc phase was held to."""
    if isinstance(record, GuardrailLine):
        return (
            phase._replace(bc_threshold=record.threshold) if record.guardrail == "bc_accuracy" and phase.kind == "bc" else phase
        )
    value = record.values.get("bc_accuracy")
    return phase._replace(bc_accuracy=value) if isinstance(value, float) else phase


def _imported_phase(found: list[Phase], record: ImportedUpdate) -> None:
    """Updates in a row of one stage and cycle are a phase."""
    if record.anneal is None:
        return
    at, name = record.anneal, f"{record.anneal.stage or '?'}, cycle {record.anneal.cycle}"
    if not found or found[-1].name != name:
        found.append(Phase(name, at.stage or "?", None, None, 0, 0, "imported", None, None, ()))
    flags = tuple(flag for flag in ("loss", "queue", "intensity") if getattr(at, f"{flag}_flag"))
    open_now = tuple(dict.fromkeys((*found[-1].open_guardrails, *flags)))
    found[-1] = found[-1]._replace(
        updates=found[-1].updates + 1, bc_accuracy=at.bc_accuracy, bc_threshold=at.bc_threshold, open_guardrails=open_now
    )


def _alerts(records: Sequence[AnyRecord]) -> tuple[Alert, ...]:
    found: dict[tuple[str, str, str], Alert] = {}
    for record in records:
        if isinstance(record, GuardrailLine):
            severity = NOT_APPLICABLE if record.reason.startswith(NOT_APPLICABLE) else record.severity
            key = (record.guardrail, severity, record.decision)
            before = found.get(key, Alert(*key, 0, record.env_steps, 0, ""))
            found[key] = before._replace(times=before.times + 1, last=record.env_steps, reason=record.reason)
    rank = {"breach": 0, "warn": 1}
    return tuple(sorted(found.values(), key=lambda alert: rank.get(alert.severity, 2)))


def _rollback(record: RollbackLine) -> dict[str, Value]:
    return {
        "env_steps": record.env_steps,
        "phase": record.phase,
        "to_checkpoint_id": record.to_checkpoint_id,
        "exact": "yes" if record.restored_state_sha256 == record.to_state_sha256 else "no",
        "env_steps_discarded": record.env_steps_discarded,
        "attempt": record.attempt,
        "next": record.next,
    }


def _wall(records: Sequence[AnyRecord], updates: Sequence[Update | ImportedUpdate]) -> dict[str, float]:
    rates = [one.wall.env_steps_per_s for one in updates if isinstance(one, Update) and one.wall.env_steps_per_s is not None]
    seconds = [one.wall.update_s for one in updates if one.wall.update_s is not None]
    memory = [one.wall.rss_mib for one in records if isinstance(one, Line) and one.wall.rss_mib is not None]
    found: dict[str, float] = {}
    if rates:
        found["env_steps_per_s, median"] = median(rates)
    if seconds:
        found |= {"seconds of an update, median": median(seconds), "seconds of all updates": sum(seconds)}
    return found | ({"memory, most, MiB": max(memory)} if memory else {})
