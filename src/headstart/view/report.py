"""The report of a comparison as Markdown with figures: did the head start help, by how much, is it safe, how sure are we.

It reads what the stages left and measures nothing. What is missing is named, never drawn as zero.
"""

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path

from headstart.compare.arm_runs import ArmRuns
from headstart.compare.comparison import Comparison
from headstart.compare.findings import ArmSummary
from headstart.compare.shift_findings import ShiftFindings
from headstart.config.scenario import Target
from headstart.core.errors import InputError
from headstart.core.files import read_record, sha256_file, write_bytes
from headstart.core.run_record import RUN
from headstart.core.verdict import Verdict
from headstart.dataset.manifest import DatasetManifest
from headstart.runs.clone_report import CloneReport
from headstart.runs.expert_record import ExpertPolicy
from headstart.view.shift import shift_section

COMPARISONS = Path("reports") / "evaluate"
SHIFT = "shift.json"  # beside the comparisons
NO_FIGURES = "No figures: matplotlib is not installed. `pip install 'headstart[view]'`, then `headstart report` again."


def write_report(root: Path, scenario: str) -> Path:
    """Write reports/<scenario>/report.md and its figures; returns its path. InputError where `evaluate` has compared nothing."""
    if not _comparisons(root, scenario):
        raise InputError(f"{root / COMPARISONS / scenario}: expected comparisons; `dvc repro` makes them")
    path = root / "reports" / scenario / "report.md"
    for name, picture in figures(root, scenario).items():
        write_bytes(path.with_name(name), picture)
    write_bytes(path, report(root, scenario).encode())
    return path


def report(root: Path, scenario: str) -> str:
    """The whole report of one scenario."""
    comparisons = _comparisons(root, scenario)
    parts = [f"# {scenario}"]
    parts += [] if can_draw() else [NO_FIGURES]
    parts += [_comparison(comparison, _arms(root, comparison) if can_draw() else ()) for comparison in comparisons]
    shift = _shift(root, scenario)
    parts += [shift_section(shift), _expert(root, scenario), _dataset(root, scenario), _cloning(root, scenario)]
    parts += [_honesty(comparisons, shift)]
    return "\n\n".join(parts) + "\n"


def figures(root: Path, scenario: str) -> dict[str, bytes]:
    """File name → PNG of every figure that the report shows; none where matplotlib is not installed."""
    if not can_draw():
        return {}
    from headstart.view.figures import confusion, learning_curves, png, steps_to_target

    drawn = {}
    expert = read_record(root / "models" / scenario / "expert" / "expert.json", ExpertPolicy, made_by="dvc pull").score
    for found in _comparisons(root, scenario):
        target = found.target
        drawn[f"curves_{target.name}.png"] = png(learning_curves(_arms(root, found), target, found.limits, expert))
        if found.pairs:
            drawn[f"steps_{target.name}.png"] = png(steps_to_target(found))
    clone = _clone(root, scenario)
    if clone.confusion:
        drawn["confusion.png"] = png(confusion(clone))
    return drawn


def can_draw() -> bool:
    """Is matplotlib installed?"""
    return importlib.util.find_spec("matplotlib") is not None


def _comparisons(root: Path, scenario: str) -> list[Comparison]:
    paths = sorted((root / COMPARISONS / scenario).glob("*.json"))
    return [read_record(path, Comparison) for path in paths if path.name not in (SHIFT, RUN)]


def _shift(root: Path, scenario: str) -> ShiftFindings | None:
    path = root / COMPARISONS / scenario / SHIFT
    return read_record(path, ShiftFindings) if path.exists() else None


def _arms(root: Path, found: Comparison) -> list[ArmRuns]:
    """Scratch, the candidate, then every other arm that was evaluated in the same way.

    Raises InputError where the runs of the first two are not those that were compared.
    """
    arms = dict.fromkeys(("scratch", found.candidate.arm, *_others(root, found)))
    paths = {arm: root / arm_folder(found.scenario, arm) / "runs.json" for arm in arms}
    runs = {arm: read_record(path, ArmRuns, made_by="dvc pull") for arm, path in paths.items()}
    for evidence in found.verdict.evidence:
        if sha256_file(root / evidence.path) != evidence.sha256:
            raise InputError(
                f"{root / evidence.path}: expected the runs that were compared, found others; `dvc repro evaluate` compares"
            )
    return [arm for arm in runs.values() if arm.design == runs["scratch"].design]


def _others(root: Path, found: Comparison) -> list[str]:
    return sorted(path.parent.name for path in (root / "models" / found.scenario / "anneal").glob("*/runs.json"))


def arm_folder(scenario: str, arm: str) -> Path:
    """Where an arm's runs and checkpoints lie, from the project's root."""
    return Path("models") / scenario / ("baseline" if arm == "scratch" else f"anneal/{arm}")


def _comparison(found: Comparison, arms: Sequence[ArmRuns]) -> str:
    target = found.target
    lines = [
        f"## {target.name}: {found.verdict.outcome}",
        "",
        f"Target: {target_text(target)}. {headline(found)}",
        *(f"* {reason.outcome}: {reason.text}" for reason in found.verdict.reasons),
        "",
        *arms_table(found),
    ]
    if arms:
        lines += ["", f"![Learning curves, target {target.name}](curves_{target.name}.png)", "", curves_caption(found, arms)]
    if found.pairs:
        if arms:
            lines += ["", f"![Steps to {target.name}, seed by seed](steps_{target.name}.png)", "", steps_caption(found)]
        lines += ["", "| seed | candidate, env steps | scratch, env steps | ratio |", "|---|---|---|---|"]
        for pair in found.pairs:
            ours = f"> {pair.candidate_steps:,}" if pair.candidate_censored else f"{pair.candidate_steps:,}"
            theirs = f"> {pair.scratch_steps:,}" if pair.scratch_censored else f"{pair.scratch_steps:,}"
            ratio = "not measured" if pair.ratio is None else f"{'≤ ' if pair.ratio_is_bound else ''}{pair.ratio:.3f}"
            lines.append(f"| {pair.seed} | {ours} | {theirs} | {ratio} |")
        if _any_censored(found):
            lines += ["", "`>`: not reached within the steps that the run was watched for (censored)."]
    return "\n".join(lines)


def target_text(target: Target) -> str:
    """What the target asks for, as an enumeration."""
    wants = [f"success ≥ {target.success_rate}"]
    wants += [f"mean return ≥ {target.return_mean}"] if target.return_mean is not None else []
    wants += [f"mean {name} ≥ {least:g}" for name, least in target.measures.items()]
    wants += [f"harm ≤ {target.harm_rate}"] if target.harm_rate is not None else []
    return f"{', '.join(wants)}, {target.mode} policy, {target.consecutive} evaluations in a row"


def headline(found: Comparison) -> str:
    """One sentence with the ratio, its bound and its limit, or why there is none."""
    ratio = found.online
    if ratio is None:
        return "No ratio: " + ("the baseline is not compared with itself." if not found.pairs else "a candidate run is censored.")
    most = "at most " if ratio.is_bound else ""
    upper = "no interval" if ratio.upper is None else f"one-sided 95 % upper bound {ratio.upper:.3f}"
    text = f"{found.candidate.arm} needed {most}{ratio.geometric_mean:.3f} of scratch's env steps ({upper}, limit {found.limits.ratio_max}, "
    text += f"{ratio.n} matched seeds)"
    if found.all_in is not None:
        text += f"; with all that the demonstrations cost counted {most}{found.all_in.geometric_mean:.3f}"
    return text + "."


def curves_caption(found: Comparison, arms: Sequence[ArmRuns]) -> str:
    """What the learning curves show, in numbers."""
    both = [found.candidate, found.scratch] if found.pairs else [found.candidate]
    ends = "; ".join(
        f"{arm.arm} ends at success {arm.curves['success'].iqm[-1]:.2f} and return {arm.curves['return'].iqm[-1]:.2f} "
        f"after {arm.curves['success'].env_steps[-1]:,} env steps (n = {arm.reached.runs} seeds)"
        for arm in both
    )
    n, least = min(len(arm.runs) for arm in arms), found.limits.pairs_for_interval
    band = "band: its 95 % bootstrap interval" if n >= least else f"no band, since {n} seeds are fewer than {least}"
    worlds = arms[0].design.evaluation_worlds
    return (
        f"*{ends}. Every evaluation: {worlds:,} worlds, {found.target.mode} policy. Thin: one seed; thick: interquartile mean over seeds; "
        f"{band}.{f' Open arrow: a seed that never reached {found.target.name}.' if _any_censored(found) else ''}*"
    )


def steps_caption(found: Comparison) -> str:
    """What the dots show, in numbers."""
    n = len(found.pairs)
    faster = sum(not p.candidate_censored and (p.scratch_censored or p.candidate_steps < p.scratch_steps) for p in found.pairs)
    ours, theirs = (arm.reached.runs - arm.reached.censored for arm in (found.candidate, found.scratch))
    arrow = " Open arrow: not reached within the steps that the run was watched for (censored)." if _any_censored(found) else ""
    return (
        f"*{found.candidate.arm} reached {found.target.name} with {ours} of {n} seeds, scratch with {theirs}; {found.candidate.arm} was the "
        f"first with {faster} of {n}.{arrow}*"
    )


def _any_censored(found: Comparison) -> bool:
    return found.candidate.reached.censored > 0 or found.scratch.reached.censored > 0


def confusion_caption(clone: CloneReport) -> str:
    """What the matrix shows, in numbers."""
    total = sum(row.n for row in clone.per_action.values())
    name, worst = min(clone.per_action.items(), key=lambda item: item[1].recall)
    return (
        f"*Of {total:,} held-out decisions of the expert the clone repeats {clone.accuracy:.1%} (always the commonest action: "
        f"{clone.constant_accuracy:.1%}). It misses {name} most: {worst.recall:.1%} of {worst.n:,}.*"
    )


def arms_table(found: Comparison) -> list[str]:
    """Lines of Markdown: what each arm reached, and its exam."""
    return [
        "| arm | seeds at the target | median env steps to it | success, sampled | success, deterministic | harm, sampled | return (IQM) |",
        "|---|---|---|---|---|---|---|",
        *(_arm(arm) for arm in ([found.candidate, found.scratch] if found.pairs else [found.candidate])),
    ]


def _arm(arm: ArmSummary) -> str:
    sampled, greedy = arm.exams["sampled"], arm.exams["deterministic"]
    reached = f"{arm.reached.runs - arm.reached.censored} of {arm.reached.runs}"
    median = "not reached" if arm.reached.median_steps is None else f"{arm.reached.median_steps:,.0f}"
    success = f"{sampled.success / sampled.episodes:.3f} (≥ {sampled.success_low:.3f}; n = {sampled.episodes:,})"
    harm = f"{sampled.harm / sampled.episodes:.3f} (≤ {sampled.harm_high:.3f})"
    return f"| {arm.arm} | {reached} | {median} | {success} | {greedy.success / greedy.episodes:.3f} | {harm} | {sampled.return_iqm:.3f} |"


def _expert(root: Path, scenario: str) -> str:
    verdict = read_record(root / "reports" / scenario / "expert" / "verdict.json", Verdict, made_by="dvc repro expert")
    return f"## Expert: {verdict.outcome}\n\n" + _checks(verdict)


def _dataset(root: Path, scenario: str) -> str:
    manifest = read_record(root / "data" / scenario / "validated.json", DatasetManifest, made_by="dvc repro validate")
    verdict = read_record(root / "reports" / scenario / "validate" / "verdict.json", Verdict, made_by="dvc repro validate")
    why = ", ".join(f"{n} {reason}" for reason, n in manifest.rejection_reasons.items()) or "none"
    train, heldout = manifest.splits.train, manifest.splits.heldout
    return (
        f"## Dataset {manifest.dataset}@{manifest.version}: {verdict.outcome}, {len(verdict.checks)} gates\n\n"
        f"{manifest.accepted.episodes:,} episodes ({manifest.accepted.steps:,} steps) accepted, {manifest.rejected.episodes:,} rejected "
        f"({why}); {train.worlds} worlds to train, {heldout.worlds} held out, none on both sides."
    )


def _clone(root: Path, scenario: str) -> CloneReport:
    return read_record(root / "reports" / scenario / "bc_train" / "metrics.json", CloneReport, made_by="dvc repro bc_train")


def _cloning(root: Path, scenario: str) -> str:
    report, path = _clone(root, scenario), root / "reports" / scenario / "bc_train" / "verdict.json"
    verdict = read_record(path, Verdict, made_by="dvc repro bc_train")
    clone, expert = report.closed_loop["sampled"], report.expert
    f1 = "" if report.macro_f1 is None else f", macro-F1 {report.macro_f1:.3f}"
    lines = [
        f"## Clone: {verdict.outcome}",
        "",
        f"Held-out accuracy {report.accuracy:.3f} (best constant action: {report.constant_accuracy:.3f}){f1}. "
        f"In closed loop {clone.success} of {clone.episodes} worlds succeed (expert {expert.success}), "
        f"{clone.harm} with harm (expert {expert.harm}), return {clone.return_mean:.3f} (expert {expert.return_mean:.3f}).",
    ]
    if report.confusion and can_draw():
        lines += ["", "![What the clone does where the expert acts](confusion.png)", "", confusion_caption(report)]
    if report.per_action:
        lines += ["", "| action | held-out decisions | recall | precision | F1 |", "|---|---|---|---|---|"]
    for name, row in report.per_action.items():
        precision = "never chosen" if row.precision is None else f"{row.precision:.3f}"
        lines.append(f"| {name} | {row.n:,} | {row.recall:.3f} | {precision} | {row.f1:.3f} |")
    return "\n".join(lines)


def _checks(verdict: Verdict) -> str:
    return "\n".join(
        f"* {'ok' if c.passed else 'MISSED'}: {c.text}: {json.dumps(c.measured)} {c.direction} {c.threshold}"
        for c in verdict.checks
    )


def _honesty(comparisons: list[Comparison], shift: ShiftFindings | None) -> str:
    lines = ["## What these numbers do not say", ""]
    if any(c.ratio_is_bound for c in comparisons):
        lines.append(
            "* Some run of scratch never reached the target within its budget, so its true cost is higher: any ratio is an upper bound."
        )
    lines.append(
        "* Steps are charged up to the evaluation that confirms the target, for both arms; a difference below one interval cannot be seen."
    )
    lines.append("* All seeds of the candidate start from one clone of one dataset: the spread between clones is not measured.")
    worlds = "* Exam worlds are used by nothing else, but they are drawn like the training worlds"
    if shift is not None and shift.variants:
        lines.append(
            f"{worlds}; the held-out variants are not, and they are {len(shift.variants)} of many that one can think of."
        )
    else:
        lines.append(f"{worlds}: no shifted variant was measured.")
    return "\n".join(lines)
