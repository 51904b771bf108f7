"""`headstart promote`, `headstart release …` and `headstart verify`: which policy is in use, and whether all is still as recorded."""

from pathlib import Path
from typing import Annotated

import typer

from headstart.cli.project import typed_path
from headstart.core.errors import IntegrityError, UsageError

release_app = typer.Typer(no_args_is_help=True, help="Verdicts, releases and the way back.")

Scenario = Annotated[str, typer.Argument(help="A file in scenarios/, without .yaml")]
By = Annotated[str, typer.Option("--by", help="Who decides; stands in the history.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; stands in the history.")]
ROOT = Path()


def add_to(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.add_typer(release_app, name="release")
    app.command()(promote)
    app.command()(verify)


def promote(scenario: Scenario, by: By, reason: Reason) -> None:
    """Put the candidate to use; exits with 5 while it is not ready and with 6 after a FAIL."""
    from headstart.release.promote import promote as put_to_use

    release = put_to_use(ROOT, scenario, by, reason)
    typer.echo(f"{scenario}: {release.id} is released; commit governance, and push with tags")


def verify(
    cache: Annotated[bool, typer.Option("--cache", help="Read every object of DVC's cache, too.")] = False,
    remote: Annotated[str | None, typer.Option("--remote", help="Read what a remote must hold, too.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Workspace, cache and remote; nothing may be missing.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Move away what differs, and bring back what is recorded.")] = False,
    source: Annotated[str | None, typer.Option("--from", help="The remote with good copies, for --repair.")] = None,
) -> None:
    """Take every recorded hash again; exits with 4 and lists everything that differs."""
    from headstart.release.faults import lines
    from headstart.release.verify import scope_of
    from headstart.release.verify import verify as check

    if source and not repair:
        raise UsageError("--from: expected it with --repair, which fetches from the remote")
    scope = scope_of(ROOT, cache, remote, everything or (repair and not cache and not remote))
    if repair:
        from headstart.release.repair import repair as mend

        for line in mend(ROOT, scope, source):
            typer.echo(line)
    found = check(ROOT, scope)
    for name, findings in found.items():
        word = "MISS" if findings.faults else "ok  " if findings.checked else "none"
        typer.echo(f"{word} {name}: {findings}")
    faults = [fault for findings in found.values() for fault in findings.faults]
    if faults:
        raise IntegrityError("\n  ".join([f"{len(faults)} problem{'s' if len(faults) > 1 else ''}", *lines(faults)]))


@release_app.command()
def record(
    scenario: Scenario, by: By, target: Annotated[str | None, typer.Option(help="One of the scenario's targets.")] = None
) -> None:
    """Write the verdict of the comparison at hand to the history."""
    from headstart.release.record import record_verdict

    line, standing = record_verdict(ROOT, scenario, by, target)
    typer.echo(f"{scenario}: line {line.seq + 1}, {standing.last_result}; {standing.state}, ", nl=False)
    typer.echo(f"{standing.pass_streak} of {standing.required_passes} passes: {standing.note}")


@release_app.command("list")
def list_releases() -> None:
    """Where every scenario stands, and which releases there are; finishes what an interrupted command left."""
    from headstart.release.registry import recovered_lines
    from headstart.release.standing import fold

    standings = fold(recovered_lines(ROOT))
    if not standings:
        typer.echo("no verdict yet; `headstart release record SCENARIO` writes one")
    for standing in standings.values():
        typer.echo(
            f"{standing.scenario}\t{standing.state}\t{standing.pass_streak} of {standing.required_passes} passes\t{standing.note}"
        )
        places = {"current": standing.current, "previous": standing.previous, "initial": standing.initial}
        for release_id, release in standing.releases.items():
            marks = [name for name, there in places.items() if there and there.id == release_id]
            marks += [standing.versions[release_id]] if release_id in standing.versions else []
            marks += [] if standing.verified(release) else ["unverified"]
            typer.echo(f"  {release_id}\t{release.checkpoint}\t{release.git_revision[:12]}\t{', '.join(marks)}")


@release_app.command()
def fetch(
    scenario: Scenario,
    release_id: Annotated[str | None, typer.Option("--id", help="A release's id; without it the one in use.")] = None,
    to: Annotated[
        Path | None, typer.Option(parser=typed_path, metavar="FOLDER", help="For its files; default: .headstart/releases/ID.")
    ] = None,
    remote: Annotated[str | None, typer.Option(help="A remote of DVC; default: the one that is configured.")] = None,
) -> None:
    """Bring the weights and the card of a release, also into a fresh clone, once their hashes are those of the history."""
    from headstart.release.fetch import fetch as bring

    release, folder = bring(ROOT, scenario, release_id, to, remote)
    typer.echo(f"{scenario}: {release.id} is in {folder}, with the hashes that the history has")


@release_app.command()
def rollback(
    scenario: Scenario,
    by: By,
    reason: Reason,
    to: Annotated[str | None, typer.Option(help="A release's id; without it the one before.")] = None,
) -> None:
    """Go back to an earlier release, once its bytes are proved."""
    from headstart.release.rollback import roll_back

    release, folder = roll_back(ROOT, scenario, by, reason, to)
    typer.echo(f"{scenario}: {release.id} is in use again; its files are in {folder}; commit governance, and push with tags")


@release_app.command()
def swap(
    scenario: Scenario, checkpoint: Annotated[str, typer.Argument(help="A checkpoint's folder.")], by: By, reason: Reason
) -> None:
    """Put a checkpoint to use by hand; it stays unverified unless a PASS stands behind it."""
    from headstart.release.rollback import swap as swap_in

    release, folder, verified = swap_in(ROOT, scenario, checkpoint, by, reason)
    mark = "verified" if verified else "unverified"
    typer.echo(f"{scenario}: {release.id} is in use, {mark}; its files are in {folder}; commit governance, and push with tags")


@release_app.command()
def withdraw(scenario: Scenario, by: By, reason: Reason) -> None:
    """Take the candidate back; passes are counted from zero again."""
    from headstart.release.rollback import withdraw as take_back

    take_back(ROOT, scenario, by, reason)
    typer.echo(f"{scenario}: the candidate is withdrawn")
