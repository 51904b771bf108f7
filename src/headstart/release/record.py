"""Record the current comparison as a verdict in the history, after all of its evidence has been verified.

The line is all that is written; the same verdict, recorded again by the same person right after it, has its line.
"""

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

from headstart.compare.arm_runs import CLONES, CloneRuns
from headstart.compare.comparison import Comparison, compare, judged_for_shift
from headstart.compare.findings import ComparisonLimits
from headstart.compare.shift import find_shift
from headstart.config.history import HISTORY, Drilled, Judged, Line, note_written, written
from headstart.config.params import Params, for_scenario, headline_target, load_params
from headstart.config.project import COMPARISONS
from headstart.config.scenario import Scenario, load_scenario
from headstart.config.schedule import Arm
from headstart.config.stage_command import stage_command
from headstart.core.errors import Hold, InputError, IntegrityError, UsageError, shown
from headstart.core.files import read_record, sha256_file, sha256_json
from headstart.core.git import changes
from headstart.core.verdict import Evidence
from headstart.guard.guardrails import metrics_of
from headstart.guard.schedule_check import check_schedule
from headstart.release.lock import Training, best_release, require_code, stage_at_hand, training_of
from headstart.release.registry import open_recovered, open_scenario
from headstart.release.standing import Standing, standing_of

DAY_S = 86400
LOOSER_IF_MORE = ("max_ratio", "max_success_loss", "max_harm_rise", "max_return_loss")
LOOSER_IF_LESS = ("min_replicates",)


def record_verdict(root: Path, scenario_name: str, actor: str, target: str | None = None) -> tuple[Line, Standing]:
    """Append the verdict of reports/evaluate/<scenario>/<target>.json; returns the line, and where the scenario stands with it.

    Raises InputError or IntegrityError where a file is missing, or is not what dvc.lock or the comparison recorded, and Hold where the git
    tree has changes, so that no commit would lead back to what was judged; then nothing is written.
    """
    params, scenario = settings(root, scenario_name)
    path, found = comparison_at_hand(root, params, scenario, target)
    candidate, baselines = prove(root, params, path, found)
    if changed := changes(root, without=(HISTORY.parent.as_posix(),)):
        names = ", ".join(changed[:5])
        raise Hold(f"expected a clean git tree, so that the verdict can be made again; changed: {names}; commit, then record it")
    if candidate.dataset is None or candidate.dataset_sha256 is None:
        raise InputError(f"{candidate.path}: expected an arm that learned from a validated dataset, dvc.lock names none")
    with open_scenario(root, scenario.name, "release record") as (history, _):
        judged = Judged(
            scenario=scenario.name,
            outcome=found.verdict.outcome.value,
            comparison=Evidence(path=path.as_posix(), sha256=sha256_file(root / path)),
            target_sha256=sha256_json(found.target.model_dump(mode="json")),
            design_sha256=sha256_json(candidate.runs.design.model_dump(mode="json")),
            baselines_sha256=recipes_sha256({name: training.runs.recipe for name, training in baselines.items()}),
            schedule_sha256=candidate.schedule_sha256,
            dataset=candidate.dataset,
            dataset_sha256=candidate.dataset_sha256,
            seeds=tuple(run.seed for run in candidate.runs.runs),
            checkpoints=tuple(run.checkpoint_sha256 for run in candidate.runs.runs),
            anneal_cycles=len(set(params.arms[candidate.runs.arm].cycles)),
            candidate=best_release(root, candidate, found.target.mode),
            baseline=best_release(root, baselines["scratch"], found.target.mode),
            required_passes=params.promotion.required_passes,
            loosened=(*loosened(found), *held(params, scenario, candidate.runs.arm)),
        )
        reason = f"recorded {path}"
        done = written(history.lines, Judged, scenario.name, actor, reason)
        if done is not None and _without_revisions(done) == _without_revisions(judged):
            note_written(history.lines, done)
            line = next(line for line in history.lines if line.record is done)
        else:
            line = history.append(judged, actor, reason)
        return line, standing_of(history.lines, scenario.name)


def _without_revisions(judged: Judged) -> dict[str, Any]:
    """All but the commits: the one that holds the history since then is another, and the same runs were judged in both."""
    revisions = {"git_revision": True}
    return judged.model_dump(exclude={"candidate": revisions, "baseline": revisions})


def record_drill(root: Path, drilled: Drilled, actor: str, reason: str) -> Line:
    """Append that the rollback drill was run; the same drill by the same person within a day is on record once."""
    with open_recovered(root, "headstart drill rollback --record") as history:
        last = history.lines[-1] if history.lines else None
        if last and (last.record, last.actor, last.reason) == (drilled, actor, reason) and _age_s(last) < DAY_S:
            note_written(history.lines, last.record)
            return last
        return history.append(drilled, actor, reason)


def _age_s(line: Line) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(line.at)).total_seconds()


def settings(root: Path, scenario_name: str) -> tuple[Params, Scenario]:
    """params.yaml as the scenario has it, and the scenario."""
    scenario = load_scenario(scenario_name, root / "scenarios")
    return for_scenario(load_params(root / "params.yaml"), scenario), scenario


def comparison_at_hand(root: Path, params: Params, scenario: Scenario, target: str | None) -> tuple[Path, Comparison]:
    """The comparison for `target` (default: the headline's), as dvc.lock records it and for the target that the scenario names now."""
    name = target or headline_target(params, scenario)
    if name not in scenario.targets:
        raise UsageError(f"{scenario.name}: expected one of the targets {', '.join(scenario.targets)}, got {name!r}")
    path = COMPARISONS / scenario.name / f"{name}.json"
    found = read_record(root / path, Comparison, made_by=stage_command("evaluate", scenario.name, scenarios=params.scenarios))
    stage_at_hand(root, path)
    wanted, cure = scenario.targets[name], stage_command("evaluate", scenario.name, scenarios=params.scenarios)
    if found.target != wanted or found.scenario != scenario.name:
        raise IntegrityError(
            f"{path}: expected target {name} of {scenario.name} as the scenario file has it, found another; `{cure}`"
        )
    return path, found


def prove(root: Path, params: Params, path: Path, found: Comparison) -> tuple[Training, dict[str, Training]]:
    """The trainings of the candidate and, by name, of the baselines: their files have the hashes that the comparison names, and give it
    again under params.yaml, every number and every word.

    Two limits are no settings and so are taken from the comparison: `resamples`, and `min_replicates`, which `loosened` judges.
    """
    trainings, clones = _evidence(root, found)
    cure = f"`{stage_command('evaluate', found.scenario, scenarios=params.scenarios)}`"
    if params.candidate in params.baselines or set(trainings) != {params.candidate, *params.baselines}:
        raise IntegrityError(
            f"{path}: expected the candidate {params.candidate} against {', '.join(params.baselines)}, as params.yaml has them, "
            f"found runs of {', '.join(trainings) or 'no arm'}; {cure}"
        )
    candidate, baselines = trainings[params.candidate], {name: trainings[name] for name in params.baselines}
    runs = [training.runs for training in baselines.values()]
    shift = find_shift(candidate.runs, runs, clones) if judged_for_shift(found) else None
    limits = found.limits.model_copy(update=params.comparison.model_dump(exclude={"target"}))
    again = compare(candidate.runs, runs, clones, found.target, limits, found.verdict.evidence, shift)
    for where, recorded, computed in differences(found.model_dump(mode="json"), again.model_dump(mode="json")):
        raise IntegrityError(
            f"{path}: expected {where} {shown(computed)}, as params.yaml and the runs give it, found {shown(recorded)}; "
            f"{cure}, with --force if DVC finds nothing to do"
        )
    return candidate, baselines


def _evidence(root: Path, found: Comparison) -> tuple[dict[str, Training], CloneRuns | None]:
    trainings, clones = dict[str, Training](), None
    for evidence in found.verdict.evidence:
        if (sha256 := sha256_file(root / evidence.path)) != evidence.sha256:
            raise IntegrityError(f"{evidence.path}: expected hash {evidence.sha256}, as it was compared, found {sha256}")
        if Path(evidence.path).name == CLONES:
            clones = read_record(root / evidence.path, CloneRuns)
            continue
        require_code(root, Path(evidence.path))
        training = training_of(root, Path(evidence.path))
        trainings[training.runs.arm] = training
    return trainings, clones


def differences(recorded: Any, computed: Any, where: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two JSON values differ, in the order of the first, with both values.

    Floats may differ by 1e-9: one machine computes the same bits again, but another processor may round log, exp and sums otherwise in
    their last bits (2e-16); nothing that is printed shows as many digits.
    """
    match recorded, computed:
        case dict(), dict():
            parts = [(f"{where}.{key}".lstrip("."), recorded.get(key), computed.get(key)) for key in recorded | computed]
        case list(), list():
            parts = [(f"{where}[{i}]", *pair) for i, pair in enumerate(zip_longest(recorded, computed))]
        case float(), float() if math.isclose(recorded, computed, rel_tol=1e-9, abs_tol=1e-12):
            return
        case _:
            parts = []
            if recorded != computed:
                yield where, recorded, computed
    for name, one, other in parts:
        yield from differences(one, other, name)


def recipes_sha256(recipes: Mapping[str, Arm]) -> str:
    """Of the baselines, in whatever order `baselines` lists them."""
    names = sorted(recipes, key=lambda name: (name != "scratch", name))
    return sha256_json([[name, recipes[name].model_dump(mode="json", by_alias=True)] for name in names])


def loosened(found: Comparison) -> tuple[str, ...]:
    """Names of the rules of a comparison that are looser than the default; shift that was not measured is one."""
    limits, default = found.limits, ComparisonLimits()
    more = [name for name in LOOSER_IF_MORE if getattr(limits, name) > getattr(default, name)]
    less = [name for name in LOOSER_IF_LESS if getattr(limits, name) < getattr(default, name)]
    return (*more, *less, *(() if judged_for_shift(found) else ("variant_worlds",)))


def held(params: Params, scenario: Scenario, arm: str) -> tuple[str, ...]:
    """Keys of a schedule for which `headstart schedule check` reports that the result cannot be promoted."""
    every, scratch = params.evaluation.every, params.arms["scratch"].budget
    problems = check_schedule(params.arms[arm], known_metrics=metrics_of(scenario.world), evaluation_every=every, budget=scratch)
    return tuple(f"arms.{arm}.{problem.where}" for problem in problems if problem.level in ("error", "hold"))
