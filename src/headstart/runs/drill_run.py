"""A short real run with an injected fault: the arm on a handful of worlds, good readings, and the fault of one guardrail among them."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from headstart.config.params import EvaluationParams, Params
from headstart.config.project import MODELS, WORK_DIR
from headstart.config.scenario import Scenario
from headstart.config.schedule import NOTHING, Arm, Phase
from headstart.core.errors import IntegrityError
from headstart.guard.control import Action, targets
from headstart.guard.drill import faulty_reading, good_reading
from headstart.guard.guardrails import Guardrail, Reading
from headstart.guard.traces import REFERENCE
from headstart.learn.anneal import Trainer, learn, trainer_of
from headstart.learn.networks import ActorCritic
from headstart.learn.state import state_of, state_sha256
from headstart.runs.guarded_run import GuardedRun, RunSetup, run_guarded
from headstart.runs.policy import load_policy, new_network
from headstart.runs.states import load_state, save_state, state_path
from headstart.runs.worlds import worlds_of
from headstart.telemetry.kinds import CheckpointLine, Envelope, GuardrailLine, RollbackLine
from headstart.telemetry.reader import read_telemetry
from headstart.telemetry.writer import TelemetryWriter
from headstart.worlds.api import World

WORLDS, TICKS, HORIZON = 8, 8, 12
UPDATES = 12  # of the last phase, in which faults are injected; every phase before it has one
EVALUATION_WORLDS, EVALUATION_EVERY = 4, 2  # updates


@dataclass(frozen=True)
class DrillSetup:
    """What the runs of all drills share."""

    scenario: Scenario
    arm: Arm  # scaled down
    network: ActorCritic  # every run begins with a copy of it
    training: World
    evaluation: World

    @property
    def phase(self) -> Phase:
        """The phase in which faults are injected."""
        return self.arm.phases[-1]


@dataclass(frozen=True)
class Drill:
    """A fault, and what has to follow it."""

    rule: Guardrail
    fault: str
    expected: Action
    readings: int  # faulty ones in a row
    places: range  # readings of the last phase, counted from 1, with which the fault may begin; updates follow the fault
    next: Sequence[str]  # what has to follow each time that the run goes back, as telemetry says it
    damage: Callable[[Path, str], None] | None = None  # done to the newest target in the run's folder when the fault comes


def drill_setup(params: Params, scenario: Scenario, arm: str) -> tuple[DrillSetup, str]:
    """Worlds, the arm scaled down, and the clone that is at hand or else a new network; and in words which of them."""
    torch.set_num_threads(1)
    small = Scenario.model_validate(scenario.model_dump() | {"horizon": min(scenario.horizon, HORIZON)})
    training = worlds_of(small, "training", WORLDS, params.capture.observation)
    evaluation = worlds_of(small, "evaluation", EVALUATION_WORLDS, params.capture.observation)
    clone = next(iter(sorted((MODELS / scenario.name / "bc").glob("seed-*"))), None)
    if clone is not None:
        network, origin = load_policy(clone, training)[0], f"the clone in {clone}"
    else:
        network, origin = new_network(training, params.network, 0), "a new network, there is no clone at hand"
    return DrillSetup(small, scaled_down(params.arms[arm], TICKS * training.num_envs), network, training, evaluation), origin


def scaled_down(arm: Arm, rollout: int) -> Arm:
    """The arm's phases, guardrails and on_breach with a few small rollouts of `rollout` env steps.

    Nothing is read from a dataset: bc phases and those of data: replay are left out, no expert drives, and no demonstration weighs.
    """
    kept = [phase for phase in arm.phases if not phase.in_epochs]
    alone = {"expert_share": NOTHING, "bc_weight": NOTHING, "replay_share": NOTHING, "data": "rollout"}
    phases = [phase.model_copy(update=alone | {"env_steps": rollout}) for phase in kept]
    phases[-1] = phases[-1].model_copy(update={"env_steps": UPDATES * rollout})
    sizes = {"worlds": WORLDS, "rollout_ticks": TICKS, "num_epochs": 2, "mini_batch_size": max(rollout // 2, 1)}
    return arm.model_copy(update={"ppo": arm.ppo.model_copy(update=sizes), "phases": tuple(phases)})


@dataclass
class Injection:
    """The hook of a run: every reading is a good one, but for those of the fault."""

    guarded: GuardedRun
    drill: Drill
    first: int  # faulty reading in the last phase, counted from 1
    readings: int = 0  # of the guardrail's kind in the last phase, so far
    newest: str | None = None  # target when the fault came

    def __call__(self, reading: Reading) -> Reading:
        guarded, trainer = self.guarded, self.guarded.trainer
        guarded.reference |= REFERENCE
        if trainer.at.phase < len(trainer.arm.phases) - 1 or reading.kind != self.drill.rule.on:
            return good_reading(reading.kind, reading.env_steps)
        self.readings += 1
        if not self.first <= self.readings < self.first + self.drill.readings:
            return good_reading(reading.kind, reading.env_steps)
        if self.newest is None:
            self.newest = targets(guarded.control)[0]
            if self.drill.damage:
                self.drill.damage(guarded.setup.run_dir, self.newest)
        return faulty_reading(self.drill.rule, reading.env_steps, self.readings - self.first)


@dataclass(frozen=True)
class DrillRun:
    """How one run with a fault in it went."""

    injected: bool
    breaches: tuple[GuardrailLine, ...]  # of the guardrail that is drilled
    exact: bool  # as in Row, as are the next two
    goes_on: bool
    right: bool


def run_with_fault(setup: DrillSetup, arm: Arm, drill: Drill, seed: int, first: int) -> DrillRun:
    """One run from its beginning to its end, with the fault from reading `first` of the last phase on."""
    scenario = setup.scenario
    envelope = Envelope(
        run_id=f"drill-{seed}", arm="drill", world=scenario.world, scenario=scenario.name, seed=seed, stage="anneal"
    )
    every = EVALUATION_EVERY * TICKS * setup.training.num_envs
    design = EvaluationParams(seed=1, worlds=EVALUATION_WORLDS, every=every, exam_seed=2, exam_worlds=1)
    trainer = trainer_of(deepcopy(setup.network), arm, setup.training, setup.evaluation, design, seed)
    WORK_DIR.mkdir(exist_ok=True)
    with TemporaryDirectory(prefix="drill-", dir=WORK_DIR) as folder:
        of_run = RunSetup(scenario, (0.0, 1.0), Path(folder), lambda steps: None)
        with TelemetryWriter(Path(folder, "telemetry"), envelope) as telemetry:
            guarded = GuardedRun(trainer, of_run, telemetry)
            guarded.hook = injection = Injection(guarded, drill, first)
            with suppress(IntegrityError):  # nothing could be gone back to: a drill that missed
                run_guarded(guarded)
        lines = read_telemetry(Path(folder, "telemetry"))
    found = [line for line in lines if isinstance(line, GuardrailLine) and line.severity == "breach"]
    rollbacks = [line for line in lines if isinstance(line, RollbackLine)]
    kept = {line.checkpoint_id: line.state_sha256 for line in lines if isinstance(line, CheckpointLine)}
    ended = guarded.control.status != "completed"
    left_with = state_sha256(state_of(trainer))  # what telemetry says of a run that was ended is held against the trainer
    exact = all(line.restored_state_sha256 == kept[line.to_checkpoint_id] != line.from_state_sha256 for line in rollbacks)
    return DrillRun(
        injected=injection.newest is not None,
        breaches=tuple(line for line in found if line.guardrail == drill.rule.name),
        exact=exact and bool(rollbacks) and (not ended or left_with == kept[rollbacks[-1].to_checkpoint_id]),
        goes_on=_learns_on(trainer) if ended else trainer.at.env_steps == arm.budget,
        right=[line.next for line in rollbacks] == list(drill.next) and _right_target(drill, rollbacks[0], injection.newest),
    )


def _right_target(drill: Drill, back: RollbackLine, newest: str | None) -> bool:
    """Whether a run went back to the newest target, or skipped it if it was damaged."""
    skipped = [skip.id for skip in back.skipped_checkpoints]
    return skipped == [newest] if drill.damage else back.to_checkpoint_id == newest and not skipped


def _learns_on(trainer: Trainer) -> bool:
    """Whether a trainer learns from its state, and nothing that is not finite."""
    before = state_sha256(state_of(trainer))
    return not learn(trainer).metrics["nonfinite"] and state_sha256(state_of(trainer)) != before


def truncate_state(run_dir: Path, name: str) -> None:
    """Damage: the last byte of the file is missing."""
    path = state_path(run_dir, name)
    path.write_bytes(path.read_bytes()[:-1])


def change_a_weight(run_dir: Path, name: str) -> None:
    """Damage: a file that is whole and not the one that was kept; only its hash can tell."""
    state = load_state(run_dir, name)
    weights = state[next(key for key in sorted(state) if key.startswith("network.") and state[key].dtype == np.float32)]
    weights.flat[0] += 1
    save_state(run_dir, name, state)
