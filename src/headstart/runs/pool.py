"""Jobs side by side: one process a core, one thread a process, with a progress bar where somebody watches."""

import os
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.queues import Queue
from typing import Any, TypeAlias, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Job = TypeVar("Job")
Result = TypeVar("Result")
Report = Callable[[int], None]  # how many more units of work are done
Reports: TypeAlias = "Queue[int]"

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def progress_bar(title: str) -> Progress:
    """A bar with rate and time left on stderr; silent when that is no terminal."""
    console = Console(stderr=True)
    columns = [TextColumn(title), BarColumn(), TaskProgressColumn(), TextColumn("{task.description}")]
    return Progress(
        *columns, TimeElapsedColumn(), TextColumn("eta"), TimeRemainingColumn(), console=console, disable=not console.is_terminal
    )


def run_all(
    function: Callable[[Job, Report], Result],
    jobs: Sequence[Job],
    title: str,
    units: int,
    processes: int = 0,
    finished: Callable[[Result], object] | None = None,
) -> list[Result]:
    """`function(job, report)` for every job, results in the order of jobs.

    `function` and jobs are pickled to fresh processes (spawn). `units`: total of what all jobs will report. `processes` 0: one
    for each core. `finished` receives each result here as it comes. The first exception in time ends the rest and is raised here.
    """
    workers = min(len(jobs), processes or os.cpu_count() or 1)
    context = get_context("spawn")
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))  # read by the libraries when a worker starts
    try:
        with progress_bar(title) as bar:
            reports: Reports = context.Queue()
            over = threading.Event()
            watching = threading.Thread(target=_watch, args=(reports, bar, units, over), daemon=True)
            watching.start()
            others = set(active_children())
            try:
                with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(reports,)) as pool:
                    futures = [pool.submit(_call, function, job) for job in jobs]
                    try:
                        for future in as_completed(futures):
                            result = future.result()
                            if finished is not None:
                                finished(result)
                    except BaseException:
                        for worker in set(active_children()) - others:
                            worker.terminate()
                        raise
                    return [future.result() for future in futures]
            finally:
                over.set()
                watching.join(timeout=1)  # a worker that was ended in the middle of a report leaves half of it
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


_reports: Reports  # of the process that waits; set in every worker


def _begin(reports: Reports) -> None:
    global _reports
    _reports = reports
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose parent was killed would go on writing where the next run of the command works."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(function: Callable[[Any, Report], Any], job: Any) -> Any:
    return function(job, _reports.put)


def _watch(reports: Reports, bar: Progress, units: int, over: threading.Event) -> None:
    task = bar.add_task("", total=units)
    while not over.is_set():
        try:
            bar.advance(task, reports.get(timeout=0.1))
        except queue.Empty:
            continue
