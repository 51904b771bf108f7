"""`./stage`, which dvc.yaml runs: it takes the code beside it and finds the environment, also for a DVC that was installed elsewhere."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "stage", tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    for name in ("src", "scenarios"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "elsewhere").mkdir()
    for tool in ("sh", "dirname"):
        (tmp_path / "elsewhere" / tool).symlink_to(shutil.which(tool) or "")
    return tmp_path


def stage(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run as by a DVC whose PATH has no Python with the packages."""
    environment = {"PATH": str(project / "elsewhere"), "HOME": os.environ.get("HOME", "/")}
    return subprocess.run(["./stage", *arguments], cwd=project, capture_output=True, text=True, env=environment)


def test_without_an_environment_it_says_what_makes_one(project: Path) -> None:
    done = stage(project, "expert", "queue_conflict")

    assert done.returncode == 9
    assert done.stderr == (
        "error: stage expert: expected an environment with headstart's packages, found none; `make setup` makes .venv here\n"
    )


def test_the_environment_beside_it_need_not_be_active(project: Path) -> None:
    (project / ".venv").symlink_to(sys.prefix)

    done = stage(project, "expert", "queue_conflit")

    assert done.returncode == 2
    assert done.stderr.startswith("error: no scenario 'queue_conflit' (did you mean 'queue_conflict'?)")
