"""Files damaged at random, wherever the project keeps bytes: `verify` must name each, `--repair` must bring each back of which a copy is left.

Most are planted many at a time, and one verification must name them all. A file that tells what the others should be is damaged alone.
Half of the damaged files keep the time of their last change, in which DVC and git believe.
"""

import os
import random
import shutil
import tempfile
from collections.abc import Callable
from contextlib import chdir
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from tests import pipelined
from tests.torture.counts import Counts

from headstart.config.history import HISTORY
from headstart.core import own_code
from headstart.core.contents import CONTENTS, require_whole
from headstart.core.dvc_lock import LOCK
from headstart.core.errors import HeadstartError
from headstart.dataset.catalogue import MARKS
from headstart.release.faults import Findings, guarded
from headstart.release.in_git import history_findings, mark_findings
from headstart.release.outputs import lock_findings, recorded_outputs
from headstart.release.quarantine import QUARANTINE
from headstart.release.repair import repair
from headstart.release.verify import Scope, remembered_at, verify

ROOT = Path("project")
BATCH = 100
ALONE = 8  # of how many damages one is of a file that tells what the others should be
REPAIRED, REPAIRED_ALONE = 0.3, 0.1  # shares of the damages that are also repaired
ALL = Scope(cache=True, remote="store", complete=True)
CHECK: dict[str, Callable[[Path], Findings]] = {
    LOCK: lambda root: lock_findings(root, partial(remembered_at, root)),
    HISTORY.name: history_findings,
    MARKS.name: mark_findings,
}
TELLING = (LOCK, HISTORY.as_posix(), MARKS.as_posix())


class Kept(NamedTuple):
    """One file of the project, and where it lies."""

    path: Path  # below the folder that holds the project and its remote
    what: str  # workspace, cache, spare (an object there that nothing needs), remote, git, release, telling
    data: bytes


def run(count: int, seed: int, project: Path | None = None) -> Counts:
    """Plant `count` damages in a copy of `project`, or of one made for the purpose."""
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        if project is None:
            (home / "project").mkdir()
            pipelined.make(home / "project")
        else:
            shutil.copytree(project.parent, home, symlinks=True, dirs_exist_ok=True)
        files = kept_files(home)
        problems, planted = [], 0
        quick = cache(own_code.packages_distributions)  # what is installed does not change meanwhile, and it takes long to look
        with chdir(home), patch.object(own_code, "packages_distributions", quick):
            while planted < count:
                many = min(BATCH, count - planted)
                alone = many // ALONE
                for _ in range(alone):
                    problems += damage_alone(files, draw)
                problems += damage_many(files, draw, many - alone, repaired=draw.random() < REPAIRED)
                planted += many
            problems += [str(fault) for found in verify(ROOT, ALL).values() for fault in found.faults]
    return Counts(planted, tuple(f"seed {seed}: {problem}" for problem in problems))


def kept_files(home: Path) -> list[Kept]:
    """All that the campaign may damage, with the bytes that belong there."""
    root = home / "project"
    places = {output.path: "workspace" for output in recorded_outputs(root)}
    places |= {"policies": "git", "reports/evidence": "git", ".headstart/releases": "release"}
    places[".dvc/cache/files/md5"] = "cache"
    found = [Kept(Path("project", name), "telling", (root / name).read_bytes()) for name in TELLING]
    for folder, what in [(root / name, what) for name, what in places.items()] + [(home / "project-remote", "remote")]:
        files = [folder] if folder.is_file() else sorted(path for path in folder.rglob("*") if path.is_file())
        found += [Kept(path.relative_to(home), what, path.read_bytes()) for path in files]
    sent = {file.path.parts[-2:] for file in found if file.what == "remote"}
    return [file._replace(what="spare") if file.what == "cache" and file.path.parts[-2:] not in sent else file for file in found]


# --- damage -------------------------------------------------------------------------------------------------------------


def flip(data: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << draw.randrange(8))]) + data[at + 1 :]


def truncate(data: bytes, draw: random.Random) -> bytes:
    return data[: draw.randrange(len(data))]


def extend(data: bytes, draw: random.Random) -> bytes:
    return data + draw.choice([b"\n", b"\0" * 512, data[-40:], draw.randbytes(7)])


def zero(data: bytes, draw: random.Random) -> bytes:
    """A block of the disk that was never written."""
    at = draw.randrange(len(data))
    size = min(draw.choice([1, 16, 512, 4096]), len(data) - at)
    return data[:at] + b"\0" * size + data[at + size :]


CHANGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (flip, flip, truncate, extend, zero)


def put(path: Path, data: bytes | None, draw: random.Random) -> None:
    """Write a file in place, or remove it; times and mode may stay as they were."""
    about = path.stat()
    os.chmod(path, 0o644)
    if data is None:
        path.unlink()
        return
    path.write_bytes(data)
    os.chmod(path, about.st_mode)
    if draw.random() < 0.5:
        os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def damage(files: list[Kept], draw: random.Random) -> list[Kept]:
    """Damage one file, or exchange two; those that hold other bytes now."""
    one = draw.choice(files)
    kind = draw.randrange(len(CHANGES) + 2)
    if kind < len(CHANGES):
        data = CHANGES[kind](one.data, draw)
        put(one.path, data, draw)
        return [one] if data != one.data else []
    if kind == len(CHANGES) and one.what != "spare":
        put(one.path, None, draw)
        return [one]
    other = draw.choice([file for file in files if file.what == one.what])
    put(one.path, other.data, draw)
    put(other.path, one.data, draw)
    return [one, other] if one.data != other.data else []


# --- one file that tells what the others should be -----------------------------------------------------------------------


def damage_alone(files: list[Kept], draw: random.Random) -> list[str]:
    """Damage dvc.lock, the history or the catalogue: verification must name it, and repair bring it back."""
    one = draw.choice([file for file in files if file.what == "telling" for _ in range(1 if file.path.name == LOCK else 3)])
    data = one.data
    while data == one.data:
        data = draw.choice(CHANGES)(one.data, draw)
    put(one.path, data, draw)
    found = guarded(partial(CHECK[one.path.name], ROOT))
    problems = [] if named(one, [*map(str, found.faults), found.absent]) else [f"{one.path}: unnoticed"]
    if found.faults and draw.random() < REPAIRED_ALONE:
        repair(ROOT, Scope())
        problems += [] if one.path.read_bytes() == one.data else [f"{one.path}: not brought back"]
    put(one.path, one.data, draw)
    return problems


# --- many files at once -------------------------------------------------------------------------------------------------


def damage_many(files: list[Kept], draw: random.Random, count: int, repaired: bool) -> list[str]:
    """Damage so many files; verification must name all, or repair must, which also brings back what it can."""
    left, hurt = [file for file in files if file.what != "telling"], list[Kept]()
    for _ in range(count):
        changed = damage(left, draw)
        hurt += changed
        listings = [
            one.path.name for one in changed if one.path.suffix == ".dir"
        ]  # one copy of each is left, and tells the files
        left = [file for file in left if file not in changed and file.path.name not in listings]
    problems = [f"{one.path}: the next stage would read it" for one in hurt if one.what == "workspace" and read_all_the_same(one)]
    bad = [one.path.read_bytes() for one in hurt if one.path.exists()]
    said = repair(ROOT, ALL) if repaired else [str(fault) for found in verify(ROOT, ALL).values() for fault in found.faults]
    problems += [f"{one.path}: unnoticed" for one in hurt if not named(one, said)]
    if repaired:
        problems += not_brought_back(files, hurt, said)
        kept = [path.read_bytes() for path in (ROOT / QUARANTINE).rglob("*") if path.is_file()]
        problems += [f"{len(data)} bytes that were found are in no quarantine" for data in bad if data not in kept]
        shutil.rmtree(ROOT / QUARANTINE)
    for one in files:
        if not one.path.exists() or one.path.read_bytes() != one.data:
            one.path.parent.mkdir(parents=True, exist_ok=True)
            one.path.unlink(missing_ok=True)
            one.path.write_bytes(one.data)
    return problems


def read_all_the_same(one: Kept) -> bool:
    """Whether the check that every stage makes of its inputs passes, of a file in a folder that a stage sealed."""
    sealed = [folder for folder in one.path.parents if (folder / CONTENTS).exists() or one.path == folder / CONTENTS]
    try:
        return bool(sealed) and bool(require_whole(sealed[0]))
    except HeadstartError:
        return False


def named(one: Kept, said: list[str]) -> bool:
    """Whether a line names a file, or the folder of the output that it is in, if no listing of that folder is left."""
    place = Path(*one.path.parts[1:])
    return any(f"{name}{mark}" in line for line in said for name in (place, *place.parents[:-2]) for mark in ":, ")


def not_brought_back(files: list[Kept], hurt: list[Kept], said: list[str]) -> list[str]:
    """Files of which a good copy is left somewhere, and that repair did not bring back. A release comes back as a whole."""
    copies = {file.data for file in files if file not in hurt and file.what in ("workspace", "cache", "remote")}
    lost = {file.path.parent for file in hurt if file.what == "release" and file.data not in copies}
    return [
        f"{one.path}: not brought back; {' | '.join(line for line in said if named(one, [line]))}"
        for one in hurt
        if (one.data in copies and one.path.parent not in lost) or one.what == "git"
        if not one.path.exists() or one.path.read_bytes() != one.data
    ]
