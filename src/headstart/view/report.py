"""The report of a comparison as Markdown with figures, and its lines for a terminal: did the head start help, by how much, is it safe,
how sure are we.

It reads what the stages left and measures nothing. What is missing is named, never drawn as zero.
"""

import importlib.util
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from headstart.compare.arm_runs import ArmRuns, Score, arm_folder
from headstart.compare.comparison import Comparison
from headstart.compare.curves import best_run
from headstart.compare.shift import ShiftFindings
from headstart.config.params import for_scenario, headline_target, load_params
from headstart.config.project import COMPARISONS, LOCKS, REPORTS
from headstart.config.scenario import Scenario, load_scenario
from headstart.config.stage_command import stage_command
from headstart.core.errors import InputError
from headstart.core.files import read_record, sha256_file, write_bytes
from headstart.core.lock import held, remove_unfinished
from headstart.core.run_record import RUN, RunRecord
from headstart.core.verdict import Verdict, decide
from headstart.dataset.manifest import DatasetManifest
from headstart.runs.clone_report import CloneReport, CloneReports, pooled
from headstart.runs.expert_record import ExpertPolicy
from headstart.runs.tuning import tuning_text
from headstart.runs.wall_clock import wall_clock
from headstart.view.beyond import beyond_section
from headstart.view.comparison import number, printed, section, shift_section, styled, table
from headstart.view.ends import ends_lines

SHIFT = "shift.json"  # beside the comparisons
DRAWN = {"town": "", "nav": " --gif robot.gif"}  # worlds that can be drawn: in a terminal, or as a picture only
NO_FIGURES = "No figures: matplotlib is not installed. `pip install 'headstart[view]'`, then `headstart report` again."


def write_report(root: Path, scenario: str) -> Path:
    """Write reports/<scenario>/report.md and its figures; returns its path."""
    path = root / REPORTS / scenario / "report.md"
    text, figures = report(root, scenario)
    with held(root / LOCKS / f"report-{scenario}", f"headstart report {scenario}"):
        remove_unfinished([path, *map(path.with_name, figures)])
        for name, picture in figures.items():
            write_bytes(path.with_name(name), picture)
        write_bytes(path, text.encode())
    return path


def summary(root: Path, scenario: str) -> str:
    """What `evaluate` found for the scenario's headline target, for a terminal."""
    described = load_scenario(scenario, root / "scenarios")
    target = _headline(root, described)
    found = read_record(root / COMPARISONS / scenario / f"{target}.json", Comparison, made_by=stage_command("evaluate", scenario))
    folder = arm_folder(scenario, found.candidate.arm, _baselines(found))
    best = best_run(read_record(root / folder / "runs.json", ArmRuns, made_by="dvc pull"), found.target.mode)
    watch = f"headstart play {scenario} --policy {folder}/seed-{best.seed}{DRAWN.get(described.world, '')}"
    return printed(found, watch if described.world in DRAWN else None, can_draw())


def _headline(root: Path, scenario: Scenario) -> str:
    return headline_target(for_scenario(load_params(root / "params.yaml"), scenario), scenario)


def report(root: Path, scenario: str) -> tuple[str, dict[str, bytes]]:
    """The whole report of one scenario, and file name → PNG of its figures; none of these where matplotlib is not installed.

    Raises InputError where `evaluate` has compared nothing, and where a record is missing.
    """
    folder = root / COMPARISONS / scenario
    comparisons = [read_record(path, Comparison) for path in sorted(folder.glob("*.json")) if path.name not in (SHIFT, RUN)]
    if not comparisons:
        raise InputError(f"{folder}: expected comparisons; `{stage_command('evaluate', scenario)}` makes them")
    shift = read_record(folder / SHIFT, ShiftFindings) if (folder / SHIFT).exists() else None
    reports = root / REPORTS / scenario / "bc_train"
    made = stage_command("bc_train", scenario)
    clones = read_record(reports / "metrics.json", CloneReports, made_by=made).clones
    gates = {seed: read_record(reports / f"seed-{seed}.json", Verdict, made_by=made) for seed in clones}
    arms = [_arms(root, found) if can_draw() else [] for found in comparisons]
    parts = [f"# {scenario}", *([] if can_draw() else [NO_FIGURES])]
    parts += [section(found, of_found) for found, of_found in zip(comparisons, arms, strict=True)]
    parts += ["\n".join(["## Final policies", "", *ends_lines(comparisons)])]
    target = _headline(root, load_scenario(scenario, root / "scenarios"))
    parts += [beyond_section(found, wall_clock(root, found), can_draw()) for found in comparisons if found.target.name == target]
    parts += [shift_section(shift), _expert(root, scenario), _dataset(root, scenario)]
    parts += [_cloning(clones, gates), f"## Tuning\n\n{_tuning(root, comparisons[0])}"]
    parts += [_honesty(comparisons, shift), _provenance(root, scenario)]
    expert = read_record(root / "models" / scenario / "expert" / "expert.json", ExpertPolicy, made_by="dvc pull").score
    return "\n\n".join(parts) + "\n", _figures(comparisons, arms, clones, expert, target) if can_draw() else {}


def _figures(
    comparisons: list[Comparison], arms: list[list[ArmRuns]], clones: dict[int, CloneReport], expert: Score | None, headline: str
) -> dict[str, bytes]:
    from headstart.view.figures import confusion, learning_curves, performance, png, steps_to_target

    drawn = {}
    for found, of_found in zip(comparisons, arms, strict=True):
        drawn[f"curves_{found.target.name}.png"] = png(learning_curves(found, expert, of_found))
        if found.grid:
            drawn[f"steps_{found.target.name}.png"] = png(steps_to_target(found))
        if found.grid and found.target.name == headline:
            compared = of_found[: len(styled(found))]
            drawn[f"profile_{headline}.png"] = png(performance(compared, found.target.mode))
    if decisions := pooled(clones.values()):
        drawn["confusion.png"] = png(confusion(decisions))
    return drawn


def can_draw() -> bool:
    """Is matplotlib installed?"""
    return importlib.util.find_spec("matplotlib") is not None


def _arms(root: Path, found: Comparison) -> list[ArmRuns]:
    """The arms that were compared, in the order of their colours, then every other arm that was evaluated in the same way.

    Raises InputError where the runs are not those that were compared.
    """
    others = sorted(path.parent.name for path in (root / "models" / found.scenario / "anneal").glob("*/runs.json"))
    arms = dict.fromkeys((*(arm.arm for arm in styled(found)), *others))
    paths = {arm: root / arm_folder(found.scenario, arm, _baselines(found)) / "runs.json" for arm in arms}
    runs = {arm: read_record(path, ArmRuns, made_by="dvc pull") for arm, path in paths.items()}
    for evidence in found.verdict.evidence:
        if sha256_file(root / evidence.path) != evidence.sha256:
            again = stage_command("evaluate", found.scenario)
            raise InputError(f"{root / evidence.path}: expected the runs that were compared, found others; `{again}` compares")
    return [arm for arm in runs.values() if arm.design == runs[found.candidate.arm].design]


def _baselines(found: Comparison) -> list[str]:
    """The arms that start from random weights; without a grid the candidate is one of them."""
    return [one.baseline.arm for one in found.grid] or [found.candidate.arm]


def accuracy_text(clones: Sequence[CloneReport]) -> str:
    """How often the clones' most likely action is the expert's, in episodes that they did not learn from: means over the clones."""
    f1 = [clone.macro_f1 for clone in clones if clone.macro_f1 is not None]
    accuracy, constant = (
        fmean(of) for of in zip(*((clone.accuracy or 0.0, clone.constant_accuracy) for clone in clones), strict=True)
    )
    return f"held-out accuracy {accuracy:.3f} (best constant action {constant:.3f})" + (
        f", macro-F1 {fmean(f1):.3f}" if f1 else ""
    )


def confusion_caption(decisions: Mapping[str, Mapping[str, int]]) -> str:
    """What the matrix shows, in numbers."""
    counts = {name: (row.get(name, 0), sum(row.values())) for name, row in decisions.items()}
    right, total = map(sum, zip(*counts.values(), strict=True))
    worst = min(counts, key=lambda name: counts[name][0] / counts[name][1])
    hits, n = counts[worst]
    return (
        f"*Of {total:,} held-out decisions of the expert the clones repeat {right / total:.1%} (always the commonest action: "
        f"{max(n for _, n in counts.values()) / total:.1%}). They miss {worst} most: {hits / n:.1%} of {n:,}.*"
    )


def _expert(root: Path, scenario: str) -> str:
    verdict = _verdict(root, scenario, "expert")
    lines = [
        f"* {'ok' if c.passed else 'MISSED'}: {c.text}: {json.dumps(c.measured)} {c.direction} {c.threshold}"
        if c.applies
        else f"* {c.name}: {c.text}"
        for c in verdict.checks
    ]
    return "\n".join([f"## Expert: {verdict.outcome}", "", *lines])


def _dataset(root: Path, scenario: str) -> str:
    manifest = read_record(
        root / "data" / scenario / "validated.json", DatasetManifest, made_by=stage_command("validate", scenario)
    )
    verdict = _verdict(root, scenario, "validate")
    why = ", ".join(f"{n} {reason}" for reason, n in manifest.rejection_reasons.items()) or "none"
    train, heldout, quality = manifest.splits.train, manifest.splits.heldout, manifest.quality
    named = {"success": quality.success_rate, "harm": quality.harm_rate, "mean return": quality.return_mean}
    shown = ", ".join(f"{name} {'not recorded' if value is None else f'{value:.3f}'}" for name, value in named.items())
    made = (
        "" if manifest.expert == "demonstrations" else ", with the slips or the noise that `capture` adds to the expert's actions"
    )
    passed = sum(check.applies for check in verdict.checks)
    left_out = [f"{check.name} {check.text}" for check in verdict.checks if not check.applies]
    return (
        f"## Dataset {manifest.dataset}@{manifest.version}: {verdict.outcome}, {passed} gates\n\n"
        f"{manifest.accepted.episodes:,} episodes ({manifest.accepted.steps:,} steps) accepted, {manifest.rejected.episodes:,} rejected "
        f"({why}) in {len(manifest.blocks)} blocks; {train.worlds} worlds to train, {heldout.worlds} held out, none on both sides. Accepted "
        f"episodes{made}: {shown}." + (f" Gates that do not apply: {'; '.join(left_out)}." if left_out else "")
    )


def _verdict(root: Path, scenario: str, stage: str) -> Verdict:
    return read_record(root / REPORTS / scenario / stage / "verdict.json", Verdict, made_by=stage_command(stage, scenario))


def _cloning(clones: dict[int, CloneReport], gates: dict[int, Verdict]) -> str:
    expert = next(iter(clones.values())).expert
    theirs = "The recording does not tell success, harm and return."
    if expert is not None:
        whose = "Recorded demonstrations" if next(iter(clones.values())).recorded else "Expert in the same closed loop"
        theirs = f"{whose}: success {expert.success_rate:.3f}, harm {expert.harm_rate:.3f}, return {expert.return_mean:.3f}."
    outcome = decide(check for gate in gates.values() for check in gate.checks)
    lines = [
        f"## Clones: {outcome}",
        "",
        f"{len(clones)} clones, each of its own block of the recording. Imitation, means: {accuracy_text(list(clones.values()))}. {theirs}",
    ]
    if (decisions := pooled(clones.values())) and can_draw():
        lines += ["", "![What the clones do where the expert acts](confusion.png)", "", confusion_caption(decisions)]
    rows = [(str(seed), gates[seed].outcome.value, *_clone_cells(clone)) for seed, clone in clones.items()]
    columns = "seed | gate | held-out accuracy | macro-F1 | success | harm | return"
    return "\n".join([*lines, "", *table(columns, rows)])


def _clone_cells(clone: CloneReport) -> Sequence[str]:
    score = clone.closed_loop["sampled"]
    cells = (clone.accuracy, clone.macro_f1, score.success_rate, score.harm_rate, score.return_mean)
    return [number(value, ".3f") for value in cells]


def _tuning(root: Path, found: Comparison) -> str:
    return tuning_text(found.scenario, found.candidate.arm, _baselines(found), root)


def _honesty(comparisons: list[Comparison], shift: ShiftFindings | None) -> str:
    own_experts = any(found.learned_experts > 1 for found in comparisons) or (shift is not None and shift.no_expert)
    lines = [
        "* The steps of the candidate are counted to the end of their evaluation interval, those of a baseline to its beginning.",
        "* First passage is optimistic: a policy that hovers at the target passes it by luck. The exam holds the last checkpoint to it.",
        f"* The replicates share {'' if own_experts else 'one expert, '}the recording's settings, and the evaluation and exam worlds: the "
        "result is about these.",
    ]
    if any(one.baseline.reached.censored for found in comparisons for one in found.grid):
        lines.append(
            "* Where fewer than half of a baseline's seeds arrive within its budget, there is no ratio, only an upper bound of it."
        )
    worlds = "* Exam worlds are used by nothing else, but they are drawn like the training worlds"
    measured = len(shift.variants) if shift is not None else 0
    lines.append(
        f"{worlds}; {measured} held-out variants are not." if measured else f"{worlds}: no shifted variant was measured."
    )
    return "\n".join(["## What these numbers do not say", "", *lines])


def _provenance(root: Path, scenario: str) -> str:
    """Which code made the numbers: a row for every stage that left the record of its run, the oldest first."""
    paths = [*(root / REPORTS / scenario).rglob(RUN), *(root / COMPARISONS / scenario).glob(RUN)]
    runs = sorted((read_record(path, RunRecord) for path in paths), key=lambda run: (run.circumstances.started_at, run.run_id))
    lines = ["## Provenance", ""]
    if not runs:
        return "\n".join([*lines, "No stage left the record of its run."])
    lines += table("stage | status | git revision | started (UTC) | seconds | code", map(_run, runs))
    if len({(run.circumstances.git_revision, run.circumstances.git_dirty) for run in runs}) > 1:
        lines += ["", "The stages ran at different git revisions, or some with changes that were not committed."]
    return "\n".join([*lines, "", f"Inputs, settings and versions of a run: `{RUN}` in the reports of its stage."])


def _run(run: RunRecord) -> Sequence[str]:
    what = run.circumstances
    revision = (what.git_revision or "unknown")[:7] + (" + changes" if what.git_dirty else "")
    stage = run.stage if run.arm is None else f"{run.stage} {run.arm}"
    return stage, run.status, revision, what.started_at[:19].replace("T", " "), f"{what.seconds:,.1f}", run.code_sha256[:8]
