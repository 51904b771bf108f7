"""Where the bytes of a dataset version are now, and whether they are those of the catalogue: on disk, in DVC's cache, on its remotes."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from headstart.core.dvc_lock import content_md5
from headstart.core.errors import InputError
from headstart.dataset.catalogue import Entry, Stored
from headstart.dataset.catalogue_check import files_problems, places
from headstart.dataset.stores import CACHE, Store, Stores, files_of, name_of, opened, there

UNKNOWN = "cache and remotes: its hashes in DVC were never recorded"
KINDS = {"here": "checked in the workspace", "cache": "checked in the cache", "remote": "on a remote"}


class Place(NamedTuple):
    """One place that was looked at."""

    kind: str  # a key of KINDS
    whole: bool  # all bytes are there; those of a remote by name, others by hash
    text: str
    short: str = ""
    problems: tuple[str, ...] = ()  # in what the bytes differ
    unasked: str = ""  # why the place could not be looked at


class Asked(NamedTuple):
    """The objects of a version."""

    objects: list[str]
    complete: bool  # no list of its files was found, if not

    def text(self, present: int) -> str:
        """How many a store has, as text."""
        if not present:
            return "nothing of it"
        return f"{present} of {len(self.objects)} objects{'' if self.complete else ', without the list of its files'}"


def whereabouts(root: Path, entries: Sequence[Entry], remote: str | None = None) -> dict[str, list[Place]]:
    """Version → all places, the nearest first. Objects of a remote are looked for, not read: `headstart catalogue fetch` hashes them.

    Raises UsageError for a `remote` that is none.
    """
    found = {entry.name: [_on_disk(root, entry, path, folder) for path, folder in places(root, entry)] for entry in entries}
    try:
        with opened(root, remote) as (_, stores):
            for entry in entries:
                known = [one for one in entry.stored[::-1] if one.manifest_md5 and one.files_md5]
                found[entry.name] += _in_stores(stores, known[0]) if known else [Place("cache", False, UNKNOWN)]
    except InputError as error:
        for kept in found.values():
            kept.append(Place("cache", False, f"cache and remotes: {error}", unasked=str(error)))
    return found


def _in_stores(stores: Stores, one: Stored) -> list[Place]:
    files = files_of(stores, str(one.files_md5))
    objects = list(dict.fromkeys([str(one.manifest_md5), str(one.files_md5), *(files or {}).values()]))
    asked = Asked(objects, files is not None)
    return [_in_cache(stores.cache, asked), *(_on_remote(store, asked) for store in stores.remotes)]


def _on_disk(root: Path, entry: Entry, path: Path, folder: Path) -> Place:
    problems = tuple(files_problems(root, entry, path, folder))
    state = "differs" if problems else "as recorded"
    return Place("here", not problems, f"{folder.parent}: {state}", f"{folder.parent} {state}", problems)


def _in_cache(cache: Store, asked: Asked) -> Place:
    """Every object is hashed."""
    paths = {md5: Path(cache.odb.oid_to_path(md5)) for md5 in asked.objects}
    hashes = {md5: content_md5(path) for md5, path in paths.items() if path.is_file()}
    wrong = {md5: found for md5, found in hashes.items() if found != name_of(md5)}
    problems = tuple(
        f"{cache.said}: {paths[md5]} is corrupt: expected MD5 {name_of(md5)}, found {found}; "
        "`headstart verify --cache --repair` brings back what is recorded"
        for md5, found in wrong.items()
    )
    whole = asked.complete and len(hashes) == len(asked.objects) and not wrong
    text = f"cache: {asked.text(len(hashes))}{f', {len(wrong)} corrupt' if wrong else ''}"
    return Place(CACHE, whole, text, CACHE if whole else f"{CACHE} differs" if wrong else "", problems)


def _on_remote(store: Store, asked: Asked) -> Place:
    try:
        present = there(store, asked.objects)
    except InputError as error:
        return Place("remote", False, str(error), unasked=str(error))
    whole = asked.complete and len(present) == len(asked.objects)
    return Place("remote", whole, f"{store.said}: {asked.text(len(present))}", f"remote {store.name}" if whole else "")
