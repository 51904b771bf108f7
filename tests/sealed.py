"""What a stage would have left: a folder whose contents.json lists the files that are in it now."""

import shutil
from pathlib import Path

from headstart.core.contents import CONTENTS, sealed_directory


def reseal(folder: Path) -> None:
    """After a test changed a file in `folder`, a path below the working directory."""
    with sealed_directory(folder) as fresh:
        shutil.copytree(folder, fresh, dirs_exist_ok=True, ignore=shutil.ignore_patterns(CONTENTS))
