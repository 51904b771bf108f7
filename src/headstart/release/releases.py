"""Which checkpoint is in use for each scenario (`releases/1`): `models/releases.json`, tracked by git, written from the history."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from headstart.core.errors import IntegrityError
from headstart.core.files import sha256_file
from headstart.core.record import Arm, Name, Record, RelativePath, Sha256
from headstart.runs.checkpoint import CARD, WEIGHTS


class Release(Record):
    """A checkpoint that may be put to use. `id` is "<arm>-<seed>-<first 12 digits of weights_sha256>"."""

    id: Name
    arm: Arm
    seed: int
    checkpoint: RelativePath  # its folder when it was released; a later training may have overwritten it
    weights_sha256: Sha256
    card_sha256: Sha256
    git_revision: str  # at which dvc.lock vouches for the folder
    dvc_out: RelativePath | None  # the output of DVC that holds the folder; null: DVC does not keep it
    verdict_sha256: Sha256 | None  # of the comparison that passed it; null: none did
    verified: bool  # a PASS stands behind it
    replaces: Name | None = None  # the release that was in use before it


class InUse(Record):
    """The releases of one scenario."""

    world: str
    current: Release | None
    previous: Release | None  # what `release rollback` goes back to
    initial: Release | None  # the baseline that was at hand at the first release


class Releases(Record):
    """By scenario."""

    schema_id: Literal["releases/1"] = "releases/1"
    scenarios: dict[Name, InUse] = Field(default_factory=dict)


def release_id(arm: str, seed: int, weights_sha256: str) -> str:
    """The name of a checkpoint among releases."""
    return f"{arm}-{seed}-{weights_sha256[:12]}"


def file_hashes(release: Release) -> dict[str, str]:
    """File below the checkpoint's folder → its SHA-256."""
    return {WEIGHTS: release.weights_sha256, CARD: release.card_sha256}


def require_release(release: Release, folder: Path) -> None:
    """Raise IntegrityError, naming both hashes, unless `folder` holds the bytes of `release`; InputError if a file is missing."""
    for name, expected in file_hashes(release).items():
        if (found := sha256_file(folder / name)) != expected:
            raise IntegrityError(f"{folder / name}: expected hash {expected} of release {release.id}, found {found}")
