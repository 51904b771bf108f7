"""What an arm of the comparison leaves behind: one learning curve and one exam per seed, without any clock.

`evaluate` reads these files and nothing else of an arm, so a comparison never re-runs training.
"""

from typing import Literal

from pydantic import Field

from headstart.errors import InputError
from headstart.records.fields import Count, Sha256
from headstart.records.model import Record
from headstart.records.states import StateSummary

Mode = Literal["sampled", "deterministic"]  # how a policy acts: by drawing, or by its likeliest action


class Score(Record):
    """A policy's score on a fixed set of evaluation worlds; an episode is one world from reset to horizon."""

    episodes: int
    success: int  # episodes in which the scenario's success predicate holds
    harm: int  # episodes in which its harm predicate holds
    return_mean: float  # over agents and episodes
    return_sd: float  # over episodes, of the mean over agents
    measures: dict[str, float] = Field(default_factory=dict)  # means over agents and episodes of the scenario's `measures`


class CurvePoint(Record):
    """One evaluation during training, on evaluation worlds; `env_steps` counts agent-steps charged to the run so far."""

    env_steps: int
    scores: dict[Mode, Score]  # in the modes that the scenario's targets name; the others are played at the exam only

    def score(self, mode: Mode) -> Score:
        """The score in a mode; InputError where the run was not evaluated in it."""
        if mode not in self.scores:
            raise InputError(
                f"evaluation at {self.env_steps} env steps: expected a {mode} score, got {', '.join(self.scores) or 'none'}; "
                "only the modes of the scenario's targets are evaluated during training, so train the arm again"
            )
        return self.scores[mode]


class Agreement(Record):
    """How often a policy's likeliest action is the expert's, in the states that the policy itself comes to."""

    decisions: Count  # steps in which more than one action is allowed
    agreed: Count


class VariantScore(Record):
    """A policy on worlds of a held-out variant of its scenario."""

    scenario_sha256: Sha256  # of the variant
    score: Score  # sampled policy


class ShiftFacts(Record):
    """Where one trained policy goes in exam worlds, and how it fares in variants that no training saw."""

    worlds: Count  # episodes of each part
    starts: StateSummary  # what exam worlds show at reset, before any policy matters
    visited: StateSummary  # all that the sampled policy saw in them
    mix: dict[str, Count]  # situation → worlds; empty where the world has one kind only
    agreement: Agreement | None  # None: no expert was at hand
    variants: dict[str, VariantScore]


class SeedRun(Record):
    """One training run of one seed. `curve[0]` is the policy before its first update (env_steps 0)."""

    seed: int
    budget: int  # env steps that the run was allowed
    env_steps: int  # env steps that it used; warm-up and critic roll-outs included
    curve: tuple[CurvePoint, ...]
    exam: dict[Mode, Score]  # in both modes: the last checkpoint on the exam worlds
    checkpoint_sha256: str
    status: Literal["completed", "frozen", "stopped"] = (
        "completed"  # frozen, stopped: by a guardrail, back at its newest safe state
    )
    outcome: Literal["PASS", "HOLD", "FAIL"] = "PASS"  # of the guardrails
    reasons: tuple[str, ...] = ()  # why it is no PASS
    rollbacks: int = 0
    shift: ShiftFacts | None = None  # None: not measured


class EvaluationDesign(Record):
    """Fixed before a run starts; two arms are comparable only if their designs are equal."""

    scenario_sha256: str
    evaluation_seed: int
    evaluation_worlds: int
    every: int  # env steps between two evaluations
    exam_seed: int
    exam_worlds: int


class ArmRuns(Record):
    """All seeds of one arm on one scenario."""

    schema_id: Literal["arm-runs/2"] = "arm-runs/2"
    scenario: str
    arm: str
    design: EvaluationDesign
    demonstration_steps: int  # agent-steps: those recorded, and those that training a learned expert took
    runs: tuple[SeedRun, ...]
