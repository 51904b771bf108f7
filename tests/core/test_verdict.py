"""The truth table of outcomes, and what a verdict refuses to say."""

import math

import pytest
from pydantic import ValidationError

from headstart.core.verdict import (
    Check,
    Outcome,
    Subject,
    Verdict,
    at_least,
    at_most,
    decide,
    equal,
    finite,
    judge,
    missed,
    not_applicable,
    unmeasured,
)

PASS, HOLD, FAIL = Outcome.PASS, Outcome.HOLD, Outcome.FAIL


@pytest.mark.parametrize(
    ("measured", "threshold", "text"),
    [
        (0.625842548347252, 0.03, "0.626 <= 0.03"),
        (0.030004, 0.03, "0.030004 <= 0.03"),  # with three digits the two would be the same
        (12345.678, 500.0, "12346 <= 500"),
        (7, 0, "7 <= 0"),
        (None, 0.1, "None <= 0.1"),
    ],
)
def test_a_missed_bound_is_told_with_as_many_digits_as_are_needed(measured: float | None, threshold: float, text: str) -> None:
    assert missed(at_most("drift", measured, threshold, "share")) == f"drift: share: {text} does not hold"


def failed(on_miss: Outcome) -> Check:
    return at_least("height", 1.0, 2.0, "too low", on_miss=on_miss)


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        ([], PASS),
        ([HOLD], HOLD),
        ([FAIL], FAIL),
        ([HOLD, HOLD], HOLD),
        ([HOLD, FAIL], FAIL),
        ([FAIL, HOLD], FAIL),
        ([FAIL, FAIL, HOLD], FAIL),
    ],
)
def test_any_fail_is_a_fail_else_any_hold_is_a_hold_else_it_passes(broken: list[Outcome], expected: Outcome) -> None:
    assert decide(failed(outcome) for outcome in broken) == expected


@pytest.mark.parametrize("measured", [None, math.nan, math.inf, -math.inf])
def test_what_is_not_a_finite_number_never_passes_and_is_a_hold(measured: float | None, subject: Subject) -> None:
    for check in (at_least("x", measured, -1e9, "x"), at_most("x", measured, 1e9, "x")):
        verdict = judge(subject, [check], {})

        assert (verdict.outcome, verdict.reasons[0].code) == (HOLD, "x-missing")
        assert check.measured is None


@pytest.mark.parametrize(("measured", "least", "most"), [(1.9, False, True), (2.0, True, True), (2.1, True, False)])
def test_a_threshold_itself_is_good_enough(measured: float, least: bool, most: bool) -> None:
    assert at_least("x", measured, 2.0, "x").passed is least
    assert at_most("x", measured, 2.0, "x").passed is most


def test_equal_wants_a_measurement_that_is_the_threshold() -> None:
    assert equal("approved", True, True, "").passed
    assert not equal("approved", False, True, "").passed
    assert not equal("approved", None, None, "").passed


def test_no_checks_at_all_are_no_evidence_and_so_a_hold(subject: Subject) -> None:
    assert judge(subject, [], {}).outcome == HOLD


def test_invented_data_never_pass(subject: Subject) -> None:
    good = at_least("x", 3.0, 2.0, "x")

    assert judge(subject, [good], {}).outcome == PASS
    assert judge(subject, [good], {}, synthetic=True).outcome == HOLD


def test_a_verdict_lists_every_check_that_did_not_pass(subject: Subject) -> None:
    checks = [failed(FAIL), at_least("x", 3.0, 2.0, "x"), unmeasured("y", ">=", 1.0, "absent"), failed(HOLD)]

    verdict = judge(subject, checks, {"x": 2.0})

    assert [reason.outcome for reason in verdict.reasons] == [FAIL, HOLD, HOLD]
    assert [reason.code for reason in verdict.reasons] == ["height", "y-missing", "height"]
    assert len(verdict.checks) == 4
    assert verdict.thresholds == {"x": 2.0}


def test_a_verdict_whose_outcome_was_edited_is_refused_when_read(subject: Subject) -> None:
    text = judge(subject, [failed(FAIL)], {}).model_dump_json()

    with pytest.raises(ValidationError, match="checks give FAIL"):
        Verdict.model_validate_json(text.replace('"outcome":"FAIL"', '"outcome":"PASS"', 1))


def test_a_pass_without_checks_or_on_invented_data_is_refused_when_read(subject: Subject) -> None:
    document = judge(subject, [at_least("x", 3.0, 2.0, "x")], {}).model_dump(mode="json")

    for change in ({"checks": []}, {"synthetic": True}):
        with pytest.raises(ValidationError, match="a PASS needs checks"):
            Verdict.model_validate(document | change)


def test_a_verdict_survives_json(subject: Subject) -> None:
    verdict = judge(subject, [failed(HOLD), equal("approved", True, True, "yes")], {"a": 1, "b": None, "c": "z"})

    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict


def test_counts_stay_counts() -> None:
    assert repr(finite(3)) == "3"
    assert repr(finite(3.0)) == "3.0"


def test_a_check_that_does_not_apply_neither_passes_nor_fails(subject: Subject) -> None:
    absent = not_applicable("rewards", ">=", 2, "rewards are not recorded")
    assert (absent.outcome, absent.passed, absent.text) == (None, False, "not applicable (rewards are not recorded)")
    good, bad = at_least("height", 2.0, 1.0, "tall"), failed(FAIL)
    assert [decide([absent, *others]) for others in ([good], [bad], [failed(HOLD)])] == [PASS, FAIL, HOLD]
    assert judge(subject, [absent, good], {}).reasons == ()
    assert judge(subject, [absent], {}).outcome is HOLD  # nothing was measured
    with pytest.raises(ValidationError, match="does not apply has no measurement"):
        Check(**(absent.model_dump() | {"passed": True}))
