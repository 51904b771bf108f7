"""Where a project is: the nearest folder, here or above, that holds params.yaml."""

from pathlib import Path

MARK = "params.yaml"


def project_root(here: Path) -> Path | None:
    """The project that a folder lies in; None outside of projects."""
    return next((folder for folder in (here, *here.parents) if (folder / MARK).is_file()), None)
