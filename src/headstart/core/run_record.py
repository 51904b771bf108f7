"""The record of a run (`run/1`): what went in, what came out, and under which circumstances.

It lies in the reports of its stage, which no stage depends on, because its clock differs at every run.
"""

import os
from datetime import UTC, datetime
from pathlib import Path
from platform import node, python_version
from typing import Literal, Self

from pydantic import JsonValue, model_validator

from headstart.core.git import git_state
from headstart.core.provenance import package_version, utc_text
from headstart.core.record import Count, Record, RelativePath, RunId, Sha256, UtcTime

RUN = "run.json"


class Circumstances(Record):
    """Clock, machine and source tree; null where the machine cannot tell."""

    started_at: UtcTime
    seconds: float
    host: str
    cpus: Count | None
    versions: dict[str, str | None]  # of Python and of the packages that decide numbers
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
    inputs: dict[RelativePath, Sha256]  # of a folder: over its files
    parameters: dict[str, JsonValue]  # keys of params.yaml, with what the scenario's recipe says otherwise
    seeds: tuple[int, ...]  # that were really run
    metrics: dict[str, float | None]
    outputs: dict[RelativePath, Sha256]  # without the folder of this record
    circumstances: Circumstances

    @model_validator(mode="after")
    def _a_failure_says_why(self) -> Self:
        if self.status == "failed" and not self.diagnostics:
            raise ValueError("a failed run needs at least one line of diagnostics")
        return self


def circumstances(began: datetime) -> Circumstances:
    """Of a run that began at `began` (with a time zone) and ends now, in the current folder."""
    revision, dirty = git_state(Path())
    return Circumstances(
        started_at=utc_text(began),
        seconds=(datetime.now(UTC) - began).total_seconds(),
        host=node(),
        cpus=os.cpu_count(),
        versions={"python": python_version(), **{name: package_version(name) for name in ("numpy", "numba", "torch")}},
        git_revision=revision,
        git_dirty=dirty,
    )
