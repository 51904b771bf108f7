"""Curves of several seeds on one grid."""

from collections.abc import Callable

import pytest

from headstart.compare.arm_runs import ArmRuns, SeedRun
from headstart.compare.curves import area_under, curve_bands


def test_the_area_is_the_mean_success_over_the_steps(make_run: Callable[..., SeedRun]) -> None:
    run = make_run(0, [0, 50, 100])

    assert area_under(run, "sampled", 200) == pytest.approx((0.25 + 0.75) / 2)
    assert area_under(run, "sampled", 150) == pytest.approx((0.25 * 100 + 0.625 * 50) / 150)
    assert area_under(run, "sampled", 0) is None


def test_bands_lie_on_the_designs_grid_as_far_as_the_shortest_run(make_arm: Callable[..., ArmRuns]) -> None:
    arm = make_arm("scratch", [2, 2, 2, 2], points=6)
    short = arm.runs[0].model_copy(update={"curve": arm.runs[0].curve[:4]})
    arm = arm.model_copy(update={"runs": (short, *arm.runs[1:])})

    bands = curve_bands(arm, "sampled", resamples=200, seed=0)

    assert bands["success"].env_steps == (0, 100, 200, 300)
    assert bands["success"].iqm == pytest.approx((0.1, 0.1, 0.95, 0.95))
    assert bands["success"].low == bands["success"].high == bands["success"].iqm
    assert set(bands) == {"success", "harm", "return"}
