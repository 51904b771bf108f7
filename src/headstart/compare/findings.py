"""The findings of a comparison, before the verdict: exams, learning curves, steps to target, and differences of the final policies."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import Field

from headstart.compare.arm_runs import ArmRuns, CloneRun, CloneRuns, Outcomes, Score, SeedRun
from headstart.compare.beyond import Beyond, find_beyond
from headstart.compare.curves import CurveBand, curve_bands, score_value
from headstart.compare.levels import Steps
from headstart.compare.power import PowerPlan
from headstart.compare.ratio import (
    Difference,
    RatioEstimate,
    Reached,
    difference,
    estimate_ratio,
    kaplan_meier,
    probability_of_improvement,
)
from headstart.compare.target import Passage, passage
from headstart.config.params import ComparisonRules
from headstart.config.scenario import Target
from headstart.core.arrays import MODES, Array, Mode
from headstart.core.record import Record
from headstart.core.statistics import interquartile_mean, wilson_lower, wilson_upper

OTHERS = ("target", "clone", "expert")  # what the final policies are held to besides the baselines


class ComparisonLimits(ComparisonRules):
    """All rules of a comparison: those of params.yaml, and those that nobody changes."""

    min_replicates: int = 10  # fewer cannot PASS
    resamples: int = 10_000  # of the bootstrap


class ExamSummary(Outcomes):
    """The last checkpoints of one arm on the exam worlds, pooled over seeds; one-sided 95 % Wilson bounds.

    Pooling takes episodes as independent; what is held to a limit are the means over replicates.
    """

    success_low: float
    harm_high: float
    return_iqm: float  # over seeds


class ArmSummary(Record):
    """The findings on one arm alone."""

    arm: str
    budget: int  # env steps of a run
    exams: dict[Mode, ExamSummary]
    passages: tuple[Passage, ...]  # by seed
    reached: Reached  # by the evaluations that first met the target
    curves: dict[str, CurveBand]  # success, harm, return


class Against(Record):
    """The candidate against one baseline."""

    baseline: ArmSummary
    online: RatioEstimate
    all_in: RatioEstimate  # with the steps that the demonstrations cost charged to every run of the candidate
    probability_of_improvement: float  # that a run of the candidate needs fewer steps than one of the baseline


class Spread(Record):
    """Standard deviations of a quantity: between clones, and between runs that start from the same clone (one-way random effects)."""

    clones: int
    runs: int
    between: float
    within: float


class Findings(Record):
    """All numbers of a comparison. Of a baseline by itself, those after `candidate` are empty."""

    scenario: str
    target: Target
    limits: ComparisonLimits
    candidate: ArmSummary
    learned_experts: int = 0  # that the clones of its runs learned from; 0: a script, or recorded demonstrations
    # every baseline; the first is the strongest: the one with the greatest upper bound of the ratio
    grid: tuple[Against, ...] = ()
    final: dict[str, dict[str, Difference]] = Field(default={})  # target, clone, expert or a baseline → quantity → candidate − it
    margins: dict[str, float] = Field(default={})  # quantity → how much worse the final policies may be
    target_margins: dict[str, float] = Field(default={})  # than the target: at most half of what it asks for beyond the expert
    spread: dict[str, Spread] = Field(default={})  # quantity → where several runs share a clone
    beyond: Beyond | None = None  # against the strongest baseline

    @property
    def strongest(self) -> Against | None:
        """The comparison with the strongest baseline; None for a baseline by itself."""
        return self.grid[0] if self.grid else None


def find(
    candidate: ArmRuns, baselines: Sequence[ArmRuns], clones: CloneRuns | None, target: Target, limits: ComparisonLimits
) -> Findings:
    """Compare arms of one design. A candidate that is one of the baselines is described alone."""
    found = Findings(scenario=candidate.scenario, target=target, limits=limits, candidate=_summarise(candidate, target, limits))
    if any(candidate.arm == baseline.arm for baseline in baselines):
        return found
    grid = sorted((_against(candidate, found.candidate, baseline, target, limits) for baseline in baselines), key=_strength)
    margins = _margins(target, limits, clones) if clones else {}
    compared: dict[str, Any] = {
        "learned_experts": len({clone.expert_sha256 for clone in clones.clones} - {None}) if clones else 0,
        "grid": tuple(grid),
        "margins": margins,
        "target_margins": _target_margins(target, margins, clones) if clones else {},
        "final": _final(candidate, baselines, clones, target, tuple(margins)),
        "spread": _spreads(candidate, found.candidate.passages, target.mode),
    }
    if grid:
        strongest = next(arm for arm in baselines if arm.arm == grid[0].baseline.arm)
        steps = steps_of(found.candidate.passages, grid[0].baseline.passages)
        plan = PowerPlan(replicates(candidate), limits.planned_ratio, limits.planned_log_sd, limits.max_ratio)
        compared["beyond"] = find_beyond(candidate, strongest, steps, target.mode, plan, limits.resamples)
    return found.model_copy(update=compared)


def _summarise(arm: ArmRuns, target: Target, limits: ComparisonLimits) -> ArmSummary:
    passages = tuple(sorted((passage(run, target) for run in arm.runs), key=lambda one: one.seed))
    reached = kaplan_meier(
        np.array([one.after if one.by is None else one.by for one in passages]), np.array([one.by is None for one in passages])
    )
    return ArmSummary(
        arm=arm.arm,
        budget=arm.recipe.budget,
        exams={mode: _examine(arm.runs, mode) for mode in MODES},
        passages=passages,
        reached=reached,
        curves=curve_bands(arm, target.mode, limits.resamples),
    )


def _examine(runs: Sequence[SeedRun], mode: Mode) -> ExamSummary:
    scores = [run.exam[mode] for run in runs]
    episodes, success, harm = (sum(getattr(score, count) for score in scores) for count in ("episodes", "success", "harm"))
    return ExamSummary(
        episodes=episodes,
        success=success,
        harm=harm,
        success_low=wilson_lower(success, episodes),
        harm_high=wilson_upper(harm, episodes),
        return_iqm=float(interquartile_mean(np.array([score.return_mean for score in scores]))),
    )


def _against(candidate: ArmRuns, summary: ArmSummary, baseline: ArmRuns, target: Target, limits: ComparisonLimits) -> Against:
    theirs = _summarise(baseline, target, limits)
    steps = steps_of(summary.passages, theirs.passages)
    cost = np.array([run.demonstration_steps for run in sorted(candidate.runs, key=lambda run: run.seed)])
    return Against(
        baseline=theirs,
        online=estimate_ratio(*steps),
        all_in=estimate_ratio(steps.candidate + cost, steps.scratch, steps.watched),
        probability_of_improvement=probability_of_improvement(steps.candidate, steps.scratch),
    )


def steps_of(candidate: Sequence[Passage], baseline: Sequence[Passage]) -> Steps:
    """Env steps to the target: the candidate's to the end of their evaluation interval, the baseline's to its beginning.

    `watched` ends where a run had not arrived for the last time that is known: nobody asks what came after an arrival.
    """
    return Steps(
        candidate=np.array([np.inf if one.by is None else one.by for one in candidate]),
        scratch=np.array([np.inf if one.by is None else one.after for one in baseline]),
        watched=np.array([one.after for one in baseline]),
    )


def replicates(arm: ArmRuns) -> int:
    """Runs that share a clone are one replicate."""
    return len({run.clone_sha256 or run.seed for run in arm.runs})


def _strength(against: Against) -> tuple[float, float, float]:
    """Sorts the baseline first that leaves the candidate the greatest upper bound, then the one that more runs of arrive, then sooner."""
    upper, reached = against.online.upper, against.baseline.reached
    return -(np.inf if upper is None else upper), reached.censored / reached.runs, reached.median_steps or np.inf


# --- the final policies -------------------------------------------------------------------------------------------------


def _margins(target: Target, limits: ComparisonLimits, clones: CloneRuns) -> dict[str, float]:
    """Success, harm and return, and the measures that the target names."""
    scaled = {
        name: limits.max_return_loss * abs(_expert(clones, name) - score_value(clones.untrained, name))
        for name in ("return", *target.measures)
    }
    return {"success": limits.max_success_loss, "harm": limits.max_harm_rise} | scaled


def _wanted(target: Target) -> dict[str, float]:
    """Quantity → the level that the target names."""
    named = {"success": target.success_rate, "harm": target.harm_rate, "return": target.return_mean, **target.measures}
    return {name: level for name, level in named.items() if level is not None}


def _expert(clones: CloneRuns, quantity: str) -> float:
    """Mean over the clones' experts. Recorded demonstrations have none: their own episodes, or the clones' where these do not tell it."""
    return float(np.mean([score_value(_level(clone, quantity), quantity) for clone in clones.clones]))


def _level(clone: CloneRun, quantity: str) -> Score:
    if clone.expert is not None:
        return clone.expert
    rates_and_return = ("success", "harm", "return")
    known = clone.recorded is not None and (quantity in rates_and_return or quantity in clone.recorded.measures)
    return clone.recorded if known and clone.recorded is not None else clone.exam["sampled"]


def _target_margins(target: Target, margins: Mapping[str, float], clones: CloneRuns) -> dict[str, float]:
    """A policy that ends at the expert's return or measures does not keep a target beyond them; rates have their margins."""
    found = {name: margins[name] for name in _wanted(target)}
    for name in found.keys() - {"success", "harm"}:
        beyond = _wanted(target)[name] - _expert(clones, name)
        found[name] = min(found[name], beyond / 2) if beyond > 0 else found[name]
    return found


def _final(
    candidate: ArmRuns, baselines: Sequence[ArmRuns], clones: CloneRuns | None, target: Target, quantities: Sequence[str]
) -> dict[str, dict[str, Difference]]:
    """Differences of the last checkpoints' exams in the target's mode, for every quantity."""
    if clones is None:
        return {}
    mode, runs = target.mode, candidate.runs
    clone = {one.weights_sha256: one for one in clones.clones}
    own = [clone[run.clone_sha256] for run in runs if run.clone_sha256 in clone]
    wanted = _wanted(target)
    found: dict[str, dict[str, Difference]] = {name: {} for name in (*OTHERS, *(arm.arm for arm in baselines))}
    for name in quantities:
        ours = _values(runs, name, mode)
        if (level := wanted.get(name)) is not None:
            found["target"][name] = difference(ours, np.array([level]))
        if len(own) == len(runs):  # pairs: every run has a clone, and this an expert
            pairs: dict[str, list[Score | None]] = {
                "clone": [one.exam[mode] for one in own],
                "expert": [one.expert for one in own],
            }
            for other, scores in pairs.items():
                if None in scores:  # recorded demonstrations: no expert plays on the exam worlds
                    continue
                found[other][name] = difference(
                    ours - np.array([score_value(score, name) for score in scores if score]), np.zeros(1)
                )
        for arm in baselines:
            found[arm.arm][name] = difference(ours, _values(arm.runs, name, mode))
    return found


def _values(runs: Sequence[SeedRun], quantity: str, mode: Mode) -> Array:
    return np.array([score_value(run.exam[mode], quantity) for run in runs])


# --- between clones, and between seeds ----------------------------------------------------------------------------------


def _spreads(candidate: ArmRuns, passages: Sequence[Passage], mode: Mode) -> dict[str, Spread]:
    """Of the natural logarithm of the steps to target, where all runs arrived after some training, and of the final return."""
    clone = {run.seed: run.clone_sha256 for run in candidate.runs}
    if len(set(clone.values())) in (1, len(clone)):
        return {}
    groups = [clone[one.seed] for one in passages]
    returns = {run.seed: run.exam[mode].return_mean for run in candidate.runs}
    found = {"final return": _spread([returns[one.seed] for one in passages], groups)}
    if all(one.by for one in passages):
        found = {"log steps to target": _spread(np.log([one.by or 1 for one in passages]).tolist(), groups)} | found
    return found


def _spread(values: Sequence[float], groups: Sequence[object]) -> Spread:
    """Analysis of variance with one random factor; a negative estimate of the variance between groups counts as 0."""
    by_group: Mapping[object, Array] = {g: np.array([v for v, of in zip(values, groups, strict=True) if of == g]) for g in groups}
    sizes, n, k = np.array([len(part) for part in by_group.values()]), len(values), len(by_group)
    within = sum(float(((part - part.mean()) ** 2).sum()) for part in by_group.values()) / (n - k)
    mean = float(np.mean(values))
    between = sum(len(part) * (float(part.mean()) - mean) ** 2 for part in by_group.values()) / (k - 1)
    size = (n - float((sizes**2).sum()) / n) / (k - 1)
    return Spread(clones=k, runs=n, between=float(np.sqrt(max(0.0, (between - within) / size))), within=float(np.sqrt(within)))
