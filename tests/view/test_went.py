"""The schedule of a report says what its updates really used."""

from typing import Any, cast

import pytest
from tests.arms import arm_runs, recipe

from headstart.telemetry.kinds import AnyLine, Update
from headstart.view.went import _never_used


def used(*weights: float) -> list[AnyLine]:
    """Updates of the phase `learn` with these weights; only what is read of them is there."""
    return [
        cast(Any, Update.model_construct(phase="learn", bc_weight=weight, kl_weight=0.0, expert_share=0.0)) for weight in weights
    ]


@pytest.mark.parametrize(("last", "said"), [(0.05, True), (0.0, False)])
def test_a_step_that_no_update_reached_is_said_and_one_that_acted_is_not(last: float, said: bool) -> None:
    made = recipe("bc", 1000)
    step = {"from": 0.05, "to": 0.0, "over": 0.95, "shape": "step"}
    phase = made.phases[0].model_validate(made.phases[0].model_dump(by_alias=True) | {"bc_weight": step})
    runs = arm_runs("pretrained", [1, 1])
    arm = runs.model_copy(update={"recipe": made.model_copy(update={"phases": (phase,)})})

    text = _never_used(arm, {0: used(0.05, 0.05, 0.05), 1: used(0.05, 0.05, last)})

    assert text == (
        " No update used the 0 to which bc_weight of learn steps at 0.95 of the phase: the last of the 3 updates of a run began before, so all "
        "of them used 0.05."
        if said
        else ""
    )
