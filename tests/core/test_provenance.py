"""Times and the state of the source tree."""

import os
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from headstart.core.provenance import git_state, utc_text


def git(directory: Path, *arguments: str) -> None:
    identity = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@t", "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@t"}
    subprocess.run(["git", *arguments], cwd=directory, check=True, capture_output=True, env=os.environ | identity)


def test_a_time_is_told_in_utc() -> None:
    noon = datetime(2025, 1, 31, 12, 0, 0, 250_000, timezone(timedelta(hours=2)))

    assert utc_text(noon) == "2025-01-31T10:00:00.250Z"


def test_the_git_state_tells_revision_and_edits(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "f").write_text("1")
    git(tmp_path, "add", "f")
    git(tmp_path, "commit", "-q", "-m", "one")
    clean = git_state(tmp_path / "not" / "yet" / "there")
    (tmp_path / "f").write_text("2")
    dirty = git_state(tmp_path)

    assert clean[0] is not None
    assert len(clean[0]) == 40
    assert clean[1] is False
    assert dirty == (clean[0], True)


def test_outside_of_a_repository_the_git_state_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    assert git_state(tmp_path) == (None, None)


def test_without_git_the_git_state_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert git_state(tmp_path) == (None, None)
