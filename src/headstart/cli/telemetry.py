"""`headstart telemetry`: read the log of a run, also of one that still runs, and of other programs' logs of the versions 1.0 to 1.2."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from headstart.cli.names import run_names
from headstart.cli.output import Json, Output, output, wrapped
from headstart.cli.project import typed_file, typed_new, typed_path
from headstart.config.project import TENSORBOARD
from headstart.core.errors import Busy, HeadstartError, UsageError, printable

if TYPE_CHECKING:
    from headstart.telemetry.drift import Comparison, Limit
    from headstart.telemetry.logs import AnyRecord
    from headstart.telemetry.rules import Severity

ALERT = 7  # exit code: a rule or a limit was broken
NAME = re.compile(r"\w[\w-]*(/[\w-]+){0,2}")  # as one of a run
telemetry_app = typer.Typer(no_args_is_help=True, help="Read the logs of runs: check, watch, sum up, compare, draw, convert.")


def _log(text: str) -> Path:
    """The path that was typed, or where the log of `SCENARIO/ARM/seed-N` lies. UsageError for a name that is nearly one of a run."""
    path = typed_path(text)
    if path.exists() or not NAME.fullmatch(text):
        return path
    from headstart.view.observe_runs import folder_of_log

    return folder_of_log(Path(), text) or path


A_LOG = "SCENARIO/ARM/seed-N, a telemetry folder, one .ndjson file, or a log of version 1.0 to 1.2."
ALog = Annotated[Path, typer.Argument(metavar="LOG", parser=_log, help=A_LOG, autocompletion=run_names)]
Logs = Annotated[list[Path], typer.Argument(metavar="LOG…", parser=_log, help=A_LOG, autocompletion=run_names)]
Assume = Annotated[str | None, typer.Option("--assume-version", metavar="1.0", help="Of records that state no version.")]
Base = Annotated[Path | None, typer.Option(parser=_log, metavar="FILE", help="A JSON object of numbers, or another log.")]


@telemetry_app.command()
def validate(
    logs: Logs,
    strict: Annotated[bool, typer.Option(help="An unknown field, and an end that is torn, are errors too.")] = False,
    as_json: Json = False,
    assume: Assume = None,
) -> None:
    """Check logs, and list what is wrong; exits with 3 for an invalid record, 4 where bytes are missing or changed."""
    from headstart.telemetry.check import MAX_PROBLEMS, check, exit_code
    from headstart.telemetry.logs import read_log

    codes, told = [], []
    with output(as_json) as out:
        for path in logs:
            try:
                log = read_log(path, assume)
            except HeadstartError as error:  # the other logs are checked all the same
                codes.append(error.exit_code)
                told.append({"log": str(path), "valid": False, "exit_code": error.exit_code, "error": str(error)})
                out.say(f"error: {error}", rest="  ")
                continue
            found = check(log, strict)
            codes.append(exit_code(found))
            errors, shown = sum(problem.level != "warning" for problem in found), found[:MAX_PROBLEMS]
            told.append(
                {"log": log.name, "records": len(log.records), "valid": not errors, "torn_bytes": log.torn_bytes}
                | {"exit_code": codes[-1], "problems": [one._asdict() for one in shown], "problems_in_all": len(found)}
            )
            says = f"{_counted(errors, 'error')}, {_counted(len(found) - errors, 'warning')}" if found else "valid"
            out.say(f"{log.name}: {_counted(len(log.records), 'record')}, {says}", rest="  ")
            for problem in shown:
                out.say(f"{'warning' if problem.level == 'warning' else 'error'}: {problem.text}", "  ", "    ")
            if len(found) > MAX_PROBLEMS:
                out.say(f"  and {len(found) - MAX_PROBLEMS:,} more")
        out.found(logs=told)
    raise typer.Exit(max(codes))


@telemetry_app.command()
def watch(
    log: ALog,
    follow: Annotated[bool, typer.Option("--follow", help="Wait for what the run writes next, until it ends.")] = False,
    interval: Annotated[float, typer.Option(min=0.01, max=3600, help="Seconds between two looks.")] = 2.0,
    preset: Annotated[list[str] | None, typer.Option(help="common, town, nav or anneal; without rules: anneal.")] = None,
    alert: Annotated[list[str] | None, typer.Option(metavar="RULE", help="FIELD OP NUMBER[%base] [for N] [warn|alert]")] = None,
    baseline: Base = None,
    fail_on: Annotated[
        Literal["none", "warn", "alert"], typer.Option(help="From which severity the command exits with 7.")
    ] = "alert",
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="End with the first that does.")] = False,
    idle_timeout: Annotated[
        float | None, typer.Option(min=0, metavar="S", help="With --follow: exit with 8 after so long.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Hold a log to rules, one line when a rule begins to hold and one when it no longer does; exits with 7 on an alert."""
    from headstart.telemetry.drift import read_baseline
    from headstart.telemetry.rules import Watch, rule_of
    from headstart.telemetry.rules import preset as rules_of
    from headstart.telemetry.rules import watch as watch_of
    from headstart.view.telemetry import alert_line, watch_text

    for one in preset or ():
        rules_of(one, None)
    for one in alert or ():
        rule_of(one)
    base = read_baseline(baseline) if baseline else {}
    counts: dict[str, tuple[Severity, ...]] = {"none": (), "warn": ("warn", "alert"), "alert": ("alert",)}
    severities = counts[fail_on]
    seen: Watch | None = None
    count, late, out = 0, None, Output(as_json)
    try:
        for record, restarts, known in _records(log, follow, interval, idle_timeout):
            if restarts:  # a resumed run wrote the end of its log again
                seen, count = None, 0
            if seen is None:
                presets = preset or ([] if alert else ["anneal"])
                seen = watch_of([*(rule for one in presets for rule in rules_of(one, record.world)), *(alert or ())], base)
            count += 1
            events = seen.see(record)
            for event in () if known else events:
                _json(event._asdict()) if as_json else out.say(alert_line(event), rest=" " * 7)
            if fail_fast and any(seen.fired(severity) for severity in severities):
                break
    except Busy as error:
        late = error
    if seen is None:
        raise late or UsageError(f"{log}: expected records to watch, got none")
    fired = {"alert": seen.fired("alert"), "warn": seen.fired("warn")}
    if as_json:
        rules = [vars(one) | {"rule": one.rule.text, "severity": one.rule.severity} for one in seen.rules]
        _json({"event": "end", "records": count, **fired, "rules": rules})
    said = f"{log}: {_counted(count, 'record')}, {_counted(fired['alert'], 'alert')}, {_counted(fired['warn'], 'warning')}"
    out.verbatim("\n" + watch_text(_heading(said), seen))
    if any(fired[severity] for severity in severities):
        raise typer.Exit(ALERT)
    if late:
        raise late


@telemetry_app.command()
def summary(
    log: ALog,
    baseline: Base = None,
    last: Annotated[
        int | None, typer.Option(min=1, help="Latest values and extremes of so many updates; without it, of all.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown in place of text.")] = False,
    as_json: Json = False,
    wall: Annotated[
        bool, typer.Option("--wall/--no-wall", help="Also what the clock says, which two equal runs do not share.")
    ] = True,
    out: Annotated[Path | None, typer.Option(parser=typed_file, metavar="FILE", help="Write it there instead.")] = None,
    assume: Assume = None,
) -> None:
    """Sum up a log: how the run ended, its phases, evaluations and guardrails, the last and the farthest values."""
    from headstart.core.files import write_bytes
    from headstart.core.strict_json import pretty_json
    from headstart.telemetry import drift
    from headstart.telemetry.logs import sound_log
    from headstart.telemetry.summary import as_json as json_of
    from headstart.telemetry.summary import summarised
    from headstart.view.telemetry import IMPORTED, markdown_of, tables, text_of

    read = sound_log(log, assume)
    against = drift.compare(read.records, drift.read_baseline(baseline), {}, None) if baseline else None
    found = summarised(read, last, against)
    titles = [f"{read.name}: {found.about['status']}"]
    if version := found.about.get("upgraded_from"):
        titles.append(IMPORTED.format(version))
    if as_json:
        said = pretty_json(json_of(found, wall)).decode()
    elif markdown:
        said = markdown_of(". ".join(titles), tables(found, wall))
    else:
        said = text_of(_heading(*titles), tables(found, wall)) + "\n"
    if out is None:
        typer.echo(said, nl=False)
    else:
        write_bytes(out, said.encode())


@telemetry_app.command("drift")
def drift_command(
    log: ALog,
    baseline: Annotated[Path, typer.Option(parser=_log, metavar="FILE", help="A JSON object of numbers, or another log.")],
    absolute: Annotated[str | None, typer.Option("--abs", metavar="X", help="The change that is allowed …")] = None,
    relative: Annotated[
        str | None, typer.Option("--rel", metavar="P", help="… and as a share of the base, as 0.02 or 2%.")
    ] = None,
    limit: Annotated[
        list[str] | None, typer.Option(metavar="FIELD=ABS,REL", help="For one field; with no limit nothing fails.")
    ] = None,
    as_json: Json = False,
    assume: Assume = None,
) -> None:
    """Compare the updates of a log with a baseline, of a log the median of its last five; exits with 7 beyond a limit."""
    from headstart.telemetry import drift
    from headstart.telemetry.logs import sound_log
    from headstart.telemetry.summary import drift_json
    from headstart.view.telemetry import drift_tables, text_of

    usual = None
    if absolute is not None or relative is not None:
        usual = drift.Limit(drift.amount(absolute or "0", "--abs"), drift.amount(relative or "0", "--rel"))
    limits: dict[str, Limit] = dict(drift.limit_of(one) for one in limit or ())
    read = sound_log(log, assume)
    found: Comparison = drift.compare(read.records, drift.read_baseline(baseline), limits, usual)
    beyond = sum(bool(one.breaches) for one in found.drifts)
    says = f"{beyond} beyond their limit" if limits or usual else "no limit was given"
    with output(as_json) as out:
        out.found(log=read.name, baseline=str(baseline), **drift_json(found))
        title = _heading(read.name, f"against {baseline}: {_counted(len(found.drifts), 'field')}, {says}")
        out.verbatim(text_of(title, (table for table in drift_tables(found) if table[2])))
    raise typer.Exit(ALERT if found.is_beyond else 0)


@telemetry_app.command()
def plot(
    logs: Logs,
    out: Annotated[
        Path, typer.Option(parser=typed_file, metavar="FILE", help="A .svg or .png; .json is the Vega-Lite specification.")
    ],
    fields: Annotated[str | None, typer.Option(metavar="A,B", help="One panel each; without it, those that change.")] = None,
    x: Annotated[
        Literal["env_steps", "iteration"] | None, typer.Option(help="Without it env steps, where they are known.")
    ] = None,
    as_json: Json = False,
    assume: Assume = None,
) -> None:
    """Draw the curves of logs over each other: phases of the first are shaded, rollbacks are red lines."""
    from headstart.core.files import write_bytes
    from headstart.core.strict_json import pretty_json
    from headstart.telemetry.logs import sound_log
    from headstart.view.telemetry_curves import curves, png, svg

    makers: dict[str, Callable[[Any], bytes]] = {".svg": svg, ".png": png, ".json": pretty_json}
    make = makers.get(out.suffix)
    if make is None:
        raise UsageError(f"--out: expected a name that ends in .svg, .png or .json, got {out}")
    read = [sound_log(log, assume) for log in logs]
    axis = x or ("iteration" if any(log.records[0].env_steps is None for log in read) else "env_steps")
    spec = curves(read, [one.strip() for one in fields.split(",")] if fields else None, axis)
    write_bytes(out, make(spec))
    with output(as_json) as said:
        said.found(path=out, description=spec["description"])
        said.say(f"{out}: {spec['description']}", rest="  ")


@telemetry_app.command()
def upgrade(
    source: Annotated[
        Path, typer.Argument(metavar="LOG", parser=typed_path, help="A log of version 1.0, 1.1 or 1.2, also one JSON array.")
    ],
    target: Annotated[Path, typer.Option("--out", parser=typed_file, metavar="FILE", help="The upgraded log.")],
    as_json: Json = False,
    assume: Assume = None,
) -> None:
    """Write a log of version 1.x in today's names, to be looked at and compared; one that is upgraded stays as it is."""
    from headstart.core.files import write_bytes
    from headstart.core.strict_json import canonical_json
    from headstart.telemetry.logs import files_of, read_log, sound_log

    if target.resolve() in {file.resolve() for file in files_of(source)}:
        raise UsageError(f"{target}: expected another file than the one that is read, which stays as it is")
    log = sound_log(source, assume)
    if log.records[0].schema_id == "telemetry/3":
        raise UsageError(f"{source}: expected a log of version 1.0, 1.1 or 1.2, got one of today, which needs no upgrade")
    data = b"".join(canonical_json(record.model_dump(mode="json")) + b"\n" for record in log.records)
    write_bytes(target, data)
    problems = read_log(source, assume).problems
    torn = f"; {log.torn_bytes} bytes of a torn end were left out" if log.torn_bytes else ""
    with output(as_json) as out:
        out.found(path=target, updates=len(log.records) - 1, torn_bytes=log.torn_bytes)
        out.found(problems=[problem._asdict() for problem in problems])
        for problem in problems:
            out.say(f"warning: {problem.text}", rest="  ")
        out.say(f"{target}: {_counted(len(log.records) - 1, 'update')} of {source}{torn}", rest="  ")


@telemetry_app.command()
def tensorboard(
    runs: Logs,
    logdir: Annotated[Path | None, typer.Option(parser=typed_new, help="Without it .headstart/tensorboard.")] = None,
    as_json: Json = False,
) -> None:
    """Convert finished logs into TensorBoard's event files, a folder a run; a conversion of before is replaced."""
    from headstart.telemetry.kinds import Line
    from headstart.telemetry.logs import sound_log
    from headstart.telemetry.tensorboard import convert

    home, written = logdir or TENSORBOARD, dict[str, int]()
    with output(as_json) as out:
        for path in runs:
            lines = [record for record in sound_log(path).records if isinstance(record, Line)]
            if not lines:
                raise UsageError(
                    f"{path}: expected a log with env steps, got one of version 1.x; `headstart telemetry plot` draws it"
                )
            first = lines[0]
            folder = home / first.scenario / first.arm / f"seed-{first.seed}"
            written[str(folder)] = convert(lines, folder)
            out.say(f"{folder}: {_counted(written[str(folder)], 'value')} of {path}", rest="  ")
        out.found(logdir=home, values=written)
        out.say(f"look: tensorboard --logdir {home}")


def _records(path: Path, following: bool, interval: float, idle: float | None) -> "Iterator[tuple[AnyRecord, bool, bool]]":
    """Each record; whether it is the first of a log that a resumed run wrote again; whether what it says was said before."""
    from headstart.telemetry.follow import follow
    from headstart.telemetry.logs import sound_log

    if following:
        return follow(path, interval, idle)
    return ((record, False, False) for record in sound_log(path).records)


def _heading(*lines: str) -> str:
    """Lines above a table, broken at the terminal's width."""
    return "\n".join(row for line in lines for row in wrapped(printable(line), "", "  "))


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def _json(value: Any) -> None:
    typer.echo(json.dumps(value, default=lambda other: other._asdict()))
