"""Check a schedule: find every problem of an arm's phases and guardrails before any env step is used.

error: it cannot run, or not as written; hold: it runs, but its result cannot be promoted; warn: it runs as written, but may be a mistake.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from headstart.config.schedule import Arm
from headstart.core.errors import InputError
from headstart.guard.guardrails import GUARDRAILS, limits, loosened, looser, metrics_of

JUMP = 0.25  # largest smooth change of a share or weight between two phases
EVALUATIONS = 2  # least number in a ppo phase: no checkpoint is safe before the second


@dataclass(frozen=True)
class Problem:
    """One finding of the check; `where` is the path of a key."""

    level: Literal["error", "hold", "warn"]
    where: str
    text: str


def check_schedule(
    arm: Arm,
    *,
    known_metrics: Collection[str],
    evaluation_every: int,
    budget: int | None = None,
    rollout: int | None = None,
) -> tuple[Problem, ...]:
    """All problems, errors first. `known_metrics`: the metrics of the world; `evaluation_every`, `budget` of scratch, `rollout`: env steps."""
    found = [
        *_demonstrations(arm),
        *_order(arm),
        *_ending(arm),
        *_effects(arm),
        *_jumps(arm),
        *_steps(arm, evaluation_every, budget),
        *_whole_rollouts(arm, rollout),
        *_guardrails(arm, known_metrics),
    ]
    return tuple(sorted(found, key=lambda problem: ("error", "hold", "warn").index(problem.level)))


def require_sound(name: str, arm: Arm, world: str, evaluation_every: int) -> None:
    """InputError with every error that the check finds in an arm of that name; what it holds is for `headstart release`."""
    problems = check_schedule(arm, known_metrics=metrics_of(world), evaluation_every=evaluation_every)
    if errors := [f"{problem.where}: {problem.text}" for problem in problems if problem.level == "error"]:
        raise InputError(f"{name}: {'; '.join(errors)}")


def _demonstrations(arm: Arm) -> Iterator[Problem]:
    """Settings that an arm with start: random cannot have, because they need demonstrations or a clone."""
    if arm.start == "bc":
        return
    for phase in arm.phases:
        where = f"phases.{phase.name}"
        if phase.kind == "bc":
            yield Problem("error", f"{where}.kind", "a bc phase needs demonstrations: start: bc, got random")
        if phase.data != "rollout":
            yield Problem("error", f"{where}.data", f"{phase.data} needs demonstrations: start: bc, got random")
        for name in ("expert_share", "bc_weight"):
            if getattr(phase, name).highest > 0:
                yield Problem("error", f"{where}.{name}", "needs demonstrations: start: bc, got random")
        if phase.kl_weight.highest > 0:
            yield Problem("error", f"{where}.kl_weight", "needs a clone as the reference: start: bc, got random")


def _order(arm: Arm) -> Iterator[Problem]:
    for phase, (before, now) in zip(arm.phases[1:], pairwise(arm.cycles), strict=True):
        if now < before:
            text = f"cycles cannot decrease: expected at least {before}, got {now}"
            yield Problem("error", f"phases.{phase.name}.cycle", text)
    if arm.start == "bc" and arm.value_start == "fresh" and arm.phases[0].kind == "ppo":
        yield Problem("warn", "value_start", "updates begin with an untrained value head; a critic phase would fit it first")


def _ending(arm: Arm) -> Iterator[Problem]:
    """The last phase must train by PPO alone."""
    last = arm.phases[-1]
    where = f"phases.{last.name}"
    if last.kind != "ppo":
        yield Problem("hold", f"{where}.kind", f"expected the last phase to be ppo, got {last.kind}")
        return
    if last.data == "replay":
        yield Problem("hold", f"{where}.data", "expected the last phase to learn from rollouts, got replay")
    for name in ("expert_share", "bc_weight", "replay_share"):
        if (end := getattr(last, name).at(1.0)) > 0:
            yield Problem("hold", f"{where}.{name}", f"expected 0 at the end of the schedule, got {end:g}")
    if (end := last.kl_weight.at(1.0)) > 0:
        yield Problem("warn", f"{where}.kl_weight", f"the KL term to the clone is still active at the end, with {end:g}")


def _effects(arm: Arm) -> Iterator[Problem]:
    """Settings without effect, and a phase with a learning rate of 0."""
    for phase in arm.phases:
        where = f"phases.{phase.name}"
        unused = {"bc": ("expert_share", "kl_weight"), "critic": ("kl_weight", "bc_weight"), "ppo": ()}[phase.kind]
        for name in unused:
            if getattr(phase, name).highest > 0:
                yield Problem("warn", f"{where}.{name}", f"has no effect in a {phase.kind} phase")
        if phase.data == "rollout" and phase.temperature != 1:
            yield Problem("warn", f"{where}.temperature", "has no effect without data: replay or mixed")
        if phase.data == "replay" and phase.reward:
            yield Problem("warn", f"{where}.reward", "has no effect with data: replay, whose rewards are recorded")
        if phase.learning_rate.highest == 0:
            yield Problem("error", f"{where}.learning_rate", "expected more than 0 somewhere in the phase, got 0")


def _jumps(arm: Arm) -> Iterator[Problem]:
    """Jumps of shares and weights between two phases; after a bc phase, which clones anew, any value is allowed."""
    for before, now in pairwise(arm.phases):
        if "bc" in (before.kind, now.kind):
            continue
        names = ("expert_share", "bc_weight", "replay_share") if before.kind == now.kind == "ppo" else ("expert_share",)
        for name in names:
            left, right = getattr(before, name).at(1.0), getattr(now, name).at(0.0)
            if abs(right - left) > JUMP:
                text = f"jumps from {left:g} at the end of {before.name} to {right:g}; at most {JUMP:g} is smooth"
                yield Problem("warn", f"phases.{now.name}.{name}", text)


def _steps(arm: Arm, every: int, budget: int | None) -> Iterator[Problem]:
    if arm.budget == 0:
        yield Problem("error", "phases", "no phase uses env steps: nothing is fine-tuned")
    if budget is not None and arm.budget > budget:
        yield Problem("hold", "phases", f"{arm.budget:,} env steps in all, more than the {budget:,} of scratch: not comparable")
    for phase, (begin, end) in zip(arm.phases, spans(arm), strict=True):
        if phase.kind == "ppo" and not phase.in_epochs:
            taken = end // every - begin // every + (end == arm.budget and end % every > 0)
            if taken < EVALUATIONS:
                text = f"expected at least {EVALUATIONS} evaluations, got {taken} (every {every:,} of {phase.steps:,} env steps)"
                yield Problem("hold", f"phases.{phase.name}.env_steps", text)


def _whole_rollouts(arm: Arm, rollout: int | None) -> Iterator[Problem]:
    for phase in arm.phases:
        if rollout and (over := -phase.steps % rollout):
            text = f"{phase.steps:,} env steps are not a multiple of the rollout, {rollout:,}: it takes {over:,} more"
            yield Problem("warn", f"phases.{phase.name}.env_steps", text)


def _guardrails(arm: Arm, known: Collection[str]) -> Iterator[Problem]:
    named = [("guardrails", arm.guardrails)] + [(f"phases.{phase.name}.guardrails", phase.guardrails) for phase in arm.phases]
    for where, changes in named:
        for name, change in changes.items():
            if name in GUARDRAILS and change.enabled and (metric := GUARDRAILS[name].metric) not in known:
                yield Problem("error", f"{where}.{name}", f"this world does not measure {metric}")
    loose: dict[str, str] = {}
    for phase in arm.phases:
        try:
            rules = limits(arm, phase)
        except InputError as error:
            yield Problem("error", f"phases.{phase.name}", str(error))
            return
        for name, rule in rules.items():
            if rule.flag is not None and looser(rule, rule.flag, rule.breach):
                text = f"the flag {rule.flag:g} is beyond the breach {rule.breach:g}, so it never takes effect"
                yield Problem("warn", f"phases.{phase.name}.guardrails.{name}", text)
        loose |= {name: phase.name for name in loosened(arm, phase) if name not in loose}
    yield from _loose(arm, loose)


def _loose(arm: Arm, loose: dict[str, str]) -> Iterator[Problem]:
    if arm.accept_loosened is not None and not arm.accept_loosened.strip():
        yield Problem("error", "accept_loosened", "expected a reason, got an empty text")
    for name, phase in loose.items():
        if not arm.accept_loosened:
            text = "looser than the default or switched off; accept_loosened must give the reason"
            yield Problem("hold", f"phases.{phase}.guardrails.{name}", text)
    if arm.accept_loosened and not loose:
        yield Problem("warn", "accept_loosened", "no guardrail is looser than the default")


def spans(arm: Arm) -> tuple[tuple[int, int], ...]:
    """Env steps at which each phase begins and ends, without rollbacks."""
    ends = [sum(phase.steps for phase in arm.phases[: n + 1]) for n in range(len(arm.phases))]
    return tuple((end - phase.steps, end) for phase, end in zip(arm.phases, ends, strict=True))
