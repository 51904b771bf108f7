"""Other programs, asked in English, so that their answers can be read."""

import os
import subprocess
from pathlib import Path


def answer(*command: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """What a program answers in a folder; exit 1 with the reason where it does not run, or not within a minute."""
    english = os.environ | {"LC_ALL": "C"}
    try:
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=60, env=english)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))
