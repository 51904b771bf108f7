"""Arms of three phases and a reference, small enough to follow by hand."""

from typing import Any

from headstart.config.schedule import Arm
from headstart.guard.control import Control, phase_began
from headstart.guard.guardrails import Reading

REFERENCE: dict[str, float | None] = {
    "return_normalised": 0.9,
    "success_rate": 0.9,
    "harm_rate": 0.05,
    "kpi": 0.8,
    "queue_conflict_rate": 10.0,
    "queue_intensity_rate": 4.0,
    "entropy": 0.6,
    "loss_total": 0.4,
}
GOOD_UPDATE = {
    "loss_total": 0.4,
    "kl_divergence": 0.01,
    "grad_norm": 1.0,
    "entropy": 0.6,
    "kl_to_reference": 0.1,
    "nonfinite": 0.0,
}
GOOD_EVALUATION = {
    "return_normalised": 0.9,
    "success_rate": 0.9,
    "harm_rate": 0.05,
    "kpi": 0.8,
    "queue_conflict_rate": 10.0,
    "queue_intensity_rate": 4.0,
    "bc_accuracy": 0.95,
    "loss_total": 0.4,
}


def arm(**changes: Any) -> Arm:
    """Critic, then ppo for 1,000 env steps."""
    content: dict[str, Any] = {
        "start": "bc",
        "phases": [
            {"name": "warm_up", "kind": "critic", "env_steps": 200, "learning_rate": 0.001},
            {"name": "tune", "kind": "ppo", "env_steps": 1000, "learning_rate": 0.001, "kl_weight": {"from": 0.5, "to": 0.0}},
        ],
    }
    return Arm.model_validate(content | changes)


def one_phase(**changes: Any) -> Arm:
    """One ppo phase of 1,000 env steps; `changes` are of the phase."""
    return arm(phases=[{"name": "tune", "kind": "ppo", "env_steps": 1000, "learning_rate": 0.001} | changes])


def inside() -> Control:
    """A run that has just begun a phase."""
    return phase_began(Control(), "start")


def update(env_steps: int = 10, **values: float | None) -> Reading:
    return Reading("update", env_steps, GOOD_UPDATE | values)


def evaluation(env_steps: int = 10, **values: float | None) -> Reading:
    return Reading("evaluation", env_steps, GOOD_EVALUATION | values)
