"""`headstart.load`: a trained policy for other programs, from the two files of its checkpoint and nothing else."""

from pathlib import Path
from typing import Any

import torch
from gymnasium import Space

from headstart.compare.arm_runs import ArmRuns
from headstart.compare.curves import best_run
from headstart.core.arrays import Array
from headstart.core.errors import InputError, IntegrityError
from headstart.core.files import read_record
from headstart.deploy.checks import path_of, whole
from headstart.deploy.rows import ContractRows, OwnRows, Rows
from headstart.learn.networks import ActorCritic
from headstart.runs.checkpoint import CARD, WEIGHTS, Card, load_checkpoint
from headstart.runs.policy import network_of

RUNS = "runs.json"  # beside the checkpoints of an arm


class Policy:
    """A policy that acts in the spaces of its environment, on the CPU.

    Observations are those of `observation_space`, one or a batch with rows first; of a town or a robot those of one row, or of all, of
    `headstart.make`. One policy must not be asked from two threads at once.
    """

    def __init__(self, network: ActorCritic, card: Card) -> None:
        self.network, self.card = network, card
        self.rows: Rows = ContractRows(card.observation) if card.spaces is None else OwnRows(card.spaces, card.scenario)
        self._generator = torch.Generator().manual_seed(0)

    @property
    def observation_space(self) -> Space[Any]:
        """Of one observation."""
        return self.rows.observation_space

    @property
    def action_space(self) -> Space[Any]:
        """Of one action."""
        return self.rows.action_space

    def set_random_seed(self, seed: int) -> None:
        """Begin the random stream of `deterministic=False` anew; without it, that of seed 0 is used. InputError unless `seed` is whole, ≥ 0."""
        self._generator.manual_seed(whole(seed, "seed"))

    def predict(
        self,
        obs: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = True,
        action_masks: Any = None,
    ) -> tuple[Array, Any]:
        """The action for one observation, or the actions [N, …] for N of them, and `state` as it is: the policy keeps nothing between steps.

        `deterministic`: the most likely action, or the mean; otherwise the policy is sampled. `action_masks`: [K] or [N, K], of which 1 allows
        an action; those of a town are in its observation. Without masks, all actions of an environment of your own are allowed.

        InputError for a wrong shape or kind of numbers, NaN, infinity, or a mask that is missing or forbids everything.
        """
        rows, single = self.rows.rows(obs, action_masks)
        found = self.network.policy({name: torch.from_numpy(column) for name, column in rows.items()})
        chosen = found.mode() if deterministic else found.sample(self._generator)
        actions = self.rows.actions(chosen.numpy())
        return (actions[0] if single else actions), state

    def __repr__(self) -> str:
        card = self.card
        return f"<headstart.Policy of {card.scenario}, {card.arm}, seed {card.seed}: {self.action_space}>"


def load(folder: str | Path) -> Policy:
    """The policy of a checkpoint, or that of an arm's best seed.

    `folder` holds card.json and weights.safetensors, or it is the folder of an arm with runs.json and seed-<n>/. The best seed has the most
    successes in its last evaluation; then the least harm, the highest return, the lowest number. No project is needed.

    InputError for another folder, with what is there; IntegrityError if weights are not those that the card or runs.json names.
    """
    path = path_of(folder, "folder", "the folder of a checkpoint or of an arm")
    expected = None
    if not (path / CARD).is_file():
        path, expected = _best(path)
    arrays, card = load_checkpoint(path)
    if expected not in (None, card.weights_sha256):
        raise IntegrityError(f"{path / WEIGHTS}: expected hash {expected}, as {RUNS} says, found {card.weights_sha256}")
    return Policy(network_of(arrays, card, path), card)


def _best(arm: Path) -> tuple[Path, str]:
    """The checkpoint of an arm's best seed, and the hash of its weights."""
    if not arm.is_dir():
        raise InputError(f"{arm}: expected the folder of a checkpoint or of an arm, found none")
    if not (arm / RUNS).is_file():
        seeds = sorted(card.parent.name for card in arm.glob(f"*/{CARD}"))
        there = f"{RUNS} to choose the best seed, found none; name one of {', '.join(seeds)}" if seeds else f"{CARD}, found none"
        raise InputError(f"{arm}: expected {there}")
    run = best_run(read_record(arm / RUNS, ArmRuns), "sampled")
    return arm / f"seed-{run.seed}", run.checkpoint_sha256
