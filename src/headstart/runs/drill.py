"""The rollback drill: real runs, each with an injected fault, that have to go back to real states and to go on from there.

A run is the arm on a handful of worlds. Its guardrails are shown good readings, and at a drawn place the fault of one of them; all else is as
in training: learning, states on disk, restoring, and telemetry, which tells the drill what happened. Each run is made twice, the second time
with the guardrail switched off: then the fault must pass unseen, or it was not the guardrail that saw it.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart.config.params import Params
from headstart.config.scenario import Scenario
from headstart.guard.control import Action
from headstart.guard.drill import FAULTS, accepts, expected_of, retries, switched_off
from headstart.guard.guardrails import GUARDRAILS, Guardrail
from headstart.runs.drill_run import (
    EVALUATION_EVERY,
    UPDATES,
    WORLDS,
    DrillRun,
    DrillSetup,
    Fault,
    change_a_weight,
    drill_setup,
    run_with_fault,
    truncate_state,
)
from headstart.runs.guarded_run import NEXT

ENDS_AS = {"rollback": "completed", "freeze": "frozen", "stop": "stopped"}  # decision → status of the run
NONFINITE = GUARDRAILS["nonfinite"]  # breaks at once and leads to a rollback: for the drills of going back itself


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
    right: bool = True  # what else the drill asks for

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
    """Drill the guardrails `names` of an arm, each in `rounds` runs, and going back itself: past a state that is not whole, and again and again.

    Guardrails that the arm loosened past their faults are left out if it gives a reason. `report` is told which, and what the runs start
    from. Raises UsageError for an arm or a guardrail that cannot be drilled.
    """
    with drill_setup(params, scenario, arm, names) as setup:
        phases = ", ".join(phase.name for phase in setup.arm.phases)
        report(f"{scenario.name} {arm}: {phases} on {WORLDS} worlds, from {setup.origin}")
        accepted = [name for name in names if accepts(setup.arm, setup.phase, name)]
        if accepted:
            report(f"not drilled: {', '.join(accepted)}; the arm lets its fault pass, because {setup.arm.accept_loosened}")
        return tuple(_rows(setup, [name for name in names if name not in accepted], rounds))


def _rows(setup: DrillSetup, names: Sequence[str], rounds: int) -> Iterator[Row]:
    for name in names:
        yield detects(setup, GUARDRAILS[name], rounds)
    if retries(setup.phase):
        yield skips_damaged(setup, truncate_state, "…, and the newest state has lost a byte", rounds)
        yield skips_damaged(setup, change_a_weight, "…, and one weight of the newest state is another", rounds)
    yield uses_all_retries(setup, rounds)


# --- the three drills -------------------------------------------------------------------------------------------------


def detects(setup: DrillSetup, rule: Guardrail, rounds: int) -> Row:
    """The fault of a guardrail, for as many readings as it may take: it has to decide, and the run to go back exactly and on."""
    faults = [Fault(rule, first, rule.hits) for first in _places(setup, rule, rounds)]
    ran, unseen = _with_and_without(setup, faults)
    right = all(len(r.rollbacks) == 1 and r.injection.quiet for r in ran)
    return _row(rule, FAULTS[rule.name][0], expected_of(rule, setup.phase), ran, unseen, right)


def skips_damaged(setup: DrillSetup, damage: Callable[[Path, str], None], text: str, rounds: int) -> Row:
    """The newest safe state is damaged: the next older one is taken and the skip is on record. While it is whole, it is taken itself."""

    def run(damage: Callable[[Path, str], None] | None) -> list[DrillRun]:
        return [run_with_fault(setup, setup.arm, n, Fault(NONFINITE, UPDATES - 1, 1, damage)) for n in range(rounds)]

    damaged, whole = run(damage), run(None)
    skipped = all(
        [skip.id for line in r.rollbacks for skip in line.skipped_checkpoints] == [r.injection.newest_safe]
        and r.injection.newest_safe != r.rollbacks[0].to_checkpoint_id
        for r in damaged
        if r.rollbacks
    )
    taken = all([line.to_checkpoint_id for line in r.rollbacks] == [r.injection.newest_safe] for r in whole)
    return _row(NONFINITE, text, expected_of(NONFINITE, setup.phase), damaged, taken, skipped)


def uses_all_retries(setup: DrillSetup, rounds: int) -> Row:
    """The fault comes back in every attempt: as many rollbacks as the phase has retries, then a stop."""
    faults = [Fault(NONFINITE, min(first, 3), UPDATES) for first in _places(setup, NONFINITE, rounds)]
    ran, unseen = _with_and_without(setup, faults)
    wanted = ["retry"] * retries(setup.phase) + ["stop"]
    right = all([line.next for line in r.rollbacks] == wanted for r in ran)
    return _row(NONFINITE, "…, in every attempt", "stop", ran, unseen, right)


def _with_and_without(setup: DrillSetup, faults: Sequence[Fault]) -> tuple[list[DrillRun], bool]:
    """A run for each fault of one guardrail, and whether the faults pass unseen while it is switched off."""
    without = switched_off(setup.arm, faults[0].rule.name)
    ran, off = ([run_with_fault(setup, arm, n, fault) for n, fault in enumerate(faults)] for arm in (setup.arm, without))
    return ran, all(r.injection.injected and not r.breaches for r in off)


def _row(rule: Guardrail, text: str, expected: Action, ran: Sequence[DrillRun], control: bool, right: bool) -> Row:
    decided: set[Action] = {_decided(r) for r in ran}
    return Row(
        rule.name,
        text,
        expected,
        decided=min(decided - {expected}, default=expected),
        checks=max(r.breaches[-1].hits for r in ran) if all(r.breaches for r in ran) else None,
        exact=all(r.exact for r in ran),
        goes_on=all(r.goes_on and r.status == ENDS_AS[expected] for r in ran),
        fails_without=control,
        right=right,
    )


def _decided(ran: DrillRun) -> Action:
    """What the guardrail asked for last, if it was also done."""
    if not ran.breaches or not ran.rollbacks:
        return "continue"
    asked = ran.breaches[-1].decision
    return asked if asked != "hold" and NEXT.get(asked) == ran.rollbacks[-1].next else "continue"


def _places(setup: DrillSetup, rule: Guardrail, rounds: int) -> list[int]:
    """Where faults begin: drawn, each place once before one is drawn again, and early enough that updates follow the last of the fault."""
    readings = UPDATES if rule.on == "update" else _evaluations(setup)
    last = readings - rule.hits
    draw = random.Random(rule.name)
    order: list[int] = []
    while len(order) < rounds:
        order += draw.sample(range(1, last + 1), last)
    return order[:rounds]


def _evaluations(setup: DrillSetup) -> int:
    """Evaluations in the last phase; every phase before it has one update."""
    before = len(setup.arm.phases) - 1
    after = before + UPDATES
    return after // EVALUATION_EVERY - before // EVALUATION_EVERY + after % EVALUATION_EVERY
