"""Jobs in the process of the test, in place of `runs.pool.run_all` and of a pool: a fresh process takes seconds to import torch."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import Any

from headstart.core.progress_lines import Amount


def run_here(
    function: Callable[..., Any],
    jobs: Sequence[Any],
    title: str,
    units: Amount,
    processes: int = 0,
    finished: Callable[[Any], object] = lambda result: None,
) -> list[Any]:
    results = []
    for job in jobs:
        results.append(function(job, lambda done: None))
        finished(results[-1])
    return results


class PoolHere(Executor):
    """A pool whose only process is this one."""

    def __init__(self, *given: Any, **options: Any) -> None:
        pass

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        return done
