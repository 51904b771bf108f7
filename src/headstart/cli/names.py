"""Names that a shell completes: scenarios, arms, datasets and runs of the project, read from the names of files."""

import json
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Annotated

import typer

from headstart.core.errors import HeadstartError

Names = Callable[[str], list[str]]


def _completing(names: Callable[[], Iterable[str]]) -> Names:
    """The names that begin as what was typed; none where the project cannot be read: a shell has no place for an error."""

    @wraps(names)
    def complete(incomplete: str) -> list[str]:
        try:
            return sorted({name for name in names() if name.startswith(incomplete)})
        except (HeadstartError, OSError, ValueError, TypeError, KeyError, AttributeError):
            return []

    complete.__annotations__ = {"incomplete": str, "return": list[str]}
    del complete.__wrapped__  # Typer looks at the signature
    return complete


@_completing
def scenario_names() -> Iterable[str]:
    return (path.stem for path in Path("scenarios").glob("*.yaml"))


@_completing
def arm_names() -> Iterable[str]:
    from headstart.core.yaml import read_yaml

    return list(read_yaml(Path("params.yaml"))["arms"])


@_completing
def dataset_names() -> Iterable[str]:
    """`ID@VERSION`, as the catalogue has them."""
    for path in Path("data/catalogue").glob("*.json"):
        for entry in json.loads(path.read_bytes())["entries"]:
            yield f"{entry['dataset']}@{entry['version']}"


@_completing
def run_names() -> Iterable[str]:
    """`SCENARIO`, `SCENARIO/ARM` and `SCENARIO/ARM/seed-N` that were trained, and the seeds of learned experts."""
    for path in Path("models").glob("*/*/*/runs.json"):
        scenario, arm = path.parts[1], path.parts[3]
        yield from (scenario, f"{scenario}/{arm}")
        yield from (f"{scenario}/{arm}/{seed.name}" for seed in path.parent.glob("seed-*"))
    for path in Path("reports").glob("*/expert/telemetry/seed-*"):
        yield f"{path.parts[1]}/expert/{path.name}"


Scenario = Annotated[str, typer.Argument(help="A file in scenarios/, without .yaml", autocompletion=scenario_names)]
Arm = Annotated[str, typer.Argument(help="An arm of params.yaml", autocompletion=arm_names)]
