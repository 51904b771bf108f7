"""Guardrails of a training run: the metric of each, its limits, and the decision when it exceeds them.

    reading ──measure──▶ not applicable | quiet | flag | breach        a flag informs the user, a breach causes a decision

A breach takes effect after `hits` checks in a row at breach level (1: at once); a value that is not finite always takes effect at once.
An improvement never flags, except with `outside`, which limits both directions, for metrics whose fall can be as bad as their rise.
`guard.control` keeps the state between checks, and decides when a rollback becomes a stop.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from headstart.config.schedule import Arm, Limits, Phase
from headstart.core.errors import InputError, nearest
from headstart.telemetry.kinds import Finding

Values = Mapping[str, float | None]  # by metric; None, or no key: not applicable
Kind = Literal["update", "evaluation"]
Level = Literal["not applicable", "quiet", "flag", "breach"]
Breach = Literal["freeze", "rollback", "stop"]
Decided = Literal["continue", "hold", "freeze", "rollback", "stop"]

BASE_FLOOR = 0.05  # least reference of a relative change, in the unit of its metric
ROUNDING = 1e-9  # 0.3 − 0.6 is not quite −0.3
FALLS = 3  # of an oscillation, with a recovery between each two
RECENT = 8  # evaluations in which they are looked for: in more of them, noise makes three falls by chance
SWINGING: Mapping[str, int] = {
    "return_normalised": 1,
    "success_rate": 1,
    "harm_rate": -1,
}  # metric → 1: less is worse, −1: more is worse
SWING = "swing"  # metric that `guard.control` derives from evaluations; no reading brings it


@dataclass(frozen=True)
class Reading:
    """The input of one check."""

    kind: Kind
    env_steps: int  # charged to the run so far
    values: Values  # NaN and infinity are breaches, not gaps


@dataclass(frozen=True)
class Guardrail:
    """One rule. `relative` and `change` compare with the reference: as a fraction of it, or as a difference in its unit."""

    name: str
    metric: str
    on: Kind
    direction: Literal["above", "below", "outside"]
    measure: Literal["absolute", "relative", "change"]
    flag: float | None
    breach: float
    decision: Breach
    hits: int = 1  # checks in a row at breach level after which the decision is taken
    inclusive: bool = False  # a breach begins at the limit, not beyond it
    floor: float = BASE_FLOOR  # least reference of a relative change, so that noise near zero is no breach
    beside: tuple[str, float] | None = None  # a breach also requires this metric of the same reading above this value


GUARDRAILS: dict[str, Guardrail] = {
    rule.name: rule
    for rule in (
        Guardrail("nonfinite", "nonfinite", "update", "above", "absolute", None, 0, "rollback"),
        Guardrail("policy_kl", "kl_divergence", "update", "above", "absolute", 0.05, 0.05, "rollback", beside=("grad_norm", 2.5)),
        Guardrail("policy_kl_burst", "kl_divergence", "update", "above", "absolute", None, 0.2, "rollback", hits=2),
        Guardrail("reference_kl", "kl_to_reference", "update", "above", "absolute", 0.5, 1.0, "rollback", hits=3),
        Guardrail("grad_norm", "grad_norm", "update", "above", "absolute", 2.5, 3.0, "freeze", hits=3),
        Guardrail("entropy", "entropy", "update", "outside", "change", 0.1, 0.2, "freeze"),
        # relative to the clone's entropy, which may be only a few hundredths of ln(actions) if the expert is deterministic
        Guardrail("entropy_floor", "entropy", "update", "below", "relative", None, 0.95, "rollback"),
        Guardrail("loss_drift", "loss_total", "evaluation", "above", "relative", 1.0, 2.0, "rollback", hits=2),
        Guardrail("return_drop", "return_normalised", "evaluation", "below", "relative", 0.15, 0.30, "freeze", inclusive=True),
        Guardrail("kpi_drop", "kpi", "evaluation", "below", "relative", 0.15, 0.30, "freeze", inclusive=True),
        Guardrail("success_drop", "success_rate", "evaluation", "below", "change", 0.10, 0.30, "freeze", inclusive=True),
        Guardrail("harm_rise", "harm_rate", "evaluation", "above", "change", 0.05, 0.15, "freeze", inclusive=True),
        # only a rise is limited: fewer conflicts are desired, and if agents stop competing, success and return fall
        Guardrail("queue_events", "queue_conflict_rate", "evaluation", "above", "relative", 0.15, 0.20, "rollback", 2, floor=5.0),
        Guardrail(
            "queue_intensity", "queue_intensity_rate", "evaluation", "above", "relative", 0.15, 0.20, "rollback", 2, floor=5.0
        ),
        Guardrail("oscillation", SWING, "evaluation", "above", "absolute", 0.16, 0.18, "freeze"),
        Guardrail("bc_accuracy", "bc_accuracy", "evaluation", "below", "absolute", None, 0.90, "stop"),
    )
}

METRICS = frozenset(rule.metric for rule in GUARDRAILS.values())
READ = METRICS - {SWING}  # that readings bring
TOWN_METRICS = frozenset({"queue_conflict_rate", "queue_intensity_rate"})


@dataclass(frozen=True)
class Measured:
    """The result of one guardrail for a reading."""

    level: Level
    value: float | None = None
    baseline: float | None = None
    text: str = ""  # the value and its reference

    @property
    def is_finite(self) -> bool:
        """Whether the value and its reference are finite."""
        return all(number is None or math.isfinite(number) for number in (self.value, self.baseline))


def metrics_of(world: str) -> frozenset[str]:
    """The metrics that a world has; only the town has queues."""
    return METRICS if world == "town" else METRICS - TOWN_METRICS


def kpi(measures: Mapping[str, float], first: Mapping[str, float]) -> float | None:
    """The smallest ratio of a measure of the scenario to its first mean; None if no first mean is above 0."""
    shares = [measures[name] / before for name, before in first.items() if before > 0]
    return min(shares, default=None)


def swing(values: Sequence[float]) -> float:
    """The size of the oscillation in successive values: the largest by which they fall FALLS times, and rise again between each two falls.

    The values of a fall or a rise need not be neighbours, so slow oscillations count too. 0 where they fall less often.
    """
    sizes = [math.inf] * len(values)  # of the least move in the best series of moves that ends at each value
    for move in range(2 * FALLS - 1):
        sign = 1 if move % 2 else -1
        sizes = [
            max((min(size, sign * (value - before)) for size, before in zip(sizes[:end], values, strict=False)), default=0.0)
            for end, value in enumerate(values)
        ]
    return max([0.0, *sizes])


def measure(rule: Guardrail, values: Values, reference: Values) -> Measured:
    """Compare a reading with a guardrail. Not applicable: the reading does not have the metric, or the reference lacks it."""
    value, base = values.get(rule.metric), None if rule.measure == "absolute" else reference.get(rule.metric)
    if value is None:
        return Measured("not applicable", text=f"the reading has no {rule.metric}")
    if rule.measure != "absolute" and base is None:
        return Measured("not applicable", value, text=f"the reference has no {rule.metric}")
    text = f"{rule.metric} {value:.4g}" + ("" if base is None else f", reference {base:.4g}")
    if not (math.isfinite(value) and (base is None or math.isfinite(base))):
        return Measured("breach", value, base, f"{text} is not finite")
    by = moved(rule, value, base)
    if _beyond(rule, by, rule.breach, rule.inclusive) and _beside(rule, values):
        return Measured("breach", value, base, text)
    if rule.flag is not None and _beyond(rule, by, rule.flag):
        return Measured("flag", value, base, text)
    return Measured("quiet", value, base, text)


def finding_of(rule: Guardrail, measured: Measured, hits: int, decision: Decided, reason: str) -> Finding:
    """The finding for telemetry, without NaN; `hits` checks in a row were at breach level."""
    breach = decision in ("freeze", "rollback", "stop")
    threshold = rule.breach if breach or hits or rule.flag is None else rule.flag
    limit = "" if decision == "continue" else f" (limit {limit_text(rule, threshold)})"
    return Finding(
        guardrail=rule.name,
        severity="breach" if breach else "warn",
        metric=rule.metric,
        value=_finite(measured.value),
        baseline=_finite(measured.baseline),
        threshold=threshold,
        direction=rule.direction,
        window=rule.hits,
        hits=hits,
        decision=decision,
        reason=f"{reason}{limit}"[:200],
    )


def limit_text(rule: Guardrail, limit: float | None) -> str:
    """A limit as text: > 0.05, < 0.9, +15 %, −0.3."""
    if limit is None:
        return "–"
    if rule.measure == "absolute":
        return f"{'<' if rule.direction == 'below' else '>'} {limit:g}"
    sign = {"above": "+", "below": "−", "outside": "±"}[rule.direction]
    return f"{sign}{100 * limit:g} %" if rule.measure == "relative" else f"{sign}{limit:g}"


def limits(arm: Arm, phase: Phase) -> dict[str, Guardrail]:
    """The guardrails in force in a phase: the defaults, overridden by the arm, overridden by the phase."""
    rules: dict[str, Guardrail | None] = dict(GUARDRAILS)
    for where, changes in (("guardrails", arm.guardrails), (f"phase {phase.name!r}: guardrails", phase.guardrails)):
        for name, change in changes.items():
            if name not in GUARDRAILS:
                hint = nearest(name, GUARDRAILS) or f"; there are {', '.join(GUARDRAILS)}"
                raise InputError(f"{where}: unknown guardrail {name!r}{hint}")
            rules[name] = _changed(rules[name] or GUARDRAILS[name], change)
    return {name: rule for name, rule in rules.items() if rule is not None}


def loosened(arm: Arm, phase: Phase) -> tuple[str, ...]:
    """Guardrails of a phase that are looser than the defaults, or switched off."""
    rules = limits(arm, phase)
    return tuple(name for name, default in GUARDRAILS.items() if name not in rules or _is_looser(rules[name], default))


def _changed(rule: Guardrail, change: Limits) -> Guardrail | None:
    if not change.enabled:
        return None
    said = {name: value for name in ("flag", "breach", "hits") if (value := getattr(change, name)) is not None}
    return replace(rule, **said)


def looser(rule: Guardrail, limit: float, than: float) -> bool:
    """Whether a limit of the guardrail is looser than another."""
    return limit < than if rule.direction == "below" and rule.measure == "absolute" else limit > than


def _is_looser(rule: Guardrail, default: Guardrail) -> bool:
    flags_later = rule.flag is not None and default.flag is not None and looser(rule, rule.flag, default.flag)
    return flags_later or looser(rule, rule.breach, default.breach) or rule.hits > default.hits


def moved(rule: Guardrail, value: float, base: float | None) -> float:
    """The value in the measure of the guardrail."""
    if base is None:
        return value
    return (value - base) / max(abs(base), rule.floor) if rule.measure == "relative" else value - base


def _beyond(rule: Guardrail, moved: float, limit: float, inclusive: bool = False) -> bool:
    slack = -ROUNDING if inclusive else ROUNDING
    if rule.direction == "below":
        return moved < limit - slack if rule.measure == "absolute" else -moved > limit + slack
    return (abs(moved) if rule.direction == "outside" else moved) > limit + slack


def _beside(rule: Guardrail, values: Values) -> bool:
    """Whether the second condition of a breach holds; it also holds if the second metric is not finite."""
    if rule.beside is None:
        return True
    metric, limit = rule.beside
    value = values.get(metric)
    return value is not None and not value <= limit


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
