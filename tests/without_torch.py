"""Where torch is not installed: commands in one process that finds none, and a plugin of pytest that skips modules of tests that need it.

The process reads a JSON list of commands on stdin, and writes [exit code, stdout, stderr] of each.
"""

import contextlib
import importlib
import io
import json
import sys
from collections.abc import Generator
from importlib.machinery import PathFinder
from typing import Any

import pytest


class WithoutTorch(PathFinder):
    """Finds whatever is installed but torch."""

    @classmethod
    def find_spec(cls, fullname: str, path: Any = None, target: Any = None) -> Any:
        return None if fullname == "torch" else super().find_spec(fullname, path, target)


def forget_torch() -> None:
    """From now on this process, which has not imported torch, finds none."""
    sys.meta_path[sys.meta_path.index(PathFinder)] = WithoutTorch


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, Any]:
    """A module that cannot be imported for want of torch is skipped; a test that asks for torch later fails."""
    report = yield
    if report.failed and "No module named 'torch'" in str(report.longrepr):
        report.outcome, report.longrepr = "skipped", (str(collector.path), 0, "Skipped: needs torch")
    return report


def ended(command: list[str]) -> tuple[int, str, str]:
    """How `headstart …`, or `./stage …`, ends in this process."""
    from headstart.cli.main import main
    from headstart.config import stage

    out, err, code = io.StringIO(), io.StringIO(), 0
    sys.argv = command if command[0] == "headstart" else command[1:]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            if command[0] == "headstart":
                main()
            else:
                stage.main(getattr(importlib.import_module(f"headstart.stages.{command[1]}"), command[1]))
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    return code, out.getvalue(), err.getvalue()


if __name__ == "__main__":
    forget_torch()
    print(json.dumps([ended(command) for command in json.load(sys.stdin)]))
