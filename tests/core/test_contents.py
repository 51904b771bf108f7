"""A folder with contents.json: whatever is missing, added or changed in it is named."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.many import drawn

from headstart.core.contents import (
    CONTENTS,
    blamed_on_bytes,
    require_listed,
    require_whole,
    sealed_below,
    sealed_directory,
    tree_sha256,
)
from headstart.core.errors import HeadstartError, InputError, IntegrityError
from headstart.core.files import sha256_tree


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """models/walk/bc, relative to the working directory, with two files."""
    monkeypatch.chdir(tmp_path)
    return sealed("models/walk/bc")


def sealed(name: str) -> Path:
    with sealed_directory(Path(name)) as fresh:
        (fresh / "seed-1").mkdir()
        (fresh / "seed-1/weights").write_bytes(bytes(range(64)))
        (fresh / "card.json").write_text("{}\n")
    return Path(name)


def test_contents_list_every_file_and_depend_on_the_files_alone(
    folder: Path, require_schema: Callable[[bytes | str, str], None]
) -> None:
    text = (folder / CONTENTS).read_bytes()
    found = json.loads(text)
    assert (found["folder"], sorted(found["files"])) == ("models/walk/bc", ["card.json", "seed-1/weights"])
    assert found["files"]["seed-1/weights"]["bytes"] == 64
    require_schema(text, "contents/1")
    assert require_whole(folder).model_dump(mode="json") == found
    assert (sealed("models/walk/bc") / CONTENTS).read_bytes() == text
    absolute = Path.cwd() / "models/walk/bc"
    assert (sealed(str(absolute)) / CONTENTS).read_bytes() == text


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (lambda folder: (folder / "card.json").unlink(), "card.json: expected a file of 3 bytes, found none"),
        (lambda folder: (folder / "more").write_bytes(b""), f"more: expected no such file, since {CONTENTS} does not list it"),
        (lambda folder: (folder / ".card.json.tmp-0123456789ab").write_bytes(b"{"), "tmp-0123456789ab: expected no such file"),
        (lambda folder: (folder / "card.json").write_text("{}\r"), "card.json: expected 3 bytes with hash"),
        (lambda folder: (folder / "card.json").write_text("{} \n"), "card.json: expected 3 bytes with hash .*, found 4 with"),
        (lambda folder: (folder / CONTENTS).unlink(), f"expected {CONTENTS}, which lists the files of the folder, found none"),
        (lambda folder: (folder / CONTENTS).write_text("{}"), f"{CONTENTS}: expected schema 'contents/1'"),
        (lambda folder: os.rename(folder / "card.json", folder / "Card.json"), r"Card\.json: expected no such file"),
    ],
)
def test_a_fault_is_named(folder: Path, fault: Callable[[Path], object], says: str) -> None:
    fault(folder)
    with pytest.raises(IntegrityError, match=says):
        require_whole(folder)


def test_every_flipped_bit_is_found(folder: Path) -> None:
    for path in (folder / "card.json", folder / "seed-1/weights", folder / CONTENTS):
        before = path.read_bytes()
        for at in range(len(before)):
            for bit in (1, 8, 128):
                path.write_bytes(before[:at] + bytes([before[at] ^ bit]) + before[at + 1 :])
                with pytest.raises(HeadstartError):
                    require_whole(folder)
        path.write_bytes(before)
    require_whole(folder)


def test_contents_that_say_the_same_in_another_spelling_are_refused(folder: Path) -> None:
    path = folder / CONTENTS
    path.write_text(json.dumps(json.loads(path.read_bytes())))
    with pytest.raises(IntegrityError, match="expected the spelling with which headstart writes it"):
        require_whole(folder)


def test_a_copy_in_the_place_of_another_folder_is_refused(folder: Path) -> None:
    shutil.copytree(folder, "models/run/bc")
    with pytest.raises(IntegrityError, match="models/run/bc: expected the folder itself, found a copy of models/walk/bc"):
        require_whole(Path("models/run/bc"))


def test_a_link_is_refused(folder: Path) -> None:
    (folder / "link").symlink_to("card.json")
    with pytest.raises(InputError, match="link: expected plain files and directories"):
        require_whole(folder)


def test_a_file_is_compared_alone(folder: Path) -> None:
    (folder / "seed-1/weights").write_bytes(b"")
    require_listed(folder / "card.json")
    (folder / "card.json").write_text("[]\n")
    with pytest.raises(IntegrityError, match=r"card\.json: expected 3 bytes with hash"):
        require_listed(folder / "card.json")


def test_a_reader_that_fails_blames_bytes_that_are_not_those_listed_and_no_others(folder: Path) -> None:
    for change, blamed in ((lambda path: None, False), (lambda path: path.write_bytes(b""), True), (Path.unlink, True)):
        change(folder / "seed-1/weights")
        with pytest.raises(HeadstartError) as raised, blamed_on_bytes(folder / "seed-1/weights"):
            raise InputError("no network")
        assert isinstance(raised.value, IntegrityError) is blamed
        assert ("`headstart verify --repair` brings back" in str(raised.value)) is blamed
    with pytest.raises(InputError, match="no network"), blamed_on_bytes(Path("mine/weights")):
        raise InputError("no network")


def test_what_a_killed_writer_left_is_not_sealed() -> None:
    with sealed_directory(Path("models/walk/bc")) as fresh:
        (fresh / "card.json").write_text("{}\n")
        (fresh / ".weights.safetensors.tmp-0123456789ab").write_bytes(b"half")
    assert sorted(path.name for path in Path("models/walk/bc").iterdir()) == ["card.json", CONTENTS]


def test_the_hash_of_many_folders_is_that_of_their_files(folder: Path) -> None:
    home = Path("models/walk")
    sealed("models/walk/anneal/tiny")
    found, strays = sealed_below(home)
    assert (found, strays) == ([home / "anneal/tiny", folder], [])
    assert tree_sha256(home, found) == sha256_tree(home)
    assert tree_sha256(folder, [folder]) == sha256_tree(folder)
    (home / "anneal/left").write_bytes(b"")
    assert sealed_below(home)[1] == [home / "anneal/left"]


def test_a_folder_that_could_not_be_filled_leaves_the_old_one(folder: Path) -> None:
    with pytest.raises(KeyboardInterrupt), sealed_directory(folder) as fresh:
        (fresh / "half").write_bytes(b"")
        raise KeyboardInterrupt
    require_whole(folder)


@drawn(200, 2_000)
@given(
    files=st.dictionaries(st.sampled_from(["a", "b", "sub/a", "sub/deep/c.json"]), st.binary(max_size=9), min_size=1),
    number=st.integers(0, 10**6),
    fault=st.sampled_from(["bit", "byte more", "byte less", "gone", "new", "other name"]),
)
def test_no_change_of_any_file_goes_unnoticed(files: dict[str, bytes], number: int, fault: str) -> None:
    with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as home:  # nothing waits for a disk
        with sealed_directory(Path(home) / "out") as fresh:
            for name, data in files.items():
                (fresh / name).parent.mkdir(parents=True, exist_ok=True)
                (fresh / name).write_bytes(data)
        out = Path(home) / "out"
        require_whole(out)
        file = out / sorted([*files, CONTENTS])[number % (len(files) + 1)]
        data = bytearray(file.read_bytes())
        match fault:
            case "bit" if data:
                data[number % len(data)] ^= 1 << number % 8
                file.write_bytes(data)
            case "byte less" if data:
                del data[number % len(data)]
                file.write_bytes(data)
            case "bit" | "byte more" | "byte less":
                data.insert(number % (len(data) + 1), number % 256)
                file.write_bytes(data)
            case "gone":
                file.unlink()
            case "new":
                (file.parent / "new").write_bytes(data)
            case "other name":
                file.rename(file.with_name("moved"))

        with pytest.raises(IntegrityError):
            require_whole(out)
