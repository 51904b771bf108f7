"""What an arm of the comparison leaves behind: one learning curve and one exam per seed, without any clock.

`evaluate` reads these files and nothing else of an arm, so a comparison never re-runs training.
"""

from typing import Literal

from pydantic import Field

from headstart.records.model import Record


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
    sampled: Score
    deterministic: Score


class SeedRun(Record):
    """One training run of one seed. `curve[0]` is the policy before its first update (env_steps 0)."""

    seed: int
    budget: int  # env steps that the run was allowed
    env_steps: int  # env steps that it used; warm-up and critic roll-outs included
    curve: tuple[CurvePoint, ...]
    exam: dict[Literal["sampled", "deterministic"], Score]  # the last checkpoint on the exam worlds
    checkpoint_sha256: str
    status: Literal["completed", "frozen", "stopped"] = (
        "completed"  # frozen, stopped: by a guardrail, back at its newest safe state
    )
    outcome: Literal["PASS", "HOLD", "FAIL"] = "PASS"  # of the guardrails
    reasons: tuple[str, ...] = ()  # why it is no PASS
    rollbacks: int = 0


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

    schema_id: Literal["arm-runs/1"] = "arm-runs/1"
    scenario: str
    arm: str
    design: EvaluationDesign
    demonstration_steps: int  # agent-steps of expert data that the arm learned from
    runs: tuple[SeedRun, ...]
