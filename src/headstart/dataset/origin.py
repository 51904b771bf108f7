"""What git knows of a dataset version: the commits whose dvc.lock holds it, and the models that came from it."""

from pathlib import Path
from typing import NamedTuple

from headstart.config.project import MODELS
from headstart.core.dvc_lock import locks_in_git, scan_lock
from headstart.core.errors import InputError
from headstart.dataset.catalogue import Entry, checked_out


class Model(NamedTuple):
    """An output of a stage that read the version."""

    path: str
    md5: str
    stage: str
    commit: str  # the newest that holds it


class Origin(NamedTuple):
    """Newest first."""

    commits: tuple[str, ...]  # whose dvc.lock holds the version
    models: tuple[Model, ...]


def origin(root: Path, entry: Entry) -> Origin:
    """Look through the history of HEAD, and of all branches, tags and experiments where that has no such commit; nothing outside of git."""
    try:
        return next((found for of in ("HEAD", "--all") if (found := _origin(root, entry, of)).commits), Origin((), ()))
    except InputError:
        return Origin((), ())


def _origin(root: Path, entry: Entry, of: str) -> Origin:
    hashes = {md5 for one in entry.stored for md5 in (one.manifest_md5, one.files_md5) if md5}
    paths = {path.as_posix() for path in checked_out(entry.dataset)}
    commits, models = [], dict[tuple[str, str], Model]()
    for commit, data in locks_in_git(root, of):
        if not any(md5.encode() in data for md5 in hashes):
            continue
        stages = scan_lock(data)
        if any(stage.outs.get(path) in hashes for stage in stages for path in paths):
            commits.append(commit)
        for stage in stages:
            if any(stage.deps.get(path) in hashes for path in paths):
                for path, md5 in stage.outs.items():
                    if Path(path).is_relative_to(MODELS):
                        models.setdefault((path, md5), Model(path, md5, stage.name, commit))
    return Origin(tuple(commits), tuple(models.values()))
