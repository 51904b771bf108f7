"""How well a clone imitates (`clone-report/1`): on held-out decisions, action by action, and when it acts by itself."""

from typing import Literal

from headstart.records.model import Record
from headstart.records.runs import Score


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
