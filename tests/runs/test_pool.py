"""Jobs side by side in processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from headstart.core.errors import Busy, HeadstartError, InputError
from headstart.core.lock import held
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


def end_by(how: str, report: Callable[[int], None]) -> None:
    if how == "SIGKILL":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "exit":
        os._exit(7)
    time.sleep(60)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        (
            "SIGKILL",
            r"^ending: the process of seed SIGKILL was ended by SIGKILL, as the system does where memory runs out.*again$",
        ),
        (
            "exit",
            r"^ending: the process of seed exit ended with exit code 7; what it had done is kept, run the same command again$",
        ),
    ],
)
def test_a_worker_that_was_ended_is_named_in_one_line_and_the_others_end(
    how: str, says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(HeadstartError, match=says) as caught:
        run_all(end_by, ["wait", how], "ending", units=2, processes=2)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__
    assert [process for process in psutil.Process().children() if "spawn_main" in " ".join(process.cmdline())] == []
    assert capfd.readouterr().err == ""


def test_workers_hold_the_lock_of_the_process_that_began_them(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(LOCKED)
    parent = subprocess.Popen([sys.executable, script, tmp_path])
    worker = wait_for(lambda: (tmp_path / "pid").exists() and int((tmp_path / "pid").read_text() or 0))
    assert worker
    os.kill(worker, signal.SIGSTOP)  # it cannot end with its parent
    parent.kill()
    parent.wait()
    with pytest.raises(Busy), held(tmp_path / "lock", "another", patience_s=0):
        pass
    os.kill(worker, signal.SIGKILL)
    with held(tmp_path / "lock", "another"):
        pass


LOCKED = """
import os, sys, time
from pathlib import Path
from headstart.core.lock import held
from headstart.runs.pool import run_all

def job(folder, report):
    (folder / "pid").write_text(str(os.getpid()))
    time.sleep(60)

if __name__ == "__main__":
    with held(Path(sys.argv[1], "lock"), "one"):
        run_all(job, [Path(sys.argv[1])], "sleeping", units=1)
"""


def test_the_environment_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    run_all(square, [1], "one", units=1)
    assert "OMP_NUM_THREADS" not in os.environ
