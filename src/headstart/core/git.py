"""What git knows of the project; every question is one call of the program."""

import subprocess
from pathlib import Path

from headstart.core.errors import InputError


def head(root: Path) -> str:
    """The revision that is checked out. Raises InputError outside of a repository, or before its first commit."""
    return _git(root, "rev-parse", "--verify", "HEAD").decode().strip()


def changes(root: Path, without: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Tracked files that differ from HEAD, except for those below the paths `without`."""
    exclude = [f":(exclude){path}" for path in without]
    return _paths(root, "diff", "--name-only", "-z", "HEAD", "--", ".", *exclude)


def untracked(root: Path, path: str) -> tuple[str, ...]:
    """Files below `path` that git neither tracks nor ignores."""
    return _paths(root, "ls-files", "--others", "--exclude-standard", "-z", "--", path)


def tracked(root: Path, *paths: str) -> tuple[str, ...]:
    """Files that git tracks at or below the paths; a path may be any pathspec of git."""
    return _paths(root, "ls-files", "-z", "--", *paths)


def versions(root: Path, path: str) -> list[tuple[str, bytes]]:
    """(revision, content) of a file in every commit behind HEAD that changed it, newest first; commits without it are left out."""
    revisions = _git(root, "log", "--full-history", "--format=%H", "HEAD", "--", path).decode().split()
    found = []
    for revision in revisions:
        if _git(root, "ls-tree", revision, "--", path):
            found.append((revision, _git(root, "show", f"{revision}:./{path}")))
    return found


def committed(root: Path, path: str) -> bytes | None:
    """The content of a file at HEAD; None if it is not there."""
    return _git(root, "show", f"HEAD:./{path}") if _git(root, "ls-tree", "HEAD", "--", path) else None


def _paths(root: Path, *arguments: str) -> tuple[str, ...]:
    """The paths that a question with -z is answered with."""
    return tuple(path for path in _git(root, *arguments).decode().split("\0") if path)


def _git(root: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"git {arguments[0]}: expected a program that runs and answers within 60 s: {error}") from None
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())
        raise InputError(f"{root.resolve()}: expected a git repository with a commit; git {arguments[0]} says: {said}")
    return done.stdout
