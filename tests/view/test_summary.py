"""The lines at the end of a pipeline: what they say, and that a terminal of 80 columns shows each as one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from headstart.view.comparison import WIDTH
from headstart.view.report import summary

ROOT = Path(__file__).parents[2]
Results = Callable[..., Path]
FAST, SLOW, NEVER = [1] * 10, [8] * 10, [None] * 10
SCENARIO = """
world: town
horizon: 8
setup: {}
success: [every eats >= 1]
harm: [sum faints > 0]
expert: {policy: scripted, success_rate: 0.9, harm_rate: 0.1}
targets: {beyond: {success_rate: 0.9}}
"""


@pytest.fixture
def said(results: Results) -> Callable[..., str]:
    def say(candidate: list[int | None], scratch: list[int | None]) -> str:
        root = results(candidate, scratch)
        (root / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
        (root / "scenarios").mkdir(exist_ok=True)
        (root / "scenarios/walk.yaml").write_text(SCENARIO)
        return summary(root, "walk")

    return say


def test_a_pass_says_by_how_much_both_arms_and_what_to_type_next(said: Callable[..., str]) -> None:
    text = said(FAST, SLOW)

    assert " ".join(text.splitlines()[:3]).startswith(
        "PASS: on walk, pretrained needed 0.22 of scratch's steps to reach beyond (95 % upper bound 0.22, limit 0.70, 10 matched seeds)."
    )
    assert [line.split() for line in text.splitlines() if line.startswith("  ")] == [
        ["success", "harm", "IQM", "return", "median", "steps", "to", "it", "seeds", "there"],
        ["pretrained", "0.950", "0.040", "1.80", "2,000", "10", "of", "10"],
        ["scratch", "0.950", "0.040", "1.80", "9,000", "10", "of", "10"],
    ]
    assert "read it: reports/walk/report.md" in text
    assert "watch it: headstart play walk --policy models/walk/anneal/pretrained/seed-0" in text


@pytest.mark.parametrize(("candidate", "scratch"), [(FAST, SLOW), (FAST, NEVER), (NEVER, NEVER), ([1, 1], [8, 8])])
def test_no_line_is_wider_than_a_terminal(said: Callable[..., str], candidate: list[int], scratch: list[int]) -> None:
    assert max(map(len, said(candidate, scratch).splitlines())) <= WIDTH


def test_what_is_no_pass_says_why(said: Callable[..., str]) -> None:
    assert "fewer than 10 cannot show a ratio" in " ".join(said([1, 1], [8, 8]).split())


def test_a_bound_says_at_most(said: Callable[..., str]) -> None:
    assert "pretrained needed at most 0.17 of scratch's steps" in " ".join(said(FAST, NEVER).split())
