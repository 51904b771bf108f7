"""Tags of released versions."""

import subprocess
from pathlib import Path

import pytest

from headstart.core.errors import Hold, IntegrityError
from headstart.release.registry import next_version, register, require_identity


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "config", "user.name", "Ada")
    git(tmp_path, "config", "user.email", "ada@example.org")
    git(tmp_path, "commit", "--allow-empty", "--quiet", "--message", "Begin")
    return tmp_path


def test_versions_count_up_and_the_last_is_in_use(repository: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for expected in ("v1.0.0", "v2.0.0"):
        assert next_version(repository, "queue_conflict") == expected
        register(repository, "queue_conflict", expected, "spring")
        git(repository, "commit", "--allow-empty", "--quiet", "--message", "More")

    assert next_version(repository, "queue_conflict") == "v3.0.0"
    assert next_version(repository, "nav_mixed") == "v1.0.0"
    tags = git(repository, "tag", "-n1").splitlines()
    assert [tag.split()[0] for tag in tags] == [
        "queue_conflict#prod#1",
        "queue_conflict#prod#2",
        "queue_conflict@v1.0.0",
        "queue_conflict@v2.0.0",
    ]
    assert capfd.readouterr().out == ""


def test_a_version_that_is_there_is_refused_with_the_commands_that_help(repository: Path) -> None:
    register(repository, "walk", "v1.0.0", "spring")
    git(repository, "commit", "--allow-empty", "--quiet", "--message", "More")

    with pytest.raises(
        IntegrityError, match=r"its tag could not be set: .*registered\. `gto register walk HEAD --version v1\.0\.0`"
    ):
        register(repository, "walk", "v1.0.0", "again")


def test_without_an_identity_nothing_is_tagged(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_identity(repository)

    git(repository, "config", "--unset", "user.email")
    git(repository, "config", "user.useConfigOnly", "true")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    with pytest.raises(Hold, match="expected a git identity"):
        require_identity(repository)
