"""The comparison of two arms: what it computes, what it refuses, and when it says PASS, HOLD or FAIL."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from headstart.compare.arm_runs import ArmRuns, Score
from headstart.compare.comparison import Comparison, compare
from headstart.compare.findings import ComparisonLimits
from headstart.config.scenario import Target
from headstart.core.errors import InputError
from headstart.core.verdict import Evidence, Outcome

MakeArm = Callable[..., ArmRuns]
MakeScore = Callable[..., Score]
LIMITS = ComparisonLimits(resamples=500)
SLOW = [18, 22, 20, 19, 21, 20, 23, 18, 20, 22]  # evaluations until scratch is there
FAST = [6, 8, 7, 7, 6, 8, 7, 6, 7, 8]
NEVER = None


def outcome_of(found: Comparison) -> tuple[Outcome, set[str]]:
    return found.verdict.outcome, {reason.code for reason in found.verdict.reasons}


def test_ten_seeds_that_are_clearly_faster_and_end_as_well_pass(target: Target, make_arm: MakeArm) -> None:
    found = compare(make_arm("anneal", FAST), make_arm("scratch", SLOW), target, LIMITS)

    ratios = np.array([(a + 2) / (b + 2) for a, b in zip(FAST, SLOW, strict=True)])
    assert outcome_of(found) == (Outcome.PASS, set())
    assert found.online is not None
    assert found.online.geometric_mean == pytest.approx(float(np.exp(np.log(ratios).mean())))
    assert [pair.ratio for pair in found.pairs] == pytest.approx(ratios.tolist())
    assert [pair.candidate_steps for pair in found.pairs][:2] == [800, 1000]
    assert found.probability_of_improvement == 1.0


def test_demonstrations_are_charged_in_the_all_in_ratio_only(target: Target, make_arm: MakeArm) -> None:
    candidate = make_arm("anneal", FAST, demonstration_steps=1000)

    found = compare(candidate, make_arm("scratch", SLOW), target, LIMITS)

    ratios = [(a + 2 + 10) / (b + 2) for a, b in zip(FAST, SLOW, strict=True)]
    assert found.online is not None
    assert found.all_in is not None
    assert found.all_in.geometric_mean == pytest.approx(float(np.exp(np.log(ratios).mean())))
    assert found.all_in.geometric_mean > found.online.geometric_mean
    assert outcome_of(found)[0] == Outcome.PASS


def test_a_policy_taught_well_enough_to_start_at_the_target_has_a_finite_ratio(target: Target, make_arm: MakeArm) -> None:
    found = compare(make_arm("anneal", [0] * 10), make_arm("scratch", SLOW), target, LIMITS)

    assert found.pairs[0].ratio == pytest.approx(200 / 2000)
    assert found.online is not None
    assert 0.05 < found.online.geometric_mean < 0.2


@pytest.mark.parametrize(
    ("candidate", "scratch", "expected", "code"),
    [
        (FAST[:9], SLOW[:9], Outcome.HOLD, "pairs"),
        (FAST[:4], SLOW[:4], Outcome.HOLD, "ratio-upper-missing"),
        (SLOW, SLOW[::-1], Outcome.FAIL, "ratio-upper"),
        (SLOW[:3], SLOW[:3], Outcome.FAIL, "ratio"),
        (
            [14, 10, 15, 11, 14, 10, 15, 11, 14, 15],
            [20] * 10,
            Outcome.HOLD,
            "ratio-upper",
        ),  # 0.67, bound 0.74
        ([NEVER, *FAST[1:]], SLOW, Outcome.FAIL, "candidate-censored"),
        ([NEVER, *FAST[1:]], [NEVER, *SLOW[1:]], Outcome.HOLD, "candidate-censored"),
        ([NEVER] * 3 + FAST[3:], [NEVER] * 3 + SLOW[3:], Outcome.HOLD, "both-censored"),
        (FAST, [NEVER] * 10, Outcome.PASS, None),
        ([39 - at for at in FAST], [NEVER] * 10, Outcome.HOLD, "ratio-upper"),  # slow, but scratch never came
    ],
)
def test_the_verdict_follows_from_pairs_ratio_and_censoring(
    candidate: Sequence[int | None],
    scratch: Sequence[int | None],
    expected: Outcome,
    code: str | None,
    target: Target,
    make_arm: MakeArm,
) -> None:
    found = compare(make_arm("anneal", candidate), make_arm("scratch", scratch), target, LIMITS)

    outcome, codes = outcome_of(found)
    assert outcome == expected
    assert code is None or code in codes


def test_two_of_ten_uninformative_pairs_are_within_the_limit_and_three_are_not(target: Target, make_arm: MakeArm) -> None:
    for lost, over in ((2, False), (3, True)):
        candidate, scratch = [NEVER] * lost + FAST[lost:], [NEVER] * lost + SLOW[lost:]
        found = compare(make_arm("anneal", candidate), make_arm("scratch", scratch), target, LIMITS)

        assert ("both-censored" in outcome_of(found)[1]) is over


def test_a_censored_scratch_run_is_charged_its_budget_and_the_ratio_is_called_a_bound(target: Target, make_arm: MakeArm) -> None:
    found = compare(make_arm("anneal", FAST), make_arm("scratch", [NEVER, *SLOW[1:]]), target, LIMITS)

    first = found.pairs[0]
    assert (first.scratch_steps, first.scratch_censored) == (4000, True)
    assert first.ratio == pytest.approx(800 / 4000)
    assert found.online is not None
    assert found.online.is_bound
    assert found.scratch.reached.censored == 1


def test_a_censored_candidate_is_not_dropped_from_a_mean_so_there_is_no_ratio(target: Target, make_arm: MakeArm) -> None:
    found = compare(make_arm("anneal", [NEVER, *FAST[1:]]), make_arm("scratch", SLOW), target, LIMITS)

    assert (found.online, found.all_in) == (None, None)
    assert found.pairs[0].ratio is None
    assert found.candidate.reached.censored == 1
    assert found.probability_of_improvement == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("ours", "theirs", "expected", "code"),
    [
        ((95, 0), (95, 0), Outcome.PASS, None),
        ((90, 0), (95, 0), Outcome.PASS, None),  # exactly the drop that is allowed
        ((89, 0), (95, 0), Outcome.FAIL, "final-success-difference"),
        ((95, 2), (95, 0), Outcome.PASS, None),
        ((95, 3), (95, 0), Outcome.FAIL, "final-harm-difference"),
        ((0, 0), (0, 0), Outcome.FAIL, "final-success"),
        ((50, 0), (40, 0), Outcome.HOLD, "target-success-kept"),
        ((95, 20), (95, 30), Outcome.HOLD, "target-harm-kept"),
    ],
)
def test_the_end_must_not_be_worse_and_a_policy_that_never_succeeds_never_passes(
    ours: tuple[int, int],
    theirs: tuple[int, int],
    expected: Outcome,
    code: str | None,
    target: Target,
    make_arm: MakeArm,
    make_score: MakeScore,
) -> None:
    candidate = make_arm("anneal", FAST, exam=make_score(*ours))
    scratch = make_arm("scratch", SLOW, exam=make_score(*theirs))

    outcome, codes = outcome_of(compare(candidate, scratch, target, LIMITS))

    assert outcome == expected
    assert code is None or code in codes


def test_a_difference_that_only_its_bound_puts_in_doubt_is_a_hold(
    target: Target, make_arm: MakeArm, make_score: MakeScore
) -> None:
    scratch = make_arm("scratch", SLOW)
    candidate = make_arm("anneal", FAST)
    wobbly = tuple(
        run.model_copy(update={"exam": dict.fromkeys(run.exam, make_score(100 if run.seed % 2 else 82))})
        for run in candidate.runs
    )

    outcome, codes = outcome_of(compare(candidate.model_copy(update={"runs": wobbly}), scratch, target, LIMITS))

    assert (outcome, codes) == (Outcome.HOLD, {"final-success-difference"})


def test_a_run_that_stopped_before_its_budget_without_its_target_is_a_hold(target: Target, make_arm: MakeArm) -> None:
    scratch = make_arm("scratch", [NEVER] * 10)
    cut = scratch.runs[0].model_copy(update={"curve": scratch.runs[0].curve[:21], "env_steps": 2000})
    scratch = scratch.model_copy(update={"runs": (cut, *scratch.runs[1:])})

    found = compare(make_arm("anneal", FAST), scratch, target, LIMITS)

    assert outcome_of(found) == (Outcome.HOLD, {"runs-stopped-early"})
    assert found.pairs[0].scratch_steps == 2000  # what it was watched for, not its budget


def test_more_evaluations_than_the_design_has_are_a_hold(target: Target, make_arm: MakeArm) -> None:
    candidate = make_arm("anneal", FAST)
    curve = candidate.runs[0].curve
    extra = curve[3].model_copy(update={"env_steps": 310})
    dense = candidate.runs[0].model_copy(update={"curve": (*curve[:4], extra, *curve[4:])})
    candidate = candidate.model_copy(update={"runs": (dense, *candidate.runs[1:])})

    found = compare(candidate, make_arm("scratch", SLOW), target, LIMITS)

    assert outcome_of(found) == (Outcome.HOLD, {"extra-evaluations"})


def test_the_baseline_by_itself_has_no_ratio_and_no_pass(target: Target, make_arm: MakeArm) -> None:
    scratch = make_arm("scratch", SLOW)

    found = compare(scratch, scratch, target, LIMITS)

    assert outcome_of(found)[0] == Outcome.HOLD
    assert (found.pairs, found.online, found.all_in, found.final) == ((), None, None, {})
    assert found.scratch.reached.runs == 10


def test_the_order_of_runs_in_a_file_does_not_matter(target: Target, make_arm: MakeArm) -> None:
    candidate, scratch = make_arm("anneal", FAST), make_arm("scratch", SLOW)
    shuffled = candidate.model_copy(update={"runs": candidate.runs[::-1]})

    assert compare(shuffled, scratch, target, LIMITS).pairs == compare(candidate, scratch, target, LIMITS).pairs


def changed_design(arm: ArmRuns, **change: Any) -> ArmRuns:
    return arm.model_copy(update={"design": arm.design.model_copy(update=change)})


def changed_run(arm: ArmRuns, **change: Any) -> ArmRuns:
    return arm.model_copy(update={"runs": (arm.runs[0].model_copy(update=change), *arm.runs[1:])})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda arm: arm.model_copy(update={"scenario": "other"}), "anneal ran walk, scratch ran other"),
        (
            lambda arm: changed_design(arm, evaluation_seed=9),
            "evaluation_seed is 1 for anneal, 9 for scratch",
        ),
        (lambda arm: changed_design(arm, scenario_sha256="6" * 64), "scenario_sha256"),
        (lambda arm: arm.model_copy(update={"runs": ()}), "walk/scratch: .* the arm is missing"),
        (lambda arm: arm.model_copy(update={"runs": arm.runs[:9]}), r"only anneal has \[9\]"),
        (lambda arm: arm.model_copy(update={"runs": (*arm.runs, arm.runs[3])}), r"seeds \[3\] occur more"),
        (lambda arm: changed_run(arm, seed=77), r"only anneal has \[0\], only scratch has \[77\]"),
        (lambda arm: changed_run(arm, budget=3000), "anneal had 4000, scratch had 3000"),
        (lambda arm: changed_run(arm, curve=()), "seed 0: .* got nothing"),
        (lambda arm: changed_run(arm, curve=arm.runs[0].curve[1:]), "seed 0: .* got 100"),
        (lambda arm: changed_run(arm, env_steps=300), "ends at 4000 env steps, the run used 300"),
        (lambda arm: changed_run(arm, exam={}), "sampled is missing"),
        (lambda arm: arm.model_copy(update={"arm": "anneal"}), "two different records claim"),
    ],
)
def test_arms_that_do_not_match_are_refused_by_name(
    spoil: Callable[[ArmRuns], ArmRuns], message: str, target: Target, make_arm: MakeArm
) -> None:
    with pytest.raises(InputError, match=message):
        compare(make_arm("anneal", FAST), spoil(make_arm("scratch", SLOW)), target, LIMITS)


def test_an_arm_renamed_to_be_its_own_rival_is_refused(target: Target, make_arm: MakeArm) -> None:
    scratch = make_arm("scratch", SLOW)

    with pytest.raises(InputError, match="not evidence against itself"):
        compare(scratch.model_copy(update={"arm": "anneal"}), scratch, target, LIMITS)


def test_a_comparison_survives_json_and_carries_its_rules_and_evidence(target: Target, make_arm: MakeArm) -> None:
    evidence = [Evidence(path="models/walk/baseline/runs.json", sha256="a" * 64)]

    found = compare(make_arm("anneal", FAST), make_arm("scratch", SLOW), target, LIMITS, evidence)

    assert Comparison.model_validate(json.loads(found.model_dump_json())) == found
    assert found.verdict.evidence == tuple(evidence)
    assert found.verdict.thresholds["max_ratio"] == 0.70
    assert found.verdict.thresholds["target_consecutive"] == 3
    assert found.candidate.success_area is not None
    assert found.scratch.success_area is not None
    assert found.candidate.success_area > found.scratch.success_area


def test_final_exams_are_pooled_over_seeds_in_both_modes(target: Target, make_arm: MakeArm, make_score: MakeScore) -> None:
    candidate = make_arm("anneal", FAST, exam=make_score(93, 2))

    exam = compare(candidate, make_arm("scratch", SLOW), target, LIMITS).candidate.exams

    for mode in ("sampled", "deterministic"):
        assert (exam[mode].episodes, exam[mode].success, exam[mode].harm) == (1000, 930, 20)
        assert exam[mode].success_low < 0.93 < exam[mode].success_high


def null_pass_share(experiments: int, target: Target, make_arm: MakeArm) -> float:
    """Share of PASS verdicts of whole comparisons whose charged steps have a true geometric-mean ratio of
    0.70.
    """
    rng = np.random.default_rng(17)
    limits, passes = ComparisonLimits(resamples=2), 0
    for _ in range(experiments):
        scratch = np.rint(np.exp(rng.normal(np.log(60), 0.2, 10))).astype(int)
        # Rounded to whole evaluations at random, so that rounding moves the mean of neither arm.
        candidate = np.floor(0.7 * scratch * np.exp(rng.normal(0, 0.2, 10)) + rng.random(10)).astype(int)
        arms = [make_arm(name, (steps - 2).tolist(), points=150) for name, steps in (("anneal", candidate), ("scratch", scratch))]
        passes += compare(arms[0], arms[1], target, limits).verdict.outcome == Outcome.PASS
    return passes / experiments


def test_a_true_ratio_at_the_limit_hardly_ever_passes(target: Target, make_arm: MakeArm) -> None:
    assert null_pass_share(20, target, make_arm) <= 0.2  # P(more than 4 of 20) = 0.003 at 5 %


@pytest.mark.slow
def test_a_true_ratio_at_the_limit_passes_in_five_percent_of_whole_comparisons(target: Target, make_arm: MakeArm) -> None:
    assert null_pass_share(1500, target, make_arm) == pytest.approx(0.05, abs=0.015)
