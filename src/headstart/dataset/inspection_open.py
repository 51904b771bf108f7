"""A dataset as a person names it, opened for a look: its episodes, what was decided on each, and whether its bytes are those of its records.

What is recorded is read where it is here (`raw`), so that rejected episodes can be looked at too; of a version that was fetched there are only
the accepted ones, and of the others what the index says.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

import numpy as np

from headstart.config.project import DATA, REPORTS
from headstart.config.stage_command import stage_command
from headstart.core.arrays import Array
from headstart.core.contents import listed, require_listed, require_whole
from headstart.core.errors import HeadstartError, InputError, IntegrityError, UsageError, nearest
from headstart.core.files import read_record, sha256_file
from headstart.core.verdict import Outcome, Verdict
from headstart.dataset.catalogue import Entry, fetched, find_entry, read_entries
from headstart.dataset.catalogue_check import files_problems
from headstart.dataset.curation import read_index
from headstart.dataset.episodes import Absent, Episodes, EpisodeTable, concatenate
from headstart.dataset.episodes_file import read_episodes
from headstart.dataset.manifest import HELDOUT, TRAIN, DatasetManifest, read_manifest, require_files, stamp_bytes
from headstart.dataset.metrics import read_metrics
from headstart.dataset.observation import ObservationSchema
from headstart.dataset.whereabouts import whereabouts

QUARANTINE = DATA / "quarantine"


class Hashed(NamedTuple):
    """One comparison of bytes with what is recorded of them."""

    name: str
    ok: bool
    text: str


class Opened(NamedTuple):
    """A dataset: E recorded episodes, of which the steps of S are here."""

    name: str  # "<dataset>@<version>", or the path of a recording
    play: str  # what `headstart play` calls it
    scenario: str | None  # None: a recording of another program
    state: str  # in words
    folder: Path
    schema: ObservationSchema
    absent: tuple[Absent, ...]
    table: EpisodeTable  # [E]
    reasons: list[list[str]]  # [E] why each was rejected
    side: Array  # [E] str: train, heldout; "" where it was not decided or is rejected
    block: Array  # [E] i64
    episodes: Episodes  # [S]
    row: Array  # [S] i64, of the table
    manifest: DatasetManifest | None
    hashes: tuple[Hashed, ...]
    metrics: Mapping[str, Array] | None = None  # column → [E], as `curate` left them; None: it did not
    refused: tuple[str, ...] = ()  # gates that a verdict on these bytes does not pass

    @property
    def accepted(self) -> Array:
        """[E] bool."""
        return np.array([not why for why in self.reasons], bool)

    @property
    def ids(self) -> list[str]:
        """[E] names of the episodes."""
        return [name.decode() for name in self.table.episode_id.tolist()]


def open_dataset(root: Path, name: str) -> Opened:
    """ "<dataset>": what lies in data/<dataset>; "<dataset>@<version>": also one that was fetched or is in quarantine.

    UsageError for a name that nothing has; InputError, with the command that brings it, for a version that is not here.
    """
    dataset, _, version = name.partition("@")
    here = root / DATA / dataset
    if not dataset or "/" in dataset:
        raise UsageError(f"expected <dataset>, <dataset>@<version> or the path of a recording, got {name!r}")
    if not version and ((here / "curated").is_dir() or (here / "raw").is_dir()):
        return _at_hand(root, dataset)
    if version and _version_in(here / "curated") == version:
        return _at_hand(root, dataset)
    if version and (kept := root / QUARANTINE / name).is_dir():
        return _curated(root, kept, kept / "manifest.json", "refused by `validate`, kept in quarantine")
    if version and (root / fetched(name)[0]).is_file():
        stamp, folder = fetched(name)
        return _curated(root, root / folder, root / stamp, "validated, fetched from the catalogue")
    raise _not_here(root, name)


def open_draft(folder: Path) -> Opened:
    """A draft in a folder anywhere, by its path: its recording, which may be a copy."""
    hashed = _hashed(folder / "raw", _require_shards, "copy it again")
    return _recorded(folder, folder.as_posix())._replace(hashes=(hashed,))


def episode_names(root: Path, name: str) -> list[str]:
    """The ids of all recorded episodes, without their steps. Raises as `open_dataset`."""
    dataset, _, version = name.partition("@")
    here = root / DATA / dataset
    folder = here / "curated"
    if version and _version_in(folder) != version:
        folder = root / fetched(name)[1]
    if (folder / "episodes.tsv").is_file():
        return [one.decode() for one in read_index(folder / "episodes.tsv")[0].episode_id.tolist()]
    return open_dataset(root, name).ids


def is_stamped(curated: Path, manifest: DatasetManifest) -> bool:
    """Whether `validate` passed just this dataset: validated.json beside its folder is the stamp of its manifest."""
    stamp = curated.parent / "validated.json"
    return stamp.is_file() and stamp.read_bytes() == stamp_bytes(manifest)


def _at_hand(root: Path, dataset: str) -> Opened:
    here = root / DATA / dataset
    if not (here / "curated/manifest.json").is_file():
        return _recorded(here, dataset)
    manifest = read_manifest(here / "curated")
    valid = is_stamped(here / "curated", manifest)
    state = f"a slice of {manifest.parent.dataset}: {manifest.parent.filter}" if manifest.parent else "curated, not validated"
    found = _curated(root, here / "curated", here / "curated/manifest.json", "validated" if valid else state)
    if (here / "validated.json").is_file() and not valid:
        found = found._replace(state="curated, not validated: validated.json is that of another version")
    if valid:
        listed = [
            _listed(root, entry, here / "validated.json", here / "curated")
            for entry in read_entries(root)
            if entry.name == found.name
        ]
        found = found._replace(hashes=(*found.hashes, *listed))
    if found.refused:
        found = found._replace(state="refused by `validate`")
    return _with_rejected(found, here / "raw", dataset)


def _recorded(here: Path, dataset: str) -> Opened:
    """A recording on which nothing was decided yet."""
    episodes, schema, absent = _shards(here / "raw")
    hashed = _hashed(here / "raw", require_whole, _again("capture", dataset, here / "raw"))
    scenario, dot, _ = here.name.partition(".")
    found = undecided(dataset, "a draft, not curated" if dot else "recorded, not curated", here, episodes, schema)
    return found._replace(scenario=scenario, absent=absent, hashes=(hashed,))


def undecided(name: str, state: str, folder: Path, episodes: Episodes, schema: ObservationSchema) -> Opened:
    """Episodes that are all here, and on none of which anything was decided."""
    count = len(episodes.table.length)
    return Opened(
        name=name,
        play=name,
        scenario=None,
        state=state,
        folder=folder,
        schema=schema,
        absent=(),
        table=episodes.table,
        reasons=[[] for _ in range(count)],
        side=np.full(count, ""),
        block=np.zeros(count, np.int64),
        episodes=episodes,
        row=np.arange(count),
        manifest=None,
        hashes=(),
    )


def _curated(root: Path, folder: Path, path: Path, state: str) -> Opened:
    """A folder as `curate` leaves it, with its manifest or its stamp."""
    manifest = read_manifest(folder) if path.parent == folder else read_record(path, DatasetManifest)
    name = f"{manifest.dataset}@{manifest.version}"
    cure = _again("curate", manifest.dataset, folder) if folder.parent.parent == root / DATA else f"remove {folder.parent}"
    if manifest.parent is not None:
        parent, wanted = manifest.parent.dataset, manifest.parent.filter
        cure = f"remove {folder.parent}, and `headstart curate {parent}` with its filter, {wanted}, cuts it again"
    hashes = [_hashed(folder, lambda at: require_files(manifest, at), cure)]
    if folder.parent.parent == root / DATA:
        hashes.append(_hashed(folder, require_whole, cure))
    if path.parent != folder:  # a stamp beside it
        hashes += [_listed(root, entry, path, folder) for entry in read_entries(root) if entry.name == name]
    table, reasons, _ = read_index(folder / "episodes.tsv")
    names = [side.format(b) for b in range(len(manifest.blocks)) for side in (TRAIN, HELDOUT)]
    parts = [read_episodes(folder / one) for one in names]
    episodes = concatenate([part for part, _ in parts])
    block = np.concatenate([np.full(len(part.table.length), index // 2) for index, (part, _) in enumerate(parts)])
    side = np.concatenate(
        [np.full(len(part.table.length), "heldout" if index % 2 else "train") for index, (part, _) in enumerate(parts)]
    )
    table, row = _joined(table, episodes.table, folder)
    sides, blocks = np.full(len(table.length), "", "<U7"), blocks_of(table, manifest)
    sides[row], blocks[row] = side, block
    return Opened(
        name=name,
        play=name if "@" in folder.parent.name else manifest.dataset,
        scenario=manifest.scenario,
        state=state,
        folder=folder,
        schema=parts[0][1].observation,
        absent=parts[0][1].absent,
        table=table,
        reasons=reasons,
        side=sides,
        block=blocks,
        episodes=episodes,
        row=row,
        manifest=manifest,
        hashes=tuple(hashes),
        metrics=_metrics(folder, table),
        refused=_refused(root, folder, manifest),
    )


def _metrics(folder: Path, table: EpisodeTable) -> Mapping[str, Array] | None:
    path = folder / "metrics.tsv"
    return read_metrics(path, [name.decode() for name in table.episode_id.tolist()])[0] if path.is_file() else None


def _joined(index: EpisodeTable, there: EpisodeTable, folder: Path) -> tuple[EpisodeTable, Array]:
    """The table of the index with the behaviours of the episodes that are there, and the row of each; 0 for those that are not."""
    place = {name: row for row, name in enumerate(index.episode_id.tolist())}
    if missing := [name.decode() for name in there.episode_id.tolist() if name not in place]:
        raise InputError(f"{folder}/episodes.tsv: expected a line of every episode, found none of {missing[0]}")
    row = np.array([place[name] for name in there.episode_id.tolist()], np.int64)
    behaviour = {}
    for name, counts in there.behaviour.items():
        behaviour[name] = np.zeros(len(index.length), np.int32)
        behaviour[name][row] = counts
    columns = {field.name: getattr(index, field.name) for field in fields(EpisodeTable)}
    return EpisodeTable(**(columns | {"behaviour": behaviour})), row


def _with_rejected(found: Opened, raw: Path, dataset: str) -> Opened:
    """The same with the steps of rejected episodes too, where the recording that was curated is here."""
    if not raw.is_dir():
        return found
    hashed = _hashed(raw, require_whole, _again("capture", dataset, raw))
    found = found._replace(hashes=(hashed, *found.hashes))
    if not hashed.ok or found.accepted.all():
        return found
    episodes, schema, _ = _shards(raw)
    if schema != found.schema or episodes.table.episode_id.tolist() != found.table.episode_id.tolist():
        cure = f"`{stage_command('curate', dataset)}` curates this one"
        return found._replace(hashes=(*found.hashes, Hashed(str(raw), False, f"another recording than was curated; {cure}")))
    return found._replace(episodes=episodes, table=episodes.table, row=np.arange(len(episodes.table.length)))


def _shards(folder: Path) -> tuple[Episodes, ObservationSchema, tuple[Absent, ...]]:
    files = sorted(folder.glob("shard-*.h5"))
    if not files:
        raise InputError(
            f"{folder}: expected the shards of a recording, found none; `{stage_command('capture', folder.parent.name)}` records them"
        )
    parts = [read_episodes(file) for file in files]
    for file, (_, header) in zip(files, parts, strict=True):
        parts[0][1].observation.require_same(header.observation, str(file))
    return concatenate([episodes for episodes, _ in parts]), parts[0][1].observation, parts[0][1].absent


def blocks_of(table: EpisodeTable, manifest: DatasetManifest) -> Array:
    """[E] by the worlds of the blocks."""
    first = np.array([block.first_world for block in manifest.blocks])
    return np.maximum(np.searchsorted(np.sort(first), table.world, side="right") - 1, 0)


# --- bytes ------------------------------------------------------------------------------------------------------------


def _hashed(path: Path, check: Callable[[Path], object], cure: str) -> Hashed:
    try:
        check(path)
    except HeadstartError as error:
        return Hashed(str(path), False, f"{error}; {cure}")
    return Hashed(str(path), True, "as recorded")


def _again(stage: str, dataset: str, folder: Path) -> str:
    command = f"`{stage_command(stage, dataset)}`"
    if stage == "capture" and "." in dataset:
        return f"{command} records another draft"
    return f"remove {folder}, and {command} brings it back or makes it again"


def _require_shards(folder: Path) -> None:
    for name in listed(folder).files:
        if not (folder / name).is_file():
            raise IntegrityError(f"{folder / name}: expected a file, found none")
        require_listed(folder / name)


def _listed(root: Path, entry: Entry, path: Path, folder: Path) -> Hashed:
    problems = files_problems(root, entry, path.relative_to(root), folder.relative_to(root))
    return Hashed(f"catalogue: {entry.name}", not problems, "; ".join(problems) or "as the catalogue lists it")


def _refused(root: Path, folder: Path, manifest: DatasetManifest) -> tuple[str, ...]:
    """Gates that the verdict on this manifest does not pass; none where there is no verdict on it."""
    for path in (folder / "verdict.json", root / REPORTS / manifest.dataset / "validate/verdict.json"):
        if path.is_file():
            verdict = read_record(path, Verdict)
            same = path.parent == folder or verdict.subject.sha256 == sha256_file(folder / "manifest.json")
            if same and verdict.outcome is not Outcome.PASS:
                return tuple(f"{reason.name}: {reason.text}" for reason in verdict.reasons)
    return ()


def _version_in(folder: Path) -> str | None:
    return read_manifest(folder).version if (folder / "manifest.json").is_file() else None


def _not_here(root: Path, name: str) -> HeadstartError:
    """What a person can do to look at a dataset that is not here."""
    dataset, _, version = name.partition("@")
    entries = read_entries(root)
    listed = [entry for entry in entries if name in (entry.name, entry.dataset)]
    if not listed:
        here = [path.parent.name for path in (root / DATA).glob("*/raw")] + [
            path.parent.name for path in (root / DATA).glob("*/curated")
        ]
        versions = [entry.name for entry in entries if version and entry.dataset == dataset]
        known = versions or sorted({*here, *(entry.dataset for entry in entries)})
        if not version and (root / f"scenarios/{dataset}.yaml").is_file():
            return InputError(
                f"data/{dataset}: expected a recording, found none yet; `{stage_command('capture', dataset)}` makes it"
            )
        return UsageError(
            f"{name}: no such dataset{nearest(name, known)}; there are {', '.join(known) or 'none yet'}, and recordings are named by their path"
        )
    entry = find_entry(entries, name)
    if (root / fetched(entry.name)[0]).is_file():
        return InputError(
            f"{name}: expected it in {DATA / dataset}, found it in {fetched(entry.name)[1].parent}; name it {entry.name}"
        )
    places = whereabouts(root, [entry])[entry.name]
    if any(place.whole for place in places):
        return InputError(
            f"{entry.name}: its files are not in the workspace; `headstart catalogue fetch {entry.name}` brings them"
        )
    where = "; ".join(place.text for place in places) or "nowhere"
    return InputError(
        f"{entry.name}: its files are not on this machine, nor on a remote that answers ({where}); `dvc push` from where they are"
    )
