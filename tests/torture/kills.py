"""SIGKILL at a random moment of every command that writes; then the command again, whose results must be those of an uninterrupted run.

Most trials are forks of a process that has imported and compiled everything, with the jobs of a pool in the same process; some have real pools
and a real DVC. After a kill no output holds a temporary file and no process is left; after the second run nothing half written is left at all.
"""

import errno
import importlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stdout, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tests.canonical import canonical_sha256
from tests.one_process import run_here
from tests.torture.counts import Counts
from tests.torture.tiny import make_project

from headstart.config.stage import main as stage_main
from headstart.core.files import sha256_bytes
from headstart.runs.pool import run_all
from headstart.telemetry.reader import read_telemetry

COMMANDS = (
    "settings walk", "source walk", "expert walk", "capture walk", "curate walk", "validate walk", "catalogue walk", "bc_train walk",
    "baseline walk scratch", "anneal walk tiny", "evaluate walk", "report walk", "settings pole", "source pole", "expert pole",
    "capture pole",
)  # fmt: skip
IN_POOLS = ("bc_train walk", "baseline walk scratch", "anneal walk tiny", "expert pole")
BY_DVC = ("capture@walk", "bc_train@walk", "expert@pole", "curate@walk")
POOLS = ("headstart.runs.arm", "headstart.stages.bc_train", "headstart.runs.expert_training")
ARMS = ("anneal", "baseline")  # folders with an output for each arm
RESULTS = ("data", "models", "reports")
REAL = 30  # of so many trials one has a real pool, and one a real DVC
WRITES = {
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.fsync",
    "shutil.copyfile",
}  # audit events; `open` counts where it writes
PROCESSES = 2
COUNTED = "counted"  # file with the number of writes of a fork that ended


class Measured(NamedTuple):
    """An uninterrupted run of a command."""

    before: Path  # the project when it began
    after: Path
    writes: int


class Fault(NamedTuple):
    """What happens at the write of that number: a kill, an error of the disk, or from then on a disk that is full; 0: nothing."""

    at: int = 0
    number: int = 0  # of the error; 0: a kill


class Trials:
    """The uninterrupted runs, and a folder for what is killed."""

    def __init__(self, home: Path, seed: int) -> None:
        self.home, self.draw, self.count = home, random.Random(seed), 0
        self.seconds = dict.fromkeys(COMMANDS, 0.5)  # of the latest whole run
        project = home / "project"
        make_project(project)
        self.runs = {command: self._measured(project, command) for command in COMMANDS}

    def _measured(self, project: Path, command: str) -> Measured:
        """Runs it in this process, which imports, and loads what is compiled, for all forks."""
        name = command.replace(" ", "-")
        before = shutil.copytree(project, self.home / f"{name}-before")
        if command.startswith("report"):  # vl_convert begins threads, after which no fork is safe
            assert ended(forked(project, command)) == 0, said(project)
            count = int((project / COUNTED).read_text())
        else:
            with chdir(project), redirect_stdout(sys.stderr), counted_writes(Fault()) as writes:
                assert _command(*command.split()) == 0, command
            count = len(writes)
        return Measured(before, shutil.copytree(project, self.home / f"{name}-after"), count)

    def _copy(self, of: Path) -> Path:
        self.count += 1
        return Path(shutil.copytree(of, self.home / f"trial-{self.count}"))

    def one(self, number: int) -> Iterator[str]:
        """A line for each thing that a kill left wrong."""
        kind = {0: self._dvc, REAL // 2 + 1: self._pool}.get(number % REAL, self._disk if number % 4 == 3 else self._fork)
        yield from kind()

    def _fork(self) -> Iterator[str]:
        command = self.draw.choice(COMMANDS)
        measured = self.runs[command]
        trial = self._copy(measured.before if self.draw.random() < 0.7 else measured.after)  # its outputs may be there already
        if self.draw.random() < 0.5:
            at = f"write {self.draw.randrange(1, measured.writes + 1)}"
            code = ended(forked(trial, command, Fault(int(at.split()[1]))))
        else:
            at = f"{self.draw.uniform(0, self.seconds[command]):.3f} s"
            pid = forked(trial, command)
            time.sleep(float(at.split()[0]))
            os.kill(pid, signal.SIGKILL)
            code = ended(pid)
        yield from self._recovered(trial, command, f"{command} killed at {at} ({code})")

    def _disk(self) -> Iterator[str]:
        """The disk is full from some write on, or one write of it fails."""
        command = self.draw.choice(COMMANDS)
        number, at = self.draw.choice([errno.ENOSPC, errno.EIO]), self.draw.randrange(1, self.runs[command].writes + 1)
        trial = self._copy(self.runs[command].before)
        where = f"{command} with {errno.errorcode[number]} at write {at}"
        code = ended(forked(trial, command, Fault(at, number)))
        text = said(trial)
        if "Traceback" in text or (code and not text.rstrip().split("\n")[-1].startswith("error: ")):
            yield f"{where}: exit {code}, {text[-900:]!r}"
        if not code:  # what failed did not matter, as the folder of what was removed
            yield from self._compared(trial, command, where, keep=True)
        yield from self._recovered(trial, command, f"{where} (exit {code})")

    def _pool(self) -> Iterator[str]:
        """The process that waits is killed, or one of its workers."""
        command = self.draw.choice(IN_POOLS)
        trial = self._copy(self.runs[command].before)
        pid, whom = forked(trial, command, pool=True), self.draw.choice(["manager", "worker"])
        time.sleep(self.draw.uniform(0.5, 6))
        below, workers = children(pid), children(pid, "spawn_main")
        victim = self.draw.choice(workers) if workers and whom == "worker" else pid
        at = f"{command}: its {'manager' if victim == pid else 'worker'} killed"
        os.kill(victim, signal.SIGKILL)
        code = ended(pid)
        if victim != pid and not (code == 1 and "was ended by SIGKILL" in said(trial) and "Traceback" not in said(trial)):
            if code != 0:  # it may have been done already
                yield f"{at}: exit {code}, {said(trial)!r}"
        yield from orphans(below, at)
        yield from self._recovered(trial, command, at)

    def _dvc(self) -> Iterator[str]:
        """DVC is killed alone, or with all that it runs."""
        cell = self.draw.choice(BY_DVC)
        command = cell.replace("@", " ")
        trial, group = self._copy(self.runs[command].before), self.draw.random() < 0.5
        shell(trial, "dvc", "init", "--no-scm", "--quiet")
        dvc = subprocess.Popen(
            ["dvc", "repro", "-s", cell], cwd=trial, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(self.draw.uniform(1, 7))
        at, below = f"dvc repro -s {cell}, {'all' if group else 'dvc alone'} killed", children(dvc.pid)
        (os.killpg if group else os.kill)(dvc.pid, signal.SIGKILL)
        dvc.wait()
        yield from orphans(below, at)
        done = shell(trial, "dvc", "repro", "-s", cell)
        if done.returncode:
            yield f"{at}: then exit {done.returncode}, {done.stdout[-300:]!r} {done.stderr[-300:]!r}"
        yield from self._compared(trial, command, at)

    def _recovered(self, trial: Path, command: str, at: str) -> Iterator[str]:
        for output in outputs(trial):
            yield from (f"{at}: {path} is in an output" for path in output.rglob(".*.tmp-*"))
        began = time.monotonic()
        if code := ended(forked(trial, command)):
            yield f"{at}: then exit {code}, {said(trial)!r}"
        self.seconds[command] = time.monotonic() - began
        yield from self._compared(trial, command, at)

    def _compared(self, trial: Path, command: str, at: str, keep: bool = False) -> Iterator[str]:
        expected, found = results(self.runs[command].after), results(trial)
        yield from (f"{at}: {path} differs" for path in expected if expected[path] != found.get(path))
        yield from (f"{at}: {path} is too much" for path in found.keys() - expected.keys())
        yield from (f"{at}: {path} is left" for path in unfinished(trial))
        yield from (f"{at}: {path} is left" for path in (trial / ".headstart").glob("[!l]*/*"))
        if not keep:
            shutil.rmtree(trial)


# --- processes ------------------------------------------------------------------------------------------------------------


def forked(project: Path, command: str, fault: Fault | None = None, pool: bool = False) -> int:
    """Run a command in a fork of this process; its id."""
    if pid := os.fork():
        return pid
    code = 99
    try:
        os.setsid()
        os.chdir(project)
        log = os.open("said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1), os.dup2(log, 2)
        if pool:
            for name in POOLS:
                importlib.import_module(name).run_all = run_all
        with counted_writes(fault or Fault()) as writes:
            code = _command(*command.split())
        Path(COUNTED).write_text(str(len(writes)))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(code)


def _command(name: str, *given: str) -> int:
    """Its exit code, as of a command that DVC runs."""
    if name == "report":  # the command writes those of all scenarios
        run = partial(importlib.import_module("headstart.view.report").write_report, Path(), *given)
    else:
        stage = getattr(importlib.import_module(f"headstart.stages.{name}"), name)
        sys.argv, run = [name, *given], partial(stage_main, stage, " ".join(given))
    try:
        run()
    except SystemExit as exit:
        return int(exit.code or 0)
    except OSError as error:
        if name != "report":
            raise
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)  # as the command does
        return 3
    return 0


_counted: list[str] = []
_fault: list[Fault] = []  # none: writes are not counted


def _hook(event: str, given: tuple[Any, ...]) -> None:
    writes = event == "open" and bool(given[2] & (os.O_WRONLY | os.O_RDWR))
    if not _fault or not (writes or event in WRITES):
        return
    _counted.append(event)
    (at, number), takes_space = _fault[0], writes or event in ("os.mkdir", "os.fsync")
    if (number == errno.ENOSPC and at <= len(_counted) and takes_space) or (number and len(_counted) == at):
        raise OSError(number, os.strerror(number), given[0] if given and isinstance(given[0], str) else None)
    if not number and len(_counted) == at:
        os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def counted_writes(fault: Fault) -> Iterator[list[str]]:
    """The writes of this process, with a fault among them."""
    _counted.clear()
    _fault[:] = [fault]
    try:
        yield _counted
    finally:
        _fault.clear()


def ended(pid: int) -> int:
    """The exit code of a process; negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def said(project: Path) -> str:
    return (project / "said").read_text() if (project / "said").exists() else ""


def children(pid: int, named: str = "") -> list[int]:
    """Of all generations, with this word in their command."""
    import psutil

    found = []
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                found += [child.pid] if named in " ".join(child.cmdline()) else []
    return found


def orphans(pids: list[int], at: str) -> Iterator[str]:
    """Those that are alive although nobody waits for them; they may take a moment to end."""
    import psutil

    left = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    _, alive = psutil.wait_procs(left, timeout=20)
    for process in alive:
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            yield f"{at}: process {process.pid} {process.cmdline()} is left"
            process.kill()


def shell(project: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=project, capture_output=True, text=True)


# --- results --------------------------------------------------------------------------------------------------------------


def outputs(project: Path) -> list[Path]:
    """The folders of data and models that stages leave, without what lies beside them half written.

    Into those of reports a stage still writes its record when they are in place; its next run removes what is half written of it.
    """
    found = [path for name in ("data", "models") for path in (project / name).glob("*/*") if path.name not in ARMS]
    found += [path for arm in ARMS for path in (project / "models").glob(f"*/{arm}/*")]
    return [path for path in found if path.is_dir() and not path.name.startswith(".")]


def unfinished(project: Path) -> list[Path]:
    return [path for name in (*RESULTS, ".headstart") for path in (project / name).rglob(".*.tmp-*")]


def results(project: Path) -> dict[str, str]:
    """Path → hash of what does not depend on the time of day."""
    paths = [path for name in RESULTS for path in (project / name).rglob("*") if path.is_file() and path.name != "run.json"]
    return {path.relative_to(project).as_posix(): _hash(path) for path in paths}


def _hash(path: Path) -> str:
    if path.suffix == ".ndjson":
        return canonical_sha256(read_telemetry(path.parent))
    data = path.read_bytes()
    if path.suffix == ".json" and "catalogue" in (path.name, path.stem, path.parent.name):
        data = "\n".join(line for line in data.decode().splitlines() if "created_at" not in line).encode()
    return sha256_bytes(data)


# --- the campaign ---------------------------------------------------------------------------------------------------------


def run(count: int, seed: int) -> Counts:
    """In a process of its own, which is forked for every trial."""
    layer = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "NUMBA_THREADING_LAYER": "workqueue"}  # of OpenMP no fork is safe
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [sys.executable, "-m", "tests.torture.kills", home, str(seed), str(count)],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            env=os.environ | layer,
            check=True,
        )
    return Counts(count, tuple(json.loads(done.stdout)))


def main(home: str, seed: str, count: str) -> None:
    """Print the problems as JSON; two forks share the trials."""
    for name in POOLS:
        importlib.import_module(name).run_all = run_here
    os.fsync = lambda descriptor: (_hook("os.fsync", ()), fsync(descriptor))[1]  # which has no audit event
    sys.addaudithook(_hook)
    trials = Trials(Path(home), int(seed))
    shares = [_share(trials, range(start, int(count), PROCESSES)) for start in range(PROCESSES)]
    assert all(ended(pid) == 0 for pid in shares)
    print(json.dumps([line for pid in shares for line in json.loads(Path(home, f"share-{pid}").read_text())]))


def _share(trials: Trials, numbers: range) -> int:
    if pid := os.fork():
        return pid
    code = 1
    try:
        trials.home = trials.home / f"share-{numbers.start}"
        trials.draw.seed(trials.draw.random() + numbers.start)
        found = [line for number in numbers for line in trials.one(number)]
        (trials.home.parent / f"share-{os.getpid()}").write_text(json.dumps(found))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


fsync = os.fsync

if __name__ == "__main__":
    main(*sys.argv[1:])
