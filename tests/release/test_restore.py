"""A release comes back from DVC's cache, from its remote, or from what is at hand; and from nowhere else."""

import shutil
import subprocess

import pytest
from tests.released import REPOSITORY, Project

from headstart.core.errors import InputError
from headstart.release.history import Release
from headstart.release.lock import require_release
from headstart.release.rollback import restore


@pytest.fixture
def release(ready: Project) -> Release:
    """The candidate, in a project with a remote beside .dvc, as the shipped one has it."""
    (ready.root / ".dvc/config").write_bytes((REPOSITORY / ".dvc/config").read_bytes())
    ready.commit()
    passed = ready.standing().passed
    assert passed is not None
    return passed.candidate.model_copy(update={"git_revision": ready.git("rev-parse", "HEAD").strip()})


def test_it_comes_from_the_cache_though_the_remote_is_empty(ready: Project, release: Release) -> None:
    shutil.rmtree(ready.root / "models/walk")

    require_release(release, restore(ready.root, release))


def test_it_comes_from_the_remote_if_the_cache_is_gone(ready: Project, release: Release) -> None:
    subprocess.run(["dvc", "push", "-q"], cwd=ready.root, check=True)
    assert any((ready.root / ".dvc-remote").rglob("*.dir"))
    shutil.rmtree(ready.root / "models/walk")
    shutil.rmtree(ready.root / ".dvc/cache")

    require_release(release, restore(ready.root, release))


def test_it_comes_from_what_is_at_hand_if_dvc_lost_it(ready: Project, release: Release) -> None:
    shutil.rmtree(ready.root / ".dvc/cache")

    require_release(release, restore(ready.root, release))


def test_a_copy_with_a_wrong_byte_is_replaced_and_never_used(ready: Project, release: Release) -> None:
    folder = restore(ready.root, release)
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x07")

    assert restore(ready.root, release) == folder
    require_release(release, folder)

    path.write_bytes(path.read_bytes()[:-1] + b"\x07")
    shutil.rmtree(ready.root / ".dvc/cache")
    shutil.rmtree(ready.root / "models/walk")
    with pytest.raises(
        InputError, match=r"found it nowhere; \.headstart/releases: .*expected hash.*training's folder: .*; DVC: "
    ):
        restore(ready.root, release)
