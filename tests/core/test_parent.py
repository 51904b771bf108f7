"""A stage ends with the dvc that began it, through the shell between them; one that is run by hand goes on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

STAGE = """
import time
from headstart.core.parent import end_with_dvc
end_with_dvc()
print("works", flush=True)
time.sleep(600)
"""
DVC = """
import os, subprocess, sys
command = f"{sys.executable} {sys.argv[1]}" + sys.argv[2]
stage = subprocess.Popen(["/bin/sh", "-c", command], env=os.environ | {"DVC_STAGE": "capture@walk"}, stdout=subprocess.PIPE, text=True)
print(stage.stdout.readline().strip(), flush=True)
stage.wait()
"""


@pytest.mark.parametrize("rest", ["", "; true"], ids=["the shell is replaced", "the shell waits"])
def test_a_stage_ends_with_its_dvc_and_says_so(tmp_path: Path, rest: str) -> None:
    (tmp_path / "stage.py").write_text(STAGE)
    (tmp_path / "dvc.py").write_text(DVC)
    with (tmp_path / "said").open("w") as said:
        dvc = subprocess.Popen(
            [sys.executable, tmp_path / "dvc.py", tmp_path / "stage.py", rest], stdout=subprocess.PIPE, stderr=said, text=True
        )
        assert dvc.stdout is not None
        assert dvc.stdout.readline() == "works\n"
        below = psutil.Process(dvc.pid).children(recursive=True)
        os.kill(dvc.pid, signal.SIGKILL)
        dvc.wait()
        dvc.stdout.close()
    _, alive = psutil.wait_procs(below, timeout=60)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []
    assert (
        "error: the dvc that ran this stage has ended, and so does the stage; `dvc repro` goes on"
        in (tmp_path / "said").read_text()
    )


def test_a_stage_that_is_run_by_hand_does_not_watch_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    from headstart.core.parent import end_with_dvc

    monkeypatch.delenv("DVC_STAGE", raising=False)
    before = threading.active_count()
    end_with_dvc()
    assert threading.active_count() == before
