"""Schedules as text: what a table and a drawing of a small one look like."""

from headstart.config.schedule import Arm
from headstart.guard.guardrails import METRICS, metrics_of
from headstart.guard.simulation import simulate
from headstart.guard.traces import REFERENCE, trace_named
from headstart.view.schedule import describe, drawing, guardrail_table, phase_table, timeline

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


def test_the_table_has_a_line_for_each_phase_and_the_budget() -> None:
    head, clone, warm_up, tune, budget = phase_table(ARM).splitlines()
    assert head.split()[:3] == ["cycle", "phase", "kind"]
    assert "3 epochs" in clone
    assert "250 env steps" in warm_up
    assert "0.001 → 0.0001 cosine over 50 %" in tune
    assert tune.endswith("stop")
    assert budget == "budget: 1,000 env steps, from a clone"


def test_a_drawing_shows_a_ramp_over_the_env_steps_of_its_phase() -> None:
    share, *_, names = drawing(ARM, width=16).splitlines()
    assert share == "expert_share       █▇▆▆▅▄▄▃▂▂▁▁  most 0.8"
    assert names == "phase          |war|tune"


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
    assert "200  warm_up        finding      breach nonfinite: nonfinite 1 (limit > 0)" in "\n".join(lines)
    assert any(line.endswith("rollback     to warm_up@0") for line in lines)
    assert "warm_up#1      retry        attempt 1, learning rate × 0.5, KL × 2" in "\n".join(lines)
    assert lines[-2:] == [
        "HOLD: completed, 1,000 env steps, 11 updates, 11 evaluations, 1 rollback",
        "  kpi_drop: looser than the default, and accept_loosened gives no reason",
    ]
    assert not [line for line in lines if " evaluation " in line]
