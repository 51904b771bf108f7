"""One clone of the expert, alone in its process: trained on its block of the recording, judged, and kept.

Until all clones are, each works in a folder of its own below .headstart/, named by all that determines the result: one that was killed goes on
after its last epoch, and one that is complete is not trained again.
"""

import shutil
from collections.abc import Sequence
from functools import partial

import numba
import torch

from headstart.compare.arm_runs import CloneRun
from headstart.core.arrays import MODES
from headstart.core.errors import IntegrityError
from headstart.core.files import read_record, sha256_file, write_record
from headstart.core.progress_lines import Kept
from headstart.core.verdict import Subject
from headstart.learn.bc import Fitting, epoch_fields, fit, fitting_of, judge
from headstart.learn.demonstrations import Demonstrations
from headstart.learn.evaluation import play_episodes, play_in_modes
from headstart.learn.optimizer import autograd_device
from headstart.runs.clone_job import Clone, CloneJob, CloneProgress
from headstart.runs.clone_report import REFERENCE, EpochScore, Reference
from headstart.runs.cloning import clone_gate, clone_report, epoch_score
from headstart.runs.demonstrations import read_used, recorded_steps, tensors_of
from headstart.runs.expert import expert_of
from headstart.runs.expert_record import learned_sha256
from headstart.runs.policy import new_network, save_policy
from headstart.runs.pool import Report
from headstart.runs.shift import dataset_facts, shift_facts
from headstart.runs.states import (
    POLICY,
    PROGRESS,
    RESULT,
    TELEMETRY,
    commit,
    load_state,
    require_code,
    save_state,
    state_path,
)
from headstart.runs.worlds import schema_of, score_of, worlds_of
from headstart.telemetry.kinds import Envelope
from headstart.telemetry.writer import TelemetryWriter
from headstart.worlds.api import play


def trained_clone(job: CloneJob, report: Report) -> Clone:
    """The clone of a job, trained on one thread; `report` receives an epoch when it is done."""
    require_code("bc_train", job.scenario.name, job.code_sha256)
    if (job.folder / RESULT).exists():
        report(Kept(job.params.bc_train.epochs))
        return read_record(job.folder / RESULT, Clone)
    torch.set_num_threads(1)
    numba.set_num_threads(1)
    params, scenario, settings = job.params, job.scenario, job.settings
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
    fitting = fitting_of(network, train, settings, autograd_device(params.device))
    run_id = f"bc-{stamp.version}-{job.seed}"
    whose = Envelope(run_id=run_id, arm="bc", world=scenario.world, scenario=scenario.name, seed=job.seed, stage="bc_train")
    epochs = _fit(job, fitting, (train, heldout), whose, schema.actions, report)
    judged = judge(network, heldout)
    closed = {mode: score_of(of, world, scenario) for mode, of in play_in_modes(network, world, settings.seed, MODES).items()}
    folder = job.folder / POLICY
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
    clone = Clone(run=run, untrained=untrained, report=found, verdict=verdict, epochs=tuple(epochs))
    write_record(job.folder / RESULT, clone)
    return clone


def _fit(
    job: CloneJob,
    fitting: Fitting,
    sides: tuple[Demonstrations, Demonstrations],
    whose: Envelope,
    actions: Sequence[str],
    report: Report,
) -> list[EpochScore]:
    """Train from the start, or from where an interrupted training last stood; what is known of every epoch."""
    folder, epochs, seq = job.folder, list[EpochScore](), 0
    if (folder / PROGRESS).exists():
        progress = read_record(folder / PROGRESS, CloneProgress)
        path = state_path(folder, progress.latest)
        if (found := sha256_file(path)) != progress.sha256:
            raise IntegrityError(f"{path}: expected hash {progress.sha256}, found {found}")
        fitting.restore(load_state(folder, progress.latest))
        epochs, seq = list(progress.epochs), progress.telemetry_seq
        report(Kept(fitting.epoch))
    else:
        shutil.rmtree(folder, ignore_errors=True)  # a log without a state to go on from
    with TelemetryWriter(folder / TELEMETRY, whose, keep=seq) as telemetry:
        for epoch in fit(fitting, *sides, job.settings):
            epochs.append(epoch_score(epoch))
            telemetry.write("bc_epoch", **epoch_fields(epoch, actions))
            telemetry.flush()
            name = f"epoch-{epoch.number}"
            save_state(folder, name, fitting.state())
            sha256 = sha256_file(state_path(folder, name))
            commit(folder, CloneProgress(latest=name, sha256=sha256, epochs=tuple(epochs), telemetry_seq=telemetry.seq), {name})
            report(1)
            report(f"held-out accuracy {epoch.heldout.accuracy:.3f}" if epoch.heldout.scores else f"loss {epoch.loss:.4g}")
        telemetry.write("run_ended", status="completed", censored=False)
    return epochs
