"""Training a learned expert: the recipe `expert.train` as an arm of its own, on every seed, each judged on worlds of its own.

`seed_training.train` does the work, as for the arms that are compared: guarded, logged, and resumed after a kill at the last evaluation.
Until the expert is complete, its seeds work in folders of their own below .headstart/, named by all that determines the result.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from headstart.compare.arm_runs import CurvePoint, Score
from headstart.compare.target import meets, steps_to_target
from headstart.config.notify import notify
from headstart.config.params import Params
from headstart.config.scenario import Scenario, Target
from headstart.config.schedule import Arm
from headstart.core.arrays import Mode
from headstart.core.closure import code_sha256
from headstart.core.files import fresh_directory, read_record, write_bytes, write_record
from headstart.core.progress_lines import Amount, Kept
from headstart.guard.control import outcome
from headstart.guard.schedule_check import require_sound
from headstart.learn.anneal import Trainer, trainer_of
from headstart.learn.evaluation import Acting
from headstart.learn.optimizer import autograd_device
from headstart.runs.expert_episodes import judged_on
from headstart.runs.expert_record import Episodes, TrainedSeed
from headstart.runs.guarded_run import RunSetup
from headstart.runs.policy import load_policy, new_network
from headstart.runs.pool import Report, run_all
from headstart.runs.progress import SeedJob
from headstart.runs.seed_training import begin_process, train
from headstart.runs.states import POLICY, RESULT, TELEMETRY, begin_work, copy_whole, work_folder
from headstart.runs.worlds import worlds_of
from headstart.telemetry.tensorboard import require_tensorboard
from headstart.worlds.api import World

ARM = "expert"  # the name of the recipe in logs and cards
MODE: Mode = "deterministic"  # how a learned expert acts, in training as at its gate and when it is recorded
CURVE = "curve.tsv"
LATE = 0.25  # the last share of a training, whose gain tells whether its curve still rose


def train_seeds(params: Params, scenario: Scenario, folder: Path, reports: Path) -> tuple[list[TrainedSeed], Path]:
    """Train every seed side by side; leaves `folder`/seed-<n> of each. Also gives the folder of the work, to be removed when all is kept."""
    seeds, title = params.expert.seeds, f"expert {scenario.name}"
    # a world that cannot be made says so here, once, not in every process
    worlds_of(scenario, "training", 1, params.capture.observation)
    if params.telemetry.tensorboard:
        require_tensorboard()
    recipe = params.expert.train or params.arms["scratch"]
    code = code_sha256(["headstart.stages.expert"])
    decide = {"expert", "network", "evaluation", "device", "telemetry"}
    work = work_folder("expert", scenario.name, params, scenario, decide, recipe.model_dump(mode="json"), code)
    jobs = [job_of(params, scenario, recipe, seed, work, code) for seed in seeds]
    require_sound("expert.train" if params.expert.train else "arms.scratch", recipe, scenario.world, params.evaluation.every)
    begin_work(work)
    trained = run_all(
        train_seed,
        jobs,
        title,
        Amount(recipe.budget * len(seeds), "env steps"),
        params.processes,
        lambda one: notify(params.notify, ("expert", scenario.name), "FAIL" if one.reasons else "PASS", one.reasons, one.seed),
    )
    with fresh_directory(reports) as reports_now:
        for job in jobs:
            copy_whole(job.run_dir / POLICY, folder / job.run_dir.name)
            copy_whole(job.run_dir / TELEMETRY, reports_now / TELEMETRY / job.run_dir.name)
            write_bytes(reports_now / f"curve-{job.seed}.tsv", (job.run_dir / CURVE).read_bytes())
    return trained, work


def job_of(params: Params, scenario: Scenario, recipe: Arm, seed: int, work: Path, code: str) -> SeedJob:
    """One seed of the recipe, as the arm ARM."""
    as_arm = params.model_copy(update={"arms": {ARM: recipe}})
    return SeedJob(as_arm, scenario, ARM, seed, "expert", code, work / f"seed-{seed}")


def train_seed(job: SeedJob, report: Report) -> TrainedSeed:
    """One seed, alone in its process, until its budget, a plateau above the gate, or the guardrail that ends it."""
    begin_process(job)
    params, scenario, own, budget = job.params, job.scenario, job.run_dir, job.params.arms[ARM].budget
    if (own / RESULT).exists():
        report(Kept(budget))
        return read_record(own / RESULT, TrainedSeed)
    gate = gate_of(scenario)
    settled = partial(has_settled, gate=gate, window=params.expert.plateau_evaluations, gain=params.expert.plateau_gain)
    setup = RunSetup(scenario, None, own, report, params.telemetry, gate, settled)
    trainer = _trainer(job)
    guarded, card = train(job, setup, trainer, {}, "expert")
    curve, steps = guarded.curve, trainer.at.env_steps
    write_bytes(own / CURVE, _table(curve).encode())
    score, episodes = judge_seed(params, scenario, own / POLICY, params.expert.worlds)
    is_whole = guarded.control.status == "completed"
    result = TrainedSeed(
        seed=job.seed,
        env_steps=steps,
        steps_to_gate=steps_to_target(curve, gate),
        stopped="guardrail" if not is_whole else "budget" if steps >= budget else "plateau",
        selection=curve[-1].score(MODE),
        score=score,
        weights_sha256=card.weights_sha256,
        episodes=episodes,
        late_gain=late_gain(curve),
        reasons=() if is_whole else outcome(guarded.control)[1],
    )
    write_record(own / RESULT, result)
    return result


def _trainer(job: SeedJob) -> Trainer:
    """A training that has not begun."""
    params, recipe, observation = job.params, job.params.arms[ARM], job.params.capture.observation
    training = worlds_of(job.scenario, "training", recipe.ppo.worlds, observation)
    evaluation = worlds_of(job.scenario, "evaluation", params.evaluation.worlds, observation)
    network, device = new_network(training, params.network, job.seed), autograd_device(params.device)
    return trainer_of(network, recipe, training, evaluation, params.evaluation, job.seed, modes=(MODE,), device=device)


def judge_seed(params: Params, scenario: Scenario, checkpoint: Path, episodes: int) -> tuple[Score, Episodes]:
    """A trained seed on so many worlds of the gate."""

    def acting(world: World) -> Acting:
        return Acting(load_policy(checkpoint, world)[0], params.expert.seed, MODE)

    return judged_on(params, scenario, episodes, acting)


def gate_of(scenario: Scenario) -> Target:
    """What a training has to reach: the rates of the scenario's gate."""
    wanted = scenario.expert
    return Target(name="gate", success_rate=wanted.success_rate or 1e-9, harm_rate=wanted.harm_rate, consecutive=1, mode=MODE)


def has_settled(curve: Sequence[CurvePoint], gate: Target, window: int, gain: float) -> bool:
    """Whether the last `window` evaluations all met the gate's rates and the return rose by less than `gain` over them; 0: never."""
    if window == 0 or len(curve) < window:
        return False
    last = [point.score(MODE) for point in curve[-window:]]
    return all(meets(score, gate) for score in last) and last[-1].return_mean - last[0].return_mean < gain


def late_gain(curve: Sequence[CurvePoint]) -> float | None:
    """By how much the rate of success rose in the last quarter: mean of its evaluations less that of as many before. None: too few of them."""
    n = int(len(curve) * LATE)
    rates = [point.score(MODE).success_rate for point in curve]
    return sum(rates[-n:]) / n - sum(rates[-2 * n : -n]) / n if n else None


def _table(curve: Sequence[CurvePoint]) -> str:
    lines = ["env_steps\tsuccess_rate\tharm_rate\treturn_mean"]
    for point in curve:
        score = point.score(MODE)
        lines.append(f"{point.env_steps}\t{score.success_rate:.6f}\t{score.harm_rate:.6f}\t{score.return_mean:.6f}")
    return "\n".join(lines) + "\n"
