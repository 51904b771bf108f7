"""One seed of an arm under guard: what it does is logged, held to its guardrails, and kept so that it can go back, or go on after a kill.

event ─▶ telemetry ─▶ reading ─▶ guard.control.judge ─┬─ continue
                                                      ├─ rollback: restore, prove it by hash, retry
                                                      └─ freeze, stop: back to the newest safe weights, and the run is over
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from headstart.compare.arm_runs import CurvePoint
from headstart.config.scenario import Scenario, Target
from headstart.core.errors import InputError, IntegrityError
from headstart.guard import control as rules
from headstart.guard.control import Control
from headstart.guard.guardrails import Reading
from headstart.guard.recorded import shown
from headstart.guard.reference import OF_PHASE, first_shown, kpi
from headstart.learn.anneal import Cloned, Evaluated, Event, PhaseBegan, PhaseEnded, Trainer, Updated, run
from headstart.learn.state import begin_retry, restore, state_of, state_sha256
from headstart.runs import arm_telemetry as say
from headstart.runs.clone_telemetry import epoch_fields
from headstart.runs.progress import KeptState, Progress, load_state, save_progress, save_state
from headstart.runs.worlds import score_of
from headstart.telemetry.writer import TelemetryWriter

CONTROL: TypeAdapter[Control] = TypeAdapter(Control)


@dataclass(frozen=True)
class Watch:
    """What does not change while a seed runs."""

    scenario: Scenario
    target: Target  # telemetry says when it is met
    returns: tuple[float, float] | None  # of an untrained policy and of the expert; None: only what is not finite is watched
    run_dir: Path  # where states and progress are kept
    report: Callable[[int], None]  # env steps done


@dataclass(frozen=True)
class Return:
    """Proof of having gone back."""

    to: KeptState
    left: str  # hash of the state that was given up
    restored: str  # hash after `to` was put back
    skipped: tuple[dict[str, str], ...]  # checkpoints that were not whole


@dataclass
class GuardedRun:
    """A trainer, and all that is remembered about it."""

    trainer: Trainer
    watch: Watch
    telemetry: TelemetryWriter
    control: Control = field(default_factory=rules.begin)
    reference: dict[str, float] = field(default_factory=dict)  # what guardrails compare with
    curve: list[CurvePoint] = field(default_factory=list)
    states: dict[str, KeptState] = field(default_factory=dict)
    transitions: int = 0
    rollbacks: int = 0
    hook: Callable[[Reading], Reading] = lambda reading: reading  # what a drill makes of a reading before it is judged
    clock: float = field(default_factory=time.monotonic)


def go(guarded: GuardedRun) -> None:
    """Run the schedule to its end, or to the breach that ends it."""
    for event in run(guarded.trainer):
        _TAKE[type(event)](guarded, event)
        if guarded.control.status != "running":
            return
    guarded.control = rules.completed(guarded.control)


def resume(guarded: GuardedRun, progress: Progress) -> None:
    """Stand where an interrupted run last stood."""
    state = load_state(guarded.watch.run_dir, progress.latest)
    kept = {state.id: state for state in progress.states}
    restore(guarded.trainer, state, charged=True)
    found = state_sha256(state_of(guarded.trainer))
    if found != kept[progress.latest].sha256:
        raise IntegrityError(
            f"{guarded.watch.run_dir}: state {progress.latest}: expected hash {kept[progress.latest].sha256}, found {found}"
        )
    guarded.control = CONTROL.validate_python(progress.control)
    guarded.reference, guarded.curve = dict(progress.reference), list(progress.curve)
    guarded.states, guarded.transitions, guarded.rollbacks = kept, progress.transitions, progress.rollbacks


# --- events -----------------------------------------------------------------------------------------------------------


def _phase_began(guarded: GuardedRun, event: PhaseBegan) -> None:
    name = f"{event.phase.name}-start-{event.env_steps}"
    guarded.control = rules.phase_began(guarded.control, event.index, name)
    guarded.reference.pop(OF_PHASE, None)
    state = _keep(guarded, name)
    guarded.telemetry.write(
        "phase_started", **say.phase_fields(event, guarded.trainer.arm, guarded.control, state, guarded.reference)
    )
    _commit(guarded, name)


def _updated(guarded: GuardedRun, event: Updated) -> None:
    m = event.metrics
    guarded.transitions += int(m["transitions"])
    seconds, guarded.clock = time.monotonic() - guarded.clock, time.monotonic()
    trainer = guarded.trainer
    fields = say.update_fields(event, trainer.player.world, trainer.arm.ppo.num_epochs, guarded.transitions, seconds)
    guarded.telemetry.write("update", **fields | say.schedule_fields(event, trainer, guarded.control, guarded.reference))
    guarded.watch.report(event.rollout.reward.size)
    values = {
        name: m.get(name) for name in ("nonfinite", "kl_divergence", "grad_norm", "entropy", "kl_to_reference", "loss_total")
    }
    if m["expert_steps"] == event.rollout.reward.size:
        values["entropy"] = None  # no row is the policy's own
    guarded.reference |= first_shown(guarded.reference, values)
    _judge(guarded, Reading("update", event.env_steps, values))


def _cloned(guarded: GuardedRun, event: Cloned) -> None:
    guarded.telemetry.write("bc_epoch", **epoch_fields(event.epoch, guarded.trainer.player.world.names.actions))
    epoch = event.epoch
    if not math.isfinite(epoch.loss):  # of whatever actions: nothing that it shows can be trusted
        _judge(guarded, Reading("evaluation", event.env_steps, {"bc_accuracy": math.nan}))
    elif guarded.trainer.phase_is_over and epoch.heldout.scores:  # reals are right or wrong by a margin: closed loop decides
        _judge(guarded, Reading("evaluation", event.env_steps, {"bc_accuracy": epoch.heldout.accuracy}))


def _evaluated(guarded: GuardedRun, event: Evaluated) -> None:
    watch, trainer = guarded.watch, guarded.trainer
    world = trainer.evaluation
    scores = {mode: score_of(played, world, watch.scenario) for mode, played in event.played.items()}
    guarded.curve.append(CurvePoint(env_steps=event.env_steps, scores=scores))
    sampled = scores["sampled"]
    for line in say.evaluation_fields(event, trainer.network, world, trainer.design.seed, guarded.curve, watch.target):
        guarded.telemetry.write("evaluation", **line)
    values = {"success_rate": sampled.success / sampled.episodes, "harm_rate": sampled.harm / sampled.episodes}
    if world.names.world == "town":
        values |= say.conflict_rates(event.played["sampled"], world)
    if (kept := kpi(sampled.measures, guarded.curve[0].score("sampled").measures)) is not None:
        values["kpi"] = kept
    if watch.returns is not None:
        untrained, expert = watch.returns
        if expert > untrained:  # else there is no scale, and the guardrail says that it could not be checked
            values["return_normalised"] = (sampled.return_mean - untrained) / (expert - untrained)
    if not guarded.reference:  # the first evaluation is of what the run starts from
        guarded.reference |= values
    if guarded.control.phase >= 0:
        _judge(guarded, Reading("evaluation", event.env_steps, values))
    if guarded.control.status == "running" and guarded.control.phase >= 0:
        name = f"at-{event.env_steps}"
        _keep(guarded, name)
        guarded.control = rules.checkpointed(guarded.control, name)
        _commit(guarded, name)
    guarded.clock = time.monotonic()


def _phase_ended(guarded: GuardedRun, event: PhaseEnded) -> None:
    _end_phase(guarded, event.env_steps, rules.phase_outcome(guarded.control))


_TAKE: dict[type[Event], Callable[[GuardedRun, Any], None]] = {
    PhaseBegan: _phase_began,
    Updated: _updated,
    Cloned: _cloned,
    Evaluated: _evaluated,
    PhaseEnded: _phase_ended,
}


# --- decisions --------------------------------------------------------------------------------------------------------


def _judge(guarded: GuardedRun, reading: Reading) -> None:
    if guarded.watch.returns is None:  # nothing was taught that could be forgotten
        reading = Reading(reading.kind, reading.env_steps, {"nonfinite": reading.values.get("nonfinite")})
    reading = guarded.hook(reading)
    guarded.telemetry.write("reading", env_steps=reading.env_steps, check=reading.kind, values=shown(reading))
    guarded.control, decision = rules.judge(guarded.control, guarded.trainer.arm, reading, guarded.reference)
    for finding in decision.findings:
        guarded.telemetry.write("guardrail", **finding.model_dump())
    if decision.action == "rollback":
        back = go_back(guarded, decision.targets)
        guarded.control = rules.rolled_back(guarded.control, guarded.trainer.arm, back.to.id)
        _say_rollback(guarded, back, "retry")
        begin_retry(guarded.trainer, guarded.control.attempt, guarded.control.learning_rate_factor, guarded.control.kl_factor)
    elif decision.action in ("freeze", "stop"):
        back = go_back(guarded, rules.targets(guarded.control))
        _say_rollback(guarded, back, "hold" if decision.action == "freeze" else "stop")
        _end_phase(guarded, reading.env_steps, rules.phase_outcome(guarded.control))


def go_back(guarded: GuardedRun, targets: Sequence[str]) -> Return:
    """Restore the first target that is whole, proved by its hash; IntegrityError if none is."""
    left, skipped = state_sha256(state_of(guarded.trainer)), []
    for name in targets:
        kept = guarded.states[name]
        try:
            restore(guarded.trainer, load_state(guarded.watch.run_dir, name))
        except (IntegrityError, InputError) as error:
            skipped.append({"id": name, "reason": str(error)})
            continue
        restored = state_sha256(state_of(guarded.trainer))
        if restored == kept.sha256:
            guarded.rollbacks += 1
            return Return(kept, left, restored, tuple(skipped))
        skipped.append({"id": name, "reason": f"expected hash {kept.sha256}, found {restored}"})
    raise IntegrityError(f"no checkpoint can be gone back to: {skipped}")


def _say_rollback(guarded: GuardedRun, back: Return, then: str) -> None:
    guarded.telemetry.write(
        "rollback",
        from_state_sha256=back.left,
        to_checkpoint_id=back.to.id,
        to_state_sha256=back.to.sha256,
        restored_state_sha256=back.restored,
        exact=back.restored == back.to.sha256,
        env_steps_discarded=guarded.trainer.at.env_steps - back.to.env_steps,
        attempt=guarded.control.attempt,
        next=then,
        skipped_checkpoints=back.skipped,
    )


def _end_phase(guarded: GuardedRun, env_steps: int, outcome: str) -> None:
    began = guarded.trainer.at.phase_began
    flags = dict.fromkeys(guarded.control.open, True)
    guarded.telemetry.write("phase_ended", env_steps=env_steps, outcome=outcome, env_steps_used=env_steps - began, flags=flags)


# --- states -----------------------------------------------------------------------------------------------------------


def _keep(guarded: GuardedRun, name: str) -> KeptState:
    """Put the whole state on disk, so that the run can come back to it."""
    state = state_of(guarded.trainer)
    size = save_state(guarded.watch.run_dir, name, state)
    kept = KeptState(id=name, sha256=state_sha256(state), env_steps=guarded.trainer.at.env_steps, bytes=size)
    guarded.states[name] = kept
    guarded.telemetry.write("checkpoint", **say.state_fields(kept, guarded.watch.run_dir, guarded.telemetry.seq))
    return kept


def _commit(guarded: GuardedRun, latest: str) -> None:
    """From here a run that is killed goes on; states that nothing can return to are forgotten."""
    control = guarded.control
    wanted = {latest, *control.safe, *control.candidates, control.phase_start}
    guarded.states = {name: state for name, state in guarded.states.items() if name in wanted}
    progress = Progress(
        latest=latest,
        states=tuple(guarded.states.values()),
        curve=tuple(guarded.curve),
        control=CONTROL.dump_python(control, mode="json"),
        reference=guarded.reference,
        telemetry_seq=guarded.telemetry.seq,
        transitions=guarded.transitions,
        rollbacks=guarded.rollbacks,
    )
    guarded.telemetry.flush()
    save_progress(guarded.watch.run_dir, progress)
