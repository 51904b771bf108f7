"""Jobs side by side in processes."""

import os
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


def test_an_error_in_a_job_is_raised_as_it_is() -> None:
    with pytest.raises(InputError, match="job 2: expected something else"):
        run_all(fail_on_two, [1, 2, 3], "failing", units=3, processes=2)


def test_an_error_ends_the_other_jobs_and_says_nothing_of_them(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    slow = tmp_path / "slow"
    with pytest.raises(InputError, match="expected a path, got none"):
        run_all(fail_or_take_long, [slow, None, slow], "failing", units=3, processes=2)
    assert not slow.exists()
    assert capfd.readouterr().err == ""


def test_the_environment_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    run_all(square, [1], "one", units=1)
    assert "OMP_NUM_THREADS" not in os.environ
