"""Which command makes what a stage leaves: for the errors that say that it is missing."""

from headstart.config.params import Params


def stage_command(stage: str, scenario: str, params: Params) -> str:
    """`dvc repro STAGE@SCENARIO` for the `scenarios` of params.yaml. DVC knows no stage of another scenario: its whole pipeline is run."""
    return f"dvc repro {stage}@{scenario}" if scenario in params.scenarios else f"dvc exp run -S 'scenarios=[{scenario}]'"
