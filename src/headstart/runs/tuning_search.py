"""The search of `headstart tune`: Optuna's TPE and median pruner, one trial a process, the seeds of a trial one after the other.

A run ends when its target is confirmed: nothing later counts. Guardrails are left out, since no checkpoint is kept; a run whose loss is not
finite ends there. The study is a journal, which processes share and which needs no database; a killed search goes on from it.

A trial's sampler is seeded by its number. With one process the same command gives the same search, in one go or in several; with more, a
trial knows those that happen to have finished. The result of given settings is the same either way.
"""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from headstart.compare.arm_runs import CurvePoint
from headstart.compare.target import steps_to_target
from headstart.config.params import Params
from headstart.config.scenario import Scenario, Target
from headstart.config.schedule import Arm
from headstart.core.closure import code_sha256
from headstart.core.errors import Busy, IntegrityError
from headstart.core.progress_lines import Amount
from headstart.runs.arm import clones_of
from headstart.runs.pool import Report, run_all
from headstart.runs.progress import SeedJob
from headstart.runs.tuning_space import Range, Settings, Space, TuningTrial, arm_with, cost, fitted, rounded, settings_of
from headstart.runs.worlds import score_of

STUDY, LOCK = "study.journal", "lock"
STATES: dict[TrialState, Literal["complete", "pruned", "failed"]] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}
MODULES = ["headstart.runs.tuning_search"]  # whose code decides a trial


@dataclass(frozen=True)
class Search:
    """What decides a trial."""

    params: Params  # `for_tuning`
    scenario: Scenario
    arm: str
    target: Target
    space: Space
    most: int  # ticks of a rollout in all its worlds
    folder: Path  # absolute: of the study
    code_sha256: str

    @property
    def recipe(self) -> Arm:
        """The arm as it stands."""
        return self.params.arms[self.arm]

    @property
    def points(self) -> int:
        """Evaluations of a run, at most."""
        return self.recipe.budget // self.params.evaluation.every + 2


class Limits(NamedTuple):
    """When the search ends: no trial begins once one of them is reached."""

    trials: int  # to come
    steps: int | None = None  # of the whole study, in env steps
    deadline: float | None = None  # Unix time, s


class TrialJob(NamedTuple):
    """One trial to come."""

    search: Search
    number: int  # from which its sampler is seeded
    limits: Limits


def run_search(search: Search, limits: Limits, finished: Callable[[int], None]) -> None:
    """Run trials side by side; `finished` receives the number of each. Raises Busy if another process runs the same search."""
    search.folder.mkdir(parents=True, exist_ok=True)
    with _alone(search.folder):
        study = study_of(search)
        _try_again(study)
        over = len(trials_of(search))
        if not study.trials:
            study.enqueue_trial(settings_of(search.recipe))
        jobs = [TrialJob(search, number, limits) for number in range(over, over + limits.trials)]
        title = f"tune {search.scenario.name} {search.arm}"

        def said(number: int | None) -> None:
            if number is not None:
                finished(number)

        run_all(run_trial, jobs, title, Amount(len(jobs), "trials"), search.params.processes, said)


def run_trial(job: TrialJob, report: Report) -> int | None:
    """One trial, in a process with one thread; returns its number, or None where a limit was reached before."""
    import numba
    import torch

    torch.set_num_threads(1)
    numba.set_num_threads(1)
    search, limits = job.search, job.limits
    _require_same_code(search.code_sha256)
    study = study_of(search, job.number)
    if limit_reached(limits, study):
        return None
    trial = study.ask()
    settings = suggested(search, trial)
    trial.set_user_attr("settings", settings)
    try:
        study.tell(trial, play(search, settings, trial))
    except optuna.TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
    report(1)
    return trial.number


def limit_reached(limits: Limits, study: optuna.Study) -> bool:
    """Whether the time or the steps are spent."""
    late = limits.deadline is not None and time.time() >= limits.deadline
    return late or (limits.steps is not None and sum(_steps(trial) for trial in study.trials) >= limits.steps)


def suggested(search: Search, trial: optuna.Trial) -> Settings:
    """The trial's point of the space."""
    found, own = {}, settings_of(search.recipe)
    for name, values in search.space.items():
        if isinstance(values, Range):
            value = trial.suggest_float(name, values.low, values.high, log=True)
            found[name] = value if value == own[name] else rounded(value)
        else:
            found[name] = trial.suggest_categorical(name, values)
    return fitted(found, search.most)


def play(search: Search, settings: Settings, trial: optuna.Trial) -> float:
    """The objective. Reports an upper limit of it after every evaluation, in which runs to come cost twice the budget.

    So the limit falls as the trial goes on, and two trials are compared after equal steps on the same seeds. Raises TrialPruned.
    """
    arm, seeds, points = arm_with(search.recipe, settings), search.params.seeds, search.points
    every, costs = search.params.evaluation.every, [2.0 * arm.budget] * len(search.params.seeds)
    reached, spent, said = 0, 0, 0
    for number, seed in enumerate(seeds):
        used, done = 0, False
        for curve, used, untrained in evaluations(search, arm, seed):
            done = steps_to_target(curve, search.target) is not None
            costs[number] = cost(curve, search.target, untrained, arm.budget)
            trial.set_user_attr("steps", spent + used)
            trial.set_user_attr("reached", reached + done)
            # a run that is over keeps its cost to the end of what it was allowed
            here = number * points + (points - 1 if done else min(curve[-1].env_steps // every, points - 1))
            said = _report(trial, sum(costs) / len(costs), said, here)
            over = number + 1 == len(seeds) and (done or curve[-1].env_steps >= arm.budget)
            if not over and trial.should_prune():
                raise optuna.TrialPruned
        spent, reached = spent + used, reached + done
        said = _report(trial, sum(costs) / len(costs), said, (number + 1) * points - 1)
    return sum(costs) / len(costs)


def _report(trial: optuna.Trial, value: float, first: int, last: int) -> int:
    """Report `value` at all points from `first` to `last`; returns the next one."""
    for point in range(first, last + 1):
        trial.report(value, point)
    return max(first, last + 1)


def evaluations(search: Search, arm: Arm, seed: int) -> Iterator[tuple[list[CurvePoint], int, float]]:
    """The curve of one run as it grows, env steps used, and the mean return of an untrained policy; ends when the target is confirmed."""
    from headstart.learn.anneal import Evaluated, Updated, run
    from headstart.runs.arm_seed import begin

    params, scenario, mode = search.params, search.scenario, search.target.mode
    params = params.model_copy(update={"arms": params.arms | {search.arm: arm}})
    clone = clones_of(params, scenario)[seed] if arm.start == "bc" else None
    trainer, _, returns = begin(SeedJob(params, scenario, search.arm, seed, "tune", search.code_sha256, search.folder, clone))
    trainer.modes = (mode,)
    curve: list[CurvePoint] = []
    for event in run(trainer):
        if isinstance(event, Evaluated):
            score = score_of(event.played[mode], trainer.evaluation, scenario)
            curve.append(CurvePoint(env_steps=event.env_steps, scores={mode: score}))
        elif not (isinstance(event, Updated) and event.metrics["nonfinite"]):
            continue
        yield curve, trainer.at.env_steps, returns[0] if returns else curve[0].score(mode).return_mean
        if isinstance(event, Updated) or steps_to_target(curve, search.target) is not None:
            return


# --- the study ----------------------------------------------------------------------------------------------------------


def study_of(search: Search, seed: int = 0) -> optuna.Study:
    """The study in its folder, a new one where there is none; `seed` of its sampler."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(search.folder / STUDY))),
        sampler=optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=search.points // 4),
        study_name="tuning",
        load_if_exists=True,
    )


def trials_of(search: Search) -> tuple[TuningTrial, ...]:
    """The trials that are over."""
    found = []
    for trial in study_of(search).trials:
        if state := STATES.get(trial.state):
            value = trial.value if state == "complete" else None
            if state == "pruned" and trial.intermediate_values:
                value = trial.intermediate_values[max(trial.intermediate_values)]
            attributes = trial.user_attrs
            about = {"settings": attributes.get("settings", {}), "reached": attributes.get("reached", 0), "steps": _steps(trial)}
            found.append(TuningTrial(number=trial.number, value=value, state=state, **about))
    return tuple(found)


def _steps(trial: optuna.trial.FrozenTrial) -> int:
    return int(trial.user_attrs.get("steps", 0))


def _try_again(study: optuna.Study) -> None:
    """Trials whose process was killed have failed, and their settings are the next ones."""
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        study.enqueue_trial(trial.params)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the search's lock; a lock that a killed process left on the journal is removed."""
    with (folder / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Busy(f"{folder}: another process runs this search; wait for it, or end it and try again") from None
        (folder / f"{STUDY}.lock").unlink(missing_ok=True)
        yield


@cache  # a process that has begun keeps the code that it has loaded
def _require_same_code(sha256: str) -> None:
    if code_sha256(MODULES) != sha256:
        raise IntegrityError("tune: its source files changed while it began; run it again")
