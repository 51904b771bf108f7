"""One arm of the comparison on all its seeds, side by side on the cores; `baseline` and `anneal` are this with a name.

Until an arm is whole, its seeds work on a desk of their own below .headstart/, named by all that determines the result: an arm that was
killed goes on where it was, an arm that differs in anything begins anew.
"""

import shutil
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numba
import numpy as np
import torch

import headstart
from headstart.errors import InputError
from headstart.govern.control import outcome
from headstart.govern.guardrails import metrics_of
from headstart.govern.schedule_check import check_schedule
from headstart.govern.target import steps_to_target
from headstart.launch.pool import Report, run_all
from headstart.learn.anneal import Trainer, trainer_of
from headstart.learn.evaluation import MODES, Mode, play_episodes
from headstart.params import Params, Scenario
from headstart.records.expert import ExpertPolicy
from headstart.records.files import fresh_directory, read_record, sha256_tree, write_record
from headstart.records.progress import load_progress
from headstart.records.reference import REFERENCE, Reference
from headstart.records.runs import ArmRuns, EvaluationDesign, Score, SeedRun
from headstart.records.telemetry import TelemetryWriter
from headstart.records.telemetry_line import Envelope
from headstart.stages.arm_telemetry import checkpoint_fields, hardest_target, started_fields
from headstart.stages.dataset import read_demonstrations, read_used
from headstart.stages.guarded_run import GuardedRun, Watch, go, resume
from headstart.stages.policy import load_policy, new_network, save_policy
from headstart.stages.project import MODELS, SCRATCH, hash_of, schema_of, score_of, worlds_of
from headstart.stages.shift import require_variants, shift_facts
from headstart.stages.teacher import expert_folder, teacher_of

RESULT, POLICY, TELEMETRY = "result.json", "policy", "telemetry"


@dataclass(frozen=True)
class SeedJob:
    """What one process needs to run one seed."""

    params: Params
    scenario: Scenario
    arm: str
    seed: int
    stage: str
    desk: Path  # where the seed works; what is whole is taken from there


def run_arm(params: Params, scenario: Scenario, arm: str, stage: str, models: Path, reports: Path) -> str:
    """Train `arm` on every seed; writes runs.json and seed-<n>/ checkpoints to `models`, telemetry to `reports`."""
    recipe = params.arms[arm]
    require_sound(params, scenario, arm)
    require_variants(params, scenario)
    cost = recorded_steps(params, scenario) + training_steps(scenario) if recipe.start == "bc" else 0
    began = time.monotonic()
    desk = desk_of(params, scenario, arm)
    with fresh_directory(models) as models_now, fresh_directory(reports) as reports_now:
        jobs = [SeedJob(params, scenario, arm, seed, stage, desk / f"seed-{seed}") for seed in params.seeds]
        title = f"{stage} {scenario.name} {arm}"
        runs = run_all(run_seed, jobs, title, recipe.budget * len(jobs), params.processes)
        for job in jobs:
            shutil.copytree(job.desk / POLICY, models_now / job.desk.name)
            shutil.copytree(job.desk / TELEMETRY, reports_now / TELEMETRY / job.desk.name)
        arm_runs = ArmRuns(
            scenario=scenario.name,
            arm=arm,
            design=design_of(params, scenario),
            demonstration_steps=cost,
            runs=tuple(runs),
        )
        write_record(models_now / "runs.json", arm_runs)
    shutil.rmtree(desk)
    seconds = time.monotonic() - began
    exams = [run.exam["sampled"] for run in runs]
    guarded = [
        f"\n  seed {run.seed}: {run.status}, {run.outcome}: {'; '.join(run.reasons)}" for run in runs if run.outcome != "PASS"
    ]
    steps = sum(run.env_steps for run in runs)
    return (
        f"{title}: {len(runs)} seeds × {recipe.budget:,} env steps in {seconds:.0f} s ({steps / seconds:,.0f} steps/s with evaluation); "
        f"exam success {np.mean([e.success / e.episodes for e in exams]):.3f}, "
        f"harm {np.mean([e.harm / e.episodes for e in exams]):.3f}, return {np.mean([e.return_mean for e in exams]):.3f}"
        + "".join(guarded)
    )


def require_sound(params: Params, scenario: Scenario, arm: str) -> None:
    """InputError with every error that `headstart schedule check` finds in the arm; what it holds is for `headstart release`."""
    every, scratch = params.evaluation.every, params.arms["scratch"].budget
    problems = check_schedule(params.arms[arm], known_metrics=metrics_of(scenario.world), evaluation_every=every, budget=scratch)
    if errors := [f"{problem.where}: {problem.text}" for problem in problems if problem.level == "error"]:
        raise InputError(f"arms.{arm}: {'; '.join(errors)}")


def recorded_steps(params: Params, scenario: Scenario) -> int:
    """Recorded steps that the clone rests on, held-out ones among them."""
    schema = schema_of(worlds_of(scenario, "clone", 1, params.capture.observation))
    _, sides = read_used(scenario, schema, params.bc_train)
    return sum(len(side.reward) for side in sides)


def training_steps(scenario: Scenario) -> int:
    """Env steps that the training of a learned expert took, on all its seeds; a script takes none."""
    expert = read_record(expert_folder(scenario) / "expert.json", ExpertPolicy, made_by=f"dvc repro expert@{scenario.name}")
    return sum(seed.env_steps for seed in expert.seeds)


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


def desk_of(params: Params, scenario: Scenario, arm: str) -> Path:
    """A folder named by everything that the arm's result depends on, the code included."""
    inputs = [sha256_tree(path) for path in (MODELS / scenario.name / "bc", MODELS / scenario.name / "expert") if path.is_dir()]
    code = sha256_tree(Path(headstart.__file__).parent, "*.py")  # beside them Python leaves what it compiled, when it likes
    settings = params.model_dump(mode="json", include={"seeds", "network", "evaluation", "capture"})
    key = hash_of(settings, params.arms[arm].model_dump(mode="json"), scenario.model_dump(mode="json"), inputs, code)
    return SCRATCH / "arms" / f"{scenario.name}-{arm}-{key[:16]}"


def run_seed(job: SeedJob, report: Report) -> SeedRun:
    """One seed, alone in its process, on one thread; what it had done before it was interrupted is not done again."""
    torch.set_num_threads(1)
    numba.set_num_threads(1)
    if (job.desk / RESULT).exists():
        report(job.params.arms[job.arm].budget)
        return read_record(job.desk / RESULT, SeedRun)
    trainer, lineage, returns = begin(job)
    target = hardest_target(job.scenario)
    watch = Watch(job.scenario, target, returns, job.desk, report)
    progress = load_progress(job.desk)
    if progress is None:
        shutil.rmtree(job.desk, ignore_errors=True)  # a log without a state to go on from
    with TelemetryWriter(job.desk / TELEMETRY, envelope_of(job), keep=progress.telemetry_seq if progress else 0) as telemetry:
        guarded = GuardedRun(trainer, watch, telemetry)
        if progress:
            resume(guarded, progress)
            report(trainer.at.env_steps)
        else:
            telemetry.write("run_started", **started_fields(job.params, job.scenario, job.arm, target, lineage, trainer))
        go(guarded)
        card = save_policy(
            job.desk / POLICY,
            trainer.network,
            job.params.network,
            kind="policy",
            scenario=job.scenario.name,
            arm=job.arm,
            seed=job.seed,
            env_steps=trainer.at.env_steps,
            observation=schema_of(trainer.evaluation),
            lineage=lineage,
        )
        assert card.weights_sha256 is not None
        telemetry.write("checkpoint", **checkpoint_fields(job.desk / POLICY, card.weights_sha256, telemetry.seq))
        status = guarded.control.status
        assert status != "running"
        judged, reasons = outcome(guarded.control)
        reached = steps_to_target(guarded.curve, target)
        telemetry.write(
            "run_ended", status="completed", verdict=judged, reasons=reasons, steps_to_target=reached, censored=reached is None
        )
    teacher_in = partial(teacher_of, job.scenario) if trainer.arm.start == "bc" else None
    result = SeedRun(
        seed=job.seed,
        budget=trainer.arm.budget,
        env_steps=trainer.at.env_steps,
        curve=tuple(guarded.curve),
        exam=take_exam(job, trainer),
        checkpoint_sha256=card.weights_sha256,
        status=status,
        outcome=judged.value,
        reasons=reasons,
        rollbacks=guarded.rollbacks,
        shift=shift_facts(job.params, job.scenario, trainer.network, teacher_in),
    )
    write_record(job.desk / RESULT, result)
    return result


def begin(job: SeedJob) -> tuple[Trainer, dict[str, str], tuple[float, float] | None]:
    """The trainer at its start, the hashes of what it starts from, and the returns of an untrained policy and of the expert."""
    params, scenario, arm = job.params, job.scenario, job.params.arms[job.arm]
    see = params.capture.observation
    training = worlds_of(scenario, "training", arm.ppo.worlds, see)
    evaluation = worlds_of(scenario, "evaluation", params.evaluation.worlds, see)
    if arm.start == "random":
        network = new_network(training, params.network, job.seed)
        return trainer_of(network, arm, training, evaluation, params.evaluation, job.seed), {}, None
    folder = MODELS / scenario.name / "bc"
    network, origin = load_policy(folder, training)
    if arm.value_start == "fresh":
        network.critic.load_state_dict(new_network(training, params.network, job.seed).critic.state_dict())
    reference = read_record(folder / REFERENCE, Reference, made_by=f"dvc repro bc_train@{scenario.name}")
    demonstrations, teacher, ticks = None, None, 0
    if arm.needs_demonstrations:
        discounted = params.bc_train.model_copy(update={"gamma": arm.ppo.gamma})  # what a bc phase fits its critic to
        stamp, demonstrations = read_demonstrations(scenario, schema_of(training), discounted)
        ticks = stamp.accepted.steps // stamp.accepted.episodes
        teacher = teacher_of(scenario, training)
    trainer = trainer_of(network, arm, training, evaluation, params.evaluation, job.seed, demonstrations, teacher, ticks)
    returns = (reference.untrained.return_mean, reference.expert.return_mean)
    assert origin.weights_sha256 is not None
    return trainer, {"bc": origin.weights_sha256}, returns


def envelope_of(job: SeedJob) -> Envelope:
    """Whose telemetry this is."""
    return Envelope(
        run_id=f"{job.arm}-{job.scenario.name}-{job.seed}".replace("_", "-"),
        arm=job.arm,
        world=job.scenario.world,
        scenario=job.scenario.name,
        seed=job.seed,
        stage=job.stage,
    )


def take_exam(job: SeedJob, trainer: Trainer) -> dict[Mode, Score]:
    """The last weights on worlds that nothing else uses, for each way of choosing actions."""
    fixed, scenario = job.params.evaluation, job.scenario
    exam = worlds_of(scenario, "exam", fixed.exam_worlds, job.params.capture.observation)
    return {mode: score_of(play_episodes(trainer.network, exam, fixed.exam_seed, mode), exam, scenario) for mode in MODES}
