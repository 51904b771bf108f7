"""Drawing of a town: text with every part in its place, pictures with known colours at known cells, no effect on the world."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.config.scenario import Scenario, load_scenario
from headstart.core.errors import UsageError
from headstart.runs.worlds import task_of
from headstart.worlds.make import make
from headstart.worlds.town import state as s
from headstart.worlds.town.draw import colours
from headstart.worlds.town.draw.picture import CELL, picture
from headstart.worlds.town.draw.text import frame
from headstart.worlds.town.layout import read_layout

ROOT = Path(__file__).parents[2]
SCENARIO: Scenario = load_scenario("queue_conflict", ROOT / "scenarios")
LAYOUT = "################\n#F.............#\n#..............#\n#.............S#\n################"
GOLDEN = """\
tick 7 of 128 · world 3 · episode 2 · prices 140 % · no water
████████████████████████████████    hunger  hygiene energy cents
██F 2*· · · · · · · · · · · · ██  0 ████░░  ███░░░  ██████  250  may use S, 9
██· · · · · · · · · 3 · 0!1w· ██  1 █░░░░░  ░░░░░░  ██████    5  waits for S 1/1
██· · · · · · · · · · · · · S1██  2 ██████  ██████  ██████   50  uses F, 3
████████████████████████████████  3 ██████  ██████  ██████   50
████████████████████████████████
████████████████████████████████  F fridge: agent 2, 8 left
████████████████████████████████  S shower: agent 0; waiting: 1
████████████████████████████████
████████████████████████████████
████████████████████████████████
████████████████████████████████
████████████████████████████████
████████████████████████████████
████████████████████████████████
████████████████████████████████
w waits  ! may use  * uses
events: 1 pressed · 3 chatted
"""


@pytest.fixture
def plan() -> Any:
    return read_layout(LAYOUT)[0]


@pytest.fixture
def setup() -> Any:
    record = np.zeros((), s.SETUP)
    record["agents"], record["horizon"] = 4, 128
    return record


@pytest.fixture
def world() -> Any:
    """Agent 0 may use the shower and 1 waits for it; 2 uses the fridge; 3 is idle."""
    world = np.zeros(1, s.WORLD)[0]
    for name, value in {"tick": 7, "id": 3, "episode": 2, "price": 140, "outage_end": 9, "occupant": -1, "meet_a": -1}.items():
        world[name] = value
    places = [(2, 12, s.CLAIM, 1), (2, 13, s.WAITING, 1), (1, 2, s.USING, 0), (2, 10, s.NONE, -1)]
    for a, (y, x, status, thing) in enumerate(places):
        agent = world["agent"][a]
        agent["y"], agent["x"], agent["status"], agent["queue"] = y, x, status, thing
        agent["wallet"], agent["need"][:] = 50, 10000
        world["occupant"][y, x] = a
    world["agent"]["claim"][0], world["agent"]["busy"][2] = 9, 3
    world["agent"]["wallet"][:2] = 250, 5
    world["agent"]["need"][0], world["agent"]["need"][1] = (6000, 4900, 9999), (1, 0, 10000)
    world["object"]["active"][:] = -1
    world["object"]["active"][:2] = 2, 0
    world["object"]["stock"][0] = 8
    world["object"]["length"][1], world["queue"][1, 0] = 1, 1
    return world


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_a_world_reads_as_text(world: Any, plan: Any, setup: Any) -> None:
    before = world.copy()
    world["agent"]["presses"][1] += 1
    world["agent"]["chats"][3] += 1

    assert plain(frame(world, plan, setup, before)) == GOLDEN


def test_a_meeting_is_announced_and_its_cell_marked(world: Any, plan: Any, setup: Any) -> None:
    world["meet_a"], world["meet_b"], world["meet_y"], world["meet_x"] = 0, 3, 3, 4

    text = plain(frame(world, plan, setup, world))

    assert "0 and 3 shall meet at +" in text.splitlines()[0]
    assert text.splitlines()[4][8:10] == "+ "
    assert tuple(picture(world, plan)[3 * CELL + 5, 4 * CELL + 5]) == colours.MEETING


def test_an_agent_that_is_gone_is_not_drawn(world: Any, plan: Any, setup: Any) -> None:
    world["agent"]["gone"][3], world["occupant"][2, 10] = 1, -1

    text = plain(frame(world, plan, setup, world))

    assert "3 ██████  ██████  ██████   50  gone" in text
    assert text.splitlines()[3].startswith("██· · · · · · · · · · · 0!")
    assert tuple(picture(world, plan)[2 * CELL + 16, 10 * CELL + 5]) == colours.FLOOR


def test_a_workplace_names_who_works_there(world: Any, setup: Any) -> None:
    world["agent"]["workplace"] = 0
    office = read_layout(LAYOUT.replace("F", "K"))[0]
    world["agent"]["workplace"][1] = -1

    assert "W workplace of 0, 2, 3" in plain(frame(world, office, setup, world))


def test_a_text_fits_a_terminal_of_80_columns(world: Any, plan: Any, setup: Any) -> None:
    assert max(len(line) for line in plain(frame(world, plan, setup, world)).splitlines()) <= 80


def test_agents_are_written_on_their_own_colour(world: Any, plan: Any, setup: Any) -> None:
    text = frame(world, plan, setup, world)

    papers = {a: re.search(rf"\x1b\[48;5;(\d+)m\x1b\[38;5;\d+m{a}[ w!*]", text) for a in range(4)}
    assert len({found[1] for found in papers.values() if found}) == 4


def test_a_picture_has_known_colours_at_known_cells(world: Any, plan: Any) -> None:
    image = picture(world, plan)

    def at(y: int, x: int, dy: int = CELL // 2, dx: int = 5) -> tuple[int, ...]:
        return tuple(int(c) for c in image[y * CELL + dy, x * CELL + dx])

    assert image.shape == (16 * CELL, 16 * CELL, 3)
    assert image.dtype == np.uint8
    assert at(0, 0) == colours.WALL
    assert at(3, 5) == colours.FLOOR
    assert at(1, 1) == colours.OBJECTS[s.FRIDGE]
    assert at(3, 14) == colours.OBJECTS[s.SHOWER]
    assert [at(2, 12), at(2, 13), at(1, 2), at(2, 10)] == list(colours.AGENTS[:4])


def test_every_status_has_a_mark_of_its_own(world: Any, plan: Any) -> None:
    marks = set()
    for status in (s.NONE, s.WAITING, s.CLAIM, s.USING):
        world["agent"]["status"][3] = status
        marks.add(picture(world, plan)[2 * CELL : 2 * CELL + 14, 10 * CELL + 18 : 11 * CELL].tobytes())

    assert len(marks) == 4


def test_agents_and_objects_have_colours_of_their_own() -> None:
    assert len(set(colours.AGENTS)) == s.MAX_AGENTS
    assert len(set(colours.OBJECTS)) == len(set(colours.LETTERS)) == len(s.OBJECT_TYPES)


def town(num_worlds: int = 2, render_mode: str | None = "ansi") -> Any:
    return make(task_of(SCENARIO), num_worlds, render_mode=render_mode)


def test_render_gives_one_frame_a_world_and_changes_nothing() -> None:
    drawn, blind = town(), town(render_mode=None)
    for world in (drawn, blind):
        world.reset(seed=4)
    for _ in range(30):
        assert len(drawn.render()) == 2
        for world in (drawn, blind):
            world.step(world.expert_actions())
    np.testing.assert_array_equal(drawn.snapshot()["worlds"], blind.snapshot()["worlds"])
    assert "tick 30 of 128 · world 1" in drawn.render()[1]


def test_render_tells_what_happened_in_the_last_tick() -> None:
    world = town(1)
    world.reset(seed=4)
    told = ""
    for _ in range(60):
        world.step(world.expert_actions())
        told += world.render()[0].splitlines()[-1]
    assert "showered" in told
    world.restore(world.snapshot())
    assert world.render()[0].endswith("events: none\n")


@pytest.mark.parametrize("mode", ["human", "ANSI"])
def test_an_unknown_render_mode_names_those_that_there_are(mode: str) -> None:
    with pytest.raises(UsageError, match=rf"render_mode: expected ansi or rgb_array, got '{mode}'"):
        town(1, render_mode=mode)


def test_a_town_that_was_not_made_to_be_drawn_says_so() -> None:
    with pytest.raises(UsageError, match="expected a town made with render_mode ansi or rgb_array, got None"):
        town(1, render_mode=None).render()


def test_drawing_is_outside_every_hash_that_makes_training_run_again() -> None:
    ignored = (ROOT / ".dvcignore").read_text().splitlines()
    assert "src/headstart/worlds/*/draw/" in ignored
    drawing = ROOT / "src/headstart/worlds/town/draw"
    for path in (ROOT / "src/headstart/worlds").rglob("*.py"):
        if path.parent != drawing and path.name != "env.py":
            assert "town.draw" not in path.read_text(), f"{path} imports what no hash covers"
