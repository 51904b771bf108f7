"""What git knows of a project, also where there is no git."""

import os
import subprocess
from pathlib import Path

import pytest

from headstart.core.errors import InputError
from headstart.core.git import changes, committed, delete_tags, git_state, head, set_tag, tags, versions


def git(directory: Path, *arguments: str) -> None:
    identity = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@t", "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@t"}
    subprocess.run(["git", *arguments], cwd=directory, check=True, capture_output=True, env=os.environ | identity)


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


def test_what_the_pipeline_writes_is_no_edit(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "params.yaml").write_text("seeds: [0]\n")
    (tmp_path / "dvc.lock").write_text("stages: {}\n")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "one")
    (tmp_path / "dvc.lock").write_text("stages: {other}\n")
    assert git_state(tmp_path)[1] is False
    (tmp_path / "params.yaml").write_text("seeds: [1]\n")
    assert git_state(tmp_path)[1] is True


def test_outside_of_a_repository_the_git_state_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    assert git_state(tmp_path) == (None, None)


def test_without_git_the_git_state_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert git_state(tmp_path) == (None, None)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A file that three commits wrote, removed, and wrote again."""
    git(tmp_path, "init", "-q")
    for content in ("1", None, "3"):
        if content is None:
            git(tmp_path, "rm", "-q", "f")
        else:
            (tmp_path / "f").write_text(content)
            git(tmp_path, "add", "f")
        git(tmp_path, "commit", "-q", "-m", "more")
    return tmp_path


def test_every_version_of_a_file_is_found(repository: Path) -> None:
    assert [content for _, content in versions(repository, "f")] == [b"3", b"1"]
    assert versions(repository, "f")[0][0] == head(repository)
    assert committed(repository, "f") == b"3"
    assert committed(repository, "f", "HEAD~1") is None


def test_changes_leave_out_what_they_are_told_to(repository: Path) -> None:
    (repository / "f").write_text("4")

    assert changes(repository) == ("f",)
    assert changes(repository, without=("f",)) == ()


AT = "2026-01-01T00:00:00.000Z"


def test_a_tag_is_set_moved_and_deleted(repository: Path) -> None:
    git(repository, "tag", "light")
    set_tag(repository, "a#prod#1", head(repository), "because", AT)
    assert tags(repository) == {"a#prod#1": head(repository), "light": ""}

    before = committed_revision(repository, "HEAD~1")
    set_tag(repository, "a#prod#1", before, "because", AT)
    set_tag(repository, "light", before, "because", AT)
    assert tags(repository) == {"a#prod#1": before, "light": before}

    delete_tags(repository, "a#prod#1")
    assert tags(repository) == {"light": before}


def committed_revision(repository: Path, name: str) -> str:
    return subprocess.run(["git", "rev-parse", name], cwd=repository, check=True, capture_output=True, text=True).stdout.strip()


def test_equal_tags_are_one_object_whoever_sets_them(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_tag(repository, "mine", head(repository), "because", AT)
    first = committed_revision(repository, "mine")
    monkeypatch.setenv("GIT_COMMITTER_NAME", "somebody else")
    delete_tags(repository, "mine")

    set_tag(repository, "mine", head(repository), "because", AT)

    assert committed_revision(repository, "mine") == first


@pytest.mark.parametrize("left", ["refs/tags/mine.lock", "packed-refs.lock", "packed-refs.new"])
def test_a_lock_that_a_killed_git_left_does_not_stand_in_the_way_of_a_tag(repository: Path, left: str) -> None:
    set_tag(repository, "mine", head(repository), "because", AT)
    (repository / ".git" / left).touch()

    set_tag(repository, "mine", committed_revision(repository, "HEAD~1"), "because", AT)
    delete_tags(repository, "mine")

    assert tags(repository) == {}
    assert not (repository / ".git" / left).exists()


def test_a_lock_of_a_git_that_works_here_is_left_to_it(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_tag(repository, "mine", head(repository), "because", AT)
    (repository / ".git/refs/tags/mine.lock").touch()
    with subprocess.Popen(["git", "cat-file", "--batch"], cwd=repository, stdin=subprocess.PIPE) as other:
        monkeypatch.setattr("headstart.core.git.PATIENCE_S", 0)
        with pytest.raises(InputError, match=r"mine\.lock': File exists"):
            set_tag(repository, "mine", committed_revision(repository, "HEAD~1"), "because", AT)
        assert other.stdin is not None
        other.stdin.close()

    set_tag(repository, "mine", committed_revision(repository, "HEAD~1"), "because", AT)


def test_outside_of_a_repository_the_error_says_what_was_expected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    with pytest.raises(InputError, match="expected a git repository with a commit; git rev-parse printed"):
        head(tmp_path)
