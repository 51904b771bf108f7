"""The rollback drill: it passes where everything works, and misses whatever does not."""

import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import yaml

from headstart.cli import main as cli
from headstart.config.history import Drilled, read_history
from headstart.config.params import Params, for_scenario, load_params
from headstart.config.scenario import Scenario, load_scenario
from headstart.config.schedule import Arm, Limits
from headstart.core.errors import IntegrityError
from headstart.guard.drill import FAULTS
from headstart.guard.guardrails import GUARDRAILS
from headstart.runs import drill, guarded_run
from headstart.runs.drill import Row, rollback_drill
from headstart.runs.states import load_state, save_state

ROOT = Path(__file__).parents[2]
Drilling = Callable[..., dict[str, Row]]
PASSED = Row("nonfinite", "x", "rollback", "rollback", 1, exact=True, goes_on=True, fails_without=True)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with params.yaml, a cartpole that has the default guardrails, and no clone."""
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    (tmp_path / "scenarios").mkdir()
    monkeypatch.chdir(tmp_path)
    with_guardrails({})
    return tmp_path


def with_guardrails(guardrails: dict[str, dict[str, object]], reason: str | None = None) -> None:
    """Write the project's cartpole with these guardrails."""
    content = yaml.safe_load((ROOT / "scenarios/cartpole.yaml").read_bytes())
    content["recipe"]["arms"]["pretrained"] |= {"guardrails": guardrails, "accept_loosened": reason}
    Path("scenarios/cartpole.yaml").write_text(yaml.safe_dump(content))


@pytest.fixture
def drilled(project: Path) -> Drilling:
    """A function: guardrails, changes of the arm → rows by fault."""
    scenario: Scenario = load_scenario("cartpole")
    params: Params = for_scenario(load_params(), scenario)

    def run(*names: str, **changes: object) -> dict[str, Row]:
        arm: Arm = params.arms["pretrained"].model_copy(update=changes)
        own = params.model_copy(update={"arms": {"pretrained": arm}})
        return {row.fault: row for row in rollback_drill(own, scenario, "pretrained", names, rounds=1)}

    return run


@pytest.fixture
def drilled_alone(drilled: Drilling, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Row]:
    """The same of one guardrail, without the drills of going back itself → its row."""
    drills = drill._drills
    monkeypatch.setattr(drill, "_drills", lambda phase, rules: islice(drills(phase, rules), len(rules)))

    def run(name: str, **changes: object) -> Row:
        (row,) = drilled(name, **changes).values()
        return row

    return run


def headstart(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["headstart", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_every_guardrail_takes_a_real_run_back_and_misses_its_fault_when_switched_off(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = headstart(monkeypatch, "drill", "rollback", "--scenario", "cartpole", "--runs", "1", "--record", "--by", "Ada")
    out = capsys.readouterr().out
    assert code == 0, out
    assert out.count("\nok  ") == len(FAULTS) + 3
    assert "from a new network, there is no clone at hand" in out
    (line,) = read_history(project / "governance/history.ndjson")
    assert isinstance(line.record, Drilled) and (line.record.passed, line.record.rounds) == (True, 1)
    assert set(line.record.guardrails) == set(GUARDRAILS)
    assert [path.name for path in (project / ".headstart").iterdir()] == ["locks"]


def test_a_guardrail_that_is_switched_off_makes_the_drill_fail(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_guardrails({"grad_norm": {"enabled": False}})
    code = headstart(monkeypatch, "drill", "rollback", "--scenario", "cartpole", "--guardrail", "grad_norm", "--runs", "1")
    found = capsys.readouterr()
    assert code == 6
    assert "MISS  grad_norm" in found.out and "never" in found.out
    assert found.err == "error: 1 of 4 drills missed\n"


@pytest.mark.parametrize("limits", [{"hits": 4}, {"flag": 60, "breach": 60}, {"enabled": False}])
def test_a_guardrail_that_lets_its_fault_pass_for_a_reason_is_named_and_left_out(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], limits: dict[str, object]
) -> None:
    with_guardrails({"grad_norm": limits}, "falls are rare")
    if limits != {"enabled": False}:  # what is left to drill is the same as there
        monkeypatch.setattr(drill, "_row", lambda setup, one, rounds: replace(PASSED, fault=one.fault))
    code = headstart(monkeypatch, "drill", "rollback", "--scenario", "cartpole", "--guardrail", "grad_norm", "--runs", "1")
    out = capsys.readouterr().out
    assert code == 0
    assert "not drilled: grad_norm; the arm lets its fault pass, because falls are rare\n" in out
    assert "ok  grad_norm" not in out and out.endswith("3 drills, 1 runs each: all passed\n")


def test_a_guardrail_that_is_loosened_for_a_reason_and_still_finds_its_fault_is_drilled(
    drilled_alone: Callable[..., Row],
) -> None:
    limits = {"grad_norm": Limits(breach=4.0)}
    assert drilled_alone("grad_norm", guardrails=limits, accept_loosened="falls are rare").passed


def test_a_drill_that_missed_is_recorded_as_one(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = Row("nonfinite", "x", "rollback", "continue", None, False, False, True)
    monkeypatch.setattr(drill, "rollback_drill", lambda *arguments: (row,))
    assert headstart(monkeypatch, "drill", "rollback", "--scenario", "cartpole", "--record", "--by", "Ada") == 6
    (line,) = read_history(project / "governance/history.ndjson")
    assert isinstance(line.record, Drilled) and not line.record.passed


def test_a_guardrail_that_waits_longer_than_the_default_misses(drilled_alone: Callable[..., Row]) -> None:
    row = drilled_alone("policy_kl_burst", guardrails={"policy_kl_burst": Limits(hits=3)})
    assert (row.passed, row.checks, row.decided) == (False, None, "continue")


def test_a_guardrail_that_cannot_be_switched_off_misses_its_negative_control(
    drilled_alone: Callable[..., Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drill, "switched_off", lambda arm, name: arm)
    row = drilled_alone("entropy")
    assert (row.passed, row.checks, row.exact, row.fails_without) == (False, 1, True, False)


def test_a_restore_that_does_not_restore_misses(drilled: Drilling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded_run, "restore", lambda trainer, state: None)
    rows = drilled("grad_norm")
    assert [row.passed for row in rows.values()] == [False] * 4


def test_a_run_that_says_it_went_back_and_did_not_misses(
    drilled_alone: Callable[..., Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lie(guarded: guarded_run.GuardedRun, targets: tuple[str, ...]) -> dict[str, Any]:
        kept = guarded.states[targets[0]]
        same = {"to_state_sha256": kept.sha256, "restored_state_sha256": kept.sha256, "from_state_sha256": "0" * 64}
        return same | {"to_checkpoint_id": kept.id, "env_steps_discarded": 0, "skipped_checkpoints": ()}

    monkeypatch.setattr(guarded_run, "go_back", lie)
    row = drilled_alone("grad_norm")
    assert (row.decided, row.exact) == ("freeze", False)


def test_a_state_that_is_not_whole_and_is_taken_all_the_same_misses(drilled: Drilling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drill, "change_a_weight", lambda run_dir, name: save_state(run_dir, name, load_state(run_dir, name)))
    rows = drilled("nonfinite")
    assert [row.passed for row in rows.values()] == [True, True, False, True]


def test_where_nothing_is_retried_a_stop_is_expected(drilled: Drilling) -> None:
    scenario = load_scenario("cartpole")
    phases = for_scenario(load_params(), scenario).arms["pretrained"].phases
    once = phases[-1].on_breach.model_copy(update={"next": "stop"})
    rows = drilled("nonfinite", phases=(*phases[:-1], phases[-1].model_copy(update={"on_breach": once})))
    assert [(row.passed, row.expected) for row in rows.values()] == [(True, "stop"), (True, "stop")]


def test_a_state_that_was_lost_altogether_misses_and_ends_in_no_error(drilled: Drilling, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(run_dir: Path, name: str) -> None:
        raise IntegrityError(f"{run_dir}: expected {name}")

    monkeypatch.setattr(guarded_run, "load_state", lost)
    assert not any(row.passed for row in drilled("bc_accuracy").values())
