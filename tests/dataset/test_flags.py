"""Flags of episodes: kept with a reason, taken back, and none is lost where several people set some at once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from headstart.core.errors import InputError
from headstart.core.files import parse_record
from headstart.dataset.flags import Flags, change_flag, flags_path, read_flags

ONE, TWO = "0b0ae442b3ac4bbf", "9a19ce7d110b0ccb"


def test_a_flag_is_kept_in_a_file_that_git_can_show_and_taken_back(tmp_path: Path) -> None:
    assert read_flags(tmp_path, "walk") == {}
    assert change_flag(tmp_path, "walk", TWO, "stands in the wall") == {TWO: "stands in the wall"}
    change_flag(tmp_path, "walk", ONE, "„schräg“ <b>")
    path = tmp_path / flags_path("walk")
    assert path.read_text() == (
        '{\n  "episodes": {\n    "0b0ae442b3ac4bbf": "„schräg“ <b>",\n    "9a19ce7d110b0ccb": "stands in the wall"\n  },\n'
        '  "scenario": "walk",\n  "schema_id": "flags/1"\n}\n'
    )
    assert read_flags(tmp_path, "run") == {}
    assert change_flag(tmp_path, "walk", ONE, "another reason")[ONE] == "another reason"
    change_flag(tmp_path, "walk", TWO, None)
    assert change_flag(tmp_path, "walk", ONE, None) == read_flags(tmp_path, "walk") == {}
    assert not path.exists()  # the folder is as it was: DVC has nothing to do


def test_taking_back_a_flag_that_is_none_writes_no_file(tmp_path: Path) -> None:
    assert change_flag(tmp_path, "walk", ONE, None) == {}
    assert not (tmp_path / "flags").exists()


def test_no_flag_of_several_at_once_is_lost(tmp_path: Path) -> None:
    ids = [f"{number:016x}" for number in range(24)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda one: change_flag(tmp_path, "walk", one, "dull"), ids))
    assert list(read_flags(tmp_path, "walk")) == ids


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "expected strict JSON"),
        ('{"schema_id": "flags/2"}', "expected schema 'flags/1', got 'flags/2'"),
        ('{"schema_id": "flags/1", "scenario": "walk", "episodes": {"short": "x"}}', "String should match pattern"),
        (f'{{"schema_id": "flags/1", "scenario": "walk", "episodes": {{"{ONE}": "two\\nlines"}}}}', "one line of printable text"),
        ('{"schema_id": "flags/1", "scenario": "run", "episodes": {}}', "expected the flags of walk, got those of run"),
    ],
)
def test_a_file_that_is_none_is_refused_with_its_name(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "flags").mkdir()
    (tmp_path / flags_path("walk")).write_text(text)
    with pytest.raises(InputError, match=said) as refused:
        read_flags(tmp_path, "walk")
    assert "flags/walk.json" in str(refused.value)


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    change_flag(tmp_path, "walk", ONE, "dull")
    assert parse_record((tmp_path / flags_path("walk")).read_bytes(), Flags, "x").episodes == {ONE: "dull"}


def test_what_a_killed_command_left_half_written_is_removed(tmp_path: Path) -> None:
    (tmp_path / "flags").mkdir()
    left = tmp_path / "flags/.walk.json.tmp-0123456789ab"
    left.write_text("{")
    change_flag(tmp_path, "walk", ONE, "dull")
    assert not left.exists()
