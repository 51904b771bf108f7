"""What stands beside clones: how well each imitates (`clone-reports/1`), and what fine-tuning is measured against (`reference/1`)."""

from collections import Counter
from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from headstart.compare.arm_runs import Score
from headstart.core.arrays import Mode
from headstart.core.record import Record

REFERENCE = "reference.json"
STILL = 1e-6  # standard deviation below which a component does not vary


class ComponentFit(Record):
    """How well a clone predicts one component of its expert's continuous action, on held-out steps."""

    deviation: float  # standard deviation of the expert's action
    rmse: float | None  # root of the mean squared error of the clone's most likely action, clipped to ±1; None: not a number
    within: float  # share of steps with an error of at most 0.15
    constant_within: float  # of the best constant action

    @property
    def explained_variance(self) -> float | None:
        """1 − rmse² ÷ deviation²: 0 of the expert's mean action, 1 of the expert; None: it never varies, or the error is not a number."""
        return None if self.rmse is None or self.deviation < STILL else 1.0 - (self.rmse / self.deviation) ** 2


class CloneReport(Record):
    """`confusion` leaves out what never happened; it is empty where actions are continuous."""

    accuracy: float | None  # held-out; of continuous actions: with every component within 0.15; None: not a number
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
    components: tuple[ComponentFit, ...] = Field(default=(), exclude_if=lambda of: not of)  # left out: single actions
    explained_variance: float | None = Field(default=None, exclude_if=lambda of: of is None)  # `least_explained` of them


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


def least_explained(components: Iterable[ComponentFit]) -> float | None:
    """The explained variance of the component that is predicted worst, of those that the expert varies; None where it cannot be said."""
    found = [one.explained_variance for one in components if one.deviation >= STILL]
    return min((value for value in found if value is not None), default=None) if None not in found else None


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
