"""What a comparison records beyond its target is about the strongest baseline, and the same numbers as the functions give by hand."""

import math

import numpy as np
import pytest
from tests.arms import arm_runs, clones_of

from headstart.compare.comparison import compare
from headstart.compare.findings import ComparisonLimits, Findings, find, replicates, steps_of
from headstart.compare.levels import level_ratios
from headstart.compare.power import planned_power, reached_power
from headstart.compare.target import Passage
from headstart.config.scenario import Target

TARGET = Target(name="reliable", success_rate=0.9)
LIMITS = ComparisonLimits(resamples=50)
CANDIDATE = arm_runs("pretrained", [2] * 10)
SCRATCH, MATCHED = arm_runs("scratch", [30] * 10), arm_runs("matched", [20] * 10)


@pytest.fixture(scope="module")
def found() -> Findings:
    return find(CANDIDATE, [SCRATCH, MATCHED], None, TARGET, LIMITS)


def test_what_lies_beyond_is_measured_against_the_strongest_baseline(found: Findings) -> None:
    assert found.beyond is not None
    assert found.grid[0].baseline.arm == "matched"
    assert found.beyond.levels == level_ratios(CANDIDATE, MATCHED, "sampled") != level_ratios(CANDIDATE, SCRATCH, "sampled")
    # Success rises from 0.10 to 0.95 within 100 steps, at 200 or at 2,000 of 4,000: 18 intervals of 40 in which only the candidate is good.
    assert found.beyond.areas["success"].mean == pytest.approx(0.85 * 18 / 40)
    assert found.beyond.ceiling.env_steps == 4000


def test_the_power_is_that_of_the_limits_and_of_the_steps_to_the_target(found: Findings) -> None:
    assert found.beyond is not None
    steps = np.full(10, 200.0), np.full(10, 1900.0), np.full(10, 1900.0)
    assert found.beyond.planned_power == planned_power(10, 0.5, 0.5, 0.7)
    assert found.beyond.reached_power == reached_power(*steps, 0.7, 0.5)

    strict = LIMITS.model_copy(update={"planned_ratio": 0.2, "planned_log_sd": 1.0, "max_ratio": 0.4})
    other = find(CANDIDATE, [SCRATCH], None, TARGET, strict).beyond
    assert other is not None
    assert other.planned_power == planned_power(10, 0.2, 1.0, 0.4) != found.beyond.planned_power


def test_runs_that_share_a_clone_are_one_replicate_of_the_plan() -> None:
    shared = arm_runs("pretrained", [2] * 10, clones=5)

    assert (replicates(CANDIDATE), replicates(shared), replicates(SCRATCH)) == (10, 5, 10)
    beyond = find(shared, [SCRATCH], None, TARGET, LIMITS).beyond
    assert beyond is not None
    assert beyond.planned_power == planned_power(5, 0.5, 0.5, 0.7)


def test_steps_are_counted_against_the_candidate() -> None:
    ours = [Passage(seed=0, after=100, by=200), Passage(seed=1, after=900, by=None), Passage(seed=2, after=0, by=0)]
    theirs = [Passage(seed=0, after=100, by=200), Passage(seed=1, after=900, by=None)]

    steps = steps_of(ours, theirs)

    assert steps.candidate.tolist() == [200, math.inf, 0]
    assert steps.scratch.tolist() == [100, math.inf]
    assert steps.watched.tolist() == [100, 900]


def test_no_power_was_reached_where_there_is_no_ratio_to_start_from() -> None:
    for candidate in ([None] * 10, [0] * 10):
        beyond = find(arm_runs("pretrained", candidate), [SCRATCH], None, TARGET, LIMITS).beyond
        assert beyond is not None
        assert beyond.reached_power is None


def test_a_baseline_by_itself_has_nothing_beyond() -> None:
    assert find(SCRATCH, [SCRATCH, MATCHED], None, TARGET, LIMITS).beyond is None


def test_nothing_beyond_the_target_decides_the_verdict() -> None:
    clones = clones_of(CANDIDATE)
    verdicts = [
        compare(CANDIDATE, [SCRATCH, MATCHED], clones, TARGET, LIMITS.model_copy(update=change)).verdict
        for change in ({}, {"planned_ratio": 0.01, "planned_log_sd": 3.0})
    ]

    assert verdicts[0].outcome == verdicts[1].outcome
    assert verdicts[0].checks == verdicts[1].checks
