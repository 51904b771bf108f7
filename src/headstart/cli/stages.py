"""`headstart STAGE SCENARIO`: one stage of the pipeline, run by hand; and `headstart expert`, which judges an expert and writes nothing."""

import importlib
from typing import Annotated

import typer

from headstart.cli.curate import curate
from headstart.cli.names import Arm, Scenario
from headstart.cli.output import Json, output

STAGES = {
    "settings": "Write what params.yaml and the scenario say, for DVC to compare: data/<scenario>/settings.json.",
    "source": "Read what a scenario brings, a recording or an expert of its own: data/<scenario>/source.",
    "capture": "Record the approved expert: data/<scenario>/raw.",
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
    app.command(rich_help_panel=panel)(expert)
    for stage, says in STAGES.items():
        if stage == "validate":
            app.command(rich_help_panel=panel)(curate)
        app.command(stage.replace("_", "-"), help=says, rich_help_panel=panel)(_of_scenario(stage))
    for stage, says in TRAINING.items():
        app.command(stage, help=says, rich_help_panel=panel)(_of_arm(stage))


def _of_scenario(stage: str):  # type: ignore[no-untyped-def]  # Typer reads the signature of what it gets
    def command(scenario: Scenario, as_json: Json = False) -> None:
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


def expert(
    scenario: Scenario,
    worlds: Annotated[int | None, typer.Option(help="Episodes to judge it on.")] = None,
    as_json: Json = False,
) -> None:
    """Judge the scenario's expert; prints success and harm with bounds, and writes nothing."""
    from headstart.config.params import changed, for_scenario, load_params
    from headstart.config.scenario import load_scenario
    from headstart.core.progress_lines import progress
    from headstart.runs.expert_judging import judge_at_hand

    described = load_scenario(scenario)
    params = for_scenario(load_params(), described)
    if worlds is not None:
        params = changed(params, {"expert": {"worlds": worlds}}, "--worlds")
    with output(as_json) as out:
        with progress(f"expert {scenario}"):
            artefact, verdict = judge_at_hand(params, described, params.expert.worlds)
        out.found(scenario=scenario, outcome=verdict.outcome.value, score=artefact.score, verdict=verdict)
        out.say(f"{scenario}: {verdict.outcome}{f'; return {artefact.score.return_mean:.3f}' if artefact.score else ''}")
        for check in verdict.checks:
            mark = "--" if not check.applies else "ok" if check.passed else "MISS"
            limit = f": {_short(check.measured)} {check.direction} {_short(check.threshold)}" if check.applies else ""
            out.say(f"{check.name}: {check.text}{limit}", f"  {mark:<5}")


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "not measured" if value is None else str(value)
