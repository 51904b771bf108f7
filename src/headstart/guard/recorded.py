"""A run that happened as a trace: what its guardrails were shown, and what they compared it with, from its telemetry."""

import math
from dataclasses import dataclass
from pathlib import Path

from headstart.core.errors import InputError
from headstart.guard.guardrails import Reading, Values
from headstart.telemetry.kinds import PhaseStarted, ReadingLine
from headstart.telemetry.reader import read_telemetry


@dataclass(frozen=True)
class Recorded:
    """The readings of a run in their order, and the reference with which its first phase began."""

    readings: tuple[Reading, ...]
    reference: Values


def recorded_run(directory: Path) -> Recorded:
    """The trace of a run whose telemetry lies in `directory`. Raises InputError if it tells of no readings."""
    lines = read_telemetry(directory).records
    readings = tuple(
        Reading(line.check, line.env_steps, {name: _number(value) for name, value in line.values.items()})
        for line in lines
        if isinstance(line, ReadingLine)
    )
    began = next((line for line in lines if isinstance(line, PhaseStarted)), None)
    if began is None or not readings:
        raise InputError(f"{directory}: expected a phase and what its guardrails were shown, found {len(readings)} readings")
    return Recorded(readings, began.baselines)


def shown(reading: Reading) -> dict[str, float | str | None]:
    """The values of a reading as telemetry keeps them: JSON has no number for what is not finite."""
    return {n: str(float(v)) if v is not None and not math.isfinite(v) else v for n, v in reading.values.items()}


def _number(value: float | str | None) -> float | None:
    return None if value is None else float(value)
