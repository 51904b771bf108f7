"""Spaces as JSON: equal after a round trip, for every kind that the adapter takes."""

import numpy as np
import pytest
from gymnasium import Space, spaces

from headstart.core.errors import InputError
from headstart.core.strict_json import parse_json, pretty_json
from headstart.worlds.space_record import space_from, space_record

CASES: dict[str, Space] = {
    "bounds of its own in each place": spaces.Box(np.array([-1.5, -np.inf], np.float32), np.array([0.1, 7.0], np.float32)),
    "endless": spaces.Box(-np.inf, np.inf, (2, 3), np.float64),
    "a picture": spaces.Box(0, 255, (84, 84, 3), np.uint8),
    "whole numbers that no double holds": spaces.Box(0, np.iinfo(np.int64).max, (2,), np.int64),
    "no dimension": spaces.Box(-1, 1, (), np.float32),
    "from −2": spaces.Discrete(5, start=-2),
    "two choices": spaces.MultiDiscrete([3, 4], start=[1, 0]),
    "a table of bits": spaces.MultiBinary([2, 3]),
    "parts in their own order": spaces.Dict(
        [("z", spaces.Discrete(2)), ("a", spaces.Tuple([spaces.Box(0, 1, (1,)), spaces.MultiBinary(2)]))]
    ),
}


@pytest.mark.parametrize("space", CASES.values(), ids=CASES)
def test_a_space_is_equal_after_a_round_trip_through_json(space: Space) -> None:
    again = space_from(parse_json(pretty_json(space_record(space)), "space"))
    assert again == space
    assert list(getattr(again, "spaces", ())) == list(getattr(space, "spaces", ()))


def test_bounds_that_are_alike_take_one_number() -> None:
    assert space_record(CASES["a picture"]) == {"type": "Box", "low": 0, "high": 255, "shape": [84, 84, 3], "dtype": "uint8"}
    assert space_record(CASES["endless"])["high"] == "inf"


@pytest.mark.parametrize(
    "record", [{}, {"type": "Graph"}, {"type": "Box", "low": 2, "high": "x", "shape": [1], "dtype": "float32"}, None, []]
)
def test_what_is_no_record_of_a_space_is_an_input_error(record: object) -> None:
    with pytest.raises(InputError, match="expected the record of a space"):
        space_from(record)


def test_a_space_of_text_is_refused() -> None:
    with pytest.raises(InputError, match="Text"):
        space_record(spaces.Text(5))
