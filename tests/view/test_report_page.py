"""The report as a page: it loads nothing, shows hostile texts as texts, has the numbers of report.md, and never a PASS that was not given."""

import html
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from tests.browser import opened
from tests.view.test_page import HOSTILE
from tests.view.test_report import FAST, NEVER, SLOW, Results, ran, rows_below

from headstart.compare.arm_runs import ArmRuns
from headstart.compare.comparison import Comparison
from headstart.core.errors import InputError
from headstart.core.files import read_record, write_record
from headstart.core.verdict import Verdict
from headstart.dataset.manifest import DatasetFacts, DatasetManifest, manifest_of
from headstart.runs.clone_report import CloneReports
from headstart.view.index import write_index
from headstart.view.report import Report, read_report, write_report

LIMIT_BYTES = 1_500_000
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e-?\d+)?")


def numbers(text: str) -> list[str]:
    return sorted(NUMBER.findall(text))


def shown_text(page: bytes) -> str:
    """All text of the page's body, without the scripts."""
    body = page.decode().partition('<main id="main">')[2].partition("<script")[0]
    return html.unescape(re.sub(r"<[^>]*>", " ", body))


def test_the_page_and_the_markdown_have_the_same_numbers(results: Results) -> None:
    root = results(FAST, [*SLOW[:5], *NEVER[:5]], {"matched": [5] * 10})
    ran(root / "reports/walk/anneal/pretrained", "2025-01-01T00:00:00Z", "1" * 40, stage="anneal", arm="pretrained")
    made = read_report(root, "walk")

    names = {
        name
        for figure in made.sections
        for part in figure.parts
        for block in part.blocks
        for name in [getattr(block, "name", "")]
    }
    text = re.sub(r"\]\(report/[^)]*\)", "]", made.text)  # the name of a picture stands in no page
    text = re.sub(r"!\[[^]]*\]", "", text)  # nor does what it is called for those who do not see it
    assert names >= {"curves_return", "steps_beyond"}
    assert numbers(text.replace("## ", "")) == numbers(shown_text(made.page))
    assert len(numbers(text)) > 300


def test_the_first_screen_answers_the_five_questions(results: Results) -> None:
    text = read_report(results(FAST, SLOW, {"matched": [5] * 10}), "walk").text
    first = text[: text.index("## At a glance")]

    assert (
        "**Did the head start help? Yes: pretrained needed 0.250 (95 % upper bound 0.250) of the env steps of matched, the strongest "
        "baseline, to reach beyond (limit 0.7), and 1.500 (at most 1.500) all-in, with the steps that the demonstrations cost; "
        "10 of 10 seeds got there. At the exam: success 0.950 against 0.950 of matched, harm 0.040 "
        "against 0.040, mean return 1.800 against 1.800. At 0 env steps its clones already had success "
    ) in first
    assert [row.split(" | ")[:2] for row in rows_below(first, "| as good and as safe as |")] == [
        ["| pretrained", "–"],
        ["| matched", "yes"],
        ["| scratch", "yes"],
        ["| its clones", "yes"],
        ["| the expert", "yes"],
    ]
    assert "| as good and as safe as | answer | success (margin 0.05) | harm (margin 0.02) | return (margin 0.036) |" in first
    assert "ratio 0.250 (≤ 0.250). All-in, with the steps that the demonstrations cost: 1.50 (≤ 1.50)." in first
    assert (
        "The bound is the greatest ratio that a one-sided 5 % test does not reject, 10 runs of pretrained against 10 of matched (a rank test"
        in first
    )
    assert (
        "The expert is a script that comes with the world: success 0.980, harm 0.040, return 1.450 in 100 worlds of its own test."
        in first
    )
    assert "Dataset `walk@" in first and "held out" in first
    assert "    headstart release record walk --by NAME\n" in first
    assert text.startswith("# walk\n\n**PASS: use it. Every check of pretrained is met.**\n")


def with_record(path: Path, model: type[Any], **change: Any) -> None:
    write_record(path, read_record(path, model).model_copy(update=change))


def test_a_return_below_scratchs_is_a_no_in_the_first_screen(results: Results, make_arm: Callable[..., ArmRuns]) -> None:
    low = (
        make_arm("pretrained", FAST).runs[0].exam["sampled"].model_copy(update={"return_mean": 1.6})
    )  # scratch ends at 1.8, margin 0.032
    text = read_report(results(FAST, SLOW, exam=low), "walk").text

    (row,) = [row for row in rows_below(text, "| as good and as safe as |") if row.startswith("| scratch |")]
    assert (
        row == "| scratch | **worse: return** | 0.950; +0.000 (≥ +0.000) | 0.040; +0.000 (≤ +0.000) | 1.800; -0.200 (≥ -0.200) |"
    )
    assert "* FAIL: final return, pretrained − scratch: -0.2 over 10 seeds" in text
    assert "    headstart tune walk pretrained --trials 20\n" in text
    assert "**FAIL: do not use pretrained, because of: final return, pretrained − scratch.**" in text


@pytest.mark.parametrize("candidate", [NEVER, [None] * 9 + [1]])
def test_an_arm_without_success_renders_no_pass(results: Results, candidate: list[int | None]) -> None:
    root = results(candidate, SLOW)
    path = root / "models/walk/anneal/pretrained/runs.json"
    assert read_record(path, ArmRuns).runs
    made = read_report(root, "walk")

    head = made.page.decode().partition("<h1>")[2].partition("</h1>")[0]
    assert "PASS" not in head and "FAIL" in head
    assert "Did the head start help? No: pretrained: " in made.text
    assert "Did the head start help? Yes" not in made.text


def remade(path: Path, **change: Any) -> None:
    """The manifest of other facts, with its own version."""
    facts = read_record(path, DatasetManifest)
    known = {name: getattr(facts, name) for name in DatasetFacts.model_fields}
    write_record(path, manifest_of(DatasetFacts(**known | change), "validated"))


def hostile(root: Path) -> None:
    """Texts that others write, in every place that shows one."""
    said = " ".join(HOSTILE)
    judged = root / "reports/evaluate/walk/beyond.json"
    found = read_record(judged, Comparison)
    checks = tuple(check.model_copy(update={"text": said}) for check in found.verdict.checks)
    write_record(judged, found.model_copy(update={"verdict": found.verdict.model_copy(update={"checks": checks})}))
    for stage in ("expert", "validate"):
        path = root / f"reports/walk/{stage}/verdict.json"
        gate = read_record(path, Verdict)
        with_record(path, Verdict, checks=tuple(check.model_copy(update={"text": said}) for check in gate.checks))
    clones = root / "reports/walk/bc_train/metrics.json"
    confusion = {text: {HOSTILE[0]: 3, text: 4} for text in HOSTILE}
    of = {
        seed: clone.model_copy(update={"confusion": confusion})
        for seed, clone in read_record(clones, CloneReports).clones.items()
    }
    with_record(clones, CloneReports, clones=of)
    manifest = root / "data/walk/validated.json"
    splits = read_record(manifest, DatasetManifest).splits.model_copy(update={"rule": said})
    remade(manifest, rejection_reasons=dict.fromkeys(HOSTILE, 1), splits=splits)
    ran(root / "reports/walk/curate", "2025-01-01T00:00:00Z", said, stage=HOSTILE[1], status="failed", diagnostics=HOSTILE)


@pytest.mark.parametrize(("width", "scheme"), [(1100, "light"), (360, "dark")])
def test_hostile_texts_are_texts_and_nothing_is_loaded(browser: Browser, results: Results, width: int, scheme: Any) -> None:
    root = results(FAST, [*SLOW[:5], *NEVER[:5]])
    hostile(root)
    path = write_report(root, "walk")

    assert path.stat().st_size < LIMIT_BYTES
    with opened(browser, path, width, scheme) as it:
        it.drawn()
        text = it.page.locator("main").text_content() or ""
        assert all(" ".join(one.split()) in " ".join(text.split()) for one in HOSTILE)
        assert (
            it.page.locator(".chart svg").count()
            == it.page.locator(".chart").count() - it.page.locator("details .chart").count()
            >= 5
        )
        assert it.page.locator("main script, main img").count() == 0
        assert it.hidden_from_readers() == []
        assert not it.is_wider_than_the_screen()
        assert it.problems == []
    told = [line for line in path.with_name("report.md").read_text().splitlines() if not line.startswith("    ")]  # which is code
    assert not any(tag in line for line in told for tag in ("<script", "<img", "<svg", "<!--"))


def test_a_click_in_the_legend_shows_an_arm_alone_and_the_axis_can_be_chosen(browser: Browser, results: Results) -> None:
    path = write_report(results(FAST, SLOW), "walk")

    with opened(browser, path) as it:
        it.drawn()
        chart = it.page.locator('[data-chart="curves_return"]')
        seen = "paths => paths.map(path => getComputedStyle(path).opacity)"
        lines = chart.locator(".mark-line path[stroke-width='2.6']")
        assert lines.evaluate_all(seen) == ["1", "1"]
        chart.locator(".role-legend-label text", has_text="pretrained").click()
        assert sorted(lines.evaluate_all(seen)) == ["0", "1"]
        before = lines.evaluate_all("paths => paths.map(path => path.getAttribute('d'))")
        chart.locator("select").select_option("env steps with demonstrations")
        assert lines.evaluate_all("paths => paths.map(path => path.getAttribute('d'))") != before
        assert it.problems == []


def test_a_card_of_a_narrow_screen_keeps_the_head_of_its_first_column(browser: Browser, results: Results) -> None:
    path = write_report(results(FAST, SLOW), "walk")

    with opened(browser, path, 360) as it:
        head = it.page.locator("table.stack tbody th", has_text="scratch").first
        shown = head.evaluate("cell => getComputedStyle(cell, '::before').content + cell.textContent")
        assert shown == '"as good and as safe as: "scratch'


def test_each_word_of_the_glossary_is_linked_once_where_it_stands_first(results: Results) -> None:
    page = read_report(results(FAST, SLOW), "walk").page.decode()

    linked = re.findall(r'<a class="term" href="#([^"]+)">', page)
    assert len(linked) == len(set(linked)) >= 12
    assert all(f'id="{key}"' in page for key in linked)


def test_the_index_has_a_line_for_every_scenario_and_says_what_is_not_judged(browser: Browser, results: Results) -> None:
    root = results(FAST, SLOW)
    write_report(root, "walk")

    path = write_index(root, ["walk", "run"])

    with opened(browser, path, 360) as it:
        rows = [" ".join(row.split()) for row in it.page.locator("tbody tr").all_inner_texts()]
        assert rows[0].startswith("walk ✓ PASS Did the head start help? Yes: pretrained needed 0.143")
        assert rows[1].startswith("run ? not judged no scenario 'run'")
        assert it.page.locator("tbody a").get_attribute("href") == "walk/report.html"
        assert it.hidden_from_readers() == [] and it.problems == [] and not it.is_wider_than_the_screen()
    assert (root / "dvc_plots/vega.js").stat().st_size > 500_000


def test_a_dataset_of_another_expert_and_seeds_that_were_not_compared_are_named(results: Results) -> None:
    root = results(FAST, SLOW)
    path = root / "data/walk/validated.json"
    facts = read_record(path, DatasetManifest)
    remade(path, policy_sha256="9" * 64)
    with pytest.raises(
        InputError, match=r"data/walk/validated\.json: expected a dataset of the expert in models/walk/expert, policy_sha256 666"
    ):
        read_report(root, "walk")

    write_record(path, facts)
    judged = root / "reports/evaluate/walk/beyond.json"
    found = read_record(judged, Comparison)
    fewer = found.candidate.model_copy(update={"passages": found.candidate.passages[:9]})
    write_record(judged, found.model_copy(update={"candidate": fewer}))
    with pytest.raises(
        InputError, match=r"anneal/pretrained/runs\.json: expected the seeds that were compared, \[0, .*8\], got \[0, .*9\]"
    ):
        read_report(root, "walk")


def test_a_report_for_programs_is_json_with_null_for_what_was_not_measured(results: Results) -> None:
    from headstart.view.judged import numbers as told

    alone: Report = read_report(results(None, SLOW), "walk")

    found = json.loads(json.dumps(told(alone.headline), allow_nan=False))
    assert (found["verdict"], found["baseline"], found["ratio_upper"]) == ("HOLD", None, None)
