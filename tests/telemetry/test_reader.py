"""The log of a run: every complete line is read back, and nothing else."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.canonical import canonical_sha256

from headstart.core.errors import InputError, IntegrityError
from headstart.telemetry.reader import read_telemetry
from headstart.telemetry.writer import INDEX

SEGMENT = "telemetry-0000.ndjson"
WriteRun = Callable[..., None]


def test_an_edited_closed_segment_is_an_integrity_error(tmp_path: Path, write_run: WriteRun) -> None:
    write_run(tmp_path, max_bytes=3_000)
    path = tmp_path / SEGMENT
    path.write_text(path.read_text().replace('"device":"cpu"', '"device":"gpu"'))

    with pytest.raises(IntegrityError, match=r"telemetry-0000\.ndjson: expected hash"):
        read_telemetry(tmp_path)


def test_a_missing_closed_segment_is_an_integrity_error(tmp_path: Path, write_run: WriteRun) -> None:
    write_run(tmp_path, max_bytes=3_000)
    (tmp_path / "telemetry-0001.ndjson").unlink()

    with pytest.raises(IntegrityError, match=r"telemetry-0001\.ndjson: expected hash .*, found no file"):
        read_telemetry(tmp_path)


def test_a_log_cut_at_any_byte_gives_its_complete_prefix(tmp_path: Path, write_run: WriteRun) -> None:
    write_run(tmp_path / "whole")
    data = (tmp_path / "whole" / SEGMENT).read_bytes()
    records = read_telemetry(tmp_path / "whole")
    ends = [index + 1 for index, byte in enumerate(data) if byte == ord("\n")]
    # around every line end each byte, between them every 37th: each read parses all lines before the cut
    offsets = {end + shift for end in [0, *ends] for shift in (-2, -1, 0, 1, 2)} | set(range(0, len(data), 37))
    (tmp_path / "cut").mkdir()

    for offset in sorted(offsets & set(range(len(data) + 1))):
        (tmp_path / "cut" / SEGMENT).write_bytes(data[:offset])
        log = read_telemetry(tmp_path / "cut")
        complete = [end for end in ends if end <= offset]
        assert log == records[: len(complete)]


def test_a_log_of_two_lines_is_cut_at_every_single_byte(tmp_path: Path, write_run: WriteRun) -> None:
    write_run(tmp_path / "whole")
    data = b"".join((tmp_path / "whole" / SEGMENT).read_bytes().splitlines(keepends=True)[:2])
    first = data.index(b"\n") + 1
    (tmp_path / "cut").mkdir()

    for offset in range(len(data) + 1):
        (tmp_path / "cut" / SEGMENT).write_bytes(data[:offset])
        log = read_telemetry(tmp_path / "cut")
        assert len(log) == (offset >= first) + (offset == len(data))


def test_a_bad_line_that_is_not_the_last_is_an_integrity_error(tmp_path: Path, write_run: WriteRun) -> None:
    write_run(tmp_path)
    lines = (tmp_path / SEGMENT).read_text().splitlines(keepends=True)
    (tmp_path / SEGMENT).write_text("".join([lines[0], lines[1][:50] + "\n", *lines[2:]]))

    with pytest.raises(IntegrityError, match=r"telemetry-0000\.ndjson, line 2: expected strict JSON"):
        read_telemetry(tmp_path)


@pytest.mark.parametrize(
    ("order", "problem"), [((0, 2), "line 2: expected seq 2, got 3"), ((0, 0), "line 2: expected seq 2, got 1")]
)
def test_a_gap_or_repeat_in_seq_is_an_integrity_error(
    tmp_path: Path, order: tuple[int, ...], problem: str, write_run: WriteRun
) -> None:
    write_run(tmp_path)
    lines = (tmp_path / SEGMENT).read_text().splitlines(keepends=True)
    (tmp_path / SEGMENT).write_text("".join(lines[index] for index in order))

    with pytest.raises(IntegrityError, match=problem):
        read_telemetry(tmp_path)


def test_no_log_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected telemetry-0000\.ndjson, found none"):
        read_telemetry(tmp_path)


def test_two_equal_runs_have_one_canonical_hash(tmp_path: Path, write_run: WriteRun) -> None:
    write_run(tmp_path / "1")
    time.sleep(0.01)
    write_run(tmp_path / "2", max_bytes=2_500)
    first, second = read_telemetry(tmp_path / "1"), read_telemetry(tmp_path / "2")

    assert first[0].wall != second[0].wall
    assert canonical_sha256(first) == canonical_sha256(second)
    assert canonical_sha256(first[:-1]) != canonical_sha256(first)


def test_the_canonical_hash_is_the_golden_one(tmp_path: Path, write_run: WriteRun) -> None:
    write_run(tmp_path, without=("minibatch",))  # which no run writes unless it is told to

    found = canonical_sha256(read_telemetry(tmp_path))

    assert found == "f04508400f02af7dc7cf68fcb00c1616d71524a00d4994030c0de3047652e4e1"


def test_a_torn_segment_that_is_not_the_last_is_an_integrity_error(tmp_path: Path, write_run: WriteRun) -> None:
    write_run(tmp_path, max_bytes=3_000)
    (tmp_path / INDEX).unlink()
    data = (tmp_path / SEGMENT).read_bytes()
    (tmp_path / SEGMENT).write_bytes(data[:-1])

    with pytest.raises(IntegrityError, match=r"telemetry-0000\.ndjson, line 3: expected a newline"):
        read_telemetry(tmp_path)


@pytest.mark.parametrize(
    ("params", "problem"),
    [("[" * 17 + "]" * 17, "nested at most 16 deep"), ('"' + "x" * (1 << 20) + '"', "at most 1048576 bytes")],
    ids=["deep", "long"],
)
def test_a_line_beyond_the_limits_is_an_integrity_error(tmp_path: Path, params: str, problem: str, write_run: WriteRun) -> None:
    write_run(tmp_path)
    text = (tmp_path / SEGMENT).read_text()
    (tmp_path / SEGMENT).write_text(text.replace('"lr":0.0003', f'"lr":{params}', 1))

    with pytest.raises(IntegrityError, match=problem):
        read_telemetry(tmp_path)
