"""Which command makes what a stage leaves: for the errors that say that it is missing."""

from pathlib import Path

from headstart.config.params import Params
from headstart.config.scenario import Scenario
from headstart.core.errors import InputError
from headstart.runs.expert import expert_folder


def stage_command(stage: str, scenario: str, params: Params) -> str:
    """`dvc repro STAGE@SCENARIO` for the `scenarios` of params.yaml. DVC knows no stage of another scenario: its whole pipeline is run."""
    return f"dvc repro {stage}@{scenario}" if scenario in params.scenarios else f"dvc exp run -S 'scenarios=[{scenario}]'"


def trained_expert(params: Params, scenario: Scenario) -> Path:
    """The folder of the scenario's expert; InputError, with the command that makes it, where the expert stage has left none."""
    folder = expert_folder(scenario)
    if not folder.is_dir():
        made_by = stage_command("expert", scenario.name, params)
        raise InputError(f"{folder}: expected an expert, found none; `{made_by}` makes it")
    return folder
