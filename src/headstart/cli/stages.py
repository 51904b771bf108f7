"""`headstart STAGE SCENARIO`: one stage of the pipeline, run by hand."""

import importlib

import typer

from headstart.cli.capture import capture
from headstart.cli.curate import curate
from headstart.cli.names import Arm, Scenario
from headstart.cli.output import Json, output

STAGES = {
    "settings": "Write what params.yaml and the scenario say, for DVC to compare: data/<scenario>/settings.json.",
    "source": "Read what a scenario brings, a recording or an expert of its own: data/<scenario>/source.",
    "validate": "Hold a dataset to its gates; a failure quarantines it and exits with 6.",
    "bc_train": "Clone the expert: models/<scenario>/bc.",
    "evaluate": "Compare the candidate with the baselines: reports/evaluate/<scenario>.",
}
TRAINING = {
    "baseline": "Train an arm that starts from random weights, on all seeds.",
    "anneal": "Train an arm that starts from the clone, on all seeds.",
}


def add_to(app: typer.Typer, panel: str) -> None:
    """Add the commands to the program, in a panel of its help."""
    for stage, says in STAGES.items():
        if stage == "validate":
            app.command(rich_help_panel=panel)(capture)
            app.command(rich_help_panel=panel)(curate)
        app.command(stage.replace("_", "-"), help=says, rich_help_panel=panel)(_of_scenario(stage))
    for stage, says in TRAINING.items():
        app.command(stage, help=says, rich_help_panel=panel)(_of_arm(stage))


def _of_scenario(stage: str):  # type: ignore[no-untyped-def]  # Typer reads the signature of what it gets
    def command(scenario: Scenario, as_json: Json = False) -> None:
        if stage == "validate" and "." in scenario:  # a draft
            from headstart.cli.capture import on_draft

            on_draft(as_json, stage, scenario)
        else:
            run_stage(as_json, stage, scenario)

    return command


def _of_arm(stage: str):  # type: ignore[no-untyped-def]
    def command(scenario: Scenario, arm: Arm, as_json: Json = False) -> None:
        run_stage(as_json, stage, scenario, arm)

    return command


def run_stage(as_json: bool, stage: str, *names: str) -> None:
    from headstart.config.stage import printed, run

    function = getattr(importlib.import_module(f"headstart.stages.{stage}"), stage)
    with output(as_json) as out:
        done = run(function, *names)
        out.found(stage=stage, **dict(zip(("scenario", "arm"), names, strict=False)), **done._asdict())
        out.verbatim(printed(done))
