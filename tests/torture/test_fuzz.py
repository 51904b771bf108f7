"""A small campaign of hostile inputs, and that a fault in a parser, a crash and a hang would be found; `make torture` has twenty times more."""

import contextlib
import ctypes
import os
from pathlib import Path
from random import Random

import pytest
from tests.torture import fuzz
from tests.torture.fuzz import batch, made, read_one, run
from tests.torture.hostile import changed
from tests.torture.parsers import Parser, parsers

from headstart.core.errors import HeadstartError, InputError

PARSERS = 17
EACH = 300


def test_every_parser_answers_hostile_inputs_with_a_value_or_an_error_of_its_own() -> None:
    counts = run(EACH * PARSERS, seed=1)

    assert counts.planted == EACH * PARSERS
    assert not counts.problems, str(counts)


def test_hostile_inputs_are_read_and_not_refused_at_the_first_byte(tmp_path: Path) -> None:
    with contextlib.chdir(tmp_path):
        for name, parser in parsers(tmp_path).items():
            assert any(is_read(parser, made(name, parser, 1, number)) for number in range(300)), name


def is_read(parser: Parser, data: object) -> bool:
    try:
        parser.read(data)
    except HeadstartError:
        return False
    return True


@pytest.mark.parametrize(
    ("read", "problem"),
    [
        (lambda data: {}["key"], "KeyError at"),
        (lambda data: 1 / 0, "ZeroDivisionError at"),
        (lambda data: bytearray(1 << 34), "MemoryError at"),
        (lambda data: ctypes.string_at(0), "ended with status"),
        (lambda data: os.abort(), "ended with status"),
        (lambda data: os._exit(3), "ended with status"),
    ],
    ids=["key", "division", "memory", "segmentation fault", "abort", "exit"],
)
def test_a_fault_of_a_parser_is_found_with_the_number_of_its_input(read: object, problem: str) -> None:
    def reads(data: int) -> None:
        if data == 2:
            read(data)  # type: ignore[operator]
        raise InputError("refused")

    numbers = iter(range(5))
    parser = Parser(lambda random: next(numbers), reads)

    found = batch("toy", parser, 7, range(5))

    assert len(found) == 1 and found[0].startswith("toy 7 2: ") and problem in found[0], found


def test_a_hang_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "ALARM_S", 1)

    def never_ends(data: object) -> None:
        while True:
            pass

    (found,) = batch("toy", Parser(lambda random: 0, never_ends), 0, range(1))

    assert "ended with status" in found


def test_an_error_without_words_is_a_problem() -> None:
    def silent(data: object) -> None:
        raise InputError("")

    assert read_one(Parser(lambda random: 0, silent), 0) == "an error without words"


def test_the_inputs_of_a_seed_are_the_same_every_time() -> None:
    tree = {"a": [1, {"b": "x"}], "c": 2.5}

    once, again = ([repr(changed(tree, Random(n))) for n in range(50)] for _ in range(2))

    assert once == again
    assert len(set(once)) > 25
    assert tree == {"a": [1, {"b": "x"}], "c": 2.5}
