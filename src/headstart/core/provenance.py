"""The record of a run (`run/1`): what went in, what came out, and, apart from these, when and where.

No stage depends on this file, because its `wall` differs at every run.
"""

import os
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import Literal, Self

from pydantic import JsonValue, model_validator

from headstart.core.files import write_record
from headstart.core.git import git_state
from headstart.core.record import Count, Record, RelativePath, RunId, Sha256, UtcTime

RunType = Literal["expert_training", "capture", "curate", "validate", "bc_train", "baseline", "anneal", "evaluate"]


class Wall(Record):
    """Clock, host and source tree; null where the machine cannot tell."""

    started_at: UtcTime
    seconds: float
    cpus: Count | None
    python: str
    numpy: str | None
    torch: str | None
    git_revision: str | None
    git_dirty: bool | None


class RunFacts(Record):
    """What a run did; a function of its inputs, parameters and seeds."""

    run_id: RunId
    type: RunType
    inputs: dict[str, Sha256]
    seeds: tuple[int, ...]  # those that were really run
    parameters: dict[str, JsonValue]
    metrics: dict[str, float | None]
    outputs: dict[RelativePath, Sha256]
    status: Literal["completed", "failed", "partial"]
    diagnostics: tuple[str, ...]

    @model_validator(mode="after")
    def _a_failure_says_why(self) -> Self:
        if self.status == "failed" and not self.diagnostics:
            raise ValueError("a failed run needs at least one line of diagnostics")
        return self


class RunRecord(RunFacts):
    """The facts of a run, and its circumstances."""

    schema_id: Literal["run/1"] = "run/1"
    wall: Wall


def record_run(path: Path, facts: RunFacts, started_at: datetime) -> RunRecord:
    """Write the record of a run that began at `started_at` (with a time zone) and ends now.

    The git revision is that of the repository around `path`; without git, or outside of a repository, it is null.
    """
    revision, dirty = git_state(path.parent)
    wall = Wall(
        started_at=utc_text(started_at),
        seconds=(datetime.now(UTC) - started_at).total_seconds(),
        cpus=os.cpu_count(),
        python=python_version(),
        numpy=package_version("numpy"),
        torch=package_version("torch"),
        git_revision=revision,
        git_dirty=dirty,
    )
    record = RunRecord(**dict(facts), wall=wall)
    write_record(path, record)
    return record


def utc_text(time: datetime) -> str:
    """A time as RFC 3339 in UTC, with milliseconds: 2025-01-31T12:00:00.000Z."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def package_version(name: str) -> str | None:
    """The installed version of a distribution, without importing it; None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
