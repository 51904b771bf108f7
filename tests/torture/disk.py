"""A disk that crashes: of the calls that a program made, what may be on it afterwards.

The data of a file are there up to its last fsync; of the writes behind that, in their order, the first ones, and of the next one its
first bytes. A name that was made, changed or removed is there if its folder was synced later; of the others, in their order, the first ones:
also where the data of the file that it names are not. That is POSIX, with the order of a journal for names.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

Tree = dict[str, bytes | None]  # path → content; None: a folder
ROOT = 0


@dataclass
class Data:
    """A change of a file's bytes: written at an offset, or cut to a size."""

    when: int
    at: int
    data: bytes | None  # None: the file has `at` bytes afterwards

    def applied(self, to: bytes, first: int | None = None) -> bytes:
        """Of a torn write only the `first` bytes are there."""
        if self.data is None:
            return to[: self.at].ljust(self.at, b"\0")
        new = self.data[:first]
        return to.ljust(self.at, b"\0")[: self.at] + new + to[self.at + len(new) :] if new else to


class Change(NamedTuple):
    """A change of names: entry → file or folder, None where it is gone."""

    when: int
    needs: dict[tuple[int, str], int]  # without these entries it cannot happen
    gives: dict[tuple[int, str], int | None]


@dataclass
class File:
    """A file, whatever its name is; of a folder only the number counts."""

    base: bytes | None
    changes: list[Data] = field(default_factory=list)
    syncs: list[int] = field(default_factory=list)


class Disk:
    """The calls of a program on a folder that began with `tree`, which is on disk."""

    def __init__(self, tree: Tree) -> None:
        self.files: list[File] = [File(None)]
        self.names: dict[tuple[int, str], int] = {}  # (folder, name) → file: as the program sees it
        for path in sorted(tree):
            self._add(path, tree[path])
        self.start = dict(self.names)
        self.changes: list[Change] = []
        self.acknowledgements: list[tuple[int, int]] = []
        self.now = 0

    def opened(self, path: str, create: bool, truncate: bool) -> None:
        where = self._entry(path)
        if where not in self.names:
            assert create, path
            self.files.append(File(b""))
            self._change({}, {where: len(self.files) - 1})
        elif truncate:
            self.truncated(path, 0)

    def written(self, path: str, at: int, data: bytes) -> None:
        self._tick()
        self._file(path).changes.append(Data(self.now, at, data))

    def truncated(self, path: str, size: int) -> None:
        self._tick()
        self._file(path).changes.append(Data(self.now, size, None))

    def synced(self, path: str) -> None:
        self._tick()
        self._file(path).syncs.append(self.now)

    def made(self, path: str) -> None:
        self.files.append(File(None))
        self._change({}, {self._entry(path): len(self.files) - 1})

    def removed(self, path: str) -> None:
        where = self._entry(path)
        self._change({where: self.names[where]}, {where: None})

    def renamed(self, old: str, new: str) -> None:
        one, other = self._entry(old), self._entry(new)
        self._change({one: self.names[one]}, {one: None, other: self.names[one]})

    def exchanged(self, old: str, new: str) -> None:
        one, other = self._entry(old), self._entry(new)
        both = {one: self.names[one], other: self.names[other]}
        self._change(both, {one: both[other], other: both[one]})

    def linked(self, old: str, new: str) -> None:
        one, other = self._entry(old), self._entry(new)
        self._change({one: self.names[one]}, {other: self.names[one]})

    def acknowledged(self, number: int) -> None:
        self._tick()
        self.acknowledgements.append((self.now, number))

    def content(self, path: str) -> bytes:
        """As the program sees it."""
        file = self._file(path)
        return _content(file, len(file.changes))

    def size(self, path: str) -> int:
        return len(self.content(path))

    def promised(self, when: int) -> int:
        """The last number that was acknowledged before a crash."""
        return max((number for at, number in self.acknowledgements if at <= when), default=0)

    def after_crash(
        self, when: int, names_kept: Callable[[int], int], data_kept: Callable[[int], int], torn: Callable[[int], int]
    ) -> Tree:
        """What is on disk if the computer stops behind call `when`; each function gets how many there are and says how many stay."""
        loose = [c for c in self.changes if c.when <= when and not self._on_disk(c, when)]
        dropped = {id(change) for change in loose[names_kept(len(loose)) :]}
        names: dict[tuple[int, str], int] = dict(self.start)
        for change in self.changes:
            if change.when <= when and id(change) not in dropped and change.needs.items() <= names.items():
                names.update({entry: file for entry, file in change.gives.items() if file is not None})
                for entry in (entry for entry, file in change.gives.items() if file is None):
                    names.pop(entry, None)
        contents = {number: self._after_crash(number, when, data_kept, torn) for number in set(names.values())}
        return dict(_tree(names, contents))

    def _after_crash(self, number: int, when: int, kept: Callable[[int], int], torn: Callable[[int], int]) -> bytes | None:
        file = self.files[number]
        if file.base is None:
            return None
        synced = max((at for at in file.syncs if at <= when), default=0)
        safe = sum(change.when <= synced for change in file.changes)
        loose = sum(change.when <= when for change in file.changes) - safe
        stays = safe + kept(loose)
        content = _content(file, stays)
        if stays < safe + loose and (data := file.changes[stays].data):
            content = file.changes[stays].applied(content, torn(len(data)))
        return content

    def _on_disk(self, change: Change, when: int) -> bool:
        """Whether all folders of it were synced later."""
        folders = {folder for folder, _ in change.gives}
        return all(any(change.when < at <= when for at in self.files[folder].syncs) for folder in folders)

    def _change(self, needs: Mapping[tuple[int, str], int], gives: Mapping[tuple[int, str], int | None]) -> None:
        self._tick()
        self.changes.append(Change(self.now, dict(needs), dict(gives)))
        for entry, file in gives.items():
            if file is None:
                del self.names[entry]
            else:
                self.names[entry] = file

    def _add(self, path: str, content: bytes | None) -> None:
        self.files.append(File(content))
        self.names[self._entry(path)] = len(self.files) - 1

    def _tick(self) -> None:
        self.now += 1

    def _entry(self, path: str) -> tuple[int, str]:
        *folders, name = path.split("/")
        folder = ROOT
        for part in folders:
            folder = self.names[folder, part]
        return folder, name

    def _file(self, path: str) -> File:
        return self.files[self.names[self._entry(path)] if path else ROOT]


def crash_states(disk: Disk, draw: random.Random) -> Iterator[tuple[int, Tree]]:
    """(what was promised, tree) for crashes without end: first the extremes behind every call, then drawn ones."""
    least, most = (lambda count: 0), (lambda count: count)
    for when in range(disk.now + 1):
        for names_kept in (least, most):
            for data_kept in (least, most):
                yield disk.promised(when), disk.after_crash(when, names_kept, data_kept, least)
    drawn = lambda count: draw.randint(0, count)  # noqa: E731
    while True:
        when = draw.randint(0, disk.now)
        yield disk.promised(when), disk.after_crash(when, drawn, drawn, drawn)


def read_tree(root: Path) -> Tree:
    """All files and folders below `root`."""
    return {p.relative_to(root).as_posix(): None if p.is_dir() else p.read_bytes() for p in root.rglob("*")}


def write_tree(root: Path, tree: Tree) -> None:
    """Make them."""
    root.mkdir()
    for path in sorted(tree):
        if (content := tree[path]) is None:
            (root / path).mkdir()
        else:
            (root / path).write_bytes(content)


def _content(file: File, changes: int) -> bytes:
    content = file.base or b""
    for change in file.changes[:changes]:
        content = change.applied(content)
    return content


def _tree(
    names: Mapping[tuple[int, str], int], contents: Mapping[int, bytes | None], folder: int = ROOT, above: str = ""
) -> Iterator[tuple[str, bytes | None]]:
    for (parent, name), file in names.items():
        if parent == folder:
            yield above + name, contents[file]
            if contents[file] is None:
                yield from _tree(names, contents, file, f"{above}{name}/")
