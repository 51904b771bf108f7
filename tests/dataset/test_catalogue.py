"""The facts of a catalogue only grow, and no mark is lost."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.released import REPOSITORY

from headstart.core.errors import Busy, InputError, IntegrityError, UsageError
from headstart.dataset import catalogue
from headstart.dataset.catalogue import (
    MARKS,
    Entry,
    Mark,
    Stored,
    active_entries,
    add_entry,
    change_mark,
    facts_path,
    find_entry,
    read_entries,
    read_marks,
)
from headstart.dataset.manifest import Quality

FACTS = facts_path("walk")


def entry(version: int = 1, day: int = 1, **changes: object) -> Entry:
    stored = Stored(manifest_sha256=f"{version:064x}", manifest_md5=f"{version:032x}", files_md5=f"{version:032x}.dir")
    fields = {
        "dataset": "walk", "version": f"{version:012x}", "scenario": "walk", "stored": (stored,), "episodes": 3, "steps": 30, "rejected": 0,
        "quality": Quality(success_rate=0.5, harm_rate=0.0, return_mean=1.0, steps_mean=10.0), "expert": "scripted",
        "policy_sha256": "b" * 64, "created_at": f"2026-01-{day:02}T00:00:00.000Z", "parameters": {}, "licence": None,
    }  # fmt: skip
    return Entry(**(fields | changes))


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", *arguments], cwd=root, check=True)


@pytest.fixture
def committed(tmp_path: Path) -> Path:
    """A project in git whose catalogue has two versions."""
    for one in (entry(1), entry(2, 2)):
        add_entry(tmp_path, one)
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    git(tmp_path, "add", "data")
    git(tmp_path, "commit", "--quiet", "--message", "two versions")
    return tmp_path


def test_a_missing_catalogue_is_empty(tmp_path: Path) -> None:
    assert read_entries(tmp_path) == ()
    assert read_marks(tmp_path) == {}


def test_versions_follow_each_other_by_their_time_over_all_scenarios(tmp_path: Path) -> None:
    for one in (entry(1, 3), entry(2, 1), entry(3, 2, dataset="run", scenario="run")):
        add_entry(tmp_path, one)

    assert [one.name for one in read_entries(tmp_path)] == ["walk@000000000002", "run@000000000003", "walk@000000000001"]


def test_a_version_that_is_there_keeps_its_date_and_its_parameters(tmp_path: Path) -> None:
    add_entry(tmp_path, entry(1, parameters={"capture": {"seed": 1}}))
    data = (tmp_path / FACTS).read_bytes()

    add_entry(tmp_path, entry(1, 9))

    assert (tmp_path / FACTS).read_bytes() == data


def test_the_same_episodes_under_another_listing_are_the_same_version_with_one_more_hash(tmp_path: Path) -> None:
    first = entry(1)
    other = first.stored[0].model_copy(update={"files_md5": f"{7:032x}.dir"})
    add_entry(tmp_path, first)

    (found,) = add_entry(tmp_path, first.model_copy(update={"stored": (other,)}))

    assert found.stored == (first.stored[0], other)


def test_a_file_that_was_lost_comes_back_from_git(committed: Path) -> None:
    data = (committed / FACTS).read_bytes()
    (committed / FACTS).unlink()

    add_entry(committed, entry(2, 9))

    assert (committed / FACTS).read_bytes() == data


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"schema_id": "catalogue/2", "entries": []}', b"\xff" * 100])
def test_a_damaged_file_comes_back_from_git(committed: Path, damage: bytes) -> None:
    data = (committed / FACTS).read_bytes()
    (committed / FACTS).write_bytes(damage)

    add_entry(committed, entry(1))

    assert (committed / FACTS).read_bytes() == data


def test_an_edited_fact_comes_back_from_git_and_new_versions_stay(committed: Path) -> None:
    add_entry(committed, entry(3, 3))
    text = (committed / FACTS).read_text()
    (committed / FACTS).write_text(text.replace('"steps": 30', '"steps": 31', 1))

    add_entry(committed, entry(3, 3))

    assert (committed / FACTS).read_text() == text


def test_a_damaged_file_that_git_never_had_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / FACTS).parent.mkdir(parents=True)
    (tmp_path / FACTS).write_bytes(b"{")

    with pytest.raises(InputError, match=r"walk\.json: expected strict JSON.*move the file away, and `dvc repro` writes it anew"):
        add_entry(tmp_path, entry())
    assert (tmp_path / FACTS).read_bytes() == b"{"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda content: content["entries"].append(content["entries"][0]), "occurs twice"),
        (lambda content: content["entries"][0].update(scenario="run"), "expected an entry of walk"),
        (lambda content: content["entries"][0].update(stored=[]), "expected an entry of walk"),
        (lambda content: content["entries"][0].update(version="../x"), "version"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(tmp_path: Path, change, says: str) -> None:  # type: ignore[no-untyped-def]
    add_entry(tmp_path, entry())
    content = json.loads((tmp_path / FACTS).read_text())
    change(content)
    (tmp_path / FACTS).write_text(json.dumps(content))

    with pytest.raises(IntegrityError, match=says):
        read_entries(tmp_path)


# --- marks --------------------------------------------------------------------------------------------------------------


def tagged(mark: Mark, tag: str) -> Mark:
    return mark.model_copy(update={"tags": (*mark.tags, tag)})


def test_a_mark_changes_no_fact(tmp_path: Path) -> None:
    add_entry(tmp_path, entry())
    data = (tmp_path / FACTS).read_bytes()

    change_mark(
        tmp_path, "walk@000000000001", lambda mark: mark.model_copy(update={"status": "deprecated", "notes": ("no wind",)})
    )

    assert read_marks(tmp_path) == {"walk@000000000001": Mark(status="deprecated", notes=("no wind",))}
    assert active_entries(tmp_path, "walk") == ()
    assert (tmp_path / FACTS).read_bytes() == data


@pytest.mark.parametrize("tag", ["", "two words", "a\nb", "a\u202eb", "../x"])
def test_a_tag_that_is_no_name_is_refused_and_nothing_is_written(tmp_path: Path, tag: str) -> None:
    add_entry(tmp_path, entry())

    with pytest.raises(InputError, match="tags"):
        change_mark(tmp_path, "walk@000000000001", lambda mark: tagged(mark, tag))
    assert not (tmp_path / MARKS).exists()


@pytest.mark.parametrize("text", ["", " ", "two\nlines", "bell \a", "a\u202eb", "x" * 501])
def test_a_note_that_is_not_one_printable_line_is_refused(tmp_path: Path, text: str) -> None:
    add_entry(tmp_path, entry())

    with pytest.raises(InputError, match="notes"):
        change_mark(tmp_path, "walk@000000000001", lambda mark: mark.model_copy(update={"notes": (text,)}))


def test_an_unknown_version_is_told_the_nearest(tmp_path: Path) -> None:
    add_entry(tmp_path, entry())

    for name in ("walk@000000000002", "wlak"):
        with pytest.raises(UsageError, match=r"did you mean '?walk"):
            find_entry(read_entries(tmp_path), name)
    with pytest.raises(UsageError, match="expected one version, as walk@000000000001"):
        change_mark(tmp_path, "walk", lambda mark: mark)


def test_no_entry_and_no_tag_of_thirty_writers_at_once_is_lost(tmp_path: Path) -> None:
    """Half of them add versions, half add tags to one."""
    add_entry(tmp_path, entry(99))

    def write(i: int) -> None:
        if i % 2:
            add_entry(tmp_path, entry(i, i + 1))
        else:
            change_mark(tmp_path, entry(99).name, lambda mark: tagged(mark, f"tag-{i}"))

    with ThreadPoolExecutor(30) as pool:
        list(pool.map(write, range(30)))

    assert {one.name for one in read_entries(tmp_path)} == {entry(i).name for i in (99, *range(1, 30, 2))}
    assert set(read_marks(tmp_path)[entry(99).name].tags) == {f"tag-{i}" for i in range(0, 30, 2)}


WRITER = """
import sys
from pathlib import Path
from headstart.dataset.catalogue import change_mark
for i in range(20):
    change_mark(Path(), "walk@000000000001", lambda mark: mark.model_copy(update={"tags": (*mark.tags, f"{sys.argv[1]}-{i}")}))
"""


def test_processes_that_tag_one_version_lose_nothing_of_each_other(tmp_path: Path) -> None:
    add_entry(tmp_path, entry())
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(n)], cwd=tmp_path, env=environment) for n in range(3)]

    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert len(set(read_marks(tmp_path)[entry().name].tags)) == 60


HOLDER = """
import os, signal, sys
from pathlib import Path
from headstart.dataset import catalogue
with catalogue._alone(Path()):
    print("held", flush=True)
    signal.pause()
"""


def test_a_writer_that_was_killed_holds_nobody_up_and_one_that_lives_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_entry(tmp_path, entry())
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    monkeypatch.setattr(catalogue, "PATIENCE_S", 0.0)

    with pytest.raises(Busy, match=rf"process {holder.pid} has run `headstart catalogue` since"):
        change_mark(tmp_path, entry().name, lambda mark: tagged(mark, "mine"))
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    assert change_mark(tmp_path, entry().name, lambda mark: tagged(mark, "mine")).tags == ("mine",)
