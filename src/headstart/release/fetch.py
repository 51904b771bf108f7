"""Fetch a release by name, also into a fresh clone: the history says which bytes it has, DVC brings them, and nothing else is handed out."""

from pathlib import Path

from headstart.config.history import HISTORY, Release, read_history
from headstart.core.errors import HeadstartError, InputError, UsageError
from headstart.core.files import fresh_directory
from headstart.release.lock import require_release
from headstart.release.rollback import copy_release, restore
from headstart.release.standing import fold


def fetch(
    root: Path, scenario: str, release_id: str | None = None, to: Path | None = None, remote: str | None = None
) -> tuple[Release, Path]:
    """Bring a release, by default that in use, into `to`, by default .headstart/releases/<id>; returns it and the folder.

    Raises UsageError for an unknown scenario or id, InputError if the bytes are nowhere or `to` holds something else, and IntegrityError as
    `read_history` does.
    """
    release = named_release(root, scenario, release_id)
    if to is not None and _holds(to, release):
        return release, to
    kept = restore(root, release, remote)
    if to is None:
        return release, kept
    with fresh_directory(to) as fresh:
        copy_release(release, kept, fresh)
        require_release(release, fresh)
    return release, to


def named_release(root: Path, scenario: str, release_id: str | None = None) -> Release:
    """The release of an id; without one that in use."""
    standings = fold(read_history(root / HISTORY))
    if not standings:
        raise InputError(f"{root / HISTORY}: expected releases, found no line; `git pull` brings it from whoever promoted")
    if scenario not in standings:
        raise UsageError(f"expected a scenario with verdicts or releases ({', '.join(standings)}), got {scenario!r}")
    standing = standings[scenario]
    if release_id is None:
        if standing.current is None:
            raise InputError(f"{scenario}: expected a release in use, there is none: {standing.note}")
        return standing.current
    if release_id not in standing.releases:
        raise UsageError(
            f"{scenario}: expected one of the releases {', '.join(standing.releases) or '(none yet)'}, got {release_id!r}"
        )
    return standing.releases[release_id]


def _holds(to: Path, release: Release) -> bool:
    """Whether the folder has the release already. Raises InputError if it has anything else, which would be replaced."""
    if not to.exists() or (to.is_dir() and not any(to.iterdir())):
        return False
    try:
        require_release(release, to)
    except HeadstartError:
        raise InputError(
            f"{to}: expected no folder, an empty one or one with release {release.id}, found something else"
        ) from None
    return True
