"""How far a long piece of work is: a bar on stderr where somebody watches, else a line every 30 seconds, which a log keeps."""

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rich.console import RenderableType

EVERY_S = 30.0
RATE_OVER_S = 120.0  # the rate is that of the last two minutes
SHOWN = 4  # words of so many jobs
BAR = 10  # columns; beside it are up to 66 others, of a terminal's 80
QUIET = "HEADSTART_QUIET"  # set: nothing is shown


class Amount(NamedTuple):
    """How much is to be done."""

    total: int
    unit: str  # in the plural


class Kept(int):
    """Units that an earlier run had done: they are done, and say nothing of the rate."""


class Work:
    """A long piece of work that is counted while it goes on."""

    def __init__(self, title: str, amount: Amount | None) -> None:
        self.title, self.amount = title, amount
        self.began = time.monotonic()
        self.finished = 0
        self.words: dict[str, str] = {}  # job → how it stands
        self._fresh = 0  # finished, without what an earlier run had done
        self._samples = deque([(self.began, 0)])  # time, fresh

    def advance(self, units: int) -> None:
        """Count units of work."""
        self.finished += units
        if not isinstance(units, Kept):
            self._fresh += units

    def say(self, job: str, words: str | None) -> None:
        """What is said of a job from now on; None: it has ended."""
        self.words.pop(job, None)
        if words:
            self.words[job] = words

    def count(self) -> str:
        """`1,200 of 4,000 env steps (30 %), 240/s, 12 s left`; no rate and no time while none is known."""
        if self.amount is None:
            return f"at work for {duration_text(time.monotonic() - self.began)}"
        total, unit = self.amount
        text = f"{self.finished:,} of {total:,} {unit} ({100 * self.finished // max(total, 1)} %)"
        rate = self._rate()
        if not rate:
            return text
        left = f", {duration_text((total - self.finished) / rate)} left" if total > self.finished else ""
        return f"{text}, {_rate_text(rate)}{left}"

    def standing(self) -> list[str]:
        """A few words on each of the jobs that are at work."""
        said = [f"{job}: {words}" for job, words in sorted(self.words.items())]
        more = len(said) - SHOWN
        return said if more <= 0 else [*said[:SHOWN], f"and {more} more"]

    def line(self) -> str:
        """All of it on a line."""
        return "; ".join([f"{self.title}: {self.count()}", *self.standing()])

    def _rate(self) -> float:
        """Units a second over the last minutes; 0: unknown."""
        now = time.monotonic()
        if now - self._samples[-1][0] >= 1.0:
            self._samples.append((now, self._fresh))
        while len(self._samples) > 2 and now - self._samples[1][0] > RATE_OVER_S:
            self._samples.popleft()
        (before, then), seconds = self._samples[0], now - self._samples[0][0]
        return (self._fresh - then) / seconds if before < now else 0.0


_at_work: list[Work] = []  # the innermost last, which is the one that is shown


@contextmanager
def progress(title: str, amount: Amount | None = None) -> Iterator[Work]:
    """Show a piece of work as long as it goes on, unless HEADSTART_QUIET is set; one within another takes its place."""
    work = Work(title, amount)
    _at_work.append(work)
    try:
        if len(_at_work) > 1 or os.environ.get(QUIET):
            yield work
        elif sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            from rich.console import Console
            from rich.live import Live

            console = Console(stderr=True)
            with Live(get_renderable=_drawn, console=console, refresh_per_second=4, transient=True):
                yield work
        else:
            with _lines():
                yield work
    finally:
        _at_work.remove(work)


@contextmanager
def _lines() -> Iterator[None]:
    over = threading.Event()

    def tell() -> None:
        while not over.wait(EVERY_S):
            print(_at_work[-1].line(), file=sys.stderr, flush=True)

    telling = threading.Thread(target=tell, daemon=True)
    telling.start()
    try:
        yield
    finally:
        over.set()
        telling.join()


def _drawn() -> "RenderableType":
    from rich.text import Text

    work = _at_work[-1]
    share = 0.0 if work.amount is None else min(1.0, work.finished / max(work.amount.total, 1))
    bar = "" if work.amount is None else "━" * round(share * BAR) + "─" * (BAR - round(share * BAR)) + " "
    return Text("\n".join([work.title, f"  {bar}{work.count()}", *(f"  {said}" for said in work.standing())]))


def duration_text(seconds: float) -> str:
    """`45 s`, `12 min`, `3.5 h`."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _rate_text(rate: float) -> str:
    return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s" if rate >= 0.1 else f"{rate * 3600:.0f}/h"
