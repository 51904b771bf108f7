"""What stands beside clones: how well each imitates (`clone-reports/1`), and what fine-tuning is measured against (`reference/1`)."""

from collections import Counter
from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from headstart.compare.arm_runs import Score
from headstart.core.arrays import Mode
from headstart.core.record import Record

REFERENCE = "reference.json"


class CloneReport(Record):
    """`confusion` leaves out what never happened; it is empty where actions are continuous."""

    accuracy: float | None  # held-out; None: not a number
    macro_f1: float | None  # None: continuous actions
    constant_accuracy: float  # of the best single action
    least_recall: float | None  # of the actions that the expert chose often; None where there is none
    train_accuracy: float
    heldout_steps: int
    value_error: float | None  # mean squared, of the value head on held-out returns; None: not a number
    untrained_value_error: float | None  # None: rewards are not recorded; of the same network before it learned
    value_explained_variance: float | None
    confusion: dict[str, dict[str, int]]  # expert's action → clone's most likely action → held-out decisions
    closed_loop: dict[Mode, Score]
    expert: Score | None  # on the same worlds; of recorded demonstrations: their own episodes; None: these do not tell it
    recorded: bool = False  # whether `expert` stands for recorded demonstrations


class EpochScore(Record):
    """One epoch of a clone's training; None: not a number."""

    loss: float | None
    accuracy: float
    heldout_loss: float | None
    heldout_accuracy: float


class CloneReports(Record):
    """Of every clone, by its seed."""

    schema_id: Literal["clone-reports/1"] = "clone-reports/1"
    clones: dict[int, CloneReport] = Field(min_length=1)


def pooled(reports: Iterable[CloneReport]) -> dict[str, dict[str, int]]:
    """The confusion of several clones: expert's action → clone's most likely action → decisions."""
    total: dict[str, Counter[str]] = {}
    for report in reports:
        for actual, row in report.confusion.items():
            total.setdefault(actual, Counter()).update(row)
    return {actual: dict(row) for actual, row in total.items()}


class Reference(Record):
    """Three policies: the expert and the clone on the same worlds."""

    schema_id: Literal["reference/1"] = "reference/1"
    untrained: Score  # the clone's network before it learned anything, on the exam worlds
    expert: Score | None  # of recorded demonstrations: their own episodes; None: these do not tell it
    clone: Score  # sampled
