"""The page plays what is recorded: at every step it shows the recorded action, reward and picture; keys and buttons move it."""

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from tests.browser import Opened, opened
from tests.recordings import simulated
from tests.view.test_page import HOSTILE
from tests.view.test_replay import TOWN, play

from headstart.dataset.anomaly_rules import Anomaly
from headstart.dataset.episodes import Episodes
from headstart.dataset.episodes_file import read_episodes
from headstart.view.player import BYTES, player
from headstart.view.track import Frames, Track

MARKS = (Anomaly("no-movement", 30, 40, "does not move"), Anomaly("reward-spike", 77, 77, HOSTILE[2]))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("town")


@pytest.fixture(scope="module")
def recorded(project: Path) -> tuple[Episodes, list[Track], Path]:
    """The episodes of a world of the town, two of them as tracks, and a page that plays both."""
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(project)
        episodes, _ = read_episodes(simulated(TOWN, 1))
        tracks = [play(TOWN, which, "rgb_array")[0] for which in ("0", "2")]
    tracks[0].marks = MARKS
    (project / "page.html").write_bytes(player(tracks, "two agents", 8.0, ["recorded == replayed", *HOSTILE]))
    return episodes, tracks, project / "page.html"


def shown(page: Page, track: int = 0) -> dict[str, str]:
    rows = page.locator(".track").nth(track).locator("tr").all()
    return {row.locator("th").inner_text(): row.locator("td").inner_text() for row in rows if row.locator("td").count()}


def at(it: Opened, t: int) -> None:
    expect(it.page.locator("html")).to_have_attribute("data-step", str(t))


@pytest.mark.parametrize("t", [0, 37, 127])
def test_the_state_at_a_step_of_the_address_is_that_of_the_record(
    browser: Browser, recorded: tuple[Episodes, list[Track], Path], t: int
) -> None:
    episodes, tracks, path = recorded
    with opened(browser, path, fragment=f"#t={t}") as it:
        at(it, t)
        block = json.loads(it.page.locator("#episode").text_content() or "")["tracks"]
        for n, e in enumerate((0, 2)):
            row, told = int(episodes.table.start[e]) + t, shown(it.page, n)
            assert block[n]["action"][t] == int(episodes.action[row])
            assert told["action"] == tracks[n].action_names[int(episodes.action[row])]
            assert float(told["reward"]) == pytest.approx(float(episodes.reward[row]), rel=1e-4)
            so_far = episodes.reward[int(episodes.table.start[e]) : row + 1].sum(dtype=np.float64)
            assert float(told["return after it"]) == pytest.approx(so_far, abs=2e-4)
            assert told["allowed"].split(", ") == [
                name
                for name, allowed in zip(tracks[n].action_names, episodes.action_mask[row], strict=True)
                if allowed  # type: ignore[index]
            ]
        assert it.problems == []


def test_the_picture_at_a_step_is_that_of_the_world_whatever_was_drawn_before(
    browser: Browser, recorded: tuple[Episodes, list[Track], Path]
) -> None:
    _, tracks, path = recorded
    with opened(browser, path, fragment="#t=70") as it:
        for t in (70, 71, 40, 127):
            it.page.evaluate(f"location.hash = '#t={t}'")
            at(it, t)
            it.page.wait_for_timeout(300)
            url = it.page.evaluate("document.querySelector('canvas').toDataURL()")
            drawn = np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB"), int)
            assert np.abs(drawn - tracks[0].frames[t]).mean() < 2


def test_keys_buttons_and_links_move_it(browser: Browser, recorded: tuple[Episodes, list[Track], Path]) -> None:
    with opened(browser, recorded[2]) as it:
        page = it.page
        for key, t in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", 128), ("Home", 0)):
            page.keyboard.press(key)
            at(it, t)
        assert "#t=0" in page.url
        page.get_by_role("button", name="One step on").click()
        at(it, 1)
        page.get_by_role("link", name="steps 30–40").click()
        at(it, 30)
        page.get_by_label("Speed").select_option("16")
        page.get_by_role("button", name="Play").click()
        expect(page.locator("html")).to_have_attribute("data-step", re.compile("3[5-9]|[4-9].|1.."))
        page.get_by_role("button", name="Pause").click()
        page.keyboard.press("End")
        assert shown(page)["end"] == "truncated"
        assert page.locator("#ticks i").count() == 2
        assert it.problems == []


@pytest.mark.parametrize(("width", "scheme"), [(1100, "light"), (360, "dark")])
def test_it_is_readable_on_any_screen_and_shows_hostile_texts_as_text(
    browser: Browser, recorded: tuple[Episodes, list[Track], Path], width: int, scheme: str
) -> None:
    with opened(browser, recorded[2], width, scheme) as it:  # type: ignore[arg-type]
        texts = it.page.locator("main > p").all_text_contents()
        assert [text for text in HOSTILE if text not in texts] == []
        assert HOSTILE[2] in (it.page.locator(".marks li").nth(1).text_content() or "")
        assert it.hidden_from_readers() == []
        assert not it.is_wider_than_the_screen()
        assert it.problems == []


def test_equal_tracks_give_equal_bytes(recorded: tuple[Episodes, list[Track], Path]) -> None:
    _, tracks, path = recorded
    assert player(tracks, "two agents", 8.0, ["recorded == replayed", *HOSTILE]) == path.read_bytes()


@pytest.mark.slow
def test_five_hundred_steps_of_noise_still_fit() -> None:
    """Noise cannot be compressed: the pictures get smaller instead."""
    random, frames = np.random.default_rng(0), Frames()
    for _ in range(500):
        frames.append(random.integers(0, 255, (64, 64, 3), np.uint8).repeat(8, 0).repeat(8, 1))
    track = Track("noise", frames=frames, action=[[0.0]] * 500, mask=[None] * 500, probability=[None] * 500)
    track.reward, track.terms, track.counters = [float("nan")] * 500, [[0.0]] * 500, [[]] * 501
    assert len(player([track], "noise", 8.0)) <= BYTES + 200_000
