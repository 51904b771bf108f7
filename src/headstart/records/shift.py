"""What a clone and its data leave for the checks of distribution shift (`clone-shift/1`)."""

from typing import Literal

from headstart.records.fields import Count, Sha256, Share
from headstart.records.model import Record
from headstart.records.runs import ShiftFacts
from headstart.records.states import StateSummary

CLONE_SHIFT = "shift.json"  # beside the clone


class DataStates(Record):
    """The rows of a dataset that a clone is trained on."""

    scenario_sha256: Sha256
    starts: StateSummary  # rows in which a world begins
    visited: StateSummary  # all rows
    mix: dict[str, Count]  # situation → worlds; empty where the world has one kind only


class CloneShift(Record):
    """The data, the clone of it in closed loop, and how well it predicts the expert on held-out episodes."""

    schema_id: Literal["clone-shift/1"] = "clone-shift/1"
    scenario: str
    data: DataStates
    clone: ShiftFacts
    heldout_accuracy: Share
