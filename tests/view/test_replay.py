"""A recorded episode is rebuilt and proved; one edited number is named with its step, its column and both values."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.recordings import edited, poles, simulated, written

from headstart.config.params import for_scenario, load_params
from headstart.core.errors import InputError, UsageError
from headstart.dataset.episodes import Episodes
from headstart.dataset.episodes_file import read_episodes
from headstart.view.play_dataset import find_episode, open_dataset
from headstart.view.play_proved import proved
from headstart.view.track import Track

TOWN, ROBOT = "queue_conflict", "nav_gap_seeker"


@pytest.fixture(autouse=True)
def in_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def play(name: str, which: str, mode: str | None = None) -> tuple[Track, str]:
    dataset = open_dataset(name)
    return proved(find_episode(dataset, which), for_scenario(load_params(), dataset.scenario), mode)


@pytest.mark.parametrize("make", [lambda: simulated(TOWN), lambda: simulated(ROBOT), poles], ids=["town", "robot", "pole"])
def test_every_step_of_every_world_comes_out_as_recorded(make: Callable[[], Path]) -> None:
    path = make()
    episodes, _ = read_episodes(path)
    for e in (0, len(episodes.table.length) - 1):
        track, wrong = play(path.parts[1], str(e))
        n = int(episodes.table.length[e])
        start = int(episodes.table.start[e])
        assert (track.says[0], wrong) == (f"recorded == replayed: {n} of {n} steps", "")
        assert track.says[1].startswith(f"statistics agree: length {n}, return ")
        recorded, _, counted = track.says[1].partition("; counted in the replay, and not recorded: ")
        assert recorded.endswith(", as in episodes.tsv")
        assert ("chat_quality " in counted) == (", chats " in recorded)  # the town's, which no column of a dataset has
        assert track.marks == ()
        assert track.action == episodes.action[start : start + n].tolist()
        np.testing.assert_allclose(track.reward, episodes.reward[start : start + n], rtol=1e-6)


def test_an_edited_action_of_the_town_is_named_with_its_step_and_both_values() -> None:
    path = simulated(TOWN)

    def change(episodes: Episodes) -> None:
        row = int(episodes.table.start[5]) + 37
        episodes.action[row] = (episodes.action[row] + 1) % 5

    before, _ = read_episodes(path)
    row = int(before.table.start[5]) + 37
    names = read_episodes(path)[1].observation.actions
    was, made = names[before.action[row]], names[(before.action[row] + 1) % 5]
    edited(path, change)
    track, wrong = play(TOWN, "5")
    assert track.says[0] == f"recorded != replayed: first at step 37 of 128, action: recorded {made}, replayed {was}"
    assert track.says[0] in wrong and f"{path}: episode 5, agent 1" in wrong and "`dvc checkout data/queue_conflict/raw`" in wrong
    (mark,) = [mark for mark in track.marks if mark.kind == "replay"]
    assert (mark.first_step, mark.last_step) == (37, 37)


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("reward", "step 12 of 128, reward: recorded "),
        ("truncated", "step 12 of 128, truncated: recorded True, replayed False"),
        ("features", "step 12 of 128, observation need_energy: recorded 0.5, replayed "),
        ("final", "step 127 of 128, final observation need_hunger: recorded 9, replayed "),
    ],
)
def test_any_edited_number_is_found(column: str, said: str) -> None:
    path = simulated(TOWN)

    def change(episodes: Episodes) -> None:
        row = int(episodes.table.start[0]) + 12
        match column:
            case "reward":
                episodes.reward[row] += 0.25
            case "truncated":
                episodes.truncated[row] = True
            case "features":
                episodes.observation["features"][row, 2] = 0.5
            case _:
                episodes.final_observation["features"][0, 0] = 9

    edited(path, change)
    track, wrong = play(TOWN, "0")
    assert f"first at {said}" in track.says[0]
    assert wrong


def test_an_edited_action_of_a_recording_shows_in_what_the_environment_answers() -> None:
    def change(episodes: Episodes) -> None:
        episodes.action[int(episodes.table.start[3]) + 20] ^= 1

    edited(poles(), change)
    track, wrong = play("pole", "3")
    assert "recorded != replayed: first at step 21 of" in wrong
    assert "observation" in track.says[0]


def test_a_recording_without_seeds_is_shown_as_it_is() -> None:
    path = poles()
    episodes, header = read_episodes(path)
    written("pole", replace(episodes, table=replace(episodes.table, seed=-1 + 0 * episodes.table.seed)), header)
    track, wrong = play("pole", "2")
    assert (track.says[0], wrong) == ("not replayed (its seed is not recorded)", "")
    assert len(track) == int(episodes.table.length[2])


def test_a_return_that_the_rewards_do_not_add_up_to_is_found() -> None:
    def change(episodes: Episodes) -> None:
        episodes.table.total_reward[1] += 1

    edited(poles(), change)
    track, wrong = play("pole", "1")
    assert track.says[0].startswith("recorded == replayed")
    assert track.says[1].startswith("statistics differ: return: recorded ") and "return in episodes.tsv" in wrong


def test_an_episode_is_found_by_its_name_and_by_the_first_digits_of_it() -> None:
    path = simulated(TOWN)
    name = read_episodes(path)[0].table.episode_id[6].decode()
    dataset = open_dataset(TOWN)
    assert [find_episode(dataset, which).e for which in ("6", name, name[:9], name.upper())] == [6] * 4


@pytest.mark.parametrize(
    ("name", "which", "error", "said"),
    [
        (TOWN, "8", UsageError, "expected an episode from 0 to 7, got 8"),
        (TOWN, "ffff0000ffff0000", UsageError, "expected the name of one episode, none of 8 begin with"),
        (TOWN, "../../etc", UsageError, "expected its number, as 12, or its name"),
        (TOWN, "<script>", UsageError, "expected its number, as 12, or its name"),
        ("queue_conflct", "0", UsageError, "did you mean 'queue_conflict'"),
        ("../secret", "0", UsageError, "no scenario and no dataset"),
        (f"{TOWN}@000000000000", "0", UsageError, "the catalogue has no such dataset"),
    ],
)
def test_what_is_not_there_is_named(name: str, which: str, error: type[Exception], said: str) -> None:
    simulated(TOWN)
    with pytest.raises(error, match=said):
        play(name, which)


def test_a_scenario_without_a_recording_says_how_to_get_one() -> None:
    path = simulated(TOWN)
    path.unlink()
    with pytest.raises(
        InputError, match=r"data/queue_conflict: expected recorded episodes .* `dvc repro capture@queue_conflict` records them"
    ):
        play(TOWN, "0")
