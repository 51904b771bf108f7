"""What takes seconds to make is made once for all processes that run tests, by the first that needs it; each test copies it."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that `make` filled; nobody changes it afterwards."""
    home = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        home = home.parent  # of all workers of this run
    folder, done = home / f"once-{name}", home / f"once-{name}.done"
    with (home / f"once-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            folder.mkdir()  # there already: whoever began failed, and says why
            make(folder)
            done.touch()
    return folder
