"""Atomic files and directories, which exist completely or not at all; hashes; and records as strict JSON."""

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISREG
from typing import NoReturn, TypeVar

from pydantic import ValidationError

from headstart.core.errors import InputError, shown
from headstart.core.exchange import exchange
from headstart.core.record import Record
from headstart.core.strict_json import MAX_BYTES, canonical_json, parse_json, pretty_json, sha256_json

__all__ = [
    "fresh_directory", "fresh_file", "inside", "make_directory", "parse_record", "problems", "read_bytes",
    "read_record", "require_plain", "sha256_bytes", "sha256_file", "sha256_json", "sha256_tree", "sync_directory",
    "write_bytes", "write_record",
]  # fmt: skip

AnyRecord = TypeVar("AnyRecord", bound=Record)


def sha256_bytes(data: bytes) -> str:
    """SHA-256 of `data` as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes. Raises InputError if it cannot be read."""
    try:
        require_plain(path)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: expected a readable file: {error.strerror}") from None


def sha256_tree(directory: Path, pattern: str = "*") -> str:
    """SHA-256 over the relative paths and contents of the files below `directory` whose names match; empty directories do not count.

    Raises InputError if `directory` is not a directory, or contains a symbolic link, whose target the hash would not cover.
    """
    if not directory.is_dir():
        raise InputError(f"{directory}: expected a directory")
    files = {}
    for path in directory.rglob(pattern):
        if path.is_symlink():
            raise InputError(f"{path}: expected plain files and directories, got a symbolic link")
        if path.is_file():
            files[path.relative_to(directory).as_posix()] = sha256_file(path)
    return sha256_json(files)


def write_bytes(path: Path, data: bytes) -> None:
    """Replace `path` by `data`, atomically: after a crash at any moment the file contains either the old or the new bytes."""
    with fresh_file(path) as temporary:
        temporary.write_bytes(data)


@contextmanager
def fresh_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same directory; on success fsync it and rename it to `path`, on failure remove it.

    Raises InputError for a folder, a pipe or a device, which is not replaced. An OSError names `path`, not the temporary one.
    """
    if path.exists():
        require_plain(path)
    make_directory(path.parent)
    temporary = _sibling(path)
    try:
        yield temporary
        _fsync(temporary)
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        _raise_about(error, temporary, path)
    sync_directory(path.parent)


@contextmanager
def fresh_directory(path: Path) -> Iterator[Path]:
    """Yield a new empty sibling directory; on success fsync it and replace `path` by it, on failure remove it.

    At every moment `path` holds the old directory or the new one, whole: the kernel exchanges them. A process that is killed leaves hidden
    siblings `.<name>.tmp-*`, which nothing reads. Raises InputError if `path` exists and is not a directory.
    """
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise InputError(f"{path}: expected a directory or nothing, got something else")
    make_directory(path.parent)
    temporary = _sibling(path)
    temporary.mkdir()
    try:
        yield temporary
        _fsync_tree(temporary)
        had_old = path.exists()
        if had_old:
            exchange(temporary, path)  # what was old has the temporary name now
        else:
            os.rename(temporary, path)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        _raise_about(error, temporary, path)
    sync_directory(path.parent)
    if had_old:
        shutil.rmtree(temporary)


def _raise_about(error: BaseException, temporary: Path, path: Path) -> NoReturn:
    """Raise an error again; one of the system on the temporary path, or on none, is one on `path`, which the user knows."""
    if isinstance(error, OSError) and error.errno and str(error.filename or temporary).startswith(str(temporary)):
        raise OSError(error.errno, error.strerror, str(path)) from error
    raise error


def make_directory(path: Path) -> None:
    """Make a directory and those above it, each on disk in its parent."""
    if path.is_dir() or path == path.parent:
        return
    make_directory(path.parent)
    path.mkdir(exist_ok=True)
    sync_directory(path.parent)


def write_record(path: Path, record: Record) -> None:
    """Write a record as pretty, sorted, newline-terminated JSON, atomically. Equal records give equal bytes."""
    data = pretty_json(record.model_dump(mode="json"), str(path))
    parse_record(data, type(record), str(path))
    write_bytes(path, data)


def read_record(path: Path, model: type[AnyRecord], made_by: str | None = None) -> AnyRecord:
    """Read a record from strict JSON.

    Raises InputError, which names the file, the field, what was expected and what was found. `made_by` is the command that writes the
    file; if the file is missing, the message tells the user to run it.
    """
    return parse_record(read_bytes(path, MAX_BYTES, made_by), model, str(path))


def parse_record(data: bytes, model: type[AnyRecord], where: str) -> AnyRecord:
    """A record from the bytes of strict JSON; InputError begins with `where` and names the offending fields."""
    value = parse_json(data, where)
    if "schema_id" in model.model_fields:
        expected = model.model_fields["schema_id"].default
        if not isinstance(value, dict) or value.get("schema_id") != expected:
            got = value.get("schema_id") if isinstance(value, dict) else value
            raise InputError(f"{where}: expected schema {expected!r}, got {shown(got)}; another version of headstart wrote it")
    try:
        return model.model_validate_json(canonical_json(value, where), strict=True)
    except ValidationError as error:
        raise InputError(f"{where}: {problems(error)}") from None


def read_bytes(path: Path, max_bytes: int, made_by: str | None = None) -> bytes:
    """All bytes of a file of at most `max_bytes`. Raises InputError if it is missing, unreadable or larger."""
    try:
        require_plain(path)
        with path.open("rb") as file:
            data = file.read(min(max_bytes, os.fstat(file.fileno()).st_size) + 1)  # as many bytes are allocated
    except FileNotFoundError:
        hint = f"; `{made_by}` makes it" if made_by else ""
        raise InputError(f"{path}: expected a file, found none{hint}") from None
    except OSError as error:
        raise InputError(f"{path}: expected a readable file: {error.strerror}") from None
    if len(data) > max_bytes:
        raise InputError(f"{path}: expected at most {max_bytes} bytes, got more")
    return data


def require_plain(path: Path) -> None:
    """InputError for a pipe, a socket or a device, which could be read for ever, and for a folder; OSError where nothing is there."""
    if not S_ISREG(path.stat().st_mode):
        raise InputError(f"{path}: expected a file, got {'a folder' if path.is_dir() else 'a pipe or a device'}")


def inside(root: Path, relative: str) -> Path:
    """The path `relative` below `root`. Raises InputError if it leaves `root`: by "..", as an absolute path, by a link."""
    path = root / relative
    try:
        is_inside = path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError, ValueError):  # a link to itself, a name that is too long, a zero byte
        is_inside = False
    if not is_inside:
        raise InputError(f"{shown(relative)}: expected a path inside {root}")
    return path


def problems(error: ValidationError) -> str:
    """The validation errors of pydantic in one line: the first three fields, with what was expected and what was found, then every cure once."""
    lines, cures = [], dict[str, None]()
    for problem in error.errors(include_url=False)[:3]:
        field = ".".join(str(part) for part in problem["loc"]) or "the record"
        got = "nothing" if problem["type"] == "missing" else shown(problem["input"])
        text, _, cure = problem["msg"].removeprefix("Value error, ").partition("; ")
        lines.append(f"field {field}: {text if ', got ' in text else f'{text}, got {got}'}")
        cures |= {cure: None} if cure else {}
    more = error.error_count() - len(lines)
    return "; ".join([*lines, *([f"and {more} more"] if more > 0 else []), *cures])


def _sibling(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp-{secrets.token_hex(6)}")


def sync_directory(path: Path) -> None:
    """Bring to disk which names a directory holds: a file that was made, renamed or removed there is so after a crash, too."""
    _fsync(path)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fsync_tree(directory: Path) -> None:
    for path in directory.rglob("*"):
        if not path.is_symlink():
            _fsync(path)
    _fsync(directory)
