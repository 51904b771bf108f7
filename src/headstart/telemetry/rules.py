"""Rules that a log is watched with, and the alerts that follow: one when a rule begins to hold, one when it no longer does.

FIELD OP NUMBER[%base|base] [for N] [warn|alert]
  return_mean < -30%base for 2 alert     30 % below the base in two updates in a row
  evaluation.success_rate < -0.1base     0.1 below the base; without a word at the end it is an alert
  entropy outside 10%base warn           10 % of the base above or below it
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from headstart.core.errors import UsageError, nearest, shown
from headstart.telemetry.fields import bases, numbers, require_field
from headstart.telemetry.logs import AnyRecord

Severity = Literal["warn", "alert"]
OPS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
    "=": operator.eq,
    "outside": lambda value, limit: abs(value) > limit,
}
RULE = re.compile(
    r"\s*(?P<field>[\w.]+)\s*(?P<op>>=|<=|>|<|==?|outside\s)\s*(?P<limit>[+-]?[0-9.]+(?:e[+-]?[0-9]+)?)\s*(?P<base>%\s*base|base)?"
    r"(?:\s+for\s+(?P<hits>[0-9]+))?(?:\s+(?P<severity>warn|alert))?\s*",
    re.IGNORECASE,
)
COMMON = (
    "nonfinite > 0 alert",
    "kl_divergence > 0.05 warn",
    "kl_divergence > 0.2 for 2 alert",
    "grad_norm > 2.5 warn",
    "grad_norm > 3 for 3 alert",
    "loss_total > +100%base warn",
    "loss_total > +200%base for 2 alert",
    "return_mean < -15%base warn",
    "return_mean < -30%base alert",
    "evaluation.success_rate < -0.10base warn",
    "evaluation.success_rate < -0.30base alert",
    "evaluation.harm_rate > +0.05base warn",
    "evaluation.harm_rate > +0.15base alert",
    "reward_advantage_corr < -0.5 warn",
    "adv_zero_std_batches > 0 warn",
    "explained_variance < 0 for 10 warn",
)
TOWN = (
    "entropy outside 0.1base warn",
    "entropy outside 0.2base alert",
    "evaluation.queue_conflict_rate > +15%base warn",
    "evaluation.queue_conflict_rate > +20%base for 2 alert",
    "evaluation.queue_intensity_rate > +15%base warn",
    "evaluation.queue_intensity_rate > +20%base for 2 alert",
)
ANNEAL = (
    "reading.bc_accuracy < 0.90 alert",
    "open_guardrails > 0 warn",
    "kl_to_reference > 0.5 warn",
    "kl_to_reference > 1.0 for 3 alert",
)
OF_WORLD = {"town": TOWN}
PRESETS: dict[str, tuple[str, ...]] = {  # with the limits of the guardrails, where there is one
    "common": COMMON,
    "town": COMMON + TOWN,
    "nav": COMMON,  # which has no numbers of its own
    "anneal": COMMON + ANNEAL,  # and those of the log's world
}
# the least base of a relative change, so that noise near zero is no alert; as the guardrails have it
FLOOR = 0.05
FLOORS = dict.fromkeys(("evaluation.queue_conflict_rate", "evaluation.queue_intensity_rate"), 5.0)


class Rule(NamedTuple):
    text: str
    field: str
    op: str
    limit: float
    of_base: Literal["", "share", "amount"]
    hits: int  # in a row
    severity: Severity


class Alert(NamedTuple):
    """A rule begins to hold, or no longer does."""

    event: Literal["starts", "clears"]
    rule: str
    severity: Severity
    value: float
    base: float | None
    seq: int
    env_steps: int | None


@dataclass
class Watched:
    """A rule, and what was seen of it."""

    rule: Rule
    streak: int = 0
    active: bool = False
    measured: int = 0  # records to which it applied
    held: int = 0  # records in which its condition held
    alerts: int = 0
    worst: float | None = None
    without_base: int = 0  # records that had the field, and nothing to compare it with


@dataclass
class Watch:
    """Rules over the records of one log, in order."""

    rules: list[Watched]
    baseline: Mapping[str, float]
    base: dict[str, float] = field(default_factory=dict)  # what the log itself states

    def see(self, record: AnyRecord) -> list[Alert]:
        """Hold a record to every rule; the alerts that begin or end with it."""
        self.base |= bases(record)
        values, found = numbers(record), list[Alert]()
        for watched in self.rules:
            value = values.get(watched.rule.field)
            if value is not None and (alert := self._hold(watched, value, record)):
                found.append(alert)
        return found

    def fired(self, severity: Severity) -> int:
        return sum(watched.alerts for watched in self.rules if watched.rule.severity == severity)

    def _hold(self, watched: Watched, value: float, record: AnyRecord) -> Alert | None:
        rule, base = watched.rule, None
        measure = value
        if rule.of_base:
            base = self.base.get(rule.field, self.baseline.get(rule.field))
            if base is None:
                watched.without_base += 1
                return None
            least = FLOORS.get(rule.field, FLOOR)
            measure = (value - base) / max(abs(base), least) if rule.of_base == "share" else value - base
        watched.measured += 1
        holds = OPS[rule.op](measure, rule.limit)
        watched.streak = watched.streak + 1 if holds else 0
        if holds:
            watched.held += 1
            watched.worst = value if watched.worst is None else _worse(rule, watched.worst, value, base)
        if watched.active == (watched.streak >= rule.hits):
            return None
        watched.active = not watched.active
        watched.alerts += watched.active
        event: Literal["starts", "clears"] = "starts" if watched.active else "clears"
        return Alert(event, rule.text, rule.severity, value, base, record.seq, record.env_steps)


def watch(texts: Sequence[str], baseline: Mapping[str, float]) -> Watch:
    return Watch([Watched(rule_of(text)) for text in dict.fromkeys(texts)], baseline)


def rule_of(text: str) -> Rule:
    """A rule from its text. UsageError for one that is none, or that names a field which no record has."""
    found = RULE.fullmatch(text)
    try:
        limit = float(found["limit"]) if found else 0.0
    except ValueError:
        found = None
    if found is None:
        raise UsageError(
            f"--alert: expected FIELD OP NUMBER[%base] [for N] [warn|alert], as 'return_mean < -30%base for 2 alert', got {shown(text)}"
        )
    require_field(found["field"], "--alert")
    share = bool(found["base"]) and found["base"].startswith("%")
    op = found["op"].strip().lower().replace("==", "=")
    return Rule(
        text=" ".join(text.split()),
        field=found["field"],
        op=op,
        limit=limit / 100 if share else limit,
        of_base=("share" if share else "amount") if found["base"] else "",
        hits=max(int(found["hits"] or 1), 1),
        severity="warn" if (found["severity"] or "").lower() == "warn" else "alert",
    )


def preset(name: str, world: str | None) -> tuple[str, ...]:
    """The rules of a preset, for a log of such a world. UsageError for another name."""
    if name not in PRESETS:
        raise UsageError(f"--preset: expected one of {', '.join(PRESETS)}, got {shown(name)}{nearest(name, PRESETS)}")
    return PRESETS[name] + (OF_WORLD.get(world or "", ()) if name == "anneal" else ())


def _worse(rule: Rule, one: float, other: float, base: float | None) -> float:
    if rule.op == "outside":
        return max(one, other, key=lambda value: abs(value - (base or 0.0)))
    return min(one, other) if rule.op in ("<", "<=") else max(one, other)
