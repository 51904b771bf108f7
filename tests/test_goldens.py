"""A golden value moves only where somebody says yes to the difference."""

import json
from pathlib import Path

import pytest
from tests import goldens


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(goldens, "FOLDER", tmp_path)
    path = tmp_path / "world.json"
    path.write_text('{\n  "a": {\n    "b": "old"\n  },\n  "c": 1\n}\n')
    return path


def test_another_value_fails_and_says_what_moves_it(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(goldens.NOTED, raising=False)
    goldens.same_as_golden("old", "world.json", "a", "b")
    with pytest.raises(AssertionError, match=r"world\.json a\.b .*make goldens"):
        goldens.same_as_golden("new", "world.json", "a", "b")


def test_a_value_moves_only_after_a_yes(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    noted, before = tmp_path / "noted", kept.read_text()
    monkeypatch.setenv(goldens.NOTED, str(noted))
    goldens.same_as_golden("new", "world.json", "a", "b")
    goldens.same_as_golden("first", "world.json", "a", "d")
    changed = goldens.changed_goldens(noted.read_text())

    assert (goldens.move(changed, None), goldens.move(changed, lambda question: ""), kept.read_text()) == (7, 7, before)
    assert '-    "b": "old"' in (said := capsys.readouterr().out) and '+    "b": "new",' in said
    assert goldens.move(changed, lambda question: "y") == 0
    assert json.loads(kept.read_text()) == {"a": {"b": "new", "d": "first"}, "c": 1}


def test_a_file_that_is_one_value_moves_as_a_whole(kept: Path) -> None:
    assert goldens.changed_goldens(json.dumps(["world.json", [], [1]])) == {kept: "[\n  1\n]\n"}


def test_nothing_is_asked_where_nothing_moved() -> None:
    assert goldens.move({}, lambda question: pytest.fail("asked")) == 0
