"""A page in headless Chromium, and all that is wrong with it: what it asks of a network, prints as an error, refuses, or hides from a reader."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
SERIOUS = ("serious", "critical")


class Opened:
    """A page that is open, and what was wrong since then."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url, self.problems = page, url, list[str]()
        page.on("console", lambda said: said.type in ("error", "warning") and self.problems.append(f"console: {said.text}"))
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (self.problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: self._requested(request.url))

    def _requested(self, url: str) -> None:
        if url.partition("#")[0] != self.url and not url.startswith("data:"):
            self.problems.append(f"request: {url}")

    def drawn(self) -> "Opened":
        """When all charts are drawn."""
        self.page.locator("html[data-drawn=yes]").wait_for(state="attached")  # the page's policy allows no expression
        return self

    def hidden_from_readers(self) -> list[str]:
        """What axe calls serious or critical."""
        found: dict[str, Any] = self.page.evaluate(
            f"() => {{ {AXE}; return axe.run(document, {{resultTypes: ['violations']}}) }}"
        )
        return [
            f"{one['id']}: {node['html'][:160]}"
            for one in found["violations"]
            if one["impact"] in SERIOUS
            for node in one["nodes"][:5]
        ]

    def is_wider_than_the_screen(self) -> bool:
        return bool(self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser; the test is skipped where none is installed."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed; `apt-get install chromium`")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-software-rasterizer"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@contextmanager
def opened(
    browser: Browser, url: Path | str, width: int = 1100, scheme: Literal["light", "dark"] = "light", fragment: str = ""
) -> Iterator[Opened]:
    """A page at an address, or from a path on disk."""
    url = url if isinstance(url, str) else url.resolve().as_uri()
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    it = Opened(page, url)
    page.goto(url + fragment)
    yield it
    context.close()
