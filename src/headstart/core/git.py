"""Queries to git about the project; each is one call of the program."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.core.errors import InputError

if TYPE_CHECKING:
    import psutil

ON_DISK = ("-c", "core.fsync=loose-object,reference", "-c", "core.fsyncMethod=fsync")  # what git syncs, in this command
TIMEOUT_S = 600
PATIENCE_S = 5  # how long git, which takes milliseconds, may hold a lock
WRITTEN = ("dvc.lock", "data/catalogue", "reports")  # by the pipeline, of what git tracks


def head(root: Path) -> str:
    """The checked-out revision. Raises InputError outside of a repository, or before its first commit."""
    return answer(root, "rev-parse", "--verify", "HEAD").decode().strip()


def changes(root: Path, without: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Tracked files that differ from HEAD, except for those below the paths `without`."""
    exclude = [f":(exclude){path}" for path in without]
    listed = answer(root, "diff", "--name-only", "-z", "HEAD", "--", ".", *exclude).decode()
    return tuple(path for path in listed.split("\0") if path)


def git_state(directory: Path) -> tuple[str | None, bool | None]:
    """Revision of the repository around `directory`, and whether code or settings differ from it; None if unknown.

    Files that the pipeline itself writes while it runs (WRITTEN) do not count.
    """
    while not directory.is_dir() and directory != directory.parent:
        directory = directory.parent
    try:
        without = [f":(exclude,top){path}" for path in WRITTEN]
        return head(directory), bool(answer(directory, "status", "--porcelain", "--untracked-files=no", "--", ":(top)", *without))
    except InputError:
        return None, None


def committed(root: Path, path: str, revision: str = "HEAD") -> bytes | None:
    """The content of a file at a revision; None if the file does not exist there."""
    return answer(root, "show", f"{revision}:./{path}") if answer(root, "ls-tree", revision, "--", path) else None


def tracked(root: Path, folder: str, revision: str = "HEAD") -> tuple[str, ...]:
    """The files below a folder at a revision."""
    return tuple(
        filter(None, answer(root, "ls-tree", "-r", "-z", "--name-only", revision, "--", f"{folder}/").decode().split("\0"))
    )


def versions(root: Path, path: str, of: str = "HEAD") -> list[tuple[str, bytes]]:
    """(revision, content) of a file in `of` and its ancestors, for each commit that changed the file and still has it, newest first.

    `--all`: in all branches, tags and experiments.
    """
    revisions = answer(root, "log", "--full-history", "--format=%H", of, "--", path).decode().split()
    contents = ((revision, committed(root, path, revision)) for revision in revisions)
    return [(revision, content) for revision, content in contents if content is not None]


def has_commit(root: Path, commit: str) -> bool:
    """Whether the repository has a commit."""
    return accepts(root, "cat-file", "-e", f"{commit}^{{commit}}")


def refs(root: Path, pattern: str) -> tuple[str, ...]:
    """Names of all references that begin with a pattern."""
    return tuple(answer(root, "for-each-ref", "--format=%(refname)", pattern).decode().split())


def tags(root: Path) -> dict[str, str]:
    """Name of each tag → the commit of an annotated one, an empty text for another."""
    listed = answer(root, "for-each-ref", "--format=%(refname:strip=2) %(*objectname)", "refs/tags").decode()
    return dict(line.split(" ", 1) for line in listed.splitlines())


def set_tag(root: Path, tag: str, commit: str, message: str, at: str) -> None:
    """Set an annotated tag, in place of one of that name; it is on disk when this returns, and equal arguments give an equal object."""
    _remove_stale_locks(root, f"refs/tags/{tag}.lock")
    who = {"GIT_COMMITTER_NAME": "headstart", "GIT_COMMITTER_EMAIL": "headstart@localhost", "GIT_COMMITTER_DATE": at}
    answer(root, "tag", "--annotate", "--no-sign", "--force", "--message", message, "--", tag, commit, env=who, settings=ON_DISK)


def delete_tags(root: Path, *names: str) -> None:
    """Delete tags that are there."""
    _remove_stale_locks(root, "packed-refs.lock", "packed-refs.new", *(f"refs/tags/{name}.lock" for name in names))
    answer(root, "tag", "--delete", "--", *names, settings=ON_DISK)


def _remove_stale_locks(root: Path, *names: str) -> None:
    """Remove locks that a git process left when it was killed: those that are here when no git process works in this project any more."""
    import psutil  # only tags need it

    folder = root / answer(root, "rev-parse", "--git-common-dir").decode().strip()
    here = [folder / name for name in names if (folder / name).exists()]
    if here and not psutil.wait_procs(_git_processes(root), timeout=PATIENCE_S)[1]:
        for path in here:
            path.unlink(missing_ok=True)


def _git_processes(root: Path) -> "list[psutil.Process]":
    import psutil

    found = []
    for process in psutil.process_iter(["name", "cwd"]):
        name, cwd = process.info["name"] or "", process.info["cwd"]  # None: a process of somebody else
        if (name == "git" or name.startswith("git-")) and cwd and Path(cwd).is_relative_to(root.resolve()):
            found.append(process)
    return found


def accepts(root: Path, *arguments: str) -> bool:
    """Whether git does what it is asked, rather than refuse."""
    try:
        answer(root, *arguments)
    except InputError:
        return False
    return True


def answer(
    root: Path, *arguments: str, given: bytes = b"", env: Mapping[str, str] | None = None, settings: Sequence[str] = ()
) -> bytes:
    """What git prints; `given` is what it reads. InputError with its words where it refuses, or is not done in TIMEOUT_S."""
    command = ["git", *settings, *arguments]
    try:
        done = subprocess.run(
            command, cwd=root, input=given, capture_output=True, timeout=TIMEOUT_S, env={**os.environ, **(env or {})}
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"git {arguments[0]}: expected a program that runs and answers within {TIMEOUT_S} s: {error}") from None
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())
        raise InputError(f"{root.resolve()}: expected a git repository with a commit; git {arguments[0]} printed: {said}")
    return done.stdout
