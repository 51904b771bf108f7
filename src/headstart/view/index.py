"""reports/index.html: every scenario with a report, its verdict in a sentence, and what has not been judged yet. And the pages of DVC."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from headstart.config.project import LOCKS, REPORTS
from headstart.core.errors import HeadstartError
from headstart.core.files import write_bytes
from headstart.core.lock import held, remove_unfinished
from headstart.view.blocks import Linked
from headstart.view.charts import can_draw
from headstart.view.judged import SIGNS, sentence
from headstart.view.page import page, vega
from headstart.view.report import page_path
from headstart.view.report_records import read_headline

VEGA = Path("dvc_plots/vega.js")  # .dvc/plots/page.html looks for it, so that `dvc plots show` needs no network


class Entry(NamedTuple):
    """A line of the index."""

    scenario: str
    outcome: str  # PASS, HOLD, FAIL, or why there is none
    sign: str
    says: str
    link: str  # of its report; empty: there is none


def write_index(root: Path, scenarios: Sequence[str]) -> Path:
    """Of these scenarios and all others that have a report; returns its path. Beside the pages of `dvc plots`, what draws them."""
    path = index_path(root)
    others = sorted(found.parent.name for found in (root / REPORTS).glob("*/report.html"))
    entries = [_entry(root, scenario) for scenario in dict.fromkeys((*scenarios, *others))]
    shown = page("index.html", "Reports", entries=entries, linked=Linked({}))
    drawn = {root / VEGA: vega().encode()} if can_draw() else {}
    with held(root / LOCKS / "reports", "headstart report"):
        remove_unfinished([path, root / VEGA])
        for file, content in {path: shown, **drawn}.items():
            write_bytes(file, content)
    return path


def index_path(root: Path) -> Path:
    """Where it lies."""
    return root / REPORTS / "index.html"


def _entry(root: Path, scenario: str) -> Entry:
    link = f"{scenario}/report.html" if page_path(root, scenario).exists() else ""
    try:
        found = read_headline(root, scenario)
    except HeadstartError as error:
        return Entry(scenario, "not judged", "?", str(error), link)
    outcome = found.verdict.outcome
    return Entry(scenario, outcome.value, SIGNS[outcome], sentence(found), link)
