"""One seed of an arm under guard: what it does is logged, held to its guardrails, and kept so that it can go back, or go on after a kill.

event ─▶ telemetry ─▶ reading ─▶ guard.control.judge ─┬─ continue
                                                      ├─ rollback: restore, prove it by hash, retry
                                                      └─ freeze, stop: back to the newest safe weights, and the run is over
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from headstart.compare.arm_runs import CurvePoint, Score
from headstart.config.params import TelemetryParams
from headstart.config.scenario import Scenario, Target
from headstart.core.arrays import Mode
from headstart.core.errors import InputError, IntegrityError
from headstart.guard import control
from headstart.guard.control import Action, Control
from headstart.guard.guardrails import Reading, kpi
from headstart.learn.anneal import Cloned, Evaluated, PhaseBegan, PhaseEnded, Trainer, Updated, run
from headstart.learn.bc import epoch_fields
from headstart.learn.state import begin_retry, restore, state_of, state_sha256
from headstart.runs.arm_telemetry import (
    conflict_rates,
    evaluation_fields,
    hardest_target,
    minibatch_fields,
    reading_fields,
    update_fields,
)
from headstart.runs.progress import Progress
from headstart.runs.states import KeptState, commit, load_state
from headstart.runs.trainer_states import go_on, keep
from headstart.runs.worlds import score_of
from headstart.telemetry.writer import TelemetryWriter

WATCHED = ("nonfinite", "kl_divergence", "grad_norm", "entropy", "kl_to_reference", "loss_total")  # metrics of an update
NEXT: Mapping[Action, str] = {"rollback": "retry", "freeze": "hold", "stop": "stop"}  # after going back, as telemetry says it


@dataclass(frozen=True)
class RunSetup:
    """What does not change while a seed runs."""

    scenario: Scenario
    returns: tuple[float, float] | None  # of an untrained policy and of the expert; None: only what is not finite is watched
    run_dir: Path  # where states and progress are kept
    report: Callable[[int | str], None]  # env steps done, or a few words on how the run stands
    telemetry: TelemetryParams = field(default_factory=TelemetryParams)  # which updates the log holds
    target: Target | None = None  # that the log tells of; None: the hardest of the scenario
    settled: Callable[[Sequence[CurvePoint]], bool] = lambda curve: False  # whether training may end before its budget


@dataclass
class GuardedRun:
    """A trainer, and all that is remembered about it."""

    trainer: Trainer
    setup: RunSetup
    telemetry: TelemetryWriter
    control: Control = field(default_factory=Control)
    reference: dict[str, float] = field(default_factory=dict)  # what guardrails compare with
    curve: list[CurvePoint] = field(default_factory=list)
    states: dict[str, KeptState] = field(default_factory=dict)
    rollbacks: int = 0
    hook: Callable[[Reading], Reading] = lambda reading: reading  # what a drill makes of a reading before it is judged
    clock: float = field(default_factory=time.monotonic)

    @property
    def mode(self) -> Mode:
        """How the policy acts in the evaluations that guardrails and the line of progress look at."""
        return "sampled" if "sampled" in self.trainer.modes else self.trainer.modes[0]

    @property
    def target(self) -> Target:
        return self.setup.target or hardest_target(self.setup.scenario)


def run_guarded(guarded: GuardedRun) -> None:
    """Run the schedule to its end, to the breach that ends it, or until it has settled."""
    events = run(guarded.trainer)
    while not guarded.setup.settled(guarded.curve):
        match next(events, None):
            case None:
                break
            case PhaseBegan() as event:
                _phase_began(guarded, event)
            case Updated() as event:
                _updated(guarded, event)
            case Cloned() as event:
                _cloned(guarded, event)
            case Evaluated() as event:
                _evaluated(guarded, event)
            case PhaseEnded() as event:
                _end_phase(guarded, event.env_steps)
        if guarded.control.status != "running":
            return
    if guarded.trainer.at.begun:  # settled within a phase
        _end_phase(guarded, guarded.trainer.at.env_steps)
    guarded.control = control.completed(guarded.control)


def resume(guarded: GuardedRun, progress: Progress) -> None:
    """Stand where an interrupted run last stood."""
    kept = {state.id: state for state in progress.states}
    go_on(guarded.setup.run_dir, kept[progress.latest], guarded.trainer)
    guarded.control = progress.control
    guarded.reference, guarded.curve = dict(progress.reference), list(progress.curve)
    guarded.states, guarded.rollbacks = kept, progress.rollbacks


# --- events -----------------------------------------------------------------------------------------------------------


def _phase_began(guarded: GuardedRun, event: PhaseBegan) -> None:
    name = f"{event.phase.name}-start-{event.env_steps}"
    guarded.control = control.phase_began(guarded.control, name)
    guarded.reference.pop(control.OF_PHASE, None)
    _say(guarded)
    _keep(guarded, name)
    guarded.telemetry.write(
        "phase_started",
        env_steps=event.env_steps,
        phase=event.phase.name,
        phase_index=event.index,
        phase_kind=event.phase.kind,
        rollback_target=name,
        baselines=guarded.reference,
    )
    _commit(guarded, name)


def _updated(guarded: GuardedRun, event: Updated) -> None:
    seconds, guarded.clock = time.monotonic() - guarded.clock, time.monotonic()
    world, env_steps = guarded.trainer.player.world, event.steps
    write = partial(_write_update, guarded, event, update_fields(event, world, guarded.control.open, seconds))
    if due := _is_due(guarded, event):
        write()
    guarded.setup.report(env_steps)
    values = {name: event.metrics.get(name) for name in WATCHED}
    if (step := event.metrics.get("kl_step")) is not None:
        values["kl_divergence"] = step  # that of recorded rows is measured from whoever acted in them
    if event.metrics["expert_steps"] == env_steps:
        values["entropy"] = None  # no row is the policy's own
    guarded.reference |= control.first_shown(guarded.reference, values)
    _check(guarded, Reading("update", event.env_steps, values), on_finding=None if due else write)


def _is_due(guarded: GuardedRun, event: Updated) -> bool:
    """Whether the log holds an update whatever the guardrails say: the first and last of an attempt at a phase, and every n-th."""
    trainer, every = guarded.trainer, guarded.setup.telemetry.every * guarded.telemetry.thinned
    is_first = event.env_steps - event.steps <= trainer.at.attempt_from
    return is_first or trainer.phase_is_over or event.epoch % every == 0


def _write_update(guarded: GuardedRun, event: Updated, fields: dict[str, Any]) -> None:
    guarded.telemetry.write("update", **fields)
    if guarded.setup.telemetry.minibatch:
        for step in minibatch_fields(event, guarded.trainer.arm.ppo.num_epochs):
            guarded.telemetry.write("minibatch", **step)


def _cloned(guarded: GuardedRun, event: Cloned) -> None:
    epoch = event.epoch
    guarded.telemetry.write("bc_epoch", **epoch_fields(epoch, guarded.trainer.player.world.names.actions))
    if not math.isfinite(epoch.loss):  # whatever the actions are, nothing that this clone shows can be trusted
        _check(guarded, Reading("evaluation", event.env_steps, {"bc_accuracy": math.nan}))
    elif guarded.trainer.phase_is_over and epoch.heldout.scores:  # a clone with continuous actions is judged in closed loop only
        _check(guarded, Reading("evaluation", event.env_steps, {"bc_accuracy": epoch.heldout.accuracy}))


def _evaluated(guarded: GuardedRun, event: Evaluated) -> None:
    setup, trainer = guarded.setup, guarded.trainer
    scores = {mode: score_of(played, trainer.evaluation, setup.scenario) for mode, played in event.played.items()}
    guarded.curve.append(CurvePoint(env_steps=event.env_steps, scores=scores))
    _say(guarded)
    for fields in evaluation_fields(event, trainer, guarded.curve, guarded.target):
        guarded.telemetry.write("evaluation", **fields)
    values = _evaluation_values(guarded, event, scores[guarded.mode])
    if not guarded.reference:  # the first evaluation is of what the run starts from
        guarded.reference |= values
    if trainer.at.begun:
        _check(guarded, Reading("evaluation", event.env_steps, values))
        if guarded.control.status == "running":
            name = f"at-{event.env_steps}"
            _keep(guarded, name)
            guarded.control = control.checkpointed(guarded.control, name)
            _commit(guarded, name)
    guarded.clock = time.monotonic()


def _evaluation_values(guarded: GuardedRun, event: Evaluated, score: Score) -> dict[str, float]:
    """The metrics of an evaluation that guardrails watch."""
    world = guarded.trainer.evaluation
    values = {"success_rate": score.success_rate, "harm_rate": score.harm_rate}
    if world.names.world == "town":
        values |= conflict_rates(event.played[guarded.mode], world)
    if (least := kpi(score.measures, guarded.curve[0].score(guarded.mode).measures)) is not None:
        values["kpi"] = least
    if guarded.setup.returns is not None:
        untrained, expert = guarded.setup.returns
        if expert > untrained:  # else there is no scale, and the guardrail says that it could not be checked
            values["return_normalised"] = (score.return_mean - untrained) / (expert - untrained)
    return values


def _say(guarded: GuardedRun) -> None:
    """For whoever watches: the phase, and the success of the latest evaluation."""
    phases, at = guarded.trainer.arm.phases, guarded.trainer.at
    success = f", success {guarded.curve[-1].score(guarded.mode).success_rate:.3f}" if guarded.curve else ""
    guarded.setup.report(f"{phases[min(at.phase, len(phases) - 1)].name}{success}")


def _end_phase(guarded: GuardedRun, env_steps: int) -> None:
    guarded.telemetry.write(
        "phase_ended",
        env_steps=env_steps,
        outcome=control.phase_outcome(guarded.control),
        env_steps_used=env_steps - guarded.trainer.at.phase_from,
        open_guardrails=guarded.control.open,
    )


# --- decisions --------------------------------------------------------------------------------------------------------


def _check(guarded: GuardedRun, reading: Reading, on_finding: Callable[[], None] | None = None) -> None:
    """Hold a reading to the guardrails, and do what they decide; `on_finding` comes before the log has the reading."""
    trainer = guarded.trainer
    if guarded.setup.returns is None:  # the run starts from random weights: nothing was learned that could be lost
        reading = Reading(reading.kind, reading.env_steps, {"nonfinite": reading.values.get("nonfinite")})
    reading = guarded.hook(reading)
    guarded.control, decision = control.judge(guarded.control, trainer.at, trainer.arm, reading, guarded.reference)
    if on_finding and decision.findings:
        on_finding()
    guarded.telemetry.write("reading", **reading_fields(reading))
    for finding in decision.findings:
        guarded.telemetry.write("guardrail", **finding.model_dump())
    if decision.action == "continue":
        return
    proof = go_back(guarded, decision.targets)
    if decision.action == "rollback":
        guarded.control = control.rolled_back(guarded.control, proof["to_checkpoint_id"])
        begin_retry(trainer)
    guarded.telemetry.write("rollback", **proof, attempt=trainer.at.attempt, next=NEXT[decision.action])
    if decision.action != "rollback":
        _end_phase(guarded, reading.env_steps)


def go_back(guarded: GuardedRun, targets: Sequence[str]) -> dict[str, Any]:
    """Restore the first target that is whole; returns the proof, as telemetry's `rollback` has it. IntegrityError if none is whole."""
    trainer = guarded.trainer
    left, skipped = state_sha256(state_of(trainer)), []
    for name in targets:
        kept = guarded.states[name]
        try:
            restore(trainer, load_state(guarded.setup.run_dir, name))
            if (restored := state_sha256(state_of(trainer))) != kept.sha256:
                raise IntegrityError(f"expected hash {kept.sha256}, found {restored}")
        except (IntegrityError, InputError) as error:
            skipped.append({"id": name, "reason": str(error)})
            continue
        guarded.rollbacks += 1
        return {
            "from_state_sha256": left,
            "to_checkpoint_id": name,
            "to_state_sha256": kept.sha256,
            "restored_state_sha256": restored,
            "env_steps_discarded": trainer.at.env_steps - kept.env_steps,
            "skipped_checkpoints": skipped,
        }
    raise IntegrityError(f"no checkpoint can be gone back to: {skipped}")


# --- states -----------------------------------------------------------------------------------------------------------


def _keep(guarded: GuardedRun, name: str) -> None:
    """Put the whole state on disk, so that the run can come back to it."""
    guarded.states[name] = kept = keep(guarded.setup.run_dir, name, guarded.trainer)
    guarded.telemetry.write("checkpoint", checkpoint_id=name, state_sha256=kept.sha256)


def _commit(guarded: GuardedRun, latest: str) -> None:
    """From here a run that is killed goes on; states that nothing can return to are forgotten."""
    wanted = {latest, *guarded.control.safe, *guarded.control.candidates, guarded.control.phase_start}
    guarded.states = {name: state for name, state in guarded.states.items() if name in wanted}
    progress = Progress(
        latest=latest,
        states=tuple(guarded.states.values()),
        curve=tuple(guarded.curve),
        control=guarded.control,
        reference=guarded.reference,
        telemetry_seq=guarded.telemetry.seq,
        rollbacks=guarded.rollbacks,
    )
    guarded.telemetry.flush()
    commit(guarded.setup.run_dir, progress, guarded.states)
