"""`headstart expert`: judge a scenario's expert, describe it on one page, approve it."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from headstart.cli.names import Scenario
from headstart.cli.output import Json, Output, output
from headstart.cli.release import By, Reason


class _Judging(TyperGroup):
    """`headstart expert SCENARIO` judges: what is no command is the scenario of `judge`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        return super().resolve_command(ctx, args if args[0] in self.commands else ["judge", *args])


expert_app = typer.Typer(
    cls=_Judging,
    no_args_is_help=True,
    context_settings={"ignore_unknown_options": True},
    help="Judge a scenario's expert (`headstart expert SCENARIO`), describe it on a page, approve it.",
)


@expert_app.command()
def judge(
    scenario: Scenario,
    worlds: Annotated[int | None, typer.Option(help="Episodes to judge it on.")] = None,
    as_json: Json = False,
) -> None:
    """Judge the scenario's expert; prints success and harm with bounds, and writes nothing."""
    from headstart.config.params import changed, for_scenario, load_params
    from headstart.config.scenario import load_scenario
    from headstart.core.progress_lines import progress
    from headstart.runs.expert_judging import judge_at_hand
    from headstart.view.expert import check_row

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
            mark, text = check_row(check)
            out.say(text, f"  {mark:<5}")


@expert_app.command()
def describe(scenario: Scenario, as_json: Json = False) -> None:
    """Show the expert on one page: who it is, what it does, its gate, what goes wrong, its approvals, and what follows."""
    from headstart.config.scenario import load_scenario
    from headstart.view.expert import describe as described

    page = described(load_scenario(scenario))
    with output(as_json) as out:
        out.found(scenario=scenario, **page.facts)
        out.say(page.heading)
        for title, rows in page.parts:
            _part(out, title, rows)
        out.say(f"next: {page.next}")


def _part(out: Output, title: str, rows: list[tuple[str, str]]) -> None:
    if title:
        out.say(title)
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        out.say(text, f"  {name:<{width}}  " if width else "  ")


@expert_app.command()
def approve(scenario: Scenario, by: By, reason: Reason, as_json: Json = False) -> None:
    """Approve the expert at hand, where `expert.approval` is manual; exits with 6 for one that missed its gate."""
    from headstart.config.scenario import load_scenario
    from headstart.config.stage_command import stage_command
    from headstart.runs.approval import approve as approved
    from headstart.runs.approval import says
    from headstart.runs.expert import passed_expert

    described = load_scenario(scenario)
    with output(as_json) as out:
        line = approved(described, passed_expert(described), by, reason)
        out.found(scenario=scenario, line=line.seq + 1, approval=line)
        out.say(f"{scenario}: approved: {says(line)}, line {line.seq + 1} of the history; commit governance")
        out.say(f"next: `{stage_command('capture', scenario)}`")
