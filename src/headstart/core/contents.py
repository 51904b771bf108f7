"""What a folder that a stage leaves must contain (`contents/1`): contents.json lists every file of it with hash and size.

It is written when the folder is put in place, and its text follows from the files alone. So whoever reads the folder later finds a file that is
missing, one that was added, and any byte that changed, those of contents.json included.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from headstart.core.errors import HeadstartError, InputError, IntegrityError
from headstart.core.files import fresh_directory, parse_record, read_bytes, sha256_file, write_record
from headstart.core.lock import remove_unfinished
from headstart.core.record import Count, Record, RelativePath, Sha256
from headstart.core.strict_json import MAX_BYTES, pretty_json, sha256_json

CONTENTS = "contents.json"


class StoredFile(Record):
    """One file."""

    sha256: Sha256
    bytes: Count


class Contents(Record):
    """All files of a folder but this one."""

    schema_id: Literal["contents/1"] = "contents/1"
    folder: RelativePath  # its place in the project: a copy in the place of another folder is not that folder
    files: dict[RelativePath, StoredFile]  # by path below the folder


@contextmanager
def sealed_directory(path: Path) -> Iterator[Path]:
    """As `fresh_directory`, with contents.json. Temporary files that a killed writer left are removed."""
    with fresh_directory(path) as folder:
        yield folder
        remove_unfinished([folder])
        write_record(folder / CONTENTS, Contents(folder=_place(path), files=_files_of(folder)))


def require_whole(folder: Path) -> Contents:
    """What contents.json lists. IntegrityError names the first file that is missing, additional or other than listed, or the folder of which
    this is a copy.
    """
    contents, found = listed(folder), _files_of(folder)
    for name in sorted(contents.files.keys() | found.keys()):
        _require_same(folder / name, contents.files.get(name), found.get(name))
    own = Path(contents.folder).parts
    if folder.absolute().parts[-len(own) :] != own:
        raise IntegrityError(f"{folder}: expected the folder itself, found a copy of {contents.folder}")
    return contents


def require_listed(path: Path) -> None:
    """As `require_whole`, of one file beside contents.json."""
    _require_same(path, listed(path.parent).files.get(path.name), stored_file(path))


def require_unchanged(path: Path) -> None:
    """As `require_listed`, where both are there; of a file without a contents.json beside it nothing is known."""
    if path.is_file() and (path.parent / CONTENTS).is_file():
        require_listed(path)


@contextmanager
def blamed_on_bytes(path: Path) -> Iterator[None]:
    """For the time in which a file is read: where that fails, IntegrityError if a contents.json above it lists other bytes than it has."""
    try:
        yield
    except (InputError, IntegrityError) as error:
        folder = next((above for above in (path.parent, path.parent.parent) if (above / CONTENTS).is_file()), None)
        if folder is None:
            raise
        recorded = listed(folder).files.get(path.relative_to(folder).as_posix())
        try:
            _require_same(path, recorded, stored_file(path) if path.is_file() else None)
        except IntegrityError as differs:
            raise IntegrityError(f"{differs}; `headstart verify --repair` brings back what dvc.lock records") from error
        raise


def listed(folder: Path) -> Contents:
    """contents.json of a folder, whose files are not looked at. IntegrityError unless its text is exactly what headstart writes."""
    path = folder / CONTENTS
    if not path.is_file():
        raise IntegrityError(f"{folder}: expected {CONTENTS}, which lists the files of the folder, found none")
    try:
        data = read_bytes(path, MAX_BYTES)
        contents = parse_record(data, Contents, str(path))
    except HeadstartError as error:
        raise IntegrityError(str(error)) from None
    if data != pretty_json(contents.model_dump(mode="json")):
        raise IntegrityError(f"{path}: expected the spelling with which headstart writes it, found another")
    return contents


def sealed_below(folder: Path) -> tuple[list[Path], list[Path]]:
    """The folder itself if it has a contents.json, else all folders below it that have one; and the files that belong to none of these."""
    if (folder / CONTENTS).is_file():
        return [folder], []
    sealed = sorted(path.parent for path in folder.rglob(CONTENTS))
    files = (path for path in sorted(folder.rglob("*")) if path.is_symlink() or not path.is_dir())
    return sealed, [path for path in files if not any(path.is_relative_to(root) for root in sealed)]


def tree_sha256(folder: Path, sealed: Iterable[Path]) -> str:
    """What `sha256_tree` gives where all files of `folder` belong to the `sealed` ones in it; their files are not looked at."""
    files: dict[str, str] = {}
    for root in sealed:
        below = root.relative_to(folder)
        hashes = {name: file.sha256 for name, file in listed(root).files.items()} | {CONTENTS: sha256_file(root / CONTENTS)}
        files |= {(below / name).as_posix(): sha256 for name, sha256 in hashes.items()}
    return sha256_json(files)


def stored_file(path: Path) -> StoredFile:
    """Hash and size of a file on disk."""
    return StoredFile(sha256=sha256_file(path), bytes=path.stat().st_size)


def _place(folder: Path) -> str:
    """Below the project, which is the working directory."""
    here, whole = Path.cwd(), folder.absolute()
    return whole.relative_to(here).as_posix() if whole.is_relative_to(here) else folder.name


def _require_same(path: Path, recorded: StoredFile | None, found: StoredFile | None) -> None:
    if recorded is None:
        raise IntegrityError(f"{path}: expected no such file, since {CONTENTS} does not list it, found one")
    if found is None:
        raise IntegrityError(f"{path}: expected a file of {recorded.bytes} bytes, found none")
    if found != recorded:
        raise IntegrityError(
            f"{path}: expected {recorded.bytes} bytes with hash {recorded.sha256}, found {found.bytes} with {found.sha256}"
        )


def _files_of(folder: Path) -> dict[str, StoredFile]:
    """All files below a folder but its contents.json. InputError for anything that is neither a plain file nor a folder."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise InputError(f"{path}: expected plain files and directories, got a link or a special file")
        if path.is_file() and path != folder / CONTENTS:
            files[path.relative_to(folder).as_posix()] = stored_file(path)
    return files
