"""A verdict: checks of measurements against thresholds, and the one outcome that follows from them
(`verdict/1`).

PASS: every check holds. HOLD: not proven, a person looks. FAIL: a gate is broken. The rule fails closed: a
measurement that is missing or not a number never passes, and no checks at all is no evidence, so not a PASS.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Literal, Self

from pydantic import model_validator

from headstart.core.record import Record

Value = float | int | str | bool | None
Direction = Literal[">=", "<=", ">", "<", "=="]


class Outcome(StrEnum):
    """What a gate says; ordered from good to bad as written."""

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


class Check(Record):
    """One line of a gate report."""

    name: str
    measured: Value  # None: could not be measured
    direction: Direction
    threshold: Value
    passed: bool
    text: str  # what was measured, and on a failure what came and where
    n: int | None = None  # how many episodes, steps or pairs stand behind `measured`
    on_miss: Outcome = Outcome.FAIL  # what a check that did not pass means


class Reason(Record):
    """Why a verdict is not a PASS."""

    code: str
    text: str
    metric: str
    value: Value
    threshold: Value
    direction: Direction
    n: int | None
    outcome: Outcome


class Verdict(Record):
    """An outcome with all that it rests on. A file whose outcome contradicts its reasons is refused."""

    schema_id: Literal["verdict/1"] = "verdict/1"
    subject: Subject
    outcome: Outcome
    reasons: tuple[Reason, ...]  # every check that did not pass; empty for a PASS
    checks: tuple[Check, ...]
    thresholds: dict[str, Value]  # complete copy of the rules applied
    evidence: tuple[Evidence, ...] = ()
    synthetic: bool = False  # made from invented data: can never be a PASS

    @model_validator(mode="after")
    def _outcome_follows(self) -> Self:
        expected = decide(self.reasons)
        if self.outcome != expected:
            raise ValueError(f"outcome is {self.outcome}, but its reasons say {expected}")
        proven = bool(self.checks) and all(check.passed for check in self.checks) and not self.synthetic
        if self.outcome == Outcome.PASS and not proven:
            raise ValueError("a PASS needs checks that all hold, on data that is not synthetic")
        return self


def judge(
    subject: Subject,
    checks: Iterable[Check],
    thresholds: Mapping[str, Value],
    evidence: Sequence[Evidence] = (),
    synthetic: bool = False,
) -> Verdict:
    """The verdict that follows from `checks`; every one that did not pass becomes a reason."""
    lines = list(checks)
    if not lines:
        lines.append(unmeasured("evidence", ">", 0, "nothing was measured"))
    if synthetic:
        lines.append(unmeasured("synthetic", "==", False, "made from invented data, so it proves nothing"))
    reasons = tuple(reason_of(line) for line in lines if not line.passed)
    return Verdict(
        subject=subject,
        outcome=decide(reasons),
        reasons=reasons,
        checks=tuple(lines),
        thresholds=dict(thresholds),
        evidence=tuple(evidence),
        synthetic=synthetic,
    )


def misses(verdict: Verdict) -> str:
    """One line for each reason, as a person reads it: what was measured, and what it had to be."""
    lines = (f"  {r.metric}: {r.text}: {r.value} {r.direction} {r.threshold} does not hold" for r in verdict.reasons)
    return "\n".join(lines)


def decide(reasons: Iterable[Reason]) -> Outcome:
    """Any FAIL is a FAIL, else any HOLD is a HOLD, else PASS."""
    outcomes = {reason.outcome for reason in reasons}
    if Outcome.FAIL in outcomes:
        return Outcome.FAIL
    return Outcome.HOLD if Outcome.HOLD in outcomes else Outcome.PASS


def reason_of(check: Check) -> Reason:
    """The reason that a check which did not pass gives: missing evidence is a HOLD, whatever the check."""
    missing = check.measured is None
    return Reason(
        code=f"{check.name}-missing" if missing else check.name,
        text=check.text,
        metric=check.name,
        value=check.measured,
        threshold=check.threshold,
        direction=check.direction,
        n=check.n,
        outcome=Outcome.HOLD if missing else check.on_miss,
    )


def at_least(
    name: str,
    measured: float | None,
    threshold: float,
    text: str,
    n: int | None = None,
    on_miss: Outcome = Outcome.FAIL,
) -> Check:
    """Passes if measured ≥ threshold; NaN, infinity and None do not."""
    value = finite(measured)
    passed = value is not None and value >= threshold
    return Check(
        name=name,
        measured=value,
        direction=">=",
        threshold=threshold,
        passed=passed,
        text=text,
        n=n,
        on_miss=on_miss,
    )


def at_most(
    name: str,
    measured: float | None,
    threshold: float,
    text: str,
    n: int | None = None,
    on_miss: Outcome = Outcome.FAIL,
) -> Check:
    """Passes if measured ≤ threshold; NaN, infinity and None do not."""
    value = finite(measured)
    passed = value is not None and value <= threshold
    return Check(
        name=name,
        measured=value,
        direction="<=",
        threshold=threshold,
        passed=passed,
        text=text,
        n=n,
        on_miss=on_miss,
    )


def equal(name: str, measured: Value, threshold: Value, text: str) -> Check:
    """Passes if measured is there and is the threshold."""
    passed = measured is not None and measured == threshold
    return Check(name=name, measured=measured, direction="==", threshold=threshold, passed=passed, text=text)


def unmeasured(name: str, direction: Direction, threshold: Value, text: str) -> Check:
    """A check whose measurement is missing: never passes, a HOLD."""
    return Check(
        name=name,
        measured=None,
        direction=direction,
        threshold=threshold,
        passed=False,
        text=text,
        on_miss=Outcome.HOLD,
    )


def hold_or_fail(estimate_holds: bool) -> Outcome:
    """What a bound that misses its threshold means: HOLD where only certainty is lacking, FAIL where the
    estimate misses too.
    """
    return Outcome.HOLD if estimate_holds else Outcome.FAIL


def finite(value: float | None) -> float | None:
    """`value`, or None where it is missing, NaN or infinite. Counts stay integers."""
    if value is None or not math.isfinite(value):
        return None
    return int(value) if isinstance(value, int) else float(value)
