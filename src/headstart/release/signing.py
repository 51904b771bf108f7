"""Who says for which role that the candidate may be promoted: lines of the history, which stand for the pass that they name and for no other."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from headstart.config.history import Line, Signed, note_written
from headstart.core.errors import Hold, UsageError, nearest
from headstart.release.record import settings
from headstart.release.registry import open_scenario
from headstart.release.standing import Standing, ready_pass


def sign(root: Path, scenario: str, actor: str, role: str, go: bool, reason: str) -> tuple[Line, Standing]:
    """Append the signature; returns its line, and where the scenario stands with it. The last signature of a role counts.

    Raises UsageError for a role that nobody asks for, and Hold or GateFailed while no candidate is ready.
    """
    params, _ = settings(root, scenario)
    if (roles := params.promotion.approvals) and role not in roles:
        raise UsageError(
            f"--role: expected one of {', '.join(roles)} (`promotion.approvals`), got {role!r}{nearest(role, roles)}"
        )
    with open_scenario(root, scenario, "release approve") as (history, standing):
        ready_pass(standing)
        assert standing.passed_sha256 is not None
        signed = Signed(scenario=scenario, role=role, decision="GO" if go else "NO-GO", verdict_sha256=standing.passed_sha256)
        last = standing.signatures.get(role)
        if last is not None and (last.record, last.actor, last.reason) == (signed, actor, reason):
            note_written(history.lines, last.record)
            return last, standing
        line = history.append(signed, actor, reason)
    return line, replace(standing, signatures={**standing.signatures, role: line})


def require_signatures(standing: Standing, roles: Sequence[str]) -> None:
    """Raise Hold where somebody signed NO-GO, and unless each of these roles signed GO."""
    for role, line in standing.signatures.items():
        if decision_of(line) != "GO":
            raise Hold(
                f"{standing.scenario}: expected GO of {role}, {line.actor} signed NO-GO: {line.reason}; "
                f"`{approve_command(standing.scenario, role)}` once that is settled, or `headstart release withdraw`"
            )
    if missing := [role for role in roles if role not in standing.signatures]:
        raise Hold(
            f"{standing.scenario}: expected GO of {', '.join(roles)} (`promotion.approvals`), {', '.join(missing)} did not sign; "
            f"`{approve_command(standing.scenario, missing[0])}`"
        )


def decision_of(line: Line) -> str:
    """GO or NO-GO."""
    assert isinstance(line.record, Signed)
    return line.record.decision


def approve_command(scenario: str, role: str) -> str:
    """What a person types."""
    return f"headstart release approve {scenario} --by NAME --role {role} --reason TEXT"
