"""The run state machine, step by step."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from tests.guard.schedules import REFERENCE, arm, evaluation, inside, one_phase, update

from headstart.config.position import Position
from headstart.config.schedule import Arm
from headstart.core.verdict import Outcome
from headstart.guard.control import (
    Control,
    Decision,
    checkpointed,
    completed,
    judge,
    outcome,
    phase_began,
    phase_outcome,
    rolled_back,
)
from headstart.guard.drill import fault_length
from headstart.guard.guardrails import GUARDRAILS, RECENT, Reading

AT = Position().begin_phase()  # the beginning of the first phase


def after(control: Control, own: Arm, *readings: Reading, at: Position = AT) -> tuple[Control, Decision]:
    """The state and the last decision after some readings; no decision before the last may end the run."""
    decision = Decision("continue")
    for reading in readings:
        assert decision.action == "continue"
        control, decision = judge(control, at, own, reading, REFERENCE)
    return control, decision


def names(decision: Decision) -> list[str]:
    return [finding.guardrail for finding in decision.findings]


BREACHES = [  # guardrail, readings that break it, what follows
    ("nonfinite", [update(nonfinite=1)], "rollback"),
    ("policy_kl", [update(kl_divergence=0.06, grad_norm=2.6)], "rollback"),
    ("policy_kl_burst", [update(kl_divergence=0.3)] * 2, "rollback"),
    ("reference_kl", [update(kl_to_reference=1.1)] * 3, "rollback"),
    ("grad_norm", [update(grad_norm=3.1)] * 3, "freeze"),
    ("entropy", [update(entropy=0.3)], "freeze"),
    ("entropy_floor", [update(entropy=0.01)], "rollback"),
    ("loss_drift", [evaluation(loss_total=1.5)] * 2, "rollback"),
    ("return_drop", [evaluation(return_normalised=0.5)], "freeze"),
    ("kpi_drop", [evaluation(kpi=0.5)], "freeze"),
    ("success_drop", [evaluation(success_rate=0.5)], "freeze"),
    ("harm_rise", [evaluation(harm_rate=0.3)], "freeze"),
    ("queue_events", [evaluation(queue_conflict_rate=20.0)] * 2, "rollback"),
    ("queue_intensity", [evaluation(queue_intensity_rate=9.0)] * 2, "rollback"),
    ("oscillation", [evaluation(success_rate=0.7 if bad else 0.9) for bad in (1, 0, 1, 0, 1)], "freeze"),
    ("bc_accuracy", [evaluation(bc_accuracy=0.8)], "stop"),
]


@pytest.mark.parametrize(("name", "readings", "action"), BREACHES, ids=[row[0] for row in BREACHES])
def test_every_breach_leads_to_its_decision_and_not_one_check_earlier(name: str, readings: list[Reading], action: str) -> None:
    assert len(readings) == fault_length(GUARDRAILS[name])
    _, decision = after(inside(), one_phase(), *readings)

    assert decision.action == action
    assert name in [finding.guardrail for finding in decision.findings if finding.severity == "breach"]


def test_all_guardrails_that_can_break_are_in_the_table() -> None:
    assert {row[0] for row in BREACHES} == set(GUARDRAILS)


def test_good_readings_find_nothing() -> None:
    _, decision = after(inside(), one_phase(), update(), evaluation(), update(), evaluation())
    assert decision == Decision("continue")


SWUNG = [evaluation(success_rate=rate) for rate in (0.7, 0.9, 0.7, 0.9)]  # one bad evaluation from a breach
RETRY = one_phase(guardrails={"success_drop": {"enabled": False}, "return_drop": {"enabled": False}})


def test_a_rollback_begins_the_count_of_an_oscillation_anew() -> None:
    control, decision = after(inside(), RETRY, *SWUNG, update(nonfinite=1))
    assert decision.action == "rollback"
    control = rolled_back(control, "start")

    control, decision = after(control, RETRY, *SWUNG)
    assert decision.action == "continue"
    _, decision = after(control, RETRY, evaluation(success_rate=0.7))
    assert decision.action == "freeze"


def test_a_phase_that_clones_anew_begins_the_count_of_an_oscillation_anew_and_no_other_phase_does() -> None:
    practise, recall, more = (
        {"name": name, "kind": kind, "learning_rate": 0.001, length: 1000}
        for name, kind, length in (("practise", "ppo", "env_steps"), ("recall", "bc", "epochs"), ("more", "ppo", "env_steps"))
    )
    own = arm(phases=[practise, recall, more], guardrails=RETRY.phases[0].model_dump()["guardrails"])
    bad, cloned = evaluation(success_rate=0.7), Reading("evaluation", 10, {"bc_accuracy": 0.95})
    second = AT.end_phase().begin_phase()
    third = second.end_phase().begin_phase()
    control, _ = after(inside(), own, *SWUNG)

    _, at_once = after(phase_began(control, "more"), own, bad, at=third)
    control, _ = after(phase_began(control, "recall"), own, cloned, at=second)
    _, cloned_anew = after(phase_began(control, "more"), own, bad, at=third)

    assert (at_once.action, cloned_anew.action) == ("freeze", "continue")


@pytest.mark.parametrize("name", ["pretrained", "scratch"])
def test_recorded_runs_of_queue_conflict_do_not_oscillate(name: str) -> None:
    runs = json.loads((Path(__file__).parent / "recorded_curves.json").read_text())[name]
    own = one_phase(guardrails={other: {"enabled": False} for other in GUARDRAILS if other != "oscillation"})
    assert len(runs) == 10
    for run in runs:
        curve = [dict(zip(run, values, strict=True)) for values in zip(*run.values(), strict=True)]
        control, levels = inside(), list[str]()
        for values in curve[1:]:
            control, decision = judge(control, AT, own, Reading("evaluation", 1, values), curve[0])
            levels += [finding.decision for finding in decision.findings]
        assert control.status == "running" and levels == []


def test_only_the_last_evaluations_are_remembered_and_none_that_is_not_finite() -> None:
    own = one_phase(guardrails={"return_drop": {"enabled": False}})
    control, _ = after(inside(), own, *(evaluation(kpi=0.8) for _ in range(2 * RECENT)))
    assert control.recent["return_normalised"] == (0.9,) * RECENT

    broken, _ = judge(inside(), AT, own, evaluation(return_normalised=math.nan), REFERENCE)
    assert "return_normalised" not in broken.recent and broken.recent["success_rate"] == (0.9, 0.9)


def test_a_swing_that_a_reading_brings_is_not_believed() -> None:
    _, decision = after(inside(), one_phase(), evaluation(swing=5.0))
    assert decision == Decision("continue")


def test_checks_at_breach_level_count_only_in_a_row() -> None:
    high, good = update(grad_norm=3.1), update()
    control, _ = after(inside(), one_phase(), high, high, good, high, high)
    assert control.hits["grad_norm"] == 2
    assert control.status == "running"


def test_a_flag_between_two_breaches_starts_the_count_again() -> None:
    control, _ = after(inside(), one_phase(), update(grad_norm=3.1), update(grad_norm=2.8), update(grad_norm=3.1))
    assert control.hits["grad_norm"] == 1


def test_a_value_that_is_not_a_number_is_not_waited_for() -> None:
    _, decision = after(inside(), one_phase(), update(kl_to_reference=math.nan))
    assert decision.action == "rollback"
    [found] = decision.findings
    assert found.value is None
    assert "nan" in found.reason


def test_a_finding_is_made_when_a_state_changes_and_not_again_while_it_lasts() -> None:
    own, control = one_phase(), inside()
    decisions = []
    for norm in (1.0, 2.6, 2.6, 1.0, 1.0):
        control, decision = judge(control, AT, own, update(grad_norm=norm), REFERENCE)
        decisions.append([(f.severity, f.decision) for f in decision.findings])
    assert decisions == [[], [("warn", "hold")], [], [("warn", "continue")], []]


def test_what_cannot_be_checked_is_reported_once_and_not_where_it_was_checked_before() -> None:
    own = one_phase()
    control, first = after(inside(), own, Reading("update", 1, {"nonfinite": 0}))
    assert "not applicable: the reading has no grad_norm" in [f.reason for f in first.findings]
    control, second = after(control, own, Reading("update", 2, {"nonfinite": 0}), update(), Reading("update", 3, {}))
    assert second.findings == ()


def test_a_missing_metric_neither_counts_nor_clears() -> None:
    control, _ = after(inside(), one_phase(), update(kl_to_reference=1.1), update(kl_to_reference=None))
    assert control.hits["reference_kl"] == 1
    assert control.open == ("reference_kl",)


def test_a_cloning_phase_is_asked_for_its_accuracy_only() -> None:
    own = arm(phases=[{"name": "clone", "kind": "bc", "epochs": 3, "learning_rate": 0.001}])
    _, decision = after(inside(), own, Reading("evaluation", 0, {"bc_accuracy": 0.93}))
    assert decision == Decision("continue")


def test_the_gravest_of_several_breaches_decides() -> None:
    _, decision = after(inside(), one_phase(), evaluation(kpi=0.1, bc_accuracy=0.5))
    assert set(names(decision)) == {"kpi_drop", "bc_accuracy"}
    assert decision.action == "stop"


def test_an_evaluation_is_held_to_the_mean_loss_of_the_updates_before_it() -> None:
    own, bare = one_phase(), evaluation(loss_total=None)
    control, decision = after(inside(), own, update(loss_total=0.2), update(loss_total=0.6), bare)
    assert decision.findings == ()
    _, decision = after(control, own, update(loss_total=0.4), update(loss_total=1.6), bare)
    assert names(decision) == ["loss_drift"]
    assert decision.findings[0].value == pytest.approx(1.0)


@pytest.mark.parametrize("anew", ["rollback", "phase"])
def test_the_loss_of_abandoned_updates_or_of_the_last_phase_does_not_count(anew: str) -> None:
    own = arm()
    control, _ = after(inside(), own, update(loss_total=9.0, nonfinite=1))
    control = rolled_back(control, "start") if anew == "rollback" else phase_began(control, "next")
    _, decision = after(control, own, update(loss_total=0.4), evaluation(loss_total=None))
    assert decision.findings == ()


# --- safe checkpoints and targets ---------------------------------------------------------------------------------------


def evaluated(control: Control, own: Arm, checkpoint: str, **values: float) -> Control:
    control, _ = judge(control, AT, own, evaluation(**values), REFERENCE)
    return checkpointed(control, checkpoint)


def test_a_checkpoint_is_safe_after_a_second_quiet_evaluation() -> None:
    own = one_phase()
    control = evaluated(inside(), own, "one")
    assert control.safe == ()
    control = evaluated(control, own, "two")
    assert control.safe == ("one",)


def test_a_flag_keeps_checkpoints_from_being_safe() -> None:
    own = one_phase()
    control = evaluated(inside(), own, "one")
    control = evaluated(control, own, "two", kpi=0.6)  # flagged
    control = evaluated(control, own, "three")
    assert control.safe == ()
    assert evaluated(control, own, "four").safe == ("three",)


def test_a_flag_of_the_last_update_keeps_an_evaluation_from_being_quiet() -> None:
    own = one_phase()
    control = evaluated(inside(), own, "one")
    control, _ = after(control, own, update(grad_norm=2.6))
    assert evaluated(control, own, "two").safe == ()


def test_the_last_three_safe_checkpoints_are_kept_and_tried_from_the_newest() -> None:
    own, control = one_phase(), inside()
    for name in ("one", "two", "three", "four", "five"):
        control = evaluated(control, own, name)
    _, decision = judge(control, AT, own, update(nonfinite=1), REFERENCE)
    assert decision.targets == ("four", "three", "two", "start")


def test_without_a_safe_checkpoint_the_start_of_the_phase_is_the_target() -> None:
    _, decision = after(inside(), one_phase(), update(nonfinite=1))
    assert decision.targets == ("start",)


def test_a_new_phase_falls_back_to_its_own_start() -> None:
    own = arm()
    control = evaluated(evaluated(inside(), own, "one"), own, "two")
    control = phase_began(control, "tune-start")
    _, decision = judge(control, AT, own, update(nonfinite=1), REFERENCE)
    assert decision.targets == ("tune-start",)


# --- rollback -----------------------------------------------------------------------------------------------------------


def test_a_rollback_past_a_spoilt_checkpoint_forgets_it() -> None:
    own, control = one_phase(), inside()
    for name in ("one", "two", "three"):
        control = evaluated(control, own, name)
    assert control.safe == ("one", "two")
    control, _ = judge(control, AT, own, update(nonfinite=1), REFERENCE)
    assert rolled_back(control, "one").safe == ("one",)
    assert rolled_back(control, "start").safe == ()


def test_a_rollback_to_somewhere_else_is_our_bug() -> None:
    with pytest.raises(ValueError, match="expected one of start, got 'elsewhere'"):
        rolled_back(inside(), "elsewhere")


@pytest.mark.parametrize(
    ("on_breach", "retries"), [({}, 2), ({"max_retries": 0}, 0), ({"max_retries": 5}, 5), ({"next": "stop"}, 0)]
)
def test_after_the_last_retry_the_run_stops_with_the_safe_weights(on_breach: dict[str, Any], retries: int) -> None:
    own, control, at = one_phase(on_breach=on_breach), inside(), AT
    for _ in range(retries):
        control, decision = after(control, own, update(), update(nonfinite=1), at=at)
        assert decision.action == "rollback"
        control, at = rolled_back(control, "start"), at.begin_retry()
    control, decision = after(control, own, update(), update(nonfinite=1), at=at)

    assert (decision.action, decision.targets) == ("stop", ("start",))
    assert [finding.decision for finding in decision.findings if finding.severity == "breach"] == ["stop"]
    assert outcome(control)[0] == Outcome.FAIL
    assert phase_outcome(control) == "stopped"


# --- outcome ------------------------------------------------------------------------------------------------------------


def test_a_completed_run_without_open_flags_is_a_pass() -> None:
    control, _ = after(inside(), one_phase(), update(), evaluation())
    assert outcome(completed(control)) == (Outcome.PASS, ())
    assert phase_outcome(control) == "completed"


def test_a_run_that_recovered_is_a_pass() -> None:
    own = one_phase()
    control, _ = after(inside(), own, update(nonfinite=1))
    control, _ = after(rolled_back(control, "start"), own, update(), evaluation())
    assert outcome(completed(control)) == (Outcome.PASS, ())


def test_a_rollback_that_nothing_has_proven_yet_is_held() -> None:
    own = one_phase()
    control, _ = after(inside(), own, update(nonfinite=1))
    control = completed(rolled_back(control, "start"))
    assert outcome(control) == (Outcome.HOLD, ("nonfinite: still open at the end",))


@pytest.mark.parametrize(
    ("reading", "name"), [(evaluation(kpi=0.6), "kpi_drop"), (evaluation(queue_conflict_rate=20.0), "queue_events")]
)
def test_an_open_flag_or_a_first_hit_holds_the_run(reading: Reading, name: str) -> None:
    control, _ = after(inside(), one_phase(), reading)
    assert outcome(completed(control)) == (Outcome.HOLD, (f"{name}: still open at the end",))
    assert phase_outcome(control) == "held"


def test_a_frozen_run_is_held_with_its_reason_and_cannot_go_on() -> None:
    own = one_phase()
    control, decision = after(inside(), own, evaluation(kpi=0.1))
    found, reasons = outcome(control)
    assert found == Outcome.HOLD
    assert reasons == (f"kpi_drop: {decision.findings[0].reason}",)
    assert phase_outcome(control) == "frozen"
    assert completed(control).status == "frozen"
    with pytest.raises(ValueError, match="got one that is frozen"):
        judge(control, AT, own, update(), REFERENCE)


def test_a_run_that_is_not_over_is_held() -> None:
    control, _ = after(inside(), one_phase(), update())
    assert outcome(control) == (Outcome.HOLD, ("the run has not ended",))


def test_a_run_in_which_nothing_could_be_checked_is_held() -> None:
    control, _ = after(inside(), one_phase(), Reading("update", 1, {}))
    assert outcome(completed(control)) == (Outcome.HOLD, ("no guardrail could be checked",))


def test_a_looser_guardrail_holds_the_run_unless_somebody_says_why() -> None:
    loose = {"guardrails": {"entropy": {"breach": 0.5}}}
    for reason, expected in ((None, Outcome.HOLD), ("entropy is expected to move", Outcome.PASS)):
        own = arm(accept_loosened=reason, **loose)
        control, _ = after(inside(), own, update(), evaluation())
        assert outcome(completed(control))[0] == expected


def test_a_control_goes_through_json_and_back() -> None:
    own, control = one_phase(), inside()
    control, _ = after(control, own, update(loss_total=0.3), evaluation(kpi=0.6), update(grad_norm=3.1), Reading("update", 3, {}))
    adapter = TypeAdapter(Control)
    assert adapter.validate_json(adapter.dump_json(control)) == control


def test_a_run_outside_a_phase_is_not_judged() -> None:
    with pytest.raises(ValueError, match="phase 0 begun: False"):
        judge(Control(), Position(), one_phase(), update(), REFERENCE)
