"""One arm of the comparison on all its seeds, side by side on the cores; `baseline` and `anneal` are this with a name."""

import time
from dataclasses import dataclass
from pathlib import Path
from platform import python_version
from typing import Any

import numba
import numpy as np
import torch

import headstart
from headstart.launch.pool import Report, run_all
from headstart.learn.anneal import Evaluated, PhaseBegan, Updated, train
from headstart.learn.evaluation import play_episodes
from headstart.params import Params, Scenario
from headstart.records.files import fresh_directory, read_record, write_record
from headstart.records.manifest import DatasetManifest
from headstart.records.provenance import package_version
from headstart.records.runs import ArmRuns, CurvePoint, EvaluationDesign, SeedRun
from headstart.records.telemetry import TelemetryWriter
from headstart.records.telemetry_line import Envelope
from headstart.stages.policy import load_policy, new_network, save_policy
from headstart.stages.project import DATA, MODELS, hash_of, schema_of, score_of, worlds_of


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
    with TelemetryWriter(job.reports / "telemetry" / f"seed-{job.seed}", envelope) as telemetry:
        telemetry.write("run_started", **_run_started(job, training.num_agents, lineage))
        clock, total = time.monotonic(), 0
        for event in train(network, arm, training, evaluation, params.evaluation, job.seed):
            env_steps = event.env_steps
            if isinstance(event, PhaseBegan):
                planned = {"env_steps": event.phase.env_steps}
                telemetry.write(
                    "phase_started",
                    phase=event.phase.name,
                    phase_index=event.index,
                    phase_kind=event.phase.kind,
                    cycle=event.index,
                    attempt=0,
                    planned=planned,
                    baselines={},
                )
            elif isinstance(event, Updated):
                total += int(event.metrics["transitions"])
                seconds, clock = time.monotonic() - clock, time.monotonic()
                telemetry.write("update", **update_fields(event, training.names.stats, arm.ppo.num_epochs, total, seconds))
                report(event.rollout.action.numel())
            elif isinstance(event, Evaluated):
                curve.append(
                    CurvePoint(env_steps=env_steps, sampled=score_of(event.sampled), deterministic=score_of(event.deterministic))
                )
                clock = time.monotonic()
            else:
                telemetry.write(
                    "phase_ended", env_steps=env_steps, outcome="completed", env_steps_used=event.phase.env_steps, flags={}
                )
        telemetry.write("run_ended", status="completed", reasons=(), censored=False)
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
    exam = worlds_of(scenario, "exam", params.evaluation.exam_worlds, see)
    assert card.weights_sha256 is not None
    return SeedRun(
        seed=job.seed,
        budget=arm.budget,
        env_steps=env_steps,
        curve=tuple(curve),
        exam={
            "sampled": score_of(play_episodes(network, exam, params.evaluation.exam_seed, "sampled")),
            "deterministic": score_of(play_episodes(network, exam, params.evaluation.exam_seed, "deterministic")),
        },
        checkpoint_sha256=card.weights_sha256,
    )


def _run_started(job: SeedJob, agents: int, lineage: dict[str, Any]) -> dict[str, Any]:
    recipe = job.params.arms[job.arm]
    return {
        "run_type": "baseline_ppo" if job.stage == "baseline" else "anneal",
        "config_sha256": hash_of(recipe.model_dump(mode="json"), job.params.network.model_dump(mode="json"), job.scenario.sha256),
        "params": recipe.model_dump(mode="json"),
        "inputs": [{"role": role, "id": role, "sha256": sha256} for role, sha256 in lineage.items()],
        "package_version": headstart.__version__,
        "versions": {name: package_version(name) or "unknown" for name in ("numpy", "torch")} | {"python": python_version()},
        "device": "cpu",
        "threads": 1,
        "worlds": recipe.ppo.worlds,
        "agents": agents,
        "guardrails": (),
        "telemetry_settings": {"every": 1},
    }


def update_fields(event: Updated, stats: tuple[str, ...], passes: int, transitions_total: int, seconds: float) -> dict[str, Any]:
    """An `update` record of telemetry from what happened in one PPO iteration."""
    m, rollout, weights = event.metrics, event.rollout, event.weights
    steps = rollout.action.numel()
    ended = rollout.stats.reshape(-1, len(stats))
    counted = {name: int(ended[:, stats.index(name)].sum()) for name in stats} if len(ended) else {}
    events = counted.get("presses", 0) + counted.get("ghost_steps", 0)
    returns = ended[:, stats.index("total_reward")] * 1e-4 if len(ended) else np.zeros(0)
    return {
        "env_steps": event.env_steps,
        "epoch": event.epoch,
        "passes": passes,
        "updates": int(m["updates"]),
        "transitions": int(m["transitions"]),
        "transitions_total": transitions_total,
        "loss_policy": m.get("loss_policy", 0.0),
        "loss_value": m["loss_value"],
        "loss_total": m["loss_total"],
        "batch_entropy_mean": m["entropy"],
        "batch_entropy_std": m["entropy_std"],
        "clip_fraction": m.get("clip_fraction", 0.0),
        "clip_fraction_max": m.get("clip_fraction_max", 0.0),
        "clip_triggered_minibatches": int(m["clip_triggered_minibatches"]),
        "adv_mean": m["adv_mean"],
        "adv_std": m["adv_std"],
        "adv_min_std": m["adv_min_std"],
        "adv_zero_std_batches": int(m["adv_zero_std_batches"]),
        "grad_norm": m.get("grad_norm", m["grad_norm_value"]),
        "grad_norm_max": m.get("grad_norm_max", m["grad_norm_value"]),
        "kl_divergence": m.get("kl_divergence", 0.0),
        "kl_divergence_max": m.get("kl_divergence_max", 0.0),
        "kl_estimator": "k3",
        "lr": weights.learning_rate,
        "data_mode": "rollout",
        "cycle_id": event.epoch,
        "rollout_ticks": rollout.action.shape[0],
        "reward_advantage_corr": _or_none(m["reward_advantage_corr"]),
        "explained_variance": _or_none(m["explained_variance"]),
        "kl_weight": weights.kl_weight,
        "loss_kl": m.get("loss_kl"),
        "kl_to_reference": m.get("loss_kl"),
        "reward_mean": float(rollout.reward.mean()),
        "return_mean": float(returns.mean()) if len(returns) else None,
        "return_std": float(returns.std()) if len(returns) else None,
        "episodes_finished": int((rollout.terminated | rollout.truncated).sum()),
        "terminations": int(rollout.terminated.sum()),
        "truncations": int(rollout.truncated.sum()),
        "reward_clipped_fraction": 0.0,
        "queue_conflict_events": events if counted else None,
        "queue_conflict_intensity_sum": counted["intensity"] / 100 if counted else None,
        "shower_complete_events": counted.get("showers"),
        "sleep_complete_events": counted.get("sleeps"),
        "chat_success_events": counted.get("chats"),
        "epoch_duration_sec": seconds,
        "env_steps_per_s": steps / seconds,
    }


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value
