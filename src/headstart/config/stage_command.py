"""Which command makes what a stage leaves: for the errors that say that it is missing or out of date."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from headstart.core.errors import HeadstartError
from headstart.core.yaml import read_yaml


def stage_command(stage: str, scenario: str, arm: str | None = None, scenarios: Sequence[str] | None = None) -> str:
    """`dvc repro STAGE@SCENARIO`, or STAGE@SCENARIO-ARM, for the `scenarios` of params.yaml (None: of the working directory's).

    DVC knows no stage of another scenario: its whole pipeline is run. Nor does it know drafts, whose names have a dot; a new recording is
    another draft.
    """
    if "." in scenario:
        return (
            f"headstart capture {scenario.partition('.')[0]} --episodes N"
            if stage == "capture"
            else f"headstart {stage} {scenario}"
        )
    return _known(scenario, scenarios, f"dvc repro {stage}@{scenario}" + (f"-{arm}" if arm else ""))


def pipeline_command(scenario: str) -> str:
    """The command that runs again every stage of a scenario whose inputs changed; of a draft, the two that follow its recording."""
    if "." in scenario:
        return f"headstart curate {scenario} && headstart validate {scenario}"
    return _known(scenario, None, "dvc repro")


def arm_command(scenario: str, arm: str) -> str:
    """The experiment that trains an arm which is not in `anneal.arms`, as the candidate."""
    settings = f"-S candidate={arm} -S 'anneal.arms=[{arm}]'"
    return _known(scenario, None, f"dvc exp run {settings}", f"dvc exp run {settings} -S 'scenarios=[{scenario}]'")


def _known(scenario: str, scenarios: Sequence[str] | None, command: str, unknown: str | None = None) -> str:
    """`command` for a scenario that DVC knows, else `unknown`; None: the experiment that runs its pipeline."""
    if scenarios is None:
        try:
            path = Path("params.yaml").resolve()
            scenarios = _scenarios_in(path, path.stat().st_mtime_ns)
        except (HeadstartError, OSError, TypeError):  # an error is being told already
            return command
    return command if scenario in scenarios else unknown or f"dvc exp run -S 'scenarios=[{scenario}]'"


@lru_cache(maxsize=4)
def _scenarios_in(path: Path, changed_ns: int) -> tuple[str, ...]:
    """As params.yaml names them. Kept, because what may be missing is named before it is looked for."""
    return tuple(map(str, read_yaml(path)["scenarios"]))
