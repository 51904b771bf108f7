"""One clone of the expert, alone in its process: trained on its block of the recording, judged, and kept."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numba
import torch

from headstart.compare.arm_runs import CloneRun, Score
from headstart.config.params import Params
from headstart.config.scenario import Scenario
from headstart.core.arrays import MODES
from headstart.core.files import sha256_file, write_record
from headstart.core.verdict import Subject, Verdict
from headstart.learn.bc import Epoch, epoch_fields, fit, judge
from headstart.learn.evaluation import play_episodes, play_in_modes
from headstart.learn.optimizer import autograd_device
from headstart.runs.clone_report import REFERENCE, CloneReport, Reference
from headstart.runs.cloning import clone_gate, clone_report
from headstart.runs.demonstrations import read_used, recorded_steps, tensors_of
from headstart.runs.expert import expert_of
from headstart.runs.expert_record import ExpertPolicy, learned_sha256
from headstart.runs.policy import new_network, save_policy
from headstart.runs.pool import Report
from headstart.runs.shift import dataset_facts, shift_facts
from headstart.runs.worlds import schema_of, score_of, worlds_of
from headstart.telemetry.kinds import Envelope
from headstart.telemetry.writer import TelemetryWriter
from headstart.worlds.api import play


@dataclass(frozen=True)
class CloneJob:
    """What one process needs to train a clone."""

    params: Params
    scenario: Scenario
    block: int  # of the recording; the clone's place in `params.seeds`
    dataset: Path  # validated.json
    models: Path  # where seed-<n> goes
    reports: Path  # where telemetry/seed-<n> goes
    expert: ExpertPolicy

    @property
    def seed(self) -> int:
        """The seed of the replicate that the clone belongs to."""
        return self.params.seeds[self.block]


@dataclass(frozen=True)
class Clone:
    """What is known of a clone when it is trained."""

    run: CloneRun
    untrained: Score  # its network before it learned, on the exam worlds
    report: CloneReport
    verdict: Verdict
    epochs: tuple[Epoch, ...]


def train_clone(job: CloneJob, report: Report) -> Clone:
    """Train, on one thread; `report` receives an epoch when it is done."""
    torch.set_num_threads(1)
    numba.set_num_threads(1)
    params, scenario = job.params, job.scenario
    settings = params.bc_train.model_copy(update={"seed": params.bc_train.seed + job.seed})
    world = worlds_of(scenario, "clone", settings.closed_loop_worlds, params.capture.observation)
    schema, acts = schema_of(world), scenario.demonstrations is None
    expert_in = partial(expert_of, scenario, block=job.block) if acts else None
    stamp, used = read_used(scenario, schema, settings, job.block)
    train, heldout = (tensors_of(side, settings.gamma, stamp.has_rewards) for side in used)
    fixed = params.evaluation
    exam = worlds_of(scenario, "exam", fixed.exam_worlds, params.capture.observation)
    expert, expert_exam = job.expert.score, None
    if expert_in is not None:
        expert, expert_exam = (
            score_of(play(of, expert_in(of), seed), of, scenario)
            for of, seed in ((world, settings.seed), (exam, fixed.exam_seed))
        )
    network = new_network(world, params.network, settings.seed)
    untrained = score_of(play_episodes(network, exam, fixed.exam_seed, "sampled"), exam, scenario)
    judged_untrained = judge(network, heldout)
    whose = Envelope(
        run_id=f"bc-{stamp.version}-{job.seed}",
        arm="bc",
        world=scenario.world,
        scenario=scenario.name,
        seed=job.seed,
        stage="bc_train",
    )
    epochs: list[Epoch] = []
    with TelemetryWriter(job.reports / f"telemetry/seed-{job.seed}", whose) as telemetry:
        for epoch in fit(network, train, heldout, settings, autograd_device(params.device)):
            epochs.append(epoch)
            telemetry.write("bc_epoch", **epoch_fields(epoch, schema.actions))
            report(1)
        telemetry.write("run_ended", status="completed", censored=False)
    judged = judge(network, heldout)
    closed = {mode: score_of(of, world, scenario) for mode, of in play_in_modes(network, world, settings.seed, MODES).items()}
    folder = job.models / f"seed-{job.seed}"
    about = {"kind": "bc", "scenario": scenario.name, "arm": "bc", "seed": job.seed, "env_steps": 0}
    card = save_policy(folder, network, params.network, world, {**about, "lineage": {"dataset": sha256_file(job.dataset)}})
    write_record(folder / REFERENCE, Reference(untrained=untrained, expert=expert, clone=closed["sampled"]))
    shift = shift_facts(params, scenario, network, expert_in)
    found = clone_report(judged, judged_untrained, epochs[-1].accuracy, schema, closed, expert, recorded=not acts)
    verdict = clone_gate(
        found, settings, Subject(type="bc", id=f"{scenario.name}/bc/seed-{job.seed}", sha256=card.weights_sha256)
    )
    run = CloneRun(
        seed=job.seed,
        weights_sha256=card.weights_sha256,
        outcome=verdict.outcome.value,
        demonstration_steps=recorded_steps(stamp, job.block, used) + job.expert.training_steps(job.block),
        heldout_accuracy=judged.accuracy,
        expert=expert_exam,
        recorded=None if acts else expert,
        expert_sha256=learned_sha256(job.expert, job.block),
        exam={mode: score_of(of, exam, scenario) for mode, of in play_in_modes(network, exam, fixed.exam_seed, MODES).items()},
        data=None if shift is None else dataset_facts(scenario, used[0], stamp.scenario_sha256, schema),
        shift=shift,
    )
    return Clone(run, untrained, found, verdict, tuple(epochs))
