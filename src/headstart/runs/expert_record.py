"""The artefact of an expert (`expert-policy/1`): what acts, how it was judged, and whether it may be recorded."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from headstart.compare.arm_runs import Score
from headstart.core.record import Count, Name, Record, Sha256
from headstart.core.strict_json import sha256_json


class TrainedSeed(Record):
    """One seed of a learned expert, judged on worlds that neither trained it nor chose among seeds."""

    seed: int
    env_steps: Count
    steps_to_gate: Count | None = None  # when two evaluations in a row during training had met the gate's rates; None: never
    stopped: Literal["budget", "plateau"]
    selection: Score  # last evaluation during training: what chooses among seeds
    score: Score
    weights_sha256: Sha256


class ExpertPolicy(Record):
    """`approved` follows from a PASS; a draft is never recorded."""

    schema_id: Literal["expert-policy/1"] = "expert-policy/1"
    kind: Literal["scripted", "ppo", "callable", "onnx", "sb3", "demonstrations"]
    world: str
    scenario: Name
    scenario_sha256: Sha256
    policy_sha256: (
        Sha256  # of the script's sources, the weights that are recorded, the user's code or file, or the files of demonstrations
    )
    seed: int  # of the worlds that it was judged on
    score: Score | None  # of all that are recorded; None: demonstrations that do not tell it
    seeds: tuple[TrainedSeed, ...] = ()  # of a learned expert
    recorded: tuple[
        int, ...
    ] = ()  # those of `seeds` that act: one in all blocks of the recording, or one in each; () of a script
    own_steps: Count = 0  # env steps that training a user's own expert cost, as the scenario says
    state: Literal["draft", "approved"]
    diagnostics: tuple[str, ...]  # what an expert that is not approved missed, and by how much

    @property
    def acting_seeds(self) -> list[TrainedSeed]:
        """Those of `recorded`, in its order."""
        return [seed for number in self.recorded for seed in self.seeds if seed.seed == number]

    def acting(self, block: int) -> TrainedSeed:
        """The seed of a learned expert that acts in a block of the recording."""
        number = self.recorded[block % len(self.recorded)]
        return next(seed for seed in self.seeds if seed.seed == number)

    def training_steps(self, block: int) -> int:
        """Env steps that the training of a block's expert took: of the one that was chosen, on all seeds. A script takes none,
        and a user's own expert those that the scenario names.
        """
        if not self.seeds:
            return self.own_steps
        own = [self.acting(block)] if len(self.recorded) > 1 else self.seeds
        return sum(seed.env_steps for seed in own)


def learned_sha256(expert: ExpertPolicy, block: int) -> str | None:
    """Of the weights that act in a block of the recording; None: a script, or a callable."""
    if expert.recorded:
        return expert.acting(block).weights_sha256
    return expert.policy_sha256 if expert.kind in ("onnx", "sb3") else None


def weights_sha256(recorded: Sequence[TrainedSeed]) -> str:
    """Of one policy the hash of its weights; of several that of the list of theirs."""
    hashes = [seed.weights_sha256 for seed in recorded]
    return hashes[0] if len(hashes) == 1 else sha256_json(hashes)


def pooled(scores: Sequence[Score]) -> Score:
    """The score over the episodes of several policies, each on as many."""
    means, sds = (np.array([getattr(score, name) for score in scores]) for name in ("return_mean", "return_sd"))
    return Score(
        episodes=sum(score.episodes for score in scores),
        success=sum(score.success for score in scores),
        harm=sum(score.harm for score in scores),
        return_mean=float(means.mean()),
        return_sd=float(np.sqrt(means.var() + (sds**2).mean())),
        measures={name: float(np.mean([score.measures[name] for score in scores])) for name in scores[0].measures},
    )


def best_seed(trained: Sequence[TrainedSeed]) -> TrainedSeed:
    """Which seed of a learned expert is recorded: the one with the most success less harm, then the highest return."""
    return max(trained, key=lambda seed: (seed.selection.success - seed.selection.harm, seed.selection.return_mean))
