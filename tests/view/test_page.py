"""A page loads nothing, runs only what it was written with, and shows hostile texts as text."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser
from tests.browser import opened

from headstart.view import page as pages
from headstart.view.page import embedded, page

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<svg onload=alert(1)>",
    "javascript:alert(1)",
    "{{ 7 * 7 }}",
    "<!-- ",
    "]]>\u2028\u2029\u202e",
)
BARS = {
    "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
    "data": {"values": [{"arm": "<b>scratch", "steps": 7}, {"arm": "pretrained", "steps": 2}]},
    "width": "container",
    "height": 60,
    "autosize": {"type": "fit-x", "contains": "padding"},
    "mark": {"type": "bar", "tooltip": True},
    "encoding": {"x": {"field": "steps", "type": "quantitative"}, "y": {"field": "arm"}},
    "transform": [{"calculate": "datum.steps * 2", "as": "twice"}],
}


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page with a chart, hostile texts and a script that reads them."""
    folder = tmp_path / "pages"
    folder.mkdir()
    for file in pages.PAGES.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "toy.html").write_text(
        "{% extends 'base.html' %}{% block main %}<h1>Toy</h1><ul>{% for one in texts %}<li title=\"{{ one }}\">{{ one }}</li>{% endfor %}</ul>"
        '<figure><div class="chart" data-chart="bars" role="img" aria-label="steps"></div></figure>{% endblock %}'
    )
    (folder / "toy.js").write_text('window.read = JSON.parse(document.getElementById("texts").textContent);')
    for cached in (pages._environment, pages._source):
        cached.cache_clear()
    monkeypatch.setattr(pages, "PAGES", folder)
    made = page("toy.html", HOSTILE[0], {"texts": HOSTILE, "chart-bars": BARS}, ["toy.js"], charts=True, texts=HOSTILE)
    for cached in (pages._environment, pages._source):
        cached.cache_clear()
    (tmp_path / "toy.html").write_bytes(made)
    return tmp_path / "toy.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_loads_nothing_and_shows_hostile_texts_as_text(browser: Browser, written: Path, scheme: str) -> None:
    with opened(browser, written, 360, scheme) as it:  # type: ignore[arg-type]
        it.drawn()
        assert it.page.locator("li").all_text_contents() == list(HOSTILE)
        assert it.page.evaluate("window.read") == list(HOSTILE)
        assert it.page.title() == HOSTILE[0]
        assert it.page.locator(".chart svg path").count() > 1
        it.page.locator(".chart svg .mark-rect path").first.hover()
        assert "<b>scratch" in it.page.locator("#vg-tooltip-element").text_content()
        assert it.hidden_from_readers() == []
        assert not it.is_wider_than_the_screen()
        assert it.problems == []


def test_a_script_that_the_page_was_not_written_with_does_not_run(browser: Browser, written: Path) -> None:
    written.write_bytes(written.read_bytes().replace(b"</main>", b"<script>document.title = 'run'</script></main>"))
    with opened(browser, written) as it:
        assert it.page.title() != "run"
        assert any("Content Security Policy" in problem for problem in it.problems)


def test_equal_arguments_give_equal_bytes(written: Path) -> None:
    assert page("base.html", "A") == page("base.html", "A")


def test_a_number_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError):
        embedded({"x": float("nan")})
