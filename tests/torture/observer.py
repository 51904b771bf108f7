"""What a program of Python does to the files below a folder, as it sees itself: where strace is missing, or the kernel refuses to trace.

Before each call that syncs, renames or removes, the files are compared with what was known of them, so that whoever wrote to them is seen. What
another program wrote, such as git, counts as synced when it ends: that is less than strace sees.
"""

import os
import pickle
import runpy
import sys
from pathlib import Path
from typing import Any

from tests.torture.disk import Tree, read_tree

from headstart.core import exchange

ACKNOWLEDGED = "/acknowledged/"  # a program asks to remove this folder when it has told its user that something is done


class Observer:
    """The calls so far, as names and arguments of methods of `Disk`."""

    def __init__(self, root: Path) -> None:
        self.root, self.known, self.calls = root, read_tree(root), list[tuple[Any, ...]]()
        self._others = False  # whether another program may have written since the last look

    def look(self) -> None:
        """Note what changed since the last look."""
        now = read_tree(self.root)
        for path in sorted(now):
            if path not in self.known:
                self.calls.append(("made", path) if now[path] is None else ("opened", path, True, False))
            self._content(path, self.known.get(path) or b"", now[path] or b"")
        for path in sorted(self.known.keys() - now.keys(), reverse=True):
            self.calls.append(("removed", path))
        self.known, self._others = now, False

    def _content(self, path: str, old: bytes, new: bytes) -> None:
        if old == new:
            return
        same = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
        if len(new) < len(old):
            self.calls.append(("truncated", path, len(new)))
        if new[same:]:
            self.calls.append(("written", path, same, new[same:]))
        if self._others:
            self.calls.append(("synced", path))

    def audited(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Python is about to do something."""
        match event:
            case "os.rmdir" if str(arguments[0]).startswith(ACKNOWLEDGED):
                self.look()
                self.calls.append(("acknowledged", int(str(arguments[0]).removeprefix(ACKNOWLEDGED))))
            case "os.rename":
                self._named("renamed", self._path(arguments[0], arguments[2]), self._path(arguments[1], arguments[3]))
            case "os.remove" | "os.rmdir":
                self._named("removed", self._path(arguments[0], arguments[1]))
            case "open" | "os.mkdir" | "os.link" | "os.truncate":
                if event != "open" or arguments[2] & (os.O_WRONLY | os.O_RDWR):
                    self.look()
            case "subprocess.Popen":
                self.look()
                self._others = True

    def _named(self, change: str, *paths: str | None) -> None:
        """A change of names, which is about to happen."""
        if None in paths:
            return
        self.look()
        self.calls.append((change, *paths))
        tree: Tree = {}
        for path, content in self.known.items():
            if change == "exchanged":
                tree[_moved(path, paths[0], paths[1]) or _moved(path, paths[1], paths[0]) or path] = content
            elif change == "renamed":
                if path != paths[1]:
                    tree[_moved(path, paths[0], paths[1]) or path] = content
            elif path != paths[0]:
                tree[path] = content
        self.known = tree

    def synced(self, descriptor: int) -> None:
        self.look()
        if (path := self._path(f"/proc/self/fd/{descriptor}", -1)) is not None:
            self.calls.append(("synced", path))

    def exchanged(self, one: bytes, other: bytes) -> None:
        self._named("exchanged", self._path(os.fsdecode(one), -1), self._path(os.fsdecode(other), -1))

    def _path(self, path: Any, folder: int) -> str | None:
        text = os.fspath(path) if folder == -1 else os.path.join(f"/proc/self/fd/{folder}", os.fspath(path))
        parent, name = os.path.split(os.fsdecode(text))
        whole = (
            os.path.realpath(text) if "/fd/" in parent + "/" and folder == -1 else os.path.join(os.path.realpath(parent), name)
        )
        relative = os.path.relpath(whole, self.root)
        return None if relative.startswith("..") else "" if relative == "." else relative


def _moved(path: str, old: str | None, new: str | None) -> str | None:
    return f"{new}{path[len(old) :]}" if old is not None and (path == old or path.startswith(f"{old}/")) else None


def main(out: Path, root: Path, program: list[str]) -> None:
    """Run `-m MODULE …` or `-c CODE …`, and write the calls."""
    observer = Observer(root.resolve())
    fsync, atomically = os.fsync, exchange._atomically

    def synced(descriptor: int) -> None:
        observer.synced(descriptor)
        fsync(descriptor)

    def exchanged(one: bytes, other: bytes) -> bool:
        observer.exchanged(one, other)
        return atomically(one, other)

    os.fsync, exchange._atomically = synced, exchanged
    sys.addaudithook(observer.audited)
    kind, name, *rest = program
    sys.argv = [name if kind == "-m" else kind, *rest]
    if kind == "-m":
        runpy.run_module(name, run_name="__main__")
    else:
        exec(compile(name, "<program>", "exec"), {"__name__": "__main__"})
    observer.look()
    out.write_bytes(pickle.dumps(observer.calls))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
