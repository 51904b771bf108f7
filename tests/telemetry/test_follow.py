"""A log is followed while it is written: every record once, across segments, torn ends, a resumed run and a beginning that is late."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.logged import ROOT, SAMPLES, nav
from tests.view.observed import lines, story, write

from headstart.core.errors import Busy, InputError, IntegrityError
from headstart.core.files import write_bytes
from headstart.telemetry.follow import Followed, Log, Unreadable, follow
from headstart.telemetry.kinds import Envelope
from headstart.telemetry.reader import read_telemetry
from headstart.telemetry.writer import TelemetryWriter

LINES = nav("pretrained", (48, 56, 60, 62), 2).lines
Step = Callable[[], object]


def followed(path: Path, steps: Iterator[Step], idle_s: float | None = None) -> list[int]:
    """The `seq` of all records, where each look that finds none is followed by a step; a restart is a 0."""
    return [seq for one in all_followed(path, steps, idle_s) for seq in [0] * one.restarts + [one.record.seq]]


def all_followed(path: Path, steps: Iterator[Step], idle_s: float | None = None) -> list[Followed]:
    return list(follow(path, 1.0, idle_s, sleep=lambda seconds: next(steps)()))


def adding(path: Path, data: bytes) -> Step:
    def add() -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(data)

    return add


def test_a_file_that_comes_late_is_read_as_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "telemetry" / "telemetry-0000.ndjson"
    steps = [adding(path, b"".join(LINES[:3])), lambda: None, *(adding(path, line) for line in LINES[3:])]
    for place in (tmp_path / "telemetry", path):
        assert followed(place, iter(steps)) == list(range(1, len(LINES) + 1))
        path.unlink()


def test_a_line_counts_when_it_is_complete_wherever_it_was_cut(tmp_path: Path) -> None:
    data = b"".join(LINES)
    for cut in range(1, len(data), 97):
        path = tmp_path / f"{cut}.ndjson"
        steps = [adding(path, data[:cut]), lambda: None, adding(path, data[cut:])]
        assert followed(path, iter(steps)) == list(range(1, len(LINES) + 1))


def test_a_log_of_one_record_a_segment_is_followed(tmp_path: Path) -> None:
    steps = [adding(tmp_path / f"telemetry-{number:04d}.ndjson", line) for number, line in enumerate(LINES)]
    assert followed(tmp_path, iter(steps)) == list(range(1, len(LINES) + 1))


@pytest.mark.parametrize("kept", [4, 7])
def test_a_run_that_resumes_is_read_again_and_what_it_had_written_is_known(kept: int, tmp_path: Path) -> None:
    path = tmp_path / "telemetry-0000.ndjson"
    other = [line.replace(b'"env_steps":', b'"env_steps":1') for line in LINES]  # it goes on otherwise than before

    def resume() -> None:
        new = tmp_path / "new"
        new.write_bytes(b"".join(LINES[:kept]))
        new.replace(path)

    steps: list[Step] = [
        adding(path, b"".join(LINES[:7]) + b'{"torn'),
        resume,
        adding(path, b"".join(other[kept:8])),
        adding(path, b"".join(other[8:])),
    ]
    found = all_followed(tmp_path, iter(steps))
    seqs, whole = [one.record.seq for one in found], list(range(1, len(LINES) + 1))
    if kept == 7:  # nothing of what was read was taken back
        assert seqs == whole
        assert not any(one.known or one.restarts for one in found)
    else:
        assert seqs == [*whole[:7], *whole]
        assert [number for number, one in enumerate(found) if one.restarts] == [7]
        assert [one.record.seq for one in found if one.known] == whole[:kept]
        assert [one.record.env_steps for one in found[7:]] == [json.loads(line)["env_steps"] for line in LINES[:4] + other[4:]]


def test_a_record_that_only_the_clock_changed_is_known(tmp_path: Path) -> None:
    later = [line.replace(b'"time_utc":"2026', b'"time_utc":"2027') for line in LINES]
    assert later != LINES
    path = tmp_path / "telemetry-0000.ndjson"

    def resume() -> None:
        write_bytes(path, b"".join(LINES[:2] + later[2:]))

    found = all_followed(tmp_path, iter([adding(path, b"".join(LINES[:6])), resume]))
    assert [one.known for one in found[6:]] == [True] * 6 + [False] * (len(LINES) - 6)


def test_a_field_that_a_later_version_writes_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    more = [line.replace(b'{"', b'{"a_field_of_tomorrow":{"x":1},"', 1) for line in LINES]
    assert followed(path, iter([adding(path, b"".join(more))])) == list(range(1, len(LINES) + 1))


def test_what_the_writer_writes_is_followed_over_its_segments(tmp_path: Path, envelope: Envelope) -> None:
    fields: dict[str, Any] = {"checkpoint_id": "one", "state_sha256": "0" * 64}
    with TelemetryWriter(tmp_path, envelope, max_bytes=1_500) as writer:
        write = [lambda: writer.write("checkpoint", **fields)] * 9
        ended = [lambda: writer.write("run_ended", status="completed", censored=True)]
        found = followed(tmp_path, iter([*write, *ended]))
    assert found == [record.seq for record in read_telemetry(tmp_path)] == list(range(1, 11))
    assert len(list(tmp_path.glob("*.ndjson"))) > 2


def test_a_gap_and_a_line_that_is_no_record_are_errors(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="expected seq 4, got 6"):
        followed(tmp_path / "a", iter([adding(tmp_path / "a", b"".join(LINES[:3] + LINES[5:]))]))
    with pytest.raises(IntegrityError, match=r"line 3: .*JSON"):
        followed(tmp_path / "b", iter([adding(tmp_path / "b", b"".join([*LINES[:2], b"{no\n"]))]))


def test_after_too_long_without_a_record_it_says_where_it_stands(tmp_path: Path) -> None:
    with pytest.raises(Busy, match="waited 3 s for its first record"):
        followed(tmp_path / "a", iter([lambda: None] * 9), idle_s=3)
    steps = [adding(tmp_path / "b", b"".join(LINES[:3])), *[lambda: None] * 9]
    with pytest.raises(Busy, match="waited 3 s after record 3"):
        followed(tmp_path / "b", iter(steps), idle_s=3)


def test_a_log_of_version_1_is_not_followed() -> None:
    with pytest.raises(InputError, match="leave out --follow"):
        followed(ROOT / SAMPLES / "v1_1.ndjson", iter([]))


# --- a look at a time, as the observer takes it -----------------------------------------------------------------------

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

    monkeypatch.setattr("headstart.telemetry.follow.os.pread", counted)
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
