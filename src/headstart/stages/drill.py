"""The rollback drill: real runs, each broken on purpose, that have to go back to real states and to go on from there.

A run is the arm on a handful of worlds. What its guardrails read is made calm, and at a drawn place the fault of one of them is planted; all
else is as in training: learning, states on a desk, restoring, and telemetry, which tells the drill what happened. Each run is made twice, the
second time with the guardrail switched off: then the fault must pass unseen, or it was not the guardrail that saw it.
"""

import random
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from headstart.errors import IntegrityError, UsageError
from headstart.govern.control import Action
from headstart.govern.drill import FAULTS, expected_of, good_reading, retries
from headstart.govern.guardrails import GUARDRAILS, Guardrail, Reading
from headstart.govern.traces import REFERENCE
from headstart.learn.anneal import Trainer, learn, trainer_of
from headstart.learn.networks import ConflictAwarePolicyNetwork
from headstart.learn.state import restore, state_of, state_sha256
from headstart.params import EvaluationParams, Params, Scenario
from headstart.records.progress import load_state, save_state, state_path
from headstart.records.telemetry import TelemetryWriter
from headstart.records.telemetry_kinds import CheckpointLine, GuardrailLine, RollbackLine
from headstart.records.telemetry_line import Envelope
from headstart.records.telemetry_reader import read_telemetry
from headstart.schedule import Arm, Limits, Phase, Ramp
from headstart.stages.arm_telemetry import hardest_target
from headstart.stages.guarded_run import GuardedRun, Watch, go
from headstart.stages.policy import load_policy, new_network
from headstart.stages.project import MODELS, SCRATCH, worlds_of
from headstart.worlds import World

WORLDS, TICKS, HORIZON = 8, 8, 12
UPDATES = 8  # of the last phase, in which faults are planted; every phase before it has one
EVALUATION_WORLDS, EVALUATION_EVERY = 4, 2  # updates
THEN = {"rollback": ("retry", "completed"), "freeze": ("hold", "frozen"), "stop": ("stop", "stopped")}
NONFINITE = GUARDRAILS["nonfinite"]  # breaks at once and leads to a rollback: for the drills of going back itself


@dataclass(frozen=True)
class Row:
    """How the runs of one drill went."""

    guardrail: str
    fault: str
    expected: Action
    decided: Action  # "continue": in at least one run nothing was decided
    checks: int | None  # faulty readings in a row that it took, at most; None: the guardrail did not break in every run
    exact: bool  # every state that was gone back to has the hash that it was kept with, and is not the one that was left
    goes_on: bool  # the run came to its end on its whole budget, or learns on from where it was left
    fails_without: bool  # the negative control
    right: bool = True  # what else the drill asks for

    @property
    def passed(self) -> bool:
        return (
            self.decided == self.expected
            and self.checks is not None
            and self.exact
            and self.goes_on
            and self.fails_without
            and self.right
        )


@dataclass(frozen=True)
class Ground:
    """What the runs of a drill share."""

    scenario: Scenario
    arm: Arm  # scaled down
    network: ConflictAwarePolicyNetwork  # every run begins with a copy of it
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
    spoil: Callable[[Path, str], None] | None = None  # what happens to the newest safe state on a desk when the fault comes
    seen: int = 0
    planted: int = 0
    quiet: bool = False  # nothing was open when the fault came
    newest: str | None = None  # the newest safe state at that time

    def __call__(self, reading: Reading) -> Reading:
        guarded, rule = self.guarded, self.rule
        calm = good_reading(reading.kind, guarded.reference, reading.env_steps)
        if guarded.trainer.phase is not guarded.trainer.arm.phases[-1] or reading.kind != rule.on:
            return calm
        self.seen += 1
        if not self.first <= self.seen < self.first + self.count:
            return calm
        if not self.planted:
            self.quiet = not guarded.control.open and not guarded.rollbacks
            self.newest = next(reversed(guarded.control.safe), None)
            if self.spoil and self.newest:
                self.spoil(guarded.watch.desk, self.newest)
        self.planted += 1
        _, changes = FAULTS[rule.name]
        return Reading(reading.kind, reading.env_steps, {**calm.values, **changes(guarded.reference)})


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


def rollback_drill(
    params: Params,
    scenario: Scenario,
    arm: str,
    names: Sequence[str] = tuple(FAULTS),
    rounds: int = 3,
    report: Callable[[str], None] = lambda text: None,
) -> tuple[Row, ...]:
    """Drill the guardrails `names` of an arm, each in `rounds` runs, and going back itself: past a state that is not whole, and again and again.

    `report` is told what the runs start from. Raises UsageError for an arm or a guardrail that cannot be drilled.
    """
    with ground_of(params, scenario, arm, names) as ground:
        phases = ", ".join(phase.name for phase in ground.arm.phases)
        report(f"{scenario.name} {arm}: {phases} on {WORLDS} worlds, from {ground.begins_with}")
        return tuple(_rows(ground, names, rounds))


def _rows(ground: Ground, names: Sequence[str], rounds: int) -> Iterator[Row]:
    for name in names:
        yield caught(ground, GUARDRAILS[name], rounds)
    if retries(ground.phase):
        yield passed_over(ground, lose_a_byte, "…, and the newest state has lost a byte", rounds)
        yield passed_over(ground, change_a_weight, "…, and one weight of the newest state is another", rounds)
    yield again_and_again(ground, rounds)


# --- the three drills -------------------------------------------------------------------------------------------------


def caught(ground: Ground, rule: Guardrail, rounds: int) -> Row:
    """The fault of a guardrail, for as many readings as it may take: it has to decide, and the run to go back exactly and on."""
    text, _ = FAULTS[rule.name]
    without = _switched_off(ground.arm, rule.name)
    ran, off = [], []
    for number, first in enumerate(_places(ground, rule, rounds)):
        ran.append(_run(ground, ground.arm, rule, number, first, rule.hits))
        off.append(_run(ground, without, rule, number, first, rule.hits))
    return _row(ground, rule, text, ran, _unseen(off), all(len(r.backs) == 1 and r.plant.quiet for r in ran))


def passed_over(ground: Ground, spoil: Callable[[Path, str], None], text: str, rounds: int) -> Row:
    """The newest safe state is not whole: the next older one is taken and the skip is on record. While it is whole, it is taken itself."""
    ran = [_run(ground, ground.arm, NONFINITE, n, UPDATES - 1, 1, spoil) for n in range(rounds)]
    whole = [_run(ground, ground.arm, NONFINITE, n, UPDATES - 1, 1) for n in range(rounds)]
    skipped = all(
        [skip.id for back in r.backs for skip in back.skipped_checkpoints] == [r.plant.newest] != [r.backs[0].to_checkpoint_id]
        for r in ran
        if r.backs
    )
    taken = all([back.to_checkpoint_id for back in r.backs] == [r.plant.newest] for r in whole)
    return _row(ground, NONFINITE, text, ran, taken, skipped)


def again_and_again(ground: Ground, rounds: int) -> Row:
    """The fault comes back in every attempt: as many rollbacks as the phase has retries, then a stop."""
    without = _switched_off(ground.arm, NONFINITE.name)
    places = _places(ground, NONFINITE, rounds)
    ran = [_run(ground, ground.arm, NONFINITE, n, min(first, 3), UPDATES) for n, first in enumerate(places)]
    off = [_run(ground, without, NONFINITE, n, min(first, 3), UPDATES) for n, first in enumerate(places)]
    wanted = ["retry"] * retries(ground.phase) + ["stop"]
    right = all([back.next for back in r.backs] == wanted for r in ran)
    return _row(ground, NONFINITE, "…, in every attempt", ran, _unseen(off), right, "stop")


def _row(
    ground: Ground, rule: Guardrail, text: str, ran: Sequence[Ran], control: bool, right: bool, expected: Action | None = None
) -> Row:
    expected = expected or expected_of(rule, ground.phase)
    decided: set[Action] = {_decided(r) for r in ran}
    wrong = sorted(decided - {expected})
    _, status = THEN[expected]
    return Row(
        rule.name,
        text,
        expected,
        decided=wrong[0] if wrong else expected,
        checks=max((r.breaches[-1].hits for r in ran), default=0) if all(r.breaches for r in ran) else None,
        exact=all(r.exact for r in ran),
        goes_on=all(r.goes_on and r.status == status for r in ran),
        fails_without=control,
        right=right,
    )


def _decided(ran: Ran) -> Action:
    """What the guardrail asked for last, if it was also done."""
    if not ran.breaches or not ran.backs:
        return "continue"
    asked = ran.breaches[-1].decision
    return asked if asked in THEN and asked != "hold" and THEN[asked][0] == ran.backs[-1].next else "continue"


def _unseen(off: Sequence[Ran]) -> bool:
    """Whether faults were planted, and the guardrail that was switched off said nothing."""
    return all(r.plant.planted and not r.breaches for r in off)


def _places(ground: Ground, rule: Guardrail, rounds: int) -> list[int]:
    """Where faults begin: drawn, each place once before one is drawn again, and early enough that updates follow the last of the fault."""
    readings = UPDATES if rule.on == "update" else _evaluations(ground)
    last = readings - rule.hits
    draw = random.Random(rule.name)
    order: list[int] = []
    while len(order) < rounds:
        order += draw.sample(range(1, last + 1), last)
    return order[:rounds]


def _evaluations(ground: Ground) -> int:
    """Of the last phase."""
    before = len(ground.arm.phases) - 1
    after = before + UPDATES
    return after // EVALUATION_EVERY - before // EVALUATION_EVERY + after % EVALUATION_EVERY


# --- a run ------------------------------------------------------------------------------------------------------------


def _run(
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
    desk = Path(tempfile.mkdtemp(prefix=f"{rule.name}-", dir=ground.scratch))
    envelope = Envelope(
        run_id=f"drill-{seed}", arm="drill", world=scenario.world, scenario=scenario.name, seed=seed, stage="anneal"
    )
    watch = Watch(scenario, hardest_target(scenario), (0.0, 1.0), desk, lambda steps: None)
    with TelemetryWriter(desk / "telemetry", envelope) as telemetry:
        guarded = GuardedRun(_trainer(ground, arm, seed), watch, telemetry, reference=_reference())
        guarded.tamper = plant = Plant(guarded, rule, first, count, spoil)
        with suppress(IntegrityError):  # nothing could be gone back to: a drill that missed
            go(guarded)
    lines = read_telemetry(desk / "telemetry").records
    ran = Ran(
        plant=plant,
        status=guarded.control.status,
        breaches=tuple(line for line in lines if isinstance(line, GuardrailLine) and _breaks(line, rule)),
        backs=tuple(line for line in lines if isinstance(line, RollbackLine)),
        kept={line.checkpoint_id: line.state_sha256 for line in lines if isinstance(line, CheckpointLine)},
        left_with=None if guarded.control.status == "completed" else state_sha256(state_of(guarded.trainer)),
        goes_on=_goes_on(guarded),
    )
    shutil.rmtree(desk)
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


def lose_a_byte(desk: Path, name: str) -> None:
    """A file that is not whole."""
    path = state_path(desk, name)
    path.write_bytes(path.read_bytes()[:-1])


def change_a_weight(desk: Path, name: str) -> None:
    """A file that is whole and not the one that was kept: only its hash can tell."""
    state = load_state(desk, name)
    weights = state[next(key for key in sorted(state) if key.startswith("network.") and state[key].dtype == np.float32)]
    weights.flat[0] += 1
    save_state(desk, name, state)


# --- the ground -------------------------------------------------------------------------------------------------------


@contextmanager
def ground_of(params: Params, scenario: Scenario, arm: str, names: Sequence[str]) -> Iterator[Ground]:
    """Worlds, the arm scaled down, the clone that is at hand or a new network, and a scratch folder that is gone afterwards."""
    _require_drillable(params, arm, names)
    torch.set_num_threads(1)
    small = Scenario.model_validate(scenario.model_dump() | {"horizon": min(scenario.horizon, HORIZON)})
    see = params.capture.observation
    training = worlds_of(small, "training", WORLDS, see)
    evaluation = worlds_of(small, "evaluation", EVALUATION_WORLDS, see)
    clone = MODELS / scenario.name / "bc"
    if clone.is_dir():
        network, text = load_policy(clone, training)[0], f"the clone in {clone}"
    else:
        network, text = new_network(training, params.network, 0), "a new network, there is no clone at hand"
    SCRATCH.mkdir(exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="drill-", dir=SCRATCH))
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
    alone = {"teacher_share": Ramp.model_validate(0), "bc_weight": Ramp.model_validate(0)}
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


def _switched_off(arm: Arm, guardrail: str) -> Arm:
    off = {guardrail: Limits(enabled=False)}
    phases = tuple(phase.model_copy(update={"guardrails": phase.guardrails | off}) for phase in arm.phases)
    return arm.model_copy(update={"phases": phases})
