"""Tags of promoted versions follow the history."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gto.api
import pytest
from gto.tag import find
from scmrepo.git import Git as Scm

from headstart.core.errors import Hold, IntegrityError
from headstart.release.history import Release
from headstart.release.registry import next_version, require_identity, set_tags
from headstart.release.standing import Standing


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "config", "user.name", "Ada")
    git(tmp_path, "config", "user.email", "ada@example.org")
    git(tmp_path, "commit", "--allow-empty", "--quiet", "--message", "Begin")
    return tmp_path


def release(root: Path, seed: int) -> Release:
    """A checkpoint of a commit of its own."""
    git(root, "commit", "--allow-empty", "--quiet", "--message", "More")
    return Release(
        arm="pretrained",
        seed=seed,
        checkpoint=f"models/seed-{seed}",
        weights_sha256=str(seed) * 64,
        card_sha256="c" * 64,
        git_revision=git(root, "rev-parse", "HEAD").strip(),
    )


def standing(current: Release, promoted: tuple[Release, ...], scenario: str = "queue_conflict") -> Standing:
    return Standing(
        scenario,
        current=current,
        releases={r.id: r for r in (*promoted, current)},
        versions={r.id: f"v{n}.0.0" for n, r in enumerate(promoted, start=1)},
        note="because",
    )


def prod(root: Path) -> tuple[str, str]:
    """The version on the stage by GTO, and the revision that DVC takes for it."""
    shown = subprocess.run(["gto", "show", "queue_conflict#prod", "--ref"], cwd=root, capture_output=True, text=True).stdout
    tags = find(name="queue_conflict", stage="prod", scm=Scm(root))  # as dvc.repo.artifacts does it
    return shown.strip(), tags[-1].target if tags else ""


def test_a_scenario_without_a_promotion_has_no_tags(repository: Path) -> None:
    assert set_tags(repository, Standing("queue_conflict")) == []
    assert set_tags(repository, standing(release(repository, 1), ())) == []
    assert git(repository, "tag") == ""


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every change of the stage in a second of its own: tags are ordered by their times, in whole seconds."""
    for change in (gto.api.assign, gto.api.unassign):

        def later(*arguments: Any, change: Callable[..., Any] = change, **options: Any) -> None:
            time.sleep(1.1)
            change(*arguments, **options)

        monkeypatch.setattr(gto.api, change.__name__, later)


@pytest.mark.usefixtures("slowly")
def test_versions_count_up_and_the_release_in_use_is_on_the_stage(repository: Path, capfd: pytest.CaptureFixture[str]) -> None:
    first, second, other = (release(repository, seed) for seed in (1, 2, 3))

    assert next_version(repository, Standing("queue_conflict")) == "v1.0.0"
    assert next_version(repository, standing(first, (first,))) == "v2.0.0"
    for current, promoted, expected in (
        (first, (first,), ("queue_conflict@v1.0.0", first.git_revision)),
        (second, (first, second), ("queue_conflict@v2.0.0", second.git_revision)),
        (first, (first, second), ("queue_conflict@v1.0.0", first.git_revision)),  # rolled back
        (other, (first, second), ("", "")),  # swapped in by hand
        (second, (first, second), ("queue_conflict@v2.0.0", second.git_revision)),
    ):
        set_tags(repository, standing(current, promoted))
        assert prod(repository) == expected

    for version, promoted_release in ((1, first), (2, second)):
        assert git(repository, "rev-parse", f"queue_conflict@v{version}.0.0^{{commit}}").strip() == promoted_release.git_revision
    assert capfd.readouterr().out == ""


def test_tags_that_are_there_are_not_set_again(repository: Path) -> None:
    first = release(repository, 1)

    assert set_tags(repository, standing(first, (first,))) == ["queue_conflict@v1.0.0", "queue_conflict#prod (v1.0.0)"]
    assert set_tags(repository, standing(first, (first,))) == []


def test_a_version_that_somebody_else_tagged_is_left_out(repository: Path) -> None:
    git(repository, "tag", "--annotate", "--message", "mine", "queue_conflict@v1.0.0")

    assert next_version(repository, Standing("queue_conflict")) == "v2.0.0"


def test_a_tag_that_cannot_be_set_is_named(repository: Path) -> None:
    lost = release(repository, 1).model_copy(update={"git_revision": "f" * 40})

    with pytest.raises(IntegrityError, match=r"its tag could not be set: .*; once that is corrected, the next"):
        set_tags(repository, standing(lost, (lost,)))


def test_without_an_identity_nothing_is_tagged(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_identity(repository)

    git(repository, "config", "--unset", "user.email")
    git(repository, "config", "user.useConfigOnly", "true")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    with pytest.raises(Hold, match="expected a git identity"):
        require_identity(repository)
