"""The target of a comparison, fixed before a run starts, and the env steps that a run is charged for reaching it.

A run reaches the target at the first of `consecutive` successive evaluations that all meet it. It is *charged* up to the last of them, which
confirms the target. So a pretrained policy that meets the target before its first update has reached it at 0 steps, but is charged for the
evaluations that confirm it, and never less than one evaluation interval, the smallest difference that can be measured. Both arms are charged
alike: a ratio of charged steps is never zero, and the constant that confirmation adds to both pulls a ratio below 1 towards 1, so the rule
never favours the candidate.
"""

from collections.abc import Sequence
from typing import NamedTuple

from headstart.compare.arm_runs import CurvePoint, Score, SeedRun
from headstart.config.scenario import Target
from headstart.core.errors import InputError


class Charge(NamedTuple):
    """The steps charged to a run: those up to the confirmation, or if censored, up to its last evaluation."""

    steps: int
    censored: bool


def steps_to_target(curve: Sequence[CurvePoint], target: Target) -> int | None:
    """Env steps at the first point of the first `consecutive` points in a row that meet the target; None: censored."""
    found = _first_streak(curve, target)
    return None if found is None else curve[found].env_steps


def charge(run: SeedRun, target: Target, every: int) -> Charge:
    """Steps charged to a run whose design evaluates every `every` env steps.

    A censored run is charged the steps up to its last evaluation, not its budget: a scratch run that stopped early is no evidence about the
    steps it did not take.
    """
    found = _first_streak(run.curve, target)
    last = len(run.curve) - 1 if found is None else found + target.consecutive - 1
    return Charge(steps=max(run.curve[last].env_steps, every), censored=found is None)


def meets(score: Score, target: Target) -> bool:
    """Whether one evaluation shows the target."""
    return (
        score.success_rate >= target.success_rate
        and (target.harm_rate is None or score.harm_rate <= target.harm_rate)
        and (target.return_mean is None or score.return_mean >= target.return_mean)
        and all(score.measures.get(name, float("-inf")) >= least for name, least in target.measures.items())
    )


def _first_streak(curve: Sequence[CurvePoint], target: Target) -> int | None:
    """Index of the first point of the first streak; raises InputError for a curve that is empty or runs backwards."""
    if not curve:
        raise InputError("a learning curve needs at least the evaluation before training, got an empty one")
    streak, found = 0, None
    for index, point in enumerate(curve):
        if index and point.env_steps <= curve[index - 1].env_steps:
            raise InputError(f"a learning curve's steps must rise, got {curve[index - 1].env_steps} then {point.env_steps}")
        streak = streak + 1 if meets(point.score(target.mode), target) else 0
        if streak == target.consecutive and found is None:
            found = index - target.consecutive + 1
    return found
