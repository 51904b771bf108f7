"""Running an arm: the phases of a schedule on one seed, from its first weights to its last.

`train` is a generator of what happens, so that whoever calls it writes telemetry, draws progress or stops; the learning itself touches no file.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

import torch

from headstart.learn.evaluation import Played, play_episodes
from headstart.learn.networks import ConflictAwarePolicyNetwork
from headstart.learn.ppo import Metrics, Weights, make_optimizer, update
from headstart.learn.rollout import Player, Rollout
from headstart.params import EvaluationParams
from headstart.schedule import Arm, Phase
from headstart.worlds.api import World


@dataclass(frozen=True)
class PhaseBegan:
    index: int
    phase: Phase
    env_steps: int


@dataclass(frozen=True)
class Updated:
    epoch: int  # index of this update within the run
    env_steps: int
    metrics: Metrics
    weights: Weights
    rollout: Rollout


@dataclass(frozen=True)
class Evaluated:
    env_steps: int
    sampled: Played
    deterministic: Played


@dataclass(frozen=True)
class PhaseEnded:
    phase: Phase
    env_steps: int


Event = PhaseBegan | Updated | Evaluated | PhaseEnded


def train(
    network: ConflictAwarePolicyNetwork,
    arm: Arm,
    training: World,
    evaluation: World,
    design: EvaluationParams,
    seed: int,
) -> Iterator[Event]:
    """Run all phases of `arm` on one seed; `network` holds the weights it starts from and, in the end, those it learned.

    An arm that starts from a clone keeps a frozen copy of it as the reference of the KL term. Evaluations follow the first update at or
    after each multiple of `design.every` env steps, plus one before the first update and one at the end.
    """
    generator = torch.Generator().manual_seed(seed)
    reference = deepcopy(network).requires_grad_(False) if arm.start == "bc" else None
    optimizer = make_optimizer(network)
    player = Player(training, seed, generator)
    env_steps, epoch, evaluated = 0, 0, 0
    yield _evaluate(network, evaluation, design, 0)
    for index, phase in enumerate(arm.phases):
        began = env_steps
        yield PhaseBegan(index, phase, env_steps)
        while env_steps - began < phase.steps:
            rollout = player.play(network, arm.ppo.rollout_ticks)
            weights = _weights(phase, (env_steps - began) / phase.steps)
            metrics = update(network, optimizer, rollout, arm.ppo, weights, generator, reference)
            if reference is None:
                network.observe(rollout.seen)  # a clone keeps the normaliser that it was taught with
            env_steps, epoch = env_steps + rollout.action.numel(), epoch + 1
            yield Updated(epoch, env_steps, metrics, weights, rollout)
            if env_steps // design.every > evaluated // design.every or env_steps >= arm.budget:
                evaluated = env_steps
                yield _evaluate(network, evaluation, design, env_steps)
        yield PhaseEnded(phase, env_steps)


def _weights(phase: Phase, progress: float) -> Weights:
    return Weights(
        phase.learning_rate.at(progress),
        phase.entropy_coef.at(progress),
        phase.kl_weight.at(progress),
        actor_frozen=phase.kind == "critic",
    )


def _evaluate(network: ConflictAwarePolicyNetwork, world: World, design: EvaluationParams, env_steps: int) -> Evaluated:
    return Evaluated(
        env_steps,
        play_episodes(network, world, design.seed, "sampled"),
        play_episodes(network, world, design.seed, "deterministic"),
    )
