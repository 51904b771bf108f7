"""Where a command runs: in the project's root, found from any folder below it; paths that were typed are from where they were typed."""

import os
import sys
from pathlib import Path

from headstart.core.closure import require_own_code
from headstart.core.errors import InputError
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
