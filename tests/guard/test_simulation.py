"""Rehearsals: what each trace does to a schedule, and what holds whatever the schedule and the trace are."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.guard.schedules import arm, one_phase

from headstart.config.schedule import Arm
from headstart.core.errors import InputError, UsageError
from headstart.core.verdict import Outcome
from headstart.guard.guardrails import GUARDRAILS, Reading, Values
from headstart.guard.simulation import Simulation, simulate
from headstart.guard.traces import REFERENCE, Moment, from_tsv, steady, to_tsv, trace_named

CLONED = {"name": "clone", "kind": "bc", "epochs": 3, "learning_rate": 0.001}


def rehearsed(trace: str, own: Arm | None = None, reference: dict[str, float | None] | None = None) -> Simulation:
    return simulate(own or arm(), trace_named(trace), 100, REFERENCE if reference is None else reference, update_steps=30)


def kinds(found: Simulation, *wanted: str) -> list[str]:
    return [event.kind for event in found.events if event.kind in wanted]


ENDS = ("rollback", "retry", "freeze", "stop", "run_ended")


@pytest.mark.parametrize(
    ("trace", "ends", "outcome"),
    [
        ("steady", ["run_ended"], Outcome.PASS),
        ("improve", ["run_ended"], Outcome.PASS),
        ("slow-drift", ["run_ended"], Outcome.HOLD),
        ("cliff", ["freeze", "run_ended"], Outcome.HOLD),
        ("oscillate", ["freeze", "run_ended"], Outcome.HOLD),
        ("bc-fails", ["stop", "run_ended"], Outcome.FAIL),
        ("nan@5", ["rollback", "retry", "run_ended"], Outcome.PASS),
        ("nan@9999", ["run_ended"], Outcome.PASS),
    ],
)
def test_a_trace_ends_as_its_name_says(trace: str, ends: list[str], outcome: Outcome) -> None:
    found = rehearsed(trace)
    assert kinds(found, *ENDS) == ends
    assert found.outcome == outcome
    assert found.events[-1].text == outcome


def test_what_swings_is_flagged_and_quiet_in_turns_until_the_third_fall_freezes_it() -> None:
    found = rehearsed("oscillate")
    decisions = [event.finding.decision for event in found.events if event.finding and event.finding.guardrail == "return_drop"]
    assert decisions == ["hold", "continue", "hold", "continue", "hold"]
    assert found.reasons == ("oscillation: swing 0.19 (limit > 0.18)",)
    assert found.at.env_steps == 500  # evaluations at 0, 120, 200, 320, 410 and 500: every second is bad


def swinging(shown: Callable[[int], Values]) -> Simulation:
    """A rehearsal of which evaluation n, from 0, shows these values beside steady ones."""

    def trace(moment: Moment, reference: Values) -> Values:
        good = steady(moment, reference)
        return good if moment.kind == "update" else {**good, **shown(moment.count - 1)}

    return simulate(
        arm(guardrails={"harm_rise": {"enabled": False}}, accept_loosened="swings alone"), trace, 100, REFERENCE, update_steps=30
    )


@pytest.mark.parametrize(
    "shown",
    [
        lambda n: {"success_rate": 0.76 if n % 2 else 0.95},
        lambda n: {"harm_rate": 0.05 if n % 2 else 0.25},
        lambda n: {"return_normalised": 0.75 if n % 3 == 2 else 0.95},
        lambda n: {"return_normalised": 1.0 + 0.05 * n - (0.3 if n % 2 else 0)},  # above the reference, and it rises
    ],
    ids=["success", "harm", "every third", "rising"],
)
def test_a_swing_of_return_success_or_harm_freezes_the_run(shown: Callable[[int], Values]) -> None:
    found = swinging(shown)
    assert found.outcome == Outcome.HOLD
    assert found.control.status == "frozen"
    assert [reason.split(":")[0] for reason in found.reasons] == ["oscillation"]


@pytest.mark.parametrize(
    "shown",
    [
        lambda n: {"return_normalised": 0.95 - (0.13 if n % 2 else 0)},
        lambda n: {"return_normalised": 0.95 + 0.1 * n},
        lambda n: {"return_normalised": 2.0 if n in (3, 4, 7, 8) else 0.95},  # two falls
    ],
    ids=["small", "rising", "twice"],
)
def test_small_swings_a_rise_and_two_falls_are_no_oscillation(shown: Callable[[int], Values]) -> None:
    assert swinging(shown).outcome == Outcome.PASS


@pytest.mark.parametrize("trace", ["steady", "improve", *(f"noisy:{seed}" for seed in range(40))])
def test_noise_and_progress_are_no_oscillation(trace: str) -> None:
    found = simulate(one_phase(), trace_named(trace), 125, REFERENCE, update_steps=25)  # nine evaluations
    assert not [event for event in found.events if event.finding and event.finding.guardrail == "oscillation"]


def test_a_quiet_run_takes_all_its_steps_and_evaluates_at_every_multiple() -> None:
    found = rehearsed("steady")
    assert found.at.env_steps == arm().budget == 1200
    evaluated = [reading.env_steps for reading in found.readings if reading.kind == "evaluation"]
    # 30 a rollout, cut at the end of each phase: the first update at or after each hundred
    assert evaluated == [0, 120, 200, 320, 410, 500, 620, 710, 800, 920, 1010, 1100, 1200]


def test_a_rollback_goes_to_the_newest_safe_checkpoint_and_its_steps_stay_charged() -> None:
    found = rehearsed("nan@30")  # seven updates of warm_up, so at 200 + 23 · 30 = 890
    [back] = [event for event in found.events if event.kind == "rollback"]
    assert (back.phase, back.env_steps, back.checkpoint) == ("tune", 890, "tune@710")
    assert found.at.env_steps == 1200
    assert len([reading for reading in found.readings if reading.kind == "update"]) == 7 + 34


def test_a_run_that_is_broken_in_every_attempt_stops_after_its_retries() -> None:
    found = simulate(arm(), lambda moment, _: {"nonfinite": float(moment.kind == "update")}, 100, {}, update_steps=30)
    assert kinds(found, *ENDS) == ["rollback", "retry", "rollback", "retry", "stop", "run_ended"]
    assert found.outcome == Outcome.FAIL
    assert found.at.env_steps == 90


def test_a_rollback_with_the_last_step_is_not_proven_and_held() -> None:
    own = arm(phases=[{"name": "tune", "kind": "ppo", "env_steps": 300, "learning_rate": 0.001}])
    found = rehearsed("nan@10", own)
    assert kinds(found, *ENDS) == ["rollback", "retry", "run_ended"]
    assert found.outcome == Outcome.HOLD
    assert found.reasons[0] == "nonfinite: still open at the end"


def test_a_cloning_phase_is_judged_by_its_accuracy() -> None:
    own = arm(phases=[CLONED, *arm().model_dump(mode="json", by_alias=True)["phases"]])
    found = rehearsed("bc-fails", own)
    assert [event.kind for event in found.events] == ["phase_began", "evaluation", "finding", "stop", "phase_ended", "run_ended"]
    assert found.reasons == ("bc_accuracy: bc_accuracy 0.6 (limit < 0.9)",)


def test_an_arm_without_a_clone_has_none_that_could_fail() -> None:
    own = Arm.model_validate(
        {"start": "random", "phases": [{"name": "learn", "kind": "ppo", "env_steps": 300, "learning_rate": 0.1}]}
    )
    assert rehearsed("bc-fails", own).outcome == Outcome.PASS


def test_an_unknown_trace_lists_those_that_there_are() -> None:
    for name in ("stedy", "nan@0", "nan@x", "noisy:", "noisy:-1", "x.csv"):
        with pytest.raises(UsageError, match=r"trace: expected one of steady, .* or a \.tsv file, got"):
            trace_named(name)


# --- recorded -----------------------------------------------------------------------------------------------------------


def test_a_recorded_trace_that_ends_early_leaves_the_run_unfinished() -> None:
    rows = rehearsed("steady").readings[:20]
    found = simulate(arm(), rows, 100, REFERENCE)
    assert found.outcome == Outcome.HOLD
    assert found.reasons == ("the run has not ended",)


def test_a_recorded_trace_that_goes_on_after_the_schedule_is_refused() -> None:
    rows = (*rehearsed("steady").readings, Reading("update", 1230, {}))
    with pytest.raises(InputError, match="the schedule ends after 54 readings, and 1 more follow"):
        simulate(arm(), rows, 100, REFERENCE)


HEADER = "kind\tenv_steps\tgrad_norm\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"t\.tsv: expected the columns kind, env_steps, then metrics, got nothing"),
        ("env_steps\tkind\n", "expected the columns kind, env_steps"),
        ("kind\tenv_steps\tgrad\n", "no guardrail watches grad; metrics are bc_accuracy"),
        ("kind\tenv_steps\tgrad_norm\tgrad_norm\n", "expected each metric once"),
        (HEADER + "update\t1\n", "line 2: expected 3 cells, got 2"),
        (HEADER + "updated\t1\t2\n", "line 2: expected update or evaluation and a number of env steps, got 'updated'"),
        (HEADER + "update\t-1\t2\n", "got 'update' and '-1'"),
        (HEADER + "update\t1\tx\n", "line 2: could not convert string to float: 'x'"),
        (HEADER + "update\t9\t1\nupdate\t8\t1\n", "line 3: env steps stay charged, so they cannot decrease: got 8 after 9"),
    ],
)
def test_a_broken_table_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_tsv(text, "t.tsv")


def test_a_table_keeps_gaps_and_numbers_that_are_none() -> None:
    rows = (Reading("update", 3, {"grad_norm": math.nan, "entropy": 0.1}), Reading("evaluation", 3, {"kpi": -math.inf}))
    nan, minus = from_tsv(to_tsv(rows), "t.tsv")
    assert math.isnan(nan.values["grad_norm"] or 0)
    assert (nan.values["entropy"], nan.values["kpi"]) == (0.1, None)
    assert (minus.kind, minus.values["kpi"], minus.values["entropy"]) == ("evaluation", -math.inf, None)


# --- whatever happens -------------------------------------------------------------------------------------------------------

PHASES = st.lists(
    st.one_of(
        st.fixed_dictionaries({"kind": st.just("bc"), "epochs": st.integers(1, 3)}),
        st.fixed_dictionaries({"kind": st.sampled_from(["critic", "ppo"]), "env_steps": st.integers(1, 400)}),
    ),
    min_size=1,
    max_size=4,
)
ON_BREACH = st.fixed_dictionaries({"next": st.sampled_from(["retry", "stop"]), "max_retries": st.integers(0, 5)})
VALUES = st.one_of(st.none(), st.sampled_from([0.0, 0.04, 0.3, 0.6, 0.95, 1.2, 5.0, math.nan, math.inf]))
WILD = st.lists(
    st.dictionaries(st.sampled_from(sorted({r.metric for r in GUARDRAILS.values()})), VALUES), min_size=1, max_size=30
)


def any_arm(phases: list[dict[str, Any]], on_breach: dict[str, Any]) -> Arm:
    named = [{"name": f"p{n}", "learning_rate": 0.1, "on_breach": on_breach, **phase} for n, phase in enumerate(phases)]
    return Arm.model_validate({"start": "bc", "phases": named})


runs = given(
    phases=PHASES,
    on_breach=ON_BREACH,
    trace=st.one_of(st.integers(0, 999).map(lambda n: f"noisy:{n}"), st.integers(1, 20).map(lambda n: f"nan@{n}"), WILD),
    update_steps=st.integers(7, 150),
)


def any_run(phases: Any, on_breach: Any, trace: Any, update_steps: int) -> tuple[Arm, Simulation]:
    own = any_arm(phases, on_breach)
    if isinstance(trace, str):
        called = trace_named(trace)
    else:  # wild values, over and over; a clone is judged where there is one

        def called(moment: Any, _: Any) -> Any:
            values = trace[moment.count % len(trace)]
            return {**values, "bc_accuracy": (values.get("bc_accuracy") or 0.95) if moment.cloned else None}

    return own, simulate(own, called, 100, REFERENCE, update_steps=update_steps)


@settings(max_examples=150, deadline=None, derandomize=True)
@runs
def test_a_run_ends_within_its_budget(phases: Any, on_breach: Any, trace: Any, update_steps: int) -> None:
    own, found = any_run(phases, on_breach, trace, update_steps)
    assert found.at.env_steps <= own.budget
    assert found.events[-1].kind == "run_ended"
    assert found.control.status != "running"
    assert (found.control.status == "completed") <= (found.at.env_steps == own.budget)


@settings(max_examples=150, deadline=None, derandomize=True)
@runs
def test_no_run_passes_while_anything_is_open(phases: Any, on_breach: Any, trace: Any, update_steps: int) -> None:
    _, found = any_run(phases, on_breach, trace, update_steps)
    last: dict[str, str] = {}
    for event in found.events:
        if event.finding is not None:
            last[event.finding.guardrail] = event.finding.decision
    if found.outcome == Outcome.PASS:
        assert set(last.values()) <= {"continue"}
        assert kinds(found, "freeze", "stop") == []
    if kinds(found, "stop"):
        assert found.outcome == Outcome.FAIL


def test_a_clone_that_was_not_judged_leaves_the_readings_to_the_phase_after_it() -> None:
    own = any_arm([CLONED | {"name": "p0"}, {"kind": "ppo", "env_steps": 100}], {})
    found = simulate(own, (Reading("update", 50, {"nonfinite": 0.0}), Reading("update", 100, {"nonfinite": 0.0})), 100, REFERENCE)
    assert [(event.kind, event.phase) for event in found.events if event.kind in ("update", "phase_ended")] == [
        ("phase_ended", "p0"),
        ("update", "p1"),
        ("update", "p1"),
        ("phase_ended", "p1"),
    ]


@settings(max_examples=100, deadline=None, derandomize=True)
@runs
def test_a_recorded_run_gives_its_events_again(phases: Any, on_breach: Any, trace: Any, update_steps: int) -> None:
    own, found = any_run(phases, on_breach, trace, update_steps)
    again = simulate(own, found.readings, 100, REFERENCE)
    assert repr(again.events) == repr(found.events)  # in which one NaN equals another
    assert again.outcome == found.outcome


def test_a_run_that_went_through_a_file_gives_its_events_again() -> None:
    found = rehearsed("noisy:3")
    again = simulate(arm(), from_tsv(to_tsv(found.readings), "t.tsv"), 100, REFERENCE)
    assert [(e.kind, e.env_steps, e.text, e.finding) for e in again.events] == [
        (e.kind, e.env_steps, e.text, e.finding) for e in found.events
    ]
