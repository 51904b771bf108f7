"""Where the episodes of a dataset lie, and one of them: by its number in the recording or by its name."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from headstart.config.project import DATA
from headstart.config.scenario import Scenario, load_scenario
from headstart.config.stage_command import stage_command
from headstart.core.arrays import Array
from headstart.core.errors import HeadstartError, InputError, IntegrityError, UsageError, nearest, shown
from headstart.dataset.catalogue import find_entry, read_entries
from headstart.dataset.catalogue_check import places
from headstart.dataset.drafts import DRAFT, draft_at, draft_folder, is_draft
from headstart.dataset.episodes import Episodes, Header, select
from headstart.dataset.episodes_file import read_episodes
from headstart.dataset.index import Row, read_index
from headstart.dataset.manifest import DatasetManifest
from headstart.dataset.slices import curated_folder, slice_at
from headstart.dataset.whereabouts import whereabouts
from headstart.runs.replay import same_episodes

ID_DIGITS, LEAST_DIGITS = 16, 4


class Opened(NamedTuple):
    """A dataset whose files are here."""

    name: str  # as it was asked for
    scenario: Scenario
    files: tuple[Path, ...]  # of episodes, in the order of the recording where they are raw
    raw: bool  # all that was recorded, else what was accepted
    rows: tuple[Row, ...]  # of the index; empty: there is none
    own: bool  # the dataset of this folder, recorded with today's settings
    parent: str | None = None  # of a slice, which has not all agents of a world: the dataset from which it was cut


class Found(NamedTuple):
    """One episode, in the file that holds it."""

    dataset: Opened
    file: Path
    episodes: Episodes  # of that file
    header: Header
    e: int  # in the table
    number: int | None  # in the index; None: there is none
    row: Row | None

    @property
    def name(self) -> str:
        return str(self.episodes.table.episode_id[self.e].decode("ascii", "replace"))

    @property
    def title(self) -> str:
        """ "episode 12, agent 3"."""
        number = self.name if self.number is None else self.number
        agent = self.episodes.table.agent[self.e]
        return f"episode {number}" + (f", agent {agent}" if self.episodes.table.agent.any() else "")


def open_dataset(name: str) -> Opened:
    """The dataset of a scenario as it lies in data/, a draft there or by its path, a slice, or a version of the catalogue that is here."""
    if "/" in name and (Path(name) / DRAFT).is_file():
        return _draft(name, Path(name))
    if found := slice_at(Path(), name):
        return _slice(name, *found)
    if "@" in name:
        return _version(name)
    if is_draft(name) and not (DATA / name / DRAFT).is_file() and any(entry.dataset == name for entry in read_entries(Path())):
        return _version(name)
    if is_draft(name):
        return _draft(name, draft_folder(Path(), name))
    known = sorted(path.stem for path in Path("scenarios").glob("*.yaml"))
    if name not in known:
        raise UsageError(
            f"{shown(name)}: no scenario and no dataset{nearest(name, known)}; there are {', '.join(known) or 'none'}"
        )
    scenario, folder = load_scenario(name), DATA / name
    raw, curated = (tuple(sorted((folder / of).glob(pattern))) for of, pattern in (("raw", "*.h5"), ("curated", "block-*/*.h5")))
    if not raw and not curated:
        versions = [entry.name for entry in read_entries(Path()) if entry.dataset == name]
        more = f", `headstart catalogue fetch {versions[-1]}` brings a recorded version" if versions else ""
        cure = f"`{stage_command('capture', name)}` records them{more}"
        raise InputError(f"{folder}: expected recorded episodes in raw/ or curated/, found none; {cure}")
    return Opened(name, scenario, raw or curated, bool(raw), _index(folder / "curated"), True)


def _version(name: str) -> Opened:
    entry = find_entry(read_entries(Path()), name)
    here = places(Path(), entry)
    if not here:
        found = [place for place in whereabouts(Path(), [entry])[entry.name] if place.whole]
        if found:
            raise InputError(
                f"{entry.name}: its files are not here; `headstart catalogue fetch {entry.name}` brings them from {found[0].short}"
            )
        raise InputError(
            f"{entry.name}: its files are nowhere that could be asked; `headstart catalogue show {entry.name}` tells more"
        )
    _, folder = here[0]
    return Opened(
        entry.name, load_scenario(entry.scenario), tuple(sorted(folder.glob("block-*/*.h5"))), False, _index(folder), False
    )


def _draft(name: str, folder: Path) -> Opened:
    task = draft_at(Path(), folder)[1]
    return Opened(name, task, tuple(sorted((folder / "raw").glob("*.h5"))), True, _index(folder / "curated"), False)


def _slice(name: str, folder: Path, manifest: DatasetManifest) -> Opened:
    files, parent = tuple(sorted(folder.glob("block-*/*.h5"))), manifest.parent
    return Opened(name, load_scenario(manifest.scenario), files, False, _index(folder), False, parent.dataset if parent else None)


def in_parent(found: Found) -> Found:
    """An episode of a slice in the file of its parent, which also has the other agents of its world; itself where the parent is not here,
    or has it otherwise.
    """
    if found.dataset.parent is None:
        return found
    try:
        name, here = found.dataset.parent, curated_folder(Path(), found.dataset.parent)[0]
        if here == DATA / name.partition("@")[0] / "curated":
            name = name.partition("@")[0]
        theirs = find_episode(open_dataset(name), found.name)
    except HeadstartError:
        return found
    mine, other = (select(one.episodes, np.arange(len(one.episodes.table.length)) == one.e) for one in (found, theirs))
    return (
        found._replace(episodes=theirs.episodes, header=theirs.header, e=theirs.e) if same_episodes(mine, other).all() else found
    )


def _index(folder: Path) -> tuple[Row, ...]:
    path = folder / "episodes.tsv"
    return tuple(read_index(path)) if path.is_file() else ()


def find_episode(dataset: Opened, which: str) -> Found:
    """An episode by its number in the index, counted from 0, or by its name of 16 hex digits or the first of them."""
    number, row = _row(dataset, which)
    for file in _likely(dataset, row, number):
        episodes, header = read_episodes(file)
        names = [name.decode("ascii", "replace") for name in episodes.table.episode_id]
        if row is None and number is not None:
            if number < len(names):
                return Found(dataset, file, episodes, header, number, None, None)
            number -= len(names)
            continue
        wanted = row.episode_id if row is not None else which.lower()
        if mine := [e for e, name in enumerate(names) if name.startswith(wanted)]:
            return Found(dataset, file, episodes, header, mine[0], number, row)
    if row is not None and not row.accepted and not dataset.raw:
        cure = f"`{stage_command('capture', dataset.name.partition('@')[0])}` records all of them"
        if dataset.parent is not None:
            cure = f"{dataset.parent}, of which this is a slice, may have it: `headstart play {dataset.parent} {which}`"
        raise InputError(
            f"{dataset.name}: episode {which} was rejected ({row.reasons}), and only accepted episodes are here; {cure}"
        )
    if row is not None:
        raise IntegrityError(
            f"{dataset.name}: expected episode {which} of its index in one of {len(dataset.files)} files, found it in none; "
            "`headstart verify --repair` brings back what is recorded"
        )
    raise UsageError(f"{dataset.name}: expected an episode that its files hold, found no {shown(which)}")


def _row(dataset: Opened, which: str) -> tuple[int | None, Row | None]:
    """Number and row of the index; None of what is not known."""
    rows = dataset.rows
    if re.fullmatch(r"\d{1,9}", which):
        if rows and int(which) >= len(rows):
            raise UsageError(f"{dataset.name}: expected an episode from 0 to {len(rows) - 1}, got {which}")
        return int(which), rows[int(which)] if rows else None
    if not re.fullmatch(rf"[0-9a-fA-F]{{{LEAST_DIGITS},{ID_DIGITS}}}", which):
        raise UsageError(
            f"episode: expected its number, as 12, or its name, as 0a1b2c3d4e5f6071 or the first of its digits, got {shown(which)}"
        )
    found = [(n, row) for n, row in enumerate(rows) if row.episode_id.startswith(which.lower())]
    if rows and len(found) != 1:
        raise UsageError(
            f"{dataset.name}: expected the name of one episode, {len(found) or 'none'} of {len(rows)} begin with {which.lower()}"
        )
    return found[0] if found else (None, None)


def _likely(dataset: Opened, row: Row | None, number: int | None) -> Iterator[Path]:
    """The files, first the one that probably has the episode: recordings are in the order of their worlds."""
    files = list(dataset.files)
    if row is not None and dataset.rows and number is not None:
        if dataset.raw:
            files.insert(0, files.pop(number * len(files) // len(dataset.rows)))
        else:
            files = [file for file in files if file.stem == row.split] + [file for file in files if file.stem != row.split]
            worlds = sorted({one.world for one in dataset.rows})
            blocks = [file for file in files if file.stem == row.split]
            if blocks:
                files.insert(0, files.pop(files.index(blocks[worlds.index(row.world) * len(blocks) // len(worlds)])))
    yield from files


def of_world(episodes: Episodes, e: int) -> Array:
    """[E] bool: the episodes of the same world."""
    return np.asarray(episodes.table.world == episodes.table.world[e])
