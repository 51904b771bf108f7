"""The objects that DVC keeps in its cache and in remotes: which are needed, for what, and whether each has the bytes of its name.

DVC takes an object for good if it is there and read-only, and hashes none again: neither `dvc checkout` nor `dvc status` finds a flipped
byte. Here every object is read.
"""

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from headstart.config.history import HISTORY, read_history
from headstart.core.dvc_lock import LOCK, OBJECT, file_md5s, listing_md5, parsed, scan_lock
from headstart.core.git import committed
from headstart.dataset.catalogue import checked_out, read_entries
from headstart.dataset.stores import CACHE, Store, Stores, files_of, name_of, words
from headstart.release.faults import RUNS, Fault, Findings
from headstart.release.outputs import Output, kept_outputs, outputs_of
from headstart.release.standing import fold
from headstart.runs.checkpoint import CARD, WEIGHTS

CHUNK, READERS = 1 << 20, 8  # bytes at a time, objects at a time


class Needed(NamedTuple):
    """What an object is."""

    what: str  # a path, and of which version if not that of dvc.lock
    output: str
    stage: str | None  # that makes it again; None: only an earlier commit could
    version: str | None = None  # of the catalogue: it may never have been sent to a remote


def needed_now(root: Path, stores: Stores) -> dict[str, Needed]:
    """MD5 → what it is, of every object that the recorded outputs need. The stores are asked for the listings of directories."""
    needs: dict[str, Needed] = {}
    for output in kept_outputs(root):
        _add(needs, output, _files(root, output, stores), output.stage)
    return needs


def needed_for_catalogue(root: Path, stores: Stores) -> dict[str, Needed]:
    """The same of every version of the catalogue of which DVC's hashes are known."""
    needs: dict[str, Needed] = {}
    for entry in read_entries(root):
        for stored in entry.stored:
            for path, md5 in zip(checked_out(entry.dataset), (stored.manifest_md5, stored.files_md5), strict=True):
                if md5 is not None:
                    output = Output(path.as_posix(), md5, "")
                    _add(needs, output, _files(root, output, stores), None, f" of {entry.name}", entry.name)
    return needs


def needed_for_releases(root: Path, stores: Stores) -> dict[str, Needed]:
    """The same of the checkpoints of all releases, at the revisions from which `headstart release rollback` takes them."""
    needs: dict[str, Needed] = {}
    for standing in fold(read_history(root / HISTORY)).values():
        for release in standing.releases.values():
            data = committed(root, LOCK, release.git_revision)
            for output in outputs_of(scan_lock(data)) if data else ():
                if Path(release.checkpoint).is_relative_to(output.path):
                    files = _files(root, output, stores)
                    wanted = {(Path(release.checkpoint) / name).relative_to(output.path).as_posix() for name in (WEIGHTS, CARD)}
                    some = {name: files[name] for name in wanted & files.keys()}
                    _add(needs, output, some, None, f" of release {release.id}")
    return needs


def _files(root: Path, output: Output, stores: Stores) -> dict[str, str]:
    """The files of a directory: from its listing, or from the workspace if that has the same files; none of a file."""
    if not output.md5.endswith(".dir"):
        return {}
    found = files_of(stores, output.md5)
    if found is None and (folder := root / output.path).is_dir():
        here = file_md5s(folder)
        found = here if listing_md5(here) == output.md5 else None
    return found or {}


def _add(
    needs: dict[str, Needed], output: Output, files: dict[str, str], stage: str | None, of: str = "", version: str | None = None
) -> None:
    what = f"the listing of {output.path}" if output.md5.endswith(".dir") else output.path
    needs.setdefault(output.md5, Needed(what + of, output.path, stage, version))
    for name, md5 in files.items():
        needs.setdefault(md5, Needed(f"{output.path}/{name}{of}", output.path, stage, version))


# --- checks -------------------------------------------------------------------------------------------------------------


def store_findings(store: Store, needs: dict[str, Needed]) -> Findings:
    """Every needed object of a store, and every other one that it has: read and hashed."""
    if store.odb is None:
        return Findings(0, (Fault(f"{store.said}: expected to reach it: {store.fault}"),))
    try:
        there = set(_all_objects(store))
    except Exception as error:  # of the library of some storage: what it raises is its own
        return Findings(0, (Fault(f"{store.said}: expected to list its objects: {words(error)}"),))
    found = hashes(store, sorted(needs.keys() | there))
    never = _never_sent(needs, found)
    faults = [
        fault
        for md5, was in found.items()
        if (needed := needs.get(md5)) is None or needed.version not in never
        if (fault := _fault(store, md5, was, needs))
    ]
    faults.sort(key=lambda fault: (fault.output or "", fault.text))
    if unread := [(md5, was) for md5, was in found.items() if isinstance(was, Exception)]:
        first, more = _name(store, unread[0][0], needs), f", as {len(unread) - 1} more" if len(unread) > 1 else ""
        faults.append(Fault(f"{first}: expected an object that can be read{more}: {words(unread[0][1])}"))
    checked = sum(isinstance(was, str) for was in found.values())
    return Findings(checked, tuple(faults), f"nothing of {_few(sorted(never))}" if never else "")


def _few(versions: list[str]) -> str:
    if len(versions) < 3:
        return ", ".join(versions)
    return f"{len(versions)} dataset versions (`headstart catalogue check` names them)"


def _never_sent(needs: dict[str, Needed], found: dict[str, str | Exception | None]) -> set[str]:
    """Versions of the catalogue of which the store has nothing, and that are not those of dvc.lock."""
    versions = {needed.version for needed in needs.values() if needed.version}
    there = {needed.version for md5, needed in needs.items() if found[md5] is not None}
    return versions - there


def _fault(store: Store, md5: str, was: str | Exception | None, needs: dict[str, Needed]) -> Fault | None:
    what, needed = _name(store, md5, needs), needs.get(md5)
    flags = "--cache" if store.name == CACHE else f"--remote {store.name}"
    cure = f"`headstart verify {flags} --repair` brings back what is recorded"
    stage, output = (needed.stage, needed.output) if needed else (None, None)
    if was is None:
        return Fault(f"{what}: expected an object, found none", cure, store.name, md5, md5, output=output, stage=stage)
    if isinstance(was, str) and was != name_of(md5):
        return Fault(f"{what}: expected the MD5 of its name, found {was}", cure, store.name, md5, md5, was, stage=stage)
    return None


def _name(store: Store, md5: str, needs: dict[str, Needed]) -> str:
    """What an object is, and where."""
    what = needs[md5].what if md5 in needs else "an object that dvc.lock does not need"
    return f"{what} in {place_of(store)}: {store.odb.oid_to_path(md5)}"


def place_of(store: Store) -> str:
    """A store as a sentence names it, without its address, which stands beside it."""
    return "the cache" if store.name == CACHE else f"remote {store.name}"


def _all_objects(store: Store) -> Iterator[str]:
    root = store.odb.fs.parts(store.odb.path)
    for path in store.odb.fs.find(store.odb.path) if store.odb.fs.exists(store.odb.path) else ():
        if OBJECT.fullmatch(md5 := "".join(store.odb.fs.parts(path)[len(root) :])):
            yield md5


def hashes(store: Store, objects: Iterable[str]) -> dict[str, str | Exception | None]:
    """MD5 of what each object holds now; None: it is not there; an error: it could not be read."""
    from rich.console import Console
    from rich.progress import track

    objects, console = list(objects), Console(stderr=True)
    with ThreadPoolExecutor(READERS) as pool:
        read = pool.map(lambda md5: hash_of(store, md5), objects)
        shown = track(read, place_of(store), len(objects), console=console, transient=True, disable=not console.is_terminal)
        return dict(zip(objects, shown, strict=True))


def hash_of(store: Store, md5: str) -> str | Exception | None:
    """MD5 of what an object holds now; None: it is not there; an error: it could not be read."""
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with store.odb.fs.open(store.odb.oid_to_path(md5), "rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    except FileNotFoundError:
        return None
    except Exception as error:  # of the library of some storage: what it raises is its own
        return error
    return digest.hexdigest()


# --- runs that DVC remembers --------------------------------------------------------------------------------------------


def remembered(repo: Any, name: str, entry: dict[str, Any]) -> bool:
    """Whether an entry of dvc.lock is a run that DVC remembers, or, where it remembers none, what the stage would record now."""
    try:
        if not entry:  # the stage is gone from dvc.lock: right, if it is gone from dvc.yaml
            return not _stages_named(repo, name)
        path = Path(repo.stage_cache.cache_dir, *_run_names(entry))
        if path.is_file() and parsed(path.read_bytes(), path) == entry:
            return True
        (stage,) = _stages_named(repo, name)
        same = not stage.changed_stage() and not any(one.status() for one in (*stage.deps, *stage.outs))
        return same and all(_has_its_size(repo, about) for about in _paths_of(entry))
    except Exception:  # of DVC, for an entry that it cannot read
        return False


def _stages_named(repo: Any, name: str) -> list[Any]:
    return [stage for stage in repo.index.stages if getattr(stage, "name", None) == name]


def run_findings(repo: Any) -> Findings:
    """The runs that DVC remembers: the name of each file is a hash of its content. DVC itself takes any that it can read."""
    checked, faults = 0, []
    for path in sorted(Path(repo.stage_cache.cache_dir).glob("??/*/*")):
        checked += 1
        try:
            whole = path.parts[-3:] == _run_names(parsed(path.read_bytes(), path))
        except Exception:  # damaged YAML may be anything
            whole = False
        if not whole:
            text = f"a run that DVC remembers: {path}: expected the content of its name, found another"
            cure = "`headstart verify --cache --repair` moves it away; DVC then runs the stage again if it needs it"
            faults.append(Fault(text, cure, RUNS, str(path)))
    return Findings(checked, tuple(faults))


def _run_names(entry: dict[str, Any]) -> tuple[str, str, str]:
    """The folders and the name of the file in which DVC remembers a run: hashes of what went in and of what came out."""
    from dvc.utils import dict_sha256

    outputs = [out["path"] for out in entry.get("outs", ())]
    key, value = (dict_sha256(content, exclude=["size", "nfiles"]) for content in (entry | {"outs": outputs}, entry))
    return key[:2], key, value


def _paths_of(entry: dict[str, Any]) -> list[dict[str, Any]]:
    return [*entry.get("deps", ()), *entry.get("outs", ())]


def _has_its_size(repo: Any, about: dict[str, Any]) -> bool:
    """Whether a file or directory has the size and the number of files that dvc.lock records; status() does not look at these."""
    path = Path(repo.root_dir, about["path"])
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    recorded = about.get("size"), about.get("nfiles")
    return recorded == (sum(file.stat().st_size for file in files), len(files) if path.is_dir() else None)
