"""docs/results.md says what the records say: verdict, ratio, arms, how to repeat it, and whether it would run the same today."""

from collections.abc import Callable
from pathlib import Path

import pytest

from headstart.compare.comparison import Comparison
from headstart.core.files import read_record
from headstart.runs.clone_report import CloneReport
from headstart.runs.experiment import ExperimentRecord, Machine
from headstart.runs.expert_record import ExpertPolicy
from headstart.view.results import figures, page

Results = Callable[..., Path]
FAST, SLOW, NEVER = [1] * 10, [8] * 10, [None] * 10


def record(root: Path, name: str = "walk_again") -> ExperimentRecord:
    return ExperimentRecord(
        name=name,
        scenario="walk",
        seeds=tuple(range(10, 20)),
        command="dvc exp run --temp --name evidence-walk_again -S 'seeds=[10,11]'",
        commit="0123456789abcdef" * 2 + "01234567",
        machine=Machine(processor="AMD EPYC", cores=2, python="3.11.2", torch="2.13.0"),
        finished_at="2026-01-02T03:04:05.000Z",
        code_sha256="a" * 64,
        settings_sha256="b" * 64,
        expert=read_record(root / "models/walk/expert/expert.json", ExpertPolicy),
        clone=read_record(root / "reports/walk/bc_train/metrics.json", CloneReport),
        headline="beyond",
        comparisons={"beyond": read_record(root / "reports/evaluate/walk/beyond.json", Comparison)},
    )


def test_a_record_becomes_a_row_and_a_section(results: Results) -> None:
    text = page([record(results(FAST, SLOW))], {"walk_again": True})

    assert (
        "| [walk_again](#walk_again) | PASS | `pretrained` | 0.222, 0.222 | 0.950 | 0.040 | 1.80 | 2,000 | 0.950 | 0.040 | 1.80 | 9,000 "
        "| `0123456` |"
    ) in text
    assert "    dvc exp run --temp --name evidence-walk_again -S 'seeds=[10,11]'\n" in text
    assert "AMD EPYC, 2 cores, Python 3.11.2, torch 2.13.0; seeds 10–19; up to 12,000 env steps a seed of scratch." in text
    assert "Clone: held-out accuracy 0.800 (best constant action 0.700), macro-F1 0.440; by itself: success 0.900" in text
    assert "| scratch | 10 of 10 | 9,000 |" in text
    assert "changed since" not in text


def test_a_record_of_other_code_or_settings_is_marked_with_its_commit(results: Results) -> None:
    text = page([record(results(FAST, SLOW))], {"walk_again": False})

    assert "| `0123456` (changed since) |" in text
    assert "Commit `0123456789ab`, its code or settings have changed since;" in text


def test_a_bound_is_marked_and_a_ratio_that_is_not_there_is_a_dash(results: Results) -> None:
    bound = page([record(results(FAST, NEVER))], {"walk_again": True})
    assert "| ≤ 0.167, 0.167 |" in bound
    none = page([record(results(NEVER, NEVER))], {"walk_again": True})
    assert "| FAIL | `pretrained` | – |" in none or "| HOLD | `pretrained` | – |" in none
    assert "None" not in none


def test_every_record_has_a_figure_that_is_the_same_bytes_again(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    found = record(results(FAST, SLOW))
    drawn = figures([found])
    assert list(drawn) == ["pictures/walk_again.png"]
    assert drawn["pictures/walk_again.png"].startswith(b"\x89PNG")
    assert drawn == figures([found])
