"""Where and when: times in UTC, versions of packages, the revision that is checked out."""

import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def utc_text(time: datetime) -> str:
    """A time as RFC 3339 in UTC, with milliseconds: 2025-01-31T12:00:00.000Z."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def package_version(name: str) -> str | None:
    """The installed version of a distribution, without importing it; None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def git_state(directory: Path) -> tuple[str | None, bool | None]:
    """Revision of the repository around `directory`, and whether tracked files differ from it; None if unknown."""
    revision = _git(directory, "rev-parse", "HEAD")
    changes = _git(directory, "status", "--porcelain", "--untracked-files=no")
    if revision is None or changes is None:
        return None, None
    return revision.strip(), bool(changes)


def _git(directory: Path, *arguments: str) -> str | None:
    while not directory.is_dir() and directory != directory.parent:
        directory = directory.parent
    try:
        done = subprocess.run(["git", *arguments], cwd=directory, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
