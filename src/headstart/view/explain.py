"""A run in plain words: what was trained, how it went, what the guardrails did, when it met its target, and what was decided."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from headstart.compare.arm_runs import ArmRuns, SeedRun
from headstart.compare.comparison import Comparison, all_in_text, steps_text
from headstart.config.params import for_scenario, headline_target, load_params
from headstart.config.project import COMPARISONS, MODELS, REPORTS
from headstart.config.scenario import load_scenario
from headstart.config.stage_command import stage_command
from headstart.core.errors import InputError, UsageError, nearest
from headstart.core.files import read_record
from headstart.view.explain_log import Explained, log_of

LOG = "telemetry-0000.ndjson"
SHOWN = 3  # seeds that are named


def explain(root: Path, run: str) -> Explained:
    """A scenario, SCENARIO/ARM, SCENARIO/ARM/seed-N, or a folder of one of them or of a log.

    Raises UsageError for a name that is none, and InputError where its records are missing.
    """
    folder = root / run
    if (folder / LOG).is_file() or (folder / "telemetry" / LOG).is_file():
        return log_of(folder if (folder / LOG).is_file() else folder / "telemetry", None)
    scenario, *rest = _named(folder.relative_to(root) if folder.is_relative_to(root) else folder)
    if not rest:
        return _scenario(root, scenario)
    trained = REPORTS / scenario / "expert/telemetry" / rest[-1]
    if rest[0] == "expert" and (root / trained / LOG).is_file():
        return log_of(trained, None, root)
    runs, home = _runs(root, scenario, rest[0])
    if len(rest) == 1:
        return _arm(root, runs)
    wanted = f"seed-{rest[1].removeprefix('seed-')}"
    seed = next((one for one in runs.runs if f"seed-{one.seed}" == wanted), None)
    if seed is None:
        known = [f"seed-{one.seed}" for one in runs.runs]
        raise UsageError(f"{scenario}/{rest[0]} has no {wanted!r}{nearest(wanted, known)}; it has {', '.join(known)}")
    return log_of(REPORTS / scenario / home / runs.arm / "telemetry" / wanted, seed, root)


def _named(path: Path) -> list[str]:
    """`models/town/anneal/tiny/seed-3` and `town/tiny/seed-3` → town, tiny, seed-3."""
    parts = [part for part in path.parts if part != "telemetry"]
    if parts[:1] in (["models"], ["reports"]):
        parts = [part for part in parts[1:] if part not in ("baseline", "anneal", "evaluate")]
    if not 1 <= len(parts) <= 3:
        raise UsageError(f"{path}: expected SCENARIO, SCENARIO/ARM, SCENARIO/ARM/seed-N or the folder of a run")
    return parts


def _runs(root: Path, scenario: str, arm: str) -> tuple[ArmRuns, str]:
    """The runs of an arm, and the stage that trained them."""
    paths = {path.parent.name: path for path in sorted((root / MODELS / scenario).glob("*/*/runs.json"))}
    if arm in paths:
        return read_record(paths[arm], ArmRuns), paths[arm].parent.parent.name
    if not paths:
        load_scenario(scenario, root / "scenarios")  # a name that is none ends here
        params = load_params(root / "params.yaml")
        trained = stage_command("baseline" if arm in params.baselines else "anneal", scenario, arm)
        raise InputError(f"{MODELS / scenario}: expected runs of {arm}, found none; `{trained}` trains them")
    raise UsageError(f"{scenario} has no runs of an arm {arm!r}{nearest(arm, paths)}; it has {', '.join(paths)}")


# --- a scenario: its verdict ------------------------------------------------------------------------------------------------


def _scenario(root: Path, name: str) -> Explained:
    scenario = load_scenario(name, root / "scenarios")
    target = headline_target(for_scenario(load_params(root / "params.yaml"), scenario), scenario)
    path = root / COMPARISONS / name / f"{target}.json"
    found = read_record(path, Comparison, made_by=stage_command("evaluate", name))
    arm, exam = found.candidate.arm, found.candidate.exams["sampled"]
    says = [
        f"{name} is a {found.verdict.outcome} for the target {target}.",
        f"{steps_text(found)}.",
        all_in_text(found),
        f"At its exam {arm} succeeds in {exam.success_rate:.3f} of episodes, does harm in {exam.harm_rate:.3f} of them, and has a return of "
        f"{exam.return_iqm:.3f} (interquartile mean over {len(found.candidate.passages)} seeds).",
        *(f"{reason.outcome}: {reason.text}." for reason in found.verdict.reasons),
    ]
    facts = {
        "scenario": name,
        "target": target,
        "verdict": found.verdict.outcome.value,
        "reasons": [reason.text for reason in found.verdict.reasons],
        "ratio_upper": found.strongest.online.upper if found.strongest else None,
        "success_rate": exam.success_rate,
        "harm_rate": exam.harm_rate,
        "return_iqm": exam.return_iqm,
    }
    return Explained(" ".join(filter(None, says)), facts, f"`headstart report` writes {REPORTS / name / 'report.md'}")


# --- an arm: all its seeds --------------------------------------------------------------------------------------------------


def _arm(root: Path, arm: ArmRuns) -> Explained:
    runs, recipe = arm.runs, arm.recipe
    start = "a clone of the expert" if recipe.start == "bc" else "random weights"
    phases = ", ".join(
        f"{phase.name} ({phase.kind}, {phase.length:,} {phase.unit.removeprefix('env ')})" for phase in recipe.phases
    )
    first, last = ([_score(run, when) for run in runs] for when in ("first", "exam"))
    quiet = [run for run in runs if run.outcome == "PASS"]
    back = sum(run.rollbacks for run in runs)
    says = [
        f"{arm.arm} on {arm.scenario} starts from {start} and was trained on {len(runs)} seeds for up to {recipe.budget:,} env steps each: "
        f"{phases}.",
        f"Before training its success was {_range([one.success_rate for one in first])} on {arm.design.evaluation_worlds:,} evaluation "
        f"worlds and its return {_range([one.return_mean for one in first])}; at the exam, on {arm.design.exam_worlds:,} others, success is "
        f"{_range([one.success_rate for one in last])}, harm {_range([one.harm_rate for one in last])} and return "
        f"{_range([one.return_mean for one in last])} over the seeds.",
        f"Guardrails: {len(quiet)} of {len(runs)} seeds ended with none open, {back} rollback{'' if back == 1 else 's'}.",
        *_ended(runs),
        _judged(root, arm),
    ]
    facts = {
        "scenario": arm.scenario,
        "arm": arm.arm,
        "seeds": [_facts(run) for run in runs],
        "start": recipe.start,
        "budget": recipe.budget,
    }
    next_seed = f"`headstart explain {arm.scenario}/{arm.arm}/seed-{runs[0].seed}` tells of one seed"
    return Explained(" ".join(filter(None, says)), facts, next_seed)


def _ended(runs: Sequence[SeedRun]) -> Iterator[str]:
    """The seeds that did not end as they should."""
    ended = [run for run in runs if run.outcome != "PASS"]
    for run in ended[:SHOWN]:
        yield f"Seed {run.seed} is a {run.outcome} ({run.status}): {'; '.join(run.reasons)}."
    if ended[SHOWN:]:
        yield f"So did {len(ended) - SHOWN} more."


def _judged(root: Path, arm: ArmRuns) -> str:
    """What the comparison says of the arm, if it was one of those compared."""
    says = []
    for path in sorted((root / COMPARISONS / arm.scenario).glob("*.json")):
        if path.name in ("run.json", "shift.json"):
            continue
        found = read_record(path, Comparison)
        summaries = {one.arm: one for one in (found.candidate, *(against.baseline for against in found.grid))}
        if arm.arm not in summaries:
            continue
        by = [one.by for one in summaries[arm.arm].passages]
        there = sorted(one for one in by if one is not None)
        text = f"{len(there)} of {len(by)} seeds met {found.target.name}"
        if there and there[-1] == 0:
            text += " before training"
        elif there:
            first = f"by {there[0]:,}" if there[0] else "before training"
            text += f", the first {first} and the last of them by {there[-1]:,} env steps"
        if arm.arm == found.candidate.arm:
            text += f"; the verdict is {found.verdict.outcome}"
        says.append(f"{text}.")
    return " ".join(says) or f"It was not compared yet: `{stage_command('evaluate', arm.scenario)}` does so."


# --- words ------------------------------------------------------------------------------------------------------------------


def _score(run: SeedRun, when: str) -> Any:
    return run.exam["sampled"] if when == "exam" else next(iter(run.curve[0].scores.values()))


def _facts(run: SeedRun) -> dict[str, Any]:
    exam = run.exam["sampled"]
    return {
        "seed": run.seed,
        "status": run.status,
        "outcome": run.outcome,
        "reasons": run.reasons,
        "rollbacks": run.rollbacks,
        "env_steps": run.env_steps,
        "success_rate": exam.success_rate,
        "harm_rate": exam.harm_rate,
        "return_mean": exam.return_mean,
    }


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):.3f}", f"{max(values):.3f}"
    return low if low == high else f"{low} to {high}"
