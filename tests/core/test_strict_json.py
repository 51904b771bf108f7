"""JSON from files that nobody vouches for."""

import time

import pytest

from headstart.core.errors import InputError
from headstart.core.strict_json import canonical_json, parse_json, pretty_json, sha256_json


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
