"""The target of a comparison, fixed before a run starts, and when a run reaches it.

A run reaches the target at the first of `consecutive` successive evaluations that all meet it, somewhere between that evaluation and the one
before. First passage is optimistic: a policy that hovers at the target passes it by luck, and may fall below it again; so the exam holds the
last checkpoint to the target as well.
"""

from collections.abc import Sequence
from itertools import pairwise

from headstart.compare.arm_runs import CurvePoint, Score, SeedRun
from headstart.config.scenario import Target
from headstart.core.errors import InputError
from headstart.core.record import Record


class Passage(Record):
    """When one run reached the target, in env steps."""

    seed: int
    after: int  # by then the run had not reached it: the evaluation before; of a censored run the last one that did not meet it
    by: int | None  # the first evaluation that meets it; None: never (censored)


def passage(run: SeedRun, target: Target) -> Passage:
    """When the run reached the target."""
    before, by = interval(_met(run.curve, target), target.consecutive)
    return Passage(seed=run.seed, after=run.curve[before].env_steps, by=None if by is None else run.curve[by].env_steps)


def steps_to_target(curve: Sequence[CurvePoint], target: Target) -> int | None:
    """Env steps at the first point of the first `consecutive` points in a row that meet the target; None: censored."""
    found = first_streak(_met(curve, target), target.consecutive)
    return None if found is None else curve[found].env_steps


def meets(score: Score, target: Target) -> bool:
    """Whether one evaluation shows the target."""
    return (
        score.success_rate >= target.success_rate
        and (target.harm_rate is None or score.harm_rate <= target.harm_rate)
        and (target.return_mean is None or score.return_mean >= target.return_mean)
        and all(score.measures.get(name, float("-inf")) >= least for name, least in target.measures.items())
    )


def first_streak(met: Sequence[bool], consecutive: int) -> int | None:
    """Index of the first of the first `consecutive` evaluations in a row that meet a target; None: there are none."""
    streak = 0
    for index, one in enumerate(met):
        streak = streak + 1 if one else 0
        if streak == consecutive:
            return index - consecutive + 1
    return None


def interval(met: Sequence[bool], consecutive: int) -> tuple[int, int | None]:
    """Indices of the evaluations between which a run arrived: the last before its first streak, and the first of the streak.

    Without a streak the run never arrived (None), and had not for sure only up to the last evaluation that does not meet the target: those at
    the end may have begun a streak.
    """
    found = first_streak(met, consecutive)
    if found is None:
        return max((index for index, one in enumerate(met) if not one), default=0), None
    return max(found - 1, 0), found


def _met(curve: Sequence[CurvePoint], target: Target) -> list[bool]:
    """Which points meet the target; raises InputError for a curve that is empty or runs backwards."""
    if not curve:
        raise InputError("a learning curve needs at least the evaluation before training, got an empty one")
    for before, after in pairwise(curve):
        if after.env_steps <= before.env_steps:
            raise InputError(f"a learning curve's steps must rise, got {before.env_steps} then {after.env_steps}")
    return [meets(point.score(target.mode), target) for point in curve]
