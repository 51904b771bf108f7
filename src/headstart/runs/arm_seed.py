"""One seed of an arm, alone in its process: trained under guard, examined, and kept; what it had done before a kill is not done again."""

from functools import partial

from headstart.compare.arm_runs import Score, SeedRun
from headstart.config.project import MODELS
from headstart.config.scenario import modes_of
from headstart.config.stage_command import stage_command
from headstart.core.arrays import MODES, Mode
from headstart.core.errors import IntegrityError
from headstart.core.files import read_record, write_record
from headstart.core.progress_lines import Kept
from headstart.guard.control import outcome
from headstart.learn.anneal import Trainer, trainer_of
from headstart.learn.evaluation import play_in_modes
from headstart.learn.optimizer import autograd_device
from headstart.runs.clone_report import REFERENCE, Reference
from headstart.runs.demonstrations import read_used, records_of, tensors_of
from headstart.runs.expert import approved_expert, expert_of
from headstart.runs.guarded_run import RunSetup
from headstart.runs.own_expert import require_stateless
from headstart.runs.policy import load_policy, new_network
from headstart.runs.pool import Report
from headstart.runs.progress import SeedJob
from headstart.runs.seed_training import begin_process, train
from headstart.runs.shift import shift_facts
from headstart.runs.states import RESULT
from headstart.runs.worlds import schema_of, score_of, worlds_of


def train_seed(job: SeedJob, report: Report) -> SeedRun:
    """Train, on one thread; `report` receives the env steps done."""
    begin_process(job)
    if (job.run_dir / RESULT).exists():
        report(Kept(job.params.arms[job.arm].budget))
        return read_record(job.run_dir / RESULT, SeedRun)
    trainer, lineage, returns = begin(job)
    setup = RunSetup(job.scenario, returns, job.run_dir, report, job.params.telemetry)
    guarded, card = train(job, setup, trainer, lineage, "policy")
    status = guarded.control.status
    assert status != "running"
    judged, reasons = outcome(guarded.control)
    acts = trainer.arm.start == "bc" and job.scenario.demonstrations is None
    expert_in = partial(expert_of, job.scenario, block=job.params.clone_of(job.seed)) if acts else None
    result = SeedRun(
        seed=job.seed,
        budget=trainer.arm.budget,
        env_steps=trainer.at.env_steps,
        demonstration_steps=job.clone.demonstration_steps if job.clone else 0,
        clone_sha256=lineage.get("bc"),
        curve=tuple(guarded.curve),
        exam=take_exam(job, trainer),
        checkpoint_sha256=card.weights_sha256,
        status=status,
        outcome=judged.value,
        reasons=reasons,
        rollbacks=guarded.rollbacks,
        shift=shift_facts(job.params, job.scenario, trainer.network, expert_in),
    )
    write_record(job.run_dir / RESULT, result)
    return result


def begin(job: SeedJob) -> tuple[Trainer, dict[str, str], tuple[float, float] | None]:
    """The trainer at its start, the hashes of what it starts from, and the returns of an untrained policy and of the expert."""
    params, scenario, arm = job.params, job.scenario, job.params.arms[job.arm]
    observation, modes, device = params.capture.observation, modes_of(scenario), autograd_device(params.device)
    training = worlds_of(scenario, "training", arm.ppo.worlds, observation)
    evaluation = worlds_of(scenario, "evaluation", params.evaluation.worlds, observation)
    lineage, returns, demonstrations, records, expert, ticks = {}, None, None, None, None, 0
    if job.clone is None:
        network = new_network(training, params.network, job.seed)
    else:
        folder = MODELS / scenario.name / "bc" / f"seed-{job.clone.seed}"
        network, origin = load_policy(folder, training)
        if (origin.weights_sha256, origin.scenario) != (job.clone.weights_sha256, scenario.name):
            raise IntegrityError(
                f"{folder}: expected the clone of {scenario.name} with weights {job.clone.weights_sha256}, "
                f"got one of {origin.scenario} with {origin.weights_sha256}"
            )
        if arm.value_start == "fresh":
            network.critic.load_state_dict(new_network(training, params.network, job.seed).critic.state_dict())
        reference = read_record(folder / REFERENCE, Reference, made_by=stage_command("bc_train", scenario.name))
        if scenario.expert.is_own:  # before anything is trained
            approved_expert(scenario)
        aim = reference.expert or reference.clone  # of recorded demonstrations without a score, what the clone reaches
        lineage, returns = {"bc": origin.weights_sha256}, (reference.untrained.return_mean, aim.return_mean)
    if arm.needs_demonstrations:
        discounted = params.bc_train.model_copy(update={"gamma": arm.ppo.gamma})  # what a bc phase fits its critic to
        stamp, used = read_used(scenario, schema_of(training), discounted, params.clone_of(job.seed))
        train, heldout = (tensors_of(side, discounted.gamma, stamp.has_rewards) for side in used)
        demonstrations, records = (train, heldout), records_of(used[0], stamp) if arm.replays else None
        ticks = stamp.accepted.steps // stamp.accepted.episodes
        if arm.asks_expert:
            require_stateless(scenario)
        expert = expert_of(scenario, training, params.clone_of(job.seed)) if scenario.demonstrations is None else None
    trainer = trainer_of(
        network, arm, training, evaluation, params.evaluation, job.seed, demonstrations, expert, ticks, modes, device, records
    )
    return trainer, lineage, returns


def take_exam(job: SeedJob, trainer: Trainer) -> dict[Mode, Score]:
    """The last weights on worlds that nothing else uses, for each way of choosing actions."""
    fixed, scenario = job.params.evaluation, job.scenario
    exam = worlds_of(scenario, "exam", fixed.exam_worlds, job.params.capture.observation)
    played = play_in_modes(trainer.network, exam, fixed.exam_seed, MODES)
    return {mode: score_of(of, exam, scenario) for mode, of in played.items()}
