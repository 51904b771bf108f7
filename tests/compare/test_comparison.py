"""The verdict of a comparison: what it passes, holds and fails, by the name of the check, and what its sentence says."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.arms import arm_runs, clones_of, with_exams
from tests.scores import score

from headstart.compare.arm_runs import ArmRuns, CloneRuns, Score
from headstart.compare.comparison import Comparison, all_in_text, compare, require_follows, steps_text
from headstart.compare.findings import ComparisonLimits
from headstart.config.scenario import Target
from headstart.core.errors import InputError, IntegrityError
from headstart.core.files import parse_record, read_record
from headstart.core.verdict import Evidence, Outcome
from headstart.runs.experiment import ExperimentRecord

LIMITS = ComparisonLimits(resamples=200)
SLOW = [18, 22, 20, 19, 21, 20, 23, 18, 20, 22]  # evaluations until scratch is there
FAST = [6, 8, 7, 7, 6, 8, 7, 6, 7, 8]
NEVER = None


def judged(
    candidate: ArmRuns, *baselines: ArmRuns, target: Target, clones: CloneRuns | None = None, limits: ComparisonLimits = LIMITS
) -> Comparison:
    """Without `clones`, the candidate's clones and the expert are as good as the candidate."""
    return compare(candidate, baselines, clones or clones_of(candidate), target, limits)


def reasons(found: Comparison) -> tuple[Outcome, set[str]]:
    return found.verdict.outcome, {reason.code for reason in found.verdict.reasons}


def test_ten_replicates_that_are_clearly_faster_and_end_as_well_pass(target: Target) -> None:
    found = judged(arm_runs("pretrained", FAST), arm_runs("scratch", SLOW), target=target)

    assert reasons(found) == (Outcome.PASS, set())
    assert found.strongest is not None
    assert found.strongest.online.median == 700 / 1900  # medians: 700 at the end, 1,900 at the beginning of their intervals
    assert found.strongest.probability_of_improvement == 1.0
    assert [(one.after, one.by) for one in found.candidate.passages][:2] == [(500, 600), (700, 800)]


@pytest.mark.parametrize(
    ("candidate", "scratch", "expected", "code"),
    [
        (FAST[:9], SLOW[:9], Outcome.HOLD, "replicates"),
        (FAST[:4], SLOW[:4], Outcome.HOLD, "ratio-upper-missing"),
        (SLOW, SLOW[::-1], Outcome.FAIL, "ratio-upper"),
        ([13, 10, 14, 11, 13, 10, 17, 11, 13, 14], [20] * 10, Outcome.HOLD, "ratio-upper"),  # 13/19 = 0.68, bound above 0.70
        ([NEVER, *FAST[1:]], SLOW, Outcome.HOLD, "candidate-censored"),
        ([NEVER] * 6 + FAST[6:], SLOW, Outcome.FAIL, "candidate-censored"),
        ([39 - at for at in FAST], [NEVER] * 10, Outcome.HOLD, "ratio-upper"),  # slow, but scratch never came
        ([NEVER] * 10, [NEVER] * 10, Outcome.FAIL, "candidate-censored"),
    ],
)
def test_the_verdict_follows_from_replicates_ratio_and_censoring(
    candidate: Sequence[int | None], scratch: Sequence[int | None], expected: Outcome, code: str, target: Target
) -> None:
    outcome, codes = reasons(judged(arm_runs("pretrained", candidate), arm_runs("scratch", scratch), target=target))

    assert outcome == expected
    assert code in codes


# --- baselines and replicates -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_comparison_is_with_the_strongest_baseline_and_all_stand_in_the_grid(order: Sequence[int], target: Target) -> None:
    half = [at // 2 for at in SLOW]
    baselines = [arm_runs("scratch", SLOW), arm_runs("tuned", half), arm_runs("matched", [NEVER] * 10)]

    found = judged(arm_runs("pretrained", FAST), *(baselines[i] for i in order), target=target)

    uppers = [one.online.upper for one in found.grid]
    assert [one.baseline.arm for one in found.grid] == ["tuned", "scratch", "matched"]
    assert uppers == sorted(uppers, key=lambda upper: -(upper or 0))
    assert reasons(found) == (Outcome.FAIL, {"ratio-upper"})  # 700 / 900
    assert reasons(judged(arm_runs("pretrained", FAST), baselines[0], target=target))[0] == Outcome.PASS


def test_a_baseline_that_leaves_no_bound_is_the_strongest(target: Target) -> None:
    few = arm_runs("tuned", [0] * 10)  # there before training, so that no ratio can be excluded

    found = judged(arm_runs("pretrained", FAST), arm_runs("scratch", SLOW), few, target=target)

    assert [one.baseline.arm for one in found.grid] == ["tuned", "scratch"]
    assert reasons(found) == (Outcome.FAIL, {"baseline-not-slower"})


def test_a_baseline_that_a_guardrail_ended_holds_the_verdict(target: Target) -> None:
    scratch = arm_runs("scratch", SLOW)
    frozen = scratch.runs[0].model_copy(update={"status": "frozen", "outcome": "HOLD", "reasons": ("nonfinite",)})
    scratch = scratch.model_copy(update={"runs": (frozen, *scratch.runs[1:])})

    assert reasons(judged(arm_runs("pretrained", FAST), scratch, target=target)) == (Outcome.HOLD, {"baseline-guardrails"})


@pytest.mark.parametrize("name", ["target", "clone", "expert"])
def test_a_baseline_may_not_take_the_name_of_what_else_the_end_is_held_to(name: str, target: Target) -> None:
    with pytest.raises(InputError, match=f"a name other than target, clone, expert, got {name}"):
        judged(arm_runs("pretrained", FAST), arm_runs("scratch", SLOW).model_copy(update={"arm": name}), target=target)


def test_a_policy_that_ends_at_its_experts_return_does_not_keep_a_target_beyond_it() -> None:
    target, exam = Target(name="beyond", success_rate=0.9, return_mean=1.75), score(95, return_mean=1.70)

    assert at_the_end(target, exam, exam, expert=score(95, return_mean=1.70)) == (Outcome.FAIL, {"final-return-target"})


def test_a_candidate_without_a_baseline_of_its_own_ppo_settings_is_a_hold(target: Target) -> None:
    candidate = arm_runs("pretrained", FAST, ppo={"num_epochs": 4, "gamma": 0.98})
    scratch = arm_runs("scratch", SLOW)

    assert reasons(judged(candidate, scratch, target=target)) == (Outcome.HOLD, {"matched-baseline"})
    matched = arm_runs("matched", SLOW, ppo={"num_epochs": 4, "gamma": 0.98})
    assert reasons(judged(candidate, scratch, matched, target=target)) == (Outcome.PASS, set())


def test_runs_that_share_clones_count_as_one_replicate(target: Target) -> None:
    candidate, scratch = arm_runs("pretrained", FAST * 2, clones=9), arm_runs("scratch", SLOW * 2)

    found = judged(candidate, scratch, target=target)

    assert reasons(found) == (Outcome.HOLD, {"replicates", "shared-clones"})
    assert "20 runs from 9 clones; fewer than 10 replicates" in found.verdict.reasons[0].text
    ten = arm_runs("pretrained", FAST * 2, clones=10)
    assert reasons(judged(ten, scratch, target=target)) == (Outcome.HOLD, {"shared-clones"})  # its bounds take 20 as independent


# --- censoring ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("every", [100, 50])
def test_a_target_that_all_clones_meet_has_no_ratio_whatever_the_interval(every: int, target: Target) -> None:
    points = 4000 // every + 1
    candidate = arm_runs("pretrained", [0] * 10, every=every, points=points)
    scratch = arm_runs("scratch", [at * 100 // every for at in SLOW], every=every, points=points)

    found = judged(candidate, scratch, target=target)

    assert reasons(found) == (Outcome.PASS, set())
    assert steps_text(found) == (
        "pretrained: met before training (0 steps); scratch: all 10 within 2,300 steps; no ratio: the clones meet reliable before training"
    )


def test_a_target_that_most_clones_meet_has_no_ratio_and_says_how_many(target: Target) -> None:
    found = judged(arm_runs("pretrained", [0] * 9 + [5]), arm_runs("scratch", SLOW), target=target)

    assert steps_text(found).endswith("no ratio: 9 of 10 clones meet reliable before training")
    assert steps_text(found).startswith("pretrained: all 10 within 500 steps; ")


def test_the_budget_of_a_baseline_that_never_arrives_is_named_and_bounds_the_ratio(target: Target) -> None:
    uppers = []
    for budget in (4000, 8000, 16_000):
        scratch = arm_runs("scratch", [NEVER] * 10, points=budget // 100 + 1)
        found = judged(arm_runs("pretrained", FAST), scratch, target=target)
        assert found.strongest is not None
        online = found.strongest.online
        assert online.median is None
        assert online.upper is not None
        assert steps_text(found) == (
            f"pretrained: all 10 within 800 steps; scratch: 0 of 10 within {budget:,} steps; the ratio is at most {online.upper:.3f}"
        )
        assert reasons(found) == (Outcome.PASS, set())
        uppers.append(online.upper)

    assert 700 / 4000 <= uppers[0] <= 800 / 4000
    assert uppers == pytest.approx([uppers[0], uppers[0] / 2, uppers[0] / 4])


def test_a_longer_budget_does_not_lower_the_ratio_where_half_arrive(target: Target) -> None:
    medians = []
    for budget in (4000, 8000, 16_000):
        scratch = arm_runs("scratch", [*SLOW[:5], *[NEVER] * 5], points=budget // 100 + 1)
        found = judged(arm_runs("pretrained", FAST), scratch, target=target)
        assert found.strongest is not None
        medians.append(found.strongest.online.median)
        assert f"scratch: 5 of 10 within {budget:,} steps; ratio 0.333 (≤ " in steps_text(found)

    assert medians == [700 / 2100] * 3


def test_fewer_runs_that_arrive_are_said_with_their_budget(target: Target) -> None:
    found = judged(arm_runs("pretrained", FAST), arm_runs("scratch", [*SLOW[:3], *[NEVER] * 7]), target=target)

    assert "scratch: 3 of 10 within 4,000 steps; the ratio is at most 0." in steps_text(found)


@pytest.mark.parametrize(("experts", "said"), [(0, False), (1, True), (10, False)])
def test_the_verdict_says_where_all_replicates_learned_from_one_trained_expert(experts: int, said: bool, target: Target) -> None:
    candidate = arm_runs("pretrained", FAST)
    clones = clones_of(candidate)
    own = [
        clone.model_copy(update={"expert_sha256": f"{i % experts:064d}" if experts else None})
        for i, clone in enumerate(clones.clones)
    ]

    found = judged(candidate, arm_runs("scratch", SLOW), target=target, clones=clones.model_copy(update={"clones": tuple(own)}))

    assert found.learned_experts == experts
    assert steps_text(found).endswith(" given the one learned expert") == said


# --- all-in -------------------------------------------------------------------------------------------------------------


def test_the_demonstrations_of_a_run_are_charged_to_it_in_the_all_in_ratio_only(target: Target) -> None:
    candidate = arm_runs("pretrained", FAST, demonstration_steps=0)
    runs = [run.model_copy(update={"demonstration_steps": 100 * (1 + run.seed)}) for run in candidate.runs]
    candidate = candidate.model_copy(update={"runs": tuple(runs)})

    (against,) = judged(candidate, arm_runs("scratch", SLOW), target=target).grid

    # 700, 1000, 1000, 1100, 1100, 1400, 1400, 1400, 1600, 1800: the fifth is the median
    assert (against.online.median, against.all_in.median) == (700 / 1900, 1100 / 1900)
    assert against.all_in.upper is not None and against.online.upper is not None
    assert against.all_in.upper > against.online.upper


def test_dear_demonstrations_do_not_fail_a_verdict_about_online_steps_but_are_said(target: Target) -> None:
    found = judged(arm_runs("pretrained", FAST, demonstration_steps=6000), arm_runs("scratch", SLOW), target=target)

    assert reasons(found) == (Outcome.PASS, set())
    (ratio,) = [check for check in found.verdict.checks if check.name == "ratio-upper"]
    assert ratio.text.startswith("online steps, pretrained: all 10 within 800 steps; ")
    assert all_in_text(found).startswith("All-in, with the steps that the demonstrations cost: 3.53 (≤ 3.")  # 6,700 / 1,900


# --- the end ------------------------------------------------------------------------------------------------------------


def measured(stl: float, success: int = 95) -> Score:
    return score(success).model_copy(update={"measures": {"stl": stl}})


def at_the_end(target: Target, ours: Score, theirs: Score, **clones: Score) -> tuple[Outcome, set[str]]:
    """A fast candidate that ends with `ours` against scratch that ends with `theirs`, both with good curves."""
    good = score(95, return_mean=500.0).model_copy(update={"measures": dict.fromkeys(ours.measures, 0.8)})
    bad = score(10).model_copy(update={"measures": dict.fromkeys(ours.measures, 0.0)})
    candidate = arm_runs("pretrained", FAST, exam=ours, good=good, bad=bad)
    scratch = arm_runs("scratch", SLOW, exam=theirs, good=good, bad=bad)
    return reasons(judged(candidate, scratch, target=target, clones=clones_of(candidate, **clones)))


def test_the_return_that_the_target_names_is_asked_of_the_last_checkpoint() -> None:
    target, low = Target(name="good", success_rate=0.9, return_mean=1.75), score(95, return_mean=1.0)

    assert at_the_end(target, low, low) == (Outcome.FAIL, {"final-return-target"})
    high = score(95, return_mean=1.80)
    assert at_the_end(target, high, high) == (Outcome.PASS, set())


def test_a_measure_that_the_target_names_is_asked_of_the_last_checkpoint() -> None:
    target = Target(name="good", success_rate=0.9, measures={"stl": 0.72})

    assert at_the_end(target, measured(0.50), measured(0.50)) == (Outcome.FAIL, {"final-stl-target"})
    assert at_the_end(target, measured(0.72), measured(0.72)) == (Outcome.PASS, set())


def test_success_and_harm_that_the_target_names_are_asked_of_the_last_checkpoint() -> None:
    target = Target(name="good", success_rate=0.9, harm_rate=0.05)

    assert at_the_end(target, score(84), score(84)) == (Outcome.FAIL, {"final-success-target"})
    assert at_the_end(target, score(86), score(86)) == (Outcome.PASS, set())  # within the margin of 0.05
    assert at_the_end(target, score(95, 8), score(95, 8)) == (Outcome.FAIL, {"final-harm-target"})


def test_what_is_better_than_scratch_but_worse_than_its_clone_and_expert_does_not_pass() -> None:
    target = Target(name="good", success_rate=0.9)
    ours, scratch, before = score(945, 150, 1000), score(860, 170, 1000), score(990, 20, 1000)

    assert at_the_end(target, ours, scratch, exam=before, expert=before) == (
        Outcome.FAIL,
        {"final-harm-clone", "final-harm-expert"},
    )
    assert at_the_end(target, ours, scratch) == (Outcome.PASS, set())  # clones and expert as bad as the candidate
    lower = score(930, 20, 1000)
    assert at_the_end(target, lower, scratch, exam=before, expert=before)[1] == {"final-success-clone", "final-success-expert"}


def test_a_return_below_that_of_scratch_does_not_pass() -> None:
    target = Target(name="good", success_rate=0.9)
    ours, scratch = score(95, return_mean=455.0), score(95, return_mean=500.0)

    assert at_the_end(target, ours, scratch) == (Outcome.FAIL, {"final-return-scratch"})
    near = score(95, return_mean=491.0)  # 2 % of the distance from the untrained policy, 0, to the expert, 491, are lost
    assert at_the_end(target, near, scratch) == (Outcome.PASS, set())


@pytest.mark.parametrize(
    ("ours", "theirs", "expected", "code"),
    [
        ((90, 0), (95, 0), Outcome.PASS, None),  # exactly the loss that is allowed
        ((89, 0), (95, 0), Outcome.FAIL, "final-success-scratch"),
        ((95, 2), (95, 0), Outcome.PASS, None),
        ((95, 3), (95, 0), Outcome.FAIL, "final-harm-scratch"),
        ((0, 0), (0, 0), Outcome.FAIL, "final-success"),
    ],
)
def test_the_end_must_not_be_worse_and_a_policy_that_never_succeeds_never_passes(
    ours: tuple[int, int], theirs: tuple[int, int], expected: Outcome, code: str | None, target: Target
) -> None:
    outcome, codes = at_the_end(target, score(*ours), score(*theirs))

    assert outcome == expected
    assert code is None or code in codes


def test_a_difference_that_only_its_bound_puts_in_doubt_is_a_hold(target: Target) -> None:
    candidate = arm_runs("pretrained", FAST)
    wobbly = with_exams(candidate, [score(100 if run.seed % 2 else 82) for run in candidate.runs])
    clones = clones_of(candidate, exam=score(80), expert=score(80))

    found = judged(wobbly, arm_runs("scratch", SLOW), target=target, clones=clones)

    assert reasons(found) == (Outcome.HOLD, {"final-success-scratch"})


def test_every_baseline_is_held_against_the_end(target: Target) -> None:
    better = arm_runs("tuned", [NEVER] * 10, exam=score(95, return_mean=2.0))

    found = judged(arm_runs("pretrained", FAST), arm_runs("scratch", SLOW), better, target=target)

    assert reasons(found) == (Outcome.FAIL, {"final-return-tuned"})


def test_without_the_record_of_the_clones_the_end_is_a_hold(target: Target) -> None:
    candidate, scratch = arm_runs("pretrained", FAST), arm_runs("scratch", SLOW)

    assert reasons(compare(candidate, [scratch], None, target, LIMITS)) == (Outcome.HOLD, {"final-missing"})
    others = clones_of(arm_runs("pretrained", FAST, seeds=range(50, 60)))
    assert reasons(compare(candidate, [scratch], others, target, LIMITS)) == (Outcome.HOLD, {"final-clone-missing"})


# --- runs that ended otherwise ------------------------------------------------------------------------------------------


def changed_run(arm: ArmRuns, **change: Any) -> ArmRuns:
    return arm.model_copy(update={"runs": (arm.runs[0].model_copy(update=change), *arm.runs[1:])})


def test_a_run_that_stopped_before_its_budget_without_its_target_is_a_hold(target: Target) -> None:
    scratch = arm_runs("scratch", [NEVER] * 10)
    scratch = changed_run(scratch, curve=scratch.runs[0].curve[:21], env_steps=2000)

    found = judged(arm_runs("pretrained", FAST), scratch, target=target)

    assert reasons(found) == (Outcome.HOLD, {"runs-stopped-early"})
    assert found.grid[0].baseline.passages[0].after == 2000  # what it was watched for, not its budget


@pytest.mark.parametrize(("status", "outcome", "expected"), [("frozen", "HOLD", Outcome.HOLD), ("stopped", "FAIL", Outcome.FAIL)])
def test_a_run_that_a_guardrail_ended_does_not_pass(status: str, outcome: str, expected: Outcome, target: Target) -> None:
    candidate = changed_run(arm_runs("pretrained", FAST), status=status, outcome=outcome, reasons=("nonfinite",))

    found = judged(candidate, arm_runs("scratch", SLOW), target=target)

    assert reasons(found) == (expected, {"guardrails"})
    assert f"seed 0 {status}: nonfinite" in found.verdict.reasons[0].text


def test_a_baseline_by_itself_has_no_ratio_and_no_pass(target: Target) -> None:
    scratch, matched = arm_runs("scratch", SLOW), arm_runs("matched", SLOW)

    found = compare(scratch, [scratch, matched], None, target, LIMITS)

    assert reasons(found) == (Outcome.HOLD, {"replicates-missing"})
    assert (found.grid, found.strongest, found.final, found.spread) == ((), None, {}, {})
    assert found.candidate.reached.runs == 10
    assert steps_text(found) == "no ratio: the baseline is not compared with itself"


# --- the record ---------------------------------------------------------------------------------------------------------


def test_the_order_of_runs_in_a_file_does_not_matter(target: Target) -> None:
    candidate, scratch = arm_runs("pretrained", FAST), arm_runs("scratch", SLOW)
    shuffled = candidate.model_copy(update={"runs": candidate.runs[::-1]})

    clones = clones_of(candidate)
    one, other = (judged(arm, scratch, target=target, clones=clones) for arm in (candidate, shuffled))
    assert other.candidate.passages == one.candidate.passages
    assert (other.grid, other.spread) == (one.grid, one.spread)
    assert other.verdict.outcome == one.verdict.outcome


def test_arms_of_two_scenarios_are_refused_by_name(target: Target) -> None:
    other = arm_runs("scratch", SLOW).model_copy(update={"scenario": "other"})

    with pytest.raises(InputError, match="pretrained and scratch cannot be compared: scenario: expected 'other', got 'walk'"):
        judged(arm_runs("pretrained", FAST), other, target=target)


def test_a_comparison_survives_json_and_carries_its_rules_and_evidence(target: Target) -> None:
    evidence = [Evidence(path="models/walk/baseline/scratch/runs.json", sha256="a" * 64)]
    candidate, baselines = arm_runs("pretrained", FAST), [arm_runs("scratch", SLOW), arm_runs("matched", SLOW)]

    found = compare(candidate, baselines, clones_of(candidate), target, LIMITS, evidence)

    assert Comparison.model_validate(json.loads(found.model_dump_json())) == found
    assert found.verdict.evidence == tuple(evidence)
    assert found.verdict.subject.id == "walk/pretrained/scratch/matched"
    rules = found.verdict.thresholds
    assert (rules["max_ratio"], rules["target_consecutive"], rules["margin_success"]) == (0.70, 3, 0.05)
    assert rules["margin_return"] == pytest.approx(
        0.02 * 1.0, abs=1e-6
    )  # of the distance from 0.0, untrained, to 1.0, the expert


def test_final_exams_are_pooled_over_seeds_in_both_modes(target: Target) -> None:
    exam = judged(arm_runs("pretrained", FAST, exam=score(93, 2)), arm_runs("scratch", SLOW), target=target).candidate.exams

    for mode in ("sampled", "deterministic"):
        assert (exam[mode].episodes, exam[mode].success, exam[mode].harm) == (1000, 930, 20)
        assert exam[mode].success_low < 0.93
        assert exam[mode].harm_high > 0.02


# --- a file that somebody edited ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("candidate", "old", "new", "message"),
    [
        (FAST, "PASS", "HOLD", "field verdict: outcome: expected PASS, which its checks give, got HOLD"),
        (FAST[:9], "HOLD", "PASS", r"field verdict.checks.0: check replicates: expected on_miss HOLD or FAIL, got PASS"),
        (SLOW[::-1], "FAIL", "PASS", r"expected on_miss HOLD or FAIL, got PASS"),
        (SLOW[::-1], "FAIL", "HOLD", r"check ratio-upper: expected .* \(FAIL, a miss is a FAIL\), as the findings give it, got .*HOLD"),
        (SLOW[::-1], '"name":"ratio-upper"', '"name":"ratio"', "check ratio-upper: expected .*, as the findings give it, got none"),
        (FAST, '"threshold":0.7', '"threshold":0.9', r"check ratio-upper: expected 0.\d+ <= 0.7 .* got 0.\d+ <= 0.9"),
    ],
)  # fmt: skip
def test_a_comparison_edited_to_another_verdict_is_refused(
    candidate: Sequence[int | None], old: str, new: str, message: str, target: Target
) -> None:
    found = judged(arm_runs("pretrained", candidate), arm_runs("scratch", SLOW[: len(candidate)]), target=target)
    text = found.model_dump_json()
    assert parse_record(text.encode(), Comparison, "a.json") == found

    with pytest.raises(InputError, match=f"^a.json: .*{message}.*; .*`headstart verify --repair`"):
        parse_record(text.replace(old, new).encode(), Comparison, "a.json")


def test_a_check_that_rests_on_the_runs_is_held_to_them(target: Target) -> None:
    candidate = changed_run(arm_runs("pretrained", FAST), status="stopped", outcome="FAIL", reasons=("nonfinite",))
    scratch = arm_runs("scratch", SLOW)
    found = judged(candidate, scratch, target=target)
    require_follows(found, [scratch, candidate], None, Path("a.json"))
    told = json.loads(found.model_dump_json())
    (check,) = (one for one in told["verdict"]["checks"] if one["name"] == "guardrails")
    assert (check["on_miss"], told["verdict"]["outcome"]) == ("FAIL", "FAIL")
    check["on_miss"] = told["verdict"]["outcome"] = "HOLD"
    edited = parse_record(json.dumps(told).encode(), Comparison, "a.json")

    with pytest.raises(IntegrityError, match=r"^a\.json: check guardrails: .*FAIL\), as the runs give it, got .*HOLD\); "):
        require_follows(edited, [scratch, candidate], None, Path("a.json"))


def test_every_record_in_git_follows_from_its_findings() -> None:
    records = sorted(Path("reports/evidence").glob("*.json"))

    assert len(records) >= 10
    for path in records:
        assert read_record(path, ExperimentRecord).comparisons
