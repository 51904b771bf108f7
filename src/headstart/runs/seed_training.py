"""Training one seed along a schedule, alone in its process: guarded, logged, and kept; what it had done before a kill is not done again.

Arms and learned experts are trained by this alone. What a run starts from, and how its weights are judged, is said where they are.
"""

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Literal

import numba
import torch

from headstart.compare.target import steps_to_target
from headstart.config.project import TENSORBOARD
from headstart.core.progress_lines import Kept
from headstart.guard.control import outcome
from headstart.learn.anneal import Trainer
from headstart.runs.arm_telemetry import started_fields
from headstart.runs.checkpoint import Card
from headstart.runs.guarded_run import GuardedRun, RunSetup, resume, run_guarded
from headstart.runs.policy import save_policy
from headstart.runs.progress import Progress, SeedJob, load_progress
from headstart.runs.states import POLICY, TELEMETRY, require_code
from headstart.telemetry.kinds import Envelope, Line
from headstart.telemetry.tensorboard import event_files
from headstart.telemetry.writer import TelemetryWriter


def begin_process(job: SeedJob) -> None:
    """One thread, and the code with which the stage began."""
    require_code(job.stage, job.scenario.name, job.code_sha256)
    torch.set_num_threads(1)
    numba.set_num_threads(1)


def train(
    job: SeedJob, setup: RunSetup, trainer: Trainer, lineage: dict[str, str], kind: Literal["policy", "expert"]
) -> tuple[GuardedRun, Card]:
    """Train under guard, from the start or from where an interrupted run stood; leaves the log and the last weights in the job's folder."""
    progress = load_progress(job.run_dir)
    if progress is None:
        shutil.rmtree(job.run_dir, ignore_errors=True)  # a log without a state to go on from
    log = partial(
        TelemetryWriter, job.run_dir / TELEMETRY, envelope_of(job), max_total_bytes=job.params.telemetry.max_total_bytes
    )
    with (
        _event_files(job, progress) as mirror,
        log(keep=progress.telemetry_seq if progress else 0, mirror=mirror) as telemetry,
    ):
        guarded = GuardedRun(trainer, setup, telemetry)
        if progress:
            resume(guarded, progress)
            setup.report(Kept(trainer.at.env_steps))
        else:
            telemetry.write("run_started", **started_fields(job, lineage, trainer, guarded.target))
        run_guarded(guarded)
        about = {"scenario": job.scenario.name, "arm": job.arm, "seed": job.seed, "env_steps": trainer.at.env_steps}
        about |= {"kind": kind, "lineage": lineage}
        card = save_policy(job.run_dir / POLICY, trainer.network, job.params.network, trainer.evaluation, about)
        telemetry.write("checkpoint", checkpoint_id=POLICY, state_sha256=card.weights_sha256)
        judged, reasons = outcome(guarded.control)
        reached = steps_to_target(guarded.curve, guarded.target)
        telemetry.write(
            "run_ended", status="completed", verdict=judged, reasons=reasons, steps_to_target=reached, censored=reached is None
        )
    return guarded, card


def _event_files(job: SeedJob, progress: Progress | None) -> AbstractContextManager[Callable[[Line], None] | None]:
    """What writes the run's event files, where the settings ask for them; a run from its beginning replaces those of an earlier one."""
    if not job.params.telemetry.tensorboard:
        return nullcontext()
    folder = TENSORBOARD / job.scenario.name / job.arm / f"seed-{job.seed}"
    if progress is None:
        shutil.rmtree(folder, ignore_errors=True)
        return event_files(folder)
    return event_files(folder, next(state.env_steps for state in progress.states if state.id == progress.latest))


def envelope_of(job: SeedJob) -> Envelope:
    """Whose telemetry this is."""
    arm, scenario, seed = job.arm, job.scenario, job.seed
    run_id = f"{arm}-{scenario.name}-{seed}".replace("_", "-")
    return Envelope(run_id=run_id, arm=arm, world=scenario.world, scenario=scenario.name, seed=seed, stage=job.stage)
