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
from headstart.view.figures import steps_to_target
from headstart.view.report import NO_FIGURES, report, write_report

Results = Callable[..., Path]
FAST, SLOW, NEVER = [1] * 10, [8] * 10, [None] * 10


def test_a_proven_head_start_reads_as_pass_with_its_ratio(results: Results) -> None:
    text = report(results([1, 1, 1, 1, 1, 1, 1, 1, 1, 2], SLOW), "walk")[0]

    assert "## beyond: PASS" in text
    assert (
        "pretrained needed 0.231 of scratch's steps to reach beyond (95 % upper bound 0.249, limit 0.70, 10 matched seeds)"
        in text
    )
    assert "| 9 | 3,000 | 9,000 | 0.333 |" in text
    assert "| pretrained | 10 of 10 | 2,000 | 1.00 | 0.950" in text
    assert "| scratch | 10 of 10 | 9,000 | – | 0.950" in text
    assert "censored" not in text


def test_too_few_seeds_read_as_hold_and_why(results: Results) -> None:
    text = report(results([1, 1], [8, 8]), "walk")[0]

    assert "## beyond: HOLD" in text
    assert "* HOLD: 2 matched seeds; fewer than 10 cannot show a ratio" in text
    assert "no band, since 2 seeds are fewer than 5" in text


def test_censored_seeds_are_marked_and_make_the_ratio_a_bound(results: Results) -> None:
    text = report(results(FAST, [*SLOW[:5], *NEVER[:5]]), "walk")[0]

    assert "| 0 | 2,000 | 9,000 | 0.222 |" in text
    assert "| 9 | 2,000 | > 12,000 | ≤ 0.167 |" in text
    assert "pretrained needed at most 0.192" in text
    assert "| scratch | 5 of 10 |" in text
    assert "any ratio is an upper bound" in text


def test_a_number_that_is_missing_is_said_and_never_zero(results: Results) -> None:
    text = report(results([*FAST[:9], None], NEVER), "walk")[0]

    assert "no ratio: a candidate run is censored." in text
    assert "| 9 | > 12,000 | > 12,000 | not measured |" in text
    assert "| scratch | 0 of 10 | not reached |" in text
    assert "| use | 2 | 0.000 | never chosen | 0.000 |" in text
    for word in ("None", "nan", "inf"):
        assert not re.search(rf"\b{word}\b", text), word


def test_the_baseline_alone_has_no_pairs_and_no_figure_of_them(results: Results) -> None:
    root = results(FAST, SLOW, against_itself=True)

    path = write_report(root, "walk")

    assert "no ratio: the baseline is not compared with itself." in path.read_text()
    assert not path.with_name("steps_beyond.png").exists()


def test_continuous_actions_have_no_table_and_no_matrix(results: Results) -> None:
    root = results(FAST, SLOW, continuous=True)

    path = write_report(root, "walk")

    assert "held-out accuracy 0.800 (best constant action 0.700). In closed loop" in path.read_text()
    assert "| action |" not in path.read_text()
    assert not path.with_name("confusion.png").exists()


def test_the_report_says_whether_shift_was_measured(results: Results) -> None:
    root = results(FAST, SLOW)
    assert "## Distribution shift\n\nNot measured." in report(root, "walk")[0]

    missing = ShiftFindings(
        candidate="pretrained", scratch="scratch", limits=ShiftLimits(), missing=("the clones recorded no facts",)
    )
    write_record(root / "reports/evaluate/walk/shift.json", missing)

    assert "## Distribution shift\n\nNot measured: the clones recorded no facts." in report(root, "walk")[0]
    assert "no shifted variant was measured" in report(root, "walk")[0]


def test_the_dataset_is_described_by_its_quality(results: Results) -> None:
    text = report(results(FAST, SLOW), "walk")[0]

    assert "adds to the expert's actions: success 0.900, harm 0.100, mean return 1.500." in text


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

    section = report(root, "walk")[0].partition("## Provenance\n\n")[2]

    assert section.splitlines()[:5] == [
        "| stage | status | git revision | started (UTC) | seconds | code |",
        "|---|---|---|---|---|---|",
        "| curate | completed | 1111111 | 2025-01-01 00:00:00 | 1,234.6 | abcdabcd |",
        "| anneal fast | failed | 1111111 | 2025-01-02 00:00:00 | 1,234.6 | 99999999 |",
        "| evaluate | completed | 1111111 | 2025-01-03 00:00:00 | 1,234.6 | abcdabcd |",
    ]
    assert "different git revisions" not in section


@pytest.mark.parametrize(
    ("revision", "dirty", "shown"),
    [("2" * 40, False, "2222222"), ("1" * 40, True, "1111111 + changes"), (None, None, "unknown")],
)
def test_stages_of_different_revisions_are_pointed_out(
    results: Results, revision: str | None, dirty: bool | None, shown: str
) -> None:
    root = results(FAST, SLOW)
    ran(root / "reports/walk/curate", "2025-01-01T00:00:00Z", "1" * 40)
    ran(root / "reports/evaluate/walk", "2025-01-03T00:00:00Z", revision, dirty, stage="evaluate")

    text = report(root, "walk")[0]

    assert f"| evaluate | completed | {shown} |" in text
    assert "The stages ran at different git revisions, or some with changes that were not committed." in text


def test_a_report_without_records_of_runs_says_so(results: Results) -> None:
    assert "## Provenance\n\nNo stage left the record of its run." in report(results(FAST, SLOW), "walk")[0]


# --- figures ----------------------------------------------------------------------------------------------------------


def test_every_figure_of_the_report_lies_beside_it_with_a_caption(results: Results) -> None:
    root = results(FAST, [*SLOW[:5], *NEVER[:5]])

    path = write_report(root, "walk")

    text = path.read_text()
    names = re.findall(r"!\[[^]]+\]\(([^)]+)\)\n\n\*[^*]+\*", text)
    assert names == ["curves_beyond.png", "steps_beyond.png", "confusion.png"]
    for name in names:
        assert path.with_name(name).read_bytes().startswith(b"\x89PNG")
    assert "*pretrained ends at success 0.95 and return 1.80 after 12,000 env steps (n = 10 seeds);" in text
    assert "pretrained reached beyond with 10 of 10 seeds, scratch with 5; pretrained was the first with 10 of 10." in text
    assert "It misses use most: 0.0% of 2." in text


def test_the_share_of_seeds_at_the_target_is_drawn_as_kaplan_and_meier_have_it(results: Results) -> None:
    root = results(FAST, [*SLOW[:5], *NEVER[:5]])
    found = read_record(root / "reports/evaluate/walk/beyond.json", Comparison)

    _, arrivals = steps_to_target(found).axes

    scratch, candidate = ([list(axis) for axis in line.get_data()] for line in arrivals.get_lines())
    assert candidate == [[0, 2000], [0, 1.0]]
    assert scratch == [[0, 9000, 12_000], [0, 0.5, 0.5]]  # five were still on their way at 12,000


def test_equal_results_give_equal_bytes(results: Results) -> None:
    path = write_report(results(FAST, SLOW), "walk")
    first = {file.name: file.read_bytes() for file in path.parent.glob("*.*")}

    write_report(path.parents[2], "walk")

    assert {file.name: file.read_bytes() for file in path.parent.glob("*.*")} == first


def test_an_arm_that_was_evaluated_otherwise_is_left_out_of_the_curves(
    results: Results, make_arm: Callable[..., ArmRuns]
) -> None:
    root = results(FAST, SLOW)
    path = write_report(root, "walk")
    two_arms = path.with_name("curves_beyond.png").read_bytes()

    write_record(root / "models/walk/anneal/other/runs.json", make_arm("other", FAST, exam_worlds=7))
    write_report(root, "walk")
    assert path.with_name("curves_beyond.png").read_bytes() == two_arms

    write_record(root / "models/walk/anneal/ablation/runs.json", make_arm("ablation", FAST))
    write_report(root, "walk")
    assert path.with_name("curves_beyond.png").read_bytes() != two_arms


def test_runs_that_changed_after_the_comparison_are_refused(results: Results, make_arm: Callable[..., ArmRuns]) -> None:
    root = results(FAST, SLOW)
    write_record(root / "models/walk/baseline/runs.json", make_arm("scratch", NEVER))

    with pytest.raises(InputError, match=r"baseline/runs\.json: expected the runs that were compared, found others"):
        write_report(root, "walk")


def test_without_matplotlib_the_report_is_written_and_says_how_to_get_figures(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    path = write_report(results(FAST, SLOW), "walk")

    assert NO_FIGURES in path.read_text()
    assert "![" not in path.read_text()
    assert "## beyond: PASS" in path.read_text()
    assert not list(path.parent.glob("*.png"))


# --- bad input --------------------------------------------------------------------------------------------------------


def test_without_comparisons_the_command_that_makes_them_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected comparisons; `dvc repro` makes them"):
        write_report(tmp_path, "walk")


@pytest.mark.parametrize(
    ("path", "command"),
    [
        ("models/walk/baseline/runs.json", "dvc pull"),
        ("models/walk/expert/expert.json", "dvc pull"),
        ("reports/walk/bc_train/metrics.json", "dvc repro bc_train"),
        ("data/walk/validated.json", "dvc repro validate"),
    ],
)
def test_a_missing_record_is_named_with_the_command_that_makes_it(results: Results, path: str, command: str) -> None:
    root = results(FAST, SLOW)
    (root / path).unlink()

    with pytest.raises(InputError, match=f"{re.escape(path)}: expected a file, found none; `{command}` makes it"):
        write_report(root, "walk")


def test_a_record_with_a_wrong_field_is_named_with_the_field(results: Results) -> None:
    path = results(FAST, SLOW) / "reports/walk/bc_train/metrics.json"
    path.write_text(path.read_text().replace('"accuracy"', '"acuracy"'))

    with pytest.raises(InputError, match=r"metrics\.json: .*accuracy"):
        write_report(path.parents[3], "walk")
