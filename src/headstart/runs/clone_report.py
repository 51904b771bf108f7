"""What stands beside a clone: how well it imitates (`clone-report/1`), and what fine-tuning is measured against (`reference/1`)."""

from typing import Literal

from headstart.compare.arm_runs import Score
from headstart.core.record import Record

REFERENCE = "reference.json"


class ActionRow(Record):
    """One action among the held-out decisions."""

    n: int  # decisions in which the expert chose it
    recall: float
    precision: float | None  # None: the clone never chose it
    f1: float


class CloneReport(Record):
    """`per_action` and `confusion` leave out what the expert never chose; they are empty where actions are continuous."""

    schema_id: Literal["clone-report/1"] = "clone-report/1"
    accuracy: float
    macro_f1: float | None  # None: continuous actions
    constant_accuracy: float  # of the best single action
    train_accuracy: float
    value_explained_variance: float | None
    per_action: dict[str, ActionRow]
    confusion: dict[str, dict[str, int]]  # expert's action → clone's likeliest action → held-out decisions
    closed_loop: dict[Literal["sampled", "deterministic"], Score]
    expert: Score  # on the same worlds


class Reference(Record):
    """Three policies on the same worlds."""

    schema_id: Literal["reference/1"] = "reference/1"
    untrained: Score  # the clone's network before it learned anything
    expert: Score
    clone: Score  # sampled
