"""The gate of a clone, by truth table."""

from pathlib import Path
from typing import Any

import pytest

from headstart.compare.arm_runs import Score
from headstart.config.params import load_params
from headstart.core.verdict import Outcome, Subject
from headstart.runs.clone_report import CloneReport, ComponentFit, least_explained
from headstart.runs.cloning import clone_gate

PASS, HOLD, FAIL = Outcome.PASS, Outcome.HOLD, Outcome.FAIL
CONTINUOUS: dict[str, Any] = {"macro_f1": None, "constant_accuracy": 0.95, "least_recall": None}
SHARES = {"within": 0.5, "constant_within": 0.1}


SETTINGS = load_params(Path(__file__).parents[2] / "params.yaml").bc_train.model_copy(
    update={"min_accuracy": 0.90, "min_macro_f1": 0.70, "success_margin": 0.05}
)


def clone(**changes: Any) -> CloneReport:
    def rate(success: int) -> Score:
        return Score(episodes=100, success=success, harm=0, return_mean=1.0, return_sd=0.1)

    facts: dict[str, Any] = {
        "accuracy": 0.95,
        "macro_f1": 0.80,
        "constant_accuracy": 0.60,
        "least_recall": 0.70,
        "train_accuracy": 0.96,
        "heldout_steps": 5000,
        "value_error": 0.2,
        "untrained_value_error": 2.0,
        "value_explained_variance": 0.9,
        "confusion": {},
        "closed_loop": 93,
        "expert": 98,
    } | changes
    return CloneReport(**facts | {"closed_loop": {"sampled": rate(facts["closed_loop"])}, "expert": rate(facts["expert"])})


@pytest.mark.parametrize(
    ("changes", "expected", "codes"),
    [
        ({}, PASS, set()),
        ({"accuracy": 0.90}, PASS, set()),
        ({"accuracy": 0.89}, FAIL, {"accuracy"}),
        ({"macro_f1": 0.69}, FAIL, {"macro-f1"}),
        ({"constant_accuracy": 0.85}, PASS, set()),
        ({"constant_accuracy": 0.86}, FAIL, {"above-majority"}),
        ({"accuracy": 1.0, "constant_accuracy": 1.0, "macro_f1": 1.0}, FAIL, {"above-majority"}),  # one action
        ({"least_recall": 0.49}, FAIL, {"recall"}),
        ({"least_recall": None}, PASS, set()),  # no action is frequent
        ({"value_error": 1.5}, PASS, set()),
        ({"value_error": 1.6}, FAIL, {"value-head"}),
        ({"value_error": 1.6, "heldout_steps": 999}, PASS, set()),  # too few to tell
        ({"value_error": None}, HOLD, {"value-head-missing"}),
        ({"closed_loop": 92}, FAIL, {"closed-loop-success"}),
        ({"closed_loop": 0, "expert": 0}, FAIL, {"some-success"}),
        ({"accuracy": None}, HOLD, {"accuracy-missing", "above-majority-missing"}),
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
    verdict = clone_gate(clone(**changes), SETTINGS, subject)

    assert verdict.outcome == expected
    assert {reason.code for reason in verdict.reasons} == codes


def test_a_clone_with_continuous_actions_is_asked_for_no_score_of_single_actions(subject: Subject) -> None:
    verdict = clone_gate(clone(**CONTINUOUS, accuracy=0.3, explained_variance=0.8), SETTINGS, subject)

    assert verdict.outcome == PASS
    assert verdict.thresholds.keys() == {"min_explained_variance", "success_margin", "max_value_error"}


@pytest.mark.parametrize(("explained", "expected"), [(0.81, PASS), (0.79, FAIL), (0.0, FAIL), (None, HOLD)])
def test_a_clone_with_continuous_actions_must_explain_the_variance_of_the_experts(
    explained: float | None, expected: Outcome, subject: Subject
) -> None:
    assert clone_gate(clone(**CONTINUOUS, explained_variance=explained), SETTINGS, subject).outcome == expected


def test_the_worst_component_counts_and_one_that_the_expert_never_varies_does_not() -> None:
    half, tenth = ComponentFit(deviation=2.0, rmse=1.0, **SHARES), ComponentFit(deviation=1.0, rmse=0.1**0.5, **SHARES)
    still, broken = ComponentFit(deviation=0.0, rmse=0.3, **SHARES), ComponentFit(deviation=1.0, rmse=None, **SHARES)

    assert least_explained([half, tenth, still]) == half.explained_variance == 0.75
    assert tenth.explained_variance == pytest.approx(0.9)
    assert least_explained([still]) is least_explained([half, broken]) is least_explained([]) is None


def test_how_much_the_value_head_may_miss_is_a_setting(subject: Subject) -> None:
    lenient = SETTINGS.model_copy(update={"max_value_error": 0.95})

    outcomes = [clone_gate(clone(value_error=error), lenient, subject).outcome for error in (1.9, 1.91)]

    assert outcomes == [PASS, FAIL]
