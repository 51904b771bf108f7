"""A log is followed while it is written: every record once, across segments, torn ends, a resumed run and a beginning that is late."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.logged import ROOT, SAMPLES, nav

from headstart.core.errors import Busy, InputError, IntegrityError
from headstart.telemetry.follow import follow
from headstart.telemetry.kinds import Envelope
from headstart.telemetry.reader import read_telemetry
from headstart.telemetry.writer import TelemetryWriter

LINES = nav("pretrained", (48, 56, 60, 62), 2).lines
Step = Callable[[], object]


def followed(path: Path, steps: Iterator[Step], idle_s: float | None = None) -> list[int]:
    """The `seq` of all records, where each look is followed by a step."""
    return [record.seq for record in follow(path, 1.0, idle_s, sleep=lambda seconds: next(steps)())]


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


def test_segments_follow_each_other(tmp_path: Path) -> None:
    steps = [adding(tmp_path / f"telemetry-{number:04d}.ndjson", line) for number, line in enumerate(LINES)]
    assert followed(tmp_path, iter(steps)) == list(range(1, len(LINES) + 1))


def test_a_run_that_resumes_repeats_nothing(tmp_path: Path) -> None:
    path = tmp_path / "telemetry-0000.ndjson"

    def resume() -> None:
        new = tmp_path / "new"
        new.write_bytes(b"".join(LINES[:4]))
        new.replace(path)

    steps = [
        adding(path, b"".join(LINES[:7]) + b'{"torn'),
        resume,
        adding(path, b"".join(LINES[4:6])),
        adding(path, b"".join(LINES[6:])),
    ]
    assert followed(tmp_path, iter(steps)) == list(range(1, len(LINES) + 1))


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
    with pytest.raises(IntegrityError, match="line 3: expected strict JSON"):
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
