"""One process at a time: a lock that says who holds it, and what a process that was killed had left half written.

The kernel releases a lock (flock) when the last process that has it open ends, however it ends: there is no stale lock to remove. The processes
of a pool inherit the locks of the one that began them, so that nobody goes on where one of them still writes.
"""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from headstart.core.errors import Busy
from headstart.core.provenance import utc_text

PATIENCE_S = 3.0  # the workers of a process that was killed take a moment to end
UNFINISHED = ".*.tmp-*"  # what `core.files` names a file or folder until it is complete

_held: list[int] = []  # descriptors of the locks of this process


@contextmanager
def held(path: Path, doing: str, patience_s: float | None = None) -> Iterator[None]:
    """Hold the lock of the file `path`, in which stands who holds it. Raises Busy if another still has it after `patience_s`, or PATIENCE_S."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _take(descriptor, doing, PATIENCE_S if patience_s is None else patience_s)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps({"pid": os.getpid(), "doing": doing, "since": utc_text(datetime.now(UTC))}).encode())
        _held.append(descriptor)
        try:
            yield
        finally:
            _held.remove(descriptor)
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def held_descriptors() -> tuple[int, ...]:
    """Those of the locks that this process holds; a lock is held as long as one process has its descriptor open."""
    return tuple(_held)


def _take(descriptor: int, doing: str, patience_s: float) -> None:
    until = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= until:
                raise Busy(f"{doing}: expected to be alone, {_holder(descriptor)}; wait for it, or end it") from None
        time.sleep(0.05)


def _holder(descriptor: int) -> str:
    try:
        found = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {found['pid']} has run `{found['doing']}` since {found['since']}"
    except (ValueError, KeyError, TypeError):  # it has only just taken the lock
        return "another process runs it"


def remove_unfinished(paths: Iterable[Path]) -> None:
    """Remove what a process that was killed left half written, beside these files and folders and inside the folders.

    Only for a process that holds the lock under which they are written.
    """
    for path in paths:
        beside = path.parent.glob(f".{path.name}.tmp-*") if path.parent.is_dir() else ()
        for left in [*beside, *path.rglob(UNFINISHED)]:
            shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink(missing_ok=True)
