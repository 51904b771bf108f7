"""What one seed of an arm is trained from, and how far it has come (`progress/3`), kept beside its states."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from headstart.compare.arm_runs import CloneRun, CurvePoint
from headstart.config.params import Params
from headstart.config.scenario import Scenario
from headstart.core.files import read_record
from headstart.core.record import Count, Name, Record
from headstart.guard.control import Control
from headstart.runs.states import PROGRESS, KeptState


@dataclass(frozen=True)
class SeedJob:
    """What one process needs to train one seed of an arm."""

    params: Params
    scenario: Scenario
    arm: str
    seed: int
    stage: str
    code_sha256: str  # of the code that the stage began with
    run_dir: Path  # where the seed works until its arm is complete
    clone: CloneRun | None = None  # that it starts from


class Progress(Record):
    """What a run remembers beside its latest state."""

    schema_id: Literal["progress/3"] = "progress/3"
    latest: Name
    states: tuple[KeptState, ...]
    curve: tuple[CurvePoint, ...]
    control: Control
    reference: dict[str, float]
    telemetry_seq: Count
    rollbacks: Count


def load_progress(run_dir: Path) -> Progress | None:
    """What a run left when it was interrupted; None where it has not begun."""
    return read_record(run_dir / PROGRESS, Progress) if (run_dir / PROGRESS).exists() else None
