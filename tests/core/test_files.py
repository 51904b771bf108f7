"""Files and directories are there in full or as they were; records come back as they went."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.many import drawn

from headstart.core.errors import InputError
from headstart.core.files import (
    fresh_directory,
    fresh_file,
    inside,
    make_directory,
    read_record,
    sha256_bytes,
    sha256_file,
    sha256_tree,
    write_bytes,
    write_record,
)
from headstart.core.record import Record

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1


class Sample(Record):
    schema_id: Literal["sample/1"] = "sample/1"
    name: str
    counts: tuple[int, ...]
    share: float


def test_hashes_are_those_of_the_standard(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")

    assert sha256_bytes(b"abc") == ABC
    assert sha256_file(tmp_path / "abc") == ABC


def test_a_tree_has_a_hash_of_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "one" / "sub").mkdir(parents=True)
    (tmp_path / "one" / "sub" / "abc").write_bytes(b"abc")
    before = sha256_tree(tmp_path / "one")
    (tmp_path / "one" / "empty").mkdir()
    with_empty = sha256_tree(tmp_path / "one")
    (tmp_path / "one" / "sub" / "abc").rename(tmp_path / "one" / "abc")

    assert before == sha256_bytes(b'{"sub/abc":"' + ABC.encode() + b'"}')
    assert with_empty == before
    assert sha256_tree(tmp_path / "one") != before


def test_a_tree_with_a_link_has_no_hash(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")

    with pytest.raises(InputError, match="got a symbolic link"):
        sha256_tree(tmp_path)


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    write_bytes(tmp_path / "new" / "f", b"old")
    write_bytes(tmp_path / "new" / "f", b"new")

    assert (tmp_path / "new" / "f").read_bytes() == b"new"
    assert os.listdir(tmp_path / "new") == ["f"]


def test_a_file_is_on_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    replace, fsync = os.replace, os.fsync

    def noted_fsync(descriptor: int) -> None:
        events.append("fsync directory" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "fsync file")
        fsync(descriptor)

    def noted_replace(source: Path, target: Path) -> None:
        events.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)

    write_bytes(tmp_path / "f", b"new")

    assert events == ["fsync file", "rename", "fsync directory"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    write_bytes(tmp_path / "f", b"old")

    with pytest.raises(RuntimeError), fresh_file(tmp_path / "f") as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError

    assert (tmp_path / "f").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["f"]


@pytest.mark.parametrize("fresh", [fresh_file, fresh_directory])
@pytest.mark.parametrize("of", ["the temporary path", "none"])
def test_an_error_of_the_system_names_the_path_that_was_asked_for(
    tmp_path: Path, fresh: Callable[[Path], AbstractContextManager[Path]], of: str
) -> None:
    with pytest.raises(PermissionError) as raised, fresh(tmp_path / "f") as temporary:
        raise PermissionError(13, "Permission denied", *[str(temporary)] * (of != "none"))
    assert raised.value.filename == str(tmp_path / "f")
    assert os.listdir(tmp_path) == []


def test_a_folder_a_pipe_and_what_a_link_to_one_names_are_not_replaced_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name, what in (("folder", "a folder"), ("pipe", "a pipe or a device"), ("link", "a pipe or a device")):
        with pytest.raises(InputError, match=f"{name}: expected a file, got {what}"):
            write_bytes(tmp_path / name, b"new")
    assert sorted(os.listdir(tmp_path)) == ["folder", "link", "pipe"]


def test_a_process_killed_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    write_bytes(tmp_path / "f", b"old")
    program = (
        "import os, signal, sys; from pathlib import Path; from headstart.core.files import fresh_file\n"
        "with fresh_file(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_bytes(b'half'); os.kill(os.getpid(), signal.SIGKILL)"
    )

    done = subprocess.run([sys.executable, "-c", program, tmp_path / "f"])

    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "f").read_bytes() == b"old"


def test_a_process_killed_while_filling_a_directory_leaves_the_old_one(tmp_path: Path) -> None:
    with fresh_directory(tmp_path / "d") as temporary:
        (temporary / "old").write_text("old")
    program = (
        "import os, signal, sys; from pathlib import Path; from headstart.core.files import fresh_directory\n"
        "with fresh_directory(Path(sys.argv[1])) as temporary:\n"
        "    (temporary / 'half').write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )

    done = subprocess.run([sys.executable, "-c", program, tmp_path / "d"])

    assert done.returncode == -signal.SIGKILL
    assert os.listdir(tmp_path / "d") == ["old"]


def test_a_directory_is_replaced_as_a_whole(tmp_path: Path) -> None:
    for content in ("old", "new"):
        with fresh_directory(tmp_path / "d") as temporary:
            (temporary / content).write_text(content)

    assert os.listdir(tmp_path / "d") == ["new"]
    assert os.listdir(tmp_path) == ["d"]


def test_a_reader_never_finds_a_directory_missing_while_others_take_its_place(tmp_path: Path) -> None:
    with fresh_directory(tmp_path / "d"):
        pass
    ended = threading.Event()

    def look() -> int:
        missing = 0
        while not ended.is_set():
            missing += not os.path.isdir(tmp_path / "d")
        return missing

    with ThreadPoolExecutor(1) as pool:
        looked = pool.submit(look)
        for _ in range(300):
            with fresh_directory(tmp_path / "d"):
                pass
        ended.set()

    assert looked.result() == 0
    assert os.listdir(tmp_path) == ["d"]


def test_every_directory_that_is_made_is_on_disk_in_its_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("headstart.core.files.sync_directory", synced.append)

    make_directory(tmp_path / "a/b/c")
    make_directory(tmp_path / "a/b/c")

    assert (tmp_path / "a/b/c").is_dir()
    assert synced == [tmp_path, tmp_path / "a", tmp_path / "a/b"]


def test_a_failed_directory_leaves_the_old_one(tmp_path: Path) -> None:
    with fresh_directory(tmp_path / "d") as temporary:
        (temporary / "old").write_text("old")

    with pytest.raises(RuntimeError), fresh_directory(tmp_path / "d") as temporary:
        (temporary / "half").write_text("half")
        raise RuntimeError

    assert os.listdir(tmp_path / "d") == ["old"]
    assert os.listdir(tmp_path) == ["d"]


def test_a_directory_does_not_take_the_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("mine")

    with pytest.raises(InputError, match="expected a directory or nothing"), fresh_directory(tmp_path / "f"):
        pass

    assert (tmp_path / "f").read_text() == "mine"


def test_a_record_is_sorted_pretty_json_and_comes_back(tmp_path: Path) -> None:
    record = Sample(name="é", counts=(1, 2), share=0.1)

    write_record(tmp_path / "r.json", record)

    lines = [
        "{",
        '  "counts": [',
        "    1,",
        "    2",
        "  ],",
        '  "name": "é",',
        '  "schema_id": "sample/1",',
        '  "share": 0.1',
        "}",
        "",
    ]
    assert (tmp_path / "r.json").read_text(encoding="utf-8") == "\n".join(lines)
    assert read_record(tmp_path / "r.json", Sample) == record


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"schema_id": "sample/1", "name": "x", "counts": [1, "2"], "share": 1}', "field counts.1: .*integer, got '2'"),
        ('{"schema_id": "sample/1", "name": "x", "counts": []}', "field share: Field required, got nothing"),
        ('{"schema_id": "sample/1", "name": "x", "counts": [], "share": 1, "more": 2}', "field more: .*not permitted, got 2"),
        ('{"schema_id": "sample/1", "name": 1, "counts": 2, "share": "a", "x": 1}', "; and 1 more"),
        ('{"schema_id": "sample/2", "name": "x", "counts": [], "share": 1}', "expected schema 'sample/1', got 'sample/2'"),
        ('{"name": "x", "counts": [], "share": 1}', "expected schema 'sample/1', got None"),
        ("[]", r"expected schema 'sample/1', got \[\]"),
    ],
)
def test_a_wrong_record_is_refused_with_file_and_field(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "r.json").write_text(text)

    with pytest.raises(InputError, match=problem) as error:
        read_record(tmp_path / "r.json", Sample)
    assert str(error.value).startswith(str(tmp_path / "r.json"))


def test_a_missing_record_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"r\.json: expected a file, found none; `headstart capture` makes it"):
        read_record(tmp_path / "r.json", Sample, made_by="headstart capture")


def test_a_copied_record_that_lost_its_shape_is_not_written(tmp_path: Path) -> None:
    broken = Sample(name="x", counts=(), share=1).model_copy(update={"counts": ("many",)})

    with pytest.warns(UserWarning, match="serialized value"), pytest.raises(InputError, match=r"field counts.0"):
        write_record(tmp_path / "r.json", broken)
    assert not (tmp_path / "r.json").exists()


@pytest.mark.parametrize("relative", ["../out", "a/../../out", "/etc/passwd", "link/x"])
def test_a_path_that_leaves_its_root_is_refused(tmp_path: Path, relative: str) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path)

    with pytest.raises(InputError, match="expected a path inside"):
        inside(tmp_path / "root", relative)


def test_a_path_within_its_root_is_given_back(tmp_path: Path) -> None:
    assert inside(tmp_path, "a/..b/c") == tmp_path / "a" / "..b" / "c"


@drawn(200, 2_000)
@given(parts=st.lists(st.sampled_from(["a", "..", ".", "", "out", "link", "\x00", "é", "/", "a" * 300]), max_size=6))
def test_no_path_leads_out_of_a_folder(parts: list[str]) -> None:
    root = _with_a_link()
    try:
        found = inside(root, "/".join(parts))
    except InputError:
        return
    assert found.resolve().is_relative_to(root.resolve())


@cache
def _with_a_link() -> Path:
    """A folder with a link out of it."""
    root = Path(mkdtemp())
    (root / "link").symlink_to(root.parent)
    return root
