"""The report of a comparison as a page and as Markdown, and its lines for a terminal: did the head start help, by how much, how sure are we, is
it as good and as safe, what taught it, what next.

It reads what the stages left and measures nothing. What is missing is named, never drawn as zero.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from headstart.compare.arm_runs import ArmRuns, CloneRuns, arm_folder
from headstart.compare.comparison import Comparison
from headstart.compare.curves import best_run, score_value
from headstart.compare.shift import ShiftFindings
from headstart.config.params import for_scenario, headline_target, load_params
from headstart.config.project import COMPARISONS, LOCKS, MODELS, REPORTS
from headstart.config.scenario import Scenario, load_scenario
from headstart.config.stage_command import stage_command
from headstart.core.errors import InputError
from headstart.core.files import fresh_directory, read_record, sha256_file, write_bytes
from headstart.core.lock import held, remove_unfinished
from headstart.core.run_record import RUN
from headstart.runs.tuning import tuning_text
from headstart.runs.wall_clock import WallClock, evaluation_seconds, wall_clock
from headstart.view.blocks import Items, Lead, Linked, Part, Section, Table, as_markdown, figures_of, kind_of, markdown, section
from headstart.view.charts import Axes, Levels, can_draw, png
from headstart.view.comparison import printed, styled
from headstart.view.glossary import TERMS
from headstart.view.judged import SIGNS, glance_section, meaning, verdict_section
from headstart.view.measured import curves_section, safety_section, steps_section
from headstart.view.next_steps import flagged_seeds, next_steps
from headstart.view.page import page
from headstart.view.shift import shift_blocks
from headstart.view.social import social_sections
from headstart.view.task import task_section
from headstart.view.taught import Taught, data_section, dataset_text, read_taught, require_one_expert, who_text
from headstart.view.went import Lineage, Logs, lineage_section, read_lineage, read_logs, schedule_section

SHIFT = "shift.json"  # beside the comparisons
DRAWN = {"town": "", "nav": " --gif robot.gif"}  # worlds that can be drawn: in a terminal, or as a picture only
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
    return printed(found, _watch(root, described, found), can_draw())


def read_headline(root: Path, scenario: str) -> Comparison:
    """The comparison that the verdict is about."""
    target = headline_of(root, load_scenario(scenario, root / "scenarios"))
    return read_record(root / COMPARISONS / scenario / f"{target}.json", Comparison, made_by=stage_command("evaluate", scenario))


def headline_of(root: Path, scenario: Scenario) -> str:
    """The target that the verdict is about."""
    return headline_target(for_scenario(load_params(root / "params.yaml"), scenario), scenario)


def _watch(root: Path, scenario: Scenario, found: Comparison, seed: int | None = None) -> str | None:
    """The command that plays the candidate with a seed, the best by default; None where its world cannot be drawn."""
    if scenario.world not in DRAWN:
        return None
    folder = arm_folder(found.scenario, found.candidate.arm, _baselines(found))
    if seed is None:
        seed = best_run(read_record(root / folder / "runs.json", ArmRuns, made_by="dvc pull"), found.target.mode).seed
    return f"headstart play {scenario.name} --policy {folder}/seed-{seed}{DRAWN[scenario.world]}"


# --- what is read -------------------------------------------------------------------------------------------------------


class _Read(NamedTuple):
    """All records that a report shows."""

    comparisons: list[Comparison]
    headline: Comparison
    arms: list[ArmRuns]  # those of `headline` in the order of `styled`, then every other arm that was evaluated in the same way
    shift: ShiftFindings | None
    clones: CloneRuns | None  # on the exam worlds
    described: Scenario
    taught: Taught
    clock: WallClock | None
    logs: Logs  # of the candidate
    axes: Axes
    lineage: Lineage
    watch: str | None


def read_report(root: Path, scenario: str) -> Report:
    """Raises InputError, which names it, where a record is missing or not the one that was compared."""
    read = _read(root, scenario)
    found, taught = read.headline, read.taught
    candidate = next(arm for arm in read.arms if arm.arm == found.candidate.arm)
    who = (
        f"{who_text(taught)} {dataset_text(taught)}"
        if candidate.recipe.needs_demonstrations or candidate.recipe.start == "bc"
        else "Nothing: it starts from random weights."
    )
    levels = Levels(*_levels(taught))
    sections = [
        verdict_section(found, who, next_steps(found, read.watch, flagged_seeds(candidate)), read.shift),
        task_section(root, read.described, found, {arm.arm: arm for arm in read.arms}),
        glance_section(found, {arm.arm: arm for arm in read.arms}, read.lineage.seconds, read.clock),
        curves_section(found, read.arms, levels, read.axes),
        steps_section(read.comparisons, found, read.clock),
        safety_section(read.comparisons, found, read.arms, read.clones),
        data_section(taught, sorted({run.demonstration_steps for run in candidate.runs} - {0})),
        section("shift", "Distribution shift", *shift_blocks(read.shift, read.arms, read.clones)),
        *social_sections(read.logs),
        schedule_section(candidate, read.logs),
        lineage_section(root, found, taught.dataset, read.lineage),
        _not_measured(root, read),
        section("glossary", "Glossary", Table("word | meaning", list(TERMS.items()))),
    ]
    return Report(scenario, meaning(found), found, sections, read.lineage.when)


def _read(root: Path, scenario: str) -> _Read:
    folder = root / COMPARISONS / scenario
    comparisons = [read_record(path, Comparison) for path in sorted(folder.glob("*.json")) if path.name not in (SHIFT, RUN)]
    if not comparisons:
        raise InputError(f"{folder}: expected comparisons; `{stage_command('evaluate', scenario)}` makes them")
    described = load_scenario(scenario, root / "scenarios")
    target = headline_of(root, described)
    headline = next((found for found in comparisons if found.target.name == target), None)
    if headline is None:
        raise InputError(
            f"{folder}: expected {target}.json, the target that the verdict is about; `{stage_command('evaluate', scenario)}` makes it"
        )
    arms, taught = _arms(root, headline), read_taught(root, scenario)
    require_one_expert(taught, scenario)
    candidate, stage = arms[styled(headline).index(headline.candidate)], "anneal" if headline.grid else "baseline"
    logs = read_logs(root, scenario, stage, candidate)
    axes = _axes(root, headline, arms[: len(styled(headline))], {candidate.arm: logs})
    return _Read(
        comparisons=comparisons,
        headline=headline,
        arms=arms,
        shift=read_record(folder / SHIFT, ShiftFindings) if (folder / SHIFT).exists() else None,
        clones=read_record(examined, CloneRuns) if (examined := root / MODELS / scenario / "bc/clones.json").exists() else None,
        described=described,
        taught=taught,
        clock=wall_clock(root, headline),
        logs=logs,
        axes=axes,
        lineage=read_lineage(root, scenario),
        watch=_watch(root, described, headline, next(iter(flagged_seeds(candidate)), None)),
    )


def _arms(root: Path, found: Comparison) -> list[ArmRuns]:
    """The arms that were compared, in the order of their colours, then every other arm that was evaluated in the same way.

    Raises InputError where the runs are not those that were compared, or their seeds are not.
    """
    others = sorted(path.parent.name for path in (root / "models" / found.scenario / "anneal").glob("*/runs.json"))
    arms = dict.fromkeys((*(arm.arm for arm in styled(found)), *others))
    paths = {arm: root / arm_folder(found.scenario, arm, _baselines(found)) / "runs.json" for arm in arms}
    runs = {arm: read_record(path, ArmRuns, made_by="dvc pull") for arm, path in paths.items()}
    again = stage_command("evaluate", found.scenario)
    for evidence in found.verdict.evidence:
        if not (root / evidence.path).is_file():
            raise InputError(f"{root / evidence.path}: expected what was compared, found no file; `dvc pull` brings it")
        if sha256_file(root / evidence.path) != evidence.sha256:
            raise InputError(f"{root / evidence.path}: expected the runs that were compared, found others; `{again}` compares")
    for arm in styled(found):
        expected, got = [one.seed for one in arm.passages], sorted(run.seed for run in runs[arm.arm].runs)
        if expected != got:
            raise InputError(
                f"{paths[arm.arm]}: expected the seeds that were compared, {expected}, got {got}; `{again}` compares"
            )
    return [arm for arm in runs.values() if arm.design == runs[found.candidate.arm].design]


def _baselines(found: Comparison) -> list[str]:
    """The arms that start from random weights; without a grid the candidate is one of them."""
    return [one.baseline.arm for one in found.grid] or [found.candidate.arm]


def _axes(root: Path, found: Comparison, arms: Sequence[ArmRuns], known: dict[str, Logs]) -> Axes:
    """What curves may be drawn against: seconds only where the logs of all arms that were compared are here, and from one machine."""
    cost = {arm.arm: fmean(run.demonstration_steps for run in arm.runs) for arm in arms}
    logs = {arm.arm: known.get(arm.arm) or read_logs(root, found.scenario, "baseline", arm) for arm in arms}
    if not all(logs.values()):
        return Axes(cost)
    clock = {}
    for arm, of in logs.items():
        seconds = [evaluation_seconds(tuple(log), found.target.mode)[0] for log in of.values()]
        steps = sorted(set.intersection(*map(set, seconds)))
        clock[arm] = (steps, [fmean(one[step] for one in seconds) for step in steps])
    return Axes(cost, clock)


def _levels(taught: Taught) -> tuple[dict[str, float], dict[str, float]]:
    """Return and success of the expert, and the mean of the clones by themselves."""
    measures = ("return", "success")
    expert = {} if taught.expert.score is None else {name: score_value(taught.expert.score, name) for name in measures}
    alone = [clone.closed_loop["sampled"] for clone in taught.clones.values()]
    return expert, {name: fmean(score_value(score, name) for score in alone) for name in measures}


# --- what was not measured ----------------------------------------------------------------------------------------------


def _not_measured(root: Path, read: _Read) -> Section:
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
    tuning = tuning_text(read.headline.scenario, read.headline.candidate.arm, _baselines(read.headline), root)
    return Section("limits", "What was not measured", [Part("", [Items([*items, tuning])])])


def term_key(term: str) -> str:
    """The address of a word in the glossary of a page."""
    return "term-" + re.sub(r"[^a-z_]+", "-", term.lower()).strip("-")
