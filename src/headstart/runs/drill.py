"""The rollback drill: short real runs, each with an injected fault, that have to go back to a kept state and to go on from there.

A run is the arm, scaled down, on a handful of worlds. Its guardrails are shown good readings, and the fault of one of them at a drawn place;
all else is as in training: learning, states on disk, restoring, and telemetry, which tells the drill what happened. Each run is made
twice, the second time with the guardrail switched off: then the fault must pass, or it was not the guardrail that found it.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from headstart.config.params import Params
from headstart.config.scenario import Scenario
from headstart.config.schedule import Phase
from headstart.core.errors import UsageError, nearest
from headstart.guard.control import Action
from headstart.guard.drill import FAULTS, accepts, expected_of, fault_length, retries, switched_off
from headstart.guard.guardrails import GUARDRAILS, Guardrail
from headstart.runs.drill_run import (
    EVALUATION_EVERY,
    UPDATES,
    WORLDS,
    Drill,
    DrillRun,
    DrillSetup,
    change_a_weight,
    drill_setup,
    run_with_fault,
    truncate_state,
)
from headstart.runs.guarded_run import NEXT


@dataclass(frozen=True)
class Row:
    """How the runs of one drill went."""

    guardrail: str
    fault: str
    expected: Action
    decided: Action  # "continue": in at least one run nothing was decided
    checks: int | None  # faulty readings in a row that it took, at most; None: the guardrail did not break in every run
    exact: bool  # every state that was gone back to has the hash that it was kept with, and is not the one that was left
    goes_on: bool  # the run came to its end on its whole budget, or learns on from where it was left
    fails_without: bool  # the negative control
    right: bool = True  # the run went back to the right states, and as often as it had to

    @property
    def passed(self) -> bool:
        proved = self.exact and self.goes_on and self.fails_without and self.right
        return proved and self.decided == self.expected and self.checks is not None


def rollback_drill(
    params: Params,
    scenario: Scenario,
    arm: str,
    names: Sequence[str] = tuple(FAULTS),
    rounds: int = 3,
    report: Callable[[str], None] = lambda text: None,
) -> tuple[Row, ...]:
    """Drill the guardrails `names` of an arm, each in `rounds` runs, and going back itself: past a damaged state, and again and again.

    Guardrails that the arm loosened past their faults are left out if it gives a reason. `report` receives which, and what the runs start
    from. Raises UsageError for an arm or a guardrail that cannot be drilled.
    """
    _require_drillable(params, arm, names)
    setup, origin = drill_setup(params, scenario, arm)
    phases = ", ".join(phase.name for phase in setup.arm.phases)
    report(f"{scenario.name} {arm}: {phases} on {WORLDS} worlds, from {origin}")
    accepted = [name for name in names if accepts(setup.arm, setup.phase, name)]
    if accepted:
        report(f"not drilled: {', '.join(accepted)}; the arm lets its fault pass, because {setup.arm.accept_loosened}")
    drills = _drills(setup.phase, [GUARDRAILS[name] for name in names if name not in accepted])
    return tuple(_row(setup, drill, rounds) for drill in drills)


def _drills(phase: Phase, rules: Sequence[Guardrail]) -> Iterator[Drill]:
    """The fault of each guardrail for as many readings as it may take; then a damaged target, and a fault in every attempt."""
    for rule in rules:
        readings = UPDATES if rule.on == "update" else UPDATES // EVALUATION_EVERY
        expected = expected_of(rule, phase)
        length = fault_length(rule)
        places = range(1, readings - length + 1)
        yield Drill(rule, FAULTS[rule.name][0], expected, length, places, [NEXT[expected]])
    nonfinite = GUARDRAILS["nonfinite"]
    if retries(phase):
        for damage, text in ((truncate_state, "has lost a byte"), (change_a_weight, "has another weight")):
            late = range(UPDATES - 1, UPDATES)  # there is a safe state then, besides the one with which the phase began
            yield Drill(nonfinite, f"…, and the newest state {text}", "rollback", 1, late, ["retry"], damage)
    every = ["retry"] * retries(phase) + ["stop"]
    yield Drill(nonfinite, "…, in every attempt", "stop", UPDATES, range(1, 4), every)


def _require_drillable(params: Params, arm: str, names: Sequence[str]) -> None:
    if arm not in params.arms:
        raise UsageError(f"expected an arm of params.yaml ({', '.join(params.arms)}), got {arm!r}{nearest(arm, params.arms)}")
    if unknown := [name for name in names if name not in FAULTS]:
        hint = nearest(unknown[0], FAULTS)
        raise UsageError(f"expected a guardrail that can break ({', '.join(FAULTS)}), got {', '.join(unknown)}{hint}")
    recipe = params.arms[arm]
    if recipe.start != "bc":
        raise UsageError(
            f"arm {arm!r} starts from random weights, and only what is not finite is watched; expected one with start: bc"
        )
    if all(phase.kind == "bc" for phase in recipe.phases):
        raise UsageError(f"arm {arm!r} has bc phases only; expected one that uses env steps")


def _row(setup: DrillSetup, drill: Drill, rounds: int) -> Row:
    """`rounds` runs, and as many with the guardrail switched off; each place is drawn once before one is drawn again."""
    drawn = random.Random(drill.rule.name).sample(drill.places, len(drill.places))
    seeds = [(seed, drawn[seed % len(drawn)]) for seed in range(rounds)]
    ran = [run_with_fault(setup, setup.arm, drill, *one) for one in seeds]
    off = [run_with_fault(setup, switched_off(setup.arm, drill.rule.name), drill, *one) for one in seeds]
    decided = {_decided(r) for r in ran}
    return Row(
        drill.rule.name,
        drill.fault,
        drill.expected,
        decided=min(decided - {drill.expected}, default=drill.expected),
        checks=max(r.breaches[-1].hits for r in ran) if all(r.breaches for r in ran) else None,
        exact=all(r.exact for r in ran),
        goes_on=all(r.goes_on for r in ran),
        fails_without=all(r.injected and not r.breaches for r in off),
        right=all(r.right for r in ran),
    )


def _decided(ran: DrillRun) -> Action:
    decision = ran.breaches[-1].decision if ran.breaches else "continue"
    return "continue" if decision == "hold" else decision
