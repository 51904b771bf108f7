"""The lines at the end of a pipeline: what they say, and that a terminal of 80 columns shows each as one."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from headstart.cli.main import app
from headstart.compare.comparison import Comparison
from headstart.core.errors import InputError
from headstart.core.files import read_record
from headstart.view import WIDTH
from headstart.view.comparison import printed
from headstart.view.report import summary

Results = Callable[..., Path]
FAST, SLOW, NEVER = [1] * 10, [8] * 10, [None] * 10


@pytest.fixture
def said(results: Results) -> Callable[..., str]:
    def say(candidate: list[int | None] | None, scratch: list[int | None], *others: Any, **given: Any) -> str:
        return summary(results(candidate, scratch, *others, **given), "walk")

    return say


def sentence(text: str) -> str:
    """The lines before the table, as one."""
    return " ".join(text[: text.index("                success")].split())


def test_a_pass_says_by_how_much_all_arms_and_what_to_type_next(said: Callable[..., str]) -> None:
    text = said(FAST, SLOW, {"matched": [5] * 10})

    assert sentence(text) == (
        "PASS: on walk, beyond, online steps: pretrained: all 10 within 1,000 steps; matched: all 10 within 5,000 steps; "
        "ratio 0.250 (≤ 0.250). All-in, with the steps that the demonstrations cost: 1.50 (≤ 1.50)."
    )
    assert [line.split() for line in text.splitlines() if line.startswith("  ")] == [
        ["success", "harm", "IQM", "return", "median", "steps", "to", "it", "seeds", "there"],
        ["pretrained", "0.950", "0.040", "1.80", "1,000", "10", "of", "10"],
        ["matched", "0.950", "0.040", "1.80", "5,000", "10", "of", "10"],
        ["scratch", "0.950", "0.040", "1.80", "8,000", "10", "of", "10"],
    ]
    assert "read it: reports/walk/report.html" in text
    assert "watch it: headstart play walk --policy models/walk/anneal/pretrained/seed-0" in text


@pytest.mark.parametrize(
    ("candidate", "scratch"), [(FAST, SLOW), (FAST, NEVER), (NEVER, NEVER), ([1, 1], [8, 8]), ([0] * 10, SLOW), (None, SLOW)]
)
def test_no_line_is_wider_than_a_terminal(said: Callable[..., str], candidate: list[int], scratch: list[int]) -> None:
    assert max(map(len, said(candidate, scratch, {"matched": scratch}).splitlines())) <= WIDTH


def test_a_command_that_is_wider_than_a_terminal_is_broken_before_its_options_as_a_shell_reads_it(results: Results) -> None:
    root = results(FAST, SLOW)
    found = read_record(root / "reports/evaluate/walk/beyond.json", Comparison)
    policy = f"models/{'w' * 30}/anneal/pretrained/seed-0"

    text = printed(found, f"headstart play {'w' * 30} --policy {policy} --html robot.html")

    lines = text[text.index("watch it: ") :].splitlines()
    assert lines == [f"watch it: headstart play {'w' * 30} \\", f"    --policy {policy} \\", "    --html robot.html"]
    shell = subprocess.run(["sh", "-c", "echo " + "\n".join(lines)], capture_output=True, text=True, check=True)
    assert shell.stdout == f"watch it: headstart play {'w' * 30} --policy {policy} --html robot.html\n"


def test_without_vl_convert_no_figure_is_promised(results: Results) -> None:
    found = read_record(results(FAST, SLOW) / "reports/evaluate/walk/beyond.json", Comparison)

    lines = printed(found, None, drawn=False).splitlines()[-2:]

    assert lines == ["read it: reports/walk/report.md", "draw its figures: pip install 'headstart[view]' && headstart report"]


def test_what_is_no_pass_says_why(said: Callable[..., str]) -> None:
    assert "fewer than 10 replicates cannot show a ratio" in sentence(said([1, 1], [8, 8]))


def test_a_baseline_that_does_not_arrive_gives_a_bound_and_its_budget(said: Callable[..., str]) -> None:
    text = said(FAST, NEVER)

    assert "scratch: 0 of 10 within 12,000 steps; the ratio is at most 0.083. All-in, " in sentence(text)
    assert "fewer than half       0 of 10" in text


def test_a_target_that_the_clones_meet_is_said_to_be_met_before_training(said: Callable[..., str]) -> None:
    text = sentence(said([0] * 10, SLOW))

    assert "pretrained: met before training (0 steps); " in text
    assert "no ratio: the clones meet beyond before training. All-in, " in text


def test_a_baseline_by_itself_is_shown_with_its_own_policy_to_watch(said: Callable[..., str]) -> None:
    text = said(None, SLOW)

    assert sentence(text) == "HOLD: walk, beyond: scratch alone: nothing to compare it with."
    assert "watch it: headstart play walk --policy models/walk/baseline/scratch/seed-0" in text


def test_the_lines_are_said_without_writing_pages_that_must_be_there(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    root = results(FAST, SLOW)
    monkeypatch.chdir(root)
    told = CliRunner().invoke(app, ["report", "walk", "--no-write"])
    assert isinstance(told.exception, InputError)
    assert str(told.exception).endswith("expected a report, found none; `headstart report walk` writes it")
    page = root / "reports/walk/report.html"
    page.write_text("as it was")

    told = CliRunner().invoke(app, ["report", "walk", "--no-write"])

    assert told.exit_code == 0
    assert told.output == f"{summary(root, 'walk')}\n"
    assert [path.name for path in page.parent.glob("report*")] == ["report.html"] and page.read_text() == "as it was"
    assert not (root / "reports/index.html").exists()
