"""The artefact of an expert (`expert-policy/1`): what acts, how it was judged, and whether it may be recorded."""

from typing import Literal

from headstart.records.fields import Name, Sha256
from headstart.records.model import Record
from headstart.records.runs import Score


class ExpertPolicy(Record):
    """`approved` follows from a PASS; a draft is never recorded."""

    schema_id: Literal["expert-policy/1"] = "expert-policy/1"
    kind: Literal["scripted", "ppo"]
    world: str
    scenario: Name
    scenario_sha256: Sha256
    policy_sha256: Sha256  # of the script's sources, or of the weights
    seed: int
    score: Score
    state: Literal["draft", "approved"]
    diagnostics: tuple[str, ...]  # what an expert that is not approved missed, and by how much
