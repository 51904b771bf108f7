"""Commands of headstart and of DVC, each in a process of its own: a fork of one that has imported them, as importing takes a second."""

import atexit
import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import IO, NamedTuple

REPOSITORY = Path(__file__).parents[1]
PROGRAMS = {"headstart": "headstart.cli.main", "dvc": "dvc.cli"}  # module of its `main`
IMPORTED = (  # not torch: few commands need it, and it begins threads
    *PROGRAMS.values(), "dvc.repo.reproduce", "dvc.commands.get", "gto", "scipy.stats", "headstart.release.lineage",
    "headstart.release.promote", "headstart.release.repair", "headstart.release.verify", "headstart.storage.unneeded",
)  # fmt: skip


class Ended(NamedTuple):
    """A command that ended."""

    code: int
    out: str
    err: str


def command(cwd: Path, program: str, *arguments: str, environment: Mapping[str, str] = os.environ) -> Ended:
    """What is typed in a folder."""
    with tempfile.TemporaryDirectory() as told:
        files = [os.path.join(told, name) for name in ("out", "err")]
        asking, answering = _server()
        print(json.dumps([program, arguments, str(cwd), dict(environment), files]), file=asking, flush=True)
        code = int(answering.readline())
        return Ended(code, *(Path(file).read_text() for file in files))


def require(cwd: Path, program: str, *arguments: str, environment: Mapping[str, str] = os.environ) -> Ended:
    """The same of a command that must succeed."""
    done = command(cwd, program, *arguments, environment=environment)
    assert done.code == 0, (program, arguments, done)
    return done


@cache
def _server() -> tuple[IO[str], IO[str]]:
    """The process that is forked; it ends with this one."""
    paths = (str(REPOSITORY / "src"), str(REPOSITORY), os.environ.get("PYTHONPATH", ""))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.forked"], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert server.stdin is not None and server.stdout is not None
    atexit.register(server.wait)
    atexit.register(server.stdin.close)
    return server.stdin, server.stdout


def main() -> None:
    for name in IMPORTED:
        importlib.import_module(name)
    for line in sys.stdin:
        if not (child := os.fork()):
            _child(*json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _child(program: str, arguments: list[str], cwd: str, environment: dict[str, str], files: list[str]) -> None:
    code: object = 1
    try:
        for descriptor, file in enumerate([os.devnull, *files]):
            os.dup2(os.open(file, os.O_RDWR | os.O_CREAT), descriptor)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = [program, *arguments]
        code = importlib.import_module(PROGRAMS[program]).main()
    except SystemExit as ended:
        code = ended.code
    finally:  # as the interpreter ends
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(code if isinstance(code, int) else code is not None)


if __name__ == "__main__":
    main()
