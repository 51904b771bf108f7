"""All records that a report shows, read and held to what was compared; and which comparison its verdict is about."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from headstart.compare.arm_runs import ArmRuns, CloneRuns, arm_folder
from headstart.compare.comparison import Comparison, require_follows
from headstart.compare.curves import best_run, score_value
from headstart.compare.shift import ShiftFindings
from headstart.config.params import for_scenario, headline_target, load_params
from headstart.config.project import COMPARISONS, MODELS
from headstart.config.scenario import Scenario, load_scenario
from headstart.config.stage_command import stage_command
from headstart.core.errors import InputError
from headstart.core.files import read_record, sha256_file
from headstart.core.run_record import RUN
from headstart.runs.wall_clock import WallClock, evaluation_seconds, wall_clock
from headstart.view.charts_curves import Axes
from headstart.view.comparison import styled
from headstart.view.drawn import watch_command
from headstart.view.lineage import Lineage, read_lineage
from headstart.view.next_steps import flagged_seeds
from headstart.view.taught import Taught, read_taught, require_one_expert
from headstart.view.went import Logs, read_logs

SHIFT = "shift.json"  # beside the comparisons


class Records(NamedTuple):
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


def read_records(root: Path, scenario: str) -> Records:
    """Raises InputError, which names it, where a record is missing or not the one that was compared."""
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
    shift = read_record(folder / SHIFT, ShiftFindings) if (folder / SHIFT).exists() else None
    require_follows(headline, arms, shift, folder / f"{target}.json")
    require_one_expert(taught, scenario)
    candidate, stage = arms[styled(headline).index(headline.candidate)], "anneal" if headline.grid else "baseline"
    shown = next(iter(flagged_seeds(candidate)), best_run(candidate, headline.target.mode).seed)
    logs = read_logs(root, scenario, stage, candidate)
    axes = _axes(root, headline, arms[: len(styled(headline))], {candidate.arm: logs})
    return Records(
        comparisons=comparisons,
        headline=headline,
        arms=arms,
        shift=shift,
        clones=read_record(examined, CloneRuns) if (examined := root / MODELS / scenario / "bc/clones.json").exists() else None,
        described=described,
        taught=taught,
        clock=wall_clock(root, headline),
        logs=logs,
        axes=axes,
        lineage=read_lineage(root, scenario),
        watch=watched_by(described, headline, shown),
    )


def _arms(root: Path, found: Comparison) -> list[ArmRuns]:
    """The arms that were compared, in the order of their colours, then every other arm that was evaluated in the same way.

    Raises InputError where the runs are not those that were compared, or their seeds are not.
    """
    others = sorted(path.parent.name for path in (root / "models" / found.scenario / "anneal").glob("*/runs.json"))
    arms = dict.fromkeys((*(arm.arm for arm in styled(found)), *others))
    paths = {arm: root / arm_folder(found.scenario, arm, baselines_of(found)) / "runs.json" for arm in arms}
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


def baselines_of(found: Comparison) -> list[str]:
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


def levels_of(taught: Taught) -> tuple[dict[str, float], dict[str, float]]:
    """Return and success of the expert, and the mean of the clones by themselves."""
    measures = ("return", "success", "harm")
    expert = {} if taught.expert.score is None else {name: score_value(taught.expert.score, name) for name in measures}
    alone = [clone.closed_loop["sampled"] for clone in taught.clones.values()]
    return expert, {name: fmean(score_value(score, name) for score in alone) for name in measures}


def read_headline(root: Path, scenario: str) -> Comparison:
    """The comparison that the verdict is about."""
    target = headline_of(root, load_scenario(scenario, root / "scenarios"))
    return read_record(root / COMPARISONS / scenario / f"{target}.json", Comparison, made_by=stage_command("evaluate", scenario))


def headline_of(root: Path, scenario: Scenario) -> str:
    """The target that the verdict is about."""
    return headline_target(for_scenario(load_params(root / "params.yaml"), scenario), scenario)


def watched_by(scenario: Scenario, found: Comparison, seed: int) -> str | None:
    """The command that plays the candidate with a seed; None where its world cannot be drawn."""
    return watch_command(scenario, f"{arm_folder(found.scenario, found.candidate.arm, baselines_of(found))}/seed-{seed}")


def best_seed(root: Path, found: Comparison) -> int:
    """Of the candidate, from its runs."""
    folder = arm_folder(found.scenario, found.candidate.arm, baselines_of(found))
    return best_run(read_record(root / folder / "runs.json", ArmRuns, made_by="dvc pull"), found.target.mode).seed
