"""What is asked of the training of a clone, and what comes back: the process that waits for the clones needs no torch, the others import it.

Until all clones are trained, each works in a folder of its own below .headstart/, named by all that determines the result.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from headstart.compare.arm_runs import CloneRun, Score
from headstart.config.params import BCParams, Params
from headstart.config.scenario import Scenario
from headstart.core.files import sha256_file
from headstart.core.record import Count, Name, Record, Sha256
from headstart.core.verdict import Verdict
from headstart.runs.clone_report import CloneReport, EpochScore
from headstart.runs.expert_record import ExpertPolicy
from headstart.runs.pool import Report
from headstart.runs.states import work_folder


@dataclass(frozen=True)
class CloneJob:
    """What one process needs to train a clone."""

    params: Params
    scenario: Scenario
    block: int  # of the recording; the clone's place in `params.seeds`
    dataset: Path  # validated.json
    work: Path  # below which each clone has a folder
    code_sha256: str  # of the code that the stage began with
    expert: ExpertPolicy

    @property
    def seed(self) -> int:
        """The seed of the replicate that the clone belongs to."""
        return self.params.seeds[self.block]

    @property
    def settings(self) -> BCParams:
        """Those of this clone."""
        return self.params.bc_train.model_copy(update={"seed": self.params.bc_train.seed + self.seed})

    @property
    def folder(self) -> Path:
        """Where the clone works."""
        return self.work / f"seed-{self.seed}"


class Clone(Record):
    """What is known of a clone when it is trained."""

    run: CloneRun
    untrained: Score  # its network before it learned, on the exam worlds
    report: CloneReport
    verdict: Verdict
    epochs: tuple[EpochScore, ...]


class CloneProgress(Record):
    """What the training of a clone remembers beside its latest state."""

    schema_id: Literal["clone-progress/1"] = "clone-progress/1"
    latest: Name
    sha256: Sha256  # of the state
    epochs: tuple[EpochScore, ...]
    telemetry_seq: Count


def clones_folder(params: Params, scenario: Scenario, dataset: Path, expert: ExpertPolicy, code_sha256: str) -> Path:
    """Where the clones work."""
    decide = {"bc_train", "seeds", "network", "evaluation", "device"}
    more = (sha256_file(dataset), expert.model_dump(mode="json"), code_sha256)
    return work_folder("bc", scenario.name, params, scenario, decide, *more)


def train_clone(job: CloneJob, report: Report) -> Clone:
    """Train a clone, alone in its process, on one thread; `report` receives an epoch when it is done."""
    from headstart.runs.clone_seed import (
        trained_clone,  # torch takes seconds to import, and the process that waits has no use for it
    )

    return trained_clone(job, report)
