"""Queries to git about the project; each is one call of the program."""

import subprocess
from pathlib import Path

from headstart.core.errors import InputError

WRITTEN = ("dvc.lock", "data/catalogue", "reports")  # by the pipeline, of what git tracks


def head(root: Path) -> str:
    """The checked-out revision. Raises InputError outside of a repository, or before its first commit."""
    return _git(root, "rev-parse", "--verify", "HEAD").decode().strip()


def changes(root: Path, without: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Tracked files that differ from HEAD, except for those below the paths `without`."""
    exclude = [f":(exclude){path}" for path in without]
    listed = _git(root, "diff", "--name-only", "-z", "HEAD", "--", ".", *exclude).decode()
    return tuple(path for path in listed.split("\0") if path)


def git_state(directory: Path) -> tuple[str | None, bool | None]:
    """Revision of the repository around `directory`, and whether code or settings differ from it; None if unknown.

    Files that the pipeline itself writes while it runs (WRITTEN) do not count.
    """
    while not directory.is_dir() and directory != directory.parent:
        directory = directory.parent
    try:
        without = [f":(exclude,top){path}" for path in WRITTEN]
        return head(directory), bool(_git(directory, "status", "--porcelain", "--untracked-files=no", "--", ":(top)", *without))
    except InputError:
        return None, None


def committed(root: Path, path: str, revision: str = "HEAD") -> bytes | None:
    """The content of a file at a revision; None if the file does not exist there."""
    return _git(root, "show", f"{revision}:./{path}") if _git(root, "ls-tree", revision, "--", path) else None


def tracked(root: Path, folder: str, revision: str = "HEAD") -> tuple[str, ...]:
    """The files below a folder at a revision."""
    return tuple(
        filter(None, _git(root, "ls-tree", "-r", "-z", "--name-only", revision, "--", f"{folder}/").decode().split("\0"))
    )


def versions(root: Path, path: str, of: str = "HEAD") -> list[tuple[str, bytes]]:
    """(revision, content) of a file in `of` and its ancestors, for each commit that changed the file and still has it, newest first.

    `--all`: in all branches, tags and experiments.
    """
    revisions = _git(root, "log", "--full-history", "--format=%H", of, "--", path).decode().split()
    contents = ((revision, committed(root, path, revision)) for revision in revisions)
    return [(revision, content) for revision, content in contents if content is not None]


def has_commit(root: Path, commit: str) -> bool:
    """Whether the repository has a commit."""
    try:
        return bool(_git(root, "cat-file", "-t", f"{commit}^{{commit}}"))
    except InputError:
        return False


def refs(root: Path, pattern: str) -> tuple[str, ...]:
    """Names of all references that begin with a pattern."""
    return tuple(_git(root, "for-each-ref", "--format=%(refname)", pattern).decode().split())


def tagged_commit(root: Path, tag: str) -> str | None:
    """The commit of an annotated tag; None if there is no such tag."""
    return _git(root, "for-each-ref", "--format=%(*objectname)", f"refs/tags/{tag}").decode().strip() or None


def delete_tags(root: Path, pattern: str) -> tuple[str, ...]:
    """Delete the tags that match a pattern of `git tag --list`; returns their names."""
    found = _git(root, "tag", "--list", pattern).decode().split()
    if found:
        _git(root, "tag", "--delete", *found)
    return tuple(found)


def committer(root: Path) -> str:
    """The identity with which git commits and tags. Raises InputError if git has none."""
    return _git(root, "var", "GIT_COMMITTER_IDENT").decode().strip()


def _git(root: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"git {arguments[0]}: expected a program that runs and answers within 60 s: {error}") from None
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())
        raise InputError(f"{root.resolve()}: expected a git repository with a commit; git {arguments[0]} printed: {said}")
    return done.stdout
