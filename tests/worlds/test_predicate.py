"""Predicates over counters."""

import numpy as np
import pytest

from headstart.core.errors import InputError
from headstart.worlds.predicate import all_hold, any_holds, compile_predicate

COUNTS = np.array([[[1, 0], [2, 0]], [[0, 3], [2, 0]]])  # [W, A, S]: two worlds, two agents, showers and presses
STATS = ("showers", "presses")


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("every showers >= 1", [True, False]),
        ("any presses > 0", [False, True]),
        ("sum showers == 3", [True, False]),
        ("max presses < 3", [True, False]),
        ("min showers != 0", [True, False]),
        ("sum presses <= 2.5", [True, False]),
    ],
)
def test_a_sentence_says_what_it_says(sentence: str, expected: list[bool]) -> None:
    assert compile_predicate(sentence, STATS)(COUNTS).tolist() == expected


def test_all_and_any_combine_sentences() -> None:
    assert all_hold(["every showers >= 1", "sum presses == 0"], STATS)(COUNTS).tolist() == [True, False]
    assert any_holds(["sum presses > 0", "sum showers == 3"], STATS)(COUNTS).tolist() == [True, True]


@pytest.mark.parametrize(
    ("sentence", "message"),
    [
        ("showers >= 1", "expected '<every"),
        ("most showers >= 1", "got 'most'"),
        ("every baths >= 1", "no counter 'baths'"),
        ("every showers => 1", "expected"),
    ],
)
def test_a_sentence_with_a_wrong_word_is_refused(sentence: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        compile_predicate(sentence, STATS)
