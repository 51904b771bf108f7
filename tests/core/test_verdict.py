"""The truth table of outcomes, and what a verdict refuses to say."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from headstart.core.errors import InputError
from headstart.core.files import parse_record
from headstart.core.verdict import (
    About,
    Check,
    Outcome,
    Subject,
    Verdict,
    at_least,
    at_most,
    decide,
    equal,
    finite,
    holds,
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

    with pytest.raises(ValidationError, match="expected FAIL, which its checks give, got PASS"):
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


# --- a file that somebody edited ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("measured", "direction", "threshold"),
    [
        (None, ">=", 0),
        (None, "==", None),
        (math.nan, ">=", 0.0),
        (math.nan, "==", math.nan),
        (1.0, "<=", math.nan),
        (1, ">=", None),
        ("3", ">=", 1),
        ("b", ">", "a"),  # texts have no order that means anything
        (True, ">=", 0),
        (True, "==", 1),
        ("1", "==", 1),
    ],
)
def test_sides_that_cannot_be_compared_do_not_hold(measured: Any, direction: Any, threshold: Any) -> None:
    assert not holds(measured, direction, threshold)


def test_sides_that_can_be_compared_hold_or_do_not() -> None:
    yes = [(2, ">=", 2.0), (10**400, ">", 1.5), (0.1, "<=", 0.2), ("a", "==", "a"), (False, "==", False), (1, "==", 1.0)]
    no = [(1, ">=", 2), (2, ">", 2), (0.3, "<=", 0.2), ("a", "==", "b"), (True, "==", False)]

    assert [holds(*one) for one in (*yes, *no)] == [True] * len(yes) + [False] * len(no)  # type: ignore[arg-type]


def test_the_message_about_an_edited_check_names_file_check_what_came_and_the_cure(subject: Subject) -> None:
    good = at_least("ratio", 3.0, 2.0, "x")
    text = judge(subject, [good, failed(HOLD)], {}).model_dump_json()

    of = "a.json: field checks."
    for old, new, message in (
        ("HOLD", "PASS", rf"{of}1: check height: expected on_miss HOLD or FAIL, got PASS; .*`headstart verify --repair`"),
        (
            '"passed":false',
            '"passed":true',
            rf"{of}1: check height: expected passed False, since 1.0 >= 2.0 does not hold, got True; ",
        ),
        (
            '"measured":3.0',
            '"measured":1.5',
            rf"{of}0: check ratio: expected passed False, since 1.5 >= 2.0 does not hold, got True; ",
        ),
        (
            '"outcome":"HOLD"',
            '"outcome":"PASS"',
            "a.json: field the record: outcome: expected HOLD, which its checks give, got PASS; ",
        ),
    ):
        with pytest.raises(InputError, match=f"^{message}") as caught:
            parse_record(text.replace(old, new).encode(), Verdict, "a.json")
        assert str(caught.value).count(", got ") == 1


CHECKS = st.one_of(
    st.builds(at_least, st.just("a"), st.sampled_from([None, 1, 2.0, 2.5]), st.just(2), st.just("x"), on_miss=st.sampled_from([HOLD, FAIL])),
    st.builds(at_most, st.just("b"), st.sampled_from([None, -1.0, 0, 1]), st.just(0.0), st.just("x"), on_miss=st.sampled_from([HOLD, FAIL])),
    st.builds(equal, st.just("c"), st.sampled_from([None, "u", "v"]), st.just("v"), st.just("x")),
    st.just(unmeasured("d", "==", "measured", "x")),
    st.just(not_applicable("e", ">=", None, "x")),
)  # fmt: skip
EDITS = st.fixed_dictionaries({}, optional={"passed": st.booleans(), "on_miss": st.sampled_from(list(Outcome))})


@given(st.lists(st.tuples(CHECKS, EDITS), max_size=3), st.sampled_from(list(Outcome)))
def test_an_edited_verdict_is_refused_or_says_what_its_measurements_give(
    edited: list[tuple[Check, dict[str, Any]]], outcome: Outcome
) -> None:
    whose = Subject(type="expert", id="walk", sha256="0" * 64)
    true = judge(whose, [check for check, _ in edited], {})
    record = json.loads(true.model_dump_json())
    for check, (_, edit) in zip(record["checks"], edited, strict=False):  # judge adds one where nothing applies
        check |= edit
    record["outcome"] = outcome

    try:
        read = parse_record(json.dumps(record).encode(), Verdict, "a.json")
    except InputError:
        return
    assert (read.outcome == PASS) == (true.outcome == PASS)
    assert [check.passed for check in read.checks] == [check.passed for check in true.checks]
    missed_by = {check.on_miss for check in read.checks if check.measured is not None and not check.passed}
    assert read.outcome == (FAIL if FAIL in missed_by else true.outcome if true.outcome == PASS else HOLD)


def test_what_a_check_is_about_is_left_out_where_it_is_about_nothing_else() -> None:
    plain = at_least("height", 2.0, 1.0, "tall")
    about = plain.model_copy(update={"about": About(variant="dense", measure="harm", other="clone")})

    assert "about" not in plain.model_dump_json()
    assert [Check.model_validate_json(one.model_dump_json()) for one in (plain, about)] == [plain, about]
