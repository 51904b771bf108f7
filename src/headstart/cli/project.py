"""Where a command runs: in the project's root, found from any folder below it; paths that were typed are from where they were typed."""

import os
import sys
from pathlib import Path

from headstart.core.closure import require_own_code
from headstart.core.errors import InputError, UsageError
from headstart.runs.project_root import MARK, project_root

NEED_NO_PROJECT = (
    "compile",
    "doctor",
    "export-policy",
    "init",
    "schema",
    "--help",
    "--version",
    "--install-completion",
    "telemetry",
    "--show-completion",
)

_typed_in = Path()


def enter_project() -> None:
    """Go to the nearest folder, here or above, that holds params.yaml; InputError without one, unless the command needs none."""
    global _typed_in
    _typed_in = Path.cwd()
    root = project_root(_typed_in)
    if root is not None:
        os.chdir(root)
        if str(root) not in sys.path:
            sys.path.insert(0, str(root))  # where the modules of the user lie
    if not set(sys.argv[1:]) or set(sys.argv) & set(NEED_NO_PROJECT) or "_HEADSTART_COMPLETE" in os.environ:
        return
    if root is not None:
        require_own_code(root)
    else:
        raise InputError(
            f"{_typed_in}: expected a project, with {MARK} here or in a folder above, found none; go to one, or make one with `headstart init`"
        )


def typed_path(text: str) -> Path:
    """A path that was typed, which may be relative to the folder that it was typed in."""
    path = _typed_in / text
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def path_or_name(text: str) -> str:
    """What was typed, as a path where something lies there, else as the name that it may be."""
    path = typed_path(text)
    return str(path) if path.exists() else text


def typed_file(text: str) -> Path:
    """The typed path of a file that a command is to write. UsageError, before anything is computed, where it cannot be."""
    path = typed_new(text)
    if not path.name or path.is_symlink() or (path.exists() and not path.is_file()):
        raise UsageError(f"{path}: expected the name of a file, new or to be replaced; this is no plain file")
    return path


def typed_new(text: str) -> Path:
    """The typed path of a file or folder that a command is to write. UsageError where the folder above is none, or may not be written."""
    path = typed_path(text)
    above = next(folder for folder in (*path.parents, Path()) if folder.exists())
    if not above.is_dir():
        raise UsageError(f"{path}: expected a folder above it, {above} is a file")
    if not os.access(above, os.W_OK | os.X_OK):
        raise UsageError(f"{path}: expected a place that may be written, the folder {above} may only be read")
    return path
