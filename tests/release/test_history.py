"""A history that is appended to: its chain, its lock, and what a crash leaves."""

import multiprocessing
from pathlib import Path

import pytest

from headstart.core.errors import Busy, HeadstartError, InputError, IntegrityError
from headstart.release.history import GENESIS, Drilled, Withdrawn, open_history, parse_history, read_history

DRILL = Drilled(passed=True, rounds=3, guardrails=("nonfinite",))
GONE = Withdrawn(scenario="walk")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "governance" / "history.ndjson"
    for record, actor in ((DRILL, "Ada"), (GONE, "Grace"), (DRILL, "Ada")):
        with open_history(path) as history:
            history.append(record, actor, "because – ü")
    return path


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
def test_a_torn_last_line_stops_readers_and_the_next_writer_sets_it_aside(path: Path, kept: int) -> None:
    data = path.read_bytes()
    start = data.rstrip(b"\n").rfind(b"\n") + 1
    torn = data[start:][:kept]
    path.write_bytes(data[:start] + torn)
    with pytest.raises(IntegrityError, match=f"line 3: expected a complete line, found {len(torn)} torn bytes"):
        read_history(path)

    with open_history(path) as history:
        history.append(GONE, "Ada", "after the crash")

    assert [line.record for line in read_history(path)] == [DRILL, GONE, GONE]
    (aside,) = path.parent.glob("history.torn-*")
    assert aside.read_bytes() == torn


@pytest.mark.parametrize("words", ["", " ", "two\nlines", "\x1b[31m", "back\u202ewards", "x" * 501])
def test_actor_and_reason_are_one_printable_line(path: Path, words: str) -> None:
    before = path.read_bytes()

    with open_history(path) as history:
        with pytest.raises(InputError, match="field actor"):
            history.append(DRILL, words, "fine")
        with pytest.raises(InputError, match="field reason"):
            history.append(DRILL, "Ada", words)

    assert path.read_bytes() == before


def _append(path: Path, times: int) -> None:
    for _ in range(times):
        while True:
            try:
                with open_history(path) as history:
                    history.append(DRILL, "Ada", "together")
                break
            except Busy:
                continue


def test_two_processes_never_break_the_chain(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_append, args=(path, 20)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    assert len(read_history(path)) == 43


def test_a_second_writer_is_told_to_wait(path: Path) -> None:
    with open_history(path), pytest.raises(Busy, match="another process is writing"), open_history(path):
        pass
