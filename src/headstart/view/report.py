"""The report of a comparison as Markdown: did the head start help, by how much, is it safe, how sure are we.

It reads what the stages left and measures nothing. What is missing is named, never drawn as zero.
"""

import json
from pathlib import Path
from typing import Any

from headstart.errors import InputError
from headstart.govern.comparison import Comparison
from headstart.govern.findings import ArmSummary
from headstart.govern.verdict import Verdict
from headstart.records.files import read_record, write_bytes
from headstart.records.manifest import DatasetManifest
from headstart.records.strict_json import parse_json


def write_reports(root: Path) -> list[Path]:
    """Write reports/<scenario>/report.md for every scenario that `evaluate` compared; returns their paths."""
    folder = root / "reports" / "evaluate"
    scenarios = sorted(p.name for p in folder.glob("*") if p.is_dir())
    if not scenarios:
        raise InputError(f"{folder}: expected comparisons; `dvc repro` makes them")
    written = []
    for scenario in scenarios:
        path = root / "reports" / scenario / "report.md"
        write_bytes(path, report(root, scenario).encode())
        written.append(path)
    return written


def report(root: Path, scenario: str) -> str:
    """The whole report of one scenario."""
    comparisons = [read_record(path, Comparison) for path in sorted((root / "reports/evaluate" / scenario).glob("*.json"))]
    parts = [f"# {scenario}"]
    parts += [_comparison(comparison) for comparison in comparisons]
    parts += [_expert(root, scenario), _dataset(root, scenario), _cloning(root, scenario), _honesty(comparisons)]
    return "\n\n".join(parts) + "\n"


def _comparison(found: Comparison) -> str:
    target = found.target
    wants = [f"success ≥ {target.success_rate}"]
    wants += [f"mean return ≥ {target.return_mean}"] if target.return_mean is not None else []
    wants += [f"harm ≤ {target.harm_rate}"] if target.harm_rate is not None else []
    lines = [
        f"## {target.name}: {found.verdict.outcome}",
        "",
        f"Target: {', '.join(wants)}, {target.mode} policy, {target.consecutive} evaluations in a row. {headline(found)}",
        *(f"* {reason.outcome}: {reason.text}" for reason in found.verdict.reasons),
        "",
        "| arm | seeds at the target | median env steps to it | success, sampled | success, deterministic | harm, sampled | return (IQM) |",
        "|---|---|---|---|---|---|---|",
        *(_arm(arm) for arm in ([found.candidate, found.scratch] if found.pairs else [found.candidate])),
    ]
    if found.pairs:
        lines += ["", "| seed | candidate, env steps | scratch, env steps | ratio |", "|---|---|---|---|"]
        for pair in found.pairs:
            ours = f"> {pair.candidate_steps:,}" if pair.candidate_censored else f"{pair.candidate_steps:,}"
            theirs = f"> {pair.scratch_steps:,}" if pair.scratch_censored else f"{pair.scratch_steps:,}"
            ratio = "not measured" if pair.ratio is None else f"{'≤ ' if pair.ratio_is_bound else ''}{pair.ratio:.3f}"
            lines.append(f"| {pair.seed} | {ours} | {theirs} | {ratio} |")
        lines += ["", "`>`: not reached within the steps that the run was watched for (censored)."]
    return "\n".join(lines)


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
        text += f"; with the recorded demonstrations counted {most}{found.all_in.geometric_mean:.3f}"
    return text + "."


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


def _cloning(root: Path, scenario: str) -> str:
    path = root / "reports" / scenario / "bc_train" / "metrics.json"
    if not path.is_file():
        raise InputError(f"{path}: expected the clone's metrics; `dvc repro bc_train` makes them")
    m: dict[str, Any] = parse_json(path.read_bytes(), str(path))
    verdict = read_record(path.with_name("verdict.json"), Verdict)
    clone, expert = m["closed_loop"]["sampled"], m["expert"]
    lines = [
        f"## Clone: {verdict.outcome}",
        "",
        f"Held-out accuracy {m['accuracy']:.3f} (always the commonest action: {m['majority_share']:.3f}), macro-F1 {m['macro_f1']:.3f}. "
        f"In closed loop {clone['success']} of {clone['episodes']} worlds succeed (expert {expert['success']}), "
        f"{clone['harm']} with harm (expert {expert['harm']}), return {clone['return_mean']:.3f} (expert {expert['return_mean']:.3f}).",
        "",
        "| action | held-out decisions | recall | precision | F1 |",
        "|---|---|---|---|---|",
    ]
    for name, row in m["per_action"].items():
        precision = "never chosen" if row["precision"] is None else f"{row['precision']:.3f}"
        lines.append(f"| {name} | {row['n']:,} | {row['recall']:.3f} | {precision} | {row['f1']:.3f} |")
    return "\n".join(lines)


def _checks(verdict: Verdict) -> str:
    return "\n".join(
        f"* {'ok' if c.passed else 'MISSED'}: {c.text}: {json.dumps(c.measured)} {c.direction} {c.threshold}"
        for c in verdict.checks
    )


def _honesty(comparisons: list[Comparison]) -> str:
    lines = ["## What these numbers do not say", ""]
    if any(c.ratio_is_bound for c in comparisons):
        lines.append(
            "* Some run of scratch never reached the target within its budget, so its true cost is higher: the ratio is an upper bound."
        )
    lines.append(
        "* Steps are charged up to the evaluation that confirms the target, for both arms; a difference below one interval cannot be seen."
    )
    lines.append("* All seeds of the candidate start from one clone of one dataset: the spread between clones is not measured.")
    lines.append(
        "* Exam worlds are used by nothing else, but they are drawn like the training worlds: no shifted variant was measured."
    )
    return "\n".join(lines)
