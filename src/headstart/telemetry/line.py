"""What every telemetry record carries (`telemetry/2`): whose it is, its number, its env steps, its clock.

A kind of record has a fixed set of keys, null where one does not apply. Counts are integers. A `Measured` number is null only
if it was not finite; its name then stands in `nonfinite`. All that depends on the clock or the host lies in `wall`.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from headstart.core.record import Arm, Count, Record, RunId, UtcTime

MEASURED = "measured"
Measured = Annotated[float | None, MEASURED]
MeasuredShare = Annotated[float | None, Field(ge=0.0, le=1.0), MEASURED]
Positive = Annotated[int, Field(ge=1, le=2**53)]


class Wall(Record):
    """Clock and host: the part of a record that two equal runs do not share."""

    time_utc: UtcTime
    elapsed_s: float  # since the writer was opened
    epoch_duration_sec: float | None
    env_steps_per_s: float | None
    rss_mib: float | None


class Envelope(Record):
    """What all records of a run have in common."""

    run_id: RunId
    arm: Arm
    world: str
    scenario: str
    seed: int
    stage: str


class Line(Envelope):
    """What every record carries."""

    schema_id: Literal["telemetry/2"] = "telemetry/2"
    phase: str | None  # name of the schedule's phase, null outside of one
    seq: Positive  # counts the records of a run over all segments
    env_steps: Count  # agent-steps charged to this arm so far
    nonfinite: tuple[str, ...]
    wall: Wall

    @model_validator(mode="after")
    def _null_measurements_are_named(self) -> Self:
        for name, field in type(self).model_fields.items():
            if MEASURED in field.metadata and getattr(self, name) is None and name not in self.nonfinite:
                raise ValueError(f"{name} is null, but not listed in nonfinite")
        return self
