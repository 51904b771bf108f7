"""A release's files, brought to a folder and proved by their hashes: from DVC, or from what is at hand."""

import shutil
import subprocess
import sys
from pathlib import Path

from headstart.core.errors import HeadstartError, InputError
from headstart.core.files import fresh_directory
from headstart.release.releases import Release, file_hashes, require_release

KEPT = Path(".headstart") / "releases"  # a copy of every release that was put to use here; git and DVC ignore it


def restore(root: Path, release: Release, folder: Path) -> str:
    """Put the release's files into `folder`, replacing it; returns where they came from.

    DVC is asked first, because the next training overwrites what is at hand. Raises InputError, naming what was tried, if no source has
    the recorded bytes; then `folder` stays as it was.
    """
    return _first(root, release, folder, ("DVC", "the training's folder", "the kept copy"))


def keep(root: Path, release: Release) -> Path:
    """The release in a folder of its own below the project, brought there if need be; returns the folder."""
    folder = root / KEPT / release.id
    try:
        require_release(release, folder)
    except HeadstartError:
        _first(root, release, folder, ("the training's folder", "DVC"))
    return folder


def _first(root: Path, release: Release, folder: Path, order: tuple[str, ...]) -> str:
    sources = {"DVC": _from_dvc, "the training's folder": _from_checkpoint, "the kept copy": _from_kept}
    tried = []
    for name in order:
        try:
            with fresh_directory(folder) as fresh:
                sources[name](root, release, fresh)
                require_release(release, fresh)
            return name
        except HeadstartError as error:
            tried.append(f"{name}: {error}")
    raise InputError(f"release {release.id}: expected to restore it, found it nowhere; " + "; ".join(tried))


def _from_dvc(root: Path, release: Release, folder: Path) -> None:
    """From DVC's cache or remote, as the revision of the release had it."""
    if release.dvc_out is None:
        raise InputError("DVC does not keep it")
    got = folder.resolve() / "got"
    command = [sys.executable, "-m", "dvc", "get", "--quiet", "--rev", release.git_revision, "--out", str(got)]
    done = subprocess.run([*command, str(root.resolve()), release.checkpoint], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise InputError(f"revision {release.git_revision[:12]}: {' '.join(done.stderr.split()) or 'it has no such files'}")
    for name in file_hashes(release):
        (got / name).rename(folder / name)
    shutil.rmtree(got)


def _from_checkpoint(root: Path, release: Release, folder: Path) -> None:
    _copy(root / release.checkpoint, release, folder)


def _from_kept(root: Path, release: Release, folder: Path) -> None:
    _copy(root / KEPT / release.id, release, folder)


def _copy(source: Path, release: Release, folder: Path) -> None:
    for name in file_hashes(release):
        if not (source / name).is_file():
            raise InputError(f"{source / name}: expected a file, found none")
        shutil.copyfile(source / name, folder / name)
