"""`headstart capture`: the stage, or with options a recording of one's own; and what becomes of such a draft."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.cli.names import Scenario
from headstart.cli.output import Json, Output, output

if TYPE_CHECKING:
    from headstart.runs.drafting import Plan

ROOT = Path()


def capture(
    scenario: Scenario,
    episodes: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="How many at least; without it, as one block of the pipeline has.")
    ] = None,
    ticks: Annotated[int | None, typer.Option(min=1, metavar="T", help="Of each world, in place of the scenario's.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, metavar="S", help="Of worlds and slips.")] = None,
    agents: Annotated[int | None, typer.Option(min=1, metavar="N", help="Of each world, in a town.")] = None,
    tags: Annotated[str, typer.Option(metavar="A,B", help="For the catalogue, if it is kept.")] = "",
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the draft <scenario>.NAME; without it, the first free number.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be recorded, and write nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Record the approved expert: data/<scenario>/raw; with options a draft, data/<scenario>.<name>.

    A draft is no part of the pipeline. Look at it:

    headstart play SCENARIO.NAME 0

    Keep it as a dataset of its own, with an entry in the catalogue:

    headstart curate SCENARIO.NAME && headstart validate SCENARIO.NAME
    """
    from headstart.runs.drafting import Asked, estimated, planned, record_draft

    asked = Asked(episodes, ticks, seed, agents, _tags(tags), name)
    if not dry_run and asked == Asked():
        from headstart.cli.stages import run_stage

        run_stage(as_json, "capture", scenario)
        return
    from headstart.config.params import for_scenario, load_params
    from headstart.config.scenario import load_scenario
    from headstart.core.progress_lines import progress

    described = load_scenario(scenario)
    params = for_scenario(load_params(), described)
    plan = planned(params, described, asked)
    with output(as_json) as out:
        if dry_run:
            with progress(f"capture {scenario}: a short run"):
                found = estimated(plan)
            out.found(draft=plan.name, settings=plan.settings, worlds=plan.settings.all_worlds, **found._asdict())
            _say(out, plan)
            out.say(f"about {found.episodes:,.0f}, {found.steps:,.0f} steps", "  episodes  ")
            out.say(f"about {_size(found.bytes)}", "  size      ")
            out.say(f"about {_time(found.seconds)} on this machine, less where many worlds run at once", "  time      ")
            out.say(f"measured on {found.measured_worlds} worlds, of which nothing was kept", "  ")
            return
        draft = record_draft(plan)
        out.found(draft=plan.name, **draft.model_dump(mode="json"))
        out.say(f"capture {scenario}: {plan.name}: {draft.episodes} episodes, {draft.steps:,} steps, seed {plan.settings.seed}")
        out.say(f"`headstart inspect {plan.name}`; `headstart play {plan.name} 0`", "look: ")
        least = params.validate_.min_episodes
        if draft.of_the_scenario and draft.episodes >= least:
            out.say(f"`headstart curate {plan.name} && headstart validate {plan.name}`", "keep: ")
        elif draft.of_the_scenario:
            out.say(f"not with fewer than {least} episodes, for which `validate` asks (`validate.min_episodes`)", "keep: ")


def _say(out: Output, plan: "Plan") -> None:
    settings, draft = plan.settings, plan.name != plan.scenario.name
    where = f"a draft in data/{plan.name}" if draft else f"the stage, data/{plan.name}/raw"
    out.say(f"{plan.name}: {where}; nothing is written")
    out.say(f"{plan.scenario.expert.policy}, approved ({plan.policy_sha256[:12]})", "  expert    ")
    blocks = f" in {settings.blocks} blocks" if settings.blocks > 1 else ""
    agents = f"{plan.agents} agent{'s' if plan.agents > 1 else ''}"
    out.say(
        f"{settings.all_worlds:,}{blocks}, of {agents} and at most {plan.task.horizon} ticks, seed {settings.seed}",
        "  worlds    ",
    )


def on_draft(as_json: bool, stage: str, name: str) -> None:
    """`headstart curate DRAFT`, and `headstart validate DRAFT`, which adds it to the catalogue."""
    from headstart.config.params import CaptureParams, for_scenario, load_params
    from headstart.config.project import DATA, LOCKS
    from headstart.config.stage import printed
    from headstart.core.contents import require_whole
    from headstart.core.errors import InputError, UsageError
    from headstart.core.lock import held
    from headstart.dataset.drafts import read_draft
    from headstart.stages.curate import curate
    from headstart.stages.validate import validate

    draft, scenario = read_draft(ROOT, name)
    if not draft.of_the_scenario:
        raise UsageError(
            f"{name}: expected a draft with the ticks and agents of {scenario.name}, since a dataset is one of a scenario; "
            "a scenario file of its own with these makes one that can be kept"
        )
    params, home = for_scenario(load_params(), scenario), DATA / name
    params = params.model_copy(update={"capture": CaptureParams.model_validate(draft.capture)})
    with output(as_json) as out, held(LOCKS / f"draft-{name}", f"headstart {stage} {name}"):
        if not (folder := home / ("raw" if stage == "curate" else "curated")).is_dir():
            raise InputError(f"{folder}: expected the files of a curated draft, found none; `headstart curate {name}` makes them")
        require_whole(folder)
        done = (curate if stage == "curate" else validate)(params, scenario, home)
        out.found(stage=stage, scenario=scenario.name, draft=name, **done._asdict())
        out.verbatim(printed(done))
        if stage == "validate":
            from headstart.dataset.keeping import keep_draft

            entry = keep_draft(ROOT, name, draft, params, scenario.licence)
            out.found(dataset=entry.name)
            out.say(f"in the catalogue: {entry.name}; `git add data/catalogue` and commit")


def _tags(text: str) -> tuple[str, ...]:
    from headstart.core.record import require_name

    tags = tuple(dict.fromkeys(tag.strip() for tag in text.split(",") if tag.strip()))
    for tag in tags:
        require_name(tag, "--tags")
    return tags


def _size(found: float) -> str:
    return f"{found / 1e6:,.1f} MB" if found >= 1e5 else f"{found / 1e3:,.1f} kB"


def _time(seconds: float) -> str:
    if seconds < 1:
        return "1 s"
    return f"{seconds:,.0f} s" if seconds < 120 else f"{seconds / 60:,.0f} min"
