"""Jobs side by side: one process a core, one thread a process, and how far they are is shown."""

import os
import queue
import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.queues import Queue
from typing import Any, TypeAlias, TypeVar

from headstart.core.errors import HeadstartError
from headstart.core.lock import held_descriptors
from headstart.core.parent import end_with_parent
from headstart.core.progress_lines import Amount, Work, progress

Job = TypeVar("Job")
Result = TypeVar("Result")
Report = Callable[[int | str], None]  # how many more units of work are done, or a few words on how the job stands
Reports: TypeAlias = "Queue[tuple[int, int | str | None]]"  # the job's place, and what it reports; None: it has ended

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def run_all(
    function: Callable[[Job, Report], Result],
    jobs: Sequence[Job],
    title: str,
    units: Amount,
    processes: int = 0,
    finished: Callable[[Result], object] | None = None,
) -> list[Result]:
    """`function(job, report)` for every job, results in the order of jobs.

    `function` and jobs are pickled to fresh processes (spawn). `units`: all that the jobs will report. `processes` 0: one
    for each core. `finished` receives each result here as it comes. The first exception in time ends the rest and is raised here;
    HeadstartError names the job whose process was ended from outside.
    """
    workers = min(len(jobs), processes or os.cpu_count() or 1)
    context = get_context("spawn")
    begun = context.RawArray("i", len(jobs))  # the process that runs a job, by the job's place; 0: none yet
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))  # read by the libraries when a worker starts
    try:
        with progress(title, units) as work:
            reports: Reports = context.Queue()
            over = threading.Event()
            watching = threading.Thread(target=_watch, args=(reports, work, jobs, over), daemon=True)
            watching.start()
            others = set(active_children())
            locks = [Connection(os.dup(descriptor)) for descriptor in held_descriptors()]
            try:
                with ProcessPoolExecutor(
                    workers, mp_context=context, initializer=_begin, initargs=(reports, begun, locks)
                ) as pool:
                    futures = [pool.submit(_call, function, place, job) for place, job in enumerate(jobs)]
                    own = set(active_children()) - others
                    try:
                        for future in as_completed(futures):
                            result = future.result()
                            if finished is not None:
                                finished(result)
                    except BaseException:
                        for worker in own:
                            worker.terminate()
                        raise
                    return [future.result() for future in futures]
            except BrokenProcessPool:
                raise _ended(title, jobs, list(begun), own) from None
            finally:
                for lock in locks:
                    lock.close()
                over.set()
                watching.join(timeout=1)  # a worker that was ended in the middle of a report leaves half of it
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def _ended(title: str, jobs: Sequence[Any], begun: Sequence[int], workers: Iterable[BaseProcess]) -> HeadstartError:
    """What is said when a process of the pool was ended from outside: which job it ran, and by what it was ended."""
    codes = {worker.pid: worker.exitcode for worker in workers if worker.exitcode}
    first = next((pid for pid, code in codes.items() if code != -signal.SIGTERM), None)  # the pool ends the others by SIGTERM
    pid = first or next(iter(codes), None)
    places = [place for place, of in enumerate(begun) if of == pid]
    job = jobs[places[-1]] if places else None
    what = "a process" if job is None else f"the process of {_name(job)}"
    code = codes.get(pid)
    how = (
        "ended" if code is None else f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    )
    memory = ", as the system does where memory runs out: fewer `processes` need less" if code == -signal.SIGKILL else ""
    return HeadstartError(f"{title}: {what} {how}{memory}; what it had done is kept, run the same command again")


def _name(job: Any) -> str:
    return f"seed {getattr(job, 'seed', job)}"


_reports: Reports  # of the process that waits; set in every worker, as what follows
_begun: Any
_locks: Any  # descriptors that are open as long as the worker lives


def _begin(reports: Reports, begun: Any, locks: Any) -> None:
    global _reports, _begun, _locks
    _reports, _begun, _locks = reports, begun, locks
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal: the one that waits ends the others
    end_with_parent()


def _call(function: Callable[[Any, Report], Any], place: int, job: Any) -> Any:
    _begun[place] = os.getpid()
    try:
        return function(job, lambda reported: _reports.put((place, reported)))
    finally:
        _reports.put((place, None))


def _watch(reports: Reports, work: Work, jobs: Sequence[Any], over: threading.Event) -> None:
    while not over.is_set():
        try:
            place, reported = reports.get(timeout=0.1)
        except queue.Empty:
            continue
        if isinstance(reported, int):
            work.advance(reported)
        else:
            work.say(_name(jobs[place]), reported)
