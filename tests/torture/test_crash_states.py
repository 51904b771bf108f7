"""No crash of the computer loses what was promised; and the campaign finds the programs that could lose it. `make torture` has more states."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.torture.crash_states import checked, different, run_one
from tests.torture.disk import Disk, Tree, read_tree
from tests.torture.protocols import PROTOCOLS, Protocol
from tests.torture.recorder import may_trace, record

STATES = 100
ALL: Callable[[int], int] = lambda count: count  # noqa: E731
NONE: Callable[[int], int] = lambda count: 0  # noqa: E731

TRACED = pytest.param(True, marks=pytest.mark.skipif(not may_trace(), reason="strace is missing or not allowed"), id="traced")
TWO_WAYS = pytest.mark.parametrize("traced", [TRACED, pytest.param(False, id="observed")])


@pytest.mark.parametrize("name", PROTOCOLS)
def test_nothing_that_was_promised_is_lost(name: str) -> None:
    counts = run_one(name, STATES, seed=7)

    assert not counts.problems, str(counts)
    assert counts.planted == STATES * PROTOCOLS[name].share


PROMISED_FILE = """
import os, sys
from tests.torture.recorder import acknowledge
os.chdir(sys.argv[1])
for number in (1, 2):
    with open("new", "wb") as file:
        file.write(b"%d" % number * 50)
        file.flush()
        {sync}
    {rename}
    folder = os.open(".", os.O_RDONLY)
    {sync_folder}
    acknowledge(number)
"""
SOUND = {"sync": "os.fsync(file.fileno())", "rename": "os.rename('new', 'f')", "sync_folder": "os.fsync(folder)"}


def check_promised_file(root: Path, promised: int) -> str | None:
    found = (root / "f").read_bytes()
    return None if found in {b"%d" % n * 50 for n in (promised, promised + 1)} else f"found {found!r}"


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ({}, None),
        ({"sync": "pass"}, "found b''"),
        ({"rename": "os.remove('f'); os.rename('new', 'f')"}, "FileNotFoundError"),
        ({"sync_folder": "pass"}, f"found {b'0' * 50!r}"),
    ],
    ids=["sound", "not synced", "removed before", "folder not synced"],
)
@TWO_WAYS
def test_a_program_that_can_lose_something_is_found(
    tmp_path: Path, fault: dict[str, str], problem: str | None, traced: bool
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "f").write_bytes(b"0" * 50)
    disk = Disk(read_tree(root))
    record(["-c", PROMISED_FILE.format_map(SOUND | fault), str(root)], root, disk, traced)
    protocol = Protocol(lambda root: None, lambda root: None, check_promised_file)

    found = [checked(protocol, promised, tree, tmp_path / "crashed") for promised, tree in different(disk, random.Random(1), 60)]

    problems = [one for one in found if one]
    assert any(one.startswith(problem) for one in problems) if problem else not problems, problems


def trees(disk: Disk) -> list[Tree]:
    return [tree for _, tree in different(disk, random.Random(1), 200)]


def test_a_write_is_there_up_to_its_last_sync_and_torn_behind_it() -> None:
    disk = Disk({"f": b"old"})
    disk.written("f", 3, b"+synced")
    disk.synced("f")
    disk.written("f", 0, b"NEW")

    assert disk.after_crash(disk.now, NONE, NONE, NONE) == {"f": b"old+synced"}
    assert disk.after_crash(disk.now, NONE, NONE, lambda count: 2) == {"f": b"NEd+synced"}
    assert disk.after_crash(disk.now, ALL, ALL, NONE) == {"f": b"NEW+synced"}
    assert disk.after_crash(0, ALL, ALL, NONE) == {"f": b"old"}


def test_names_are_kept_in_their_order_and_those_of_a_synced_folder_for_sure() -> None:
    disk = Disk({"d": None, "a": b"1"})
    disk.renamed("a", "b")
    disk.opened("d/x", create=True, truncate=False)
    disk.synced("d")
    disk.removed("b")

    assert disk.after_crash(disk.now, NONE, NONE, NONE) == {"d": None, "d/x": b"", "a": b"1"}
    assert disk.after_crash(disk.now, lambda count: 1, NONE, NONE) == {"d": None, "d/x": b"", "b": b"1"}
    assert disk.after_crash(disk.now, ALL, NONE, NONE) == {"d": None, "d/x": b""}


def test_a_new_name_may_be_there_without_the_data_and_a_new_folder_not_at_all() -> None:
    disk = Disk({"f": b"old"})
    disk.made("d")
    disk.opened("d/new", create=True, truncate=False)
    disk.written("d/new", 0, b"new")
    disk.renamed("d/new", "f")

    assert disk.after_crash(disk.now, ALL, NONE, NONE) == {"d": None, "f": b""}
    assert disk.after_crash(disk.now, NONE, ALL, NONE) == {"f": b"old"}
    assert {"d": None, "f": b"ne"} in trees(disk)
    assert {"f": b"new"} not in trees(disk)  # the folder was made first


@TWO_WAYS
def test_a_record_tells_what_a_program_did_in_all_ways_of_doing_it(tmp_path: Path, traced: bool) -> None:
    """Checked against the files that are there afterwards."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "old").write_bytes(b"0123456789")
    disk = Disk(read_tree(root))
    program = """
import os, shutil, subprocess, sys
from pathlib import Path
from headstart.core.exchange import exchange
root = Path(sys.argv[1])
with open(root / "old", "r+b") as file:
    file.seek(3); file.write(b"xx"); file.seek(-1, 2); file.write(b"end"); file.flush(); file.truncate(9)
descriptor = os.open(root / "p", os.O_CREAT | os.O_RDWR)
os.pwrite(descriptor, b"late", 6); os.write(descriptor, b"be"); os.writev(descriptor, [b"tw", b"ee"])
appending = os.open(root / "p", os.O_WRONLY | os.O_APPEND)
os.write(appending, b" more")
(root / "a/b").mkdir(parents=True); (root / "c").mkdir()
shutil.copyfile(root / "old", root / "a/b/copy")
os.link(root / "old", root / "c/linked"); os.truncate(root / "c/linked", 4)
exchange(root / "a", root / "c")
subprocess.run(["sh", "-c", "echo $$ > shell; mv p moved; mkdir gone; rmdir gone"], cwd=root, check=True)
shutil.rmtree(root / "c/b")
"""

    record(["-c", program, str(root)], root, disk, traced)

    assert read_tree(root) == disk.after_crash(disk.now, ALL, ALL, NONE)
    assert sorted(read_tree(root)) == ["a", "a/linked", "c", "moved", "old", "shell"]
    assert (root / "moved").read_bytes() == b"betweelate more"


@pytest.mark.parametrize("name", ["file", "folder", "history"])
def test_a_program_that_observes_itself_tells_what_strace_tells(tmp_path: Path, name: str) -> None:
    """But for how its writes were cut, and for names of temporary files."""
    told = []
    for traced in [True] * may_trace() + [False]:
        root = tmp_path / f"root-{traced}"
        root.mkdir()
        PROTOCOLS[name].begin(root)
        disk = Disk(read_tree(root))
        record(["-m", "tests.torture.protocols", name, str(root)], root, disk, traced)
        assert read_tree(root) == disk.after_crash(disk.now, ALL, ALL, NONE)
        told.append(([len(file.syncs) for file in disk.files], len(disk.changes), [n for _, n in disk.acknowledgements]))

    assert told[0] == told[-1]
