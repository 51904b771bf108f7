"""Names and paths that users give: what may become part of a path, a command or a tag."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from tests.many import drawn

from headstart.core.errors import InputError, printable
from headstart.core.record import NAME, PATH, GivenName, RelativePath, require_name

NAMES, PATHS = TypeAdapter(GivenName), TypeAdapter(RelativePath)
UNSEEN = [
    chr(code)
    for code in (
        *range(32),
        *range(127, 160),
        0x61C,
        *range(0x200B, 0x2010),
        *range(0x2028, 0x202F),
        *range(0x2060, 0x2070),
        0xFEFF,
    )
]


@pytest.mark.parametrize("name", ["a", "queue_conflict", "My-Env_2", "7", "x" * 64])
def test_letters_digits_dashes_and_underscores_are_a_name(name: str) -> None:
    require_name(name, "here")

    assert NAMES.validate_python(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "-a", "_a", ".", "..", "a.b", "a b", "a/b", "../../x", "/x", "a\n", "\na",
    "ä", "x" * 65, "a\u202eb", "\x1b[31m", "a@b", "a%", "$a", "٣"]
)  # fmt: skip
def test_what_is_no_name_is_refused_with_the_rule(name: str) -> None:
    with pytest.raises(InputError, match=r"^here: expected a name of 1 to 64 letters from a to z, digits, _ and -"):
        require_name(name, "here")
    with pytest.raises(ValidationError, match="expected a name of 1 to 64 letters"):
        NAMES.validate_python(name)


@pytest.mark.parametrize("path", ["a", "a/b.c", ".hidden/x", "a b/é", "..a/b", "data/x-1_2.h5"])
def test_a_path_inside_its_folder_is_taken(path: str) -> None:
    assert PATHS.validate_python(path) == path


@pytest.mark.parametrize(
    "path", ["", "/a", "../a", "a/../b", "a/..", ".", "a/./b", "a//b", "a/", "c:a", "a\\b", *(f"a{unseen}b" for unseen in UNSEEN)]
)
def test_a_path_that_leaves_its_folder_or_cannot_be_seen_is_refused(path: str) -> None:
    with pytest.raises(ValidationError, match="expected a path inside its folder"):
        PATHS.validate_python(path)


@drawn(200, 2_000)
@given(st.text(max_size=70))
def test_a_name_is_what_the_rule_says_and_pydantic_agrees_with_python(text: str) -> None:
    by_rule = 1 <= len(text) <= 64 and text[0].isalnum() and text.isascii() and all(c.isalnum() or c in "_-" for c in text)

    assert bool(re.fullmatch(NAME, text)) == by_rule
    assert _is_valid(NAMES, text) == by_rule


@drawn(200, 2_000)
@given(st.text(alphabet=st.sampled_from([*"ab./\\: \n", "é", "\u202e", "\x00", "\x7f"]), max_size=12))
def test_a_path_that_is_taken_stays_inside_and_pydantic_agrees_with_python(text: str) -> None:
    taken = bool(re.fullmatch(PATH, text))

    assert _is_valid(PATHS, text) == taken
    if taken:
        parts = text.split("/")
        assert all(part not in ("", ".", "..") for part in parts)
        assert not set(text) & {"\\", ":", *UNSEEN}


@drawn(200, 2_000)
@given(st.text(max_size=40))
def test_what_is_printed_cannot_steer_a_terminal(text: str) -> None:
    shown = printable(text)

    assert all(c.isprintable() or c == "\n" for c in shown)
    shown.encode()  # no half of a surrogate pair
    assert shown == text or not all(c.isprintable() or c == "\n" for c in text)


def _is_valid(adapter: TypeAdapter[str], text: str) -> bool:
    try:
        adapter.validate_python(text)
    except ValidationError:
        return False
    return True
