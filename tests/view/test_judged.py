"""A verdict in words: what its outcome asks for, why there is only a bound, where the candidate loses, and what answers each reason."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.arms import clones_of
from tests.experiments import scored
from tests.view.test_report import FAST, NEVER, SLOW, Results, ran, rows_below
from tests.view.test_shift import FOUND

from headstart.compare.arm_runs import ArmRuns, CloneRuns
from headstart.compare.comparison import Comparison
from headstart.compare.ratio import Difference
from headstart.compare.variants import variant_checks
from headstart.core.files import read_record, write_record
from headstart.core.verdict import About, Check, Outcome
from headstart.view.ends import difference_cell, ends_tables
from headstart.view.glossary import TERMS
from headstart.view.helped import helped
from headstart.view.judged import how_sure, meaning
from headstart.view.next_steps import next_steps
from headstart.view.report import read_report

DENSE = (
    "| dense | – | **not shown: success 0.900 against 0.850 "
    "(+0.050, bound not known: too few replicates; for the bound: PASS ≥ -0.05, FAIL < -0.15)**; "
    "**worse: harm 0.173 against 0.066 (+0.107, bound +0.121; for the bound: PASS ≤ 0.05, FAIL > 0.15)** |"
)
GUARDRAIL = Check(
    name="guardrails",
    measured=1,
    direction="<=",
    threshold=0,
    passed=False,
    text="runs with a guardrail open or broken: seed 3 completed: harm_rise: still open at the end",
    on_miss=Outcome.HOLD,
)


def compared(root: Path) -> Comparison:
    return read_record(root / "reports/evaluate/walk/beyond.json", Comparison)


def with_checks(found: Comparison, *checks: Check) -> Comparison:
    verdict = found.verdict.model_copy(update={"checks": (*found.verdict.checks, *checks), "outcome": Outcome.HOLD})
    return found.model_copy(update={"verdict": verdict})


def lost() -> list[Check]:
    return [
        check for check in variant_checks(FOUND.variants[0], "pretrained", "scratch", FOUND.limits.margins) if not check.passed
    ]


def test_a_difference_of_shares_lies_within_one_and_that_of_returns_does_not() -> None:
    wide = Difference(mean=0.966, low=-1.2, high=1.001)

    assert difference_cell(wide, "success") == "+0.966 (≥ -1.000)"
    assert difference_cell(wide, "harm") == "+0.966 (≤ +1.000)"
    assert difference_cell(wide, "return") == "+0.966 (≥ -1.200)"


def test_the_glance_has_the_mean_beside_the_iqm_and_the_time_with_what_came_before(results: Results) -> None:
    root = results(FAST, SLOW)
    for stage, arm in (("capture", None), ("bc_train", None), ("anneal", "pretrained"), ("baseline", "scratch")):
        ran(root / "reports/walk" / stage / (arm or ""), "2025-01-01T00:00:00Z", "1" * 40, stage=stage, arm=arm)

    text = read_report(root, "walk").text

    (ours, theirs) = rows_below(text[text.index("## At a glance") :], "| arm |")
    assert ours.split(" | ")[5:7] == ["1.800", "1.800"] and ours.endswith("| 1,235 s; all-in 3,704 s |")  # 3 · 1,234.56
    assert theirs.endswith("| 1,235 s |")
    assert "for all seeds: capture 1,234.6, bc_train 1,234.6 s." in text


def test_a_baseline_that_never_arrived_is_said_beside_the_bound_and_what_the_bound_is_made_of(results: Results) -> None:
    assert helped(compared(results(FAST, NEVER))) == (
        "Yes: pretrained needed at most 0.083 (95 % upper bound) of the env steps of scratch, the strongest baseline, to reach beyond (limit "
        "0.7), and at most 0.500 all-in, with the steps that the demonstrations cost; 10 of 10 seeds got there. "
        "scratch never arrived (0 of 10 seeds within its budget of 12,000 env steps), so the ratio is not "
        "known, "
        "only bounded: the 1,000 env steps of pretrained (median) over that budget."
    )  # 1,000 ÷ 12,000


def test_a_baseline_of_which_few_arrived_is_not_called_absent(results: Results) -> None:
    text = helped(compared(results(FAST, [*SLOW[:3], *NEVER[:7]])))

    assert (
        "Of scratch only 3 of 10 seeds arrived within its budget of 12,000 env steps, so the ratio is not known, only bounded"
        in text
    )
    assert "never" not in text
    assert "bounded" not in helped(compared(results(FAST, SLOW)))


def test_a_hold_says_that_a_person_decides_and_about_what(results: Results) -> None:
    found = with_checks(compared(results(FAST, SLOW)), GUARDRAIL, *lost())

    assert meaning(found, FOUND) == (
        "HOLD: what was measured stands, but a person decides before pretrained is used, because of: on dense pretrained may succeed less "
        "and harms more than its own clones; a guardrail that was open or broken at the end of a run."
    )


def test_every_reason_has_its_own_step_and_the_flagged_seed_is_played(results: Results) -> None:
    found = with_checks(compared(results(FAST, SLOW)), GUARDRAIL, *lost())

    steps = next_steps(found, "headstart play walk --policy seed-3", [3], FOUND)

    assert [step.command for step in steps] == [
        "headstart play walk --variant dense --policy models/walk/anneal/pretrained/seed-3 --against models/walk/bc/seed-3 "
        "--html walk-dense.html",
        "",
        "",
        "headstart explain walk/pretrained/seed-3",
    ]
    assert "`variants.dense`" in steps[1].why and "`scenarios/walk.yaml`" in steps[1].why
    assert steps[2].why == (
        "Until then: where worlds may be like dense, use the clone (`models/walk/bc`) in place of pretrained, or say with pretrained that it "
        "must not be used there."
    )
    (played,) = next_steps(with_checks(compared(results(FAST, SLOW)), GUARDRAIL), "headstart play walk --policy seed-3", [3])[1:]
    assert (played.why, played.command) == (
        "See what it does with seed 3, in the ordinary world:",
        "headstart play walk --policy seed-3",
    )


def test_a_record_whose_checks_do_not_say_what_they_are_about_has_the_same_answers_in_other_words(results: Results) -> None:
    root = results(FAST, SLOW)
    old = [check.model_copy(update={"about": None}) for check in lost()]
    write_record(root / "reports/evaluate/walk/beyond.json", with_checks(compared(root), *old))
    write_record(root / "reports/evaluate/walk/shift.json", FOUND)

    text = read_report(root, "walk").text

    assert rows_below(text, "| in other worlds") == [DENSE]
    assert "because of: on dense pretrained may succeed less and harms more than its own clones." in text
    assert "Until then: where worlds may be like dense, use the clone" in text


def test_a_loss_in_a_variant_is_named_by_variant_measure_and_other_whatever_their_names(results: Results) -> None:
    (_, harm) = lost()
    about = About(variant="shift-harm-very-dense", measure="harm", other="success-clone")
    found = with_checks(compared(results(FAST, SLOW)), harm.model_copy(update={"about": about, "text": "harm on elsewhere: x"}))

    assert meaning(found).endswith("because of: on shift-harm-very-dense pretrained may harm more than success-clone.")
    assert "`variants.shift-harm-very-dense`" in next_steps(found, None)[0].why


@pytest.mark.parametrize(("other", "cure"), [("clone", "so it was lost in PPO"), ("scratch", "record the expert in such worlds")])
def test_what_the_clones_can_do_is_kept_by_ppo_and_what_they_lack_is_recorded(results: Results, other: str, cure: str) -> None:
    (_, harm) = lost()
    about = About(variant="dense", measure="harm", other=other)
    found = with_checks(compared(results(FAST, SLOW)), harm.model_copy(update={"about": about, "name": "old"}))

    assert cure in next_steps(found, None)[0].why


def test_baselines_that_tie_are_said_and_why_it_is_this_one(results: Results) -> None:
    tied = "the strongest baseline (both baselines give 0.083; scratch is listed first), to reach"

    assert tied in helped(compared(results(FAST, NEVER, {"matched": NEVER})))
    assert "listed first" not in helped(compared(results(FAST, SLOW, {"matched": [5] * 10})))


def test_the_bound_says_by_which_test_and_how_many_wins_that_asks_for(results: Results) -> None:
    never = how_sure(compared(results(FAST, NEVER)))

    assert "10 runs of pretrained against 10 of scratch; no run of scratch arrived, so it is the exact binomial test" in never
    assert "at least 9 of 10 took less than that part of the budget of scratch; docs/concepts.md." in never  # 8 of 10: 5.5 %
    assert "a rank test" in how_sure(compared(results(FAST, SLOW)))
    assert "all 10 within" not in never  # which By how much? says


def test_what_happens_in_variants_stands_on_the_first_screen(results: Results) -> None:
    root = results(FAST, SLOW)
    write_record(root / "reports/evaluate/walk/beyond.json", with_checks(compared(root), *lost()))
    write_record(root / "reports/evaluate/walk/shift.json", FOUND)

    text = read_report(root, "walk").text

    first = text[: text.index("## The task")]
    assert rows_below(first, "| in other worlds") == [DENSE]


def test_the_task_and_what_each_arm_was_given_are_said(results: Results) -> None:
    root = results(FAST, SLOW, {"matched": [5] * 10})
    path = root / "scenarios/walk.yaml"
    path.write_text("# Somebody walks\n# home.\n#\n# Not this.\n" + path.read_text().strip() + "\n")

    text = read_report(root, "walk").text
    task = text[text.index("## The task") : text.index("## At a glance")]

    assert "Somebody walks home. World `town`; an episode lasts 8 steps at most." in task
    assert "An episode is a success where `every eats >= 1`. It counts as harm where `sum faints > 0`." in task
    assert "Of an agent, `eats`: meals eaten; `faints`: whether hunger or energy fell so low" in task and "`presses`" not in task
    assert [row.split(" | ")[1:2] + row.split(" | ")[3:] for row in rows_below(task, "| arm |")] == [
        ["a clone of the expert", "none on record", "12,000", "5,000 |"],
        ["random weights", "not tuned", "12,000", "none |"],
        ["random weights", "not tuned", "12,000", "none |"],
    ]
    assert "Not this" not in text


def test_the_clones_and_their_expert_stand_beside_the_arms_one_expert_once(
    results: Results, make_arm: Callable[..., ArmRuns]
) -> None:
    clones: CloneRuns = clones_of(make_arm("pretrained", [1] * 3))
    experts = [clones.clones[0].expert] * 3
    known = clones.model_copy(
        update={
            "clones": tuple(
                one.model_copy(
                    update={"expert": expert, "exam": {"sampled": scored(90, 1.0 + i), "deterministic": scored(80, 1.0)}}
                )
                for i, (one, expert) in enumerate(zip(clones.clones, experts, strict=True))
            )
        }
    )

    table = ends_tables([compared(results(FAST, SLOW))], known)[0]

    rows = {row[0]: row[1:] for row in table.rows}
    n = scored(90, 1.0).episodes
    assert rows["the clones"][0].startswith(f"{90 / n:.3f} (≥ ") and rows["the clones"][0].endswith(f"n = {3 * n:,})")
    assert rows["the clones"][1] == f"{80 / n:.3f}"
    assert experts[0] is not None
    assert rows["the expert"][0].endswith(f"n = {experts[0].episodes:,})") and rows["the expert"][1] == "–"


def test_a_second_target_names_only_the_reasons_that_the_verdict_has_not(results: Results) -> None:
    root = results(FAST, SLOW)
    held = GUARDRAIL.model_copy(update={"name": "held"})  # `guardrails` has to follow from the runs
    found = with_checks(compared(root), held)
    write_record(root / "reports/evaluate/walk/beyond.json", found)
    other = GUARDRAIL.model_copy(update={"name": "own", "text": "a reason of its own"})
    easier = with_checks(found, other).model_copy(update={"target": found.target.model_copy(update={"name": "easier"})})
    write_record(root / "reports/evaluate/walk/easier.json", easier)

    text = read_report(root, "walk").text

    assert text.count(GUARDRAIL.text) == 1
    below = text[text.index("### easier: HOLD") :]
    assert "HOLD because of 1 reason that the verdict above names, and:" in below and "* HOLD: a reason of its own" in below


def test_the_glossary_has_twenty_entries_at_most_and_defines_the_words_of_the_verdict() -> None:
    words = {word for term in TERMS for word in term.split(" / ")}

    assert len(TERMS) <= 20
    assert words >= {
        "PASS",
        "HOLD",
        "FAIL",
        "success",
        "harm",
        "return",
        "world",
        "closed loop",
        "bc_weight",
        "P(fewer steps)",
        "variant",
    }


@pytest.mark.parametrize(("n", "said"), [(4, None), (40, "they repeat use least: 0.0% of 40.")])
def test_the_worst_action_is_named_only_where_it_was_decided_often(
    results: Results, n: int, said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headstart.view import clones

    made: dict[str, Any] = {"wait": {"wait": 50}, "use": {"wait": n}}
    finding = clones._matrix(made).finding

    assert (said in finding) if said else ("use least" not in finding)
