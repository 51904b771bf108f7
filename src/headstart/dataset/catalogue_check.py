"""The catalogue against what it speaks of: itself at HEAD, dvc.lock, and the files of the versions that are here."""

from pathlib import Path

from headstart.config.project import CATALOGUE
from headstart.core.dvc_lock import LOCK, content_md5, locks_in_git, read_lock, scan_lock
from headstart.core.errors import HeadstartError
from headstart.core.files import read_record, sha256_file
from headstart.core.git import tracked
from headstart.dataset.catalogue import (
    MARKS,
    Entry,
    checked_out,
    committed_catalogue,
    fetched,
    follows,
    read_entries,
    read_marks,
)
from headstart.dataset.manifest import DatasetManifest, require_files


def catalogue_problems(root: Path) -> list[str]:
    """Everything in which the catalogue differs from HEAD, from dvc.lock, and from the files of the versions that are here."""
    entries = read_entries(root)
    found = [*lost_facts(root, entries), *unlisted(root, entries)]
    for entry in entries:
        for path, folder in places(root, entry):
            found += files_problems(root, entry, path, folder)
    names = {entry.name for entry in entries}
    found += [f"{MARKS}: {name}: expected a version of the catalogue" for name in read_marks(root) if name not in names]
    return found


def lost_facts(root: Path, entries: tuple[Entry, ...]) -> list[str]:
    """Entries that HEAD holds and that are gone or changed."""
    known, found = {entry.name: entry for entry in entries}, []
    for path in tracked(root, CATALOGUE.as_posix()):
        before = committed_catalogue(root, Path(path))
        for old in before.entries if before else ():
            new = known.get(old.name)
            if new is None or not follows(old, new):
                made = f"`dvc repro catalogue@{old.scenario}` or " if old.dataset == old.scenario else ""
                cure = f"{made}`git checkout {path}` brings it back"
                found.append(
                    f"{path}: {old.name}: expected the entry that HEAD holds, found {'another' if new else 'none'}; {cure}"
                )
    return found


def unlisted(root: Path, entries: tuple[Entry, ...]) -> list[str]:
    """Validated datasets of dvc.lock that the catalogue lacks."""
    known = {stored.manifest_md5 for entry in entries for stored in entry.stored}
    return [
        f"{LOCK}: data/{dataset}/validated.json with MD5 {md5}: expected an entry of the catalogue, found none; "
        f"`dvc repro catalogue@{dataset}` adds it"
        for stage in read_lock(root)
        for dataset, md5 in validated_outs(stage.outs).items()
        if md5 not in known
    ]


def unlisted_before(root: Path, entries: tuple[Entry, ...]) -> list[str]:
    """The same of every version of dvc.lock in the history of HEAD: dataset, MD5 of its manifest, and the first commit that held it."""
    known = {stored.manifest_md5 for entry in entries for stored in entry.stored}
    first: dict[tuple[str, str], str] = {}
    for revision, data in locks_in_git(root):
        for stage in scan_lock(data):
            first |= {(dataset, md5): revision for dataset, md5 in validated_outs(stage.outs).items() if md5 not in known}
    return [
        f"{revision[:12]}:{LOCK}: data/{dataset}/validated.json with MD5 {md5} has no entry"
        for (dataset, md5), revision in first.items()
    ]


def validated_outs(outs: dict[str, str]) -> dict[str, str]:
    """Dataset → MD5 of its manifest, of the outputs of a stage."""
    found = {Path(path).parent.name: (Path(path), md5) for path, md5 in outs.items()}
    return {dataset: md5 for dataset, (path, md5) in found.items() if path == checked_out(dataset)[0]}


def places(root: Path, entry: Entry) -> list[tuple[Path, Path]]:
    """Where a version is on disk: its manifest and its folder, below the root; checked out, fetched, both or neither."""
    known = {stored.manifest_sha256 for stored in entry.stored}
    here, beside = checked_out(entry.dataset), fetched(entry.name)
    found = [beside] if (root / beside[0]).is_file() else []
    path = root / here[0]
    if path.is_file() and (sha256_file(path) in known or _version(path) == entry.version):
        found.insert(0, here)
    return found


def _version(path: Path) -> str | None:
    """The version that a manifest says; None of one that is not `dataset/3`, which `headstart verify` compares with dvc.lock."""
    try:
        return read_record(path, DatasetManifest).version
    except HeadstartError:
        return None


def files_problems(root: Path, entry: Entry, path: Path, folder: Path) -> list[str]:
    """In what the manifest and the files of a version differ from its entry; all files are hashed."""
    sha256 = sha256_file(root / path)
    known = {stored.manifest_sha256 for stored in entry.stored}
    if sha256 not in known:
        return [f"{entry.name}: expected {root / path} with hash {' or '.join(sorted(known))}, found {sha256}"]
    if _version(root / path):  # an older manifest has another form; what is stored under it has a hash all the same
        try:
            require_files(read_record(root / path, DatasetManifest), root / folder)
        except HeadstartError as error:
            return [f"{entry.name}: {error}"]
    listings = {stored.files_md5 for stored in entry.stored if stored.manifest_sha256 == sha256}
    if None not in listings and (md5 := content_md5(root / folder)) not in listings:
        return [f"{entry.name}: expected {root / folder} with MD5 {' or '.join(map(str, listings))}, found {md5}"]
    return []
