"""What can happen to a policy after its training: the kinds of a history line."""

from typing import Annotated, Literal

from pydantic import Field

from headstart.core.record import Arm, Count, Name, Record, RelativePath, Sha256
from headstart.release.releases import Release

PassesNeeded = Annotated[int, Field(ge=1, le=10)]


class Stored(Record):
    """A file that a line rests on: where it was, its hash, and the copy below governance/ that git keeps."""

    path: RelativePath
    sha256: Sha256
    copy_path: RelativePath


class Judged(Record):
    """A comparison was recorded, with the files that it was computed from."""

    kind: Literal["verdict"] = "verdict"
    world: Name
    scenario: Name
    outcome: Literal["PASS", "HOLD", "FAIL"]
    # what was judged: two verdicts are about the same candidate if these are equal
    arm: Arm
    target_sha256: Sha256
    design_sha256: Sha256  # evaluation worlds, seeds and intervals
    schedule_sha256: Sha256  # everything that shaped the training but its seeds
    dataset: str  # "<dataset>@<version>"
    dataset_sha256: Sha256  # of its manifest
    # which runs judged it: none of them may stand behind two passes
    run_id: Name
    seeds: tuple[int, ...] = Field(min_length=1)
    checkpoints: tuple[Sha256, ...]  # the candidate's, by seed
    comparison: Stored
    evidence: tuple[Stored, ...] = Field(min_length=1)
    evidence_sha256: Sha256
    anneal_cycles: Count  # of the candidate's schedule
    candidate: Release  # the checkpoint that would be released
    baseline: Release  # scratch, by the same rule: what a first release can be rolled back to
    metrics: dict[str, float | None]
    # under which circumstances
    required_passes: PassesNeeded
    clean_tree: bool
    loosened: tuple[str, ...]  # rules of the comparison that were looser than the default, and keys that hold its schedule
    git_revision: str
    process: Sha256  # the process that recorded it

    @property
    def candidate_key(self) -> tuple[str, ...]:
        """What has to be equal for two verdicts to be about the same candidate."""
        return (self.arm, self.target_sha256, self.design_sha256, self.schedule_sha256, self.dataset, self.dataset_sha256)


class Promoted(Record):
    """A person put the candidate to use."""

    kind: Literal["promotion"] = "promotion"
    world: Name
    scenario: Name
    release: Release
    initial: Release | None  # at a first release: what was there before
    registry: str  # name and version in the registry


class RolledBack(Record):
    """A person went back to an earlier release."""

    kind: Literal["rollback"] = "rollback"
    world: Name
    scenario: Name
    to: Name  # a release's id


class Swapped(Record):
    """A person put a checkpoint to use by hand."""

    kind: Literal["swap"] = "swap"
    world: Name
    scenario: Name
    release: Release
    initial: Release | None


class Withdrawn(Record):
    """A candidate is none any more."""

    kind: Literal["withdrawal"] = "withdrawal"
    world: Name
    scenario: Name
    cause: Literal["person", "new-dataset", "hash-mismatch"]


class Drilled(Record):
    """The rollback drill was run."""

    kind: Literal["drill"] = "drill"
    passed: bool
    rounds: Count
    guardrails: tuple[str, ...]
    evidence: tuple[Stored, ...] = ()


AnyEvent = Judged | Promoted | RolledBack | Swapped | Withdrawn | Drilled
