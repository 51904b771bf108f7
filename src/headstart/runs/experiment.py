"""One experiment of the full comparison, as git keeps it (`experiment/1`): what was found, and all that is needed to repeat it."""

from typing import Literal

from headstart.compare.comparison import Comparison
from headstart.core.record import Count, Name, Record, Sha256, UtcTime
from headstart.runs.clone_report import CloneReport
from headstart.runs.expert_record import ExpertPolicy


class Machine(Record):
    """Where an experiment ran."""

    processor: str
    cores: Count
    python: str
    torch: str


class ExperimentRecord(Record):
    """`code_sha256` and `settings_sha256` say whether the experiment would run the same today."""

    schema_id: Literal["experiment/1"] = "experiment/1"
    name: Name
    scenario: Name
    seeds: tuple[int, ...]
    command: str
    commit: str
    machine: Machine
    finished_at: UtcTime
    code_sha256: Sha256
    settings_sha256: Sha256  # of params.yaml with the experiment's overrides and the scenario's file
    expert: ExpertPolicy
    clone: CloneReport
    headline: str  # one of `comparisons`
    comparisons: dict[str, Comparison]  # target → what `evaluate` found
