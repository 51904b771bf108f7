"""The record of a run of a stage (`run/1`): inputs, outputs, and the environment.

It is in the reports of the stage, on which no stage depends, because the times differ in every run.
"""

import os
from datetime import UTC, datetime
from platform import node, python_version
from typing import Literal, Self

from pydantic import JsonValue, model_validator

from headstart.core.provenance import package_version, utc_text
from headstart.core.record import Count, Record, RelativePath, RunId, Sha256, UtcTime

RUN = "run.json"


class Circumstances(Record):
    """Times, machine and source tree; null if the machine does not provide a value."""

    started_at: UtcTime
    seconds: float
    host: str
    cpus: Count | None
    versions: dict[str, str | None]  # of Python and of the packages that affect the numbers
    git_revision: str | None
    git_dirty: bool | None  # tracked files differed from the revision


class RunRecord(Record):
    """One run of a stage."""

    schema_id: Literal["run/1"] = "run/1"
    run_id: RunId
    stage: str
    scenario: str
    arm: str | None
    status: Literal["completed", "failed"]
    diagnostics: tuple[str, ...]  # why it failed
    code_sha256: Sha256  # of the files that the stage imports
    imported: tuple[str, ...] = ()  # code of others that the scenario names: environment, wrappers, expert
    inputs: dict[RelativePath, Sha256]  # of a folder: over its files
    parameters: dict[str, JsonValue]  # keys of params.yaml, overridden by the scenario's recipe
    seeds: tuple[int, ...]  # that were actually run
    metrics: dict[str, float | None]
    outputs: dict[RelativePath, Sha256]  # without the folder of this record
    circumstances: Circumstances

    @model_validator(mode="after")
    def _a_failure_says_why(self) -> Self:
        if self.status == "failed" and not self.diagnostics:
            raise ValueError("a failed run needs at least one line of diagnostics")
        return self


def circumstances(began: datetime, git_revision: str | None, git_dirty: bool | None) -> Circumstances:
    """The circumstances of a run in the current folder that began at `began` (with a time zone) and ends now."""
    return Circumstances(
        started_at=utc_text(began),
        seconds=(datetime.now(UTC) - began).total_seconds(),
        host=node(),
        cpus=os.cpu_count(),
        versions={"python": python_version(), **{name: package_version(name) for name in ("numpy", "numba", "torch")}},
        git_revision=git_revision,
        git_dirty=git_dirty,
    )
