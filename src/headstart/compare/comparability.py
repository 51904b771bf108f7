"""The properties that two arms must share to be compared; an error names the first difference."""

from collections import Counter

from headstart.compare.arm_runs import ArmRuns, EvaluationDesign, SeedRun
from headstart.core.arrays import MODES
from headstart.core.errors import InputError


def require_comparable(candidate: ArmRuns, scratch: ArmRuns) -> None:
    """Raise InputError, naming the first difference, unless the arms ran one design on the same seeds."""
    if candidate.scenario != scratch.scenario:
        raise InputError(
            f"arms must share their scenario: {candidate.arm} ran {candidate.scenario}, {scratch.arm} ran {scratch.scenario}"
        )
    for field in EvaluationDesign.model_fields:
        mine, theirs = getattr(candidate.design, field), getattr(scratch.design, field)
        if mine != theirs:
            raise InputError(
                f"arms must share their evaluation design: {field} is {mine!r} for {candidate.arm}, {theirs!r} for {scratch.arm}"
            )
    for arm in (candidate, scratch):
        _require_runs(arm)
    if candidate == scratch:
        return
    if candidate.arm == scratch.arm:
        raise InputError(f"two different records claim to be the arm {candidate.arm}")
    _require_matched_seeds(candidate, scratch)


def _require_runs(arm: ArmRuns) -> None:
    """Raise InputError unless the arm has runs, one a seed, each with a curve from 0 steps and both exams."""
    where = f"{arm.scenario}/{arm.arm}"
    if not arm.runs:
        raise InputError(f"{where}: expected a run per seed, the arm is missing")
    twice = [seed for seed, count in Counter(run.seed for run in arm.runs).items() if count > 1]
    if twice:
        raise InputError(f"{where}: expected one run a seed, seeds {twice} occur more than once")
    for run in arm.runs:
        _require_run(run, f"{where}, seed {run.seed}")


def _require_run(run: SeedRun, where: str) -> None:
    if not run.curve or run.curve[0].env_steps != 0:
        start = run.curve[0].env_steps if run.curve else "nothing"
        raise InputError(f"{where}: a curve starts with the evaluation at 0 env steps, got {start}")
    if run.curve[-1].env_steps > run.env_steps:
        raise InputError(f"{where}: the curve ends at {run.curve[-1].env_steps} env steps, the run used {run.env_steps}")
    for mode in MODES:
        if mode not in run.exam:
            raise InputError(f"{where}: expected exams {', '.join(MODES)}; {mode} is missing")


def _require_matched_seeds(candidate: ArmRuns, scratch: ArmRuns) -> None:
    mine, theirs = {run.seed: run for run in candidate.runs}, {run.seed: run for run in scratch.runs}
    if mine.keys() != theirs.keys():
        only = sorted(mine.keys() - theirs.keys()), sorted(theirs.keys() - mine.keys())
        raise InputError(f"arms must share their seeds: only {candidate.arm} has {only[0]}, only {scratch.arm} has {only[1]}")
    for seed, run in mine.items():
        if run.budget > theirs[seed].budget:  # a smaller budget is a disadvantage of the candidate only
            raise InputError(
                f"seed {seed}: the candidate may not have more budget than scratch: {candidate.arm} had {run.budget}, "
                f"{scratch.arm} had {theirs[seed].budget} env steps"
            )
        if run.checkpoint_sha256 == theirs[seed].checkpoint_sha256:
            raise InputError(
                f"seed {seed}: {candidate.arm} and {scratch.arm} end in the same checkpoint "
                f"{run.checkpoint_sha256[:12]}: a run is not evidence against itself"
            )
