"""Two directories change names in one step, or in three where the system cannot."""

import errno
import os
from pathlib import Path

import pytest

from headstart.core import exchange as module
from headstart.core.exchange import exchange


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("new", "old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    return tmp_path / "new", tmp_path / "old"


def contents(root: Path) -> dict[str, list[str]]:
    return {path.name: os.listdir(path) for path in root.iterdir()}


@pytest.mark.parametrize("known", [True, False], ids=["in one step", "in three"])
def test_each_has_the_name_of_the_other(two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, known: bool) -> None:
    if not known:
        monkeypatch.setattr(module, "_atomically", lambda *paths: False)

    exchange(*two)

    assert contents(two[0].parent) == {"new": ["old"], "old": ["new"]}


def test_the_kernel_does_it_here_without_a_rename(two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "rename")

    exchange(*two)

    assert contents(two[0].parent) == {"new": ["old"], "old": ["new"]}


def test_a_rename_that_fails_half_way_is_taken_back(two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_atomically", lambda *paths: False)
    done: list[Path] = []

    def rename(source: Path, target: Path) -> None:
        done.append(source)
        if len(done) == 2:
            raise OSError(errno.EIO, "disk on fire")
        os.replace(source, target)

    monkeypatch.setattr(os, "rename", rename)

    with pytest.raises(OSError, match="disk on fire"):
        exchange(*two)

    assert contents(two[0].parent) == {"new": ["new"], "old": ["old"]}


def test_a_directory_that_is_not_there_is_named(two: tuple[Path, Path]) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        exchange(two[0], two[1].with_name("nowhere"))

    assert contents(two[0].parent) == {"new": ["new"], "old": ["old"]}
