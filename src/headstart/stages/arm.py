"""One arm of the comparison on all its seeds, side by side on the cores; `baseline` and `anneal` are this with a name."""

import time
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np
import torch

from headstart.govern.target import steps_to_target
from headstart.launch.pool import Report, run_all
from headstart.learn.anneal import Evaluated, PhaseBegan, Updated, train
from headstart.learn.evaluation import MODES, play_episodes
from headstart.params import Params, Scenario
from headstart.records.files import fresh_directory, read_record, write_record
from headstart.records.manifest import DatasetManifest
from headstart.records.runs import ArmRuns, CurvePoint, EvaluationDesign, SeedRun
from headstart.records.telemetry import TelemetryWriter
from headstart.records.telemetry_line import Envelope
from headstart.stages.arm_telemetry import (
    checkpoint_fields,
    evaluation_fields,
    hardest_target,
    phase_fields,
    started_fields,
    update_fields,
)
from headstart.stages.policy import load_policy, new_network, save_policy
from headstart.stages.project import DATA, MODELS, schema_of, score_of, worlds_of


@dataclass(frozen=True)
class SeedJob:
    """What one process needs to run one seed."""

    params: Params
    scenario: Scenario
    arm: str
    seed: int
    stage: str
    models: Path  # where seed-<n>/ goes
    reports: Path  # where telemetry/seed-<n>/ goes


def run_arm(params: Params, scenario: Scenario, arm: str, stage: str, models: Path, reports: Path) -> str:
    """Train `arm` on every seed; writes runs.json and seed-<n>/ checkpoints to `models`, telemetry to `reports`."""
    recipe = params.arms[arm]
    demonstration_steps = 0
    if recipe.start == "bc":
        stamp = read_record(DATA / scenario.name / "validated.json", DatasetManifest, made_by="dvc repro validate")
        demonstration_steps = stamp.accepted.steps
    began = time.monotonic()
    with fresh_directory(models) as models_now, fresh_directory(reports) as reports_now:
        jobs = [SeedJob(params, scenario, arm, seed, stage, models_now, reports_now) for seed in params.seeds]
        title = f"{stage} {scenario.name} {arm}"
        runs = run_all(run_seed, jobs, title, recipe.budget * len(jobs), params.processes)
        arm_runs = ArmRuns(
            scenario=scenario.name,
            arm=arm,
            design=design_of(params, scenario),
            demonstration_steps=demonstration_steps,
            runs=tuple(runs),
        )
        write_record(models_now / "runs.json", arm_runs)
    seconds = time.monotonic() - began
    exams = [run.exam["sampled"] for run in runs]
    steps = sum(run.env_steps for run in runs)
    return (
        f"{title}: {len(runs)} seeds × {recipe.budget:,} env steps in {seconds:.0f} s ({steps / seconds:,.0f} steps/s with evaluation); "
        f"exam success {np.mean([e.success / e.episodes for e in exams]):.3f}, "
        f"harm {np.mean([e.harm / e.episodes for e in exams]):.3f}, return {np.mean([e.return_mean for e in exams]):.3f}"
    )


def design_of(params: Params, scenario: Scenario) -> EvaluationDesign:
    """What must be equal for two arms to be compared."""
    fixed = params.evaluation
    return EvaluationDesign(
        scenario_sha256=scenario.sha256,
        evaluation_seed=fixed.seed,
        evaluation_worlds=fixed.worlds,
        every=fixed.every,
        exam_seed=fixed.exam_seed,
        exam_worlds=fixed.exam_worlds,
    )


def run_seed(job: SeedJob, report: Report) -> SeedRun:
    """One seed, alone in its process, on one thread."""
    torch.set_num_threads(1)
    numba.set_num_threads(1)
    params, scenario, arm = job.params, job.scenario, job.params.arms[job.arm]
    see = params.capture.observation
    training = worlds_of(scenario, "training", arm.ppo.worlds, see)
    if arm.start == "bc":
        network, origin = load_policy(MODELS / scenario.name / "bc", training)
        lineage = {"bc": origin.weights_sha256}
    else:
        network, lineage = new_network(training, params.network, job.seed), {}
    envelope = Envelope(
        run_id=f"{job.arm}-{scenario.name}-{job.seed}".replace("_", "-"),
        arm=job.arm,
        world=scenario.world,
        scenario=scenario.name,
        seed=job.seed,
        stage=job.stage,
    )
    curve: list[CurvePoint] = []
    env_steps = 0
    evaluation = worlds_of(scenario, "evaluation", params.evaluation.worlds, see)
    target = hardest_target(scenario)
    with TelemetryWriter(job.reports / "telemetry" / f"seed-{job.seed}", envelope) as telemetry:
        telemetry.write("run_started", **started_fields(params, scenario, job.arm, target, lineage))
        clock, total = time.monotonic(), 0
        for event in train(network, arm, training, evaluation, params.evaluation, job.seed):
            env_steps = event.env_steps
            if isinstance(event, PhaseBegan):
                telemetry.write("phase_started", **phase_fields(event))
            elif isinstance(event, Updated):
                total += int(event.metrics["transitions"])
                seconds, clock = time.monotonic() - clock, time.monotonic()
                telemetry.write("update", **update_fields(event, training, arm.ppo.num_epochs, total, seconds))
                report(event.rollout.action.numel())
            elif isinstance(event, Evaluated):
                sampled, likeliest = (score_of(played, evaluation, scenario) for played in (event.sampled, event.deterministic))
                curve.append(CurvePoint(env_steps=env_steps, sampled=sampled, deterministic=likeliest))
                for line in evaluation_fields(event, network, evaluation, params.evaluation.seed, curve, target):
                    telemetry.write("evaluation", **line)
                clock = time.monotonic()
            else:
                telemetry.write(
                    "phase_ended", env_steps=env_steps, outcome="completed", env_steps_used=event.phase.steps, flags={}
                )
        card = save_policy(
            job.models / f"seed-{job.seed}",
            network,
            params.network,
            kind="policy",
            scenario=scenario.name,
            arm=job.arm,
            seed=job.seed,
            env_steps=env_steps,
            observation=schema_of(training),
            lineage=lineage,
        )
        assert card.weights_sha256 is not None
        telemetry.write("checkpoint", **checkpoint_fields(job.models / f"seed-{job.seed}", card.weights_sha256, telemetry.seq))
        reached = steps_to_target(curve, target)
        telemetry.write("run_ended", status="completed", reasons=(), steps_to_target=reached, censored=reached is None)
    exam = worlds_of(scenario, "exam", params.evaluation.exam_worlds, see)
    return SeedRun(
        seed=job.seed,
        budget=arm.budget,
        env_steps=env_steps,
        curve=tuple(curve),
        exam={mode: score_of(play_episodes(network, exam, params.evaluation.exam_seed, mode), exam, scenario) for mode in MODES},
        checkpoint_sha256=card.weights_sha256,
    )
