"""docs/results.md says what the records say: verdict, ratio, arms, how to repeat it, and whether it would run the same today."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.experiments import experiment_record

from headstart.compare.comparison import Comparison
from headstart.core.files import read_record
from headstart.runs.experiment import ExperimentRecord
from headstart.view.results import figures, page

ROOT = Path(__file__).parents[2]
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


@pytest.mark.usefixtures("saved")
def test_every_record_has_a_figure_that_is_the_same_bytes_again(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    found = record(results(FAST, SLOW))
    drawn = figures([found])
    assert list(drawn) == ["pictures/walk_again.png"]
    assert drawn["pictures/walk_again.png"].startswith(b"\x89PNG")
    assert drawn == figures([found])


# --- several targets --------------------------------------------------------------------------------------------------


def with_target(found: ExperimentRecord, name: str, **changes: Any) -> ExperimentRecord:
    """With a second target, of which everything but its name and `changes` is that of the first."""
    headline = found.comparisons[found.headline]
    other = headline.model_copy(update={"target": headline.target.model_copy(update={"name": name})} | changes)
    return found.model_copy(update={"comparisons": {found.headline: headline, name: other}})


def test_what_two_targets_share_is_printed_once(results: Results) -> None:
    two = with_target(record(results([1, 1], [8, 8])), "easy")
    text = page([two], {"walk_again": True})

    reason = "* HOLD: 2 runs from 2 clones; fewer than 10 replicates cannot show a ratio"
    assert text.count(reason) == 1
    assert text.index("Not a PASS for any target, because of:") < text.index(reason) < text.index("### walk_again, beyond: HOLD")
    assert text.count("| exam |") == text.count("| final policies, pretrained − |") == 1
    rows = text[text.index("| final policies") :].split("\n\n")[0].splitlines()[2:]
    names = [row.split(" |")[0].split(" (")[0] for row in rows]
    assert names == ["| target beyond", "| target easy", "| clone", "| expert", "| scratch"]


def test_what_differs_between_two_targets_is_printed_for_both(results: Results) -> None:
    one = record(results([1, 1], [8, 8]))
    found = one.comparisons["beyond"]
    worse = {"expert": {name: of.model_copy(update={"mean": of.mean - 1}) for name, of in found.final["expert"].items()}}
    checks = tuple(check for check in found.verdict.checks if check.passed)
    passed = found.verdict.model_copy(update={"checks": checks, "outcome": "PASS"})
    text = page([with_target(one, "easy", final=found.final | worse, verdict=passed)], {"walk_again": True})

    assert text.count("| final policies, pretrained − |") == 2
    assert "Not a PASS for any target" not in text
    beyond, easy = text.split("### walk_again, ")[1:3]
    assert "* HOLD: 2 runs from 2 clones" in beyond
    assert "* HOLD" not in easy


def test_a_measure_that_one_target_names_is_a_column_of_the_common_table(results: Results) -> None:
    one = record(results(FAST, SLOW))
    found = one.comparisons["beyond"]
    final = {other: of | {"speed": next(iter(of.values()))} for other, of in found.final.items()}
    text = page([with_target(one, "quick", final=final, margins=found.margins | {"speed": 0.25})], {"walk_again": True})

    head, _, beyond, quick, *_ = text[text.index("| final policies") :].splitlines()
    assert head.endswith("| speed (margin 0.25) |")
    assert beyond.startswith("| target beyond") and beyond.endswith("| – |")
    assert quick.startswith("| target quick") and not quick.endswith("| – |")
    assert text.count("| final policies, pretrained − |") == 1


def test_a_section_says_how_much_tuning_each_arm_got(results: Results, tmp_path: Path) -> None:
    found = record(results(FAST, SLOW))
    assert "Tuning: no search by `headstart tune` is on record for pretrained, scratch." in page(
        [found], {"walk_again": True}, tmp_path
    )

    for arm in ("pretrained", "scratch"):
        kept = tmp_path / f"reports/tuning/walk/{arm}.json"
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes((ROOT / f"reports/tuning/queue_conflict/{arm}.json").read_bytes())
    said = "Tuning, searches by `headstart tune`: pretrained: 16 trials, 6.0 M steps; scratch: 16 trials, 56.5 M steps.\n"
    assert f"env steps a seed. {said}" in page([found], {"walk_again": True}, tmp_path)
