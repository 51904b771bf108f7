"""Crashes of the computer: for every call that a program makes, what a disk may hold if it stops there, and whether all goes on from it.

The calls are recorded with strace (`recorder`), and what a disk may hold then follows from POSIX (`disk`). `protocols` lists the programs.
"""

import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stderr
from io import StringIO
from itertools import islice
from pathlib import Path

from tests.torture.counts import Counts
from tests.torture.disk import Disk, Tree, crash_states, read_tree, write_tree
from tests.torture.protocols import PROTOCOLS, Protocol
from tests.torture.recorder import record

MEMORY = Path("/dev/shm")  # a disk that does not wait


def run(count: int, seed: int) -> Counts:
    """As many different states of every protocol; of those that call git, and of those that have no more, fewer."""
    counts = [run_one(name, count, seed) for name in PROTOCOLS]
    return Counts(sum(one.planted for one in counts), tuple(problem for one in counts for problem in one.problems))


def run_one(name: str, count: int, seed: int) -> Counts:
    """Of one protocol."""
    protocol, planted, problems = PROTOCOLS[name], 0, []
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        disk = recorded(name, protocol, Path(folder))
        for promised, tree in different(disk, random.Random(seed), round(count * protocol.share)):
            planted += 1
            if problem := checked(protocol, promised, tree, Path(folder) / "crashed"):
                problems.append(f"{name}, {promised} promised: {problem}")
    return Counts(planted, tuple(problems))


def recorded(name: str, protocol: Protocol, folder: Path) -> Disk:
    """What the program of a protocol did."""
    root = folder / "root"
    root.mkdir()
    protocol.begin(root)
    disk = Disk(read_tree(root))
    record(["-m", "tests.torture.protocols", name, str(root)], root, disk)
    assert read_tree(root) == disk.after_crash(disk.now, *3 * [lambda count: count]), f"{name}: a call is missing in the record"
    shutil.rmtree(root)
    return disk


def different(disk: Disk, draw: random.Random, count: int) -> Iterator[tuple[int, Tree]]:
    """`count` states that differ, or all that a hundred times as many draws find."""
    seen = set()
    for promised, tree in islice(crash_states(disk, draw), 100 * count):
        key = hash((promised, frozenset(tree.items())))
        if key not in seen:
            seen.add(key)
            yield promised, tree
        if len(seen) == count:
            return


def checked(protocol: Protocol, promised: int, tree: Tree, root: Path) -> str | None:
    """What is wrong with a state."""
    write_tree(root, tree)
    try:
        with redirect_stderr(StringIO()):
            return protocol.check(root, promised)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        shutil.rmtree(root)
