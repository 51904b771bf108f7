"""Training a learned expert: the arm recipe of `expert.train`, on every seed, each judged on worlds of its own.

Until the expert is complete, its seeds work in folders of their own below .headstart/, named by all that determines the result: a training
that was killed goes on from its last evaluation, and a seed that is complete is not trained again.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numba
import torch

from headstart.compare.arm_runs import CurvePoint, Score
from headstart.compare.target import meets, steps_to_target
from headstart.config.params import Params
from headstart.config.scenario import Scenario, Target
from headstart.config.schedule import Arm
from headstart.core.arrays import Mode
from headstart.core.closure import code_sha256
from headstart.core.files import fresh_directory, read_record, write_bytes, write_record
from headstart.core.progress_lines import Amount, Kept
from headstart.learn.anneal import Evaluated, Trainer, Updated, run, trainer_of
from headstart.learn.evaluation import Acting
from headstart.learn.optimizer import autograd_device
from headstart.runs.expert import judged_on
from headstart.runs.expert_record import TrainedSeed
from headstart.runs.policy import load_policy, new_network, save_policy
from headstart.runs.pool import Report, run_all
from headstart.runs.states import (
    POLICY,
    PROGRESS,
    RESULT,
    TrainingProgress,
    begin_work,
    commit,
    copy_whole,
    require_code,
    work_folder,
)
from headstart.runs.trainer_states import go_on, keep
from headstart.runs.worlds import score_of, worlds_of
from headstart.worlds.api import World

MODE: Mode = "deterministic"  # how a learned expert acts, in training as at its gate and when it is recorded
CURVE = "curve.tsv"


def train_seeds(params: Params, scenario: Scenario, folder: Path, reports: Path) -> tuple[list[TrainedSeed], Path]:
    """Train every seed side by side; leaves `folder`/seed-<n> of each. Also gives the folder of the work, to be removed when all is kept."""
    seeds, title = params.expert.seeds, f"expert {scenario.name}"
    # a world that cannot be made says so here, once, not in every process
    worlds_of(scenario, "training", 1, params.capture.observation)
    code = code_sha256(["headstart.stages.expert"])
    recipe = _recipe(params)
    decide = {"expert", "network", "evaluation", "device"}
    work = work_folder("expert", scenario.name, params, scenario, decide, recipe.model_dump(mode="json"), code)
    begin_work(work)
    function = partial(train_seed, params, scenario, code, work)
    trained = run_all(function, seeds, title, Amount(recipe.budget * len(seeds), "env steps"), params.processes)
    with fresh_directory(reports) as reports_now:
        for seed in seeds:
            copy_whole(work / f"seed-{seed}" / POLICY, folder / f"seed-{seed}")
            write_bytes(reports_now / f"curve-{seed}.tsv", (work / f"seed-{seed}" / CURVE).read_bytes())
    return trained, work


def _recipe(params: Params) -> Arm:
    return params.expert.train or params.arms["scratch"]


def train_seed(params: Params, scenario: Scenario, code: str, work: Path, seed: int, report: Report) -> TrainedSeed:
    """One seed, alone in its process, until its budget or a plateau above the gate."""
    require_code("expert", scenario.name, code)
    torch.set_num_threads(1)
    numba.set_num_threads(1)
    own, settings, recipe = work / f"seed-{seed}", params.expert, _recipe(params)
    if (own / RESULT).exists():
        report(Kept(recipe.budget))
        return read_record(own / RESULT, TrainedSeed)
    wanted = scenario.expert
    gate = Target(name="gate", success_rate=wanted.success_rate or 1e-9, harm_rate=wanted.harm_rate, consecutive=1, mode=MODE)
    trainer = _trainer(params, scenario, seed)
    curve = _train(trainer, params, scenario, own, gate, report)
    write_bytes(own / CURVE, _table(curve).encode())
    about = {"scenario": scenario.name, "arm": "expert", "seed": seed, "env_steps": curve[-1].env_steps}
    about |= {"kind": "expert", "lineage": {}}
    card = save_policy(own / POLICY, trainer.network, params.network, trainer.player.world, about)
    result = TrainedSeed(
        seed=seed,
        env_steps=curve[-1].env_steps,
        steps_to_gate=steps_to_target(curve, gate),
        stopped="budget" if curve[-1].env_steps >= recipe.budget else "plateau",
        selection=curve[-1].score(MODE),
        score=judge_seed(params, scenario, own / POLICY, settings.worlds),
        weights_sha256=card.weights_sha256,
    )
    write_record(own / RESULT, result)
    return result


def _trainer(params: Params, scenario: Scenario, seed: int) -> Trainer:
    """A training that has not begun."""
    recipe, observation = _recipe(params), params.capture.observation
    training = worlds_of(scenario, "training", recipe.ppo.worlds, observation)
    evaluation = worlds_of(scenario, "evaluation", params.evaluation.worlds, observation)
    network, device = new_network(training, params.network, seed), autograd_device(params.device)
    return trainer_of(network, recipe, training, evaluation, params.evaluation, seed, modes=(MODE,), device=device)


def _train(trainer: Trainer, params: Params, scenario: Scenario, own: Path, gate: Target, report: Report) -> list[CurvePoint]:
    """Train from the start, or from where an interrupted training last stood; its evaluations."""
    settings, curve = params.expert, list[CurvePoint]()
    if (own / PROGRESS).exists():
        progress = read_record(own / PROGRESS, TrainingProgress)
        go_on(own, progress.latest, trainer)
        curve += progress.curve
        report(Kept(trainer.at.env_steps))
    settled = partial(has_settled, curve, gate, settings.plateau_evaluations, settings.plateau_gain)
    if settled():
        return curve
    for event in run(trainer):
        if isinstance(event, Updated):
            report(event.rollout.reward.size)
        elif isinstance(event, Evaluated):
            scores = {mode: score_of(played, trainer.evaluation, scenario) for mode, played in event.played.items()}
            curve.append(CurvePoint(env_steps=event.env_steps, scores=scores))
            report(f"success {scores[MODE].success_rate:.3f}")
            if trainer.at.begun:
                latest = keep(own, f"at-{event.env_steps}", trainer)
                commit(own, TrainingProgress(latest=latest, curve=tuple(curve)), {latest.id})
            if settled():
                break
    return curve


def judge_seed(params: Params, scenario: Scenario, checkpoint: Path, episodes: int) -> Score:
    """A trained seed on so many worlds of the gate."""

    def acting(world: World) -> Acting:
        return Acting(load_policy(checkpoint, world)[0], params.expert.seed, MODE)

    return judged_on(params, scenario, episodes, acting)


def has_settled(curve: Sequence[CurvePoint], gate: Target, window: int, gain: float) -> bool:
    """Whether the last `window` evaluations all met the gate's rates and the return rose by less than `gain` over them; 0: never."""
    if window == 0 or len(curve) < window:
        return False
    last = [point.score(MODE) for point in curve[-window:]]
    return all(meets(score, gate) for score in last) and last[-1].return_mean - last[0].return_mean < gain


def _table(curve: Sequence[CurvePoint]) -> str:
    lines = ["env_steps\tsuccess_rate\tharm_rate\treturn_mean"]
    for point in curve:
        score = point.score(MODE)
        lines.append(f"{point.env_steps}\t{score.success_rate:.6f}\t{score.harm_rate:.6f}\t{score.return_mean:.6f}")
    return "\n".join(lines) + "\n"
