"""What `headstart tune` searches and finds: the space of an arm's settings, the objective, and the record (`tuning/1`) that git keeps.

The objective is the mean over the tuning seeds of the env steps to the target. A run that does not reach the target costs its budget times
1 … 2, the less the nearer it came, so that the search has a direction where nothing arrives.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field

from headstart.compare.arm_runs import CurvePoint, Score
from headstart.compare.target import steps_to_target
from headstart.config.params import Params, changed, for_scenario, of_experiment
from headstart.config.project import REPORTS
from headstart.config.scenario import Scenario, Target
from headstart.config.schedule import Arm
from headstart.core.errors import InputError, nearest
from headstart.core.files import read_record
from headstart.core.record import Count, Name, Record, Sha256, UtcTime
from headstart.runs.experiment import Machine

RECORDS = REPORTS / "tuning"
Setting = int | float
Settings = dict[str, Setting]  # "ppo.<name>", or "<phase>.<name>.from" and "….to_over_from"

PPO: dict[str, tuple[Setting, ...]] = {
    "worlds": (16, 32, 64, 128, 256, 512, 1024),
    "rollout_ticks": (16, 32, 64, 128),
    "num_epochs": (1, 2, 3, 4, 6, 8, 10),
    "mini_batch_size": (256, 512, 1024, 2048, 4096),
    "gamma": (0.97, 0.98, 0.985, 0.99, 0.995, 0.998),
    "gae_lambda": (0.8, 0.9, 0.95, 0.98),
}
RATES = (1e-4, 1e-2)  # of learning_rate.from
STARTS: dict[str, tuple[Setting, ...]] = {
    "entropy_coef": (0.0, 0.001, 0.003, 0.01, 0.03, 0.1),
    "kl_weight": (0.0, 0.02, 0.05, 0.1, 0.2, 0.5),
    "bc_weight": (0.0, 0.05, 0.1, 0.25, 0.5, 1.0),
}
ENDS = (0.0, 0.1, 0.3, 1.0)  # `to` as a share of `from`
RAMPS = ("learning_rate", "entropy_coef", "kl_weight", "bc_weight")


class Range(Record):
    """Searched on a logarithmic scale."""

    low: float = Field(gt=0)
    high: float


Space = dict[str, Range | tuple[Setting, ...]]


class TuningTrial(Record):
    """One choice of settings, played on the tuning seeds one after the other."""

    number: Count  # 0: the arm as it stood
    settings: Settings
    value: float | None  # the objective; of a pruned trial its upper limit so far; None: failed
    reached: Count  # seeds that reached the target
    steps: Count  # env steps of all its runs, which end when they have reached the target
    state: Literal["complete", "pruned", "failed"]  # failed: its process was killed; its settings are tried again


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
    """Where git keeps the record of a search."""
    return RECORDS / scenario / f"{arm}.json"


def best_of(trials: Iterable[TuningTrial]) -> TuningTrial | None:
    """The complete trial with the lowest value, the first of equals."""
    complete = [trial for trial in trials if trial.state == "complete" and trial.value is not None]
    return min(complete, key=lambda trial: (trial.value, trial.number), default=None)


# --- the space ----------------------------------------------------------------------------------------------------------


def settings_of(arm: Arm) -> Settings:
    """The searched settings as they stand in an arm. A learning rate that begins at 0 is not searched."""
    found: Settings = {f"ppo.{name}": getattr(arm.ppo, name) for name in PPO}
    for phase in arm.phases:
        for name in RAMPS if phase.kind == "ppo" else ():
            ramp, key = getattr(phase, name), f"{phase.name}.{name}"
            if name in ("kl_weight", "bc_weight"):
                found |= {f"{key}.from": ramp.from_} if arm.start == "bc" else {}
            elif name != "learning_rate" or ramp.from_ > 0:
                found |= {f"{key}.from": ramp.from_, f"{key}.to_over_from": ramp.to / ramp.from_ if ramp.from_ else 1.0}
    return found


def space_of(params: Params, arm: str) -> Space:
    """Choices or ranges around what is usual, with the arm's own settings among them; `tuning.space` replaces some.

    InputError where `tuning.space` names a setting that no arm has, or gives a range in another way than [low, high].
    """
    asked, recipe = params.tuning.space, params.arms[arm]
    known = {name for one in params.arms.values() for name in settings_of(one)}
    for name in asked:
        if name not in known:
            raise InputError(
                f"tuning.space: expected settings of the arms, got {name!r}{nearest(name, known)}; there are {', '.join(sorted(known))}"
            )
    space: Space = {}
    for name, own in settings_of(recipe).items():
        if name.endswith("learning_rate.from"):
            ends = asked.get(name, RATES)
            if len(ends) != 2 or not 0 < ends[0] <= ends[1]:
                raise InputError(f"tuning.space.{name}: expected [low, high] above 0, got {list(ends)}")
            space[name] = Range(low=min(ends[0], own), high=max(ends[1], own))
        else:
            space[name] = tuple(sorted({*asked.get(name, _usual(recipe, name)), own}))
    return space


def _usual(arm: Arm, name: str) -> tuple[Setting, ...]:
    first, *_, last = name.split(".")
    if first == "ppo" and last in PPO:
        return PPO[last]
    if last == "to_over_from":
        return ENDS
    kind, phase = name.split(".")[1], next(phase for phase in arm.phases if phase.name == first)
    return STARTS[kind][1:] if kind == "bc_weight" and phase.labels == "all" else STARTS[kind]  # labels need a weight


def fitted(settings: Settings, most: int) -> Settings:
    """`settings` with as many worlds as make a rollout of at most `most` ticks in all of them: a longer one would delay evaluations."""
    worlds, ticks = int(settings["ppo.worlds"]), int(settings["ppo.rollout_ticks"])
    while worlds * ticks > most and worlds > 1:
        worlds //= 2
    return settings | {"ppo.worlds": worlds}


def arm_with(arm: Arm, settings: Settings) -> Arm:
    """The arm with other settings; phases, their lengths and all else stay, and so does a ramp whose settings are its own.

    A KL or BC weight that was constant stays so; any other ends where it did.
    """
    own, content = settings_of(arm), arm.model_dump(mode="json", by_alias=True)
    content["ppo"] |= {name: settings[f"ppo.{name}"] for name in PPO}
    for phase in content["phases"]:
        for name in RAMPS:
            start, end = f"{phase['name']}.{name}.from", f"{phase['name']}.{name}.to_over_from"
            if all(settings[key] == own[key] for key in (start, end) if key in settings):
                continue
            ramp, begins = phase[name], settings[start]
            if end in settings:
                to = rounded(begins * settings[end])
            else:
                to = begins if ramp["from"] == ramp["to"] != 0 else ramp["to"]
            phase[name] = ramp | {"from": begins, "to": to}
    return Arm.model_validate(content)


def rounded(value: float) -> float:
    """To three digits: more make no difference in training, and a file is easier to read."""
    return float(f"{value:.3g}")


# --- the objective ------------------------------------------------------------------------------------------------------


def cost(curve: Sequence[CurvePoint], target: Target, untrained: float, budget: int) -> float:
    """Env steps to the target, or budget × (2 − nearness) for a run that has not reached it.

    `untrained`: the mean return of random weights.
    """
    reached = steps_to_target(curve, target)
    if reached is not None:
        return float(reached)
    return budget * (2 - max(nearness(point.score(target.mode), target, untrained) for point in curve))


def nearness(score: Score, target: Target, untrained: float) -> float:
    """0 … 1: the mean over the quantities that the target names of how much of each is reached, from an untrained policy (for rates and
    measures: from 0) to the target.
    """
    parts = [score.success_rate / target.success_rate]
    if target.harm_rate is not None and target.harm_rate < 1:
        parts.append((1 - score.harm_rate) / (1 - target.harm_rate))
    if target.return_mean is not None:
        parts.append(_part(score.return_mean, untrained, target.return_mean))
    parts += [_part(score.measures.get(name, 0.0), 0.0, least) for name, least in target.measures.items()]
    return sum(min(max(part, 0.0), 1.0) for part in parts) / len(parts)


def _part(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else float(value >= high)


# --- what is played -----------------------------------------------------------------------------------------------------


def for_tuning(params: Params) -> Params:
    """`params` of a scenario with the seeds of its section `tuning`: for training, recording, evaluations and the exam of clones."""
    own = params.tuning
    evaluation = {"seed": own.evaluation_seed, "exam_seed": own.evaluation_seed, "variant_worlds": 0}
    capture = {"seed": own.capture_seed, "blocks": len(own.seeds)}
    return changed(params, {"seeds": list(own.seeds), "capture": capture, "evaluation": evaluation}, "params.yaml, tuning")


def require_apart(params: Params, scenario: Scenario) -> None:
    """InputError where `tuning` shares a seed with the report of params.yaml or of an experiment: what is tuned on proves nothing."""
    reports = {"": for_scenario(params, scenario)} | {
        f"evidence.{name}.": of_experiment(params, name) for name in params.evidence
    }
    own = reports[""].tuning
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
