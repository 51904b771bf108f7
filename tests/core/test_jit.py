"""Compiled code is kept by the content of its sources: equal ones share it wherever they lie, and any edit starts anew."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from headstart.core.jit import cache_of, cached


@pytest.fixture
def compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """A function: a folder's name and what its file says → its function `price`, compiled or from the cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def load(tree: str, text: str) -> Any:
        folder = tmp_path / tree
        folder.mkdir(exist_ok=True)
        (folder / "shop.py").write_text(text)
        monkeypatch.setattr(sys, "dont_write_bytecode", True)  # an edit within a second has the time and size of the first text
        spec = importlib.util.spec_from_file_location("shop", folder / "shop.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "shop", module)
        spec.loader.exec_module(module)
        return cached(module.price, cache_of(folder), "a price")

    return load


DOUBLE, TRIPLE = (f"def price(x):\n    return x * {rate}\n" for rate in (2, 3))


def hits(function: Any) -> int:
    return sum(function.stats.cache_hits.values())


def test_equal_sources_in_another_folder_are_not_compiled_again(compiled) -> None:  # type: ignore[no-untyped-def]
    first, again = compiled("one", DOUBLE), None
    assert first(4) == 8
    assert hits(first) == 0

    again = compiled("two", DOUBLE)
    assert again(4) == 8
    assert hits(again) == 1


def test_an_edit_is_compiled(compiled) -> None:  # type: ignore[no-untyped-def]
    assert compiled("one", DOUBLE)(4) == 8

    edited = compiled("one", TRIPLE)
    assert edited(4) == 12
    assert hits(edited) == 0


def test_that_it_compiles_is_said_once(compiled, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    for _ in range(2):
        compiled("one", DOUBLE)(4)
    assert capsys.readouterr().err.splitlines() == ["compiling a price, once for this version: up to half a minute"]
