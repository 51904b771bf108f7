"""Training a learned expert: the arm recipe of `expert.train`, on every seed, each judged on worlds of its own."""

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
from headstart.core.files import fresh_directory, write_bytes
from headstart.learn.anneal import Evaluated, Updated, run, trainer_of
from headstart.learn.evaluation import Acting
from headstart.learn.optimizer import autograd_device
from headstart.runs.expert import judged_on
from headstart.runs.expert_record import TrainedSeed
from headstart.runs.policy import load_policy, new_network, save_policy
from headstart.runs.pool import Report, run_all
from headstart.runs.worlds import score_of, worlds_of
from headstart.worlds.api import World

MODE: Mode = "deterministic"  # how a learned expert acts, in training as at its gate and when it is recorded


def train_seeds(params: Params, scenario: Scenario, folder: Path, reports: Path) -> list[TrainedSeed]:
    """Train every seed side by side; leaves `folder`/seed-<n> of each."""
    seeds, title = params.expert.seeds, f"expert {scenario.name}"
    # a world that cannot be made says so here, once, not in every process
    worlds_of(scenario, "training", 1, params.capture.observation)
    with fresh_directory(reports) as reports_now:
        function = partial(train_seed, params, scenario, folder, reports_now)
        return run_all(function, seeds, title, _recipe(params).budget * len(seeds), params.processes)


def _recipe(params: Params) -> Arm:
    return params.expert.train or params.arms["scratch"]


def train_seed(params: Params, scenario: Scenario, folder: Path, reports: Path, seed: int, report: Report) -> TrainedSeed:
    """One seed, alone in its process, until its budget or a plateau above the gate."""
    torch.set_num_threads(1)
    numba.set_num_threads(1)
    settings, recipe, observation = params.expert, _recipe(params), params.capture.observation
    device = autograd_device(params.device)
    training = worlds_of(scenario, "training", recipe.ppo.worlds, observation)
    evaluation = worlds_of(scenario, "evaluation", params.evaluation.worlds, observation)
    network = new_network(training, params.network, seed)
    wanted = scenario.expert
    gate = Target(name="gate", success_rate=wanted.success_rate or 1e-9, harm_rate=wanted.harm_rate, consecutive=1, mode=MODE)
    curve: list[CurvePoint] = []
    trainer = trainer_of(network, recipe, training, evaluation, params.evaluation, seed, modes=(MODE,), device=device)
    for event in run(trainer):
        if isinstance(event, Updated):
            report(event.rollout.reward.size)
        elif isinstance(event, Evaluated):
            scores = {mode: score_of(played, evaluation, scenario) for mode, played in event.played.items()}
            curve.append(CurvePoint(env_steps=event.env_steps, scores=scores))
            if has_settled(curve, gate, settings.plateau_evaluations, settings.plateau_gain):
                break
    write_bytes(reports / f"curve-{seed}.tsv", _table(curve).encode())
    checkpoint = folder / f"seed-{seed}"
    about = {"scenario": scenario.name, "arm": "expert", "seed": seed, "env_steps": curve[-1].env_steps}
    about |= {"kind": "expert", "lineage": {}}
    card = save_policy(checkpoint, network, params.network, training, about)
    return TrainedSeed(
        seed=seed,
        env_steps=curve[-1].env_steps,
        steps_to_gate=steps_to_target(curve, gate),
        stopped="budget" if curve[-1].env_steps >= recipe.budget else "plateau",
        selection=curve[-1].score(MODE),
        score=judge_seed(params, scenario, checkpoint, settings.worlds),
        weights_sha256=card.weights_sha256,
    )


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
