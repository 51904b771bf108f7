"""The report of a comparison as Markdown with figures, and its lines for a terminal: did the head start help, by how much, is it safe,
how sure are we.

It reads what the stages left and measures nothing. What is missing is named, never drawn as zero.
"""

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path

from headstart.compare.arm_runs import ArmRuns, Score, arm_folder
from headstart.compare.comparison import Comparison
from headstart.compare.curves import best_run
from headstart.compare.shift import ShiftFindings
from headstart.config.params import headline_target, load_params
from headstart.config.project import COMPARISONS, REPORTS
from headstart.config.scenario import load_scenario
from headstart.core.errors import InputError
from headstart.core.files import read_record, sha256_file, write_bytes
from headstart.core.run_record import RUN, RunRecord
from headstart.core.verdict import Verdict
from headstart.dataset.manifest import DatasetManifest
from headstart.runs.clone_report import CloneReport
from headstart.runs.expert_record import ExpertPolicy
from headstart.view.comparison import number, printed, section, shift_section, table

SHIFT = "shift.json"  # beside the comparisons
DRAWN = {"town": "", "nav": " --gif robot.gif"}  # worlds that can be drawn: in a terminal, or as a picture only
NO_FIGURES = "No figures: matplotlib is not installed. `pip install 'headstart[view]'`, then `headstart report` again."


def write_report(root: Path, scenario: str) -> Path:
    """Write reports/<scenario>/report.md and its figures; returns its path."""
    path = root / REPORTS / scenario / "report.md"
    text, figures = report(root, scenario)
    for name, picture in figures.items():
        write_bytes(path.with_name(name), picture)
    write_bytes(path, text.encode())
    return path


def summary(root: Path, scenario: str) -> str:
    """What `evaluate` found for the scenario's headline target, for a terminal."""
    described = load_scenario(scenario, root / "scenarios")
    target = headline_target(load_params(root / "params.yaml"), described)
    found = read_record(root / COMPARISONS / scenario / f"{target}.json", Comparison, made_by="dvc repro evaluate")
    folder = arm_folder(scenario, found.candidate.arm)
    best = best_run(read_record(root / folder / "runs.json", ArmRuns, made_by="dvc pull"), found.target.mode)
    watch = f"headstart play {scenario} --policy {folder}/seed-{best.seed}{DRAWN.get(described.world, '')}"
    return printed(found, watch if described.world in DRAWN else None)


def report(root: Path, scenario: str) -> tuple[str, dict[str, bytes]]:
    """The whole report of one scenario, and file name → PNG of its figures; none of these where matplotlib is not installed.

    Raises InputError where `evaluate` has compared nothing, and where a record is missing.
    """
    folder = root / COMPARISONS / scenario
    comparisons = [read_record(path, Comparison) for path in sorted(folder.glob("*.json")) if path.name not in (SHIFT, RUN)]
    if not comparisons:
        raise InputError(f"{folder}: expected comparisons; `dvc repro` makes them")
    shift = read_record(folder / SHIFT, ShiftFindings) if (folder / SHIFT).exists() else None
    clone = read_record(root / REPORTS / scenario / "bc_train/metrics.json", CloneReport, made_by="dvc repro bc_train")
    arms = [_arms(root, found) if can_draw() else [] for found in comparisons]
    parts = [f"# {scenario}", *([] if can_draw() else [NO_FIGURES])]
    parts += [section(found, of_found) for found, of_found in zip(comparisons, arms, strict=True)]
    parts += [shift_section(shift), _expert(root, scenario), _dataset(root, scenario)]
    parts += [_cloning(clone, _verdict(root, scenario, "bc_train")), _honesty(comparisons, shift)]
    parts += [_provenance(root, scenario)]
    expert = read_record(root / "models" / scenario / "expert" / "expert.json", ExpertPolicy, made_by="dvc pull").score
    return "\n\n".join(parts) + "\n", _figures(comparisons, arms, clone, expert) if can_draw() else {}


def _figures(comparisons: list[Comparison], arms: list[list[ArmRuns]], clone: CloneReport, expert: Score) -> dict[str, bytes]:
    from headstart.view.figures import confusion, learning_curves, png, steps_to_target

    drawn = {}
    for found, of_found in zip(comparisons, arms, strict=True):
        drawn[f"curves_{found.target.name}.png"] = png(learning_curves(found, expert, of_found))
        if found.pairs:
            drawn[f"steps_{found.target.name}.png"] = png(steps_to_target(found))
    if clone.confusion:
        drawn["confusion.png"] = png(confusion(clone))
    return drawn


def can_draw() -> bool:
    """Is matplotlib installed?"""
    return importlib.util.find_spec("matplotlib") is not None


def _arms(root: Path, found: Comparison) -> list[ArmRuns]:
    """Scratch, the candidate, then every other arm that was evaluated in the same way.

    Raises InputError where the runs of the first two are not those that were compared.
    """
    others = sorted(path.parent.name for path in (root / "models" / found.scenario / "anneal").glob("*/runs.json"))
    arms = dict.fromkeys(("scratch", found.candidate.arm, *others))
    paths = {arm: root / arm_folder(found.scenario, arm) / "runs.json" for arm in arms}
    runs = {arm: read_record(path, ArmRuns, made_by="dvc pull") for arm, path in paths.items()}
    for evidence in found.verdict.evidence:
        if sha256_file(root / evidence.path) != evidence.sha256:
            raise InputError(
                f"{root / evidence.path}: expected the runs that were compared, found others; `dvc repro evaluate` compares"
            )
    return [arm for arm in runs.values() if arm.design == runs["scratch"].design]


def accuracy_text(clone: CloneReport) -> str:
    """How often the clone's most likely action is the expert's, in episodes that it did not learn from."""
    f1 = "" if clone.macro_f1 is None else f", macro-F1 {clone.macro_f1:.3f}"
    return f"held-out accuracy {clone.accuracy:.3f} (best constant action {clone.constant_accuracy:.3f}){f1}"


def confusion_caption(clone: CloneReport) -> str:
    """What the matrix shows, in numbers."""
    total = sum(row.n for row in clone.per_action.values())
    name, worst = min(clone.per_action.items(), key=lambda item: item[1].recall)
    return (
        f"*Of {total:,} held-out decisions of the expert the clone repeats {clone.accuracy:.1%} (always the commonest action: "
        f"{clone.constant_accuracy:.1%}). It misses {name} most: {worst.recall:.1%} of {worst.n:,}.*"
    )


def _expert(root: Path, scenario: str) -> str:
    verdict = _verdict(root, scenario, "expert")
    lines = [
        f"* {'ok' if c.passed else 'MISSED'}: {c.text}: {json.dumps(c.measured)} {c.direction} {c.threshold}"
        for c in verdict.checks
    ]
    return "\n".join([f"## Expert: {verdict.outcome}", "", *lines])


def _dataset(root: Path, scenario: str) -> str:
    manifest = read_record(root / "data" / scenario / "validated.json", DatasetManifest, made_by="dvc repro validate")
    verdict = _verdict(root, scenario, "validate")
    why = ", ".join(f"{n} {reason}" for reason, n in manifest.rejection_reasons.items()) or "none"
    train, heldout, quality = manifest.splits.train, manifest.splits.heldout, manifest.quality
    return (
        f"## Dataset {manifest.dataset}@{manifest.version}: {verdict.outcome}, {len(verdict.checks)} gates\n\n"
        f"{manifest.accepted.episodes:,} episodes ({manifest.accepted.steps:,} steps) accepted, {manifest.rejected.episodes:,} rejected "
        f"({why}); {train.worlds} worlds to train, {heldout.worlds} held out, none on both sides. Accepted episodes, with the slips or "
        f"the noise that `capture` adds to the expert's actions: success {quality.success_rate:.3f}, "
        f"harm {quality.harm_rate:.3f}, mean return {quality.return_mean:.3f}."
    )


def _verdict(root: Path, scenario: str, stage: str) -> Verdict:
    return read_record(root / REPORTS / scenario / stage / "verdict.json", Verdict, made_by=f"dvc repro {stage}")


def _cloning(report: CloneReport, verdict: Verdict) -> str:
    clone, expert = report.closed_loop["sampled"], report.expert
    lines = [
        f"## Clone: {verdict.outcome}",
        "",
        f"Imitation: {accuracy_text(report)}. "
        f"In closed loop {clone.success} of {clone.episodes} worlds succeed (expert {expert.success}), "
        f"{clone.harm} with harm (expert {expert.harm}), return {clone.return_mean:.3f} (expert {expert.return_mean:.3f}).",
    ]
    if report.confusion and can_draw():
        lines += ["", "![What the clone does where the expert acts](confusion.png)", "", confusion_caption(report)]
    if report.per_action:
        rows = [
            (name, f"{row.n:,}", f"{row.recall:.3f}", number(row.precision, ".3f", "never chosen"), f"{row.f1:.3f}")
            for name, row in report.per_action.items()
        ]
        lines += ["", *table("action | held-out decisions | recall | precision | F1", rows)]
    return "\n".join(lines)


def _honesty(comparisons: list[Comparison], shift: ShiftFindings | None) -> str:
    lines = [
        "* Steps are charged up to the evaluation that confirms the target, for both arms; a difference below one interval cannot be seen.",
        "* All seeds of the candidate start from one clone of one dataset: the spread between clones is not measured.",
    ]
    if any(pair.scratch_censored for found in comparisons for pair in found.pairs):
        lines.append(
            "* A run of scratch did not reach the target within its budget, so its true cost is higher: any ratio is an upper bound."
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
