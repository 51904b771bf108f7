"""docs/results.md says what the records say: verdict, ratio, arms, how to repeat it, and whether it would run the same today."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.experiments import experiment_record

from headstart.compare.comparison import Comparison
from headstart.core.files import read_record
from headstart.runs.experiment import ExperimentRecord
from headstart.view.results import figures, page

Results = Callable[..., Path]
FAST, SLOW, NEVER = [1] * 10, [8] * 10, [None] * 10


def record(root: Path) -> ExperimentRecord:
    return experiment_record(read_record(root / "reports/evaluate/walk/beyond.json", Comparison))


def test_a_record_becomes_a_row_and_a_section(results: Results) -> None:
    text = page([record(results(FAST, SLOW))], {"walk_again": True})

    assert (
        "| [walk_again](#walk_again) | PASS | `pretrained` | 0.143 (≤ 0.143) | 0.857 (≤ 0.857) | 0.950 | 0.040 | 1.80 | 1,000 "
        "| `scratch` | 0.950 | 0.040 | 1.80 | 8,000 | `0123456` |"
    ) in text
    assert "**PASS**: on walk, beyond, online steps: pretrained: all 10 within 1,000 steps; scratch: all 10 within 8,000" in text
    assert "ratio 0.143 (≤ 0.143). All-in, with the steps that the demonstrations cost: 0.86 (≤ 0.86).\n" in text
    assert "    dvc exp run --temp --name evidence-walk_again -S 'seeds=[10,11]'\n" in text
    assert "AMD EPYC, 2 cores, Python 3.11.2, torch 2.13.0; seeds 10–19; " in text
    assert "budgets: pretrained 12,000, scratch 12,000 env steps a seed." in text
    assert "2 clones: held-out accuracy 0.750 (best constant action 0.700), macro-F1 0.440; by themselves: success 0.900" in text
    assert "| scratch | 10 of 10 | 8,000 |" in text
    assert "changed since" not in text


def test_the_row_names_the_strongest_baseline_and_the_section_has_all(results: Results) -> None:
    text = page([record(results(FAST, SLOW, {"matched": [5] * 10}))], {"walk_again": True})

    assert "| 0.250 (≤ 0.250) | 1.500 (≤ 1.500) | 0.950 | 0.040 | 1.80 | 1,000 | `matched` |" in text
    assert "| matched | 12,000 | 0.250 |" in text
    assert "| scratch | 12,000 | 0.143 |" in text


def test_a_record_of_other_code_or_settings_is_marked_with_its_commit(results: Results) -> None:
    text = page([record(results(FAST, SLOW))], {"walk_again": False})

    assert "| `0123456` (changed since) |" in text
    assert "Commit `0123456789ab`, its code or settings have changed since;" in text


@pytest.mark.parametrize(
    ("candidate", "scratch", "shown"),
    [
        (FAST, NEVER, "PASS | `pretrained` | at most 0.083 | at most 0.500 |"),
        (NEVER, NEVER, "FAIL | `pretrained` | – | – |"),
        ([0] * 10, SLOW, "PASS | `pretrained` | met before training | 0.714 (≤ 0.714) |"),
        (None, SLOW, "HOLD | `scratch` | – | – | 0.950 | 0.040 | 1.80 | 8,000 | – | – | – | – | – |"),
    ],
    ids=["censored", "never", "met before training", "baseline alone"],
)
def test_what_is_no_ratio_is_not_shown_as_one(
    results: Results, candidate: list[int | None] | None, scratch: list[int | None], shown: str
) -> None:
    text = page([record(results(candidate, scratch))], {"walk_again": True})

    assert f"| [walk_again](#walk_again) | {shown}" in text
    assert "None" not in text
    widths = {row.count(" | ") for row in text.splitlines() if row.startswith(("| experiment", "| [walk_again]"))}
    assert len(widths) == 1


def test_every_record_has_a_figure_that_is_the_same_bytes_again(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    found = record(results(FAST, SLOW))
    drawn = figures([found])
    assert list(drawn) == ["pictures/walk_again.png"]
    assert drawn["pictures/walk_again.png"].startswith(b"\x89PNG")
    assert drawn == figures([found])
