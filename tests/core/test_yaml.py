"""Files of DVC are read as DVC reads them, and within the limits of a user's file."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from headstart.core.errors import InputError
from headstart.core.yaml import parse_yaml, read_yaml

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["dvc.lock", "dvc.yaml", "params.yaml"])
def test_the_parsers_in_c_and_in_python_read_the_same(name: str) -> None:
    text = (ROOT / name).read_text()
    assert parse_yaml(text.encode(), Path(name)) == YAML(typ="safe", pure=True).load(text)


def test_numbers_and_words_are_those_of_yaml_1_2() -> None:
    text = b"a: 1e-05\nb: NO\nc: 10:20\nd: 010\ne: &x yes\nf: *x\n"
    assert parse_yaml(text, Path("x")) == {"a": 1e-5, "b": "NO", "c": "10:20", "d": 10, "e": "yes", "f": "yes"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"a: 1\na: 2\n", 'found duplicate key "a"'),
        (b"%YAML 1.1\n---\na: NO\n", "expected YAML 1.2, got 1.1"),
        (b"a: " + b"[" * 100_000, "line 1: expected nesting at most 32 deep"),
        (b"a: [" + b"1, " * 60_000 + b"]\n", "expected at most 50000 keys and values, got more"),
        (b"a: 1\n---\nb: 2\n", "expected a single document"),
        (b"a: !!python/object:x 1\n", "could not determine a constructor for the tag"),
        (b"a: \xff\n", "invalid start byte"),
        (b"a: \x00\n", "control characters are not allowed"),
        (b"a: [1,\n", "line 2"),
    ],
)
def test_what_is_no_file_of_dvc_is_refused_with_its_name(text: bytes, problem: str) -> None:
    with pytest.raises(InputError, match=r"^x: not readable as YAML: ") as refused:
        parse_yaml(text, Path("x"))
    assert problem in str(refused.value)


def test_a_users_file_with_a_tag_or_an_alias_is_refused_with_its_line(tmp_path: Path) -> None:
    for text, problem in {"a: 1\nb: !x 1\n": "line 2: tags", "a: &x 1\n\nb: *x\n": "line 3: aliases"}.items():
        (tmp_path / "mine.yaml").write_text(text)
        with pytest.raises(InputError, match=problem):
            read_yaml(tmp_path / "mine.yaml")
