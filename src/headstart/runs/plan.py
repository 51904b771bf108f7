"""What the pipeline will do with a scenario: how long training takes on this machine, and why its verdict cannot be a PASS."""

import os
import time
from collections.abc import Iterator
from typing import NamedTuple

from headstart.compare.findings import ComparisonLimits
from headstart.config.params import Params
from headstart.config.scenario import Scenario, modes_of
from headstart.config.schedule import Arm
from headstart.core.extras import require_torch
from headstart.runs.impossible import Impossible
from headstart.runs.worlds import worlds_of

SECONDS = 3.0  # of acting, at most, for each recipe
MOST_WORLDS = 64  # whose rate is measured; more are not faster in one process


class Estimate(NamedTuple):
    """The runs of one recipe."""

    name: str
    runs: int  # seeds
    env_steps: int  # of each
    rate: float  # env steps a second in one process, acting and learning
    acting: float  # world-steps a second of acting alone
    seconds: float  # on all processes, evaluations and exam included, with episodes as long as the horizon


def estimates(params: Params, scenario: Scenario) -> Iterator[Estimate]:
    """Expert, baselines and arms that `dvc repro` trains. Runs with PPO settings of one kind are measured once. MissingExtra without torch."""
    require_torch("the time of training", "to measure it")
    recipes = {name: (params.arms[name], len(params.seeds)) for name in (*params.baselines, *params.anneal.arms)}
    if scenario.expert.policy == "ppo":
        recipes = {"expert": (params.expert.train or params.arms["scratch"], len(params.expert.seeds))} | recipes
    rates: dict[str, tuple[float, float]] = {}
    for name, (arm, runs) in recipes.items():
        key = arm.ppo.model_dump_json()
        if key not in rates:
            rates[key] = _rate(params, scenario, arm)
        processes = min(runs, params.processes or os.cpu_count() or 1)
        rounds, (rate, acting) = -(-runs // processes), rates[key]
        seconds = arm.budget / rate + _evaluated(params, scenario, arm) / acting
        yield Estimate(name, runs, arm.budget, rate, acting, rounds * seconds)


def _evaluated(params: Params, scenario: Scenario, arm: Arm) -> int:
    """World-steps of a run's evaluations, one before training, and of its exam, sampled and deterministic."""
    fixed = params.evaluation
    played = (arm.budget // fixed.every + 1) * fixed.worlds * len(modes_of(scenario)) + 2 * fixed.exam_worlds
    return played * scenario.horizon


def _rate(params: Params, scenario: Scenario, arm: Arm) -> tuple[float, float]:
    """Of one process: env steps a second, with updates, in the recipe's worlds; and world-steps a second of acting alone."""
    import numba
    import torch

    from headstart.learn.optimizer import Adam
    from headstart.learn.ppo import Weights, update
    from headstart.learn.rollout import Player
    from headstart.runs.policy import new_network

    torch.set_num_threads(1)
    numba.set_num_threads(1)
    world = worlds_of(scenario, "training", min(arm.ppo.worlds, MOST_WORLDS), params.capture.observation)
    network = new_network(world, params.network, 0)
    optimizer, generator = Adam(network), torch.Generator().manual_seed(0)
    player = Player(world, 0, generator)
    update(network, optimizer, player.play(network, 2), arm.ppo, Weights(1e-4), generator)  # compiles, and warms up
    began = time.perf_counter()
    player.play(network, 1)
    ticks = max(2, min(arm.ppo.rollout_ticks, int(SECONDS / (time.perf_counter() - began))))
    began = time.perf_counter()
    rollout = player.play(network, ticks)
    acted = time.perf_counter() - began
    update(network, optimizer, rollout, arm.ppo, Weights(1e-4), generator)
    rates = rollout.reward.size / (time.perf_counter() - began), ticks * world.num_worlds / acted
    world.close()
    return rates


def no_pass(params: Params, scenario: Scenario) -> Iterator[Impossible]:
    """Why the verdict cannot be a PASS, although the pipeline runs to its end."""
    least = ComparisonLimits().min_replicates
    if len(params.seeds) < least:
        yield Impossible(f"seeds: {len(params.seeds)}; with fewer than {least} the verdict is no PASS", f"list {least} seeds")
    for name in dict.fromkeys((*params.baselines, params.candidate)):
        evaluations = params.arms[name].budget // params.evaluation.every + 1  # one before training
        wanted = max(target.consecutive for target in scenario.targets.values())
        if evaluations < wanted:
            yield Impossible(
                f"arms.{name}: {evaluations} evaluations, a target must be met in {wanted} in a row",
                "lower evaluation.every, or raise env_steps of the arm",
            )
