"""A replay of a log keeps its pace."""

from collections.abc import Callable
from pathlib import Path

from tests.view.observed import lines, story, update, write

from headstart.telemetry.follow import Log
from headstart.view.observe_replay import MAX_GAP_S, Replay

STORY = lines(story())


def clock(times: list[float]) -> Callable[[], float]:
    return lambda: times[-1]


def test_a_replay_gives_records_when_their_time_has_come(tmp_path: Path) -> None:
    write(tmp_path, STORY)  # one every 0.5 s
    times = [100.0]
    replay = Replay(Log(lambda: tmp_path), 4.0, clock(times))
    found = []
    for now in (100.0, 100.1, 100.5, 101.0):
        times.append(now)
        found.append(len(replay.read().records))
    assert found == [1, 0, 4, 4]
    times.append(1000.0)
    assert len(replay.read().records) == len(STORY) - 9


def test_a_replay_does_not_wait_out_a_night(tmp_path: Path) -> None:
    write(tmp_path, [*lines(story()[:2]), *lines(update(1000), every_s=36_000, first=3)])
    times = [0.0]
    replay = Replay(Log(lambda: tmp_path), 1.0, clock(times))
    assert len(replay.read().records) == 1
    times.append(0.5 + 2 * MAX_GAP_S)
    assert len(replay.read().records) == 3
