"""Which formats there are, the files that a recording consists of, and reading one."""

from pathlib import Path

from headstart.config.project import DEMONSTRATIONS
from headstart.core.errors import InputError, UsageError, nearest
from headstart.core.files import inside, sha256_file
from headstart.dataset.formats import hdf5, lerobot, minari, npz
from headstart.dataset.formats.recording import Recording, require_sound

FORMATS = {"npz": npz, "minari": minari, "lerobot": lerobot, "hdf5": hdf5}
ABOUT = {
    "npz": "numpy arrays, a layout that a few lines write (`headstart formats npz`)",
    "minari": "a dataset of Minari, a folder or the id of a local one; pip install 'headstart[minari]'",
    "lerobot": "a LeRobot dataset of version 3 with state vectors, a folder; pip install 'headstart[lerobot]'",
    "hdf5": "episodes files of headstart itself, a file or a folder",
}


def read_recording(kind: str, path: Path) -> Recording:
    """The recording at `path`. InputError names what is wrong, with episode and row; UsageError for an unknown format."""
    if kind not in FORMATS:
        raise UsageError(f"expected a format among {', '.join(FORMATS)}, got {kind!r}{nearest(kind, FORMATS)}")
    if kind != "minari" and not path.exists():
        raise InputError(f"{path}: expected a recording of the format {kind}, found nothing there")
    recording: Recording = FORMATS[kind].read(path)
    require_sound(recording, str(path))
    return recording


def files_of(path: Path) -> dict[str, str]:
    """Path → SHA-256 of every file of a recording. InputError where there is none, and for a link that DVC does not follow."""
    for link in (path, *path.parents, *path.rglob("*")):
        if link.is_symlink() and link.parent.is_relative_to(DEMONSTRATIONS) and not link.is_file():
            raise InputError(
                f"{link}: expected files, got a link to a folder or to nothing, where DVC sees no change; copy the files there"
            )
    for one in (path, *path.rglob("*")):
        if path.is_relative_to(DEMONSTRATIONS):
            inside(Path(), str(one))
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        raise InputError(f"{path}: expected a recording, found nothing there")
    return {file.as_posix(): sha256_file(file) for file in files}
