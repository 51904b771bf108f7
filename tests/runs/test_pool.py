"""Jobs side by side in processes."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from headstart.core.errors import InputError
from headstart.runs.pool import run_all


def square(job: int, report: Callable[[int], None]) -> tuple[int, int, str | None]:
    report(1)
    return job * job, os.getpid(), os.environ.get("OMP_NUM_THREADS")


def fail_on_two(job: int, report: Callable[[int], None]) -> int:
    if job == 2:
        raise InputError("job 2: expected something else")
    return job


def fail_or_take_long(job: Path | None, report: Callable[[int], None]) -> None:
    if job is None:
        raise InputError("expected a path, got none")
    time.sleep(20)
    job.touch()


def test_results_come_in_the_order_of_jobs_from_other_processes() -> None:
    results = run_all(square, [3, 1, 2], "squares", units=3, processes=2)
    assert [value for value, _, _ in results] == [9, 1, 4]
    assert os.getpid() not in {pid for _, pid, _ in results}
    assert {threads for _, _, threads in results} == {"1"}


def test_each_result_is_handed_over_as_it_comes() -> None:
    seen: list[int] = []
    results = run_all(square, [3, 1, 2], "squares", units=3, processes=1, finished=lambda result: seen.append(result[0]))
    assert sorted(seen) == sorted(value for value, _, _ in results) == [1, 4, 9]


def test_an_error_in_a_job_is_raised_as_it_is() -> None:
    with pytest.raises(InputError, match="job 2: expected something else"):
        run_all(fail_on_two, [1, 2, 3], "failing", units=3, processes=2)


def test_an_error_ends_the_other_jobs_and_says_nothing_of_them(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    slow = tmp_path / "slow"
    with pytest.raises(InputError, match="expected a path, got none"):
        run_all(fail_or_take_long, [slow, None, slow], "failing", units=3, processes=2)
    assert not slow.exists()
    assert capfd.readouterr().err == ""


def test_a_worker_ends_with_the_process_that_began_it(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen([sys.executable, script, tmp_path / "pid"])
    worker = wait_for(lambda: (tmp_path / "pid").exists() and int((tmp_path / "pid").read_text() or 0))
    os.kill(worker, 0)  # is there
    parent.kill()
    parent.wait()
    assert wait_for(lambda: not alive(worker))


PARENT = """
import os, sys, time
from pathlib import Path
from headstart.runs.pool import run_all

def job(path, report):
    Path(path).write_text(str(os.getpid()))
    time.sleep(60)

if __name__ == "__main__":
    run_all(job, [sys.argv[1]], "sleeping", units=1)
"""


def wait_for(condition: Callable[[], int]) -> int:
    for _ in range(600):
        if found := condition():
            return found
        time.sleep(0.05)
    return 0


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"  # nobody may be there to bury it


def test_the_environment_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    run_all(square, [1], "one", units=1)
    assert "OMP_NUM_THREADS" not in os.environ
