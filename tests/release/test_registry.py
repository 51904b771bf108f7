"""Tags of promoted versions follow the history."""

import subprocess
from pathlib import Path

import pytest
from gto.tag import find
from scmrepo.git import Git as Scm
from tests.histories import lines_of, release, verdict

from headstart.config.history import HISTORY, Event, Line, Promoted, Release, RolledBack, Swapped
from headstart.core.errors import IntegrityError
from headstart.core.files import write_bytes
from headstart.core.strict_json import canonical_json
from headstart.release.registry import (
    follow_history,
    next_version,
    off_the_history,
    open_recovered,
    recovered_lines,
    tag_problems,
    tags_asked_for,
)
from headstart.release.standing import Standing, standing_of


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "config", "user.name", "Ada")
    git(tmp_path, "config", "user.email", "ada@example.org")
    git(tmp_path, "commit", "--allow-empty", "--quiet", "--message", "Begin")
    return tmp_path


def trained(root: Path, seed: int) -> Release:
    """A checkpoint of a commit of its own."""
    git(root, "commit", "--allow-empty", "--quiet", "--message", "More")
    return release(seed=seed, revision=git(root, "rev-parse", "HEAD"))


def promotions(*releases: Release) -> list[Event]:
    """Each is judged twice and promoted."""
    events: list[Event] = []
    for number, one in enumerate(releases, start=1):
        events += [verdict(2 * number + n, candidate=one) for n in range(2)]
        events.append(Promoted(scenario="walk", release=one.id, version=f"v{number}.0.0"))
    return events


def saved(root: Path, lines: tuple[Line, ...]) -> None:
    write_bytes(root / HISTORY, b"".join(canonical_json(line.model_dump(mode="json")) + b"\n" for line in lines))


def prod(root: Path) -> tuple[str, str]:
    """The version on the stage by GTO, and the revision that DVC takes for it."""
    shown = subprocess.run(["gto", "show", "walk#prod", "--ref"], cwd=root, capture_output=True, text=True).stdout
    tags = find(name="walk", stage="prod", scm=Scm(root))  # as dvc.repo.artifacts does it
    return shown.strip(), tags[-1].target if tags else ""


def test_a_scenario_without_a_promotion_has_no_tags(repository: Path) -> None:
    mine = trained(repository, 1)
    swapped = lines_of(Swapped(scenario="walk", release=mine, baseline=None))

    assert tags_asked_for(swapped, "walk") == {}
    saved(repository, swapped)
    assert recovered_lines(repository) == swapped
    assert git(repository, "tag") == ""


def test_versions_count_up_and_the_release_in_use_is_on_the_stage_at_once(repository: Path) -> None:
    """All in one second: what GTO and DVC take does not depend on the times of tags."""
    first, second, other = (trained(repository, seed) for seed in (1, 2, 3))
    events = promotions(first, second)
    steps: list[tuple[list[Event], tuple[str, str]]] = [
        (events[:3], ("walk@v1.0.0", first.git_revision)),
        (events, ("walk@v2.0.0", second.git_revision)),
        ([*events, RolledBack(scenario="walk", release=first.id)], ("walk@v1.0.0", first.git_revision)),
    ]
    swap = Swapped(scenario="walk", release=other, baseline=None)
    steps.append(([*steps[-1][0], swap], ("", "")))
    steps.append(([*steps[-1][0], RolledBack(scenario="walk", release=second.id)], ("walk@v2.0.0", second.git_revision)))

    assert next_version(repository, Standing("walk")) == "v1.0.0"
    for done, expected in steps:
        follow_history(repository, lines_of(*done), ["walk"])
        assert prod(repository) == expected

    for version, promoted in ((1, first), (2, second)):
        assert git(repository, "rev-parse", f"walk@v{version}.0.0^{{commit}}") == promoted.git_revision
    assert next_version(repository, standing_of(lines_of(*steps[-1][0]), "walk")) == "v3.0.0"


def test_tags_that_are_there_are_not_set_again(repository: Path) -> None:
    lines = lines_of(*promotions(trained(repository, 1)))

    assert follow_history(repository, lines, ["walk"]) == ["walk@v1.0.0", "walk#prod#1"]
    assert follow_history(repository, lines, ["walk"]) == []


def test_from_every_state_between_two_changes_the_same_tags_are_reached(repository: Path) -> None:
    """Any of the tags before and after a second promotion, as a command that was killed may have left them."""
    first, second = trained(repository, 1), trained(repository, 2)
    events = promotions(first, second)
    before, after = lines_of(*events[:3]), lines_of(*events)
    follow_history(repository, before, ["walk"])
    old = refs(repository)
    follow_history(repository, after, ["walk"])
    new = refs(repository)
    names = sorted({*old, *new})
    assert names == ["walk#prod#1", "walk#prod#2", "walk@v1.0.0", "walk@v2.0.0"]

    for there in range(2 ** len(names)):
        for bit, name in enumerate(names):
            if there >> bit & 1:
                git(repository, "update-ref", f"refs/tags/{name}", {**old, **new}[name])
            elif name in refs(repository):
                git(repository, "tag", "--delete", name)
        follow_history(repository, after, ["walk"])
        assert refs(repository) == new


def refs(root: Path) -> dict[str, str]:
    listed = git(root, "for-each-ref", "--format=%(refname:strip=2) %(objectname)", "refs/tags")
    return dict(line.split(" ") for line in listed.splitlines())


def test_verify_names_a_tag_that_is_missing_elsewhere_or_too_many(repository: Path) -> None:
    first = trained(repository, 1)
    lines = lines_of(*promotions(first))
    missing, stage = tag_problems(repository, lines)
    assert missing.startswith(
        f"tag walk@v1.0.0: expected revision {first.git_revision}, as governance/history.ndjson says, it is not here"
    )
    assert "`git fetch --tags`" in missing and "walk#prod#1" in stage

    follow_history(repository, lines, ["walk"])
    assert list(tag_problems(repository, lines)) == []

    git(repository, "tag", "--force", "--annotate", "--message", "mine", "walk@v1.0.0", "HEAD~1")
    git(repository, "tag", "--annotate", "--message", "mine", "walk#prod#7")
    git(repository, "tag", "--annotate", "--message", "of another scenario", "walk2#prod#7")
    moved, more = tag_problems(repository, lines)
    assert f"found {git(repository, 'rev-parse', 'HEAD~1')}" in moved
    assert more.startswith("tag walk#prod#7: expected none")


def test_a_reader_finishes_what_was_left_and_says_so(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of(*promotions(trained(repository, 1)))
    saved(repository, lines)

    assert recovered_lines(repository) == lines

    assert git(repository, "tag").split() == ["walk#prod#1", "walk@v1.0.0"]
    said = capsys.readouterr().err
    assert "was promoted by Ada: because; an earlier command did not get so far, done now: walk@v1.0.0, walk#prod#1" in said


def test_a_reader_reads_while_another_process_writes(
    repository: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = lines_of(*promotions(trained(repository, 1)))
    saved(repository, lines)
    monkeypatch.setattr("headstart.config.history.PATIENCE_S", 0)

    with open_recovered(repository, "headstart promote walk"):
        assert recovered_lines(repository) == lines

    assert "what an interrupted command left is not finished" in capsys.readouterr().err


def test_a_tag_that_cannot_be_set_is_said_and_stops_no_other_command(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = release(seed=1, revision="f" * 40)
    lines = lines_of(*promotions(lost))
    saved(repository, lines)

    with open_recovered(repository, "a test") as history:
        assert history.lines == lines
        assert "a tag could not be set: " in capsys.readouterr().err
        with pytest.raises(IntegrityError, match=r"a tag could not be set: .*; once that is corrected, the next"):
            follow_history(repository, lines, ["walk"])


def test_a_version_that_somebody_else_tagged_is_left_out(repository: Path) -> None:
    git(repository, "tag", "--annotate", "--message", "mine", "walk@v1.0.0")

    assert next_version(repository, Standing("walk")) == "v2.0.0"


def test_missing_tags_come_before_those_that_go(repository: Path) -> None:
    """A crash between them leaves two tags on the stage, which the next command mends, and never an unfinished version."""
    first, second = trained(repository, 1), trained(repository, 2)
    events = promotions(first, second)
    follow_history(repository, lines_of(*events[:3]), ["walk"])

    found = off_the_history(repository, "walk", tags_asked_for(lines_of(*events), "walk"))

    assert found == ["walk@v2.0.0", "walk#prod#2", "walk#prod#1"]
