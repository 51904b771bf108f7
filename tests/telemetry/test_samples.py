"""The logs of samples/telemetry are what their maker makes, are valid as they should be, and are summed up as they were."""

from pathlib import Path

import pytest
from tests.logged import CODES, HOSTILE, MADE, ROOT, SAMPLES, summaries, upgraded

from headstart.telemetry.check import check, exit_code
from headstart.telemetry.logs import read_log


@pytest.mark.parametrize("name", MADE)
def test_a_sample_is_what_its_maker_makes(name: str) -> None:
    assert (ROOT / SAMPLES / name).read_bytes() == MADE[name](), "`make goldens` shows the difference"


def test_logs_of_version_1_become_their_upgraded_twins() -> None:
    for name, data in upgraded(ROOT).items():
        assert (ROOT / SAMPLES / name).read_bytes() == data, name


def test_the_summary_of_a_sample_lies_beside_it() -> None:
    for name, data in summaries(ROOT).items():
        assert (ROOT / SAMPLES / name).read_bytes() == data, name


@pytest.mark.parametrize("name", CODES)
def test_a_sample_has_its_exit_code(name: str) -> None:
    log = read_log(ROOT / SAMPLES / name)
    assert (exit_code(check(log)), exit_code(check(log, strict=True))) == CODES[name]


def test_no_file_lies_there_that_nothing_makes() -> None:
    made = MADE.keys() | upgraded(ROOT).keys() | summaries(ROOT).keys()
    assert {path.name for path in (ROOT / SAMPLES).iterdir()} == made


def test_no_summary_holds_a_character_that_steers_a_terminal() -> None:
    assert not HOSTILE.isprintable()
    for path in Path(ROOT / SAMPLES).glob("*.txt"):
        assert path.read_text().replace("\n", "").isprintable(), path.name
        assert max(map(len, path.read_text().splitlines())) <= 100, path.name
