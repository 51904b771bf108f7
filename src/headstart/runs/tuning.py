"""The record of a search by `headstart tune` (`tuning/1`), which git keeps, and what a search must not share with a report."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from headstart.config.params import Params, changed, for_scenario, of_experiment
from headstart.config.project import REPORTS
from headstart.config.scenario import Scenario
from headstart.core.errors import InputError
from headstart.core.files import read_record
from headstart.core.record import Count, Name, Record, Sha256, UtcTime
from headstart.runs.experiment import Machine
from headstart.runs.tuning_space import Settings, Space, TuningTrial

RECORDS = REPORTS / "tuning"


class TuningRecord(Record):
    """A search as far as it has come; a further `--trials` continues it."""

    schema_id: Literal["tuning/1"] = "tuning/1"
    scenario: Name
    arm: Name
    target: str
    space: Space
    seeds: tuple[int, ...]
    evaluation_seed: int
    capture_seed: int | None  # None: the arm starts from random weights
    trials: tuple[TuningTrial, ...]
    steps: Count  # of all trials
    best: Settings | None  # of the complete trial with the lowest value
    commit: str | None  # None: outside of a repository
    dirty: bool | None  # whether code or settings differed from the commit
    code_sha256: Sha256
    machine: Machine
    finished_at: UtcTime  # its last trial
    command: str


def record_path(scenario: str, arm: str) -> Path:
    """Where git keeps the record of the search that reports show."""
    return RECORDS / scenario / f"{arm}.json"


def path_of_search(scenario: str, arm: str, done: Sequence[TuningTrial], key: str) -> Path:
    """`record_path`, or a file named by `key` beside it where that has trials other than the search's own (`done`): none is lost."""
    path = record_path(scenario, arm)
    others = path.exists() and any(trial not in done for trial in read_record(path, TuningRecord).trials)
    return path.with_name(f"{arm}-{key}.json") if others else path


# --- what is played -----------------------------------------------------------------------------------------------------


def for_tuning(params: Params) -> Params:
    """`params` of a scenario with the seeds of its section `tuning`; in the exam of clones, policies draw by `capture_seed`."""
    own = params.tuning
    evaluation = {"seed": own.evaluation_seed, "exam_seed": own.capture_seed, "variant_worlds": 0}
    capture = {"seed": own.capture_seed, "blocks": len(own.seeds)}
    return changed(params, {"seeds": list(own.seeds), "capture": capture, "evaluation": evaluation}, "params.yaml, tuning")


def require_apart(params: Params, scenario: Scenario) -> None:
    """InputError where `tuning` shares a seed with the report of params.yaml or of an experiment: what is tuned on proves nothing."""
    reports = {"": for_scenario(params, scenario)} | {
        f"evidence.{name}.": of_experiment(params, name) for name in params.evidence
    }
    own = reports[""].tuning
    if own.evaluation_seed == own.capture_seed:
        raise InputError(f"params.yaml, tuning: expected two seeds, evaluation_seed and capture_seed are both {own.capture_seed}")
    for where, report in reports.items():
        for name, seeds in (("seeds", report.seeds), ("expert.seeds", report.expert.seeds)):
            if shared := sorted(set(own.seeds) & set(seeds)):
                raise InputError(f"params.yaml, tuning.seeds: expected other seeds than {where}{name}, both have {shared}")
        evaluation = report.evaluation
        taken = {
            "evaluation.seed": evaluation.seed,
            "evaluation.exam_seed": evaluation.exam_seed,
            "capture.seed": report.capture.seed,
        }
        for name, seed in taken.items():
            for mine in ("evaluation_seed", "capture_seed"):
                if getattr(own, mine) == seed:
                    raise InputError(f"params.yaml, tuning.{mine}: expected another seed than {where}{name}, both are {seed}")


# --- budgets ------------------------------------------------------------------------------------------------------------


class TuningBudget(NamedTuple):
    """What was spent on an arm."""

    target: str
    trials: int  # without failed ones
    steps: int  # with theirs

    def __str__(self) -> str:
        return f"{self.trials} trials, {self.steps / 1e6:,.1f} M steps"


def tuning_budgets(scenario: str, arms: Iterable[str], root: Path = Path()) -> dict[str, TuningBudget]:
    """Arm → its budget, as its record says; an arm without a record is left out."""
    found = {}
    for arm in arms:
        if (path := root / record_path(scenario, arm)).exists():
            record = read_record(path, TuningRecord)
            trials = sum(trial.state != "failed" for trial in record.trials)
            found[arm] = TuningBudget(record.target, trials, record.steps)
    return found


def budgets_text(budgets: dict[str, TuningBudget]) -> str:
    """`scratch: 40 trials, 120.0 M steps; pretrained: 30 trials, 20.0 M steps`."""
    return "; ".join(f"{arm}: {budget}" for arm, budget in budgets.items())


def unfair(scenario: str, arm: str, root: Path = Path()) -> str | None:
    """Why the tuning of `arm` is not fair to scratch: fewer trials or steps, or another target; None: it is fair."""
    budgets = tuning_budgets(scenario, ("scratch", arm), root)
    scratch, own = budgets.get("scratch"), budgets[arm]
    if scratch is None:
        return f"scratch has not been tuned, {arm} has: {own}"
    if scratch.target != own.target:
        return f"scratch was tuned for {scratch.target}, {arm} for {own.target}"
    if scratch.trials < own.trials or scratch.steps < own.steps:
        return f"scratch got less than {arm}: {budgets_text(budgets)}"
    return None


def tuning_text(scenario: str, candidate: str, baselines: Iterable[str], root: Path = Path()) -> str:
    """A line for a report: what `headstart tune` spent on each arm that is compared, and why that is not fair to scratch, if it is not."""
    arms = tuple(dict.fromkeys((candidate, *baselines)))
    budgets = tuning_budgets(scenario, arms, root)
    if not budgets:
        return f"Tuning: no search by `headstart tune` is on record for {', '.join(arms)}."
    spent = "; ".join(f"{arm}: {budgets.get(arm, 'none on record')}" for arm in arms)
    reason = unfair(scenario, candidate, root) if candidate in budgets else None
    return f"Tuning, searches by `headstart tune`: {spent}." + (f" Not fair to scratch: {reason}." if reason else "")
