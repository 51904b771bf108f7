"""Schedules as text: what a table and a drawing of a small one look like."""

from pathlib import Path

import pytest

from headstart.config.params import load_params
from headstart.config.schedule import Arm
from headstart.guard.guardrails import METRICS, metrics_of
from headstart.guard.schedule_check import check_schedule
from headstart.guard.simulation import simulate
from headstart.guard.traces import REFERENCE, trace_named
from headstart.view import WIDTH
from headstart.view.schedule import describe, drawing, guardrail_table, phases_text, timeline

ROOT = Path(__file__).parents[2]
ARM = Arm.model_validate(
    {
        "start": "bc",
        "phases": [
            {"name": "clone", "kind": "bc", "epochs": 3, "learning_rate": 0.001},
            {"name": "warm_up", "kind": "critic", "env_steps": 250, "learning_rate": 0.001},
            {
                "name": "tune",
                "kind": "ppo",
                "env_steps": 750,
                "learning_rate": {"from": 0.001, "to": 0.0001, "shape": "cosine", "over": 0.5},
                "expert_share": {"from": 0.8, "to": 0.0},
                "guardrails": {"entropy": {"flag": 0.05}, "kpi_drop": {"enabled": False}},
                "on_breach": {"next": "stop"},
            },
        ],
    }
)


def test_a_phase_is_its_length_the_weights_that_it_uses_and_what_follows_a_breach() -> None:
    assert phases_text(ARM).splitlines() == [
        "clone: bc, 3 epochs, cycle 0",
        "  learning_rate 0.001, entropy_coef 0.01",
        "  on breach: 2 retries, learning rate × 0.5, KL × 2",
        "warm_up: critic, 250 env steps, cycle 1",
        "  learning_rate 0.001, entropy_coef 0.01",
        "  on breach: 2 retries, learning rate × 0.5, KL × 2",
        "tune: ppo, 750 env steps, cycle 2",
        "  learning_rate 0.001 → 0.0001 cosine over 50 %, entropy_coef 0.01,",
        "  expert_share 0.8 → 0",
        "  on breach: stop",
        "budget: 1,000 env steps, from a clone",
    ]


@pytest.mark.parametrize("name", load_params(ROOT / "params.yaml").arms)
def test_no_line_is_wider_than_a_terminal(name: str) -> None:
    arm = load_params(ROOT / "params.yaml").arms[name]
    problems = check_schedule(arm, known_metrics=METRICS, evaluation_every=32768, budget=393216)
    lines = describe(arm, METRICS, problems).splitlines()
    for trace in ("cliff", "noisy:5", "bc-fails"):
        lines += timeline(simulate(arm, trace_named(trace), 32768, REFERENCE, update_steps=2048)).splitlines()
    assert [line for line in lines if len(line) > WIDTH] == []


def test_a_guardrail_stands_below_when_it_is_checked_and_what_else_must_hold_below_the_table() -> None:
    lines = guardrail_table(ARM, METRICS).splitlines()
    update, evaluation = lines.index("at every update:"), lines.index("at every evaluation:")
    assert update < next(n for n, line in enumerate(lines) if line.startswith("policy_kl ")) < evaluation
    assert evaluation < next(n for n, line in enumerate(lines) if line.startswith("harm_rise "))
    assert "policy_kl: a breach only where also grad_norm > 2.5" in lines


def test_a_drawing_shows_a_ramp_over_the_env_steps_of_its_phase() -> None:
    share, *_, names = drawing(ARM, width=16).splitlines()
    assert share == "expert_share       █▇▆▆▅▄▄▃▂▂▁▁  most 0.8"
    assert names == "phase          |war|tune"


def test_a_phase_says_that_it_learns_from_records() -> None:
    recall = {"name": "recall", "kind": "ppo", "data": "replay", "epochs": 2, "learning_rate": 0.001}
    mixed = {
        "name": "tune",
        "kind": "ppo",
        "data": "mixed",
        "env_steps": 400,
        "learning_rate": 0.001,
        "replay_share": {"from": 0.2, "to": 0},
    }
    text = describe(Arm.model_validate({"start": "bc", "phases": [recall, mixed]}), METRICS)
    assert "recall: ppo, data: replay, 2 epochs, cycle 0" in text
    assert "tune: ppo, data: mixed, 400 env steps, cycle 1" in text
    assert "replay_share 0.2 → 0" in text and "most 0.2" in text


def test_ramps_that_stay_at_zero_are_not_drawn() -> None:
    assert "bc_weight" not in drawing(ARM)
    assert "kl_weight" not in drawing(ARM)


def test_the_guardrails_of_the_last_phase_are_listed_and_what_others_have_otherwise() -> None:
    lines = guardrail_table(ARM, METRICS).splitlines()
    [entropy] = [line for line in lines if line.startswith("entropy ")]
    assert "±0.05" in entropy
    assert not [line for line in lines if line.startswith("kpi_drop")]
    assert "in clone: entropy ±0.1, ±0.2, 1" in lines
    assert "in warm_up: kpi_drop −15 %, −30 %, 1" in lines


def test_metrics_that_a_world_lacks_are_not_listed() -> None:
    assert "queue_events" not in describe(ARM, metrics_of("nav"))


def test_a_timeline_tells_findings_and_the_end_and_leaves_out_what_was_quiet() -> None:
    lines = timeline(simulate(ARM, trace_named("nan@2"), 100, REFERENCE, update_steps=100)).splitlines()
    assert "200 warm_up finding breach nonfinite: nonfinite 1 (limit > 0)" in " ".join(" ".join(lines).split())
    assert any(line.endswith("rollback     to warm_up@0") for line in lines)
    assert "warm_up#1      retry        attempt 1, learning rate × 0.5, KL × 2" in "\n".join(lines)
    assert lines[-2:] == [
        "HOLD: completed, 1,000 env steps, 11 updates, 11 evaluations, 1 rollback",
        "  kpi_drop: looser than the default, and accept_loosened gives no reason",
    ]
    assert not [line for line in lines if " evaluation " in line]
