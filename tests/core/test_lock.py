"""One process at a time, what another is told, and what a killed one left."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from headstart.core.errors import Busy
from headstart.core.lock import held, remove_unfinished

HOLDER = """
import sys, time
from pathlib import Path
from headstart.core.lock import held
with held(Path(sys.argv[1]), "headstart capture walk"):
    print("held", flush=True)
    time.sleep(600)
"""
WITH_WORKER = """
import multiprocessing, os, sys, time
from multiprocessing.connection import Connection
from pathlib import Path
from headstart.core.lock import held, held_descriptors

def work(lock):
    print("works", flush=True)
    time.sleep(600)

if __name__ == "__main__":
    with held(Path(sys.argv[1]), "headstart capture walk"):
        (lock,) = (Connection(os.dup(descriptor)) for descriptor in held_descriptors())
        worker = multiprocessing.get_context("spawn").Process(target=work, args=(lock,))
        worker.start()
        print(worker.pid, flush=True)
        worker.join()
"""


def started(script: Path, text: str, lock: Path) -> subprocess.Popen[str]:
    script.write_text(text)
    return subprocess.Popen([sys.executable, script, lock], stdout=subprocess.PIPE, text=True)


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_second_process_is_told_who_does_what_since_when(tmp_path: Path) -> None:
    lock = tmp_path / "locks/capture-walk"
    with started(tmp_path / "holder.py", HOLDER, lock) as holder:
        assert line_of(holder) == "held"
        with pytest.raises(Busy) as caught, held(lock, "headstart capture walk", patience_s=0):
            pytest.fail("two hold it")
        holder.kill()
    said = rf"process {holder.pid} has run `headstart capture walk` since \d{{4}}-\d\d-\d\dT[\d:.]+Z; wait for it, or end it"
    assert re.search(said, str(caught.value))
    assert caught.value.exit_code == 8


def test_the_lock_of_a_process_that_was_killed_is_free(tmp_path: Path) -> None:
    with started(tmp_path / "holder.py", HOLDER, tmp_path / "lock") as holder:
        assert line_of(holder) == "held"
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with held(tmp_path / "lock", "after", patience_s=0):
        assert f'"pid": {os.getpid()}' in (tmp_path / "lock").read_text()
    assert (tmp_path / "lock").read_text() == ""


def test_a_lock_is_held_until_the_workers_have_ended_too(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with started(tmp_path / "pool.py", WITH_WORKER, lock) as manager:
        worker = int(line_of(manager))
        assert line_of(manager) == "works"
        manager.kill()
        manager.wait()
        try:
            with pytest.raises(Busy), held(lock, "headstart capture walk", patience_s=0):
                pytest.fail("a worker still writes")
        finally:
            os.kill(worker, signal.SIGKILL)
    with held(lock, "headstart capture walk"):  # within its patience
        pass


def test_who_only_just_took_the_lock_is_another_process(tmp_path: Path) -> None:
    with held(tmp_path / "lock", "first"):
        (tmp_path / "lock").write_text("")
        with pytest.raises(Busy, match="another process runs it"), held(tmp_path / "lock", "second", patience_s=0):
            pass


def test_the_lock_is_given_back_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), held(tmp_path / "lock", "first"):
        raise ZeroDivisionError
    with held(tmp_path / "lock", "second", patience_s=0):
        pass


def test_what_is_half_written_goes_and_all_else_stays(tmp_path: Path) -> None:
    goes = ["out/.raw.tmp-1/a/b", "out/raw/in/.file.tmp-2", "out/raw/.deep.tmp-3/.deeper.tmp-4", "out/.table.tsv.tmp-5"]
    stays = ["out/raw/whole", "out/.other.tmp-6", "out/table.tsv", "out/.raw", "out/raw/.hidden"]
    for name in [*goes, *stays]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    remove_unfinished(tmp_path / name for name in ("out/raw", "out/table.tsv", "out/missing", "nowhere/at/all"))
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == set(stays)
    assert not (tmp_path / "out/.raw.tmp-1").exists()
