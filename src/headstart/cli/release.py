"""`headstart promote`, `headstart release …` and `headstart verify`: which policy is in use, and whether all is still as recorded."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.cli.names import Scenario
from headstart.cli.output import Json, output
from headstart.cli.project import typed_new
from headstart.core.errors import IntegrityError, UsageError

if TYPE_CHECKING:
    from headstart.release.standing import Standing

release_app = typer.Typer(no_args_is_help=True, help="Verdicts, releases and the way back.")

By = Annotated[str, typer.Option("--by", help="Who decides; stands in the history.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; stands in the history.")]
ROOT = Path()


def promote(scenario: Scenario, by: By, reason: Reason, as_json: Json = False) -> None:
    """Put the candidate to use; exits with 5 while it is not ready and with 6 after a FAIL."""
    from headstart.release.promote import promote as put_to_use

    with output(as_json) as out:
        release = put_to_use(ROOT, scenario, by, reason)
        out.found(scenario=scenario, id=release.id, release=release)
        out.say(f"{scenario}: {release.id} is released; commit governance, and push with tags")


def verify(
    cache: Annotated[bool, typer.Option("--cache", help="Read every object of DVC's cache, too.")] = False,
    remote: Annotated[str | None, typer.Option("--remote", help="Read what a remote must hold, too.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Workspace, cache and remote; nothing may be missing.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Move away what differs, and bring back what is recorded.")] = False,
    source: Annotated[str | None, typer.Option("--from", help="The remote with good copies, for --repair.")] = None,
    as_json: Json = False,
) -> None:
    """Take every recorded hash again; exits with 4 and lists everything that differs."""
    from headstart.core.progress_lines import progress
    from headstart.release.faults import lines
    from headstart.release.verify import scope_of
    from headstart.release.verify import verify as check

    if source and not repair:
        raise UsageError("--from: expected it with --repair, which fetches from the remote")
    scope = scope_of(ROOT, cache, remote, everything or (repair and not cache and not remote))
    with output(as_json) as out, progress("verify"):
        repaired = []
        if repair:
            from headstart.release.repair import repair as mend

            for line in mend(ROOT, scope, source):
                repaired.append(line)
                out.say(line, rest="  ")
        found = check(ROOT, scope)
        for name, findings in found.items():
            word = "MISS" if findings.faults else "ok" if findings.checked else "none"
            out.say(f"{name}: {findings}", f"{word:<5}")
        faults = [fault for findings in found.values() for fault in findings.faults]
        checks = {
            name: findings._asdict() | {"faults": [fault._asdict() for fault in findings.faults]}
            for name, findings in found.items()
        }
        out.found(problems=len(faults), repaired=repaired, checks=checks)
        if faults:
            raise IntegrityError("\n  ".join([f"{len(faults)} problem{'s' if len(faults) > 1 else ''}", *lines(faults)]))


@release_app.command()
def record(
    scenario: Scenario,
    by: By,
    target: Annotated[str | None, typer.Option(help="One of the scenario's targets.")] = None,
    as_json: Json = False,
) -> None:
    """Write the verdict of the comparison at hand to the history."""
    from headstart.release.record import record_verdict

    with output(as_json) as out:
        line, standing = record_verdict(ROOT, scenario, by, target)
        out.found(line=line.seq + 1, **_standing(standing))
        passes = f"{standing.pass_streak} of {standing.required_passes} passes"
        out.say(
            f"{scenario}: line {line.seq + 1}, {standing.last_result}; {standing.state}, {passes}: {standing.note}", rest="  "
        )


def _standing(standing: "Standing") -> dict[str, Any]:
    """Where a scenario stands, for a program."""
    used = {name: getattr(standing, name) for name in ("current", "previous", "initial")}
    keys = ("scenario", "state", "pass_streak", "required_passes", "signatures", "last_result", "note")
    return {key: getattr(standing, key) for key in keys} | {name: of.id if of else None for name, of in used.items()}


@release_app.command()
def approve(
    scenario: Scenario,
    by: By,
    role: Annotated[str, typer.Option(help="For which role: one of `promotion.approvals`, where it names some.")],
    reason: Reason,
    no_go: Annotated[bool, typer.Option("--no-go", help="It must not be promoted.")] = False,
    as_json: Json = False,
) -> None:
    """Sign that the candidate that is ready may be promoted; a later verdict voids it. `headstart report --acceptance` shows on what."""
    from headstart.release.signing import decision_of, sign

    with output(as_json) as out:
        line, standing = sign(ROOT, scenario, by, role, not no_go, reason)
        out.found(line=line.seq + 1, signature=line, **_standing(standing))
        out.say(
            f"{scenario}: {decision_of(line)} of {role} by {line.actor}, line {line.seq + 1} of the history; commit governance"
        )


@release_app.command("list")
def list_releases(as_json: Json = False) -> None:
    """Where every scenario stands, and which releases there are; finishes what an interrupted command left."""
    from headstart.release.registry import recovered_lines
    from headstart.release.signing import decision_of
    from headstart.release.standing import fold

    scenarios = []
    with output(as_json) as out:
        standings = fold(recovered_lines(ROOT))
        if not standings:
            out.say("no verdict is recorded; `headstart release record SCENARIO --by NAME` records the last one")
        for standing in standings.values():
            passes = f"{standing.pass_streak} of {standing.required_passes} passes"
            out.say(f"{standing.scenario}: {standing.state}, {passes}: {standing.note}", rest="  ")
            for role, line in standing.signatures.items():
                out.say(f"{decision_of(line)} of {role} by {line.actor}: {line.reason}", "  ")
            places = {"current": standing.current, "previous": standing.previous, "initial": standing.initial}
            releases = []
            for release_id, release in standing.releases.items():
                marks = [name for name, there in places.items() if there and there.id == release_id]
                marks += [standing.versions[release_id]] if release_id in standing.versions else []
                marks += [] if standing.verified(release) else ["unverified"]
                out.say(f"  {release_id}  {', '.join(marks)}".rstrip())
                out.say(f"{release.checkpoint}, commit {release.git_revision[:12]}", "    ")
                version, verified = standing.versions.get(release_id), standing.verified(release)
                releases.append({"id": release_id, "version": version, "verified": verified, "release": release})
            scenarios.append(_standing(standing) | {"releases": releases})
        out.found(scenarios=scenarios)


@release_app.command()
def fetch(
    scenario: Scenario,
    release_id: Annotated[str | None, typer.Option("--id", help="A release's id; without it the one in use.")] = None,
    to: Annotated[
        Path | None,
        typer.Option("--out", parser=typed_new, metavar="FOLDER", help="For its files.", show_default=".headstart/releases/ID"),
    ] = None,
    remote: Annotated[str | None, typer.Option(help="A remote of DVC; default: the one that is configured.")] = None,
    as_json: Json = False,
) -> None:
    """Bring the weights and the card of a release, also into a fresh clone, once their hashes are those of the history."""
    from headstart.release.fetch import fetch as bring

    with output(as_json) as out:
        release, folder = bring(ROOT, scenario, release_id, to, remote)
        out.found(scenario=scenario, id=release.id, folder=folder, release=release)
        out.say(f"{scenario}: {release.id} is in {folder}, with the hashes that the history has", rest="  ")


@release_app.command()
def rollback(
    scenario: Scenario,
    by: By,
    reason: Reason,
    release_id: Annotated[str | None, typer.Option("--id", help="A release's id; without it the one before.")] = None,
    as_json: Json = False,
) -> None:
    """Go back to an earlier release, once its bytes are proved."""
    from headstart.release.rollback import roll_back

    with output(as_json) as out:
        release, folder = roll_back(ROOT, scenario, by, reason, release_id)
        out.found(scenario=scenario, id=release.id, folder=folder, release=release)
        out.say(
            f"{scenario}: {release.id} is in use again; its files are in {folder}; commit governance, and push with tags",
            rest="  ",
        )


@release_app.command()
def swap(
    scenario: Scenario,
    checkpoint: Annotated[str, typer.Argument(help="A checkpoint's folder.")],
    by: By,
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Put a checkpoint to use by hand; it stays unverified unless a PASS stands behind it."""
    from headstart.release.rollback import swap as swap_in

    with output(as_json) as out:
        release, folder, verified = swap_in(ROOT, scenario, checkpoint, by, reason)
        mark = "verified" if verified else "unverified"
        out.found(scenario=scenario, id=release.id, folder=folder, verified=verified, release=release)
        out.say(
            f"{scenario}: {release.id} is in use, {mark}; its files are in {folder}; commit governance, and push with tags",
            rest="  ",
        )


@release_app.command()
def withdraw(scenario: Scenario, by: By, reason: Reason, as_json: Json = False) -> None:
    """Take the candidate back; passes are counted from zero again."""
    from headstart.release.rollback import withdraw as take_back

    with output(as_json) as out:
        take_back(ROOT, scenario, by, reason)
        out.found(scenario=scenario, withdrawn=True)
        out.say(f"{scenario}: the candidate is withdrawn")
