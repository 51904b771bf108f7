"""The findings of a comparison that are numbers of their own: the spread between clones and seeds, and the margins of the end."""

import math
from collections.abc import Sequence
from statistics import fmean

import pytest
from tests.arms import arm_runs, clones_of, with_exams
from tests.scores import score

from headstart.compare.arm_runs import Score
from headstart.compare.findings import ComparisonLimits, Findings, find
from headstart.config.scenario import Target

LIMITS = ComparisonLimits(resamples=20)
# seed i starts from clone i modulo 3: the groups are seeds 0 and 3, 1 and 4, 2 and 5
REACH = [1, 2, 4, 1, 2, 4]
RETURNS = [1.0, 3.0, 6.0, 2.0, 5.0, 7.0]


def found_with(target: Target, reach: Sequence[int | None], returns: Sequence[float], clones: int | None = 3) -> Findings:
    candidate = arm_runs("pretrained", reach, clones=clones)
    candidate = with_exams(candidate, [score(95, return_mean=one) for one in returns])
    return find(candidate, [arm_runs("scratch", [20] * len(reach))], clones_of(candidate), target, LIMITS)


def test_the_spread_of_returns_is_split_by_an_analysis_of_variance(target: Target) -> None:
    spread = found_with(target, REACH, RETURNS).spread["final return"]

    # groups 1, 2 | 3, 5 | 6, 7: means 1.5, 4, 6.5 about 4
    within = (0.5 + 2.0 + 0.5) / (6 - 3)
    between = 2 * (2.5**2 + 0 + 2.5**2) / (3 - 1)
    assert (spread.clones, spread.runs) == (3, 6)
    assert spread.within == pytest.approx(math.sqrt(within))  # 1
    assert spread.between == pytest.approx(math.sqrt((between - within) / 2))  # √5.75


def test_the_spread_of_steps_is_that_of_their_logarithms(target: Target) -> None:
    spread = found_with(target, REACH, RETURNS).spread["log steps to target"]

    # 100, 100 | 200, 200 | 400, 400: means one ln 2 apart, nothing within
    assert spread.within == pytest.approx(0.0, abs=1e-9)
    assert spread.between == pytest.approx(math.log(2))


def test_groups_of_unequal_size_are_weighted(target: Target) -> None:
    spread = found_with(target, [1] * 5, [1.0, 4.0, 3.0, 6.0, 2.0], clones=2).spread["final return"]

    # groups 1, 3, 2 | 4, 6: means 2 and 5, grand mean 3.2; (5 − (9 + 4) / 5) / 1 = 2.4 runs a clone
    within = (2.0 + 2.0) / 3
    between = 3 * 1.2**2 + 2 * 1.8**2
    assert spread.within == pytest.approx(math.sqrt(within))
    assert spread.between == pytest.approx(math.sqrt((between - within) / 2.4))


def test_clones_that_differ_less_than_their_seeds_have_no_spread_of_their_own(target: Target) -> None:
    spread = found_with(target, REACH, [1.0, 1.0, 1.0, 3.0, 3.0, 3.0]).spread["final return"]

    assert (spread.between, spread.within) == (0.0, pytest.approx(math.sqrt(2)))


@pytest.mark.parametrize("clones", [None, 1])
def test_a_clone_for_each_seed_or_one_for_all_cannot_tell_clones_from_seeds(clones: int | None, target: Target) -> None:
    assert found_with(target, REACH, RETURNS, clones).spread == {}


@pytest.mark.parametrize("reach", [[None, *REACH[1:]], [0, *REACH[1:]]])
def test_steps_that_are_unknown_or_none_have_no_logarithm(reach: Sequence[int | None], target: Target) -> None:
    assert set(found_with(target, reach, RETURNS).spread) == {"final return"}


def test_margins_are_shares_of_the_distance_from_an_untrained_policy_to_the_expert() -> None:
    target = Target(name="good", success_rate=0.9, measures={"stl": 0.7})
    exam = score(95, return_mean=1.5).model_copy(update={"measures": {"stl": 0.8, "speed": 3.0}})
    untrained = score(2, return_mean=-0.5).model_copy(update={"measures": {"stl": 0.3, "speed": 1.0}})
    candidate = arm_runs("pretrained", [1] * 5, exam=exam, good=exam, bad=untrained)
    scratch = arm_runs("scratch", [9] * 5, exam=exam, good=exam, bad=untrained)

    found = find(candidate, [scratch], clones_of(candidate, untrained=untrained), target, LIMITS)

    expected = {"success": 0.05, "harm": 0.02, "return": 0.02 * 2.0, "stl": 0.02 * 0.5}
    assert found.margins == pytest.approx(expected)  # a measure that the target does not name is not held to anything
    assert set(found.final) == {"target", "clone", "expert", "scratch"}
    assert set(found.final["target"]) == {"success", "stl"}
    assert found.final["target"]["stl"].mean == pytest.approx(0.1)


def test_without_an_expert_margins_are_scaled_by_the_recorded_episodes_or_else_by_the_clones() -> None:
    target = Target(name="good", success_rate=0.9, measures={"stl": 0.7})
    exam = score(95, return_mean=1.5).model_copy(update={"measures": {"stl": 0.8}})
    untrained = score(2, return_mean=-0.5).model_copy(update={"measures": {"stl": 0.3}})
    candidate = arm_runs("pretrained", [1] * 5, exam=exam, good=exam, bad=untrained)
    scratch = arm_runs("scratch", [9] * 5, exam=exam, good=exam, bad=untrained)
    clones = clones_of(candidate, untrained=untrained)

    def margins(recorded: Score | None) -> dict[str, float]:
        own = [one.model_copy(update={"expert": None, "recorded": recorded}) for one in clones.clones]
        found = find(candidate, [scratch], clones.model_copy(update={"clones": tuple(own)}), target, LIMITS)
        assert found.final["expert"] == {}
        assert found.final["clone"]
        return found.margins

    exams = [one.exam["sampled"] for one in clones.clones]
    reached, of_measure = fmean(one.return_mean for one in exams), 0.02 * (fmean(one.measures["stl"] for one in exams) - 0.3)
    assert margins(score(90, return_mean=3.5))["return"] == pytest.approx(0.02 * 4.0)
    assert margins(score(90, return_mean=3.5))["stl"] == pytest.approx(of_measure)  # the recording has none
    assert margins(None)["return"] == pytest.approx(0.02 * (reached + 0.5))


def test_each_run_is_paired_with_the_clone_that_it_started_from(target: Target) -> None:
    candidate = arm_runs("pretrained", [1] * 10)
    clones = clones_of(candidate)
    exams = [score(60 + 3 * i, return_mean=1.0) for i in range(10)]
    own = [one.model_copy(update={"exam": dict.fromkeys(one.exam, exam)}) for one, exam in zip(clones.clones, exams, strict=True)]
    better = with_exams(candidate, [score(64 + 3 * i, return_mean=1.0) for i in range(10)])

    found = find(
        better, [arm_runs("scratch", [9] * 10)], clones.model_copy(update={"clones": tuple(reversed(own))}), target, LIMITS
    )

    paired = found.final["clone"]["success"]
    assert (paired.mean, paired.low) == (pytest.approx(0.04), pytest.approx(0.04))  # all differences are equal
