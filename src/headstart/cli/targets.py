"""`headstart targets`: the targets of a scenario from what its expert shows, before a run."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.cli.names import Scenario as Name
from headstart.cli.output import Json, output

if TYPE_CHECKING:
    from headstart.config.scenario import Scenario
    from headstart.runs.targets import WrittenTargets


def targets(
    scenario: Name,
    write: Annotated[bool, typer.Option("--write", help="Write them into the file, and add them to the history.")] = False,
    worlds: Annotated[int | None, typer.Option(help="Measure on so many worlds, to look; not with --write.")] = None,
    as_json: Json = False,
) -> None:
    """Measure the expert on the evaluation worlds, and print or write the targets that follow: expert_level, beyond_expert."""
    from headstart.config.params import changed, for_scenario, load_params
    from headstart.config.scenario import load_scenario
    from headstart.core.errors import UsageError
    from headstart.core.files import write_bytes
    from headstart.core.git import git_state
    from headstart.core.provenance import utc_text
    from headstart.runs.targets import HISTORY, add_entry, measure, read_history, with_targets, with_usual_targets

    described = load_scenario(scenario)
    params = for_scenario(load_params(), described)
    if worlds is not None and worlds != params.evaluation.worlds:
        if write:
            raise UsageError(
                f"--write: expected the worlds of the comparison (evaluation.worlds: {params.evaluation.worlds}), on which the expert "
                f"meets its own level, got --worlds {worlds}"
            )
        params = changed(params, {"evaluation": {"worlds": worlds}}, "--worlds")
    newest = read_history().newest(scenario)  # refuses a damaged history before anything is played
    asked = described if write else with_usual_targets(described)
    found = measure(params, asked, utc_text(datetime.now(UTC)), git_state(Path())[0])
    with output(as_json) as out:
        out.found(**found.model_dump(mode="json"))
        for lines in (_level_lines(found, described), _target_lines(found, described)):
            out.verbatim("\n".join(lines))
        for line in _history_lines(found, newest):
            out.say(line, rest="  ")
        if not write:
            return
        path = Path("scenarios") / f"{scenario}.yaml"
        text = path.read_bytes().decode()
        now = with_targets(text, found.targets)
        added = add_entry(found)
        if now != text:
            write_bytes(path, now.encode())
        done = [str(of) for of, changes in ((path, now != text), (HISTORY, added)) if changes]
        out.found(written=done)
        written = f"written: {', '.join(done)}\ncommit before the first run"
        out.say(written if done else "nothing to write: the file and the history have these targets")


def _level_lines(found: "WrittenTargets", scenario: "Scenario") -> Iterator[str]:
    level = found.expert
    kind = {"scripted": "scripted expert", "ppo": "learned expert", "demonstrations": "recorded demonstrations"}.get(
        scenario.expert.policy, "own expert"
    )
    where = f"{found.evaluation_worlds:,} evaluation worlds, seed {found.evaluation_seed}"
    yield f"{scenario.name}: {kind}, {'by themselves' if scenario.demonstrations else where}"
    yield f"  {'':<16}{'mean':>12}{'standard error':>18}"
    rates = {name: getattr(level, name) for name in ("success_rate", "harm_rate", "return_mean")}
    for name, of in (rates | level.measures).items():
        yield f"  {name:<16}{of.mean:>12,.4f}{of.standard_error:>18,.4f}"


def _target_lines(found: "WrittenTargets", scenario: "Scenario") -> Iterator[str]:
    """The YAML lines."""
    from headstart.runs.targets import RATES_AND_RETURN

    yield "targets:"
    for name, target in found.targets.items():
        before = scenario.targets.get(name, target)
        yield f"  {name}:"
        for key in RATES_AND_RETURN:
            if (value := getattr(target, key)) is not None:
                yield f"    {_line(key, value, getattr(before, key))}"
        if target.measures:
            yield "    measures:"
        for key, value in target.measures.items():
            yield f"      {_line(key, value, before.measures[key])}"


def _history_lines(found: "WrittenTargets", newest: "WrittenTargets | None") -> Iterator[str]:
    """When the targets were written; of targets that were not, whether it is too late to fix them before a run."""
    from headstart.runs.targets import same_targets

    same = newest is not None and same_targets(newest, found)
    if newest is not None:
        targets, whose = ("these targets", "this") if same else ("the last", "their")
        when = f"when runs of {whose} design were there" if newest.after_runs else f"before any run of {whose} design"
        yield f"{targets} were written on {newest.written_at[:10]}, {when}"
    if found.after_runs and not same:
        yield f"written now, they come after runs of this design (models/{found.scenario})"


def _line(quantity: str, value: float, before: float) -> str:
    from headstart.runs.targets import number_text

    said = f"{quantity}: {number_text(quantity, value)}"
    return said if value == before else f"{said}  # in the file {before:g}"
