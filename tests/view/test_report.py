"""The report says what the records say: outcome, numbers, what is censored, what is missing; its figures are there or named."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headstart.compare.arm_runs import ArmRuns
from headstart.compare.comparison import Comparison
from headstart.compare.shift import ShiftFindings, ShiftLimits
from headstart.core.errors import InputError
from headstart.core.files import read_record, write_record
from headstart.core.run_record import Circumstances, RunRecord
from headstart.view.blocks import figures_of
from headstart.view.comparison import styled
from headstart.view.report import NO_FIGURES, read_report, write_report

Results = Callable[..., Path]
FAST, SLOW, NEVER = [1] * 10, [8] * 10, [None] * 10


def test_a_proven_head_start_reads_as_pass_with_both_ratios(results: Results) -> None:
    text = read_report(results([1, 1, 1, 1, 1, 1, 1, 1, 1, 2], SLOW), "walk").text

    assert "## beyond: PASS" in text
    assert (
        "Online steps: pretrained: all 10 within 2,000 steps; scratch: all 10 within 8,000 steps; ratio 0.143 (≤ 0.143)." in text
    )
    assert "All-in, with the steps that the demonstrations cost: 0.86 (≤ 0.86)." in text
    assert "| 9 | 1,000 to 2,000 | 7,000 to 8,000 |" in text
    assert "| pretrained | 10 of 10 | 1,000 |" in text
    assert "| scratch | 10 of 10 | 8,000 |" in text
    assert [row.split(" (")[0] for row in rows_below(text, "| exam |")] == ["| pretrained | 0.950", "| scratch | 0.950"]
    assert "Open arrow" not in text


def test_every_baseline_is_a_row_the_strongest_first(results: Results) -> None:
    text = read_report(results(FAST, SLOW, {"matched": [5] * 10, "tuned": NEVER}), "walk").text

    assert rows_below(text, "| against |") == [
        "| matched | 12,000 | 0.250 | 0.250 | 1.500 | 1.500 | 1.00 |",
        "| scratch | 12,000 | 0.143 | 0.143 | 0.857 | 0.857 | 1.00 |",
        "| tuned | 12,000 | not estimable | 0.083 | not estimable | 0.500 | 1.00 |",
    ]
    assert "| 9 | 0 to 1,000 | 4,000 to 5,000 | 7,000 to 8,000 | > 12,000 |" in text


def test_the_end_stands_beside_the_target_the_clones_the_expert_and_the_baselines_in_one_order(results: Results) -> None:
    text = read_report(results(FAST, SLOW, {"matched": [5] * 10}), "walk").text

    head, _, *rows = text[text.index("| final policies") :].split("\n\n")[0].splitlines()
    assert head == "| final policies, pretrained − | success (margin 0.05) | harm (margin 0.02) | return (margin 0.036) |"
    target = "| target beyond (margins return 0.036, success 0.05)"
    assert [row.split(" | ")[0] for row in rows] == [target, "| clone", "| expert", "| matched", "| scratch"]
    assert rows[0] == f"{target} | +0.050 (≥ +0.050) | – | +0.300 (≥ +0.299) |"  # 0.95 − 0.90, and 1.80 − 1.50
    assert "e-1" not in "".join(rows)


def test_the_spread_between_clones_is_a_table_where_seeds_share_them(results: Results) -> None:
    text = read_report(results([1, 2, 1, 1, 2, 1], [8] * 6, clones=3), "walk").text

    assert "| standard deviation of | clones | runs | between clones | between seeds of one clone |" in text
    assert "| log steps to target | 3 | 6 | 0.4 | 0 |" in text  # ln 2 · √(1/3): means 0, ln 2, 0
    assert "standard deviation" not in read_report(results(FAST, SLOW), "walk").text


def test_too_few_seeds_read_as_hold_and_why(results: Results) -> None:
    text = read_report(results([1, 1], [8, 8]), "walk").text

    assert "## beyond: HOLD" in text
    assert "* HOLD: 2 runs from 2 clones; fewer than 10 replicates cannot show a ratio" in text
    assert "no band, since 2 seeds are fewer than 5" in text


def test_censored_seeds_are_marked_and_counted_with_their_budget(results: Results) -> None:
    text = read_report(results(FAST, [*SLOW[:3], *NEVER[:7]]), "walk").text

    assert "| 0 | 0 to 1,000 | 7,000 to 8,000 |" in text
    assert "| 9 | 0 to 1,000 | > 12,000 |" in text
    assert "scratch: 3 of 10 within 12,000 steps; the ratio is at most 0." in text
    assert "| scratch | 3 of 10 | not reached by half |" in text
    assert "there is no ratio, only an upper bound of it" in text
    assert "Open arrow: a seed that never reached beyond." in text


def test_a_target_that_the_clones_meet_has_no_ratio(results: Results) -> None:
    text = read_report(results([0] * 10, SLOW), "walk").text

    assert "## beyond: PASS" in text
    assert (
        "pretrained: met before training (0 steps); scratch: all 10 within 8,000 steps; no ratio: the clones meet beyond" in text
    )
    assert rows_below(text, "| against |") == ["| scratch | 12,000 | met before training | – | 0.714 | 0.714 | 1.00 |"]
    assert "| 0 | 0 (met before training) | 7,000 to 8,000 |" in text
    assert "0.000" not in text[text.index("## Steps to target") : text.index("## Safety")]


def test_a_number_that_is_missing_is_said_and_never_zero(results: Results) -> None:
    text = read_report(results([*FAST[:9], None], NEVER), "walk").text

    assert "* HOLD: seeds of pretrained that never reached beyond: 9" in text
    assert "| 9 | > 12,000 | > 12,000 |" in text
    assert "| scratch | 0 of 10 | not reached by half |" in text
    nothing = read_report(results(NEVER, NEVER), "walk").text
    assert "no ratio can be shown" in nothing
    for word in ("None", "nan", "inf"):
        assert not re.search(rf"\b{word}\b", text + nothing), word


def test_the_baseline_alone_has_no_ratio_and_no_figure_of_steps(results: Results) -> None:
    path = write_report(results(None, SLOW, {"matched": [5] * 10}), "walk")

    text = path.with_name("report.md").read_text()
    assert "## beyond: HOLD" in text
    assert "no ratio: the baseline is not compared with itself." in text
    assert "All-in" not in text
    assert "scratch is described alone: there is nothing to compare it with" in text
    assert (path.parent / "report/curves_return.png").exists()
    assert not (path.parent / "report/steps_beyond.png").exists()


def test_continuous_actions_have_no_matrix(results: Results) -> None:
    made = read_report(results(FAST, SLOW, continuous=True), "walk")

    explained = "0.938 of the variance of the expert's action explained (a constant action: 0)"
    within = "all within 0.15 in 0.750 of held-out steps (best constant action 0.700)"
    assert f"Imitation, means: {explained}, {within}. Expert in" in made.text
    assert "| 1 | 0.500 | 0.125 | 0.938 | 0.875 | 0.250 |" in made.text
    assert "| 2 | 0.000 | 0.010 | the expert never varies it | 1.000 | 1.000 |" in made.text
    assert "| 0 | PASS | 0.938 | 0.800 | – | 0.900 |" in made.text
    assert "confusion" not in {figure.name for figure in figures_of(made.sections)}


def test_every_clone_is_a_row_with_its_gate_and_a_bad_one_is_in_the_heading(results: Results) -> None:
    text = read_report(results(FAST, SLOW), "walk").text

    assert "## Clones: FAIL" in text
    assert rows_below(text, "| seed | gate |") == [
        "| 0 | PASS | 0.800 | 0.440 | – | 0.900 | 0.040 | 1.400 |",
        "| 1 | FAIL | 0.700 | 0.440 | – | 0.900 | 0.040 | 1.400 |",
    ]
    assert "held-out accuracy 0.750 (best constant action 0.700), macro-F1 0.440." in text


def rows_below(text: str, head: str) -> list[str]:
    """The rows of the table whose first line begins with `head`."""
    table = text[text.index(head) :].split("\n\n")[0]
    return table.rstrip().splitlines()[2:]


def test_the_report_says_whether_shift_was_measured(results: Results) -> None:
    root = results(FAST, SLOW)
    assert "## Distribution shift\n\nNot measured." in read_report(root, "walk").text

    missing = ShiftFindings(
        candidate="pretrained", scratch="scratch", limits=ShiftLimits(), missing=("the clones recorded no facts",)
    )
    write_record(root / "reports/evaluate/walk/shift.json", missing)

    assert "## Distribution shift\n\nNot measured: the clones recorded no facts." in read_report(root, "walk").text
    assert "no shifted variant was measured" in read_report(root, "walk").text


def test_the_dataset_is_described_by_its_quality(results: Results) -> None:
    text = read_report(results(FAST, SLOW), "walk").text

    assert (
        "| of the worlds of the accepted agent episodes, slips included | success 0.900, harm 0.100, mean return 1.500 |" in text
    )
    assert "| rejected: too-short | 1 agent episode |" in text
    assert "2 agent episodes (30 env steps) accepted, 1 rejected, in 2 blocks" in text


def test_the_report_says_how_much_tuning_each_arm_got_and_whether_it_was_fair(results: Results) -> None:
    root = results(FAST, SLOW, {"matched": [5] * 10})
    assert (
        "* Tuning: no search by `headstart tune` is on record for pretrained, matched, scratch.\n"
        in read_report(root, "walk").text
    )

    record = root / "reports/tuning/walk/pretrained.json"
    record.parent.mkdir(parents=True)
    record.write_bytes((Path(__file__).parents[2] / "reports/tuning/queue_conflict/pretrained.json").read_bytes())
    assert (
        "* Tuning, searches by `headstart tune`: pretrained: 16 trials, 6.0 M steps; matched: none on record; scratch: none on "
        "record. Not fair to scratch: scratch has not been tuned, pretrained has: 16 trials, 6.0 M steps.\n"
    ) in read_report(root, "walk").text


# --- provenance -------------------------------------------------------------------------------------------------------


def ran(folder: Path, started_at: str, revision: str | None, dirty: bool | None = False, **other: Any) -> None:
    """Write the record of a run into `folder`."""
    circumstances = Circumstances(
        started_at=started_at, seconds=1234.56, host="here", cpus=2, versions={}, git_revision=revision, git_dirty=dirty
    )
    fields = {"stage": "curate", "arm": None, "status": "completed", "diagnostics": (), "code_sha256": "abcd" * 16} | other
    empty: dict[str, Any] = {"inputs": {}, "parameters": {}, "seeds": (), "metrics": {}, "outputs": {}}
    record = RunRecord(run_id="r", scenario="walk", circumstances=circumstances, **empty, **fields)
    write_record(folder / "run.json", record)


def test_every_stage_that_left_a_record_is_a_row_the_oldest_first(results: Results) -> None:
    root = results(FAST, SLOW)
    ran(root / "reports/evaluate/walk", "2025-01-03T00:00:00Z", "1" * 40, stage="evaluate")
    ran(root / "reports/walk/curate", "2025-01-01T00:00:00Z", "1" * 40)
    failed = {"stage": "anneal", "arm": "fast", "status": "failed", "diagnostics": ("why",), "code_sha256": "9" * 64}
    ran(root / "reports/walk/anneal/fast", "2025-01-02T00:00:00Z", "1" * 40, **failed)
    ran(root / "reports/other/curate", "2025-01-01T00:00:00Z", "2" * 40)

    text = read_report(root, "walk").text

    assert rows_below(text, "| stage | status |") == [
        "| curate | completed | 1,234.6 | – | abcdabcd |",
        "| anneal fast | failed: why | 1,234.6 | – | 99999999 |",
        "| evaluate | completed | 1,234.6 | – | abcdabcd |",
    ]
    assert "different git revisions" not in text
    assert (
        f"    git checkout {'1' * 12}\n" in text and "    dvc exp run --force -S 'scenarios=[walk]'\n" in text
    )  # params.yaml here does not name it
    assert text.endswith("*The stages began 2025-01-01 00:00 to 2025-01-03 00:00 UTC, on here (2 cores).*\n")


@pytest.mark.parametrize(
    ("revision", "dirty", "shown"),
    [("2" * 40, False, "2" * 12), ("1" * 40, True, "1" * 12 + " + changes"), (None, None, "unknown")],
)
def test_stages_of_different_revisions_are_pointed_out(
    results: Results, revision: str | None, dirty: bool | None, shown: str
) -> None:
    root = results(FAST, SLOW)
    ran(root / "reports/walk/curate", "2025-01-01T00:00:00Z", "1" * 40)
    ran(root / "reports/evaluate/walk", "2025-01-03T00:00:00Z", revision, dirty, stage="evaluate")

    text = read_report(root, "walk").text

    assert f"| evaluate | {shown} | 1,234.6 |" in text
    assert "The stages ran at different git revisions, or some with changes that were not committed." in text


def test_a_report_without_records_of_runs_says_so(results: Results) -> None:
    assert "\n\nNo stage left the record of its run." in read_report(results(FAST, SLOW), "walk").text


# --- figures ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("saved")
def test_every_figure_of_the_report_lies_beside_it_with_a_caption(results: Results) -> None:
    root = results(FAST, [*SLOW[:5], *NEVER[:5]])

    path = write_report(root, "walk")

    text = path.with_name("report.md").read_text()
    names = re.findall(r"!\[[^]]+\]\(([^)]+)\)\n\n\*[^*]+\*", text)
    drawn = ("curves_return", "curves_harm", "curves_success", "steps_beyond", "profile_beyond", "confusion")
    assert [name for name in names if "ratio_" not in name] == [f"report/{name}.png" for name in drawn]
    for name in names:
        assert (path.parent / name).read_bytes().startswith(b"\x89PNG")
    iqm = "*Success at the end, interquartile mean (IQM) over seeds, without the best 2 and the worst 2 of 10: pretrained 0.95 after"
    assert f"{iqm} 12,000 env steps (n = 10 seeds);" in text
    assert "*pretrained: all 10 within 1,000 steps; scratch: 5 of 10 within 12,000 steps. Open arrow: not reached within" in text
    assert "decisions they repeat" not in text  # no action has 30 decisions


def test_an_arm_has_its_colour_whichever_baseline_is_the_strongest(results: Results) -> None:
    orders = []
    for scratch, matched in ((SLOW, [5] * 10), ([5] * 10, SLOW)):
        root = results(FAST, scratch, {"matched": matched})
        found = read_record(root / "reports/evaluate/walk/beyond.json", Comparison)
        orders.append([found.grid[0].baseline.arm, *(arm.arm for arm in styled(found))])

    assert orders == [["matched", "scratch", "pretrained", "matched"], ["scratch", "scratch", "pretrained", "matched"]]


@pytest.mark.usefixtures("saved")
def test_equal_results_give_equal_bytes(results: Results) -> None:
    path = write_report(results(FAST, SLOW), "walk")
    first = {file.name: file.read_bytes() for file in path.parent.rglob("*.*")}

    write_report(path.parents[2], "walk")

    assert {file.name: file.read_bytes() for file in path.parent.rglob("*.*")} == first


def test_an_arm_that_was_evaluated_otherwise_is_left_out_of_the_curves(
    results: Results, make_arm: Callable[..., ArmRuns]
) -> None:
    def drawn() -> set[str]:
        (curves,) = (one for one in figures_of(read_report(root, "walk").sections) if one.name == "curves_return")
        assert curves.spec is not None
        return {row["arm"] for layer in curves.spec["layer"] for row in layer["data"]["values"] if "arm" in row}

    root = results(FAST, SLOW)
    write_record(root / "models/walk/anneal/other/runs.json", make_arm("other", FAST, design={"exam_worlds": 7}))
    assert drawn() == {"scratch", "pretrained"}

    write_record(root / "models/walk/anneal/ablation/runs.json", make_arm("ablation", FAST))
    assert drawn() == {"scratch", "pretrained", "ablation"}


def test_runs_that_changed_after_the_comparison_are_refused(results: Results, make_arm: Callable[..., ArmRuns]) -> None:
    root = results(FAST, SLOW)
    write_record(root / "models/walk/baseline/scratch/runs.json", make_arm("scratch", NEVER))

    with pytest.raises(InputError, match=r"baseline/scratch/runs\.json: expected the runs that were compared, found others"):
        write_report(root, "walk")


def test_without_vl_convert_the_report_is_written_and_says_how_to_get_figures(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)

    path = write_report(results(FAST, SLOW), "walk")

    text = path.with_name("report.md").read_text()
    assert NO_FIGURES in text
    assert "![" not in text
    assert "## beyond: PASS" in text
    assert "No figures: vl_convert is not installed." in path.read_text() and "data-chart" not in path.read_text()
    assert not list(path.parent.rglob("*.png"))


# --- bad input --------------------------------------------------------------------------------------------------------


def test_without_comparisons_the_command_that_makes_them_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"expected comparisons; `dvc repro evaluate@walk` makes them"):
        write_report(tmp_path, "walk")


@pytest.mark.parametrize(
    ("path", "command"),
    [
        ("models/walk/baseline/scratch/runs.json", "dvc pull"),
        ("models/walk/expert/expert.json", "dvc pull"),
        ("reports/walk/bc_train/metrics.json", "dvc repro bc_train@walk"),
        ("reports/walk/bc_train/seed-1.json", "dvc repro bc_train@walk"),
        ("data/walk/validated.json", "dvc repro validate@walk"),
    ],
)
def test_a_missing_record_is_named_with_the_command_that_makes_it(
    results: Results, path: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = results(FAST, SLOW)
    monkeypatch.chdir(root.parent)  # where no params.yaml says that DVC does not know the scenario
    (root / path).unlink()

    with pytest.raises(InputError, match=f"{re.escape(path)}: expected a file, found none; `{command}` makes it"):
        write_report(root, "walk")


def test_a_record_with_a_wrong_field_is_named_with_the_field(results: Results) -> None:
    path = results(FAST, SLOW) / "reports/walk/bc_train/metrics.json"
    path.write_text(path.read_text().replace('"accuracy"', '"acuracy"'))

    with pytest.raises(InputError, match=r"metrics\.json: .*accuracy"):
        write_report(path.parents[3], "walk")
