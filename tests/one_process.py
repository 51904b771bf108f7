"""Jobs in the process of the test, in place of `runs.pool.run_all`: a fresh process takes seconds to import torch."""

from collections.abc import Callable, Sequence
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
