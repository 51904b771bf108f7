"""Guardrails of a training run: which metric is watched, how far it may move, and what follows when it moves further.

    reading ──measure──▶ not applicable | quiet | flag | breach        a flag is for a person, a breach decides by itself

One rule says when a breach-level value decides: in `hits` checks in a row (1: at once; a value that is not finite: always at once, for it
does not get better by waiting). An improvement never flags; only `outside` watches both ways, where a silent fall can be as bad as a rise.
`guard.control` keeps what has to be remembered between checks.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import StringConstraints

from headstart.config.schedule import Arm, Limits, Phase
from headstart.core.errors import InputError, nearest
from headstart.core.record import Record

Values = Mapping[str, float | None]  # by metric; None, or no key: not applicable
Kind = Literal["update", "evaluation"]
Level = Literal["not applicable", "quiet", "flag", "breach"]
Breach = Literal["freeze", "rollback", "stop"]
Decided = Literal["continue", "hold", "freeze", "rollback", "stop"]

BASE_FLOOR = 0.05  # of what a share is taken of, in the unit of its metric
ROUNDING = 1e-9  # 0.3 − 0.6 is not quite −0.3


@dataclass(frozen=True)
class Reading:
    """What one check looks at."""

    kind: Kind
    env_steps: int  # charged to the run so far
    values: Values  # NaN and infinity are breaches, not gaps


@dataclass(frozen=True)
class Guardrail:
    """One rule. `relative` and `change` are measured from the reference: as a share of it, or as a difference in its unit."""

    name: str
    metric: str
    on: Kind
    direction: Literal["above", "below", "outside"]
    measure: Literal["absolute", "relative", "change"]
    flag: float | None
    breach: float | None
    decision: Breach = "freeze"
    hits: int = 1  # checks in a row at breach level that decide
    inclusive: bool = False  # a breach begins at the limit, not beyond it
    floor: float = (
        BASE_FLOOR  # a share is never taken of less than this, so that a reference near zero does not make noise a breach
    )
    beside: tuple[str, float] | None = None  # a breach also needs this metric of the same reading above this value


GUARDRAILS: dict[str, Guardrail] = {
    rule.name: rule
    for rule in (
        Guardrail("nonfinite", "nonfinite", "update", "above", "absolute", None, 0, "rollback"),
        Guardrail("policy_kl", "kl_divergence", "update", "above", "absolute", 0.05, 0.05, "rollback", beside=("grad_norm", 2.5)),
        Guardrail("policy_kl_burst", "kl_divergence", "update", "above", "absolute", None, 0.2, "rollback", hits=2),
        Guardrail("reference_kl", "kl_to_reference", "update", "above", "absolute", 0.5, 1.0, "rollback", hits=3),
        Guardrail("grad_norm", "grad_norm", "update", "above", "absolute", 2.5, 3.0, "freeze", hits=3),
        Guardrail("entropy", "entropy", "update", "outside", "change", 0.1, 0.2, "freeze"),
        # of the clone's own: a clone of an expert that never hesitates has a few hundredths of ln(actions) to begin with
        Guardrail("entropy_floor", "entropy", "update", "below", "relative", None, 0.95, "rollback"),
        Guardrail("reward_saturation", "reward_clipped_fraction", "update", "above", "absolute", 0.05, 0.5, "stop"),
        Guardrail("telemetry_backlog", "telemetry_dropped", "update", "above", "absolute", 0, None),
        Guardrail("loss_drift", "loss_total", "evaluation", "above", "relative", 1.0, 2.0, "rollback", hits=2),
        Guardrail("return_drop", "return_normalised", "evaluation", "below", "relative", 0.15, 0.30, "freeze", inclusive=True),
        Guardrail("kpi_drop", "kpi", "evaluation", "below", "relative", 0.15, 0.30, "freeze", inclusive=True),
        Guardrail("success_drop", "success_rate", "evaluation", "below", "change", 0.10, 0.30, "freeze", inclusive=True),
        Guardrail("harm_rise", "harm_rate", "evaluation", "above", "change", 0.05, 0.15, "freeze", inclusive=True),
        # fewer conflicts are what is hoped for; where agents stop competing at all, success and return fall
        Guardrail("queue_events", "queue_conflict_rate", "evaluation", "above", "relative", 0.15, 0.20, "rollback", 2, floor=5.0),
        Guardrail(
            "queue_intensity", "queue_intensity_rate", "evaluation", "above", "relative", 0.15, 0.20, "rollback", 2, floor=5.0
        ),
        # half of what the reference shows, and none at all
        Guardrail("late_help", "late_help_rate", "evaluation", "below", "relative", 0.5, 1.0, "rollback", hits=2, inclusive=True),
        Guardrail("bc_accuracy", "bc_accuracy", "evaluation", "below", "absolute", None, 0.90, "stop"),
    )
}

METRICS = frozenset(rule.metric for rule in GUARDRAILS.values())
TOWN_METRICS = frozenset({"queue_conflict_rate", "queue_intensity_rate", "late_help_rate"})


class Finding(Record):
    """A guardrail whose state changed: the fields of the telemetry record `guardrail`."""

    guardrail: str
    severity: Literal["warn", "breach"]
    metric: str
    value: float | None  # None: not measured, or not finite; the reason says which
    baseline: float | None
    threshold: float  # in the guardrail's own measure
    direction: Literal["above", "below", "outside"]
    window: int  # checks in a row that decide
    hits: int  # so far
    decision: Decided
    reason: Annotated[str, StringConstraints(max_length=200)]


@dataclass(frozen=True)
class Measured:
    """A reading as one guardrail sees it."""

    level: Level
    value: float | None = None
    baseline: float | None = None
    text: str = ""  # where the value stands, in words

    @property
    def is_finite(self) -> bool:
        """Whether the value and what it is compared with are numbers."""
        return all(number is None or math.isfinite(number) for number in (self.value, self.baseline))


def metrics_of(world: str) -> frozenset[str]:
    """What can be measured in a world: queues and help are of the town."""
    return METRICS if world == "town" else METRICS - TOWN_METRICS


def measure(rule: Guardrail, values: Values, reference: Values) -> Measured:
    """Where a reading stands. Not applicable: the metric is not in the reading, or what it is compared with is not in the reference."""
    value, base = values.get(rule.metric), _base(rule, reference)
    if value is None:
        return Measured("not applicable", text=f"the reading has no {rule.metric}")
    if rule.measure != "absolute" and base is None:
        return Measured("not applicable", value, text=f"the reference has no {rule.metric}")
    text = f"{rule.metric} {value:.4g}" + ("" if base is None else f", reference {base:.4g}")
    if not (math.isfinite(value) and (base is None or math.isfinite(base))):
        return Measured("flag" if rule.breach is None else "breach", value, base, f"{text} is not finite")
    moved = _moved(rule, value, base)
    if rule.breach is not None and _beyond(rule, moved, rule.breach, rule.inclusive) and _beside(rule, values):
        return Measured("breach", value, base, text)
    if rule.flag is not None and _beyond(rule, moved, rule.flag):
        return Measured("flag", value, base, text)
    return Measured("quiet", value, base, text)


def finding_of(rule: Guardrail, seen: Measured, hits: int, decision: Decided, reason: str) -> Finding:
    """A finding in the words of telemetry, which knows no NaN; `hits` checks in a row were at breach level."""
    breach = decision in ("freeze", "rollback", "stop")
    either = (rule.breach, rule.flag) if breach or hits else (rule.flag, rule.breach)
    threshold = next(limit for limit in either if limit is not None)
    limit = "" if decision == "continue" else f" (limit {limit_text(rule, threshold)})"
    return Finding(
        guardrail=rule.name,
        severity="breach" if breach else "warn",
        metric=rule.metric,
        value=_finite(seen.value),
        baseline=_finite(seen.baseline),
        threshold=threshold,
        direction=rule.direction,
        window=rule.hits,
        hits=hits,
        decision=decision,
        reason=f"{reason}{limit}"[:200],
    )


def limit_text(rule: Guardrail, limit: float | None) -> str:
    """A limit as people write it: > 0.05, < 0.9, +15 %, −0.3."""
    if limit is None:
        return "–"
    if rule.measure == "absolute":
        return f"{'<' if rule.direction == 'below' else '>'} {limit:g}"
    sign = {"above": "+", "below": "−", "outside": "±"}[rule.direction]
    return f"{sign}{100 * limit:g} %" if rule.measure == "relative" else f"{sign}{limit:g}"


def limits(arm: Arm, phase: Phase) -> dict[str, Guardrail]:
    """The guardrails in force in a phase: the defaults, what the arm says otherwise, what the phase says otherwise again."""
    rules: dict[str, Guardrail | None] = dict(GUARDRAILS)
    for where, changes in (("guardrails", arm.guardrails), (f"phase {phase.name!r}: guardrails", phase.guardrails)):
        for name, change in changes.items():
            if name not in GUARDRAILS:
                hint = nearest(name, GUARDRAILS) or f"; there are {', '.join(GUARDRAILS)}"
                raise InputError(f"{where}: unknown guardrail {name!r}{hint}")
            rules[name] = _changed(rules[name] or GUARDRAILS[name], change)
    return {name: rule for name, rule in rules.items() if rule is not None}


def loosened(arm: Arm, phase: Phase) -> tuple[str, ...]:
    """Guardrails of a phase that let more through than the defaults do, or are switched off."""
    rules = limits(arm, phase)
    return tuple(name for name, default in GUARDRAILS.items() if name not in rules or _is_looser(rules[name], default))


def _changed(rule: Guardrail, change: Limits) -> Guardrail | None:
    if not change.enabled:
        return None
    said = {name: value for name in ("flag", "breach", "hits") if (value := getattr(change, name)) is not None}
    return replace(rule, **said)


def _is_looser(rule: Guardrail, default: Guardrail) -> bool:
    sign = -1 if rule.direction == "below" and rule.measure == "absolute" else 1  # of these, a lower limit lets more through
    later = [
        sign * new > sign * old
        for new, old in ((rule.flag, default.flag), (rule.breach, default.breach))
        if new is not None and old is not None
    ]
    return any(later) or rule.hits > default.hits


def _base(rule: Guardrail, reference: Values) -> float | None:
    return None if rule.measure == "absolute" else reference.get(rule.metric)


def _moved(rule: Guardrail, value: float, base: float | None) -> float:
    """The value in the guardrail's own measure."""
    if base is None:
        return value
    return (value - base) / max(abs(base), rule.floor) if rule.measure == "relative" else value - base


def _beyond(rule: Guardrail, moved: float, limit: float, inclusive: bool = False) -> bool:
    slack = -ROUNDING if inclusive else ROUNDING
    if rule.direction == "below":
        return moved < limit - slack if rule.measure == "absolute" else -moved > limit + slack
    return (abs(moved) if rule.direction == "outside" else moved) > limit + slack


def _beside(rule: Guardrail, values: Values) -> bool:
    """Whether the second condition of a breach holds; a second metric that is not finite is no excuse."""
    if rule.beside is None:
        return True
    metric, limit = rule.beside
    value = values.get(metric)
    return value is not None and not value <= limit


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
