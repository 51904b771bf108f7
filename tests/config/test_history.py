"""A history that is appended to: its chain, its lock, and what a crash leaves."""

import errno
import multiprocessing
import os
from contextlib import suppress
from pathlib import Path

import pytest

from headstart.config.history import GENESIS, HISTORY, Drilled, Event, Withdrawn, open_history, parse_history, read_history
from headstart.core.errors import Busy, HeadstartError, InputError, IntegrityError

DRILL = Drilled(passed=True, rounds=3, guardrails=("nonfinite",))
GONE = Withdrawn(scenario="walk")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    for record, actor in ((DRILL, "Ada"), (GONE, "Grace"), (DRILL, "Ada")):
        append(tmp_path, record, actor, "because – ü")
    return tmp_path / HISTORY


def append(root: Path, record: Event, actor: str, reason: str) -> None:
    with open_history(root, "a test") as history:
        history.append(record, actor, reason)


def test_lines_are_chained_and_read_back(path: Path) -> None:
    lines = read_history(path)

    assert [line.seq for line in lines] == [0, 1, 2]
    assert [line.actor for line in lines] == ["Ada", "Grace", "Ada"]
    assert [line.record for line in lines] == [DRILL, GONE, DRILL]
    assert [line.prev_sha256 for line in lines] == [GENESIS, lines[0].sha256, lines[1].sha256]


def test_no_file_is_no_line(tmp_path: Path) -> None:
    assert read_history(tmp_path / "history.ndjson") == ()


def test_every_single_bit_counts(path: Path) -> None:
    data = path.read_bytes()

    for at in range(len(data)):
        flipped = data[:at] + bytes([data[at] ^ (1 << at % 8)]) + data[at + 1 :]
        with pytest.raises(HeadstartError, match="history, line"):
            parse_history(flipped, "history")


def test_a_broken_chain_names_file_line_and_both_hashes(path: Path) -> None:
    first, second, third = path.read_bytes().splitlines(keepends=True)
    lines = read_history(path)

    path.write_bytes(first + third)
    with pytest.raises(
        IntegrityError, match=f"ndjson, line 2: expected .* {lines[0].sha256}, found prev_sha256 {lines[1].sha256}"
    ):
        read_history(path)

    path.write_bytes(first + second.replace(b"Grace", b"Linus") + third)
    with pytest.raises(IntegrityError, match=f"ndjson, line 2: expected hash {lines[1].sha256}, found [0-9a-f]{{64}}"):
        read_history(path)


@pytest.mark.parametrize("kept", [1, 100, -1])
def test_a_torn_last_line_is_none_and_the_next_writer_sets_it_aside(
    path: Path, kept: int, capsys: pytest.CaptureFixture[str]
) -> None:
    data = path.read_bytes()
    start = data.rstrip(b"\n").rfind(b"\n") + 1
    torn = data[start:][:kept]
    path.write_bytes(data[:start] + torn)
    assert [line.record for line in read_history(path)] == [DRILL, GONE]

    append(path.parents[1], GONE, "Ada", "after the crash")

    assert [line.record for line in read_history(path)] == [DRILL, GONE, GONE]
    (aside,) = path.parent.glob("history.torn-*")
    assert aside.read_bytes() == torn
    assert f"{len(torn)} bytes of a line that an earlier command did not complete are in {aside} now" in capsys.readouterr().err


def test_a_newline_that_was_changed_is_no_torn_line(path: Path) -> None:
    changed = path.read_bytes()[:-1] + b"N"
    path.write_bytes(changed)

    for read in (read_history, lambda path: append(path.parents[1], GONE, "Ada", "more")):
        with pytest.raises(IntegrityError, match="expected a newline behind its last line, found b'N'"):
            read(path)
    assert path.read_bytes() == changed


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO], ids=["full", "broken"])
def test_a_disk_that_refuses_leaves_a_history_that_goes_on(
    path: Path, monkeypatch: pytest.MonkeyPatch, at: int, number: int
) -> None:
    """The n-th of: a write of half a line, the rest of it, and the two calls of fsync."""
    before, calls = path.read_bytes(), 0
    write, fsync = os.write, os.fsync

    def refuse(descriptor: int) -> bool:
        nonlocal calls
        if os.readlink(f"/proc/self/fd/{descriptor}") not in (str(path), str(path.parent)):
            return False
        calls += 1
        return calls - 1 == at

    def half(descriptor: int, data: bytes) -> int:
        if refuse(descriptor):
            raise OSError(number, os.strerror(number))
        return write(descriptor, data[: max(len(data) // 2, 300)])

    def synced(descriptor: int) -> None:
        if refuse(descriptor):
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half)
        patch.setattr(os, "fsync", synced)
        with pytest.raises(IntegrityError, match=f"the line cannot be written: {os.strerror(number)}; nothing was recorded"):
            append(path.parents[1], GONE, "Ada", "on a full disk")
    assert calls > at

    assert path.read_bytes() == before
    append(path.parents[1], GONE, "Ada", "with space again")
    assert len(read_history(path)) == 4


@pytest.mark.parametrize("words", ["", " ", "two\nlines", "\x1b[31m", "back\u202ewards", "x" * 501])
def test_actor_and_reason_are_one_printable_line(path: Path, words: str) -> None:
    before = path.read_bytes()

    with open_history(path.parents[1], "a test") as history:
        with pytest.raises(InputError, match="field actor"):
            history.append(DRILL, words, "fine")
        with pytest.raises(InputError, match="field reason"):
            history.append(DRILL, "Ada", words)

    assert path.read_bytes() == before


def _append(root: Path, times: int) -> None:
    for _ in range(times):
        while True:
            with suppress(Busy):
                append(root, DRILL, "Ada", "together")
                break


def test_two_processes_never_break_the_chain(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_append, args=(path.parents[1], 20)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    assert len(read_history(path)) == 43


def test_a_second_writer_is_told_who_writes_what_and_since_when(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headstart.config.history.PATIENCE_S", 0)
    root = path.parents[1]
    told = rf"process {os.getpid()} has run `headstart promote walk` since \d{{4}}-"
    with open_history(root, "headstart promote walk"), pytest.raises(Busy, match=told), open_history(root, "another"):
        pass
