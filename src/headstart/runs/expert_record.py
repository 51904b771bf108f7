"""The artefact of an expert (`expert-policy/1`): what acts, how it was judged, and whether it may be recorded."""

from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from headstart.compare.arm_runs import Number, Score
from headstart.core.record import Count, Name, Record, Sha256
from headstart.core.strict_json import sha256_json


def _absent(value: object) -> bool:
    return value is None or value == ()


class Failure(Record):
    """A condition of the scenario that decides against an episode."""

    condition: str  # as the scenario has it
    of: Literal["success", "harm"]  # one of success that did not hold, or one of harm that did
    episodes: Count
    world: Count  # the id of the first

    def says(self, episodes: int) -> str:
        """How often it decided against one of so many episodes."""
        how = "harm by" if self.of == "harm" else "no success for lack of"
        return f"{how} '{self.condition}' in {self.episodes:,} of {episodes:,} episodes ({self.episodes / episodes:.1%})"


class Episodes(Record):
    """What the episodes of a policy's gate show beside its score."""

    return_p5: Number  # percentiles over episodes, each the mean over its agents
    return_median: Number
    return_p95: Number
    failures: tuple[Failure, ...] = ()
    decisions: dict[str, Count] = Field(
        default={}
    )  # action → times that it was chosen where more than one was allowed; {}: continuous actions


class TrainedSeed(Record):
    """One seed of a learned expert, judged on worlds that neither trained it nor chose among seeds."""

    seed: int
    env_steps: Count
    steps_to_gate: Count | None = None  # when two evaluations in a row during training had met the gate's rates; None: never
    stopped: Literal["budget", "plateau", "guardrail"]
    selection: Score  # last evaluation during training: what chooses among seeds
    score: Score
    weights_sha256: Sha256
    episodes: Episodes | None = Field(default=None, exclude_if=_absent)
    late_gain: float | None = Field(
        default=None, exclude_if=_absent
    )  # of the rate of success, in the last quarter of the training
    reasons: tuple[str, ...] = Field(default=(), exclude_if=_absent)  # why a guardrail ended it


class ExpertPolicy(Record):
    """Only an approved expert is recorded. A draft missed its gate; one that passed it is approved at once, or waits for a person."""

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
    episodes: Episodes | None = Field(
        default=None, exclude_if=_absent
    )  # of a script or a user's own; those of learned ones are in `seeds`
    own_steps: Count = 0  # env steps that training a user's own expert cost, as the scenario says
    state: Literal[
        "draft", "passed", "approved"
    ]  # passed: `expert.approval` is manual, and the history says whether a person approved
    diagnostics: tuple[str, ...]  # what a draft missed, and by how much

    @model_validator(mode="after")
    def _a_draft_says_why(self) -> Self:
        if (self.state == "draft") != bool(self.diagnostics):
            raise ValueError(
                f"expected diagnostics of a draft, and of no other, got state {self.state} with {len(self.diagnostics)}"
            )
        return self

    @property
    def judged(self) -> list[tuple[str, Score, Episodes]]:
        """The policies whose episodes were kept: `seed N` of a learned expert, else one without a name."""
        if self.seeds:
            return [(f"seed {seed.seed}", seed.score, seed.episodes) for seed in self.seeds if seed.episodes]
        return [("", self.score, self.episodes)] if self.score and self.episodes else []

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
