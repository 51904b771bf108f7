"""The gates of an expert and of a clone, by truth table."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from headstart.compare.arm_runs import Score
from headstart.core.verdict import Outcome, Subject
from headstart.runs.gates import BcLimits, BcMetrics, bc_gate, expert_gate

PASS, HOLD, FAIL = Outcome.PASS, Outcome.HOLD, Outcome.FAIL


# The expert


@pytest.mark.parametrize(
    ("success", "harm", "episodes", "expected"),
    [
        (187, 4, 200, PASS),
        (186, 4, 200, HOLD),  # 0.93, but its bound is 0.894
        (179, 4, 200, FAIL),
        (187, 5, 200, HOLD),  # 0.025, but its bound is 0.0505
        (187, 11, 200, FAIL),
        (20, 0, 20, HOLD),
        (0, 0, 200, FAIL),
    ],
)
def test_an_expert_passes_by_its_bounds_and_fails_by_its_rates(
    success: int,
    harm: int,
    episodes: int,
    expected: Outcome,
    subject: Subject,
    make_score: Callable[..., Score],
) -> None:
    verdict = expert_gate(make_score(success, harm, episodes), 0.90, 0.05, 200, subject)

    assert verdict.outcome == expected


def test_an_expert_that_never_succeeds_cannot_pass_even_where_nothing_is_asked(
    subject: Subject, make_score: Callable[..., Score]
) -> None:
    assert expert_gate(make_score(0, 0, 200), 0.0, 1.0, 1, subject).outcome == FAIL


def test_an_expert_is_told_all_that_it_misses(subject: Subject, make_score: Callable[..., Score]) -> None:
    verdict = expert_gate(make_score(10, 40, 50), 0.90, 0.05, 200, subject)

    assert {reason.code for reason in verdict.reasons} == {"episodes", "success", "harm"}
    assert verdict.thresholds == {"success_min": 0.90, "harm_max": 0.05, "episodes_min": 200}


# The clone


BC_LIMITS = BcLimits(macro_f1_min=0.70, success_margin=0.05)


def clone(**changes: Any) -> BcMetrics:
    def rate(success: int) -> Score:
        return Score(episodes=100, success=success, harm=0, return_mean=1.0, return_sd=0.1)

    facts: dict[str, Any] = {
        "accuracy": 0.95,
        "macro_f1": 0.80,
        "majority_share": 0.60,
        "least_recall": 0.70,
        "value_error": 0.2,
        "untrained_value_error": 2.0,
        "closed_loop": rate(93),
        "expert": rate(98),
    }
    facts |= {
        key: rate(value) if key in ("closed_loop", "expert") and value is not None else value for key, value in changes.items()
    }
    return BcMetrics(**facts)


@pytest.mark.parametrize(
    ("changes", "expected", "codes"),
    [
        ({}, PASS, set()),
        ({"accuracy": 0.90}, PASS, set()),
        ({"accuracy": 0.89}, FAIL, {"accuracy"}),
        ({"macro_f1": 0.69}, FAIL, {"macro-f1"}),
        ({"majority_share": 0.85}, PASS, set()),
        ({"majority_share": 0.86}, FAIL, {"above-majority"}),
        ({"accuracy": 1.0, "majority_share": 1.0, "macro_f1": 1.0}, FAIL, {"above-majority"}),  # one action
        ({"least_recall": 0.49}, FAIL, {"recall"}),
        ({"least_recall": None}, PASS, set()),  # no action is frequent
        ({"value_error": 1.5}, PASS, set()),
        ({"value_error": 1.6}, FAIL, {"value-head"}),
        ({"value_error": math.nan}, HOLD, {"value-head-missing"}),
        ({"closed_loop": 92}, FAIL, {"closed-loop-success"}),
        ({"closed_loop": 0, "expert": 0}, FAIL, {"some-success"}),
        ({"accuracy": math.nan}, HOLD, {"accuracy-missing", "above-majority-missing"}),
        (
            {"accuracy": None, "macro_f1": None},
            HOLD,
            {"accuracy-missing", "macro-f1-missing", "above-majority-missing"},
        ),
        ({"closed_loop": None}, HOLD, {"closed-loop-success-missing"}),
        (
            {"accuracy": 0.5, "macro_f1": 0.1, "closed_loop": 10},
            FAIL,
            {"accuracy", "macro-f1", "above-majority", "closed-loop-success"},
        ),
    ],
)
def test_a_clone_passes_if_it_predicts_beats_the_majority_and_acts(
    changes: dict[str, Any], expected: Outcome, codes: set[str], subject: Subject
) -> None:
    verdict = bc_gate(clone(**changes), BC_LIMITS, subject)

    assert verdict.outcome == expected
    assert {reason.code for reason in verdict.reasons} == codes


def test_a_clone_is_not_asked_for_what_its_limits_leave_out(subject: Subject) -> None:
    limits = BcLimits(macro_f1_min=None, majority_margin_min=None, value_error_max=None, success_margin=0.05)

    assert bc_gate(clone(macro_f1=None, majority_share=None, value_error=9.0), limits, subject).outcome == PASS
