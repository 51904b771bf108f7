"""Training one seed of an arm: the phases of its schedule, from the first weights to the last.

`run` is a generator of events. Its caller writes telemetry, shows progress, stops, or restores an earlier state of the trainer: the loop
reads the trainer's position before every step. This module reads and writes no files.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace

import torch

from headstart.config.params import EvaluationParams
from headstart.config.position import Position
from headstart.config.schedule import Arm, Phase
from headstart.core.arrays import MODES, Array, Mode
from headstart.core.errors import UsageError
from headstart.learn.bc import Epoch, clone_epoch, judge
from headstart.learn.demonstrations import Demonstrations
from headstart.learn.evaluation import play_in_modes
from headstart.learn.networks import ActorCritic
from headstart.learn.optimizer import Adam
from headstart.learn.ppo import Metrics, Weights, update
from headstart.learn.replay import Records
from headstart.learn.rollout import Player, Rollout
from headstart.worlds.api import Act, Played, World


@dataclass(frozen=True)
class PhaseBegan:
    index: int
    phase: Phase
    env_steps: int


@dataclass(frozen=True)
class Updated:
    """A PPO update: on one rollout, on the recorded rows, or on both."""

    epoch: int  # index of this update within the run
    env_steps: int
    metrics: Metrics
    weights: Weights
    rollout: Rollout | None
    minibatches: dict[str, Array]  # column of the compiled LOG → [optimiser steps]; empty if the update was skipped
    records: Records | None = None

    @property
    def steps(self) -> int:
        """Env steps of the update."""
        return 0 if self.rollout is None else self.rollout.reward.size


@dataclass(frozen=True)
class Cloned:
    """One epoch of a bc phase."""

    epoch: Epoch
    env_steps: int


@dataclass(frozen=True)
class Evaluated:
    env_steps: int
    played: dict[Mode, Played]


@dataclass(frozen=True)
class PhaseEnded:
    index: int
    phase: Phase
    env_steps: int
    env_steps_used: int  # of this phase, rolled-back steps included


Event = PhaseBegan | Updated | Cloned | Evaluated | PhaseEnded


@dataclass
class Trainer:
    """A run of one arm on one seed: everything on which its continuation depends."""

    arm: Arm
    design: EvaluationParams
    seed: int
    network: ActorCritic
    optimizer: Adam
    generator: torch.Generator
    player: Player
    evaluation: World
    modes: tuple[Mode, ...]  # in which the policy is evaluated
    reference: ActorCritic | None  # the BC policy of the KL term
    demonstrations: tuple[Demonstrations, Demonstrations] | None  # train, held out
    records: Records | None = None  # what phases with data: replay or mixed learn from
    at: Position = field(default_factory=Position)

    @property
    def over(self) -> bool:
        """Whether the last phase has ended."""
        return self.at.phase == len(self.arm.phases)

    @property
    def phase(self) -> Phase:
        """The current phase."""
        return self.arm.phases[self.at.phase]

    @property
    def phase_is_over(self) -> bool:
        at, phase = self.at, self.phase
        return at.epochs >= phase.length if phase.in_epochs else at.steps_left(phase) == 0

    @property
    def weights(self) -> Weights:
        """The weights that the schedule gives for the next update."""
        at, phase = self.at, self.phase
        progress = at.progress(phase)
        return Weights(
            phase.learning_rate.at(progress) * at.learning_rate_factor(phase),
            phase.entropy_coef.at(progress),
            phase.kl_weight.at(progress) * at.kl_factor(phase),
            phase.bc_weight.at(progress),
            phase.expert_share.at(progress),
            actor_frozen=phase.kind == "critic",
            replay_share=phase.replay_share.at(progress),
            temperature=phase.temperature,
        )

    @property
    def evaluation_due(self) -> bool:
        """Whether an evaluation is due: at the start, after the first update at or beyond each multiple of `design.every`, and at the end."""
        at, every = self.at, self.design.every
        spent = at.env_steps >= self.arm.budget
        return at.evaluated < 0 or at.env_steps // every > at.evaluated // every or (spent and at.evaluated < at.env_steps)


def trainer_of(
    network: ActorCritic,
    arm: Arm,
    training: World,
    evaluation: World,
    design: EvaluationParams,
    seed: int,
    demonstrations: tuple[Demonstrations, Demonstrations] | None = None,
    expert: Act | None = None,
    episode_ticks: int = 0,
    modes: tuple[Mode, ...] = MODES,
    device: torch.device | None = None,
    records: Records | None = None,
) -> Trainer:
    """A run that has not begun. `network` holds the first weights and is trained in place.

    An arm that starts from a clone keeps a frozen copy of it as the reference. `demonstrations` (train, held out) are used by bc phases and
    `bc_weight`, `records` by data: replay and mixed; `expert`, whose episodes last `episode_ticks`, is used by `expert_share`.
    """
    generator = torch.Generator().manual_seed(seed)
    return Trainer(
        arm=arm,
        design=design,
        seed=seed,
        network=network,
        optimizer=Adam(network, device=device),
        generator=generator,
        player=Player(training, seed, generator, expert, episode_ticks),
        evaluation=evaluation,
        modes=modes,
        reference=frozen(network) if arm.start == "bc" else None,
        demonstrations=demonstrations,
        records=records,
    )


def run(trainer: Trainer) -> Iterator[Event]:
    """Train along the schedule, one event at a time, until the phases or the budget end."""
    while not trainer.over:
        at, phase = trainer.at, trainer.phase
        if trainer.evaluation_due:
            trainer.at = replace(at, evaluated=at.env_steps)
            yield evaluate(trainer)
        elif not at.begun:
            trainer.at = at.begin_phase()
            yield PhaseBegan(at.phase, phase, at.env_steps)
        elif trainer.phase_is_over:
            if phase.kind == "bc":
                trainer.reference = frozen(trainer.network)
            trainer.at = at.end_phase()
            yield PhaseEnded(at.phase, phase, at.env_steps, at.env_steps - at.phase_from)
        elif phase.kind == "bc":
            yield clone(trainer)
        else:
            yield learn(trainer)


def learn(trainer: Trainer) -> Updated:
    """One update: on a rollout, of data: replay on every recorded row once, of data: mixed on both."""
    at, arm, phase, weights = trainer.at, trainer.arm, trainer.phase, trainer.weights
    rollout = None if phase.data == "replay" else _played(trainer, weights)
    recorded: Demonstrations | Records | None = trainer.demonstrations[0] if trainer.demonstrations else None
    if phase.data != "rollout":
        recorded = trainer.records
    minibatches: dict[str, Array] = {}
    metrics = update(
        trainer.network, trainer.optimizer, rollout, arm.ppo, weights, trainer.generator, trainer.reference, recorded, minibatches
    )
    if rollout is not None and trainer.reference is None and not metrics["nonfinite"]:
        trainer.network.observe(rollout.obs)  # a clone keeps the normaliser with which it was trained
    used = 0 if rollout is None else rollout.reward.size
    trainer.at = replace(at, env_steps=at.env_steps + used, updates=at.updates + 1, epochs=at.epochs + (rollout is None))
    records = recorded if isinstance(recorded, Records) else None
    return Updated(trainer.at.updates, trainer.at.env_steps, metrics, weights, rollout, minibatches, records)


def _played(trainer: Trainer, weights: Weights) -> Rollout:
    at, phase = trainer.at, trainer.phase
    trainer.player.world.weigh({name: ramp.at(at.progress(phase)) for name, ramp in phase.reward.items()})
    every_step = phase.labels == "all" and weights.bc_weight > 0  # labels without a weight are not computed
    return trainer.player.play(trainer.network, trainer.arm.ppo.rollout_ticks, weights.expert_share, phase.blend, every_step)


def clone(trainer: Trainer) -> Cloned:
    """One epoch on the demonstrations."""
    at, phase, ppo = trainer.at, trainer.phase, trainer.arm.ppo
    if trainer.demonstrations is None:
        raise UsageError(f"phase {phase.name!r} clones: expected demonstrations, got none")
    train, heldout = trainer.demonstrations
    loss, accuracy = clone_epoch(
        trainer.network,
        trainer.optimizer,
        train,
        ppo.mini_batch_size,
        phase.learning_rate.part(at.epochs / phase.length, (at.epochs + 1) / phase.length),
        ppo.value_loss_coef,
        trainer.generator,
    )
    trainer.at = replace(at, epochs=at.epochs + 1)
    judged, rate = judge(trainer.network, heldout), trainer.optimizer.learning_rate
    return Cloned(Epoch(trainer.at.epochs, loss, accuracy, judged, rate, len(train.label), stops=False), at.env_steps)


def evaluate(trainer: Trainer) -> Evaluated:
    """Evaluate the current policy on worlds that are not used for training."""
    played = play_in_modes(trainer.network, trainer.evaluation, trainer.design.seed, trainer.modes)
    return Evaluated(trainer.at.env_steps, played)


def frozen(network: ActorCritic) -> ActorCritic:
    """A copy that is not trained."""
    return deepcopy(network).requires_grad_(False)
