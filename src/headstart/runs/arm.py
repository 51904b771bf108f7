"""One arm of the comparison on all its seeds, side by side on the cores; `baseline` and `anneal` are this with a name.

Until an arm is whole, its seeds work in folders of their own below .headstart/, named by all that determines the result: an arm that was
killed goes on where it was, an arm that differs in anything begins anew. This process only waits; `arm_seed` is what the others run.
"""

import time
from functools import partial
from pathlib import Path

import numpy as np

from headstart.compare.arm_runs import CLONES, ArmRuns, CloneRun, CloneRuns, SeedRun
from headstart.config.notify import notify
from headstart.config.params import Params
from headstart.config.project import MODELS
from headstart.config.scenario import Scenario
from headstart.config.stage import Done
from headstart.config.stage_command import stage_command
from headstart.core.closure import code_sha256
from headstart.core.contents import sealed_directory
from headstart.core.errors import GateFailed, InputError
from headstart.core.files import fresh_directory, read_record, sha256_tree, write_record
from headstart.core.progress_lines import Amount
from headstart.guard.schedule_check import require_sound
from headstart.runs.expert import approved_expert, expert_folder
from headstart.runs.kept import require_clones_of_today
from headstart.runs.pool import Report, run_all
from headstart.runs.progress import SeedJob
from headstart.runs.states import POLICY, TELEMETRY, begin_work, copy_whole, end_work, work_folder
from headstart.runs.worlds import design_of, require_variants, worlds_of
from headstart.telemetry.tensorboard import require_tensorboard


def run_arm(params: Params, scenario: Scenario, arm: str, stage: str, models: Path, reports: Path) -> Done:
    """Train `arm` on every seed; writes runs.json and seed-<n>/ checkpoints to `models`, telemetry to `reports`."""
    recipe = params.arms[arm]
    require_sound(f"arms.{arm}", recipe, scenario.world, params.evaluation.every)
    if params.telemetry.tensorboard:
        require_tensorboard()
    require_variants(params, scenario)
    clones = clones_of(params, scenario) if recipe.start == "bc" else {}
    began = time.monotonic()
    code = code_sha256([f"headstart.stages.{stage}"])
    run_dir = run_dir_of(params, scenario, arm, code)
    begin_work(run_dir)
    with sealed_directory(models) as models_now, fresh_directory(reports) as reports_now:
        jobs = [
            SeedJob(params, scenario, arm, seed, stage, code, run_dir / f"seed-{seed}", clones.get(seed)) for seed in params.seeds
        ]
        title = f"{stage} {scenario.name} {arm}"
        amount = Amount(recipe.budget * len(jobs), "env steps")
        runs = run_all(run_seed, jobs, title, amount, params.processes, partial(_tell, jobs[0]))
        for job in jobs:
            copy_whole(job.run_dir / POLICY, models_now / job.run_dir.name)
            copy_whole(job.run_dir / TELEMETRY, reports_now / TELEMETRY / job.run_dir.name)
        arm_runs = ArmRuns(
            scenario=scenario.name,
            arm=arm,
            recipe=recipe,
            rollout_steps=recipe.ppo.worlds * recipe.ppo.rollout_ticks * worlds_of(scenario, "training", 1).num_agents,
            design=design_of(params, scenario),
            runs=tuple(runs),
        )
        write_record(models_now / "runs.json", arm_runs)
    end_work(run_dir)
    seconds = time.monotonic() - began
    exams = [run.exam["sampled"] for run in runs]
    metrics = {
        "success_rate": float(np.mean([e.success_rate for e in exams])),
        "harm_rate": float(np.mean([e.harm_rate for e in exams])),
        "return_mean": float(np.mean([e.return_mean for e in exams])),
        "env_steps": sum(run.env_steps for run in runs),
        "steps_per_s": sum(run.env_steps for run in runs) / seconds,
    }
    guarded = [
        f"\n  seed {run.seed}: {run.status}, {run.outcome}: {'; '.join(run.reasons)}" for run in runs if run.outcome != "PASS"
    ]
    says = (
        f"{title}: {len(runs)} seeds × {recipe.budget:,} env steps in {seconds:.0f} s "
        f"({metrics['steps_per_s']:,.0f} steps/s with evaluation); exam success {metrics['success_rate']:.3f}, "
        f"harm {metrics['harm_rate']:.3f}, return {metrics['return_mean']:.3f}" + "".join(guarded)
    )
    look = f"{reports / TELEMETRY}; `headstart explain {scenario.name}/{arm}` tells how it went"
    return Done(says, metrics, params.seeds, look)


def _tell(job: SeedJob, run: SeedRun) -> None:
    """A run that a guardrail held or ended is told to a person as soon as it is over."""
    notify(job.params.notify, (job.stage, job.scenario.name, job.arm), run.outcome, run.reasons, run.seed)


def clones_of(params: Params, scenario: Scenario) -> dict[int, CloneRun]:
    """Seed → the clone that it starts from. GateFailed where one missed its gate, InputError where one is missing."""
    path = MODELS / scenario.name / "bc" / CLONES
    made = stage_command("bc_train", scenario.name)
    found = read_record(path, CloneRuns, made_by=made)
    clones = {clone.seed: clone for clone in found.clones}
    wanted = {seed: params.seeds[params.clone_of(seed)] for seed in params.seeds}
    if missing := sorted(set(wanted.values()) - clones.keys()):
        raise InputError(f"{path}: expected clones of seeds {sorted(set(wanted.values()))}, {missing} are missing; `{made}`")
    if refused := [clone.seed for clone in clones.values() if clone.outcome != "PASS"]:
        raise GateFailed(f"{path}: expected clones that passed their gate, those of seeds {refused} did not; `{made}` says why")
    require_clones_of_today(found, path.parent, scenario, approved_expert(scenario))
    return {seed: clones[own] for seed, own in wanted.items()}


def run_dir_of(params: Params, scenario: Scenario, arm: str, code: str) -> Path:
    """A folder named by everything that the arm's result depends on, the hash of the code that its stage imports included.

    Clones and their data decide only what starts from them.
    """
    recipe, inputs, decide = params.arms[arm], [], {"seeds", "network", "evaluation", "device", "telemetry"}
    if recipe.start == "bc":
        inputs = [sha256_tree(path) for path in (MODELS / scenario.name / "bc", expert_folder(scenario)) if path.is_dir()]
        decide.add("bc_train")
    return work_folder("arms", f"{scenario.name}-{arm}", params, scenario, decide, recipe.model_dump(mode="json"), inputs, code)


def run_seed(job: SeedJob, report: Report) -> SeedRun:
    """One seed, alone in its process."""
    from headstart.runs.arm_seed import (
        train_seed,  # torch takes seconds to import, and the process that waits has no use for it
    )

    return train_seed(job, report)
