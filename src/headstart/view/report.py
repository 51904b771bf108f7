"""The report of a comparison as a page and as Markdown, and its lines for a terminal: did the head start help, by how much, how sure are we, is
it as good and as safe, what taught it, what next.

It reads what the stages left and measures nothing. What is missing is named, never drawn as zero.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from headstart.compare.comparison import Comparison
from headstart.config.project import LOCKS, REPORTS
from headstart.config.scenario import load_scenario
from headstart.core.errors import InputError
from headstart.core.files import fresh_directory, write_bytes
from headstart.core.lock import held, remove_unfinished
from headstart.core.run_record import RUN
from headstart.runs.tuning import tuning_budgets, tuning_text, unfair
from headstart.view.beyond import power_text
from headstart.view.blocks import Items, Lead, Linked, Part, Section, Table, as_markdown, figures_of, kind_of, markdown, section
from headstart.view.charts import can_draw, png
from headstart.view.charts_curves import Levels
from headstart.view.comparison import printed
from headstart.view.differs import differences
from headstart.view.ends import exam_means
from headstart.view.glance import glance_section
from headstart.view.glossary import TERMS
from headstart.view.judged import SIGNS, Asked, meaning, verdict_section
from headstart.view.lineage import lineage_section
from headstart.view.measured import curves_section, safety_section, steps_section
from headstart.view.next_steps import flagged_seeds, next_steps
from headstart.view.page import page
from headstart.view.report_records import Records, baselines_of, best_seed, levels_of, read_headline, read_records, watched_by
from headstart.view.shift import shift_blocks
from headstart.view.social import social_sections
from headstart.view.task import task_section
from headstart.view.taught import data_section, dataset_text, who_text
from headstart.view.went import flagged_text, schedule_section

PICTURES = "report"  # the folder of the pictures, beside report.md
NO_FIGURES = "No figures: vl_convert is not installed. `pip install 'headstart[view]'`, then `headstart report` again."


class Report(NamedTuple):
    """The whole report of one scenario."""

    scenario: str
    meaning: str  # of the outcome, in a sentence
    headline: Comparison
    sections: list[Section]
    ended: str  # machine and time

    @property
    def text(self) -> str:
        """As Markdown."""
        drawn = [] if can_draw() else [NO_FIGURES]
        meaning = as_markdown(Lead(self.meaning))
        return "\n\n".join([f"# {self.scenario}", meaning, *drawn, markdown(self.sections, PICTURES), f"*{self.ended}*"]) + "\n"

    @property
    def page(self) -> bytes:
        """As one HTML file."""
        data = {f"chart-{figure.name}": figure.spec for figure in figures_of(self.sections)}
        outcome = self.headline.verdict.outcome
        return page(
            "report.html",
            f"{self.scenario}: {outcome}",
            data,
            charts=bool(data),
            scenario=self.scenario,
            outcome=outcome.value,
            sign=SIGNS[outcome],
            told="" if can_draw() else NO_FIGURES,
            sections=self.sections,
            ended=self.ended,
            meaning=self.meaning,
            linked=Linked({word: term_key(term) for term in TERMS for word in term.split(" / ")}),
            address=term_key,
            kind_of=kind_of,
        )


def write_report(root: Path, scenario: str) -> Path:
    """As `put_report`, while no other process writes it."""
    path = page_path(root, scenario)
    with held(root / LOCKS / f"report-{scenario}", f"headstart report {scenario}"):
        remove_unfinished([path, path.with_suffix(".md"), path.with_name(PICTURES)])
        return put_report(root, scenario)


def put_report(root: Path, scenario: str) -> Path:
    """Write reports/<scenario>/report.html and report.md, and the pictures of the latter; returns the path of the page."""
    made, path = read_report(root, scenario), page_path(root, scenario)
    pictures = {f"{figure.name}.png": png(figure.spec) for figure in figures_of(made.sections) if figure.spec}
    _replace_pictures(path.with_name(PICTURES), pictures)
    write_bytes(path.with_suffix(".md"), made.text.encode())
    write_bytes(path, made.page)
    return path


def page_path(root: Path, scenario: str) -> Path:
    """Where the page of a scenario lies."""
    return root / REPORTS / scenario / "report.html"


def require_report(root: Path, scenario: str) -> Path:
    """The path of the page. InputError where it was not written yet."""
    path = page_path(root, scenario)
    if not path.is_file():
        raise InputError(f"{path}: expected a report, found none; `headstart report {scenario}` writes it")
    return path


def _replace_pictures(folder: Path, pictures: dict[str, bytes]) -> None:
    """The record of the stage's run stays."""
    kept = (folder / RUN).read_bytes() if (folder / RUN).exists() else None
    with fresh_directory(folder) as new:
        for name, picture in pictures.items():
            write_bytes(new / name, picture)
        if kept is not None:
            write_bytes(new / RUN, kept)


def summary(root: Path, scenario: str) -> str:
    """What `evaluate` found for the scenario's headline target, for a terminal."""
    described = load_scenario(scenario, root / "scenarios")
    found = read_headline(root, scenario)
    return printed(found, watched_by(described, found, best_seed(root, found)), can_draw())


def read_report(root: Path, scenario: str) -> Report:
    """Raises InputError, which names it, where a record is missing or not the one that was compared."""
    read = read_records(root, scenario)
    found, taught = read.headline, read.taught
    candidate = next(arm for arm in read.arms if arm.arm == found.candidate.arm)
    who = (
        f"{who_text(taught)} {dataset_text(taught)}"
        if candidate.recipe.needs_demonstrations or candidate.recipe.start == "bc"
        else "Nothing: it starts from random weights."
    )
    levels = Levels(*levels_of(taught))
    differs = differences(read.described)
    asked = Asked(
        taught=who,
        steps=next_steps(found, read.watch, flagged_seeds(candidate), read.shift),
        means=exam_means(read.arms, read.clones, found.target.mode),
        shift=read.shift,
        differs=differs,
        flagged=flagged_text(candidate, read.logs, found.target.mode),
    )
    sections = [
        verdict_section(found, asked),
        task_section(root, read.described, found, {arm.arm: arm for arm in read.arms}),
        glance_section(found, {arm.arm: arm for arm in read.arms}, read.lineage.runs, read.clock),
        curves_section(found, read.arms, levels, read.axes),
        steps_section(read.comparisons, found, read.clock),
        safety_section(read.comparisons, found, read.arms, read.clones),
        data_section(taught, sorted({run.demonstration_steps for run in candidate.runs} - {0})),
        section("shift", "Distribution shift", *shift_blocks(read.shift, read.arms, read.clones, differs)),
        *social_sections(read.logs, candidate.arm),
        schedule_section(candidate, read.logs),
        lineage_section(root, found, taught.dataset, read.lineage),
        _limits(root, read),
        section("glossary", "Glossary", Table("word | meaning", list(TERMS.items()))),
    ]
    return Report(scenario, meaning(found, read.shift), found, sections, read.lineage.when)


# --- limits ---------------------------------------------------------------------------------------------------------


def _limits(root: Path, read: Records) -> Section:
    comparisons, shift = read.comparisons, read.shift
    own_experts = any(found.learned_experts > 1 for found in comparisons) or (shift is not None and shift.no_expert)
    items = [
        "The steps of the candidate are counted to the end of their evaluation interval, those of a baseline to its beginning.",
        "First passage is optimistic: a policy that hovers at the target passes it by luck. The exam holds the last checkpoint to it.",
        f"The replicates share {'' if own_experts else 'one expert, '}the recording's settings, and the evaluation and exam worlds: the "
        "result is about these, and about the machine and versions above.",
        f"{len(comparisons)} {'targets were' if len(comparisons) > 1 else 'target was'} judged on the same runs; the verdict is that of the "
        f"headline {read.headline.target.name}, and no bound is corrected for looking at several.",
    ]
    if any(one.baseline.reached.censored for found in comparisons for one in found.grid):
        items.append(
            "Where fewer than half of a baseline's seeds arrive within its budget, there is no ratio, only an upper bound of it."
        )
    measured = len(shift.variants) if shift is not None else 0
    worlds = "Exam worlds are used by nothing else, but they are drawn like the training worlds"
    items.append(
        f"{worlds}; {measured} held-out variants are not." if measured else f"{worlds}: no shifted variant was measured."
    )
    items += [] if read.clock else ["Seconds to target: the logs of the runs are not here, or there is no baseline."]
    tuning = _tuning(read.headline.scenario, read.headline.candidate.arm, baselines_of(read.headline), root)
    items += [power] if (power := power_text(read.headline)) else []
    return Section("limits", "Limits of this result", [Part("", [Items([*items, *tuning])])])


def _tuning(scenario: str, candidate: str, baselines: Sequence[str], root: Path) -> list[str]:
    """Only what the table of the arms does not say: that there was no search at all, or that it was not fair."""
    searched = tuning_budgets(scenario, tuple(dict.fromkeys((candidate, *baselines))), root)
    if searched and not (candidate in searched and unfair(scenario, candidate, root)):
        return []
    return [tuning_text(scenario, candidate, baselines, root)]


def term_key(term: str) -> str:
    """The address of a word in the glossary of a page."""
    return "term-" + re.sub(r"[^a-z_]+", "-", term.lower()).strip("-")
