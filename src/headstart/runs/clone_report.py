"""What stands beside clones: how well each imitates (`clone-reports/1`), and what fine-tuning is measured against (`reference/1`)."""

from typing import Literal

from pydantic import Field

from headstart.compare.arm_runs import Score
from headstart.core.arrays import Mode
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

    accuracy: float | None  # held-out; None: not a number
    macro_f1: float | None  # None: continuous actions
    constant_accuracy: float  # of the best single action
    least_recall: float | None  # of the actions that the expert chose often; None where there is none
    train_accuracy: float
    heldout_steps: int
    value_error: float | None  # mean squared, of the value head on held-out returns; None: not a number
    untrained_value_error: float  # of the same network before it learned
    value_explained_variance: float | None
    per_action: dict[str, ActionRow]
    confusion: dict[str, dict[str, int]]  # expert's action → clone's most likely action → held-out decisions
    closed_loop: dict[Mode, Score]
    expert: Score  # on the same worlds


class CloneReports(Record):
    """Of every clone, by its seed."""

    schema_id: Literal["clone-reports/1"] = "clone-reports/1"
    clones: dict[int, CloneReport] = Field(min_length=1)


class Reference(Record):
    """Three policies: the expert and the clone on the same worlds."""

    schema_id: Literal["reference/1"] = "reference/1"
    untrained: Score  # the clone's network before it learned anything, on the exam worlds
    expert: Score
    clone: Score  # sampled
