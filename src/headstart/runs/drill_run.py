"""A short real run with an injected fault: the arm on a handful of worlds, good readings, and the fault of one guardrail among them."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from headstart.config.params import EvaluationParams, Params
from headstart.config.project import MODELS, WORK_DIR
from headstart.config.scenario import Scenario
from headstart.config.schedule import Arm, Phase, Ramp
from headstart.core.errors import IntegrityError, UsageError
from headstart.guard.control import OF_PHASE
from headstart.guard.drill import FAULTS, faulty_reading, good_reading
from headstart.guard.guardrails import Guardrail, Reading
from headstart.guard.traces import REFERENCE
from headstart.learn.anneal import Trainer, learn, trainer_of
from headstart.learn.networks import ActorCritic
from headstart.learn.state import restore, state_of, state_sha256
from headstart.runs.arm_telemetry import hardest_target
from headstart.runs.guarded_run import GuardedRun, RunSetup, run_guarded
from headstart.runs.policy import load_policy, new_network
from headstart.runs.progress import load_state, save_state, state_path
from headstart.runs.worlds import worlds_of
from headstart.telemetry.kinds import CheckpointLine, Envelope, GuardrailLine, RollbackLine
from headstart.telemetry.reader import read_telemetry
from headstart.telemetry.writer import TelemetryWriter
from headstart.worlds.api import World

WORLDS, TICKS, HORIZON = 8, 8, 12
UPDATES = 8  # of the last phase, in which faults are injected; every phase before it has one
EVALUATION_WORLDS, EVALUATION_EVERY = 4, 2  # updates


@dataclass(frozen=True)
class DrillSetup:
    """What the runs of a drill share."""

    scenario: Scenario
    arm: Arm  # scaled down
    network: ActorCritic  # every run begins with a copy of it
    training: World
    evaluation: World
    folder: Path  # in which every run has a folder of its own
    origin: str  # where the network is from, in words

    @property
    def phase(self) -> Phase:
        """The phase in which faults are injected."""
        return self.arm.phases[-1]


@dataclass(frozen=True)
class Fault:
    """`count` faulty readings of a guardrail's kind in the last phase, from number `first` (1: its first reading) on."""

    rule: Guardrail
    first: int
    count: int
    damage: Callable[[Path, str], None] | None = None  # done to the newest safe state in a run's folder when the fault comes


@dataclass
class FaultInjection:
    """The hook of a run: every reading is a good one, but for those of the fault."""

    guarded: GuardedRun
    fault: Fault
    readings: int = 0  # of the guardrail's kind in the last phase, so far
    injected: int = 0
    quiet: bool = False  # nothing was open when the fault came
    newest_safe: str | None = None  # state at that time

    def __call__(self, reading: Reading) -> Reading:
        guarded, fault = self.guarded, self.fault
        trainer, control = guarded.trainer, guarded.control
        good = good_reading(reading.kind, guarded.reference, reading.env_steps)
        if trainer.at.phase < len(trainer.arm.phases) - 1 or reading.kind != fault.rule.on:
            return good
        self.readings += 1
        if not fault.first <= self.readings < fault.first + fault.count:
            return good
        if not self.injected:
            self.quiet = not control.open and not guarded.rollbacks
            self.newest_safe = control.safe[-1] if control.safe else None
            if fault.damage and self.newest_safe:
                fault.damage(guarded.setup.run_dir, self.newest_safe)
        self.injected += 1
        return faulty_reading(fault.rule, guarded.reference, reading.env_steps)


@dataclass(frozen=True)
class DrillRun:
    """What a run with a fault in it says of itself."""

    injection: FaultInjection
    status: str
    breaches: tuple[GuardrailLine, ...]  # of the guardrail that is drilled
    rollbacks: tuple[RollbackLine, ...]
    kept: dict[str, str]  # id of a state → its hash when it was kept
    left_with: str | None  # hash of the state of a run that was ended, taken by the drill itself
    goes_on: bool

    @property
    def exact(self) -> bool:
        """Whether the run went back, each time to what was kept and from something else."""
        hashes = [
            (line.restored_state_sha256, self.kept[line.to_checkpoint_id], line.from_state_sha256) for line in self.rollbacks
        ]
        proved = bool(hashes) and all(restored == kept != left for restored, kept, left in hashes)
        return proved and self.left_with in (None, hashes[-1][1])


@contextmanager
def drill_setup(params: Params, scenario: Scenario, arm: str, names: Sequence[str]) -> Iterator[DrillSetup]:
    """Worlds, the arm scaled down, the clone that is at hand or a new network, and a folder that is gone afterwards."""
    _require_drillable(params, arm, names)
    torch.set_num_threads(1)
    small = Scenario.model_validate(scenario.model_dump() | {"horizon": min(scenario.horizon, HORIZON)})
    training = worlds_of(small, "training", WORLDS, params.capture.observation)
    evaluation = worlds_of(small, "evaluation", EVALUATION_WORLDS, params.capture.observation)
    clone = MODELS / scenario.name / "bc"
    if clone.is_dir():
        network, origin = load_policy(clone, training)[0], f"the clone in {clone}"
    else:
        network, origin = new_network(training, params.network, 0), "a new network, there is no clone at hand"
    recipe = scaled_down(params.arms[arm], TICKS * training.num_envs)
    WORK_DIR.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="drill-", dir=WORK_DIR) as folder:
        yield DrillSetup(small, recipe, network, training, evaluation, Path(folder), origin)


def scaled_down(arm: Arm, rollout: int) -> Arm:
    """The arm's phases, guardrails and on_breach with a few small rollouts of `rollout` env steps.

    Nothing is read from a dataset: bc phases are left out, no expert drives, and no demonstration weighs.
    """
    kept = [phase for phase in arm.phases if phase.kind != "bc"]
    alone = {"expert_share": Ramp.model_validate(0), "bc_weight": Ramp.model_validate(0)}
    phases = [phase.model_copy(update=alone | {"env_steps": rollout}) for phase in kept]
    phases[-1] = phases[-1].model_copy(update={"env_steps": UPDATES * rollout})
    sizes = {"worlds": WORLDS, "rollout_ticks": TICKS, "num_epochs": 2, "mini_batch_size": max(rollout // 2, 1)}
    return arm.model_copy(update={"ppo": arm.ppo.model_copy(update=sizes), "phases": tuple(phases)})


def _require_drillable(params: Params, arm: str, names: Sequence[str]) -> None:
    if arm not in params.arms:
        raise UsageError(f"expected an arm of params.yaml ({', '.join(params.arms)}), got {arm!r}")
    if unknown := [name for name in names if name not in FAULTS]:
        raise UsageError(f"expected a guardrail that can break ({', '.join(FAULTS)}), got {', '.join(unknown)}")
    recipe = params.arms[arm]
    if recipe.start != "bc":
        raise UsageError(
            f"arm {arm!r} starts from random weights, and only what is not finite is watched; expected one with start: bc"
        )
    if all(phase.kind == "bc" for phase in recipe.phases):
        raise UsageError(f"arm {arm!r} has bc phases only; expected one that uses env steps")


def run_with_fault(setup: DrillSetup, arm: Arm, seed: int, fault: Fault) -> DrillRun:
    """One run with a fault in it, from its beginning to its end."""
    scenario = setup.scenario
    run_dir = Path(tempfile.mkdtemp(dir=setup.folder))
    envelope = Envelope(
        run_id=f"drill-{seed}", arm="drill", world=scenario.world, scenario=scenario.name, seed=seed, stage="anneal"
    )
    reference = {name: value for name, value in REFERENCE.items() if value is not None and name != OF_PHASE}
    every = EVALUATION_EVERY * TICKS * setup.training.num_envs
    design = EvaluationParams(seed=1, worlds=EVALUATION_WORLDS, every=every, exam_seed=2, exam_worlds=1)
    trainer = trainer_of(deepcopy(setup.network), arm, setup.training, setup.evaluation, design, seed)
    of_run = RunSetup(scenario, hardest_target(scenario), (0.0, 1.0), run_dir, lambda steps: None)
    with TelemetryWriter(run_dir / "telemetry", envelope) as telemetry:
        guarded = GuardedRun(trainer, of_run, telemetry, reference=reference)
        guarded.hook = injection = FaultInjection(guarded, fault)
        with suppress(IntegrityError):  # nothing could be gone back to: a drill that missed
            run_guarded(guarded)
    lines, status = read_telemetry(run_dir / "telemetry").records, guarded.control.status
    found = [line for line in lines if isinstance(line, GuardrailLine) and line.severity == "breach"]
    ran = DrillRun(
        injection=injection,
        status=status,
        breaches=tuple(line for line in found if line.guardrail == fault.rule.name),
        rollbacks=tuple(line for line in lines if isinstance(line, RollbackLine)),
        kept={line.checkpoint_id: line.state_sha256 for line in lines if isinstance(line, CheckpointLine)},
        left_with=None if status == "completed" else state_sha256(state_of(trainer)),
        goes_on=trainer.at.env_steps == arm.budget if status == "completed" else _learns_on(trainer),
    )
    shutil.rmtree(run_dir)
    return ran


def _learns_on(trainer: Trainer) -> bool:
    """Whether a trainer learns from its state: twice the same, and nothing that is not finite."""
    now, ends = state_of(trainer), []
    for _ in range(2):
        restore(trainer, now, charged=True)
        if learn(trainer).metrics["nonfinite"]:
            return False
        ends.append(state_sha256(state_of(trainer)))
    return ends[0] == ends[1] != state_sha256(now)


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
