"""A real run that is broken on purpose: the arm on a handful of worlds, calm readings, and the fault of one guardrail among them."""

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
UPDATES = 8  # of the last phase, in which faults are planted; every phase before it has one
EVALUATION_WORLDS, EVALUATION_EVERY = 4, 2  # updates


@dataclass(frozen=True)
class Ground:
    """What the runs of a drill share."""

    scenario: Scenario
    arm: Arm  # scaled down
    network: ActorCritic  # every run begins with a copy of it
    training: World
    evaluation: World
    scratch: Path
    begins_with: str  # where the network is from, in words

    @property
    def phase(self) -> Phase:
        return self.arm.phases[-1]

    @property
    def rollout(self) -> int:
        """Env steps."""
        return TICKS * self.training.num_envs


@dataclass
class Plant:
    """What a run reads: calm, but for `count` readings of the guardrail's kind in the last phase, from number `first` on."""

    guarded: GuardedRun
    rule: Guardrail
    first: int  # from 1
    count: int
    spoil: Callable[[Path, str], None] | None = (
        None  # what happens to the newest safe state in a run's folder when the fault comes
    )
    obs: int = 0
    planted: int = 0
    quiet: bool = False  # nothing was open when the fault came
    newest: str | None = None  # the newest safe state at that time

    def __call__(self, reading: Reading) -> Reading:
        guarded, rule = self.guarded, self.rule
        calm = good_reading(reading.kind, guarded.reference, reading.env_steps)
        if guarded.trainer.phase is not guarded.trainer.arm.phases[-1] or reading.kind != rule.on:
            return calm
        self.obs += 1
        if not self.first <= self.obs < self.first + self.count:
            return calm
        if not self.planted:
            self.quiet = not guarded.control.open and not guarded.rollbacks
            self.newest = next(reversed(guarded.control.safe), None)
            if self.spoil and self.newest:
                self.spoil(guarded.setup.run_dir, self.newest)
        self.planted += 1
        return faulty_reading(rule, guarded.reference, reading.env_steps)


@dataclass(frozen=True)
class Ran:
    """What a run with a fault in it says of itself."""

    plant: Plant
    status: str
    breaches: tuple[GuardrailLine, ...]  # of the guardrail that is drilled
    backs: tuple[RollbackLine, ...]
    kept: dict[str, str]  # id of a state → its hash when it was kept
    left_with: str | None  # hash of the state of a run that was ended, taken by the drill itself
    goes_on: bool

    @property
    def exact(self) -> bool:
        """Whether the run went back, each time to what was kept and from something else."""
        pairs = [(back.restored_state_sha256, self.kept[back.to_checkpoint_id], back.from_state_sha256) for back in self.backs]
        proved = bool(pairs) and all(restored == kept != left for restored, kept, left in pairs)
        return proved and self.left_with in (None, pairs[-1][1])


@contextmanager
def ground_of(params: Params, scenario: Scenario, arm: str, names: Sequence[str]) -> Iterator[Ground]:
    """Worlds, the arm scaled down, the clone that is at hand or a new network, and a scratch folder that is gone afterwards."""
    _require_drillable(params, arm, names)
    torch.set_num_threads(1)
    small = Scenario.model_validate(scenario.model_dump() | {"horizon": min(scenario.horizon, HORIZON)})
    observation = params.capture.observation
    training = worlds_of(small, "training", WORLDS, observation)
    evaluation = worlds_of(small, "evaluation", EVALUATION_WORLDS, observation)
    clone = MODELS / scenario.name / "bc"
    if clone.is_dir():
        network, text = load_policy(clone, training)[0], f"the clone in {clone}"
    else:
        network, text = new_network(training, params.network, 0), "a new network, there is no clone at hand"
    WORK_DIR.mkdir(exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="drill-", dir=WORK_DIR))
    try:
        recipe = scaled_down(params.arms[arm], TICKS * training.num_envs)
        yield Ground(small, recipe, network, training, evaluation, scratch, text)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


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


def run_broken(
    ground: Ground,
    arm: Arm,
    rule: Guardrail,
    seed: int,
    first: int,
    count: int,
    spoil: Callable[[Path, str], None] | None = None,
) -> Ran:
    """One run with a fault in it, from its beginning to its end."""
    scenario = ground.scenario
    run_dir = Path(tempfile.mkdtemp(prefix=f"{rule.name}-", dir=ground.scratch))
    envelope = Envelope(
        run_id=f"drill-{seed}", arm="drill", world=scenario.world, scenario=scenario.name, seed=seed, stage="anneal"
    )
    setup = RunSetup(scenario, hardest_target(scenario), (0.0, 1.0), run_dir, lambda steps: None)
    with TelemetryWriter(run_dir / "telemetry", envelope) as telemetry:
        guarded = GuardedRun(_trainer(ground, arm, seed), setup, telemetry, reference=_reference())
        guarded.hook = plant = Plant(guarded, rule, first, count, spoil)
        with suppress(IntegrityError):  # nothing could be gone back to: a drill that missed
            run_guarded(guarded)
    lines = read_telemetry(run_dir / "telemetry").records
    ran = Ran(
        plant=plant,
        status=guarded.control.status,
        breaches=tuple(line for line in lines if isinstance(line, GuardrailLine) and _breaks(line, rule)),
        backs=tuple(line for line in lines if isinstance(line, RollbackLine)),
        kept={line.checkpoint_id: line.state_sha256 for line in lines if isinstance(line, CheckpointLine)},
        left_with=None if guarded.control.status == "completed" else state_sha256(state_of(guarded.trainer)),
        goes_on=_goes_on(guarded),
    )
    shutil.rmtree(run_dir)
    return ran


def _trainer(ground: Ground, arm: Arm, seed: int) -> Trainer:
    every = EVALUATION_EVERY * ground.rollout
    design = EvaluationParams(seed=1, worlds=EVALUATION_WORLDS, every=every, exam_seed=2, exam_worlds=1)
    return trainer_of(deepcopy(ground.network), arm, ground.training, ground.evaluation, design, seed)


def _reference() -> dict[str, float]:
    """What calm readings are made of, and compared with; the loss is the run's own."""
    return {name: value for name, value in REFERENCE.items() if value is not None and name != "loss_total"}


def _breaks(line: GuardrailLine, rule: Guardrail) -> bool:
    return line.guardrail == rule.name and line.severity == "breach"


def _goes_on(guarded: GuardedRun) -> bool:
    """Whether a run used its whole budget, or, where it was ended, learns from its last state: twice the same, and finite."""
    trainer, ends = guarded.trainer, []
    if guarded.control.status == "completed":
        return trainer.at.env_steps == trainer.arm.budget
    now = state_of(trainer)
    for _ in range(2):
        restore(trainer, now, charged=True)
        if learn(trainer).metrics["nonfinite"]:
            return False
        ends.append(state_sha256(state_of(trainer)))
    return ends[0] == ends[1] != state_sha256(now)


def lose_a_byte(run_dir: Path, name: str) -> None:
    """A file that is not whole."""
    path = state_path(run_dir, name)
    path.write_bytes(path.read_bytes()[:-1])


def change_a_weight(run_dir: Path, name: str) -> None:
    """A file that is whole and not the one that was kept: only its hash can tell."""
    state = load_state(run_dir, name)
    weights = state[next(key for key in sorted(state) if key.startswith("network.") and state[key].dtype == np.float32)]
    weights.flat[0] += 1
    save_state(run_dir, name, state)
