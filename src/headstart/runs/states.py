"""The folder in which a training works until its stage is complete, and the states in it, so that one that was killed goes on where it was.

<work>/progress.json                 the last state that is whole, and what else the training has to remember
<work>/states/<id>.safetensors       all arrays of a state
<work>/telemetry/                    the log, which may be longer than `progress.json` knows
<work>/result.json, policy/          of a training that is complete, which is not done again

progress.json is written last: whatever it names is on disk.
"""

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from headstart.config.params import Params
from headstart.config.project import WORK_DIR
from headstart.config.scenario import Scenario
from headstart.core.arrays import Array
from headstart.core.closure import code_sha256
from headstart.core.errors import IntegrityError
from headstart.core.files import read_bytes, write_bytes, write_record
from headstart.core.lock import UNFINISHED, remove_unfinished
from headstart.core.record import Count, Name, Record, Sha256
from headstart.core.strict_json import sha256_json
from headstart.worlds.make import environment_sha256

PROGRESS, STATES, RESULT, POLICY, TELEMETRY = "progress.json", "states", "result.json", "policy", "telemetry"
MAX_STATE_BYTES = 1 << 30
KEY_DIGITS = 16


class KeptState(Record):
    """A state that can be returned to."""

    id: Name
    sha256: Sha256  # of what a rollback restores
    env_steps: Count


def work_folder(room: str, name: str, params: Params, scenario: Scenario, decide: set[str], *more: object) -> Path:
    """A folder named by all that decides the result: the sections `decide` of the settings, the scenario and its environment, and `more`."""
    settings = params.model_dump(mode="json", include=decide, exclude={"telemetry": {"tensorboard"}})
    settings["observation"] = params.capture.observation
    environment = environment_sha256(scenario.world, scenario.setup)
    key = sha256_json([settings, scenario.model_dump(mode="json", exclude={"recipe"}), environment, *more])
    return WORK_DIR / room / f"{name}-{key[:KEY_DIGITS]}"


def begin_work(folder: Path) -> None:
    """Make the folder, and clear what a process that was killed left half written or half removed; under the lock of its stage."""
    folder.mkdir(parents=True, exist_ok=True)
    remove_unfinished([folder])
    for left in folder.parent.glob(f".{folder.name[:-KEY_DIGITS]}{'?' * KEY_DIGITS}.tmp-*"):
        shutil.rmtree(left)


def end_work(folder: Path) -> None:
    """Remove the folder of a work that is complete and kept elsewhere: at once, since half of it would look like the whole."""
    gone = folder.with_name(f".{folder.name}.tmp-removed")
    folder.rename(gone)
    shutil.rmtree(gone)


def require_code(stage: str, scenario: str, sha256: str) -> None:
    """IntegrityError if the source files of a stage are not those with which it began: what is kept would not be what it is named by."""
    if code_sha256([f"headstart.stages.{stage}"]) != sha256:
        raise IntegrityError(f"{stage} {scenario}: its source files changed while it began; run it again")


def copy_whole(source: Path, target: Path) -> None:
    """Copy a folder without what is half written in it."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(UNFINISHED))


def save_state(work: Path, name: str, state: Mapping[str, Array]) -> None:
    """Write the arrays of a state."""
    arrays = {key: np.asarray(value, order="C") for key, value in sorted(state.items())}  # a scalar stays one
    write_bytes(state_path(work, name), safetensors.numpy.save(arrays))


def load_state(work: Path, name: str) -> dict[str, Array]:
    """Read them back; IntegrityError for a file that is not whole. The caller compares the hash."""
    path = state_path(work, name)
    try:
        return safetensors.numpy.load(read_bytes(path, MAX_STATE_BYTES))
    except (SafetensorError, KeyError, ValueError) as error:
        raise IntegrityError(f"{path}: expected the arrays of a state: {error}") from None


def commit(work: Path, progress: Record, names: Collection[str]) -> None:
    """Commit to what is on disk, then forget the states that are not among `names`."""
    write_record(work / PROGRESS, progress)
    for path in set((work / STATES).iterdir()) - {state_path(work, name) for name in names}:
        path.unlink()


def state_path(work: Path, name: str) -> Path:
    """Where a state lies."""
    return work / STATES / f"{name}.safetensors"
