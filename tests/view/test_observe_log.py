"""A growing log is read once and whole: torn ends, segments, resumed runs, moved folders, lines that are none; a replay keeps its pace."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.view.observed import lines, story, update, write

from headstart.core.files import write_bytes
from headstart.view.observe_log import MAX_GAP_S, Log, Replay, Unreadable

STORY = lines(story())


def all_of(log: Log) -> list[int]:
    """Read to the end; the seq of each new record. A restart is a 0."""
    found = list[int]()
    while part := log.read():
        found += [0] * part.restarts + [record.seq for record in part.records if not isinstance(record, Unreadable)]
        if not part.records:
            return found
    raise AssertionError


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(0, sum(map(len, STORY))), max_size=8))
def test_a_log_that_grows_in_pieces_of_any_size_gives_every_record_once(
    cuts: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, data = tmp_path_factory.mktemp("log"), b"".join(STORY)
    log, found = Log(lambda: folder), list[int]()
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(data)], strict=True):
        write(folder, [data[begin:end]])
        found += all_of(log)
    assert found == list(range(1, len(STORY) + 1))


def test_segments_follow_each_other(tmp_path: Path) -> None:
    log = Log(lambda: tmp_path)
    assert all_of(log) == []
    write(tmp_path, STORY[:3])
    assert all_of(log) == [1, 2, 3]
    write(tmp_path, STORY[3:5])
    write(tmp_path, STORY[5:6], segment=1)
    write(tmp_path, STORY[6:8], segment=2)
    assert all_of(log) == [4, 5, 6, 7, 8]


def test_a_log_that_was_moved_goes_on_where_it_was(tmp_path: Path) -> None:
    places = [tmp_path / "work", tmp_path / "reports"]
    places[0].mkdir()
    log = Log(lambda: next((place for place in places if place.exists()), None))
    write(places[0], STORY[:3])
    write(places[0], STORY[3:5], segment=1)
    assert all_of(log) == [1, 2, 3, 4, 5]
    write(places[0], STORY[5:7], segment=1)
    shutil.copytree(places[0], places[1])
    shutil.rmtree(places[0])
    assert all_of(log) == [6, 7]


@pytest.mark.parametrize("kept", [2, 4, 5])
def test_a_run_that_is_resumed_begins_anew_only_where_it_takes_back_what_was_read(kept: int, tmp_path: Path) -> None:
    log, others = Log(lambda: tmp_path), lines(story(), every_s=3.0)
    write(tmp_path, STORY[:5])
    assert all_of(log) == [1, 2, 3, 4, 5]
    write_bytes(tmp_path / "telemetry-0000.ndjson", b"".join(STORY[:kept]))  # as the writer does
    write(tmp_path, others[kept:7])
    whole = list(range(1, 8))
    assert all_of(log) == ([6, 7] if kept == 5 else [0, *whole])
    assert log.lines == 7


def test_a_segment_that_a_resumed_run_removed_is_forgotten(tmp_path: Path) -> None:
    log = Log(lambda: tmp_path)
    write(tmp_path, STORY[:3])
    later = write(tmp_path, STORY[3:5], segment=1)
    assert all_of(log) == [1, 2, 3, 4, 5]
    later.unlink()
    write_bytes(tmp_path / "telemetry-0000.ndjson", b"".join(STORY[:2]))
    assert all_of(log) == [0, 1, 2]


def test_only_what_is_new_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    real = os.pread

    def counted(file: int, size: int, offset: int) -> bytes:
        read.append(len(data := real(file, size, offset)))
        return data

    monkeypatch.setattr("headstart.view.observe_log.os.pread", counted)
    log = Log(lambda: tmp_path)
    for line in STORY:
        write(tmp_path, [line])
        all_of(log)
    assert sum(read) == sum(map(len, STORY))


@pytest.mark.parametrize(
    "line", [b"\n", b"{}\n", b"\xff\x00\n", b"[" * 5000 + b"\n", b'{"kind":"update","seq":1e999}\n', b"x" * (3 << 20) + b"\n"]
)
def test_a_line_that_is_no_record_is_named_and_passed_over(line: bytes, tmp_path: Path) -> None:
    log = Log(lambda: tmp_path)
    write(tmp_path, [*STORY[:2], line, *STORY[2:4]])
    records = [record for _ in range(8) for record in log.read().records]
    assert [record.seq for record in records if not isinstance(record, Unreadable)] == [1, 2, 3, 4]
    bad = [record for record in records if isinstance(record, Unreadable)]
    assert bad and bad[0].number == 3 and bad[0].why


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
