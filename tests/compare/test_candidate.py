"""The seed that stands for an arm is chosen by its training, never by its exam."""

from collections.abc import Callable

import pytest

from headstart.compare.arm_runs import ArmRuns, Score
from headstart.compare.candidate import best_run
from headstart.core.errors import InputError


def test_the_last_evaluation_chooses_and_the_exam_does_not(
    make_arm: Callable[..., ArmRuns], make_score: Callable[..., Score]
) -> None:
    arm = make_arm("pretrained", [1, None, 1])
    best_exam = {"sampled": make_score(100), "deterministic": make_score(100)}
    runs = (arm.runs[0], arm.runs[1].model_copy(update={"exam": best_exam}), arm.runs[2])

    assert best_run(arm.model_copy(update={"runs": runs}), "sampled").seed == 0


@pytest.mark.parametrize(
    ("last", "seed"),
    [
        ([{"success": 90}, {"success": 91}], 1),
        ([{"success": 90, "harm": 2}, {"success": 90, "harm": 1}], 1),
        ([{"success": 90, "return_mean": 1.0}, {"success": 90, "return_mean": 1.1}], 1),
        ([{"success": 90}, {"success": 90}], 0),
        ([{"success": 46, "episodes": 50}, {"success": 91, "episodes": 100}], 0),
    ],
)
def test_success_then_harm_then_return_then_the_lowest_seed(
    make_arm: Callable[..., ArmRuns], make_score: Callable[..., Score], last: list[dict[str, int]], seed: int
) -> None:
    arm = make_arm("pretrained", [1] * len(last))
    runs = []
    for run, scores in zip(arm.runs, last, strict=True):
        point = run.curve[-1].model_copy(update={"scores": {"sampled": make_score(**scores)}})
        runs.append(run.model_copy(update={"curve": (*run.curve[:-1], point)}))

    assert best_run(arm.model_copy(update={"runs": tuple(runs)}), "sampled").seed == seed


def test_an_arm_without_evaluations_has_no_candidate(make_arm: Callable[..., ArmRuns]) -> None:
    with pytest.raises(InputError, match="expected runs that were evaluated"):
        best_run(make_arm("pretrained", []), "sampled")
