"""JSON from files that nobody vouches for."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.many import drawn

from headstart.core.errors import InputError
from headstart.core.strict_json import MAX_VALUES, canonical_json, parse_json, pretty_json, sha256_json


def test_plain_json_is_parsed() -> None:
    text = '{"a": [1, 2.5, null, true, "x\\u00e9}]"], "b": {}}'

    assert parse_json(text.encode(), "f.json") == {"a": [1, 2.5, None, True, "xé}]"], "b": {}}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b'{"a": -Infinity}', "-Infinity is not a JSON number"),
        (b'{"a": 1e999}', "1e999 is beyond the range of a double"),
        (b'{"a": 1, "b": 2, "a": 3}', "key 'a' occurs twice in one object"),
        (b'[{"x": {"a": 1, "a": 1}}]', "key 'a' occurs twice in one object"),
        (b'{"a": 1} {"b": 2}', "Extra data"),
        (b"{'a': 1}", "Expecting property name"),
        (rb'{"a": "\ud800"}', r"expected UTF-8, got '\\ud800', half of a surrogate pair"),
        (rb'{"\uDFFF": 1}', r"expected UTF-8, got '\\udfff', half of a surrogate pair"),
        (b'{"a": 1', "Expecting ',' delimiter"),
        (b"", "Expecting value"),
        (b'\xef\xbb\xbf{"a": 1}', "BOM"),
        (b'{"a": "\xff"}', "expected UTF-8, got byte 0xff at 7"),
        (b'{"a": ' + b"1" * 5000 + b"}", "integer string conversion"),
        (b"[" * 33 + b"]" * 33, "nested at most 32 deep, got 33"),
        (b'{"a": "unclosed [[[', "Unterminated string"),
    ],
)
def test_what_is_not_strict_json_is_refused_with_its_place(text: bytes, problem: str) -> None:
    with pytest.raises(InputError, match=problem) as error:
        parse_json(text, "f.json")
    assert str(error.value).startswith("f.json: ")


def test_both_halves_of_a_pair_are_a_character_and_an_escaped_backslash_begins_none() -> None:
    assert parse_json(rb'["\ud83d\ude00", "\\ud800"]', "f.json") == ["\U0001f600", r"\ud800"]


def test_brackets_within_strings_are_no_depth() -> None:
    assert parse_json(b'["[[[[", "\\"[[[["]', "f.json", max_depth=1) == ["[[[[", '"[[[[']


def test_a_document_beyond_the_size_cap_is_refused() -> None:
    with pytest.raises(InputError, match="at most 10 bytes of JSON, got 11"):
        parse_json(b'"123456789"', "f.json", max_bytes=10)


@pytest.mark.parametrize(
    "text", [b"[" * 10_000_000, b'"' + b'\\"' * 5_000_000, b'{"a":' * 2_000_000], ids=["open", "quotes", "keys"]
)
def test_hostile_megabytes_are_refused_within_two_seconds(text: bytes) -> None:
    began = time.process_time()

    with pytest.raises(InputError):
        parse_json(text, "f.json")

    assert time.process_time() - began < 2


def test_canonical_json_has_one_spelling() -> None:
    assert canonical_json({"b": [1, 2.0], "a": "é"}) == '{"a":"é","b":[1,2.0]}'.encode()
    assert pretty_json({"b": 1, "a": []}) == b'{\n  "a": [],\n  "b": 1\n}\n'


def test_the_hash_of_a_value_is_that_of_its_canonical_json() -> None:
    # sha256 of the two bytes {}
    assert sha256_json({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert sha256_json({"a": 1, "b": 2}) == sha256_json({"b": 2, "a": 1})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800"], ids=["nan", "inf", "surrogate"])
def test_what_json_cannot_hold_is_not_written(value: object) -> None:
    with pytest.raises(InputError, match="expected a value that JSON can hold"):
        canonical_json({"a": value})


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
).filter(lambda value: "\\ud" not in json.dumps(value))


@drawn(200, 2_000)
@given(VALUES)
def test_what_is_written_is_read_back_and_written_alike(value: object) -> None:
    for written in (canonical_json(value), pretty_json(value)):
        assert parse_json(written, "f.json") == value
    assert canonical_json(parse_json(pretty_json(value), "f.json")) == canonical_json(value)


@drawn(500, 2_000)
@given(st.binary(max_size=40) | st.text(alphabet='{}[]:,"\\0eE-. \nabu\u202e', max_size=40).map(str.encode))
def test_any_bytes_are_a_value_or_an_error_of_ours(data: bytes) -> None:
    try:
        value = parse_json(data, "f.json")
    except InputError as error:
        assert str(error).startswith("f.json: ")
    else:
        assert value == json.loads(data)


class Key(str):
    """Counts how often it is compared."""

    compared = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        Key.compared += 1
        return str.__eq__(self, other)


def test_a_late_duplicate_key_is_found_without_comparing_every_key_with_every_other() -> None:
    from headstart.core.strict_json import _object_without_duplicates

    keys = [Key(f"key {number}") for number in range(20_000)]

    with pytest.raises(ValueError, match="key 'key 19999' occurs twice"):
        _object_without_duplicates([(key, 0) for key in [*keys, keys[-1]]])
    assert Key.compared < 10 * len(keys)


@pytest.mark.parametrize("text", ["[" + "{}," * MAX_VALUES + "{}]", "[" + "0," * MAX_VALUES + "0]"], ids=["objects", "numbers"])
def test_more_values_than_the_memory_should_hold_are_refused_before_they_are_made(text: str) -> None:
    with pytest.raises(InputError, match="expected at most 500000 values in JSON"):
        parse_json(text.encode(), "f.json")
