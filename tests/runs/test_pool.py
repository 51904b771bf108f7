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
from tests.interrupted import heeds_ctrl_c

from headstart.core.errors import Busy, HeadstartError, InputError
from headstart.core.lock import held
from headstart.core.progress_lines import Amount, Work
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
    results = run_all(square, [3, 1, 2], "squares", units=Amount(3, "jobs"), processes=2)
    assert [value for value, _, _ in results] == [9, 1, 4]
    assert os.getpid() not in {pid for _, pid, _ in results}
    assert {threads for _, _, threads in results} == {"1"}


def test_each_result_is_handed_over_as_it_comes() -> None:
    seen: list[int] = []
    results = run_all(
        square, [3, 1, 2], "squares", units=Amount(3, "jobs"), processes=1, finished=lambda result: seen.append(result[0])
    )
    assert sorted(seen) == sorted(value for value, _, _ in results) == [1, 4, 9]


def test_an_error_in_a_job_is_raised_as_it_is() -> None:
    with pytest.raises(InputError, match="job 2: expected something else"):
        run_all(fail_on_two, [1, 2, 3], "failing", units=Amount(3, "jobs"), processes=2)


def test_an_error_ends_the_other_jobs_and_says_nothing_of_them(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    slow = tmp_path / "slow"
    with pytest.raises(InputError, match="expected a path, got none"):
        run_all(fail_or_take_long, [slow, None, slow], "failing", units=Amount(3, "jobs"), processes=2)
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
    run_all(job, [sys.argv[1]], "sleeping", units=Amount(1, "jobs"))
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
        run_all(end_by, ["wait", how], "ending", units=Amount(2, "jobs"), processes=2)
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
from headstart.core.progress_lines import Amount
from headstart.runs.pool import run_all

def job(folder, report):
    (folder / "pid").write_text(str(os.getpid()))
    time.sleep(60)

if __name__ == "__main__":
    with held(Path(sys.argv[1], "lock"), "one"):
        run_all(job, [Path(sys.argv[1])], "sleeping", units=Amount(1, "jobs"))
"""


def test_what_jobs_say_of_themselves_is_told_until_they_end(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, str | None]] = []
    counted: list[int] = []
    monkeypatch.setattr(Work, "say", lambda work, job, words: said.append((job, words)))
    monkeypatch.setattr(Work, "advance", lambda work, units: counted.append(units))
    run_all(speak, [7, 8], "speaking", units=Amount(2, "jobs"), processes=1)
    assert said == [("seed 7", "ppo"), ("seed 7", None), ("seed 8", "ppo"), ("seed 8", None)]
    assert counted == [1, 1]


def speak(job: int, report: Callable[[int | str], None]) -> None:
    report("ppo")
    report(1)


def test_ctrl_c_ends_the_workers_without_a_word_from_them(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(INTERRUPTED)
    parent = subprocess.Popen(
        [sys.executable, script, tmp_path], stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=heeds_ctrl_c
    )  # as in a terminal, where Ctrl-C reaches every process of the group
    assert wait_for(lambda: len(list(tmp_path.glob("pid-*"))) == 2)
    workers = [int(path.name.removeprefix("pid-")) for path in tmp_path.glob("pid-*")]
    os.killpg(parent.pid, signal.SIGINT)
    _, err = parent.communicate(timeout=60)
    assert (parent.returncode, err) == (130, "interrupted\n")
    assert not any(alive(worker) for worker in workers)


INTERRUPTED = """
import os, sys, time
from pathlib import Path
from headstart.core.progress_lines import Amount
from headstart.runs.pool import run_all

def job(folder, report):
    (folder / f"pid-{os.getpid()}").touch()
    time.sleep(60)

if __name__ == "__main__":
    try:
        run_all(job, [Path(sys.argv[1])] * 3, "sleeping", units=Amount(3, "jobs"), processes=2)
    except KeyboardInterrupt:
        sys.exit(print("interrupted", file=sys.stderr) or 130)
"""


def test_the_environment_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    run_all(square, [1], "one", units=Amount(1, "jobs"))
    assert "OMP_NUM_THREADS" not in os.environ
