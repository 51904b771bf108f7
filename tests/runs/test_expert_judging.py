"""The gate of an expert, by truth table."""

from collections.abc import Callable

import pytest

from headstart.compare.arm_runs import Score
from headstart.config.scenario import ExpertGate
from headstart.core.errors import InputError
from headstart.core.verdict import Outcome, Subject, judge
from headstart.runs.expert_judging import expert_checks

PASS, HOLD, FAIL = Outcome.PASS, Outcome.HOLD, Outcome.FAIL
GATE = ExpertGate(policy="scripted", success_rate=0.90, harm_rate=0.05)


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
    verdict = judge(subject, expert_checks(make_score(success, harm, episodes), GATE, 200, "expert walk"), {})

    assert verdict.outcome == expected


def test_an_expert_that_never_succeeds_cannot_pass_even_where_nothing_is_asked(
    subject: Subject, make_score: Callable[..., Score]
) -> None:
    anything = GATE.model_copy(update={"success_rate": 0.0, "harm_rate": 1.0})
    assert judge(subject, expert_checks(make_score(0, 0, 200), anything, 1, "expert walk"), {}).outcome == FAIL


def test_an_expert_is_told_all_that_it_misses(subject: Subject, make_score: Callable[..., Score]) -> None:
    verdict = judge(subject, expert_checks(make_score(10, 40, 50), GATE, 200, "expert walk"), {})

    assert {reason.code for reason in verdict.reasons} == {"episodes", "success", "harm"}


def test_an_exam_without_episodes_is_refused(make_score: Callable[..., Score]) -> None:
    with pytest.raises(InputError, match="expert walk: expected at least one episode"):
        expert_checks(make_score(0, 0, 0), GATE, 200, "expert walk")
