"""The catalogue of all datasets that were ever validated, which git tracks.

data/catalogue/<dataset>.json (`catalogue/3`) holds facts: the stage `catalogue` adds them, and they only grow. data/catalogue/marks.json
(`catalogue-marks/1`) holds what people say of a version: tags, a status and notes. The commit that holds a version, and the models that came
from it, stand in neither: git and dvc.lock know them.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import JsonValue, StringConstraints, model_validator

from headstart.config.project import CATALOGUE, DATA, FETCHED, LOCKS
from headstart.core.errors import InputError, IntegrityError, UsageError, nearest
from headstart.core.files import parse_record, read_record, write_record
from headstart.core.git import committed
from headstart.core.lock import held, remove_unfinished
from headstart.core.record import Count, Name, Record, Sha256, UtcTime, Words
from headstart.dataset.manifest import DatasetManifest, Quality

MARKS = CATALOGUE / "marks.json"
PATIENCE_S = 30.0  # for other writers

R = TypeVar("R", bound=Record)


class Stored(Record):
    """The hashes under which a version is kept; None: never recorded."""

    manifest_sha256: Sha256  # of validated.json
    manifest_md5: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")] | None  # DVC's, of validated.json
    files_md5: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}\.dir$")] | None  # DVC's, of the folder curated


class Entry(Record):
    """The facts of one dataset version, named "<dataset>@<version>"."""

    dataset: Name
    version: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]
    scenario: Name
    stored: tuple[Stored, ...]  # oldest first; a second where the same episodes were written with another manifest or listing
    episodes: Count  # accepted ones, as steps
    steps: Count
    rejected: Count | None  # episodes; None: never recorded
    quality: Quality  # of the accepted episodes; None: never recorded, or the recording does not tell it
    expert: Name
    policy_sha256: Sha256
    created_at: UtcTime
    parameters: dict[str, JsonValue]
    licence: str | None  # of the episodes, as the scenario states it

    @property
    def name(self) -> str:
        """ "<dataset>@<version>"."""
        return f"{self.dataset}@{self.version}"

    @property
    def manifest_sha256(self) -> str:
        """Of validated.json, as it was written last."""
        return self.stored[-1].manifest_sha256


class Catalogue(Record):
    """The facts of one scenario's datasets, oldest first."""

    schema_id: Literal["catalogue/3"] = "catalogue/3"
    scenario: Name
    entries: tuple[Entry, ...]

    @model_validator(mode="after")
    def _names_are_unique_and_of_the_scenario(self) -> Self:
        names = [entry.name for entry in self.entries]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"{twice} occurs twice")
        if other := [entry.name for entry in self.entries if entry.scenario != self.scenario or not entry.stored]:
            raise ValueError(f"{other[0]}: expected an entry of {self.scenario} with the hash of its manifest")
        return self


class Mark(Record):
    """What people say of a version."""

    status: Literal["active", "deprecated"] = "active"
    tags: tuple[Name, ...] = ()
    notes: tuple[Words, ...] = ()


class Marks(Record):
    """Version by name → its mark; a version without one is active."""

    schema_id: Literal["catalogue-marks/1"] = "catalogue-marks/1"
    marks: dict[str, Mark]


# --- reading ------------------------------------------------------------------------------------------------------------


def read_entries(root: Path) -> tuple[Entry, ...]:
    """All entries, oldest first; none where there is no catalogue. Raises InputError for a file that is not `catalogue/3`."""
    files = sorted((root / CATALOGUE).glob("*.json"))
    entries = [entry for file in files if file.name != MARKS.name for entry in _read(file, Catalogue).entries]
    return tuple(sorted(entries, key=lambda entry: entry.created_at))


def read_marks(root: Path) -> dict[str, Mark]:
    """Version by name → its mark. Raises InputError for a file that is not `catalogue-marks/1`."""
    return _read(root / MARKS, Marks).marks if (root / MARKS).exists() else {}


def _read(path: Path, model: type[R]) -> R:
    """A file of the catalogue. IntegrityError, with what brings it back, for one that is damaged."""
    try:
        return read_record(path, model)
    except InputError as error:
        raise IntegrityError(f"{error}; `headstart verify --repair` brings back what git has") from None


def active_entries(root: Path, scenario: str) -> tuple[Entry, ...]:
    """The entries of a scenario's own dataset that are not deprecated, oldest first; a draft that was kept is another dataset."""
    marks = read_marks(root)
    return tuple(e for e in read_entries(root) if e.dataset == scenario and marks.get(e.name, Mark()).status == "active")


def find_entry(entries: Iterable[Entry], name: str) -> Entry:
    """The entry "<dataset>@<version>", or the newest of "<dataset>". UsageError, with the nearest names, where there is none."""
    entries = tuple(entries)
    if found := [entry for entry in entries if name in (entry.name, entry.dataset)]:
        return found[-1]
    dataset = name.partition("@")[0]
    versions = [entry.name for entry in entries if entry.dataset == dataset]
    known = versions or sorted({entry.dataset for entry in entries})
    there = f"there are {', '.join(known)}" if known else "`dvc repro` makes the first"
    raise UsageError(f"{name}: the catalogue has no such dataset{nearest(name, known)}; {there}")


def checked_out(dataset: str) -> tuple[Path, Path]:
    """Where the version that is checked out has its manifest and its files, below the root."""
    return DATA / dataset / "validated.json", DATA / dataset / "curated"


def fetched(name: str) -> tuple[Path, Path]:
    """As `checked_out`, of a version "<dataset>@<version>" that `headstart catalogue fetch` put beside it."""
    return FETCHED / name / "validated.json", FETCHED / name / "curated"


def facts_path(dataset: str) -> Path:
    """The file of a dataset's facts, below the root; that of a draft is not the one that DVC watches."""
    return CATALOGUE / f"{dataset}.json"


# --- writing ------------------------------------------------------------------------------------------------------------


def entry_of(
    manifest: DatasetManifest, stored: Stored, created_at: str, parameters: dict[str, JsonValue], licence: str | None
) -> Entry:
    """The facts that a manifest tells, with those that it does not."""
    return Entry(
        dataset=manifest.dataset,
        version=manifest.version,
        scenario=manifest.scenario,
        stored=(stored,),
        episodes=manifest.accepted.episodes,
        steps=manifest.accepted.steps,
        rejected=manifest.rejected.episodes,
        quality=manifest.quality,
        expert=manifest.expert,
        policy_sha256=manifest.policy_sha256,
        created_at=created_at,
        parameters=parameters,
        licence=licence,
    )


def add_entry(root: Path, entry: Entry) -> tuple[Entry, ...]:
    """Add the facts of a version, atomically; returns all entries of the scenario. What git has at HEAD comes back if it was lost or edited.

    Raises InputError where neither the file nor the one at HEAD can be read, and Busy where another process holds the catalogue for long.
    """
    path = facts_path(entry.dataset)
    with _alone(root):
        before = committed_catalogue(root, path)
        facts = {old.name: old for old in before.entries} if before else {}
        for now in _entries_here(root / path, readable=before is not None):
            if now.name not in facts or follows(facts[now.name], now):
                facts[now.name] = now
        facts[entry.name] = _joined(facts.get(entry.name), entry)
        found = Catalogue(scenario=entry.scenario, entries=tuple(facts.values()))
        write_record(root / path, found)
    return found.entries


def committed_catalogue(root: Path, path: Path) -> Catalogue | None:
    """The facts of a scenario at HEAD; None where git has none of `catalogue/3`."""
    try:
        content = committed(root, path.as_posix())
        return parse_record(content, Catalogue, f"HEAD:{path}") if content else None
    except InputError:
        return None


def follows(old: Entry, new: Entry) -> bool:
    """Whether an entry may have become another: only a licence may be stated anew, and further hashes be added."""
    may_change = {"licence", "stored"}
    same = old.model_dump(exclude=may_change) == new.model_dump(exclude=may_change)
    return same and new.stored[: len(old.stored)] == old.stored


def change_mark(root: Path, name: str, change: Callable[[Mark], Mark]) -> Mark:
    """Change the mark of "<dataset>@<version>", atomically; no change of another process is lost. Returns the new mark.

    Raises UsageError for a version that the catalogue does not have, and Busy as `add_entry`.
    """
    with _alone(root):
        entry = find_entry(read_entries(root), name)
        if entry.name != name:
            raise UsageError(f"{name}: expected one version, as {entry.name}; `headstart catalogue list` shows all")
        marks = read_marks(root)
        mark = change(marks.get(name, Mark()))
        write_record(root / MARKS, Marks(marks=dict(sorted((marks | {name: mark}).items()))))
    return mark


def _entries_here(path: Path, readable: bool) -> tuple[Entry, ...]:
    """The entries of a file that may be missing; none of one that is not `catalogue/3`, where git has a `readable` one."""
    try:
        return read_record(path, Catalogue).entries if path.exists() else ()
    except InputError as error:
        if readable:
            return ()
        raise InputError(f"{error}; git has no earlier one: move the file away, and `dvc repro` writes it anew") from None


def _joined(known: Entry | None, entry: Entry) -> Entry:
    """The facts as they are found now, under the date and the parameters of the first time."""
    if known is None:
        return entry
    stored = (*known.stored, *(one for one in entry.stored if one not in known.stored))
    return entry.model_copy(update={"stored": stored, "created_at": known.created_at, "parameters": known.parameters})


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Hold the lock of the catalogue, which a writer does for milliseconds, and remove what one that was killed left half written."""
    with held(root / LOCKS / "catalogue", "headstart catalogue", PATIENCE_S):
        remove_unfinished([root / CATALOGUE])
        yield
