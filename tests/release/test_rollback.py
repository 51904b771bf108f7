"""The way back, the way around, and that neither goes unseen."""

import shutil

import numpy as np
import pytest
from tests.released import REPOSITORY, Project

from headstart.config.history import HISTORY, Release, Withdrawn, read_history
from headstart.core.errors import InputError
from headstart.release.lock import require_release
from headstart.release.promote import promote
from headstart.release.rollback import restore, roll_back, swap, withdraw
from headstart.runs.checkpoint import load_checkpoint, save_checkpoint


def test_a_rollback_restores_the_baseline_behind_the_first_release(ready: Project) -> None:
    promote(ready.root, "walk", "Ada", "spring")
    ready.train(range(30, 40))  # the baseline's folder holds others now
    shutil.rmtree(ready.root / ".headstart/releases")  # as in another clone: its bytes come from DVC

    done = ready.headstart("release", "rollback", "walk", "--by", "Ada", "--reason", "worse")

    assert done.code == 0, done.err
    assert ready.standing().state == "monitoring"
    current = ready.standing().current
    assert current is not None
    assert current == ready.standing().initial
    assert ready.standing().previous is None
    require_release(current, ready.root / ".headstart/releases" / current.id)
    with pytest.raises(InputError, match="is the first release, there is none before it"):
        roll_back(ready.root, "walk", "Ada", "further")


def test_a_rollback_to_an_id_finds_it_and_an_unknown_one_is_refused(ready: Project) -> None:
    first = promote(ready.root, "walk", "Ada", "spring")
    roll_back(ready.root, "walk", "Ada", "worse")

    with pytest.raises(InputError, match=f"expected one of the releases scratch-.*{first.id}, got 'latest'"):
        roll_back(ready.root, "walk", "Ada", "to", "latest")
    roll_back(ready.root, "walk", "Ada", "not so bad", first.id)

    assert ready.standing().current == first
    assert ready.standing().previous.arm == "scratch"


def test_the_same_rollback_again_is_the_same_rollback(ready: Project) -> None:
    first = promote(ready.root, "walk", "Ada", "spring")
    swap(ready.root, "walk", "models/walk/anneal/pretrained/seed-12", "Ada", "try")
    lines = len(read_history(ready.root / HISTORY))
    roll_back(ready.root, "walk", "Ada", "worse")

    done = ready.headstart("release", "rollback", "walk", "--by", "Ada", "--reason", "worse")

    assert done.code == 0, done.err
    assert f"{first.id} is in use again" in done.out
    assert "to go back further, name the release with --id, or give another reason" in done.err
    assert len(read_history(ready.root / HISTORY)) == lines + 1
    roll_back(ready.root, "walk", "Ada", "still worse")
    assert ready.standing().current.arm == "scratch"


def test_a_swap_that_is_typed_again_has_one_line(ready: Project) -> None:
    for arguments in (
        ("swap", "walk", "models/walk/anneal/pretrained/seed-12", "--by", "Ada", "--reason", "try"),
        ("swap", "walk", "models/walk/anneal/pretrained/seed-11", "--by", "Ada", "--reason", "try"),
    ):
        before = len(read_history(ready.root / HISTORY))
        first, again = ready.headstart("release", *arguments), ready.headstart("release", *arguments)
        assert (first.code, again.code) == (0, 0), again.err
        assert first.out == again.out
        assert "was written by an earlier command; it counts once" in again.err
        assert len(read_history(ready.root / HISTORY)) == before + 1


def test_a_withdrawal_again_by_somebody_else_is_another_command(ready: Project) -> None:
    withdraw(ready.root, "walk", "Ada", "a doubt")
    withdraw(ready.root, "walk", "Ada", "a doubt")

    with pytest.raises(InputError, match="expected a candidate to withdraw"):
        withdraw(ready.root, "walk", "Grace", "a doubt")
    assert len([line for line in read_history(ready.root / HISTORY) if isinstance(line.record, Withdrawn)]) == 1


def test_a_rollback_whose_bytes_are_nowhere_leaves_the_pointer(ready: Project) -> None:
    first = promote(ready.root, "walk", "Ada", "spring")
    for folder in (".dvc/cache", "models/walk/baseline", ".headstart/releases"):
        shutil.rmtree(ready.root / folder)

    with pytest.raises(InputError, match="expected to restore it, found it nowhere"):
        roll_back(ready.root, "walk", "Ada", "worse")

    assert ready.standing().current == first


def test_a_swap_is_recorded_as_unverified_and_clears_the_count(ready: Project) -> None:
    done = ready.headstart(
        "release", "swap", "walk", "models/walk/anneal/pretrained/seed-12", "--by", "Ada", "--reason", "a demonstration"
    )

    assert done.code == 0, done.err
    assert "unverified" in done.out
    assert not ready.standing().verified(ready.standing().current)
    assert (ready.standing().state, ready.standing().pass_streak, ready.standing().passed) == ("monitoring", 0, None)
    assert "unverified" in ready.headstart("release", "list").out
    assert not ready.git("tag")


def test_a_swap_to_the_candidate_of_a_pass_is_verified(ready: Project) -> None:
    release, _, verified = swap(ready.root, "walk", "models/walk/anneal/pretrained/seed-10", "Ada", "in a hurry")

    assert verified
    assert ready.standing().verified(release)


def test_a_checkpoint_from_elsewhere_can_be_swapped_in_and_out_again(ready: Project) -> None:
    _, card = load_checkpoint(ready.root / "models/walk/baseline/scratch/seed-10")
    save_checkpoint(ready.root / "models/mine", {"w": np.ones(3, np.float32)}, dict(card))

    mine, folder, verified = swap(ready.root, "walk", "models/mine", "Ada", "try mine")
    assert not verified
    require_release(mine, folder)
    roll_back(ready.root, "walk", "Ada", "no good")

    assert ready.standing().current.arm == "scratch"


@pytest.mark.parametrize(
    ("checkpoint", "words"),
    [
        ("models/nowhere", "expected a file, found none"),
        ("../elsewhere", "expected a path inside"),
    ],
)
def test_a_swap_needs_a_checkpoint_of_this_project(ready: Project, checkpoint: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        swap(ready.root, "walk", checkpoint, "Ada", "why not")


def test_a_withdrawn_candidate_begins_again(ready: Project) -> None:
    withdraw(ready.root, "walk", "Ada", "a doubt")

    assert (ready.standing().state, ready.standing().pass_streak) == ("monitoring", 0)
    with pytest.raises(InputError, match="expected a candidate to withdraw"):
        withdraw(ready.root, "walk", "Ada", "again")


@pytest.fixture
def release(ready: Project) -> Release:
    """The candidate, in a project with a remote beside .dvc, as the shipped one has it."""
    (ready.root / ".dvc/config").write_bytes((REPOSITORY / ".dvc/config").read_bytes())
    ready.commit()
    passed = ready.standing().passed
    assert passed is not None
    return passed.candidate.model_copy(update={"git_revision": ready.git("rev-parse", "HEAD").strip()})


def test_a_release_comes_from_the_cache_though_the_remote_is_empty(ready: Project, release: Release) -> None:
    shutil.rmtree(ready.root / "models/walk")

    require_release(release, restore(ready.root, release))


def test_a_release_comes_from_the_remote_if_the_cache_is_gone(ready: Project, release: Release) -> None:
    ready.dvc("push", "-q")
    assert any((ready.root / ".dvc-remote").rglob("*.dir"))
    shutil.rmtree(ready.root / "models/walk")
    shutil.rmtree(ready.root / ".dvc/cache")

    require_release(release, restore(ready.root, release))


def test_a_release_comes_from_what_is_at_hand_if_dvc_lost_it(ready: Project, release: Release) -> None:
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
