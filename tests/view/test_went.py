"""The schedule of a report says what its updates really used."""

from typing import Any, cast

import pytest
from tests.arms import arm_runs, recipe

from headstart.telemetry.kinds import AnyLine, Evaluation, GuardrailLine, Proportion, Update
from headstart.view.went import _event, _events, _never_used, flagged_text


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


def test_a_guardrail_that_stayed_open_says_on_which_worlds_and_what_the_exam_says() -> None:
    def evaluated(steps: int, harm: int) -> AnyLine:
        rate = Proportion(k=harm, n=128, low=0.0, high=1.0)
        return cast(Any, Evaluation.model_construct(env_steps=steps, policy_mode="sampled", harm=rate, success=rate))

    flag = GuardrailLine.model_construct(
        guardrail="harm_rise",
        severity="warn",
        direction="above",
        threshold=0.05,
        env_steps=2000,
        metric="harm_rate",
        value=9 / 128,
        baseline=1 / 128,
        phase="learn",
        decision="hold",
    )
    arm = arm_runs("pretrained", [1, 1])
    quiet, flagged = arm.runs
    exam = flagged.exam["sampled"].model_copy(update={"episodes": 256, "harm": 12})
    flagged = flagged.model_copy(
        update={"outcome": "HOLD", "reasons": ("harm_rise: still open at the end",), "exam": flagged.exam | {"sampled": exam}}
    )
    arm = arm.model_copy(update={"runs": (quiet, flagged)})
    log = [evaluated(0, 1), evaluated(2000, 9), cast(AnyLine, flag)]

    assert flagged_text(arm, {flagged.seed: log}, "sampled") == (
        "Guardrail harm_rise (harm rose by more than 0.05) still open at the end in 1 of 2 runs: seed 1 (1 to 9 of 128 worlds; exam 12 of 256)"
    )
    assert flagged_text(arm, {}, "sampled") == ""
    (row,) = [row for line in log if (row := _event(1, line))]
    assert row[3:8] == ("warn: harm_rise", "0.007812", "0.07031", "+0.0625", "+0.05")
    assert _events([row]).names[4:8] == ["first", "last", "rise", "limit of the rise"]
    assert "others: of the change" in _events([row, (*row[:7], "> 0.5", "hold")]).names[7]


def test_a_reason_without_a_reading_is_said_as_it_is() -> None:
    arm = arm_runs("pretrained", [1, 1])
    odd = arm.runs[1].model_copy(update={"outcome": "HOLD", "reasons": ("no guardrail could be checked",)})

    said = flagged_text(arm.model_copy(update={"runs": (arm.runs[0], odd)}), {0: [], 1: []}, "sampled")

    assert said == "No guardrail could be checked, in 1 of 2 runs: seed 1"
