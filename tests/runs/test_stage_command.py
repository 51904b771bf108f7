"""The command that an error names is one that DVC takes."""

from pathlib import Path

from headstart.config.params import load_params
from headstart.runs.stage_command import stage_command

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml")


def test_a_stage_of_a_scenario_that_dvc_does_not_know_is_run_as_an_experiment() -> None:
    assert stage_command("expert", "queue_conflict", PARAMS) == "dvc repro expert@queue_conflict"
    assert stage_command("expert", "nav_mixed", PARAMS) == "dvc exp run -S 'scenarios=[nav_mixed]'"
    both = PARAMS.model_copy(update={"scenarios": ("queue_conflict", "nav_mixed")})
    assert stage_command("expert", "nav_mixed", both) == "dvc repro expert@nav_mixed"
