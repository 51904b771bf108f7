"""The records that are compared: the curve and the exam of every replicate of an arm, its clone, and the states that policies and data visit.

A replicate is the whole treatment under one seed: a block of the recording, a clone of it, and a training run. `evaluate` reads only these
records, so that a comparison needs no training. They hold no clock.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from headstart.config.project import MODELS
from headstart.config.schedule import Arm
from headstart.core.arrays import Mode
from headstart.core.errors import InputError
from headstart.core.record import Count, Record, Sha256, Share

CLONES = "clones.json"  # beside the clones
Number = Annotated[float, Field(ge=-1e12, le=1e12)]  # a return or a measure; the square of a greater one may overflow
Episodes = Annotated[int, Field(ge=1, le=1_000_000_000)]
Seed = Annotated[int, Field(ge=0, le=2**53)]


def arm_folder(scenario: str, arm: str, baselines: Sequence[str]) -> Path:
    """The folder of an arm's runs and checkpoints, below the project's root; `baselines` are those of params.yaml."""
    return MODELS / scenario / ("baseline" if arm in baselines else "anneal") / arm


class Outcomes(Record):
    """Episodes of a policy on evaluation worlds; an episode is one world from reset to horizon."""

    episodes: Episodes
    success: Count  # episodes in which the scenario's success predicate holds
    harm: Count  # episodes in which its harm predicate holds

    @model_validator(mode="after")
    def _counts_of_episodes(self) -> Self:
        if max(self.success, self.harm) > self.episodes:
            raise ValueError(f"expected success and harm within 0..{self.episodes} episodes, got {self.success} and {self.harm}")
        return self

    @property
    def success_rate(self) -> float:
        return self.success / self.episodes

    @property
    def harm_rate(self) -> float:
        return self.harm / self.episodes


class Score(Outcomes):
    """A policy's score on a fixed set of evaluation worlds."""

    return_mean: Number  # over agents and episodes
    return_sd: float = Field(ge=0, le=1e12)  # over episodes, of the mean over agents
    measures: dict[str, Number] = Field(default_factory=dict)  # means over agents and episodes of the scenario's `measures`


class CurvePoint(Record):
    """One evaluation during training, on evaluation worlds; `env_steps` counts agent-steps charged to the run so far."""

    env_steps: Count
    scores: dict[Mode, Score]  # in the modes that the scenario's targets name; the others are played at the exam only

    def score(self, mode: Mode) -> Score:
        """The score in a mode; InputError where the run was not evaluated in it."""
        if mode not in self.scores:
            raise InputError(
                f"evaluation at {self.env_steps} env steps: expected a {mode} score, got {', '.join(self.scores) or 'none'}; "
                "only the modes of the scenario's targets are evaluated during training, so train the arm again"
            )
        return self.scores[mode]


class FeatureSummary(Record):
    """The distribution of one feature over the rows: F(value[i]) = share[i], exact at these points.

    They are all values that occur or, where there are more than 64, the 64 quantiles from the least to the greatest; less than 1/63 of the
    rows lies strictly between two of them.
    """

    value: tuple[float, ...]  # ascending, to 6 digits
    share: tuple[float, ...]  # of rows ≤ value; the last is 1
    outside: Share  # of rows beyond the scenario's feature_range

    @model_validator(mode="after")
    def _is_a_distribution(self) -> Self:
        rises = all(a < b for a, b in pairwise(self.value)) and all(a <= b for a, b in pairwise((0.0, *self.share)))
        if not self.value or len(self.value) != len(self.share) or not rises or self.share[-1] != 1:
            raise ValueError("expected ascending values, each with the share of rows up to it, which rises to 1")
        return self


class StateSummary(Record):
    """Rows of observations, feature by feature. Rows of one world are not independent of each other; worlds are."""

    rows: Count
    worlds: Count
    effective: float  # equivalent independent draws, at least: Kish's (Σ n)² / Σ n² over the rows n of each world
    features: dict[str, FeatureSummary]

    @model_validator(mode="after")
    def _counts_rows(self) -> Self:
        if not 1 <= self.worlds <= self.rows or not 0 < self.effective <= self.worlds * (1 + 1e-9):
            raise ValueError(
                f"expected 1 ≤ worlds ≤ rows and 0 < effective ≤ worlds, got {self.rows} rows, {self.worlds} worlds, effective {self.effective}"
            )
        return self


class Agreement(Record):
    """How often a policy's most likely action is the expert's, in the states that the policy itself reaches."""

    decisions: Count  # steps in which more than one action is allowed
    agreed: Count

    @model_validator(mode="after")
    def _agrees_in_decisions(self) -> Self:
        if self.agreed > self.decisions:
            raise ValueError(f"expected agreed within 0..{self.decisions} decisions, got {self.agreed}")
        return self


class VariantScore(Record):
    """A policy on worlds of a held-out variant of its scenario."""

    scenario_sha256: Sha256  # of the variant
    score: Score  # sampled policy


class ShiftFacts(Record):
    """The states that one trained policy visits in exam worlds, and its scores in held-out variants."""

    worlds: Episodes  # of each part
    starts: StateSummary  # observations of the exam worlds at reset, before the policy acts
    visited: StateSummary  # all observations of the sampled policy in them
    mix: dict[str, Count]  # situation → worlds; empty if the world has one kind only
    agreement: Agreement | None  # None: no expert was available
    variants: dict[str, VariantScore]


class SeedRun(Record):
    """One training run of one seed. `curve[0]` is the policy before its first update (env_steps 0)."""

    seed: Seed
    budget: Count  # env steps that the run was allowed
    env_steps: Count  # env steps that it used; warm-up and critic roll-outs included
    demonstration_steps: Count = 0  # agent-steps that its demonstrations cost: recorded, and those that trained a learned expert
    clone_sha256: Sha256 | None = None  # of the weights that it started from; None: random ones
    curve: tuple[CurvePoint, ...]
    exam: dict[Mode, Score]  # in both modes: the last checkpoint on the exam worlds
    checkpoint_sha256: Sha256
    status: Literal["completed", "frozen", "stopped"] = (
        "completed"  # frozen, stopped: by a guardrail, back at its newest safe state
    )
    outcome: Literal["PASS", "HOLD", "FAIL"] = "PASS"  # of the guardrails
    reasons: tuple[str, ...] = ()  # why it is not a PASS
    rollbacks: Count = 0
    shift: ShiftFacts | None = None  # None: not measured

    @model_validator(mode="after")
    def _ended_as_its_guardrails_say(self) -> Self:
        expected = {"completed": ("PASS", "HOLD"), "frozen": ("HOLD",), "stopped": ("FAIL",)}[self.status]
        if self.outcome not in expected:
            raise ValueError(f"status {self.status}: expected outcome {' or '.join(expected)}, got {self.outcome}")
        return self


class EvaluationDesign(Record):
    """Fixed before a run starts; two arms are comparable only if their designs are equal."""

    scenario_sha256: Sha256
    environment_sha256: Sha256  # of the code that simulates it
    evaluation_seed: Seed
    evaluation_worlds: Episodes
    every: int = Field(ge=1)  # env steps between two evaluations
    exam_seed: Seed
    exam_worlds: Episodes
    variant_worlds: Count  # 0: shift is not measured


class ArmRuns(Record):
    """All seeds of one arm on one scenario."""

    schema_id: Literal["arm-runs/3"] = "arm-runs/3"
    scenario: str
    arm: str
    recipe: Arm  # with which every seed was trained
    rollout_steps: int = Field(ge=1)  # env steps of one rollout, which is one update: the most by which an evaluation is late
    design: EvaluationDesign
    runs: tuple[SeedRun, ...]


class DataStates(Record):
    """The rows of a dataset that a clone is trained on."""

    scenario_sha256: Sha256
    starts: StateSummary  # rows in which a world begins
    visited: StateSummary  # all rows
    mix: dict[str, Count]  # situation → worlds; empty where the world has one kind only


class CloneRun(Record):
    """The clone of one seed, before any training on rollouts."""

    seed: Seed
    weights_sha256: Sha256
    outcome: Literal["PASS", "HOLD", "FAIL"]  # of its gate; only a PASS is trained on
    demonstration_steps: (
        Count  # agent-steps of its block of the recording, rejected episodes included, and of the training of its expert
    )
    heldout_accuracy: Share
    expert: Score | None  # whom it learned from, on the exam worlds; None: recorded demonstrations
    recorded: Score | None = None  # of recorded demonstrations: their own episodes; None also where these do not tell it
    expert_sha256: Sha256 | None = None  # of the weights of a learned expert; None: a script
    exam: dict[Mode, Score]  # on the exam worlds, in both modes
    data: DataStates | None  # None, as `shift`: not measured
    shift: ShiftFacts | None


class CloneRuns(Record):
    """The clones of all seeds on the exam worlds, and an untrained policy: a loss is a share of the distance from it to the expert."""

    schema_id: Literal["clone-runs/2"] = "clone-runs/2"
    scenario: str
    design: EvaluationDesign
    untrained: Score  # random weights, sampled
    clones: tuple[CloneRun, ...]
