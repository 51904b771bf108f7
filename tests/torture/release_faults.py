"""Releases under faults: a command is killed, or the disk refuses, at any of its calls; typed again it must end as one without a fault."""

import errno
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import scipy.stats  # noqa: F401 # once for all forks, of which some compute with it
from tests.released import Project, copy_of, new_project
from tests.torture.counts import Counts

from headstart.config.history import HISTORY, Drilled, read_history
from headstart.core.errors import HeadstartError
from headstart.release.lock import require_release
from headstart.release.promote import promote
from headstart.release.record import record_drill, record_verdict
from headstart.release.rollback import RESTORED, roll_back, swap, withdraw
from headstart.release.standing import fold
from headstart.release.verify import history_findings, release_findings

CHANGES = (
    "open",
    "os.rename",
    "os.mkdir",
    "os.remove",
    "os.rmdir",
    "os.truncate",
    "subprocess.Popen",
)  # of Python's audit events
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.torture.release_faults"])

COMMANDS: dict[str, Callable[[Path], object]] = {
    "promote": lambda root: promote(root, "walk", "Ada", "spring"),
    "rollback": lambda root: roll_back(root, "walk", "Ada", "worse"),
    "swap": lambda root: swap(root, "walk", "models/walk/anneal/pretrained/seed-12", "Ada", "by hand"),
    "withdraw": lambda root: withdraw(root, "walk", "Ada", "a doubt"),
    "record": lambda root: record_verdict(root, "walk", "Ada"),
    "drill": lambda root: record_drill(root, Drilled(passed=True, rounds=3, guardrails=("ratio",)), "Ada", "weekly"),
}


def run_one(command: str, root: Path, at: int, fault: str, count: Path) -> None:
    """In a process of its own: the command, with a fault at its `at`-th change of a file or call of a program. Exits with 1 for an own error."""
    seen = 0

    def change() -> None:
        nonlocal seen
        seen += 1
        if seen != at:
            return
        if fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(getattr(errno, fault), os.strerror(getattr(errno, fault)))

    def audited(event: str, arguments: tuple[Any, ...]) -> None:
        if event in CHANGES and (event != "open" or arguments[2] & WRITES):
            change()

    for name in ("write", "fsync", "ftruncate"):
        setattr(os, name, _after(change, getattr(os, name)))
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    sys.addaudithook(audited)
    try:
        COMMANDS[command](root)
    except (HeadstartError, OSError):  # of both `headstart` makes one line
        os._exit(1)
    at = 0
    count.write_text(str(seen))
    os._exit(0)


def _after(change: Callable[[], None], call: Callable[..., Any]) -> Callable[..., Any]:
    def changed(*arguments: Any) -> Any:
        change()
        return call(*arguments)

    return changed


class End(NamedTuple):
    """What a command left."""

    events: list[tuple[str, str, str]]  # kind, actor and reason of each line
    tags: list[str]  # names and commits
    problems: list[str]  # of `headstart verify`


class Kept:
    """A project to which a trial can come back."""

    def __init__(self, project: Project) -> None:
        self.project, self.root = project, project.root
        self._history = (self.root / HISTORY).read_bytes()
        self._refs = project.git("for-each-ref", "--format=%(refname) %(objectname)", "refs/tags").split("\n")[:-1]
        self._restored = project.root.with_name("restored")
        if (self.root / RESTORED).exists():
            shutil.copytree(self.root / RESTORED, self._restored)

    def again(self) -> None:
        (self.root / HISTORY).write_bytes(self._history)
        for ref in self.project.git("for-each-ref", "--format=%(refname)", "refs/tags").split():
            self.project.git("update-ref", "-d", ref)
        for line in self._refs:
            self.project.git("update-ref", *line.split())
        shutil.rmtree(self.root / ".headstart", ignore_errors=True)
        for left in (self.root / "governance").glob("*torn*"):
            left.unlink()
        if self._restored.exists():
            shutil.copytree(self._restored, self.root / RESTORED)

    def end(self) -> End:
        """Raises an error unless everything verifies."""
        faults = [*history_findings(self.root).faults, *release_findings(self.root).faults]
        lines = read_history(self.root / HISTORY)
        for standing in fold(lines).values():
            if standing.current and standing.current.id not in standing.versions:  # a promotion leaves its files where they are
                require_release(standing.current, self.root / RESTORED / standing.current.id)
        tags = self.project.git("for-each-ref", "--format=%(refname) %(*objectname)", "refs/tags").splitlines()
        return End([(line.record.kind, line.actor, line.reason) for line in lines], tags, [fault.text for fault in faults])


def ended(command: str, root: Path, at: int, fault: str) -> tuple[int, int]:
    """(exit code, number of calls) of a command with a fault at its `at`-th call; at 0 there is none."""
    count = root.with_name("count")
    process = FORKS.Process(target=run_one, args=(command, root, at, fault, count))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode, int(count.read_text()) if process.exitcode == 0 else 0


def before(command: str, ready: Project) -> Project:
    """A project in which the command can run."""
    if command == "rollback":
        promote(ready.root, "walk", "Ada", "spring")
        ready.commit()
    if command == "record":
        ready.train(range(20, 30))
        ready.commit()
    return ready


def faults(command: str, ready: Project, trials: int, draw: random.Random) -> Iterator[str | None]:
    """What was wrong after each of `trials` faults of every kind, at drawn calls of a command."""
    kept = Kept(before(command, ready))
    code, calls = ended(command, kept.root, 0, "kill")
    expected = kept.end()
    assert code == 0 and not expected.problems, (command, code, expected.problems)
    for fault in ("kill", "ENOSPC", "EIO"):
        for at in draw.sample(range(1, calls + 1), min(calls, trials)):
            kept.again()
            first, _ = ended(command, kept.root, at, fault)
            again, _ = ended(command, kept.root, 0, "kill")
            end = kept.end()
            right = first in ((-signal.SIGKILL,) if fault == "kill" else (0, 1)) and again == 0 and end == expected
            yield None if right else f"{command}, {fault} at call {at} of {calls}: exit {first}, then {again}: {end}"


def run(count: int, seed: int) -> Counts:
    """Faults in all commands, at most `count` of them."""
    draw, found = random.Random(seed), list[str | None]()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "ready").mkdir()
        project = new_project(Path(folder, "ready"))
        project.make_ready()
        for command in COMMANDS:
            Path(folder, command).mkdir()
            own = copy_of(project.root, Path(folder, command, "project"))
            found += faults(command, own, max(1, count // (3 * len(COMMANDS))), draw)
    return Counts(len(found), tuple(problem for problem in found if problem))
