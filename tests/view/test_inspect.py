"""The page of a dataset in a browser: all episodes in one table that sorts, filters and leads to one; hostile names stay text."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser
from tests.browser import opened
from tests.dataset.conftest import SCHEMA, record_walks
from tests.inspected import opened_from
from tests.view.test_page import HOSTILE

from headstart.dataset.episodes import Episodes
from headstart.dataset.flags import change_flag
from headstart.dataset.inspection_look import Look, as_json, look_at
from headstart.view.inspect import page_of
from headstart.view.inspect_text import spark, text_of

LONG = HOSTILE[0] + "x" * 90  # wider than a telephone


@pytest.fixture(scope="module")
def look(tmp_path_factory: pytest.TempPathFactory) -> Look:
    """Forty walks, of which five were rejected and one is flagged, against forty others; whatever a person can name is hostile."""
    root = tmp_path_factory.mktemp("look")
    walks = record_walks(range(40))
    change_flag(root, "walk", walks.table.episode_id[7].decode(), HOSTILE[2])
    total = walks.table.total_reward.copy()
    total[11] = -100
    walks = replace(walks, table=replace(walks.table, total_reward=total, behaviour={HOSTILE[3]: np.full(40, 2, np.int32)}))
    schema = SCHEMA.model_copy(update={"features": (*HOSTILE[:6],), "actions": (*HOSTILE[:5],)})
    reasons = [["harm", "no-success"] if world % 8 == 3 else [] for world in range(40)]
    said = dict(zip(("licence", "author", "source"), HOSTILE[:3], strict=True))
    here = opened_from(walks, schema, reasons=reasons, name=LONG, state=HOSTILE[1])
    there = opened_from(record_walks(range(20, 60)), schema, name=HOSTILE[2], play=HOSTILE[2])
    found = look_at(root, here, there, said, 3)
    assert found.found.accepted.sum() == 35
    return found


@pytest.fixture(scope="module")
def written(look: Look, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "look.html"
    path.write_bytes(page_of(look))
    return path


@pytest.mark.parametrize(("width", "scheme"), [(1100, "light"), (360, "dark")])
def test_the_page_loads_nothing_fits_its_screen_and_shows_hostile_names_as_text(
    browser: Browser, written: Path, width: int, scheme: str
) -> None:
    with opened(browser, written, width, scheme) as it:  # type: ignore[arg-type]
        it.drawn()
        assert it.page.locator("h1").text_content() == LONG
        assert it.page.locator("img, main script").count() == 0
        assert it.page.locator(".chart svg").count() >= 4
        assert it.hidden_from_readers() == []
        assert not it.is_wider_than_the_screen()
        assert it.problems == []


def test_the_table_holds_all_episodes_sorts_by_a_click_and_filters(browser: Browser, written: Path, look: Look) -> None:
    ids, returns = look.found.opened.ids, look.found.columns["return"].values
    with opened(browser, written) as it:
        page = it.page
        assert page.locator("#count").text_content() == "40 of 40 episodes"
        page.get_by_role("button", name="return", exact=True).click()
        assert page.locator("#body a").first.text_content() == ids[int(returns.argmax())]
        page.get_by_role("button", name="return ▼").click()
        assert page.locator("#body a").first.text_content() == ids[11]
        assert page.locator("#head th").nth(1).get_attribute("aria-sort") == "ascending"
        page.locator("#group").select_option("rejected")
        assert page.locator("#count").text_content() == "5 of 40 episodes"
        assert set(page.locator("#body a").all_text_contents()) == {ids[e] for e in range(3, 40, 8)}
        page.locator("#search").fill("NO-SUCCESS")
        assert page.locator("#count").text_content() == "5 of 40 episodes"
        page.locator("#search").fill(ids[11])
        assert page.locator("#body a").all_text_contents() == [ids[11]]
        page.locator("#group").select_option("flagged")
        page.locator("#search").fill("")
        assert page.locator("#body a").all_text_contents() == [ids[7]]


def test_a_ranking_leads_to_the_episode_with_its_reasons_and_the_command_that_plays_it(
    browser: Browser, written: Path, look: Look
) -> None:
    ids = look.found.opened.ids
    with opened(browser, written) as it:
        it.page.locator("#rankings + .grid a").first.click()
        worst = look.rankings[0].rows[0]
        assert it.page.locator("#chosen h3").text_content() == ids[worst]
        assert it.page.locator("#chosen code").text_content() == f"headstart play walk {ids[worst]} --html {ids[worst]}.html"
    with opened(browser, written, fragment=f"#e={ids[3]}") as it:
        assert it.page.locator("#chosen p").all_text_contents()[1:] == ["harm", "no-success"]
        assert it.page.locator("#chosen p").first.text_content().startswith("rejected; return ")
    with opened(browser, written, fragment=f"#e={ids[7]}") as it:
        assert f"flagged: {HOSTILE[2]}" in it.page.locator("#chosen p").all_text_contents()
        assert it.problems == []


def test_every_episode_of_a_thousand_can_be_scrolled_to_and_few_rows_are_drawn(browser: Browser, tmp_path: Path) -> None:
    walks = record_walks(range(1000))
    found = look_at(tmp_path, opened_from(walks, SCHEMA), None, {}, 3)
    (tmp_path / "look.html").write_bytes(page_of(found))
    with opened(browser, tmp_path / "look.html") as it:
        seen = set[str]()
        for _ in range(1000 // 15 + 5):
            rows = it.page.locator("#body a").all_text_contents()
            assert len(rows) <= 50
            seen |= set(rows)
            it.page.evaluate("document.getElementById('rows').scrollTop += 15 * 30; document.getElementById('rows').onscroll()")
        assert seen == set(found.found.opened.ids)


def test_the_numbers_of_the_page_are_those_of_the_json(written: Path, look: Look) -> None:
    page, found = written.read_text(), as_json(look)
    for number in (found["counts"]["accepted"], f"{found['spread']['return']['median']:.3g}", found["against"]["common"]):
        assert re.search(rf"\b{number}\b", page), number
    assert str(found["rejected"]["harm"][0]) in page


def test_equal_looks_give_equal_bytes(look: Look) -> None:
    assert page_of(look) == page_of(look)


def test_the_text_has_no_character_that_steers_a_terminal(look: Look) -> None:
    names = look.found.opened._replace(name="a\x1b[31mb\u202e", state="x\u2028y")
    text = text_of(look._replace(found=look.found._replace(opened=names)))
    assert all(one.isprintable() or one == "\n" for one in text)


def test_a_recording_without_rewards_shows_that_they_were_not_measured(tmp_path: Path, browser: Browser) -> None:
    walks: Episodes = record_walks(range(30))
    absent = opened_from(walks, SCHEMA, absent=("rewards", "success", "harm"), scenario=None)
    found = look_at(tmp_path, absent, None, {}, 3)
    assert "return            not measured: it is not recorded" in text_of(found)
    (tmp_path / "look.html").write_bytes(page_of(found))
    with opened(browser, tmp_path / "look.html", fragment="#e=" + found.found.opened.ids[0]) as it:
        assert it.problems == []
        assert "Not measured, as the recording does not have it: return, success, harm" in it.page.locator("main").inner_text()
        assert it.page.locator("#chosen code").text_content() == "It can be played once a scenario names the recording."


def test_a_histogram_of_one_line_shows_every_cell_that_is_not_empty() -> None:
    assert spark([0, 1, 500, 1000]) == " ▁▄█"
    assert spark([]) == ""
