"""The page in a browser: it shows what the server says, as text whatever it is, for every reader, and stays small for hours."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Literal

import psutil
import pytest
from playwright.sync_api import Browser
from tests.browser import Opened, opened
from tests.view.observed import Event, Reader, evaluation, finding, lines, log_folder, served, story, update, write
from tests.view.test_page import HOSTILE

from headstart.view import observe_server
from headstart.view.observe import watch_of
from headstart.view.observe_feed import KEPT, RECENT
from headstart.view.observe_runs import chosen

HOURS, EVENTS_PER_S = 4, 2
MIB = 1 << 20


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at logs more often than for a person."""
    monkeypatch.setattr(observe_server, "POLL_S", 0.02)


@contextmanager
def watched(browser: Browser, reader: Reader, width: int = 1100, scheme: Literal["light", "dark"] = "light") -> Iterator[Opened]:
    """The page after its first message."""
    own = f"request: http://127.0.0.1:{reader.port}"
    reader.door.token = "again"
    with opened(browser, f"http://127.0.0.1:{reader.port}/?token=again", width, scheme) as it:
        until(it.drawn(), "document.querySelectorAll('#panel-run tr').length > 1")
        yield it
        it.problems = [problem for problem in it.problems if problem not in (f"{own}/", f"{own}/events?run={run_in(it)}")]
        assert it.problems == []


def until(it: Opened, expression: str, given: Any = None) -> None:
    """Wait; the page's policy does not let Playwright evaluate a text in it again and again."""
    while not it.page.evaluate(expression, given):
        it.page.wait_for_timeout(20)


def run_in(it: Opened) -> str:
    return str(it.page.evaluate("encodeURIComponent(settings.run)"))


def cells(it: Opened, panel: str) -> list[list[str]]:
    """The texts of a panel, row by row."""
    found: list[list[str]] = it.page.evaluate(
        "id => Array.from(document.querySelectorAll(`#${id} tbody tr`), row => Array.from(row.cells, cell => cell.textContent))",
        f"panel-{panel}",
    )
    return found


@pytest.mark.parametrize(
    ("width", "scheme"),
    [(1100, "light"), (360, "dark"), *(pytest.param(*one, marks=pytest.mark.slow) for one in [(1100, "dark"), (360, "light")])],
)
def test_the_page_shows_each_panel_to_every_reader_on_every_screen(
    browser: Browser, tmp_path: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    write(log_folder(tmp_path), lines(story()))
    with served(tmp_path) as reader, watched(browser, reader, width, scheme) as it:
        feed = watch_of(tmp_path, chosen(tmp_path, None), None).feed("walk/tiny/seed-3")
        feed.advance()
        for name, panel in feed.message(None, {})["panels"].items():
            if name in ("says", "target"):
                continue
            wanted = [[cell if isinstance(cell, str) else cell["t"] for cell in row] for row in panel["rows"]]
            assert cells(it, name) == (wanted or [[panel["none"]]]), name
        until(it, "document.querySelectorAll('[data-chart=return] .mark-line path').length > 0")
        assert "target 1.05" in it.page.locator("#says-return").text_content()
        assert it.page.locator("#panel-drift svg.spark").count() > 8
        assert it.page.locator("#panel-cloning .bar > i").count() == 2
        until(it, "document.getElementById('age').textContent === 'The log has ended.'")
        it.page.locator("details summary").click()
        assert it.page.locator("#panel-runs a").get_attribute("href") == "/?run=walk/tiny/seed-3"
        assert it.hidden_from_readers() == []
        assert not it.is_wider_than_the_screen()


def test_what_is_new_appears_and_what_is_late_is_called_stale(browser: Browser, tmp_path: Path) -> None:
    write(log_folder(tmp_path), lines(story()[:12]))
    with served(tmp_path) as reader, watched(browser, reader) as it:
        until(it, "document.getElementById('age').textContent.startsWith('stale: no record for')")
        assert it.page.locator("#age").get_attribute("class") == "warn"
        assert cells(it, "run")[0] == ["State", "running"]
        write(log_folder(tmp_path), lines([finding("kpi_drop", "hold", "lower", 3000)], first=13))
        until(it, "document.querySelector('#panel-alerts').textContent.includes('kpi_drop')")


def hostile(text: str) -> list[Event]:
    """The story with one text in every place that takes any."""
    behaviours = {text: {"n": 900, "recall": 0.5}}
    target = {"name": text, "mode": "sampled", "success_rate": 0.5, "consecutive": 1}
    skipped = ({"id": "tune-start-0", "reason": text},)
    changed: dict[str, dict[str, Any]] = {
        "run_started": {"target": target, "versions": {"headstart": text, text: text}, "git_revision": text, "device": text},
        "bc_epoch": {"per_behaviour": behaviours},
        "guardrail": {"guardrail": text, "metric": text, "reason": text},
        "rollback": {"skipped_checkpoints": skipped},
        "run_ended": {"reasons": (text,), "error_type": text},
    }
    return [(kind, fields | changed.get(kind, {})) for kind, fields in story()]


def test_hostile_texts_are_shown_as_text(browser: Browser, tmp_path: Path) -> None:
    forwards, backwards = " ".join(HOSTILE), " ".join(reversed(HOSTILE))  # what one begins the next may not hide
    for seed, text in enumerate((forwards, backwards, "javascript:alert(1)")):
        about = {"scenario": text, "world": text, "stage": text, "seed": seed}
        write(log_folder(tmp_path, f"walk/tiny/seed-{seed}"), lines(hostile(text), **about))
        with served(tmp_path, str(log_folder(tmp_path, f"walk/tiny/seed-{seed}"))) as reader, watched(browser, reader) as it:
            assert it.page.locator("h1").text_content() == f"{text}/tiny/seed-{seed}"
            assert any(text in row[1] for row in cells(it, "run"))
            assert [text in row[1] for row in cells(it, "alerts")].count(True) == 1
            assert text in cells(it, "cloning")[0][3]
            assert it.page.locator("main img, main script").count() == 0
            assert it.page.evaluate("typeof window.run") == "undefined"


def test_a_broken_log_is_an_alert_and_the_page_goes_on(browser: Browser, tmp_path: Path) -> None:
    made = lines(story())
    write(log_folder(tmp_path), [*made[:5], b"<script>alert(1)</script>\n", *made[5:]])
    with served(tmp_path) as reader, watched(browser, reader) as it:
        assert cells(it, "alerts")[-1][1] == "log"
        assert cells(it, "run")[0][1].startswith("ended, guardrails HOLD")


def four_hours(folder: Path) -> int:
    """A log of so long a run; how many records it has. It is written in parts, so that this process does not keep it."""
    steps, seq = count(1000, 1000), 1 + write_part(folder, story()[:8], 1)
    while seq <= HOURS * 3600 * EVENTS_PER_S:
        events = [event for _ in range(49) for event in update(next(steps))] + evaluation(next(steps))
        seq += write_part(folder, events, seq)
    return seq - 1


def write_part(folder: Path, events: list[Event], first: int) -> int:
    write(folder, lines(events, first=first, every_s=1 / EVENTS_PER_S))
    return len(events)


def test_four_hours_of_events_grow_neither_the_server_nor_the_page(browser: Browser, tmp_path: Path) -> None:
    total = four_hours(log_folder(tmp_path))
    with served(tmp_path, speed=1e6) as reader, watched(browser, reader) as it:
        until(it, "Object.keys(kept).length > 1")
        performance = it.page.context.new_cdp_session(it.page)

        def used() -> tuple[int, int]:
            gc.collect()
            performance.send("HeapProfiler.collectGarbage")
            return psutil.Process().memory_info().rss, it.page.evaluate("performance.memory.usedJSHeapSize")

        before = used()
        until(it, "text => document.querySelector('#says-entropy').textContent.startsWith(text)", last_text(total))
        grown = [(now - then) / MIB for now, then in zip(used(), before, strict=True)]
        print(f"{total} records: the server grew by {grown[0]:.1f} MiB, the page by {grown[1]:.1f} MiB")
        assert max(grown) < 50
        sizes = it.page.evaluate("Object.values(kept).map(of => of.rows.length)")
        assert max(sizes) <= KEPT and sum(sizes) > KEPT / 2
        feed_sizes = it.page.evaluate("document.querySelectorAll('*').length")
        assert feed_sizes < 6000
    assert total > RECENT


def last_text(total: int) -> str:
    """How the sentence of a curve of updates begins after the last of them."""
    parts = -(-(total - 8) // 100)
    return f"At {50 * parts * 1000 - 1000:,} env steps"


def test_a_page_that_asks_again_after_the_server_ended_says_so(browser: Browser, tmp_path: Path) -> None:
    write(log_folder(tmp_path), lines(story()))
    with served(tmp_path) as reader:
        reader.door.token = "again"
        with opened(browser, f"http://127.0.0.1:{reader.port}/?token=again") as it:
            until(it, "document.querySelectorAll('#panel-run tr').length > 1")
            reader.door.session = "another"  # the cookie of the page is not known any more
            it.page.evaluate("source.close()")
            until(it, "document.getElementById('age').textContent.startsWith('Not connected')")
