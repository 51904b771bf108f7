"""A run record keeps what a run did apart from when and where it did it."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from headstart.core.files import read_record
from headstart.core.provenance import RunFacts, RunRecord, record_run, utc_text

FACTS = RunFacts(
    run_id="capture-queue-conflict",
    type="capture",
    inputs={"scenario": "a" * 64},
    seeds=(1, 2),
    parameters={"worlds": 4, "nested": {"list": [1, "x", None]}},
    metrics={"success_rate": 0.5, "undefined": None},
    outputs={"data/raw/episodes.h5": "b" * 64},
    status="completed",
    diagnostics=(),
)


def test_a_run_record_comes_back_with_its_circumstances(
    tmp_path: Path, require_schema: Callable[[bytes | str, str], None]
) -> None:
    began = datetime.now(UTC) - timedelta(seconds=5)

    record = record_run(tmp_path / "record.json", FACTS, began)

    assert read_record(tmp_path / "record.json", RunRecord) == record
    assert record.outputs == FACTS.outputs
    assert 5 <= record.wall.seconds < 60
    assert record.wall.started_at == utc_text(began)
    assert record.wall.numpy == np.__version__
    assert record.wall.cpus == os.cpu_count()
    require_schema((tmp_path / "record.json").read_bytes(), "run/1")


def test_a_time_is_told_in_utc() -> None:
    noon = datetime(2025, 1, 31, 12, 0, 0, 250_000, timezone(timedelta(hours=2)))

    assert utc_text(noon) == "2025-01-31T10:00:00.250Z"


def test_a_failed_run_without_diagnostics_is_no_record() -> None:
    with pytest.raises(ValidationError, match="needs at least one line of diagnostics"):
        RunFacts.model_validate(FACTS.model_dump() | {"status": "failed"})
