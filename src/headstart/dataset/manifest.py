"""The manifest of a dataset (`dataset/3`), stored with its files; it depends only on the content.

It holds no clock, host or git revision, so that the same data always have the same manifest, and a stage may depend on it.
"""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from headstart.core.contents import StoredFile, require_unchanged, stored_file
from headstart.core.errors import IntegrityError
from headstart.core.files import inside, read_record, sha256_json
from headstart.core.record import Count, Name, Record, RelativePath, Sha256, Share, Words
from headstart.core.strict_json import pretty_json

VERSION_DIGITS = 12
TRAIN, HELDOUT = "block-{}/train.h5", "block-{}/heldout.h5"  # of block b, beside the manifest
Status = Literal["draft", "validated", "quarantined"]


class Tally(Record):
    """The size of a part of the recording; the episode index lists its worlds."""

    worlds: Count
    episodes: Count
    steps: Count  # of agents


class Block(Record):
    """Some worlds of the recording, in consecutive order: the demonstrations of one clone, in files of their own."""

    first_world: int
    last_world: int
    recorded: Tally
    accepted: Tally


class Quality(Record):
    """Means over the accepted episodes."""

    success_rate: Share | None  # None, as below: the recording does not have it
    harm_rate: Share | None
    return_mean: float | None  # undiscounted sum of an episode's rewards
    steps_mean: float


class Splits(Record):
    """How the accepted episodes were divided, by world and never by episode; `rule` describes how, so that it can be repeated."""

    rule: str
    seed: int
    heldout_share: Share
    train: Tally
    heldout: Tally


class Filter(Record):
    """Which episodes a slice takes of its parent: those for which all of this holds."""

    agent: tuple[Count, ...] = ()  # any of these; empty, as below: all
    outcome: tuple[Literal["success", "failure", "harm", "no-harm"], ...] = ()  # all of these
    min_return: float | None = None
    behaviour: tuple[Words, ...] = ()  # counters, as `showers` or `showers >= 2`
    family: tuple[Name, ...] = ()  # of situations, any of these

    def __str__(self) -> str:
        said = {name: value for name, value in self if value not in ((), None)}
        return ", ".join(
            f"{name} {' or '.join(map(str, value)) if isinstance(value, tuple) else f'{value:g}'}" for name, value in said.items()
        )


class Parent(Record):
    """Of what a dataset is a slice."""

    dataset: str  # "<dataset>@<version>"
    filter: Filter


class DatasetFacts(Record):
    """The facts of the dataset: its content and its origin."""

    dataset: Name  # id; with the version, "<dataset>@<version>" names these bytes for good
    scenario: Name
    scenario_sha256: Sha256
    expert: Name
    policy_sha256: Sha256
    seed: int  # of the recorded worlds
    accepted: Tally
    rejected: Tally
    rejection_reasons: dict[str, Count]  # reason → episodes; an episode may have several
    quality: Quality
    blocks: tuple[Block, ...]  # number b has its files in block-<b>/
    files: dict[RelativePath, StoredFile]  # by path below the manifest's directory
    splits: Splits
    parent: Parent | None = Field(default=None, exclude_if=lambda parent: parent is None)  # of a slice


class DatasetManifest(DatasetFacts):
    """The facts under their version, which `manifest_of` computes; a manifest with another version is rejected."""

    schema_id: Literal["dataset/3"] = "dataset/3"
    version: str
    status: Status

    @property
    def has_rewards(self) -> bool:
        """False for a recording of another program without rewards, whose reward columns hold a filling."""
        return self.quality.return_mean is not None

    @model_validator(mode="after")
    def _version_is_that_of_the_content(self) -> Self:
        if self.version != (expected := dataset_version(self)):
            raise ValueError(f"version {self.version!r} is not that of the content, {expected!r}")
        return self


def manifest_of(facts: DatasetFacts, status: Status = "draft") -> DatasetManifest:
    """The manifest of a dataset. Its status may change later without a new version: `model_copy(update=…)`."""
    return DatasetManifest(**dict(facts), version=dataset_version(facts), status=status)


def dataset_version(facts: DatasetFacts) -> str:
    """First 12 hex digits of the SHA-256 over the canonical JSON of the facts."""
    content = facts.model_dump(mode="json", include=set(DatasetFacts.model_fields))
    return sha256_json(content)[:VERSION_DIGITS]


def read_manifest(folder: Path, made_by: str | None = None) -> DatasetManifest:
    """manifest.json of a curated folder. IntegrityError where it is not the one that the folder's contents.json lists."""
    path = folder / "manifest.json"
    require_unchanged(path)
    return read_record(path, DatasetManifest, made_by)


def stamp_bytes(manifest: DatasetManifest) -> bytes:
    """validated.json of a dataset that passed."""
    return pretty_json(manifest.model_copy(update={"status": "validated"}).model_dump(mode="json"))


def require_files(manifest: DatasetManifest, directory: Path) -> None:
    """Raise IntegrityError, naming all offenders, unless every file of the manifest has its bytes in `directory`."""
    problems = []
    for name, recorded in sorted(manifest.files.items()):
        path = inside(directory, name)
        if not path.is_file():
            problems.append(f"{path}: expected a file of {recorded.bytes} bytes, found none")
        elif (found := stored_file(path)) != recorded:
            problems.append(
                f"{path}: expected {recorded.bytes} bytes with hash {recorded.sha256}, found {found.bytes} with {found.sha256}"
            )
    if problems:
        raise IntegrityError("; ".join(problems))
