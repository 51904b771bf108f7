"""A run's folder and how far the run has come (`progress/3`), written beside its states so that a run that was killed goes on where it was.

<run_dir>/progress.json                 the last state that is whole, and what the run has to remember
<run_dir>/states/<id>.safetensors       all arrays of a state
<run_dir>/telemetry/                    the log, which may be longer than `progress.json` knows

progress.json is written last: whatever it names is on disk.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from headstart.compare.arm_runs import CloneRun, CurvePoint
from headstart.config.params import Params
from headstart.config.scenario import Scenario
from headstart.core.arrays import Array
from headstart.core.errors import IntegrityError
from headstart.core.files import read_bytes, read_record, write_bytes, write_record
from headstart.core.record import Count, Name, Record, Sha256
from headstart.guard.control import Control

PROGRESS, STATES, RESULT, POLICY, TELEMETRY = "progress.json", "states", "result.json", "policy", "telemetry"
MAX_STATE_BYTES = 1 << 30


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


class KeptState(Record):
    """A state that can be returned to."""

    id: Name
    sha256: Sha256  # of what a rollback restores
    env_steps: Count


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


def save_state(run_dir: Path, name: str, state: Mapping[str, Array]) -> None:
    """Write the arrays of a state."""
    arrays = {key: np.asarray(value, order="C") for key, value in sorted(state.items())}  # a scalar stays one
    write_bytes(state_path(run_dir, name), safetensors.numpy.save(arrays))


def load_state(run_dir: Path, name: str) -> dict[str, Array]:
    """Read them back; IntegrityError for a file that is not whole. The caller compares the hash."""
    path = state_path(run_dir, name)
    try:
        return safetensors.numpy.load(read_bytes(path, MAX_STATE_BYTES))
    except (SafetensorError, KeyError, ValueError) as error:
        raise IntegrityError(f"{path}: expected the arrays of a state: {error}") from None


def save_progress(run_dir: Path, progress: Progress) -> None:
    """Commit to what is on disk, then forget the states that are not named any more."""
    write_record(run_dir / PROGRESS, progress)
    named = {state_path(run_dir, state.id) for state in progress.states}
    for path in set((run_dir / STATES).iterdir()) - named:
        path.unlink()


def load_progress(run_dir: Path) -> Progress | None:
    """What a run left when it was interrupted; None where it has not begun."""
    return read_record(run_dir / PROGRESS, Progress) if (run_dir / PROGRESS).exists() else None


def state_path(run_dir: Path, name: str) -> Path:
    """Where a state lies."""
    return run_dir / STATES / f"{name}.safetensors"
