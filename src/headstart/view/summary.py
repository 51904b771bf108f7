"""The end of a pipeline in the lines that one reads: the verdict in a sentence, both arms, where to look, what to type next."""

import textwrap
from pathlib import Path

from headstart.compare.arm_runs import ArmRuns
from headstart.compare.candidate import best_run
from headstart.compare.comparison import Comparison
from headstart.compare.findings import ArmSummary
from headstart.config.params import headline_target, load_params
from headstart.config.scenario import load_scenario
from headstart.core.files import read_record
from headstart.view.report import COMPARISONS, arm_folder

WIDTH = 80
SHOWN = {"town": "", "nav": " --gif robot.gif"}  # worlds that can be drawn: in a terminal, or as a picture only


def summary(root: Path, scenario: str) -> str:
    """What `evaluate` found for the scenario's headline target."""
    described = load_scenario(scenario, root / "scenarios")
    target = headline_target(load_params(root / "params.yaml"), described)
    found = read_record(root / COMPARISONS / scenario / f"{target}.json", Comparison, made_by="dvc repro evaluate")
    return printed(found, _watch(root, found) + SHOWN[described.world] if described.world in SHOWN else None)


def printed(found: Comparison, watched: str | None) -> str:
    """The lines; `watched` is the command that plays the candidate, None where its world cannot be drawn."""
    arms = [found.candidate, found.scratch] if found.pairs else [found.candidate]
    lines = textwrap.wrap(f"{found.verdict.outcome}: {verdict_sentence(found)}", WIDTH)
    lines += [f"{'':14}{'success':>9}{'harm':>8}{'IQM return':>12}{'median steps to it':>21}{'seeds there':>14}"]
    lines += [_arm(arm) for arm in arms]
    lines += [f"read it: reports/{found.scenario}/report.md and the figures beside it"]
    lines += [f"watch it: {watched}"] if watched else []
    return "\n".join(lines)


def verdict_sentence(found: Comparison) -> str:
    """One plain sentence, without the outcome: by how much the candidate was faster, or what stands in the way."""
    name, target, ratio = found.candidate.arm, found.target.name, found.online
    if found.verdict.reasons:
        return f"{found.scenario}, {target}: {'; '.join(reason.text for reason in found.verdict.reasons)}."
    if ratio is None:
        return f"{found.scenario}, {target}: {name} is not compared with itself."
    most = "at most " if ratio.is_bound else ""
    upper = "no bound" if ratio.upper is None else f"95 % upper bound {ratio.upper:.2f}"
    return (
        f"on {found.scenario}, {name} needed {most}{ratio.geometric_mean:.2f} of scratch's steps to reach {target} "
        f"({upper}, limit {found.limits.ratio_max:.2f}, {ratio.n} matched seeds)."
    )


def _arm(arm: ArmSummary) -> str:
    exam, reached = arm.exams["sampled"], arm.reached
    success, harm = exam.success / exam.episodes, exam.harm / exam.episodes
    steps = "fewer than half" if reached.median_steps is None else f"{reached.median_steps:,.0f}"
    there = f"{reached.runs - reached.censored} of {reached.runs}"
    return f"  {arm.arm:<12}{success:9.3f}{harm:8.3f}{exam.return_iqm:12.2f}{steps:>21}{there:>14}"


def _watch(root: Path, found: Comparison) -> str:
    """The command that plays the seed whose last evaluation was best."""
    folder = arm_folder(found.scenario, found.candidate.arm)
    best = best_run(read_record(root / folder / "runs.json", ArmRuns, made_by="dvc pull"), found.target.mode)
    return f"headstart play {found.scenario} --policy {folder}/seed-{best.seed}"
