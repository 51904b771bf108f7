"""The section beyond the target, and the ratio over scenarios: each figure with its interval, and what is missing is said."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.arms import with_exams
from tests.experiments import experiment_record, scored

from headstart.compare.arm_runs import ArmRuns
from headstart.compare.comparison import Comparison
from headstart.compare.levels import Ceiling, Ending, Interval, Steps
from headstart.compare.power import Power
from headstart.core.files import read_record
from headstart.runs.wall_clock import WallClock
from headstart.view.beyond import aggregate_text, areas_text, ceiling_text, clock_text, levels_table, power_text
from headstart.view.blocks import as_markdown, figures_of
from headstart.view.charts_ratio import performance
from headstart.view.report import read_report
from headstart.view.results import page

Results = Callable[..., Path]
FAST, SLOW, NEVER = [1] * 10, [8] * 10, [None] * 10


@pytest.fixture
def compared(results: Results) -> Callable[..., Comparison]:
    """A function as `results`, to the comparison."""

    def make(*reach: Any, **given: Any) -> Comparison:
        return read_record(results(*reach, **given) / "reports/evaluate/walk/beyond.json", Comparison)

    return make


def with_beyond(found: Comparison, **changes: Any) -> Comparison:
    assert found.beyond is not None
    return found.model_copy(update={"beyond": found.beyond.model_copy(update=changes)})


def clocked(candidate: Sequence[float], scratch: Sequence[float], interrupted: int = 0, machines: int = 1) -> WallClock:
    theirs = np.array(scratch)
    return WallClock(Steps(np.array(candidate), theirs, np.minimum(theirs, 60.0)), interrupted, machines)


# --- the section of the report ----------------------------------------------------------------------------------------


def test_the_headline_is_the_target_that_the_recipe_of_the_scenario_names(results: Results) -> None:
    root = results(FAST, SLOW)
    found = read_record(root / "reports/evaluate/walk/beyond.json", Comparison)
    easier = found.model_copy(update={"target": found.target.model_copy(update={"name": "easier"})})
    (root / "reports/evaluate/walk/easier.json").write_text(easier.model_dump_json())
    scenario = root / "scenarios/walk.yaml"
    easy = scenario.read_text().replace("targets: {", "targets: {easier: {success_rate: 0.5}, ")
    scenario.write_text(easy + "recipe: {comparison: {target: easier}}\n")

    assert "the strongest baseline for easier. These figures" in read_report(root, "walk").text


def test_the_report_has_the_section_once_for_the_headline_and_says_that_the_logs_are_not_there(results: Results) -> None:
    root = results(FAST, SLOW)
    found = read_record(root / "reports/evaluate/walk/beyond.json", Comparison)
    easier = found.model_copy(update={"target": found.target.model_copy(update={"name": "easier"})})
    (root / "reports/evaluate/walk/easier.json").write_text(easier.model_dump_json())

    made = read_report(root, "walk")
    text, figures = made.text, {figure.name for figure in figures_of(made.sections)}

    assert text.count("## Beyond the target") == 1
    assert "pretrained against scratch, the strongest baseline for beyond. These figures decide no verdict" in text
    assert "* Seconds to target: not known, since the telemetry of these runs is not there; `dvc pull` brings it." in text
    assert "![Share of seeds whose return in the exam is at least a level](report/profile_beyond.png)" in text
    assert "profile_beyond" in figures and "profile_easier" not in figures


def test_the_levels_are_rows_with_arrivals_and_bounds(compared: Callable[..., Comparison]) -> None:
    text = as_markdown(levels_table(compared(FAST, [*SLOW[:4], *NEVER[:6]])))

    head, _, *rows = text[text.index("| mean return") :].split("\n\n")[0].splitlines()
    assert head == "| mean return at least | pretrained there | scratch there | ratio of medians | 95 % upper bound |"
    assert len(rows) == 10
    # From scratch's return at its start, 0.2 less a nudge, up to 1.8: the candidate is there at 1,000 steps, four of scratch after 7,000.
    assert rows[0] == "| 0.200 | 10 of 10 | 5 of 10 | not estimable | not estimable |"
    assert rows[5] == "| 1.088 | 10 of 10 | 4 of 10 | not estimable | 0.143 |"


def test_a_level_that_the_clones_have_is_met_before_training(compared: Callable[..., Comparison]) -> None:
    text = as_markdown(levels_table(compared([0] * 10, SLOW)))

    assert "10 of 10 | 10 of 10 | met before training | – |" in text
    assert "0.000 |" not in text


def test_the_ceiling_says_where_the_curve_falls_below_and_what_both_end_at(compared: Callable[..., Comparison]) -> None:
    ends = [Ending(runs=n, return_median=r, harm_median=h) for n, r, h in ((10, 1.81, 0.006), (10, 1.7, 0.18), (3, 1.9, 0.02))]
    one = Ceiling(env_steps=12_000, not_below=0.75, first_below=9000, candidate=ends[0], scratch=ends[1], scratch_best=ends[2])
    found = with_beyond(compared(FAST, SLOW), ceiling=one)

    assert ceiling_text(found) == (
        "Ceiling: the median return of pretrained is at least that of scratch at 75 % of the evaluations up to 12,000 env steps, where the "
        "shortest run ends, and below it first at 9,000. Medians over runs at the exam: pretrained, after up to 12,000 steps, return 1.810 and "
        "harm 0.006; scratch, after up to 12,000, return 1.700 and harm 0.180; the 3 of its runs with the best last evaluation, return 1.900 "
        "and harm 0.020."
    )
    always = with_beyond(found, ceiling=one.model_copy(update={"not_below": 1.0, "first_below": None}))
    assert "at least that of scratch at every evaluation up to 12,000 env steps, where" in ceiling_text(always)


def test_areas_stand_with_their_intervals(compared: Callable[..., Comparison]) -> None:
    areas = {"return": Interval(mean=0.9, low=0.8, high=1.0), "success": Interval(mean=0.5, low=-0.1, high=0.6)}
    found = with_beyond(compared(FAST, SLOW), areas=areas)

    assert areas_text(found) == (
        "Area between the curves, pretrained − scratch, mean over 0 to 12,000 env steps: success +0.500 (95 % interval -0.100 to +0.600), "
        "return +0.900 (95 % interval +0.800 to +1.000)."
    )
    assert areas_text(with_beyond(found, areas={})) == ""


def test_power_is_said_once_planned_and_with_the_spread_of_the_runs(compared: Callable[..., Comparison]) -> None:
    planned, reached = (Power(share=s, low=s - 0.04, high=s + 0.04, experiments=400) for s in (0.4, 0.81))
    found = with_beyond(compared(FAST, SLOW), planned_power=planned, reached_power=reached)

    text = power_text(found)
    assert "40 % of 400 simulated experiments of this size with a true ratio of 0.5 gave a bound of at most 0.7, and 81 %" in text
    assert "81 %" not in power_text(with_beyond(found, reached_power=None)) and "interval" not in text


def test_a_baseline_by_itself_has_no_figures_and_says_so(results: Results) -> None:
    text = read_report(results(None, SLOW), "walk").text

    assert "## Beyond the target\n\nscratch alone: nothing to compare it with." in text
    assert "profile_" not in text


# --- seconds ----------------------------------------------------------------------------------------------------------


def test_seconds_have_a_ratio_of_medians_a_bound_and_both_medians(compared: Callable[..., Comparison]) -> None:
    found = compared(FAST, SLOW)

    text = clock_text(found, clocked([3.0] * 10, [12.0] * 10))
    assert text.startswith("Seconds to target: ratio 0.250 (≤ 0.250), medians: pretrained 3.0, scratch 12.0. ")
    assert "without recording and cloning" in text and "interrupted" not in text


def test_seconds_of_runs_that_never_arrived_give_a_bound_only(compared: Callable[..., Comparison]) -> None:
    text = clock_text(compared(FAST, SLOW), clocked([3.0] * 10, [np.inf] * 10, interrupted=2))

    assert "ratio not estimable (≤ 0.050), medians: pretrained 3.0, scratch not reached by half." in text
    assert "Runs that were interrupted: 2; the time until they went on is left out." in text


def test_seconds_of_a_target_that_the_clones_meet_and_of_different_machines_have_no_ratio(
    compared: Callable[..., Comparison],
) -> None:
    found = compared(FAST, SLOW)

    assert "ratio met before training, medians: pretrained 0.0, scratch 12.0." in clock_text(
        found, clocked([0] * 10, [12.0] * 10)
    )
    other = clock_text(found, clocked([3.0] * 10, [12.0] * 10, machines=2))
    assert other == "Seconds to target: not compared, since the arms ran on different machines."


# --- the figure -------------------------------------------------------------------------------------------------------


def test_the_profile_shows_the_share_of_runs_at_or_above_each_return(make_arm: Callable[..., ArmRuns]) -> None:
    returns = [1.0, 1.0, 1.5, 2.0, 2.0]
    ours = with_exams(make_arm("pretrained", [1] * 5), [scored(90, value) for value in returns])
    theirs = with_exams(make_arm("scratch", [1] * 2), [scored(90, value) for value in (0.5, 1.5)])

    spec = performance([theirs, ours], "sampled")

    line, band = (layer["data"]["values"] for layer in spec["layer"])
    steps = {
        arm: [(row["level"], row["share"]) for row in sorted(line, key=lambda row: row["place"]) if row["arm"] == arm]
        for arm in ("pretrained", "scratch")
    }
    assert spec["layer"][0]["mark"]["interpolate"] == "step-before"  # the share at a return holds down to the next lower one
    assert steps == {
        "pretrained": [(0.5, 1.0), (1.0, 1.0), (1.5, 0.6), (2.0, 0.4), (2.0, 0.0), (2.0, 0.0)],
        "scratch": [(0.5, 1.0), (0.5, 1.0), (1.5, 0.5), (1.5, 0.0), (2.0, 0.0)],
    }
    assert {row["arm"] for row in band} == {"pretrained"}  # five runs; two have no band


def test_the_profile_falls_at_the_runs_own_returns_and_nowhere_before(make_arm: Callable[..., ArmRuns]) -> None:
    """Between two points of a grid of 41 from −0.953 to 1.825 lie several runs."""
    returns = [-0.953, 0.303, 0.308, 0.317, 0.335, 0.344, 0.354, 0.354, 0.359, 0.362]
    high = with_exams(make_arm("pretrained", [1] * 10), [scored(90, 1.786 + i / 250) for i in range(10)])
    low = with_exams(make_arm("scratch", [1] * 10), [scored(90, value) for value in returns])

    line, band = (layer["data"]["values"] for layer in performance([low, high], "sampled")["layer"])

    def share(arm: str, x: float) -> float:
        rows = [row for row in line if row["arm"] == arm and row["level"] >= x]
        return float(min(rows, key=lambda row: row["place"])["share"])

    for x in (-0.953, 0.0, 0.304, 0.3, 0.354, 0.3541, 0.362):
        assert share("scratch", x) == pytest.approx(sum(value >= x for value in returns) / 10), x
    assert share("scratch", 0.3621) == 0
    assert share("pretrained", 1.786) == 1
    assert min(row["level"] for row in line if row["arm"] == "scratch" and row["share"] == 0) == 0.362
    edge = max(row["level"] for row in band if row["arm"] == "scratch" and row["high"] > 0)
    assert abs(edge - 0.362) <= (1.822 + 0.953) / 400  # a step of the band's grid


# --- the page of results ----------------------------------------------------------------------------------------------


def test_the_page_has_the_ceiling_and_the_areas_of_every_experiment(compared: Callable[..., Comparison]) -> None:
    found = compared(FAST, SLOW)

    text = page([experiment_record(found)], {"walk_again": True})

    assert ceiling_text(found) in text and areas_text(found) in text
    assert "Over scenarios" not in text  # there is one


def test_one_experiment_of_each_scenario_is_in_the_ratio_over_scenarios(compared: Callable[..., Comparison]) -> None:
    quick, slow = compared([2] * 10, [9] * 10), compared([4] * 10, [5] * 10)  # 2/8 and 4/4
    ablation = quick.model_copy(update={"candidate": quick.candidate.model_copy(update={"arm": "no_kl"})})
    records = [
        experiment_record(slow, "a_first"),
        experiment_record(quick, "walk"),  # named like its scenario
        experiment_record(slow, "run").model_copy(update={"scenario": "run"}),
        experiment_record(ablation, "fly").model_copy(update={"scenario": "fly"}),
    ]

    text = page(records, {record.name: True for record in records})

    assert "Over scenarios, the geometric mean of the ratios of run, walk: 0.500 (95 % interval 0.500 to 0.500; against" in text
    assert "Left out" not in text
    assert text.index("Over scenarios") < text.index("## a_first")


def test_scenarios_without_a_ratio_are_named_and_none_is_said(compared: Callable[..., Comparison]) -> None:
    quick, none, before = compared([2] * 10, [9] * 10), compared(NEVER, SLOW), compared([0] * 10, SLOW)

    text = aggregate_text({"walk": quick, "run": none, "fly": before})
    assert "the ratios of walk: 0.250" in text
    assert text.endswith("Left out, since there is no ratio or the clones meet the target: run, fly.")
    assert aggregate_text({"run": none, "fly": before}).startswith("Over scenarios: no ratio.")


def test_the_interval_over_scenarios_may_have_no_upper_end(compared: Callable[..., Comparison]) -> None:
    half = compared([2, 2, 2, 2, 2, 2, *NEVER[:4]], [9] * 10)

    assert " to no upper end; against" in aggregate_text({"walk": half, "run": compared([2] * 10, [9] * 10)})
