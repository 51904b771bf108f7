"""A contact sheet shows every episode with its outcome, return, length and anomalies, as a page to sort or as one picture."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser
from tests.browser import opened
from tests.recordings import edited, poles, simulated

from headstart.config.params import for_scenario, load_params
from headstart.dataset.episodes import Episodes
from headstart.dataset.episodes_file import read_episodes
from headstart.view.play_dataset import open_dataset
from headstart.view.sheet import COLUMNS, sheet

TOWN = "queue_conflict"


@pytest.fixture(autouse=True)
def in_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def made(name: str, count: int = 1000, as_png: bool = False) -> tuple[bytes, str]:
    dataset = open_dataset(name)
    return sheet(dataset, for_scenario(load_params(), dataset.scenario), count, as_png)


def test_a_page_sorts_by_return_and_shows_those_with_anomalies(browser: Browser, tmp_path: Path) -> None:
    def change(episodes: Episodes) -> None:
        episodes.observation["features"][int(episodes.table.start[2]) + 3, 0] = np.nan

    path = poles()
    edited(path, change)
    episodes, _ = read_episodes(path)
    data, says = made("pole")
    assert says.startswith("pole: 12 episodes: ") and "1 with anomalies" in says
    (tmp_path / "sheet.html").write_bytes(data)
    with opened(browser, tmp_path / "sheet.html", 360) as it:
        cards = it.page.locator("#cards li")
        assert cards.count() == 12
        it.page.get_by_label("Sort by").select_option("-total")
        shown = [float(card.get_attribute("data-total") or "") for card in cards.all()]
        assert shown == sorted(episodes.table.total_reward.tolist(), reverse=True)
        it.page.get_by_label("Show").select_option("anomaly")
        assert cards.count() == 1
        assert "not-finite, step 3" in (cards.first.text_content() or "")
        assert it.page.locator("#count").text_content() == "1 episode"
        assert it.hidden_from_readers() == [] and it.problems == []
        assert not it.is_wider_than_the_screen()


def test_a_harmful_success_counts_as_both() -> None:
    def change(episodes: Episodes) -> None:
        episodes.table.success[:] = np.arange(12) < 5
        episodes.table.harm[:] = np.arange(12) % 4 == 0

    edited(poles(), change)
    data, says = made("pole")
    assert "5 success, 7 failure; 3 with harm" in says
    assert data.decode().count('data-is="success with harm"') == 2


def test_pictures_are_the_last_moments_of_the_worlds() -> None:
    """Agents of one world share its picture, other worlds have others; equal arguments give equal bytes."""
    simulated(TOWN)
    data, says = made(TOWN, 8)
    assert "pictures: the last moment of each" in says
    images = [line.partition('src="')[2].partition('"')[0] for line in data.decode().splitlines() if "<img " in line]
    assert len(images) == 8 and len(set(images)) == 2
    assert made(TOWN, 8)[0] == data


@pytest.mark.parametrize("name", [TOWN, "nav_gap_seeker"])
def test_one_picture_holds_them_all(name: str) -> None:
    simulated(name)
    data, _ = made(name, as_png=True)
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.format == "PNG" and picture.width > 128 * 2
        assert len(picture.convert("RGB").getcolors(1 << 24) or ()) > 8
    assert COLUMNS * 128 > 1000


def test_a_world_that_is_not_drawn_shows_curves_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from gymnasium.envs.classic_control.cartpole import CartPoleEnv

    monkeypatch.setitem(CartPoleEnv.metadata, "render_modes", [])
    poles()
    _, says = made("pole")
    assert (
        "curves of the return, since the world is not drawn (setup.id: CartPole-v1: expected an environment that can be drawn"
        in says
    )
