"""What a program does to the files below a folder, call by call, in the order in which the kernel was asked (strace), or else `observer`."""

import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from tests.torture.disk import Disk
from tests.torture.observer import ACKNOWLEDGED

REPOSITORY = Path(__file__).parents[2]
OF_DESCRIPTOR = ("lseek", "write", "writev", "pwrite64", "sendfile", "ftruncate", "fsync", "fdatasync")
OF_NAMES = "open,openat,creat,truncate,rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir"
UNKNOWN = (
    "pwritev,pwritev2,copy_file_range,splice,fallocate,symlink,symlinkat"  # no program does these here, and the model lacks them
)
APPEND = -1


def acknowledge(number: int) -> None:
    """To be called by a program that is recorded: things up to this number may not be lost from here on."""
    with suppress(OSError):
        os.rmdir(f"{ACKNOWLEDGED}{number}")


def record(program: list[str], root: Path, disk: Disk, traced: bool | None = None) -> None:
    """Run a program of Python (`-m …` or `-c …`), and tell `disk`, which knows the files of `root`, what it did to them.

    It is traced, or observes itself where strace is missing or refused, which is said. Raises RuntimeError if it fails.
    """
    way = _trace if may_trace() and traced is not False else _observe
    way(program, root.resolve(), disk)


@cache
def may_trace() -> bool:
    """Whether strace is installed, and allowed."""
    return (
        bool(shutil.which("strace")) and subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True).returncode == 0
    )


def _trace(program: list[str], root: Path, disk: Disk) -> None:
    out = root.with_name(f"{root.name}.trace")
    options = f"-f -y -xx -s {1 << 24} -e signal=none -e trace={','.join(OF_DESCRIPTOR)},{OF_NAMES},{UNKNOWN} -o"
    _run(["strace", *options.split(), str(out), sys.executable, *program], root)
    recorded = _Recorded(root, disk)
    for name, arguments, result in calls(out.read_text(errors="surrogateescape")):
        recorded.tell(name, arguments, result)
    out.unlink()


def _observe(program: list[str], root: Path, disk: Disk) -> None:
    out = root.with_name(f"{root.name}.calls")
    _run([sys.executable, "-m", "tests.torture.observer", str(out), str(root), *program], root)
    for name, *arguments in pickle.loads(out.read_bytes()):
        getattr(disk, name)(*arguments)
    out.unlink()


def _run(command: list[str], root: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY / 'src'}:{REPOSITORY}", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=root)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr[-2000:]}")


def calls(trace: str) -> Iterator[tuple[str, list[str], str]]:
    """Name, arguments and result of each call that succeeded or is an acknowledgement; what another process interrupted is one call."""
    begun: dict[str, str] = {}
    for line in trace.splitlines():
        process, text = line.split(maxsplit=1)
        if text.endswith("<unfinished ...>"):
            begun[process] = text.removesuffix("<unfinished ...>")
            continue
        if resumed := re.match(r"<\.\.\. \w+ resumed>", text):
            text = begun.pop(process) + text[resumed.end() :]
        found = re.match(r"(\w+)\((.*)\)\s+= (.*)$", text)
        if found and (not found[3].startswith("-1") or found[1] == "rmdir"):
            yield found[1], re.findall(r"(?:\[[^\]]*\]|[^,\[])+", found[2].replace(", ", ",")), found[3]


class _Recorded:
    """The calls that concern a folder."""

    def __init__(self, root: Path, disk: Disk) -> None:
        self._root, self._disk = f"{root}/", disk
        self._places: dict[str, int] = {}  # descriptor<path> → where its next write goes

    def tell(self, name: str, arguments: list[str], result: str) -> None:
        if name in UNKNOWN.split(","):
            assert not any(self._root in _decoded(argument) for argument in arguments), f"{name}: not in the model"
        elif name in ("open", "openat", "creat"):
            self._opened(name, arguments, result)
        elif name == "rmdir" and result.startswith("-1"):
            if (path := _decoded(arguments[0])).startswith(ACKNOWLEDGED):
                self._disk.acknowledged(int(path.removeprefix(ACKNOWLEDGED)))
        elif name in OF_DESCRIPTOR:
            self._of_descriptor(name, arguments, result)
        elif name == "truncate":
            self._disk.truncated(self._below(_decoded(arguments[0])), int(arguments[1]))
        else:
            self._of_names(name, arguments)

    def _opened(self, name: str, arguments: list[str], result: str) -> None:
        flags = "O_CREAT|O_TRUNC" if name == "creat" else arguments[2 if name == "openat" else 1]
        path = self._below(_decoded(result))
        if path is not None and ("O_WRONLY" in flags or "O_RDWR" in flags or "O_CREAT" in flags):
            self._places[result] = self._places[path] = APPEND if "O_APPEND" in flags else 0
            self._disk.opened(path, "O_CREAT" in flags, "O_TRUNC" in flags)

    def _of_descriptor(self, name: str, arguments: list[str], result: str) -> None:
        descriptor = arguments[0]
        text = _decoded(descriptor)
        path = self._below(text) if text.startswith("/") else None  # else a pipe
        if path is None:
            return
        if name in ("fsync", "fdatasync"):
            self._disk.synced(path)
        elif name == "ftruncate":
            self._disk.truncated(path, int(arguments[1]))
        elif name == "pwrite64":
            self._disk.written(path, int(arguments[3]), _bytes(arguments[1])[: int(result)])
        elif name == "lseek":
            if self._places.get(descriptor) != APPEND:
                self._places[descriptor] = int(result)
        else:
            place = self._places.get(descriptor, self._places[path])  # of one that was duplicated: as it was opened
            at = self._disk.size(path) if place == APPEND else place
            data = self._sent(arguments, int(result)) if name == "sendfile" else _bytes(arguments[1])[: int(result)]
            self._disk.written(path, at, data)
            self._places[descriptor] = APPEND if place == APPEND else at + len(data)

    def _sent(self, arguments: list[str], length: int) -> bytes:
        at = int(re.findall(r"\d+", arguments[2])[0])
        source = self._below(_decoded(arguments[1]))
        assert source is not None, arguments
        return self._disk.content(source)[at : at + length]

    def _of_names(self, name: str, arguments: list[str]) -> None:
        texts = [_decoded(argument) for argument in arguments]
        kind = name.removesuffix("2").removesuffix("at")
        if kind != name:  # each path has the folder before it to which it is relative
            texts = [os.path.join(*texts[i : i + 2]) for i in (0, 2) if i + 1 < len(texts)]
        change: dict[str, Callable[..., None]] = {
            "rename": self._disk.exchanged if "RENAME_EXCHANGE" in arguments[-1] else self._disk.renamed,
            "link": self._disk.linked,
            "unlink": self._disk.removed,
            "rmdir": self._disk.removed,
            "mkdir": self._disk.made,
        }
        wanted = 2 if kind in ("rename", "link") else 1
        paths = [self._below(path) for path in texts[:wanted]]
        if None not in paths:
            change[kind](*paths)
        else:
            assert paths == [None] * wanted, f"{name} leaves {self._root}: {texts}"

    def _below(self, path: str) -> str | None:
        """Relative to the folder; programs that give a relative path work in it."""
        path = os.path.normpath(os.path.join(self._root, path)) + "/"
        return path.removeprefix(self._root).rstrip("/") if path.startswith(self._root) else None


def _bytes(argument: str) -> bytes:
    """What is in quotes, one or several."""
    return b"".join(bytes.fromhex(part.replace("\\x", "")) for part in re.findall(r'"([^"]*)"', argument))


def _decoded(argument: str) -> str:
    """A path: of a descriptor it stands in <…>, else in quotes."""
    found = re.search(r"<([^>]*)>|\"([^\"]*)\"", argument)
    text = (found[1] or found[2] or "") if found else ""
    return os.fsdecode(bytes.fromhex(text.replace("\\x", "")))
