"""Who approved which expert: lines of the history, of which the last of a scenario counts, and only for the expert that it names."""

from pathlib import Path

from headstart.config.history import HISTORY, Approved, Line, open_history, read_history
from headstart.config.scenario import Scenario
from headstart.config.stage_command import stage_command
from headstart.core.errors import GateFailed, InputError
from headstart.runs.expert_record import ExpertPolicy

DIGITS = 12  # of a hash that a person reads


def approvals(scenario: str, root: Path = Path()) -> list[Line]:
    """All approvals of a scenario's experts, oldest first."""
    return [line for line in read_history(root / HISTORY) if _is_of(line, scenario)]


def stands(line: Line, lines: list[Line], expert: ExpertPolicy) -> bool:
    """Whether one of a scenario's approvals is of this expert, on this task, and none followed."""
    record = line.record
    assert isinstance(record, Approved)
    named = (record.policy_sha256, record.scenario_sha256)
    return line is lines[-1] and named == (expert.policy_sha256, expert.scenario_sha256)


def require_approval(expert: ExpertPolicy, where: str) -> None:
    """GateFailed, with the command that gives it, unless a person approved just this expert."""
    lines = approvals(expert.scenario)
    if lines and stands(lines[-1], lines, expert):
        return
    got = "none" if not lines else f"that of another, {says(lines[-1])}, which this one supersedes"
    raise GateFailed(
        f"{where}: expected a person's approval of the expert {expert.policy_sha256[:DIGITS]}, got {got}; "
        f"`headstart expert describe {expert.scenario}` shows it, `{approve_command(expert.scenario)}` approves it"
    )


def approve(scenario: Scenario, expert: ExpertPolicy, by: str, reason: str) -> Line:
    """Write the approval of an expert that passed its gate. InputError where nobody is asked, and where it is approved already."""
    if expert.state == "approved":
        raise InputError(
            f"{scenario.name}: expected an expert that waits for a person, this one is approved by its gate; "
            "`expert: {approval: manual}` in params.yaml or in the scenario's recipe, and after it "
            f"`{stage_command('expert', scenario.name)}`, has a person asked"
        )
    with open_history(Path(), f"headstart expert approve {scenario.name}") as history:
        lines = [line for line in history.lines if _is_of(line, scenario.name)]
        if lines and stands(lines[-1], lines, expert):
            by = f"by {lines[-1].actor} on {lines[-1].at[:10]}"
            raise InputError(f"{scenario.name}: the expert {expert.policy_sha256[:DIGITS]} is approved already, {by}")
        record = Approved(scenario=scenario.name, policy_sha256=expert.policy_sha256, scenario_sha256=expert.scenario_sha256)
        return history.append(record, by, reason)


def approve_command(scenario: str) -> str:
    """What a person types."""
    return f"headstart expert approve {scenario} --by NAME --reason TEXT"


def says(line: Line) -> str:
    """Which expert, by whom and when."""
    assert isinstance(line.record, Approved)
    return f"{line.record.policy_sha256[:DIGITS]} by {line.actor} on {line.at[:10]}"


def _is_of(line: Line, scenario: str) -> bool:
    return isinstance(line.record, Approved) and line.record.scenario == scenario
