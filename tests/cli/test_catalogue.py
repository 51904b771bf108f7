"""What the commands of the catalogue print and how they end, on a small project."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.catalogued import Catalogued, flip, with_versions
from tests.released import copy_of

from headstart.core.files import write_record
from headstart.dataset.catalogue import Catalogue, read_entries
from headstart.dataset.manifest import Quality

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # in DVC, where it checks out
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("catalogued") / "walk"
    with_versions(root, ("sun", "snow"))
    return root


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Catalogued:
    project = Catalogued(copy_of(made, tmp_path / "walk").root)
    monkeypatch.chdir(project.root)
    return project


def names(project: Catalogued) -> list[str]:
    return [entry.name for entry in read_entries(project.root)]


def test_versions_are_listed_with_their_quality_and_marks(project: Catalogued, command: Command) -> None:
    sun, snow = names(project)
    path = project.root / "data/catalogue/walk.json"
    first, second = read_entries(project.root)
    plain = Quality(success_rate=None, harm_rate=None, return_mean=None, steps_mean=15.0)
    write_record(path, Catalogue(scenario="walk", entries=(first.model_copy(update={"quality": plain}), second)))
    assert command("catalogue", "tag", sun, "best")[:2] == (0, f"{sun}: tags best\n")
    assert command("catalogue", "deprecate", sun)[:2] == (0, f"{sun}: deprecated; tags best\n")

    code, out, _ = command("catalogue", "list")

    assert code == 0
    assert [line.split() for line in out.splitlines()] == [
        ["episodes", "steps", "success", "return"],
        [sun, "2", "30", "–", "–"],
        ["deprecated;", "tags", "best"],
        ["*", snow, "2", "30", "0.900", "1.500"],
    ]
    assert max(map(len, out.splitlines())) <= 80


def test_a_long_name_leaves_the_table_within_eighty_columns(
    project: Catalogued, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    entry = read_entries(project.root)[0].model_copy(update={"dataset": "d" * 60, "scenario": "d" * 60})
    write_record(project.root / f"data/catalogue/{'d' * 60}.json", Catalogue(scenario="d" * 60, entries=(entry,)))

    _, out, _ = command("catalogue", "list")

    assert max(map(len, out.splitlines())) <= 80


def test_marks_can_be_taken_back(project: Catalogued, command: Command) -> None:
    sun, _ = names(project)
    for arguments, says in (
        (("tag", sun, "best"), "tags best"),
        (("tag", sun, "best"), "tags best"),
        (("deprecate", sun), "deprecated; tags best"),
        (("tag", sun, "best", "--undo"), "deprecated"),
        (("deprecate", sun, "--undo"), "active"),
    ):
        assert command("catalogue", *arguments)[:2] == (0, f"{sun}: {says}\n")
    assert command("catalogue", "note", sun, "recorded by hand")[:2] == (0, f"{sun}: 1 note\n")
    assert command("catalogue", "tag", "walk@000000000000", "best")[0] == 2


def test_all_that_is_known_of_a_version_is_shown_in_eighty_columns(
    project: Catalogued, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    sun, _ = names(project)
    project.remote("store", default=True)
    project.push("store")
    command("catalogue", "note", sun, "recorded by hand, " * 10 + "on a quiet day")
    commits = project.git("log", "--reverse", "--format=%H", "--", "dvc.lock").split()
    (entry, _) = read_entries(project.root)

    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = command("catalogue", "show", sun)

    assert code == 0
    assert max(len(line) for line in out.splitlines() if len(line.split()) > 1) <= 80  # a path is not broken
    said = " ".join(out.split())
    assert out.startswith(f"{sun}: active\n")
    for words in (
        "episodes 2 accepted, 0 rejected; 30 steps",
        "means success 0.900, harm 0.100, return 1.500, steps 10.000",
        "capture worlds=1",
        "licence the scenario states none",
        entry.stored[0].manifest_sha256,
        str(entry.stored[0].files_md5),
        f"commit {commits[0][:12]}",
        "models models/walk/bc ",
        "bytes cache: 6 of 6 objects",
        "walk-store): 6 of 6 objects",
        "on a quiet day",
    ):
        assert words.strip() in said, words
    assert command("catalogue", "show", "walk")[1].startswith(names(project)[1])  # the newest


def test_a_check_counts_what_was_checked(project: Catalogued, command: Command) -> None:
    sun, snow = names(project)
    project.remote("store", default=True)
    away = f"the folder {project.root.parent / 'walk-store'} is not on this machine; `headstart remote use` sets a remote that is"

    code, out, _ = command("catalogue", "check")

    assert code == 0
    *lines, not_asked = out.splitlines()
    assert not_asked == f"not asked: remote store ({project.root.parent / 'walk-store'}): {away}"
    assert lines == [
        f"{sun}  cache",
        f"{snow}  data/walk as recorded, cache",
        "2 versions: 1 checked in the workspace, 2 checked in the cache, 0 on a remote; 0 cannot be checked, for their bytes are nowhere",
    ]
    shutil.rmtree(project.root / ".dvc/cache")
    assert (
        "1 checked in the workspace, 0 checked in the cache, 0 on a remote; 1 cannot be checked"
        in command("catalogue", "check")[1]
    )


@pytest.mark.parametrize("where", ["cache", "workspace", "catalogue"])
def test_a_check_finds_a_difference_and_ends_with_4(project: Catalogued, command: Command, where: str) -> None:
    sun, _ = read_entries(project.root)
    match where:
        case "cache":
            flip(project.cached(str(sun.stored[0].manifest_md5)))
        case "workspace":
            file = project.root / "data/walk/curated/episodes.tsv"
            data = file.read_bytes()
            file.unlink()
            file.write_bytes(data[:-1])
        case _:
            path = project.root / "data/catalogue/walk.json"
            content = json.loads(path.read_text())
            del content["entries"][0]
            path.write_text(json.dumps(content))

    code, _, err = command("catalogue", "check")

    assert code == 4
    assert "problem" in err
    assert {"cache": "is corrupt", "workspace": "episodes.tsv: expected", "catalogue": "found none"}[where] in err


def test_a_remote_that_is_away_is_said_not_to_have_been_asked(project: Catalogued, command: Command) -> None:
    project.dvc("remote", "add", "--default", "far", "ssh://localhost:1/nothing")

    code, out, _ = command("catalogue", "check")

    assert code == 0
    assert "not asked: remote far (ssh://localhost:1/nothing): " in out


def test_fetch_says_what_came_from_where_and_warns_of_what_was_corrupt(project: Catalogued, command: Command) -> None:
    project.remote("store", default=True)
    project.push("store")
    sun, _ = read_entries(project.root)
    bad = project.cached(str(sun.stored[0].manifest_md5))
    flip(bad)

    code, out, err = command("catalogue", "fetch", sun.name)

    assert code == 0
    assert out == (
        f"{sun.name}: datasets/{sun.name}, 1 object from store, 5 objects from cache; its hashes are those of the catalogue\n"
    )
    assert err.startswith(f"warning: the cache: {bad} is corrupt")


def test_fetch_of_an_unknown_name_tells_the_nearest(project: Catalogued, command: Command) -> None:
    sun, snow = names(project)
    assert command("catalogue", "fetch", "wolk")[::2] == (
        2,
        "error: wolk: the catalogue has no such dataset (did you mean 'walk'?); there are walk\n",
    )
    code, _, err = command("catalogue", "fetch", f"{sun[:-1]}{'0' if sun[-1] != '0' else '1'}")
    assert code == 2
    assert f"there are {sun}, {snow}" in err


def test_a_folder_that_was_typed_is_from_where_it_was_typed(project: Catalogued, command: Command, tmp_path: Path) -> None:
    sun, _ = names(project)
    (project.root / "below").mkdir()
    os.chdir(project.root / "below")

    assert command("catalogue", "fetch", sun, "--out", "mine")[0] == 0

    assert (project.root / "below/mine/validated.json").exists()
