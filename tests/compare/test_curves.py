"""Curves of several seeds on one grid, and the seed that stands for an arm: chosen by its training, never by its exam."""

from collections.abc import Callable

import numpy as np
import pytest

from headstart.compare.arm_runs import ArmRuns, Score, SeedRun
from headstart.compare.curves import best_run, curve_bands, iqm_band, on_grid
from headstart.core.errors import InputError


def test_between_evaluations_a_curve_is_linear(make_run: Callable[..., SeedRun]) -> None:
    runs = (make_run(0, [0, 50, 100]), make_run(1, [100, 100, 0]))

    assert on_grid(runs, "success", "sampled", np.array([0, 50, 150])).tolist() == [[0.0, 0.25, 0.75], [1.0, 1.0, 0.5]]


def test_bands_lie_on_the_designs_grid_as_far_as_the_shortest_run(make_arm: Callable[..., ArmRuns]) -> None:
    arm = make_arm("scratch", [2, 2, 2, 2], points=6)
    short = arm.runs[0].model_copy(update={"curve": arm.runs[0].curve[:4]})
    arm = arm.model_copy(update={"runs": (short, *arm.runs[1:])})

    bands = curve_bands(arm, "sampled", resamples=200)

    assert bands["success"].env_steps == (0, 100, 200, 300)
    assert bands["success"].iqm == pytest.approx((0.1, 0.1, 0.95, 0.95))
    assert bands["success"].low == bands["success"].high == bands["success"].iqm
    assert set(bands) == {"success", "harm", "return"}


def test_a_band_holds_its_mean_is_repeatable_and_collapses_where_seeds_agree() -> None:
    values = np.column_stack([np.arange(10.0), np.full(10, 3.0)])

    iqm, low, high = iqm_band(values, resamples=2000)
    again = iqm_band(values, resamples=2000)

    assert iqm.tolist() == [4.5, 3.0]
    assert low[0] < 4.5 < high[0]
    assert (low[1], high[1]) == (3.0, 3.0)
    assert np.array_equal(np.stack([iqm, low, high]), np.stack(again))


# --- the best run -----------------------------------------------------------------------------------------------------


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
