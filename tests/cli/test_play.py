"""`headstart play` of a recorded episode: what it prints, what it writes, and how it ends."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.recordings import edited, poles, simulated

from headstart.cli.play import _names
from headstart.core.contents import sealed_directory
from headstart.dataset.episodes import Episodes

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def in_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_an_episode_is_proved_and_the_next_step_is_told(command: Command) -> None:
    simulated("queue_conflict", 1)
    code, out, err = command("play", "queue_conflict", "2")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("queue_conflict, episode 2, agent 2: world 1000000, seed ")
    assert lines[1] == "  recorded == replayed: 128 of 128 steps"
    assert lines[2].startswith("  statistics agree: length 128, return ")
    assert lines[3:] == [
        "  no anomalies (compared with the 4 episodes of shard-0000.h5)",
        "watch it: `headstart play queue_conflict 2 --html episode.html`",
    ]


def test_an_edited_action_ends_with_4_and_the_page_is_written_nevertheless(command: Command) -> None:
    def change(episodes: Episodes) -> None:
        row = int(episodes.table.start[1]) + 90
        episodes.action[row] = (episodes.action[row] + 1) % 5

    edited(simulated("queue_conflict", 1), change)
    code, out, err = command("play", "queue_conflict", "1", "--html", "episode.html")
    assert code == 4
    assert "recorded != replayed: first at step 90 of 128, action: recorded " in err and err.count("\n") == 1
    assert "step 90: replay: action: recorded " in out
    assert b"recorded != replayed: first at step 90" in Path("episode.html").read_bytes()


def test_a_damaged_recording_ends_with_4_whatever_the_damage_and_names_its_cure(command: Command) -> None:
    shard = simulated("queue_conflict", 1)
    with sealed_directory(shard.parent) as folder:
        shutil.copy(shard, folder)
    whole = shard.read_bytes()
    for damaged in (whole[:-10], whole[:100], whole.replace(b"episodes/1", b"episodes/9"), b""):
        shard.write_bytes(damaged)
        code, _, err = command("play", "queue_conflict", "0")
        assert code == 4 and err.startswith(f"error: {shard}: expected {len(whole)} bytes with hash "), err
        assert err.endswith("; `headstart verify --repair` brings back what dvc.lock records\n")


def test_statistics_are_broken_at_the_width_of_the_terminal_and_json_has_them_whole(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    simulated("queue_conflict", 1)
    assert max(map(len, command("play", "queue_conflict", "2")[1].splitlines())) <= 80
    found = json.loads(command("play", "queue_conflict", "2", "--json")[1])
    (episode,) = found["episodes"]
    assert (found["dataset"], episode["steps"], episode["anomalies"], episode["differs"]) == ("queue_conflict", 128, [], "")
    assert episode["says"][0] == "recorded == replayed: 128 of 128 steps"


def test_every_kind_of_file_is_written_of_a_recording_of_cartpole(command: Command) -> None:
    pytest.importorskip("imageio_ffmpeg")
    poles()
    code, out, _ = command(
        "play", "pole", "3", "--against", "5", "--html", "a.html", "--gif", "a.gif", "--mp4", "a.mp4", "--png", "a.png"
    )
    assert code == 0
    assert out.splitlines()[-4:] == ["open a.html", "open a.gif", "open a.mp4", "open a.png"]
    heads = {"a.html": b"<!doc", "a.gif": b"GIF89", "a.mp4": b"\0\0\0", "a.png": b"\x89PNG"}
    assert {name: Path(name).read_bytes()[: len(head)] for name, head in heads.items()} == heads


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("queue_conflict", "0", "--policy", "x"), "--policy: expected no episode beside it"),
        (("queue_conflict@abc",), "expected an episode behind it"),
        (("queue_conflict", "0", "--sheet", "a.html"), "--sheet: expected a dataset alone"),
        (("queue_conflict", "0", "--agent", "0"), "--agent: expected it with a policy"),
        (("queue_conflict", "--sheet", "a.html", "--seed", "1"), "--seed: expected it with a policy"),
        (("queue_conflict", "--sheet", "a.txt"), "expected a file that ends in .html or .png"),
        (("queue_conflict", "0", "--variant", "crowded"), "--variant: expected it with a policy"),
        (("queue_conflict", "--variant", "crowd"), "which has crowded, restless, moved_fridge, got 'crowd'"),
        (("queue_conflict", "0", "--gif", "a.html"), "--gif: expected a file that ends in .gif, got a.html"),
    ],
)
def test_a_wrong_combination_says_what_was_expected(command: Command, arguments: tuple[str, ...], said: str) -> None:
    simulated("queue_conflict", 1)
    code, _, err = command("play", *arguments)
    assert code == 2
    assert said in err and err.count("\n") == 1


def test_policies_of_one_name_are_told_apart_by_the_folder_above() -> None:
    assert _names([None, "models/walk/bc/seed-3"]) == ["expert", "seed-3"]
    assert _names(["models/walk/anneal/tiny/seed-3", "models/walk/bc/seed-3"]) == ["tiny/seed-3", "bc/seed-3"]
