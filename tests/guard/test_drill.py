"""What a drill injects: faults that break the guardrails they are meant for, and good readings that break none."""

import pytest
from tests.guard.schedules import arm, one_phase

from headstart.config.schedule import Arm
from headstart.guard.drill import (
    FAULTS,
    accepts,
    expected_of,
    fault_length,
    fault_values,
    faulty_reading,
    good_reading,
    retries,
    switched_off,
)
from headstart.guard.guardrails import GUARDRAILS, SWING, limits, measure
from headstart.guard.traces import REFERENCE

ALL = sorted(GUARDRAILS)


def level(own: Arm, name: str) -> str:
    """Where the fault of a guardrail stands in the last phase of an arm."""
    rule = limits(own, own.phases[-1])[name]
    return measure(rule, fault_values(rule), REFERENCE).level


@pytest.mark.parametrize("name", ALL)
def test_a_fault_breaks_its_guardrail_unless_that_was_loosened_too_far(name: str) -> None:
    rule = GUARDRAILS[name]
    loose = 0.1 if rule.direction == "below" and rule.measure == "absolute" else 1e6
    assert level(arm(), name) == "breach"
    assert level(one_phase(guardrails={name: {"breach": loose}}), name) != "breach"


@pytest.mark.parametrize("name", ALL)
def test_a_good_reading_is_quiet(name: str) -> None:
    rule = GUARDRAILS[name]
    assert measure(rule, {SWING: 0.0, **good_reading(rule.on, 1000).values}, REFERENCE).level == "quiet"


def test_the_fault_of_an_oscillation_is_three_bad_readings_with_good_ones_between() -> None:
    rule = GUARDRAILS["oscillation"]
    shown = [faulty_reading(rule, 1000, number).values["return_normalised"] for number in range(fault_length(rule))]
    assert shown == [0.75 * 0.95, 0.95, 0.75 * 0.95, 0.95, 0.75 * 0.95]
    assert fault_length(GUARDRAILS["grad_norm"]) == 3


def test_there_is_a_fault_for_every_guardrail_that_can_break() -> None:
    assert sorted(FAULTS) == ALL


@pytest.mark.parametrize("limits", [{"enabled": False}, {"hits": 4}, {"flag": 60, "breach": 60}])
def test_a_fault_is_let_pass_for_a_reason_only(limits: dict[str, object]) -> None:
    for reason, passes in ((None, False), ("falls are rare", True)):
        own = one_phase(guardrails={"grad_norm": limits}).model_copy(update={"accept_loosened": reason})
        assert accepts(own, own.phases[-1], "grad_norm") is passes


@pytest.mark.parametrize(("on_breach", "expected"), [({"next": "stop"}, "stop"), ({"max_retries": 0}, "stop"), ({}, "rollback")])
def test_where_nothing_is_retried_a_rollback_is_a_stop(on_breach: dict[str, object], expected: str) -> None:
    phase = one_phase(on_breach=on_breach).phases[-1]
    assert expected_of(GUARDRAILS["nonfinite"], phase) == expected
    assert expected_of(GUARDRAILS["grad_norm"], phase) == "freeze"
    assert (retries(phase) > 0) is (expected == "rollback")


def test_a_guardrail_that_is_switched_off_is_in_force_nowhere() -> None:
    own = switched_off(arm(), "entropy")
    assert all("entropy" not in limits(own, phase) for phase in own.phases)
