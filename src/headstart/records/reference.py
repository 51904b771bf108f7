"""What a fine-tuned policy is measured against (`reference/1`): stored beside the clone, before any PPO."""

from typing import Literal

from headstart.records.model import Record
from headstart.records.runs import Score

REFERENCE = "reference.json"


class Reference(Record):
    """Three policies on the same worlds."""

    schema_id: Literal["reference/1"] = "reference/1"
    untrained: Score  # the clone's network before it learned anything
    expert: Score
    clone: Score  # sampled
