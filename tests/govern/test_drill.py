"""The drill of guardrails: it catches everything on the defaults, and nothing that is switched off or too loose."""

from dataclasses import replace

import pytest
from tests.govern.schedules import REFERENCE, arm, one_phase

from headstart.govern.drill import FAULTS, Row, faults, run_decision_drill
from headstart.govern.guardrails import GUARDRAILS
from headstart.schedule import Arm

ALL = {name for name, rule in GUARDRAILS.items() if rule.breach is not None}


def drilled(own: Arm, reference: dict[str, float | None] | None = None) -> dict[str, Row]:
    rows = run_decision_drill(own, REFERENCE if reference is None else reference)
    return {row.guardrail: row for row in rows if "in every attempt" not in row.text}


def test_every_guardrail_catches_its_fault_and_misses_it_when_switched_off() -> None:
    rows = run_decision_drill(arm(), REFERENCE)
    assert {row.guardrail for row in rows} == ALL == set(FAULTS)
    assert [row for row in rows if not row.passed] == []


def test_a_guardrail_breaks_with_the_last_of_its_checks() -> None:
    found = {name: row.checks for name, row in drilled(arm()).items()}
    assert found == {name: GUARDRAILS[name].hits for name in ALL} | {"grad_norm": 3}


@pytest.mark.parametrize("name", sorted(ALL))
def test_a_guardrail_that_was_loosened_too_far_fails_its_drill(name: str) -> None:
    rule = GUARDRAILS[name]
    below = rule.direction == "below" and rule.measure == "absolute"
    own = one_phase(guardrails={name: {"breach": 0.1 if below else 1e6}})
    assert not drilled(own)[name].passed


@pytest.mark.parametrize("name", ["grad_norm", "loss_drift", "queue_events"])
def test_a_guardrail_that_waits_longer_than_the_default_fails_its_drill(name: str) -> None:
    own = one_phase(guardrails={name: {"hits": GUARDRAILS[name].hits + 1}})
    assert not drilled(own)[name].passed


def test_a_guardrail_so_tight_that_a_good_run_breaks_it_fails_its_drill() -> None:
    own = one_phase(guardrails={"reference_kl": {"flag": 0.01}})
    assert not drilled(own)["reference_kl"].quiet_before


def test_what_the_reference_does_not_have_is_not_drilled() -> None:
    reference = {name: value for name, value in REFERENCE.items() if name != "kpi"}
    assert set(drilled(arm(), reference)) == ALL - {"kpi_drop"}
    assert {fault.guardrail for fault in faults(GUARDRAILS.values(), {})} == {
        name for name in ALL if GUARDRAILS[name].measure == "absolute"
    }


def test_a_drill_can_be_of_one_guardrail() -> None:
    assert [row.guardrail for row in run_decision_drill(arm(), REFERENCE, ["return_drop"])] == ["return_drop"]


def test_a_fault_in_every_attempt_uses_the_retries_and_stops() -> None:
    own = one_phase(on_breach={"max_retries": 4})
    *_, row = run_decision_drill(own, REFERENCE)
    assert (row.text, row.expected, row.decided, row.checks) == ("a NaN gradient, in every attempt", "stop", "stop", 5)
    assert row.passed


@pytest.mark.parametrize("on_breach", [{"next": "stop"}, {"max_retries": 0}])
def test_where_nothing_is_retried_the_drill_expects_a_stop(on_breach: dict[str, object]) -> None:
    rows = run_decision_drill(one_phase(on_breach=on_breach), REFERENCE)
    assert {row.expected for row in rows} == {"stop", "freeze"}
    assert [row for row in rows if not row.passed] == []


def test_a_drill_whose_negative_control_succeeds_has_failed() -> None:
    [row] = run_decision_drill(arm(), REFERENCE, ["return_drop"])
    assert row.passed
    assert not replace(row, fails_without=False).passed
