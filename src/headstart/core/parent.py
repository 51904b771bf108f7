"""A stage ends with the dvc that began it, and the processes of a pool with the one that began them: none of them writes on alone.

DVC runs the command of a stage in a shell, in a process group that outlives a dvc that was killed, and tells the stage its name in DVC_STAGE.
"""

import os
import sys
import threading
import time
from multiprocessing import parent_process

STAGE = "DVC_STAGE"
EVERY_S = 0.25


def end_with_dvc() -> None:
    """From now on this process ends soon after the dvc that runs it as a stage has ended; does nothing for a stage that is run by hand."""
    if STAGE not in os.environ:
        return
    threading.Thread(target=_end_with, args=(_dvc(),), daemon=True).start()


def end_with_parent() -> None:
    """From now on this process of a pool ends with the process that began it."""
    threading.Thread(target=_end_with_pool, daemon=True).start()


def _dvc() -> int:
    """The nearest ancestor that is not part of the stage: the shell between dvc and the stage has the stage's environment."""
    import psutil  # a dependency of DVC, which only a stage that DVC runs needs

    for ancestor in psutil.Process().parents():
        try:
            if ancestor.environ().get(STAGE) != os.environ[STAGE]:
                return int(ancestor.pid)
        except psutil.Error:  # of another user
            return int(ancestor.pid)
    return os.getppid()


def _end_with(pid: int) -> None:
    import psutil

    try:
        dvc = psutil.Process(pid)
        while dvc.is_running() and dvc.status() != psutil.STATUS_ZOMBIE:
            time.sleep(EVERY_S)
    except psutil.NoSuchProcess:
        pass
    print("error: the dvc that ran this stage has ended, and so does the stage; `dvc repro` goes on", file=sys.stderr, flush=True)
    os._exit(1)


def _end_with_pool() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
