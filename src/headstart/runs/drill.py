"""The rollback drill: real runs, each broken on purpose, that have to go back to real states and to go on from there.

A run is the arm on a handful of worlds. What its guardrails read is made calm, and at a drawn place the fault of one of them is planted; all
else is as in training: learning, states on a desk, restoring, and telemetry, which tells the drill what happened. Each run is made twice, the
second time with the guardrail switched off: then the fault must pass unseen, or it was not the guardrail that saw it.
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
    Ground,
    Ran,
    change_a_weight,
    ground_of,
    lose_a_byte,
    run_broken,
)

THEN = {"rollback": ("retry", "completed"), "freeze": ("hold", "frozen"), "stop": ("stop", "stopped")}
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
        return (
            self.decided == self.expected
            and self.checks is not None
            and self.exact
            and self.goes_on
            and self.fails_without
            and self.right
        )


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
    with ground_of(params, scenario, arm, names) as ground:
        phases = ", ".join(phase.name for phase in ground.arm.phases)
        report(f"{scenario.name} {arm}: {phases} on {WORLDS} worlds, from {ground.begins_with}")
        accepted = [name for name in names if accepts(ground.arm, ground.phase, name)]
        if accepted:
            report(f"not drilled: {', '.join(accepted)}; the arm lets its fault pass, because {ground.arm.accept_loosened}")
        return tuple(_rows(ground, [name for name in names if name not in accepted], rounds))


def _rows(ground: Ground, names: Sequence[str], rounds: int) -> Iterator[Row]:
    for name in names:
        yield caught(ground, GUARDRAILS[name], rounds)
    if retries(ground.phase):
        yield passed_over(ground, lose_a_byte, "…, and the newest state has lost a byte", rounds)
        yield passed_over(ground, change_a_weight, "…, and one weight of the newest state is another", rounds)
    yield again_and_again(ground, rounds)


# --- the three drills -------------------------------------------------------------------------------------------------


def caught(ground: Ground, rule: Guardrail, rounds: int) -> Row:
    """The fault of a guardrail, for as many readings as it may take: it has to decide, and the run to go back exactly and on."""
    text, _ = FAULTS[rule.name]
    without = switched_off(ground.arm, rule.name)
    ran, off = [], []
    for number, first in enumerate(_places(ground, rule, rounds)):
        ran.append(run_broken(ground, ground.arm, rule, number, first, rule.hits))
        off.append(run_broken(ground, without, rule, number, first, rule.hits))
    return _row(ground, rule, text, ran, _unseen(off), all(len(r.backs) == 1 and r.plant.quiet for r in ran))


def passed_over(ground: Ground, spoil: Callable[[Path, str], None], text: str, rounds: int) -> Row:
    """The newest safe state is not whole: the next older one is taken and the skip is on record. While it is whole, it is taken itself."""
    ran = [run_broken(ground, ground.arm, NONFINITE, n, UPDATES - 1, 1, spoil) for n in range(rounds)]
    whole = [run_broken(ground, ground.arm, NONFINITE, n, UPDATES - 1, 1) for n in range(rounds)]
    skipped = all(
        [skip.id for back in r.backs for skip in back.skipped_checkpoints] == [r.plant.newest] != [r.backs[0].to_checkpoint_id]
        for r in ran
        if r.backs
    )
    taken = all([back.to_checkpoint_id for back in r.backs] == [r.plant.newest] for r in whole)
    return _row(ground, NONFINITE, text, ran, taken, skipped)


def again_and_again(ground: Ground, rounds: int) -> Row:
    """The fault comes back in every attempt: as many rollbacks as the phase has retries, then a stop."""
    without = switched_off(ground.arm, NONFINITE.name)
    places = _places(ground, NONFINITE, rounds)
    ran = [run_broken(ground, ground.arm, NONFINITE, n, min(first, 3), UPDATES) for n, first in enumerate(places)]
    off = [run_broken(ground, without, NONFINITE, n, min(first, 3), UPDATES) for n, first in enumerate(places)]
    wanted = ["retry"] * retries(ground.phase) + ["stop"]
    right = all([back.next for back in r.backs] == wanted for r in ran)
    return _row(ground, NONFINITE, "…, in every attempt", ran, _unseen(off), right, "stop")


def _row(
    ground: Ground, rule: Guardrail, text: str, ran: Sequence[Ran], control: bool, right: bool, expected: Action | None = None
) -> Row:
    expected = expected or expected_of(rule, ground.phase)
    decided: set[Action] = {_decided(r) for r in ran}
    wrong = sorted(decided - {expected})
    _, status = THEN[expected]
    return Row(
        rule.name,
        text,
        expected,
        decided=wrong[0] if wrong else expected,
        checks=max((r.breaches[-1].hits for r in ran), default=0) if all(r.breaches for r in ran) else None,
        exact=all(r.exact for r in ran),
        goes_on=all(r.goes_on and r.status == status for r in ran),
        fails_without=control,
        right=right,
    )


def _decided(ran: Ran) -> Action:
    """What the guardrail asked for last, if it was also done."""
    if not ran.breaches or not ran.backs:
        return "continue"
    asked = ran.breaches[-1].decision
    return asked if asked in THEN and asked != "hold" and THEN[asked][0] == ran.backs[-1].next else "continue"


def _unseen(off: Sequence[Ran]) -> bool:
    """Whether faults were planted, and the guardrail that was switched off said nothing."""
    return all(r.plant.planted and not r.breaches for r in off)


def _places(ground: Ground, rule: Guardrail, rounds: int) -> list[int]:
    """Where faults begin: drawn, each place once before one is drawn again, and early enough that updates follow the last of the fault."""
    readings = UPDATES if rule.on == "update" else _evaluations(ground)
    last = readings - rule.hits
    draw = random.Random(rule.name)
    order: list[int] = []
    while len(order) < rounds:
        order += draw.sample(range(1, last + 1), last)
    return order[:rounds]


def _evaluations(ground: Ground) -> int:
    """Of the last phase."""
    before = len(ground.arm.phases) - 1
    after = before + UPDATES
    return after // EVALUATION_EVERY - before // EVALUATION_EVERY + after % EVALUATION_EVERY
