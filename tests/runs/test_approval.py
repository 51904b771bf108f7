"""A person's approval stands for one expert on one task, as long as no other approval follows."""

from pathlib import Path

import pytest
from tests.experiments import expert_policy

from headstart.config.history import HISTORY, Withdrawn, open_history, read_history, written
from headstart.config.scenario import Scenario, load_scenario
from headstart.core.errors import GateFailed, InputError, IntegrityError
from headstart.release.standing import fold
from headstart.runs.approval import approvals, approve, require_approval, stands
from headstart.runs.expert_record import ExpertPolicy

ROOT = Path(__file__).parents[2]
FIRST = expert_policy().model_copy(update={"state": "passed", "scenario": "queue_conflict"})
SECOND = FIRST.model_copy(update={"policy_sha256": "8" * 64})


@pytest.fixture
def scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scenario:
    found = load_scenario("queue_conflict", ROOT / "scenarios")
    monkeypatch.chdir(tmp_path)
    return found


def refused(expert: ExpertPolicy) -> str:
    with pytest.raises(GateFailed) as error:
        require_approval(expert, "expert.json")
    return str(error.value)


def test_an_expert_waits_until_a_person_approves_just_this_one(scenario: Scenario) -> None:
    assert "a person's approval of the expert 666666666666, got none; " in refused(FIRST)
    assert "`headstart expert approve queue_conflict --by NAME --reason TEXT` approves it" in refused(FIRST)

    approve(scenario, FIRST, "Ada", "looked at ten episodes")

    require_approval(FIRST, "expert.json")
    assert "got that of another, 666666666666 by Ada on " in refused(SECOND)
    assert "which this one supersedes" in refused(FIRST.model_copy(update={"scenario_sha256": "9" * 64}))  # another task


def test_an_approval_that_was_superseded_does_not_come_back(scenario: Scenario) -> None:
    for expert in (FIRST, SECOND):
        approve(scenario, expert, "Ada", "seen")

    lines = approvals("queue_conflict")

    assert [stands(line, lines, SECOND) for line in lines] == [False, True]
    assert "got that of another, 888888888888" in refused(FIRST)
    approve(scenario, FIRST, "Ada", "the older one after all")
    require_approval(FIRST, "expert.json")


def test_nothing_is_approved_twice_or_where_nobody_is_asked(scenario: Scenario) -> None:
    approve(scenario, FIRST, "Ada", "seen")
    with pytest.raises(InputError, match=r"the expert 666666666666 is approved already, by Ada on "):
        approve(scenario, FIRST, "Bo", "again")
    with pytest.raises(InputError, match=r"approved by its gate; `expert: {approval: manual}`"):
        approve(scenario, FIRST.model_copy(update={"state": "approved"}), "Ada", "seen")
    with pytest.raises(InputError, match="one line of printable text"):
        approve(scenario, SECOND, "Ada\nBo", "seen")
    assert len(approvals("queue_conflict")) == 1


def test_approvals_lie_in_the_chain_of_the_history_and_leave_releases_as_they_are(scenario: Scenario) -> None:
    with open_history(Path(), "a test") as history:
        history.append(Withdrawn(scenario="queue_conflict"), "Ada", "why")
    before = fold(read_history(HISTORY))
    approve(scenario, FIRST, "Ada", "seen")

    lines = read_history(HISTORY)

    assert fold(lines) == before and set(before) == {"queue_conflict"}
    assert written(lines, Withdrawn, "queue_conflict", "Ada", "why") is not None  # still the last of its kind
    HISTORY.write_bytes(HISTORY.read_bytes().replace(b"6" * 64, b"8" * 64))  # somebody approves by editor
    with pytest.raises(IntegrityError, match="expected hash"):
        require_approval(SECOND, "expert.json")
