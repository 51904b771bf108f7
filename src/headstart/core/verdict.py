"""A verdict (`verdict/2`): checks of measurements against thresholds, and the outcome that follows from them: PASS, HOLD or FAIL.

PASS: every check passes. HOLD: not proven, a user must decide. FAIL: a limit is exceeded. A measurement that is missing
or not a number never passes, and a verdict without checks is a HOLD. A check that does not apply to its subject counts for nothing.
"""

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from numbers import Real
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from headstart.core.errors import shown
from headstart.core.record import Record

Value = float | int | str | bool | None
Direction = Literal[">=", "<=", ">", "=="]
COMPARE: dict[Direction, Callable[[Any, Any], bool]] = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "==": operator.eq}
CURE = "something changed the file; `headstart verify --repair` brings back what was recorded, and the stage that wrote it makes it anew"


class Outcome(StrEnum):
    """The result of a check or a verdict."""

    PASS = "PASS"
    HOLD = "HOLD"
    FAIL = "FAIL"


class Subject(Record):
    """What is judged."""

    type: str  # expert, dataset, bc, comparison
    id: str
    sha256: str


class Evidence(Record):
    """A file on which a verdict rests; `path` is relative to the repository."""

    path: str
    sha256: str


class About(Record):
    """What a check of a held-out variant is about, for those who read it."""

    variant: str
    measure: str  # success or harm
    other: str  # against whom: a baseline, the clone


class Check(Record):
    """One measurement against its threshold."""

    name: str
    measured: Value  # None: could not be measured
    direction: Direction
    threshold: Value
    passed: bool
    text: str  # what was measured; on a failure also what was found and where
    n: int | None = None  # number of episodes, steps or pairs from which `measured` was computed
    # the outcome if the check does not pass
    on_miss: Outcome = Field(default=Outcome.FAIL, json_schema_extra={"enum": ["HOLD", "FAIL"]})
    applies: bool = True  # false: the subject has nothing that could be measured, for the reason that `text` gives
    about: About | None = Field(default=None, exclude_if=lambda about: about is None)

    @model_validator(mode="after")
    def _follows_from_its_measurement(self) -> Self:
        if not self.applies and (self.passed or self.measured is not None):
            raise ValueError(f"{self.name}: a check that does not apply has no measurement and does not pass; {CURE}")
        if self.on_miss == Outcome.PASS:
            raise ValueError(f"check {self.name}: expected on_miss HOLD or FAIL, got {self.on_miss}; {CURE}")
        expected = self.applies and holds(self.measured, self.direction, self.threshold)
        if self.passed != expected:
            claim = f"{shown(self.measured)} {self.direction} {shown(self.threshold)} {'holds' if expected else 'does not hold'}"
            raise ValueError(f"check {self.name}: expected passed {expected}, since {claim}, got {self.passed}; {CURE}")
        return self

    @property
    def outcome(self) -> Outcome | None:
        """The outcome of this check alone; None where it does not apply. A missing measurement is a HOLD, whatever `on_miss` is."""
        if not self.applies:
            return None
        if self.passed:
            return Outcome.PASS
        return Outcome.HOLD if self.measured is None else self.on_miss

    @property
    def code(self) -> str:
        """The name, with the suffix `-missing` if there is no measurement."""
        return f"{self.name}-missing" if self.measured is None else self.name


class Verdict(Record):
    """An outcome with its checks, thresholds and evidence. A file whose outcome contradicts its checks is rejected."""

    schema_id: Literal["verdict/2"] = "verdict/2"
    subject: Subject
    outcome: Outcome
    checks: tuple[Check, ...]
    thresholds: dict[str, Value]  # complete copy of the rules applied
    evidence: tuple[Evidence, ...] = ()
    synthetic: bool = False  # true: computed from synthetic data, so it can never be a PASS

    @property
    def reasons(self) -> tuple[Check, ...]:
        """Every check that applies and did not pass; empty for a PASS."""
        return tuple(check for check in self.checks if check.applies and not check.passed)

    @model_validator(mode="after")
    def _outcome_follows(self) -> Self:
        expected = decide(self.checks)
        if self.outcome != expected:
            raise ValueError(f"outcome: expected {expected}, which its checks give, got {self.outcome}; {CURE}")
        if self.outcome == Outcome.PASS and (self.synthetic or not any(check.applies for check in self.checks)):
            raise ValueError(f"a PASS needs checks, on data that is not synthetic; {CURE}")
        return self


def judge(
    subject: Subject,
    checks: Iterable[Check],
    thresholds: Mapping[str, Value],
    evidence: Sequence[Evidence] = (),
    synthetic: bool = False,
) -> Verdict:
    """The verdict that follows from `checks`."""
    lines = list(checks)
    if not any(line.applies for line in lines):
        lines.append(unmeasured("evidence", ">", 0, "nothing was measured"))
    if synthetic:
        lines.append(unmeasured("synthetic", "==", False, "computed from synthetic data, so it proves nothing"))
    return Verdict(
        subject=subject,
        outcome=decide(lines),
        checks=tuple(lines),
        thresholds=dict(thresholds),
        evidence=tuple(evidence),
        synthetic=synthetic,
    )


def decide(checks: Iterable[Check]) -> Outcome:
    """Any FAIL is a FAIL, else any HOLD is a HOLD, else PASS."""
    outcomes = {check.outcome for check in checks}
    return next((outcome for outcome in (Outcome.FAIL, Outcome.HOLD) if outcome in outcomes), Outcome.PASS)


def misses(verdict: Verdict) -> str:
    """One line for each reason: the measurement and its threshold."""
    return "\n".join(f"  {missed(reason)}" for reason in verdict.reasons)


def missed(check: Check) -> str:
    """A check that does not hold. Numbers have three significant digits, and more where the two would read the same."""
    sides, digits = (check.measured, check.threshold), 3
    while digits < 17 and sides[0] != sides[1] and _short(sides[0], digits) == _short(sides[1], digits):
        digits += 1
    measured, threshold = (_short(side, digits) for side in sides)
    return f"{check.name}: {check.text}: {measured} {check.direction} {threshold} does not hold"


def _short(value: Value, digits: int) -> str:
    """A float with so many significant digits, and no fewer than it has before the point."""
    return f"{value:.{max(digits, len(f'{abs(value):.0f}'))}g}" if isinstance(value, float) else str(value)


def at_least(
    name: str, measured: float | None, threshold: float, text: str, n: int | None = None, on_miss: Outcome = Outcome.FAIL
) -> Check:
    """Passes if measured ≥ threshold; NaN, infinity and None do not."""
    return _check(name, finite(measured), ">=", threshold, text=text, n=n, on_miss=on_miss)


def at_most(
    name: str, measured: float | None, threshold: float, text: str, n: int | None = None, on_miss: Outcome = Outcome.FAIL
) -> Check:
    """Passes if measured ≤ threshold; NaN, infinity and None do not."""
    return _check(name, finite(measured), "<=", threshold, text=text, n=n, on_miss=on_miss)


def equal(name: str, measured: Value, threshold: Value, text: str) -> Check:
    """Passes if `measured` is not None and equals the threshold."""
    return _check(name, measured, "==", threshold, text=text)


def unmeasured(name: str, direction: Direction, threshold: Value, text: str) -> Check:
    """A check whose measurement is missing: it never passes and is a HOLD."""
    return _check(name, None, direction, threshold, text=text, on_miss=Outcome.HOLD)


def not_applicable(name: str, direction: Direction, threshold: Value, why: str) -> Check:
    """A check that neither passes nor fails, because its subject has nothing to measure."""
    return Check(
        name=name,
        measured=None,
        direction=direction,
        threshold=threshold,
        passed=False,
        applies=False,
        text=f"not applicable ({why})",
    )


def _check(name: str, measured: Value, direction: Direction, threshold: Value, **rest: Any) -> Check:
    passed = holds(measured, direction, threshold)
    return Check(name=name, measured=measured, direction=direction, threshold=threshold, passed=passed, **rest)


def holds(measured: Value, direction: Direction, threshold: Value) -> bool:
    """Whether a measurement meets a threshold; one that is missing, NaN or of another kind than the threshold does not."""
    numbers = all(isinstance(side, Real) and not isinstance(side, bool) for side in (measured, threshold))
    same = direction == "==" and measured is not None and type(measured) is type(threshold)
    return (numbers or same) and COMPARE[direction](measured, threshold)


def hold_or_fail(estimate_holds: bool) -> Outcome:
    """The outcome if a bound misses its threshold: HOLD if the estimate meets the threshold, FAIL if the estimate misses it too."""
    return Outcome.HOLD if estimate_holds else Outcome.FAIL


def finite(value: float | None) -> float | None:
    """`value`, or None if it is missing, NaN or infinite. Counts stay integers."""
    if value is None or not math.isfinite(value):
        return None
    return int(value) if isinstance(value, int) else float(value)
