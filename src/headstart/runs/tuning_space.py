"""What a trial of `headstart tune` may change in an arm, and what the arm is then worth.

It is worth the mean over the tuning seeds of the env steps to the target. A run that does not reach the target costs its budget times 1 … 2,
the less the nearer it came, so that the search has a direction where nothing arrives.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import Field, ValidationError

from headstart.compare.arm_runs import CurvePoint, Score
from headstart.compare.target import steps_to_target
from headstart.config.params import Params
from headstart.config.scenario import Target
from headstart.config.schedule import Arm
from headstart.core.errors import InputError, nearest
from headstart.core.files import problems
from headstart.core.record import Count, Record

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


def best_of(trials: Iterable[TuningTrial]) -> TuningTrial | None:
    """The complete trial with the lowest value, the first of equals."""
    complete = [trial for trial in trials if trial.state == "complete" and trial.value is not None]
    return min(complete, key=lambda trial: (trial.value, trial.number), default=None)


def settings_of(arm: Arm) -> Settings:
    """The searched settings as they stand in an arm. A learning rate that begins at 0 is not searched."""
    found: Settings = {f"ppo.{name}": getattr(arm.ppo, name) for name in PPO}
    for phase in arm.phases:
        for name in RAMPS if phase.kind == "ppo" else ():
            ramp, key = getattr(phase, name), f"{phase.name}.{name}"
            if name in ("kl_weight", "bc_weight"):
                from_records = (
                    name == "bc_weight" and phase.data != "rollout"
                )  # which learns from the records itself, with this at 0
                found |= {f"{key}.from": ramp.from_} if arm.start == "bc" and not from_records else {}
            elif name != "learning_rate" or ramp.from_ > 0:
                found |= {f"{key}.from": ramp.from_, f"{key}.to_over_from": rounded(ramp.to / ramp.from_) if ramp.from_ else 1.0}
    return found


def space_of(params: Params, arm: str) -> Space:
    """Choices or ranges around what is usual, with the arm's own settings among them; `tuning.space` replaces some.

    InputError where `tuning.space` names a setting that no arm has, a range that is not [low, high], or a value that an arm cannot have.
    """
    asked, recipe = params.tuning.space, params.arms[arm]
    mine = settings_of(recipe)
    known = {name for one in params.arms.values() for name in settings_of(one)}
    for name in asked:
        if name not in known:
            raise InputError(
                f"tuning.space: expected settings of the arms, got {name!r}{nearest(name, known)}; there are {', '.join(sorted(known))}"
            )
    space: Space = {}
    for name, own in mine.items():
        _require_possible(recipe, mine, name, asked.get(name, ()))
        if name.endswith("learning_rate.from"):
            ends = asked.get(name, RATES)
            if len(ends) != 2 or not 0 < ends[0] <= ends[1]:
                raise InputError(f"tuning.space.{name}: expected [low, high] above 0, got {list(ends)}")
            space[name] = Range(low=min(ends[0], own), high=max(ends[1], own))
        else:
            space[name] = tuple(sorted({*asked.get(name, _usual(recipe, name)), own}))
    return space


def _require_possible(arm: Arm, own: Settings, name: str, values: Iterable[Setting]) -> None:
    for value in values:
        try:
            arm_with(arm, own | {name: value})
        except ValidationError as error:
            raise InputError(
                f"tuning.space.{name}: expected values that an arm can have, got {value}: {problems(error)}"
            ) from None


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
            stays = begins if ramp["from"] == ramp["to"] != 0 else ramp["to"]
            phase[name] = ramp | {"from": begins, "to": rounded(begins * settings[end]) if end in settings else stays}
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
