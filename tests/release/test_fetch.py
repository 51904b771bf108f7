"""A release comes into a fresh clone from the remote of DVC, with the bytes that the history names, and by DVC alone."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.forked import require
from tests.released import REPOSITORY, Project

from headstart.core.errors import InputError, UsageError
from headstart.release.fetch import fetch
from headstart.release.lock import require_release
from headstart.release.promote import promote
from headstart.release.rollback import restore, roll_back

PAGE = (REPOSITORY / "docs/operations.md").read_text()
SOMEWHERE = "https://example.org/project.git"


def shell(commands: str, folder: Path, project: Path, store: Path) -> None:
    """Commands of the page, with this project, repository and remote for those that it names."""
    for line in commands.strip().splitlines():
        own = (
            line.replace("queue_conflict", "walk")
            .replace(SOMEWHERE, f"file://{project}")
            .replace("s3://bucket/project", str(store))
        )
        program, *arguments = shlex.split(own)
        if program == "dvc":
            require(folder, program, *arguments)
        else:
            subprocess.run([program, *arguments], cwd=folder, check=True, capture_output=True)


def of_the_page(beginning: str) -> str:
    """A block of commands."""
    (block,) = [block for block in re.findall(r"```\n(.*?)```", PAGE, flags=re.DOTALL) if block.startswith(beginning)]
    return str(block)


def published(project: Project, store: Path) -> tuple[Project, Path]:
    """A fresh clone of a promoted project, whose remotes were configured after the candidate was judged; and the repository."""
    promote(project.root, "walk", "Ada", "spring")
    bare = store.with_name("project.git")
    project.git("init", "--quiet", "--bare", "--initial-branch", "main", str(bare))
    project.git("remote", "add", "origin", str(bare))
    project.dvc("remote", "add", "--quiet", "--default", "store", str(store))
    project.commit()
    shell(of_the_page("dvc push"), project.root, bare, store)
    project.git("clone", "--quiet", str(bare), str(store.with_name("clone")))
    return Project(store.with_name("clone")), bare


def test_a_release_comes_into_a_fresh_clone_in_all_ways_that_the_page_names(ready: Project, tmp_path: Path) -> None:
    store = tmp_path / "store"
    clone, bare = published(ready, store)
    release = ready.standing().current
    assert release is not None
    assert clone.headstart("verify").code == 0  # the tags came with the clone
    below = clone.root / "below"
    below.mkdir()

    done = Project(below).headstart("release", "fetch", "walk", "--out", "mine")

    assert done.code == 0, done.err
    assert sorted(os.listdir(below / "mine")) == ["card.json", "weights.safetensors"]
    require_release(release, below / "mine")
    require_release(release, clone.root / ".headstart/releases" / release.id)
    assert clone.headstart("release", "fetch", "walk", "--out", "below/mine").code == 0
    assert clone.git("status", "--short") == "?? below/\n"

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with_remote = of_the_page(f"dvc artifacts get {SOMEWHERE} queue_conflict --stage prod --remote")
    shell(with_remote, elsewhere, bare, store)
    require_release(release, elsewhere / "pretrained/seed-10")

    roll_back(clone.root, "walk", "Ada", "drifts")  # the way back comes from the remote, too
    previous, folder = fetch(clone.root, "walk")
    assert previous.arm == "scratch"
    require_release(previous, folder)


def test_the_arm_comes_by_dvc_alone_where_the_judged_commit_has_the_remote(project: Project, tmp_path: Path) -> None:
    """As the page has it: the remote is configured before anything is judged."""
    store = tmp_path / "store"
    project.dvc("remote", "add", "--quiet", "--default", "store", str(store))
    bare = tmp_path / "project.git"
    project.make_ready()
    release = promote(project.root, "walk", "Ada", "spring")
    project.commit()
    project.git("init", "--quiet", "--bare", "--initial-branch", "main", str(bare))
    project.git("remote", "add", "origin", str(bare))
    shell(of_the_page("dvc push"), project.root, bare, store)
    project.git("clone", "--quiet", str(bare), str(tmp_path / "clone"))

    in_the_clone, elsewhere = of_the_page("dvc artifacts get . queue_conflict").splitlines()
    shell(in_the_clone.replace("--stage", "--out got --stage"), tmp_path / "clone", bare, store)
    shell(elsewhere, tmp_path, bare, store)

    require_release(release, tmp_path / "clone/got/seed-10")
    require_release(release, tmp_path / "pretrained/seed-10")


def test_a_release_with_other_bytes_in_the_remote_is_not_handed_out(ready: Project, tmp_path: Path) -> None:
    clone, _ = published(ready, tmp_path / "store")
    release = ready.standing().current
    assert release is not None
    weights = (ready.root / release.checkpoint / "weights.safetensors").read_bytes()
    for path in (tmp_path / "store").rglob("*"):
        if path.is_file() and path.read_bytes() == weights:
            path.chmod(0o644)
            path.write_bytes(weights[:-1] + b"\x07")

    done = clone.headstart("release", "fetch", "walk", "--out", "mine")

    assert done.code == 3
    assert f"release {release.id}: expected to restore it, found it nowhere" in done.err
    assert not (clone.root / "mine").exists()
    assert not (clone.root / ".headstart/releases" / release.id).exists()


def test_a_clone_without_a_remote_is_told_so(ready: Project) -> None:
    release = promote(ready.root, "walk", "Ada", "spring")
    shutil.rmtree(ready.root / ".dvc/cache")
    shutil.rmtree(ready.root / "models/walk/anneal")

    with pytest.raises(InputError, match="no remote is configured, and the cache lacks it: ERROR: "):
        restore(ready.root, release)


def test_what_is_asked_for_is_named_and_a_folder_with_something_else_is_left_alone(ready: Project, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="walk: expected a release in use, there is none: 2 passes in a row"):
        fetch(ready.root, "walk")
    first = promote(ready.root, "walk", "Ada", "spring")
    with pytest.raises(UsageError, match=r"expected a scenario with verdicts or releases \(walk\), got 'fly'"):
        fetch(ready.root, "fly")
    with pytest.raises(UsageError, match=f"expected one of the releases scratch-.*, {first.id}, got 'latest'"):
        fetch(ready.root, "walk", "latest")

    mine = tmp_path / "mine"
    mine.mkdir()
    fetch(ready.root, "walk", to=mine)
    (mine / "card.json").write_text("my own")
    with pytest.raises(InputError, match=f"mine: expected no folder, an empty one or one with release {first.id}"):
        fetch(ready.root, "walk", to=mine)
    assert (mine / "card.json").read_text() == "my own"
