"""A log with one record of each kind."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headstart.telemetry.kinds import Envelope
from headstart.telemetry.writer import TelemetryWriter


@pytest.fixture
def envelope() -> Envelope:
    return Envelope(run_id="run-1", arm="scratch", world="town", scenario="queue_conflict", seed=3, stage="baseline")


@pytest.fixture
def write_run(envelope: Envelope) -> Callable[..., None]:
    """Writes a log with one record of each kind, in an order that a run could have."""
    fields = json.loads((Path(__file__).parents[1] / "golden" / "telemetry_fields.json").read_text())

    def write(directory: Path, without: tuple[str, ...] = (), **options: Any) -> None:
        with TelemetryWriter(directory, envelope, **options) as writer:
            for step, kind in enumerate(kind for kind in fields if kind not in without):
                writer.write(kind, env_steps=10 * step, **fields[kind])

    return write
