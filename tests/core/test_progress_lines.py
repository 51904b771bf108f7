"""What is said of a long piece of work while it goes on."""

import os
import pty
import subprocess
import sys
import threading
from itertools import count

import pytest

from headstart.core import progress_lines
from headstart.core.progress_lines import Amount, Kept, Work, duration_text, progress


@pytest.fixture(autouse=True)
def shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(progress_lines.QUIET)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress_lines, "time", clock)
    return clock


def test_a_line_says_what_is_done_how_fast_and_how_long_it_will_take(clock: Clock) -> None:
    work = Work("anneal town tiny", Amount(4000, "env steps"))
    clock.now += 10
    work.advance(1000)
    work.say("seed 2", "ppo, success 0.812")

    assert work.line() == "anneal town tiny: 1,000 of 4,000 env steps (25 %), 100/s, 30 s left; seed 2: ppo, success 0.812"


def test_what_an_earlier_run_had_done_counts_as_done_and_not_for_the_rate(clock: Clock) -> None:
    work = Work("anneal town tiny", Amount(4000, "env steps"))
    clock.now += 10
    work.advance(Kept(2000))
    assert work.count() == "2,000 of 4,000 env steps (50 %)"  # no rate is known

    work.advance(1000)
    assert work.count() == "3,000 of 4,000 env steps (75 %), 100/s, 10 s left"


def test_the_rate_is_that_of_the_last_two_minutes(clock: Clock) -> None:
    work = Work("capture town", Amount(100_000, "worlds"))
    for second in range(600):  # fast for five minutes, then slow
        clock.now += 1
        work.advance(100 if second < 300 else 10)
        text = work.count()

    assert ", 10/s, " in text


def test_a_job_that_has_ended_is_no_longer_spoken_of_and_of_many_four_are(clock: Clock) -> None:
    work = Work("anneal town tiny", None)
    for seed in range(7):
        work.say(f"seed {seed}", "ppo")
    work.say("seed 0", None)

    assert work.standing() == ["seed 1: ppo", "seed 2: ppo", "seed 3: ppo", "seed 4: ppo", "and 2 more"]


@pytest.mark.parametrize(("seconds", "text"), [(0, "0 s"), (99, "99 s"), (120, "2 min"), (5999, "100 min"), (9000, "2.5 h")])
def test_a_duration_has_the_unit_that_a_person_would_use(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_without_a_terminal_there_is_a_line_now_and_then_of_the_innermost_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress_lines, "EVERY_S", 0.001)
    told, numbers = threading.Event(), count()
    line = Work.line

    def tell(work: Work) -> str:
        if work.title == "inner" and next(numbers) >= 3:
            told.set()
        return line(work)

    monkeypatch.setattr(Work, "line", tell)
    with progress("outer"), progress("inner", Amount(8, "epochs")) as work:
        work.advance(2)
        assert told.wait(60)

    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) >= 3
    inner = [number for number, line in enumerate(lines) if line.startswith("inner: ")]
    assert inner == list(
        range(inner[0], inner[-1] + 1)
    )  # the outer one speaks before the inner one has begun, and when it has ended
    assert all(line.startswith("outer: at work for ") for number, line in enumerate(lines) if number not in inner)
    for number in inner:
        assert lines[number].startswith(("inner: 0 of 8 epochs (0 %)", "inner: 2 of 8 epochs (25 %)"))


def test_nothing_is_shown_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress_lines, "EVERY_S", 0.0)
    monkeypatch.setenv(progress_lines.QUIET, "1")
    before = threading.active_count()
    with progress("outer"):
        assert threading.active_count() == before
    assert capsys.readouterr().err == ""


IN_A_TERMINAL = """
import time
from headstart.core.progress_lines import Amount, progress
with progress("capture town", Amount(400, "worlds")) as work:
    work.advance(100)
    work.say("seed 2", "ppo")
    time.sleep(0.6)
print("done")
"""


@pytest.mark.parametrize("term", ["xterm", "dumb"])
def test_in_a_terminal_a_bar_is_drawn_and_taken_away_again(term: str) -> None:
    main, terminal = pty.openpty()
    environment = os.environ | {"TERM": term, "COLUMNS": "80", "NO_COLOR": "1"}
    done = subprocess.run([sys.executable, "-c", IN_A_TERMINAL], stderr=terminal, stdout=subprocess.PIPE, env=environment)
    os.close(terminal)
    shown = os.read(main, 1 << 16) if term == "xterm" else b""
    os.close(main)

    assert (done.returncode, done.stdout) == (0, b"done\n")
    if term == "xterm":
        assert "━━────────" in shown.decode() and "100 of 400 worlds (25 %)" in shown.decode()
        assert shown.decode().rstrip().endswith("\x1b[2K")  # the last line is wiped
