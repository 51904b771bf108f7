"""The catalogue of all datasets that were ever validated (`catalogue/2`): one JSON file in git, to which entries are added."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import JsonValue, StringConstraints, model_validator

from headstart.core.errors import InputError, IntegrityError
from headstart.core.files import inside, read_record, sha256_file, write_record
from headstart.core.record import Count, Name, Record, RelativePath, Sha256, Share, UtcTime
from headstart.dataset.manifest import DatasetManifest, require_files


class Entry(Record):
    """One dataset version, named "<dataset>@<version>"; only status and tags may change later."""

    dataset: Name
    version: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]
    scenario: Name
    manifest: RelativePath  # where it is checked out, below the project root
    directory: RelativePath  # where its files are
    manifest_sha256: Sha256
    episodes: Count
    steps: Count
    success_rate: Share | None = None  # of the accepted episodes; None: the entry is older than this field
    return_mean: float | None = None  # over the accepted episodes; None: as above
    expert: Name
    policy_sha256: Sha256
    created_at: UtcTime
    git_revision: str | None
    parameters: dict[str, JsonValue]
    tags: tuple[Name, ...] = ()
    licence: str
    status: Literal["active", "deprecated"] = "active"

    @property
    def name(self) -> str:
        """ "<dataset>@<version>"."""
        return f"{self.dataset}@{self.version}"


class Catalogue(Record):
    """All entries, oldest first."""

    schema_id: Literal["catalogue/2"] = "catalogue/2"
    entries: tuple[Entry, ...] = ()

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [entry.name for entry in self.entries]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"{twice} occurs twice")
        return self


def read_catalogue(path: Path) -> Catalogue:
    """Read the catalogue; a missing file is an empty one. Raises InputError if it is not `catalogue/2`."""
    return read_record(path, Catalogue) if path.exists() else Catalogue()


def add_entry(path: Path, entry: Entry) -> Catalogue:
    """Append an entry, atomically; nothing happens if its manifest is in the catalogue already.

    Raises IntegrityError if it contains the same dataset and version with another manifest.
    """
    catalogue = read_catalogue(path)
    for known in catalogue.entries:
        if known.manifest_sha256 == entry.manifest_sha256:
            return catalogue
        if known.name == entry.name:
            raise IntegrityError(f"{path}: {known.name} has manifest {known.manifest_sha256}, not {entry.manifest_sha256}")
    extended = Catalogue(entries=(*catalogue.entries, entry))
    write_record(path, extended)
    return extended


def deprecate(path: Path, name: str) -> None:
    """Mark "<dataset>@<version>" as not to be used any more, atomically. Raises InputError if there is no such entry."""
    _change(path, name, lambda entry: entry.model_copy(update={"status": "deprecated"}))


def add_tag(path: Path, name: str, tag: str) -> None:
    """Add a tag to "<dataset>@<version>", once, atomically. Raises InputError for an unknown entry or a malformed tag."""
    _change(path, name, lambda entry: entry.model_copy(update={"tags": tuple(dict.fromkeys((*entry.tags, tag)))}))


def require_valid(catalogue: Catalogue, root: Path) -> tuple[str, ...]:
    """Check every entry whose version is checked out below `root`; returns the names of the entries that were checked.

    Raises IntegrityError, naming all offenders, if a manifest or a file of a dataset has other bytes than recorded, and
    InputError if a manifest is no `dataset/3`.
    """
    checked, problems = [], []
    for entry in catalogue.entries:
        path = inside(root, entry.manifest)
        if not path.is_file():
            continue
        manifest = read_record(path, DatasetManifest)
        if f"{manifest.dataset}@{manifest.version}" != entry.name:
            continue  # another version of the dataset is checked out there
        checked.append(entry.name)
        found = sha256_file(path)
        if found != entry.manifest_sha256:
            problems.append(f"{entry.name}: expected {path} with hash {entry.manifest_sha256}, found {found}")
        try:
            require_files(manifest, inside(root, entry.directory))
        except IntegrityError as error:
            problems.append(f"{entry.name}: {error}")
    if problems:
        raise IntegrityError("; ".join(problems))
    return tuple(checked)


def _change(path: Path, name: str, change: Callable[[Entry], Entry]) -> None:
    entries = read_catalogue(path).entries
    if name not in [entry.name for entry in entries]:
        raise InputError(f"{path}: expected an entry {name!r}, it has {[entry.name for entry in entries]}")
    write_record(path, Catalogue(entries=tuple(change(entry) if entry.name == name else entry for entry in entries)))
