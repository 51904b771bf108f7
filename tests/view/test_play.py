"""An episode before your eyes: how many frames there are, what reaches a terminal and what reaches a file."""

import io
import struct
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from headstart.config.scenario import load_scenario
from headstart.core.errors import UsageError
from headstart.runs.worlds import task_of
from headstart.view.play import played, png, show
from headstart.worlds.api import Task, World
from headstart.worlds.make import make

ROOT = Path(__file__).parents[2]


def town(render_mode: str = "ansi") -> World:
    scenario = load_scenario("queue_conflict", ROOT / "scenarios")
    return make(task_of(scenario), num_worlds=1, render_mode=render_mode)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_frames_are_the_start_and_the_moment_after_every_tick() -> None:
    world = town()
    track = played(world, lambda obs: world.expert_actions(), seed=1, ticks=127, agent=0, title="expert")
    assert [text.split(" of ")[0] for text in track.texts] == [f"tick {tick}" for tick in range(128)]
    assert len(track) == 127


def test_an_environment_shows_its_last_moment_and_how_it_ended() -> None:
    world = make(Task("gym", {"id": "CartPole-v1"}, 40, ["every steps > 0"], ["any terminated > 0"]), 1, render_mode="rgb_array")
    track = played(world, lambda obs: np.array([1]), seed=0, ticks=None, agent=0, title="right")
    assert len(track.frames) == len(track) + 1 == len(track.counters)
    assert (track.end, sum(track.reward)) == ("terminated", len(track))
    world.close()


def test_the_probability_of_what_a_network_chose_stands_beside_it() -> None:
    class Chooser:
        policy = SimpleNamespace(probability=np.full((4, 15), 0.25))

        def __call__(self, obs: object) -> np.ndarray:
            return np.zeros(4, int)

    track = played(town(), Chooser(), seed=1, ticks=2, agent=3, title="network")
    assert track.probability == [0.25, 0.25]
    assert track.action == [0, 0]


@pytest.mark.parametrize("ticks", [-1, 128])
def test_more_ticks_than_an_episode_has_are_refused(ticks: int) -> None:
    with pytest.raises(UsageError, match=f"ticks: expected 0 to 127, got {ticks}"):
        played(town(), lambda obs: np.zeros(4, int), seed=1, ticks=ticks, agent=0, title="")


def test_an_agent_that_the_world_does_not_have_is_refused() -> None:
    with pytest.raises(UsageError, match="agent: expected 0 to 3, got 4"):
        played(town(), lambda obs: np.zeros(4, int), seed=1, ticks=1, agent=4, title="")


def test_a_file_gets_plain_text_one_frame_after_the_other() -> None:
    out = io.StringIO()
    show(iter(["\x1b[38;5;16ma\x1b[0m\n", "b\n"]), out, ticks_per_second=1, colour=False)
    assert out.getvalue() == "a\n\nb\n\n"


def test_a_terminal_gets_its_cursor_back_even_when_the_play_is_interrupted() -> None:
    def interrupted():  # type: ignore[no-untyped-def]
        yield "a\n"
        raise KeyboardInterrupt

    out = Terminal()
    with pytest.raises(KeyboardInterrupt):
        show(interrupted(), out, ticks_per_second=1000, colour=True)
    assert out.getvalue().startswith("\x1b[?25l")
    assert out.getvalue().endswith("\x1b[?25h")


def test_a_png_holds_the_size_and_the_pixels() -> None:
    picture = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)

    data = png(picture)

    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", data[16:24]) == (3, 2)
    at = data.index(b"IDAT")
    size = struct.unpack(">I", data[at - 4 : at])[0]
    rows = zlib.decompress(data[at + 4 : at + 4 + size])
    assert rows == b"\x00" + picture[0].tobytes() + b"\x00" + picture[1].tobytes()


def test_a_world_that_has_no_text_says_so() -> None:
    with pytest.raises(UsageError, match="an environment of your own draws pictures, expected rgb_array, got 'ansi'"):
        make(Task("gym", {"id": "CartPole-v1"}, 5, ["every x > 0"], ["sum x < 0"]), num_worlds=1, render_mode="ansi")


def test_a_whole_episode_of_a_policy_says_how_it_ended() -> None:
    world = town()
    track = played(world, lambda obs: world.expert_actions(), seed=1, ticks=None, agent=0, title="expert")
    assert len(track) == 128
    assert track.says == (f"128 steps, return {sum(track.reward):.4g}, success yes, harm no",)
